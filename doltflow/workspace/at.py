"""What `--at` means: a commit, a name of one, or a date."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from doltflow.errors import RefNotFoundError, TableNotFoundError, UsageError
from doltflow.model.moment import looks_like_moment, parse_moment
from doltflow.model.table import TableVersion
from doltflow.sources.dolt import Session

if TYPE_CHECKING:
    from doltflow.workspace.workspace import Workspace

_HEAD = "HEAD"


def resolve_at(session: Session, text: str) -> str:
    """The full hash of the commit that a user means.

    Args:
        session: The database.
        text: A commit, the beginning of its hash, a tag, a branch, `HEAD` for the head of the default branch, one of
            these with `~n` or `^`; or a date, which means the commit that the default branch was at then. A branch or
            tag that is called like a date is meant before the date.

    Raises:
        RefNotFoundError: There is none, or the date is before the first commit.
    """
    try:
        return session.resolve(_spelled_out(session, text))
    except RefNotFoundError as error:
        if not looks_like_moment(text):
            raise
        no_ref = error
    try:
        moment = parse_moment(text, end=True)
    except UsageError as error:
        raise RefNotFoundError(no_ref.message, f"{error.message} {error.hint}") from None
    return session.commit_at(session.branch_head(session.default_branch()), moment)


def head_of(session: Session, at: str | None) -> str:
    """The full hash of the commit that `--at` means; without it the head of the default branch."""
    return resolve_at(session, at) if at is not None else session.branch_head(session.default_branch())


def _spelled_out(session: Session, text: str) -> str:
    """`HEAD~2` with the hash that HEAD stands for: a server may have another one."""
    rest = text.removeprefix(_HEAD)
    if rest != text and rest[:1] in ("", "~", "^"):
        return session.branch_head(session.default_branch()) + rest
    return text


def nowhere(missing: Sequence[RefNotFoundError]) -> RefNotFoundError:
    """One error for what none of several databases has."""
    messages = dict.fromkeys(error.message for error in missing)
    hints = dict.fromkeys(error.hint for error in missing if error.hint)
    return RefNotFoundError(" ".join(messages), " ".join(hints))


def named_table(workspace: "Workspace", name: str, at: str | None) -> TableVersion:
    """The version of a table that a user means, by its name or as doltflow shows it: `database/table`.

    Raises:
        TableNotFoundError, DatabaseNotFoundError, RefNotFoundError: It is not there.
        AmbiguousDatabaseError: Several databases have it.
    """
    try:
        return workspace.find_table(name, workspace.asked, at)
    except (TableNotFoundError, RefNotFoundError):
        database, table = split_name(workspace, name)
        if database is None:
            raise
        return workspace.find_table(table, database, at)


def split_name(workspace: "Workspace", name: str, *, is_output: bool = False) -> tuple[str | None, str]:
    """The database and the table of `database/table`; None and the name as it is where it is not of that form.

    Args:
        workspace: With the databases.
        name: What the user gave.
        is_output: Whether it is an output where the database that is asked for is the input.
    """
    database, slash, table = name.partition("/")
    if not slash or database not in workspace.names or (workspace.asked not in (None, database) and not is_output):
        return None, name
    return database, table


def databases_asked(workspace: "Workspace") -> list[str]:
    """The names of the databases that a command is about: the one that was asked for, else all.

    Raises:
        DatabaseNotFoundError: There is none.
    """
    names = workspace.names if workspace.asked is None else [workspace.asked]
    if not names:
        raise workspace.no_database()
    return names
