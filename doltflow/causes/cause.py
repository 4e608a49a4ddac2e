"""What a cause is: one thing about two runs that is not the same."""

from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from doltflow.model.commit import Commit

Kind = Literal["data", "code", "parameter", "environment"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""In the order in which they are told."""
WORDS: dict[Kind, str] = {"data": "data", "code": "code", "parameter": "parameters", "environment": "environment"}
"""What each is called in a sentence."""
Side = Literal["before", "after"]
Direction = Literal["forward", "backward", "apart"]


@dataclass(frozen=True, slots=True)
class CodeFile:
    """A file of a flow's code that differs between two runs.

    Attributes:
        path: Relative to the flow's file.
        added, removed: Lines; None where they cannot be counted.
    """

    path: str
    added: int | None = None
    removed: int | None = None


@dataclass(frozen=True, slots=True)
class Cause:
    """Something that differs between two runs.

    Attributes:
        kind: Which kind of thing.
        name: A parameter's variable; a package or `python`, `metaflow`, `doltflow`, `dolt`; of code what its hashes are
            of: `git commit`, `code package` or `sources`; of data `database/table`.
        before, after: A parameter's values; versions; hashes (of `sources`, the SHA-1 of their list). Of data the full
            hash of the commit that had last changed the table when it was read. None where that side has none.
        only: Which side alone has it; None where both have. It tells None from what is not there.
        files: Of code, the files that differ; empty where that cannot be told.
        database, table: Of data, the table.
        added, removed, modified: Of data, rows, from the one version to the other; None where Dolt cannot tell, as
            after a change of the key.
        schema_changed: Of data, whether the schema differs.
        direction: Of data, how the versions follow each other: the later run saw a descendant (`forward`), an ancestor
            (`backward`), or a version from another branch (`apart`). None where that cannot be told.
        kept: Of data, that the table was not read: an update or append left what was in it.
        commits: Of data, who made the difference: the newest commits that lead from the one version to the other; those
            that only `after` reaches, then those that only `before` reaches.
        more: How many more there are.
    """

    kind: Kind
    name: str
    before: Any = field(default=None, hash=False)
    after: Any = field(default=None, hash=False)
    only: Side | None = None
    files: tuple[CodeFile, ...] = ()
    database: str | None = None
    table: str | None = None
    added: int | None = None
    removed: int | None = None
    modified: int | None = None
    schema_changed: bool = False
    direction: Direction | None = None
    kept: bool = False
    commits: tuple[Commit, ...] = ()
    more: int = 0


@dataclass(frozen=True, slots=True)
class Causes:
    """What differs between two runs, what does not, and what nobody can tell.

    Each kind is the same, or has causes, or is unknown; one that has causes may have more that is unknown.

    Attributes:
        before, after: The runs, `Flow/run_id`.
        causes: What differs, in the order of `KINDS`.
        same: The kinds that are known to be the same.
        unknown: What cannot be told: a kind and a sentence that says why; several where there are several reasons.
        by_hand: That `before` and `after` are no runs, and that nothing but the tables' own changes is told.
    """

    before: str
    after: str
    causes: tuple[Cause, ...]
    same: tuple[Kind, ...]
    unknown: tuple[tuple[Kind, str], ...]
    by_hand: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """What was found out about one kind: what differs, and why not all can be told, one sentence each."""

    causes: tuple[Cause, ...] = ()
    unknown: tuple[str, ...] = ()
