"""Two versions of a table: whether they are the same, and if not, by how much and where they differ."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from doltflow.compare.counts import changed_rows
from doltflow.errors import TableNotFoundError
from doltflow.sources.dolt import Session

Verdict = Literal["identical", "different", "missing", "unrecorded"]


@dataclass(frozen=True, slots=True)
class TableVerdict:
    """How a table compares with its recorded version.

    Attributes:
        database, table: The table.
        verdict: `identical`: the content hashes are equal. `missing`: it is not there. `unrecorded`: it was written,
            and the recorded run did not write it; the counts are from before the write.
        added, removed, modified: Counts of rows, from the recorded version to the other one; None where Dolt cannot
            tell, as after a change of the key.
        columns: The columns in which modified rows differ, or that only one version has.
        recorded, now: Full hashes of the commits that were compared.
    """

    database: str
    table: str
    verdict: Verdict
    added: int | None
    removed: int | None
    modified: int | None
    columns: tuple[str, ...]
    recorded: str
    now: str


def compare_table(session: Session, table: str, recorded: str, now: str) -> TableVerdict:
    """Compares a table at two commits of one database, by content first: that costs the same for any size.

    Args:
        session: With the database.
        table: The table's name.
        recorded: Full hash of the commit that has the version to compare with.
        now: Full hash of the other commit.
    """
    before, table = _found(session, table, recorded)
    after, table = _found(session, table, now)
    if after is None:
        return TableVerdict(session.name, table, "missing", None, None, None, (), recorded, now)
    if before == after:
        return TableVerdict(session.name, table, "identical", 0, 0, 0, (), recorded, now)
    counts = changed_rows(session, table, recorded, now) if before is not None else None
    columns = _columns(session, table, recorded, now) if before is not None else ()
    if counts is None:
        return TableVerdict(session.name, table, "different", None, None, None, columns, recorded, now)
    return TableVerdict(
        session.name, table, "different", counts.added, counts.removed, counts.modified, columns, recorded, now
    )


def _found(session: Session, table: str, at: str) -> tuple[str | None, str]:
    """The content hash of a table and its name as the database spells it; an old record may spell it otherwise."""
    if (hash_ := session.table_hash(table, at)) is not None:
        return hash_, table
    try:
        name = session.find_table(table, at)
    except TableNotFoundError:
        return None, table
    return session.table_hash(name, at), name


def _columns(session: Session, table: str, recorded: str, now: str) -> tuple[str, ...]:
    before, after = session.column_names(table, recorded), session.column_names(table, now)
    alone: Sequence[str] = [name for name in [*before, *after] if (name in before) != (name in after)]
    both = [name for name in after if name in before]
    changed = session.changed_columns(table, recorded, now, both)
    return tuple(dict.fromkeys([*alone, *changed]))
