"""The commits of an input database between two of them, of those that a production branch was at."""

import re
from collections.abc import Sequence
from datetime import datetime

from doltflow.errors import AmbiguousDatabaseError, RefNotFoundError, UsageError
from doltflow.model.commit import Commit
from doltflow.model.moment import looks_like_moment, parse_moment
from doltflow.rerun.backtest import BacktestPlan
from doltflow.rerun.inputs import check_input, commit_then
from doltflow.rerun.pipeline import Pipeline
from doltflow.sources.dolt import Session
from doltflow.workspace import Workspace
from doltflow.workspace.at import databases_asked, nowhere, resolve_at
from doltflow.workspace.fetching import fetch_all, tell_fetched

VIEWS = "dolt_schemas"
"""Where Dolt keeps the views: what they read is recorded as reads of their tables."""
PERIODS = ("day", "week", "month")
Every = int | str


def parse_range(text: str) -> tuple[str, str]:
    """Both ends of `A..B`; the second is empty where it is left out.

    Raises:
        UsageError: It is no range.
    """
    found = re.fullmatch(r"(?P<first>.+?)\.\.(?P<last>.*)", text.strip())
    if found is None or found["last"].startswith(".") or ".." in found["last"]:
        raise UsageError(f"`{text}` is no range of commits.", "Write `--sweep A..B`, the older end first.")
    return found["first"].strip(), found["last"].strip()


def parse_every(text: str) -> Every:
    """How a line of commits is thinned: a number, or a period.

    Raises:
        UsageError: It is neither.
    """
    if text in PERIODS:
        return text
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < 1:
        raise UsageError(f"`--every {text}` is no distance.", "Give a number of 1 or more, day, week or month.")
    return int(text)


def find_ends(workspace: Workspace, pipeline: Pipeline, first: str, last: str) -> tuple[str, str, str]:
    """The input database that has two commits, and their full hashes.

    Args:
        workspace: Where to look; the database that is asked for is the input.
        pipeline: What production is made by.
        first: A commit, the beginning of its hash, a tag, a branch, or a date: where production's branch was then.
        last: Likewise; an empty text is where production's branch is now.

    Raises:
        RefNotFoundError, AmbiguousDatabaseError, UsageError, NotReplayableError: As they say.
    """
    found, missing = _found_ends(workspace, pipeline, first, last)
    is_named = any(text and not looks_like_moment(text) for text in (first, last))
    if not found and is_named and fetch_all(workspace, databases_asked(workspace)):
        found, missing = _found_ends(workspace, pipeline, first, last)
        for name, start, end in found:
            tell_fetched(workspace, name, f"{start} or {end}")
    if len(found) > 1:  # A date or a branch fits many, and one that runs only read is an input if any is.
        inputs = [one for one in found if one[0] in pipeline.read and one[0] not in pipeline.written]
        found = inputs or found
    if len(found) > 1:
        names = ", ".join(f"`{name}`" for name, _, _ in found)
        raise AmbiguousDatabaseError(
            f"`{first}` and `{last}` may be of several databases: {names}.", "Say which with `--database`."
        )
    if not found:
        raise nowhere(missing)
    check_input(workspace, found[0][0], pipeline.read, pipeline.written)
    return found[0]


def _found_ends(
    workspace: Workspace, pipeline: Pipeline, first: str, last: str
) -> tuple[list[tuple[str, str, str]], list[RefNotFoundError]]:
    """The databases that have two commits, with these, and of the others that they have not."""
    found: list[tuple[str, str, str]] = []
    missing: list[RefNotFoundError] = []
    for name in databases_asked(workspace):
        session, branch = workspace.session(name), pipeline.read.get(name)
        try:
            found.append((name, _commit(session, first, branch), _commit(session, last, branch)))
        except RefNotFoundError as error:
            missing.append(error)
    return found, missing


def _commit(session: Session, text: str, branch: str | None) -> str:
    known = session.branches()
    if not text:
        return known[branch] if branch in known else session.branch_head(session.default_branch())
    if looks_like_moment(text) and text not in known:
        return commit_then(session, branch, parse_moment(text, end=True))
    return resolve_at(session, text)


def way(workspace: Workspace, database: str, first: str, last: str) -> list[Commit]:
    """The commits from one to a later one over first parents, oldest first, both included.

    Raises:
        RefNotFoundError: The first is not on the way back from the last.
    """
    commits = workspace.commits(database)
    found: list[Commit] = []
    hash_: str | None = last
    while hash_ is not None:
        commit = commits.get(hash_) or workspace.find_commit(database, hash_)
        if commit is None:
            raise RefNotFoundError(f"`{database}` is a shallow clone: {hash_} is not here.", "`dolt fetch` it.")
        found.append(commit)
        if hash_ == first:
            return found[::-1]
        hash_ = next(iter(commit.parents), None)
    session = workspace.session(database)
    hint = "No commit leads from the one to the other."
    if session.reaches([first], [last]):
        hint = f"It is the later one: write {last}..{first}."
    elif session.reaches([last], [first]):
        hint = "It was merged in, and the branch was never at it: take the merge, or a commit before that."
    raise RefNotFoundError(f"{first} is not on the way from {last} back over first parents.", hint)


def where_inputs_changed(
    workspace: Workspace, plan: BacktestPlan, database: str, commits: Sequence[Commit]
) -> list[Commit]:
    """Those of some commits at which a table that the flows read, or a view, is another than before; and the first.

    Args:
        workspace: With the databases.
        plan: The flows.
        database: The input database.
        commits: Commits, each after its first parent.
    """
    tables: set[str] = set()
    made: set[tuple[str, str]] = set()
    for flow in plan.flows:
        if database in flow.unnamed:
            return list(commits)
        tables |= {table for name, table in flow.reads if name == database and (name, table) not in made}
        made |= set(flow.writes)
    tables.add(VIEWS)
    session = workspace.session(database)
    touched = {hash_ for table in tables for hash_ in session.touching(table)}
    # Somebody may have named a commit that no branch leads to.
    reached = workspace.commits(database)
    kept: list[Commit] = []
    content: tuple[str | None, ...] | None = None
    for commit in commits:
        if kept and commit.hash not in touched and commit.hash in reached:
            continue
        now = tuple(session.table_hash(table, commit.hash) for table in sorted(tables))
        if not kept or now != content:
            kept.append(commit)
        content = now
    return kept


def thinned(commits: Sequence[Commit], every: Every | None) -> list[Commit]:
    """Some of some commits, the first and the last always among them.

    Args:
        commits: The commits, oldest first.
        every: So many from one to the next, counted from the last; or the last of every day, week or month in the
            user's own time zone; None for all.
    """
    if every is None:
        return list(commits)
    if isinstance(every, int):
        kept = {len(commits) - 1 - number for number in range(0, len(commits), every)}
    else:
        kept = set({_period(commit.date, every): number for number, commit in enumerate(commits)}.values())
    return [commit for number, commit in enumerate(commits) if number in kept or number in (0, len(commits) - 1)]


def _period(date: datetime, every: str) -> tuple[int, ...]:
    local = date.astimezone()
    if every == "week":
        return tuple(local.isocalendar())[:2]
    return (local.year, local.month) if every == "month" else (local.year, local.month, local.day)
