"""Pins: where a rerun sends what its steps read and write. A file of JSON that the steps of the rerun find."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from doltflow.errors import RecordError

VERSION = 1
RerunKind = Literal["replay", "backtest"]
ForeachPath = tuple[tuple[str, int], ...]
"""In which foreaches a task stands, the outermost first: the step that is done for each, and the index."""


@dataclass(frozen=True, slots=True)
class DatabasePin:
    """Where a rerun sends a database.

    Attributes:
        database: Its name.
        folder: Absolute path of its folder, or its address on a server.
        branch: The branch that writes go to; None where the rerun may not write the database.
        commit: The commit that reads see; None for the branch's head.
    """

    database: str
    folder: str
    branch: str | None = None
    commit: str | None = None


@dataclass(frozen=True, slots=True)
class ReadPin:
    """A recorded read, which is to see what it saw.

    Attributes:
        step, foreach: Which task made it. Ids of tasks differ from run to run.
        key: The name that it was recorded under.
        database: The database's name.
        tables: The tables that it read.
        commit: The commit that it saw.
        own: Those of its tables that the run itself had written before: a rerun reads them as it has written them.
        ends: For a read that is one end of a `diff`, full hashes of both ends, from and to.
    """

    step: str
    foreach: ForeachPath
    key: str
    database: str
    tables: tuple[str, ...]
    commit: str
    own: tuple[str, ...] = ()
    ends: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Pins:
    """The pins of one rerun.

    Attributes:
        kind: `replay`: each read is served at the commit that was recorded. `backtest`: at its database's pin.
        of: `Flow/run_id` of the run that is repeated.
        databases: Where each database is sent.
        reads: For a replay the recorded reads, oldest first.
    """

    kind: RerunKind
    of: str
    databases: tuple[DatabasePin, ...]
    reads: tuple[ReadPin, ...] = ()

    def database(self, name: str) -> DatabasePin | None:
        """Where a database is sent."""
        return next((pin for pin in self.databases if pin.database == name), None)

    def encode(self) -> str:
        """The text of the file."""
        return json.dumps({"version": VERSION, **asdict(self)})

    @classmethod
    def decode(cls, text: str) -> Self:
        """The pins that a file holds.

        Raises:
            RecordError: It holds none.
        """
        try:
            data = json.loads(text)
            if data["version"] != VERSION:
                raise ValueError(f"its version is {data['version']}, not {VERSION}")
            databases = tuple(DatabasePin(**item) for item in data["databases"])
            return cls(data["kind"], data["of"], databases, tuple(_read_pin(item) for item in data["reads"]))
        except (ValueError, TypeError, KeyError) as error:
            raise RecordError(f"The pins of a rerun cannot be read: {error}.") from error


def _read_pin(data: Mapping[str, Any]) -> ReadPin:
    foreach = tuple((str(step), int(index)) for step, index in data["foreach"])
    ends = (str(data["ends"][0]), str(data["ends"][1])) if data.get("ends") else None
    given = {"foreach": foreach, "tables": tuple(data["tables"]), "own": tuple(data["own"]), "ends": ends}
    return ReadPin(**{**data, **given})
