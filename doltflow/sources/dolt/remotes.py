"""Remotes: databases that a database was cloned from, is brought up to date from, and is pushed to.

All of it is SQL, so it works wherever the database is. Nothing is ever checked out, and no branch is touched
but the one that is named. What changed on both sides is merged only where that was done to different tables: Dolt
would merge the rows of two versions of one table, and of two replacements make their union.
"""

import os
import random
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import unquote

from doltflow.errors import DirtyTableError, DivergedError, DoltError, RefNotFoundError, RemoteError
from doltflow.passwords import without_password
from doltflow.sources.dolt.connection import Connection
from doltflow.sources.dolt.refs import branches, hash_of
from doltflow.sources.dolt.remote_url import check_no_password, is_of_dolthub, is_url, split, tells_owner, user_of
from doltflow.sources.dolt.write.branch import branch_lock, move, temporary_branch

ORIGIN = "origin"
_TRIES = 12
_LONGEST_PAUSE = 2.0
_MOVED = re.compile(
    r"non-fast-forward|no common ancestor|\[rejected\]|optimistic lock|cannot update manifest", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Remote:
    """A remote of a database.

    Attributes:
        name: What the database calls it.
        url: Where it is.
        user: Who Dolt is to say that it is; its password is in the environment of Dolt, `DOLT_REMOTE_PASSWORD`.
    """

    name: str
    url: str
    user: str | None = None

    def __str__(self) -> str:
        return f"`{self.name}` at {without_password(self.url)}"


# Which remote


def remotes(connection: Connection) -> list[Remote]:
    """The remotes of a database, `origin` first."""
    connection.use()
    rows = connection.rows("select name, url from dolt_remotes order by name <> %s, name", [ORIGIN])
    return [Remote(str(name), str(url), user_of(str(url))) for name, url in rows]


def choose(known: Sequence[Remote], asked: str | None, database: str) -> Remote:
    """The remote that is meant.

    Args:
        known: Those of the database.
        asked: The name of one, or its address; None for `origin`, else the only one. DoltHub's `owner/name` is also an
            `origin` of that name where its kind does not tell the owner.
        database: What the database is called.

    Raises:
        RemoteError: There is none, or it cannot be told which.
        UsageError: There is a password in its URL.
    """
    listed = ", ".join(map(str, known))
    if not known:
        raise RemoteError(
            f"The database `{database}` has no remote.", "`dolt remote add origin URL` in its folder adds one."
        )
    if asked is None:
        named = [remote for remote in known if remote.name == ORIGIN] or (list(known) if len(known) == 1 else [])
        found = "several remotes, and none is called `origin`"
        hint = "Say which with `remote=`."
    else:
        named = [remote for remote in known if remote.name == asked or is_same(remote.url, asked)]
        if not named and known[0].name == ORIGIN and _is_copy(known[0].url, asked):
            named = [known[0]]
        found = f"no remote {without_password(asked)}"
        hint = "Is it another database of that name? Give its folder's path, and `remote=` with what to clone."
    if not named:
        raise RemoteError(f"The database `{database}` has {found}; it has {listed}.", hint)
    check_no_password(named[0].url)
    user = (user_of(asked) if asked is not None and is_url(asked) else None) or named[0].user
    return Remote(named[0].name, named[0].url, user)


def _is_copy(url: str, asked: str) -> bool:
    """Whether a remote may be a copy of DoltHub's `owner/name`: a folder or a bucket does not tell the owner."""
    if not is_of_dolthub(asked) or tells_owner(url):
        return False
    return unquote(split(url)[2]).rstrip("/").rpartition("/")[2] == asked.partition("/")[2]


def is_same(url: str, asked: str) -> bool:
    """Whether the URL of a remote is what an address names."""
    if not is_url(asked):
        return is_of_dolthub(asked) and url.rstrip("/").removesuffix(".git").endswith(f"/{asked}")
    (scheme, host, path), (other, place, way) = split(url), split(asked)
    if scheme == other == "file":
        return os.path.realpath(unquote(host + path)) == os.path.realpath(unquote(place + way))
    hosts = {one.rpartition("@")[2].casefold() for one in (host, place)}
    return scheme == other and len(hosts) == 1 and path.rstrip("/") == way.rstrip("/")


# From and to a remote


def fetch(connection: Connection, remote: Remote, branch: str | None = None) -> str | None:
    """Fetches what a remote has, or one branch of it; only the branches of the remote that are known here change.

    Returns:
        The head of the branch there; None where there is none.

    Raises:
        RemoteError: The remote cannot be reached.
    """
    connection.use()
    if branch is not None and branch.startswith("-"):  # No branch is called so, and Dolt would take it for an option.
        return None
    wanted = [] if branch is None else [branch]
    try:
        connection.rows(*_call("dolt_fetch", remote, *wanted))
    except DoltError as error:
        if branch is not None and "invalid ref spec" in error.message:
            return None
        raise _unreachable(remote, error) from error
    if branch is None:
        return None
    found = "select hash from dolt_remote_branches where name = %s"
    head = connection.value(found, [f"remotes/{remote.name}/{branch}"])
    return None if head is None else str(head)


def fetch_head(connection: Connection, remote: Remote, name: str) -> str | None:
    """Fetches all that a remote has, its tags too.

    Returns:
        The head of its branch of that name; None where it has none.

    Raises:
        RemoteError: The remote cannot be reached.
    """
    fetch(connection, remote)
    known = "select 1 from dolt_remote_branches where name = %s"
    if not connection.rows(known, [f"remotes/{remote.name}/{name}"]):
        return None
    return fetch(connection, remote, name)  # Dolt still knows one that the remote has removed.


def pull(connection: Connection, remote: Remote, branch: str, author: str | None) -> None:
    """Brings a branch up to date with a remote's; what is not committed there stays as it is.

    A branch that only the remote has is made here and tracks it; one that only is here stays.

    Args:
        connection: To the database.
        remote: The remote.
        branch: The branch.
        author: `Name <mail>` of a merge, where both sides have commits of their own.

    Raises:
        RemoteError: The remote cannot be reached.
        DivergedError: Both sides have changed the same tables.
        DirtyTableError: A table that the remote has changed has uncommitted changes here.
    """
    theirs = fetch(connection, remote, branch)
    if theirs is None:
        return
    if branch not in branches(connection):
        _track(connection, remote, branch, theirs)
        return
    for _ in range(_TRIES):
        if hash_of(connection, branch) == theirs:
            return
        with branch_lock(connection, branch):
            ours = hash_of(connection, branch)
            base = _merge_base(connection, ours, theirs)
            if base == theirs:
                return
            if base == ours and _moved(connection, remote, branch, ours, theirs):
                return
            if base != ours:
                with temporary_branch(connection, branch, ours) as temporary:
                    commit = _merged(connection, remote, branch, (temporary, ours, theirs), author, "pulled")
                    if _moved(connection, remote, branch, ours, commit):
                        return
    raise DoltError(f"The branch `{branch}` was moved by others {_TRIES} times while it was pulled.", "Try again.")


def push(connection: Connection, remote: Remote, branch: str, author: str | None) -> None:
    """Pushes a branch; where the remote has moved on in other tables, that is merged first.

    Raises:
        RemoteError: The remote cannot be reached, or does not take it. The branch is as it was.
        DivergedError: Both sides have changed the same tables.
    """
    if _pushed(connection, remote, branch, branch):
        return
    for number in range(_TRIES):
        time.sleep(random.uniform(0, min(_LONGEST_PAUSE, 0.1 * 2**number)))  # noqa: S311  Jitter is no secret.
        theirs = fetch(connection, remote, branch)
        with branch_lock(connection, branch):
            ours = hash_of(connection, branch)
            base = None if theirs is None else _merge_base(connection, ours, theirs)
            if theirs is None or base == theirs:
                if _pushed(connection, remote, branch, branch):
                    return
                continue
            if base == ours:  # Another one has pushed this very commit and more.
                return
            with temporary_branch(connection, branch, ours) as temporary:
                commit = _merged(connection, remote, branch, (temporary, ours, theirs), author, "pushed")
                if _pushed(connection, remote, temporary, branch):
                    with suppress(DoltError):  # It is pushed; what keeps the branch here back, the next pull tells.
                        _moved(connection, remote, branch, ours, commit)
                    return
    raise RemoteError(
        f"The branch `{branch}` of the remote {remote} was moved by others {_TRIES} times while it was pushed to.",
        f"Push it when it is quiet: {_commands(remote, branch, 'push')}.",
    )


def _pushed(connection: Connection, remote: Remote, branch: str, to: str) -> bool:
    """Pushes a branch to one of the remote; False where the remote has commits that it lacks."""
    connection.use()
    try:
        connection.rows(*_call("dolt_push", remote, branch if branch == to else f"{branch}:{to}"))
    except DoltError as error:
        if _MOVED.search(error.message):
            return False
        if "uncommitted changes" in error.message:
            raise RemoteError(
                f"The branch `{to}` could not be pushed: the database at the remote {remote} has uncommitted changes.",
                f"Commit them there, then push: {_commands(remote, to, 'push')}.",
            ) from error
        raise _unreachable(remote, error, f"Push it later: {_commands(remote, to, 'push')}.") from error
    return True


def _call(procedure: str, remote: Remote, *arguments: str) -> tuple[str, list[object]]:
    given = [*(("--user", remote.user) if remote.user else ()), remote.name, *arguments]
    return f"call {procedure}({', '.join(['%s'] * len(given))})", list(given)


def _commands(remote: Remote, branch: str, *verbs: str) -> str:
    """Commands of the `dolt` program, as a user types them in the folder."""
    made = {"fetch": f"fetch {remote.name}", "merge": f"merge {remote.name}/{branch}"}
    made |= {"push": f"push {remote.name} {branch}", "checkout": f"checkout {branch}"}
    return ", ".join(f"`dolt {made[verb]}`" for verb in verbs)


def _unreachable(remote: Remote, error: DoltError, then: str = "") -> RemoteError:
    hint = "Is its address right (`dolt remote -v`), and may you use it"
    hint += " (`dolt login` for DoltHub; DOLT_REMOTE_PASSWORD, and the user in the URL, for a server)?"
    return RemoteError(f"The remote {remote} cannot be reached or refuses. {error.message}", f"{hint} {then}".strip())


def _track(connection: Connection, remote: Remote, branch: str, head: str) -> None:
    """Makes a branch that only the remote has. Dolt's `--track` would make it where the session stands."""
    with suppress(DoltError):  # Another task may just have made it.
        connection.rows("call dolt_branch(%s, %s)", [branch, head])
    if branch not in branches(connection):
        raise RefNotFoundError(f"The branch `{branch}` of the remote {remote} cannot be made here.")
    connection.rows("call dolt_branch('-u', %s, %s)", [f"{remote.name}/{branch}", branch])


# What both sides have done


def _merge_base(connection: Connection, ours: str, theirs: str) -> str | None:
    connection.use()
    try:
        found = connection.value("select dolt_merge_base(%s, %s)", [ours, theirs])
    except DoltError:  # They have no commit in common.
        return None
    return None if found is None else str(found)


def _merged(
    connection: Connection,
    remote: Remote,
    branch: str,
    ends: tuple[str, str, str],
    author: str | None,
    what: str,
) -> str:
    """The commit of a merge on a temporary branch.

    Args:
        connection: To the database.
        remote: The remote.
        branch: The branch's name.
        ends: The temporary branch, our head and theirs.
        author: `Name <mail>`.
        what: What the branch was to be.

    Raises:
        DivergedError: Both sides have changed the same tables, or Dolt cannot merge what they did.
    """
    temporary, ours, theirs = ends
    base = _merge_base(connection, ours, theirs)
    if base is None:
        raise DivergedError(
            f"The branch `{branch}` was not {what}: here and at the remote {remote} it has no commit in common.",
            f"Is it another database? Push to another branch, or clone {remote.name} anew.",
        )
    mine, other = _changed(connection, base, ours), _changed(connection, base, theirs)
    both = sorted(mine.keys() & other.keys())
    both = [name for name in both if mine[name] != other[name]]
    if both:
        why = f"both have changed {', '.join(f'`{name}`' for name in both)}"
        raise _diverged(remote, branch, what, why, (ours, theirs), both)
    connection.use(temporary)
    # As `dolt pull` words it.
    message = f"Merge branch '{branch}' of {without_password(remote.url)} into {branch}"
    by = [] if author is None else ["--author", author]
    marks = ", ".join(["%s"] * (len(by) + 3))
    try:
        connection.rows(f"call dolt_merge({marks})", ["-m", message, *by, theirs])
    except DoltError as error:
        why = f"Dolt cannot merge what they have done ({error.message.rstrip('.')})"
        raise _diverged(remote, branch, what, why, (ours, theirs)) from error
    return hash_of(connection, temporary)


def _changed(connection: Connection, base: str, commit: str) -> dict[str, str | None]:
    """The tables that differ between two commits, each with its content at the later one."""
    connection.use(commit)
    rows = connection.rows("select from_table_name, to_table_name from dolt_diff_summary(%s, %s)", [base, commit])
    found: dict[str, str | None] = {}
    for name in {str(name) for pair in rows for name in pair if name}:
        is_there = name in {str(after) for _, after in rows}
        content = connection.value("select dolt_hashof_table(%s)", [name]) if is_there else None
        found[name.lower()] = None if content is None else str(content)
    return found


def _diverged(
    remote: Remote, branch: str, what: str, why: str, ends: tuple[str, str], tables: Sequence[str] = ()
) -> DivergedError:
    """The error that says how to get out of it.

    Args:
        remote: The remote.
        branch: The branch's name.
        what: What the branch was to be.
        why: Why it was not.
        ends: Our head and theirs.
        tables: The tables that both sides have changed.
    """
    ours, theirs = (f"`dolt checkout {end} {' '.join(tables)}`" for end in ends)
    mixed = "Where both have changed a table Dolt takes rows of both: "
    mixed += f"{ours} and `dolt commit -am MESSAGE` make it this side's whole, {theirs} the remote's. "
    return DivergedError(
        f"The branch `{branch}` was not {what}: since it and the remote {remote} parted, {why}.",
        f"Merge by hand, in the database's folder: {_commands(remote, branch, 'fetch', 'checkout', 'merge')}; where "
        "that tells of conflicts, `dolt conflicts resolve --ours TABLE` (or `--theirs`) and `dolt commit`. "
        f"{mixed if tables else ''}Then {_commands(remote, branch, 'push')}.",
    )


def _moved(connection: Connection, remote: Remote, branch: str, ours: str, commit: str) -> bool:
    try:
        return move(connection, branch, ours, commit)
    except DirtyTableError as error:
        raise DirtyTableError(
            f"The branch `{branch}` was not pulled: the remote {remote} has changed what is not committed here. "
            f"{error.message}",
            error.hint,
        ) from error
