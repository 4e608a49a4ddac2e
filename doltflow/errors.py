"""Every error that doltflow expects and explains: one tree under `DoltflowError`.

A message says what was asked and what was found; the hint says what to do next. `code` is stable and appears in the
JSON error envelope; `exit_code` is the process's exit code when the error reaches the command line.
"""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import ClassVar

from doltflow.passwords import without_password

_KEPT = 100
_LONG_WORD = re.compile(rf"\S{{{5 * _KEPT},}}")
_LONGEST = 4_000


class DoltflowError(Exception):
    """Base of all expected errors.

    Args:
        message: What was asked and what was found, one or a few sentences.
        hint: What to do next; may be empty.
    """

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 3

    def __init__(self, message: str, hint: str = "") -> None:
        # What a user typed may have a password in it, wherever it is said again.
        self.message = shortened(without_password(message))
        self.hint = shortened(without_password(hint))
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


def shortened(text: str) -> str:
    """A message that a person can read, though a name in it may have thousands of characters."""
    text = _LONG_WORD.sub(lambda found: f"{found[0][:_KEPT]}…{found[0][-_KEPT:]}", text)
    if len(text) <= _LONGEST:
        return text
    return f"{text[: _LONGEST // 2]}…{text[-_LONGEST // 2 :]}"


class UsageError(DoltflowError):
    """The call or the command line makes no sense, whatever the data is."""

    code = "usage"
    exit_code = 2


class SettingsError(DoltflowError):
    """A settings file or a `DOLTFLOW_*` variable cannot be used."""

    code = "settings"


class DoltError(DoltflowError):
    """Dolt refused something; the cause is chained."""

    code = "dolt"


class DoltNotFoundError(DoltError):
    """There is no `dolt` program on PATH."""

    code = "dolt-not-found"


class DoltVersionError(DoltError):
    """The `dolt` program is older than doltflow supports."""

    code = "dolt-too-old"


class DatabaseNotFoundError(DoltError):
    """A folder is not a Dolt database, or no database has that name."""

    code = "database-not-found"


class ServerUnreachableError(DoltError):
    """Nobody answers at the address of a server, or not with the encryption that is asked for."""

    code = "server-unreachable"


class AccessDeniedError(DoltError):
    """A server does not let the account in, or not do that."""

    code = "access-denied"


class AmbiguousDatabaseError(DoltError):
    """Several databases answer to the question."""

    code = "database-ambiguous"


class DatabaseLockedError(DoltError):
    """Another Dolt process or another writer held the database for longer than the limit."""

    code = "database-locked"


class ConnectionLostError(DoltError):
    """The server ended, or stopped answering, while it was asked."""

    code = "connection-lost"


FREE_SPACE = "Free some space there, then run it again: no table is half-written."


class DiskFullError(DoltError):
    """There is no room for what is to be written."""

    code = "disk-full"


class TableNotFoundError(DoltError):
    """A table does not exist at the commit that was asked for."""

    code = "table-not-found"


class ColumnNotFoundError(DoltError):
    """A column does not exist in the table."""

    code = "column-not-found"


class NoKeyError(DoltError):
    """A table has no primary key, by which its rows could be told apart."""

    code = "no-key"


class RowNotFoundError(DoltError):
    """No row of a table has that key, or none fits the predicate."""

    code = "row-not-found"


class RefNotFoundError(DoltError):
    """A branch, tag or commit does not exist."""

    code = "ref-not-found"


class BranchExistsError(DoltError):
    """There is a branch of that name already."""

    code = "branch-exists"


class RemoteError(DoltError):
    """A remote is not there, cannot be reached, or does not take what is pushed."""

    code = "remote"


class DivergedError(RemoteError):
    """A branch and its remote have changed the same tables, so that nobody but the user can say what is right."""

    code = "diverged"


class DirtyTableError(DoltError):
    """The table that is to be written has uncommitted changes on that branch."""

    code = "table-dirty"


class SchemaMismatchError(DoltError):
    """A frame does not fit the table that it is to be written to."""

    code = "schema-mismatch"


class BadValueError(DoltError):
    """A frame holds values that the table cannot hold (NULL or duplicates in a key, infinities, overflow)."""

    code = "bad-value"


class QueryError(DoltError):
    """A query cannot be parsed, is not a read, or would escape its pin."""

    code = "bad-query"


class RecordError(DoltflowError):
    """A record (an artifact, a trailer) is broken or not doltflow's."""

    code = "bad-record"


class NotPlainError(RecordError):
    """An artifact is more than plain data, and reading it would run the code that it names."""

    code = "not-plain"


class AccessNotFoundError(DoltflowError):
    """A run has no access under that key or table."""

    code = "access-not-found"


class NoOutputError(DoltflowError):
    """A run wrote no table, so that there is nothing to compare."""

    code = "no-output"


class NothingInCommonError(DoltflowError):
    """Two ends of a comparison have no table in common."""

    code = "nothing-in-common"


class ToleranceError(DoltflowError):
    """A tolerance was asked for where nothing is a number."""

    code = "tolerance"


class NotMadeByRunError(DoltflowError):
    """The commit that last changed a table was made by hand, not by a run."""

    code = "not-made-by-run"


class RunNotFoundError(DoltflowError):
    """No run, step or task has that pathspec."""

    code = "run-not-found"


class AmbiguousRunError(DoltflowError):
    """A bare run id belongs to several flows."""

    code = "run-ambiguous"


class UnpinnedError(DoltflowError):
    """A rerun would write to a database that has no branch made for it."""

    code = "not-pinned"


class NotReplayableError(DoltflowError):
    """A run cannot be repeated: it still runs, wrote nothing, or what it used is gone."""

    code = "not-replayable"


class FlowFileError(DoltflowError):
    """The code of a flow is not there, or does not start."""

    code = "flow-file"


class RerunFailedError(DoltflowError):
    """A rerun did not come to its end; the message names its log."""

    code = "rerun-failed"


class NotTurningError(DoltflowError):
    """A predicate is the same at both ends of a bisection."""

    code = "not-turning"


class StoreNotFoundError(DoltflowError):
    """Metaflow's store is not there or cannot be read."""

    code = "store-not-found"


class ProfileNotFoundError(DoltflowError):
    """Metaflow has no profile of that name, or this process cannot change to it."""

    code = "profile-not-found"


class NotInFlowError(DoltflowError):
    """Something that only a running step can do was asked for outside one."""

    code = "not-in-flow"


def nearest(name: str, known: Iterable[str], limit: int = 3) -> str:
    """A hint that lists the known names nearest to `name`, or what there is; empty when nothing is known."""
    names = sorted(set(known))
    if not names:
        return ""
    folded = {candidate.casefold(): candidate for candidate in names}
    close = [folded[match] for match in get_close_matches(name.casefold(), list(folded), n=limit, cutoff=0.5)]
    if close:
        return f"Did you mean {' or '.join(f'`{c}`' for c in close)}?"
    shown = ", ".join(f"`{n}`" for n in names[:8])
    more = f", and {len(names) - 8} more" if len(names) > 8 else ""
    return f"There is {shown}{more}."
