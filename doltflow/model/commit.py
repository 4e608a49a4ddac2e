"""A Dolt commit, and the record of a run that its message carries.

The message is `Run: Flow/run_id/step/task_id`, a blank line, then trailers in git's format whose values are JSON.
Parsing never fails: a message that is not a run's gives None, a trailer that is broken is left out and named.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from doltflow.model.pathspec import Pathspec

VERSION = 1
_SUBJECT = re.compile(r"Run: (\S+)")
_TRAILER = re.compile(r"(Doltflow-[A-Za-z-]+): (.*)")


@dataclass(frozen=True, slots=True)
class WriteTrailer:
    """`Doltflow-Write`: a table that the commit wrote, how, and how many rows the frame had."""

    table: str
    mode: str | None = None
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class ReadTrailer:
    """`Doltflow-Read`: the tables that were read from one database at one commit, by this task or before it."""

    database: str
    commit: str
    tables: tuple[str, ...]
    branch: str | None = None


@dataclass(frozen=True, slots=True)
class RunCommit:
    """What a run's commit says of itself.

    Attributes:
        pathspec: The task that committed.
        version: The trailers' version; None where the commit has none (the original integration's commits).
        attempt: Metaflow's retry count.
        writes, reads: As recorded; empty where the commit has no trailers.
        rerun_of: `{"pathspec", "kind"}` where the run was a rerun.
        broken: Trailers that could not be read, as they stand.
    """

    pathspec: Pathspec
    version: int | None = None
    attempt: int = 0
    writes: tuple[WriteTrailer, ...] = ()
    reads: tuple[ReadTrailer, ...] = ()
    rerun_of: dict[str, Any] | None = field(default=None, hash=False)
    broken: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit of one database.

    Attributes:
        database: The database's name.
        hash: Full hash, 32 characters.
        parents: Hashes of its parents, the first one first.
        author, email: Who made it.
        date: When, aware, in UTC.
        message: The whole message.
        run: What the message says of a run; None for a commit that no run made.
    """

    database: str
    hash: str
    parents: tuple[str, ...]
    author: str
    email: str
    date: datetime
    message: str
    run: RunCommit | None = None

    @property
    def subject(self) -> str:
        """The message's first line."""
        return self.message.split("\n", 1)[0]


def encode_message(
    pathspec: Pathspec,
    *,
    attempt: int,
    writes: Iterable[WriteTrailer],
    reads: Iterable[ReadTrailer],
    rerun_of: dict[str, Any] | None = None,
) -> str:
    """The commit message of a run: reads of one database and commit become one line, in the order first seen."""
    lines = [f"Run: {pathspec}", "", f"Doltflow-Version: {VERSION}", f"Doltflow-Attempt: {attempt}"]
    for write in writes:
        lines.append(_trailer("Write", {"table": write.table, "mode": write.mode, "rows": write.rows}))
    for read in _merged(reads):
        lines.append(
            _trailer(
                "Read",
                {"database": read.database, "branch": read.branch, "commit": read.commit, "tables": list(read.tables)},
            )
        )
    if rerun_of is not None:
        lines.append(_trailer("Rerun-Of", rerun_of))
    return "\n".join(lines)


def _trailer(name: str, value: dict[str, Any]) -> str:
    # ASCII-only JSON keeps every control character and line separator out of the line.
    return f"Doltflow-{name}: {json.dumps(value)}"


def _merged(reads: Iterable[ReadTrailer]) -> list[ReadTrailer]:
    merged: dict[tuple[str, str], ReadTrailer] = {}
    for read in reads:
        known = merged.get((read.database, read.commit))
        tables = set(read.tables) | set(known.tables if known else ())
        branch = known.branch if known and known.branch else read.branch
        merged[read.database, read.commit] = ReadTrailer(read.database, read.commit, tuple(sorted(tables)), branch)
    return list(merged.values())


def parse_message(message: str) -> RunCommit | None:
    """What a commit message says of a run; None where its subject is not exactly `Run: Flow/run_id/step/task_id`."""
    subject, _, body = message.partition("\n")
    match = _SUBJECT.fullmatch(subject.rstrip("\r"))
    pathspec = Pathspec.parse(match[1]) if match else None
    if pathspec is None or pathspec.task_id is None:
        return None
    version: int | None = None
    attempt = 0
    writes: list[WriteTrailer] = []
    reads: list[ReadTrailer] = []
    rerun_of: dict[str, Any] | None = None
    broken: list[str] = []
    for line in body.split("\n"):
        trailer = _TRAILER.fullmatch(line.rstrip("\r"))
        if trailer is None:
            continue
        try:
            value = json.loads(trailer[2])
            match trailer[1]:
                case "Doltflow-Version":
                    version = _count(value)
                case "Doltflow-Attempt":
                    attempt = _count(value)
                case "Doltflow-Write":
                    writes.append(_write(_mapping(value)))
                case "Doltflow-Read":
                    reads.append(_read(_mapping(value)))
                case "Doltflow-Rerun-Of":
                    rerun_of = _rerun(_mapping(value))
                case _:  # A later version may say more.
                    pass
        except (ValueError, TypeError, KeyError, RecursionError):
            broken.append(line)
    return RunCommit(pathspec, version, attempt, tuple(writes), tuple(reads), rerun_of, tuple(broken))


def _mapping(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(value)
    return value


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise TypeError(value)
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    value.encode()  # JSON can spell half of a surrogate pair, which no name is and no terminal prints.
    return value


def _write(value: dict[str, Any]) -> WriteTrailer:
    mode, rows = value.get("mode"), value.get("rows")
    return WriteTrailer(
        _text(value["table"]), None if mode is None else _text(mode), None if rows is None else _count(rows)
    )


def _read(value: dict[str, Any]) -> ReadTrailer:
    branch, tables = value.get("branch"), value["tables"]
    if not isinstance(tables, list):
        raise TypeError(tables)
    return ReadTrailer(
        _text(value["database"]),
        _text(value["commit"]),
        tuple(_text(table) for table in tables),
        None if branch is None else _text(branch),
    )


def _rerun(value: dict[str, Any]) -> dict[str, Any]:
    return value | {"pathspec": _text(value["pathspec"]), "kind": _text(value["kind"])}
