"""`backtest --bisect`: the first commit of an input from which on a predicate on an output is another."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from doltflow.errors import DoltflowError, NotReplayableError, NotTurningError, RerunFailedError, UsageError
from doltflow.model.commit import Commit
from doltflow.model.quoting import quote
from doltflow.rerun import CodeChoice
from doltflow.rerun.carrying import BacktestRun
from doltflow.rerun.line import find_ends, way, where_inputs_changed
from doltflow.rerun.pipeline import Key, read_pipeline
from doltflow.rerun.points import Asked, Point, PointResult, Points
from doltflow.sql import is_aggregate
from doltflow.workspace import Workspace, load_settings, open_workspace
from doltflow.workspace.at import split_name

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class TriedCommit:
    """A commit on which the predicate was evaluated.

    Attributes:
        commit: The commit.
        value: Whether the predicate is true of the output.
        output: The commit that has the output.
        branch: The name of its branches; None where nothing was to run.
        runs: The runs of the flows; those that were done before are not new.
    """

    commit: Commit
    value: bool
    output: str
    branch: str | None
    runs: tuple[BacktestRun, ...]


@dataclass(frozen=True, slots=True)
class BisectResult:
    """A bisection, or under `dry_run` what it would be.

    Attributes:
        predicate: The predicate.
        database, table: The output that it is about.
        input: The input database.
        good, bad: Both ends.
        line: Full hashes of the commits among which one was to be found, oldest first, both ends included.
        most: How many flows were to run at most.
        last: The last commit at which the predicate is as at the older end; None for a dry run.
        first: The first one at which it is known not to be; None for a dry run.
        tried: The commits on which it was evaluated, in that order.
        failed: The commits on which it could not be, and why. Those between `last` and `first` may be the one too.
        warnings: What was missing or strange, one sentence each.
    """

    predicate: str
    database: str
    table: str
    input: str
    good: Commit
    bad: Commit
    line: tuple[str, ...]
    most: int
    last: TriedCommit | None
    first: TriedCommit | None
    tried: tuple[TriedCommit, ...]
    failed: tuple[tuple[Commit, str], ...]
    warnings: tuple[str, ...]

    @property
    def untried(self) -> tuple[Commit, ...]:
        """The commits between `last` and `first`, all of which failed; none where `first` is the one for certain."""
        if self.last is None or self.first is None:
            return ()
        ends = [self.line.index(one.commit.hash) for one in (self.last, self.first)]
        between = self.line[ends[0] + 1 : ends[1]]
        return tuple(commit for commit, _ in self.failed if commit.hash in between)


def bisect(
    predicate: str,
    *,
    good: str,
    bad: str,
    table: str | None = None,
    database: str | None = None,
    as_of: str | None = None,
    branch: str | None = None,
    base: str | None = None,
    settings: Sequence[str] = (),
    code: CodeChoice = "current",
    dry_run: bool = False,
    folder: Path | None = None,
    tell: Tell = lambda line: None,
    log_line: Tell | None = None,
) -> BisectResult:
    """Finds the first commit of an input at which a predicate on an output turns, by backtests.

    The commits are those that production's branch was at between both ends, over first parents, at which a table that
    the flows read was changed.

    Args:
        predicate: A condition in SQL. With aggregates, such as `avg(price) > 100`, it is about the whole table; without
            it is true where any row matches. NULL is not true.
        good: A commit, tag, branch or date of an input database where it is well.
        bad: Likewise, where it is not. Either may be the older one; the predicate has to be true at one of them only.
        table: The output table, where the flows write several.
        database: The input database, by name or path, where several have the commits.
        as_of: A date: where the other input databases were then.
        branch: The name that those of the branches begin with, before a slash and the commit; `backtest` without it.
        base: Where the branches of output databases begin, as for `backtest`.
        settings: Parameters to set, as for `backtest`.
        code: Which code, as for `backtest`.
        dry_run: Only tells how many runs there would be at most.
        folder: Where to look and to run the flows; the current folder without it.
        tell: Called with a line for each step that begins or ends, and for each commit that was tried.
        log_line: Called with each line that the flows print.

    Where it cannot be evaluated on a commit between the ends, as the flows fail there, another one is tried.

    Raises:
        QueryError: The predicate is none.
        UsageError, RefNotFoundError, AmbiguousDatabaseError, TableNotFoundError, NotReplayableError, FlowFileError,
        StoreNotFoundError, ColumnNotFoundError: As they say; nothing was made.
        NotTurningError: The predicate is the same at both ends; what was run is used again.
        RerunFailedError: A flow failed at an end; what was done is used again.
    """
    question = _question(predicate)
    with open_workspace(load_settings(folder), database, folder) as workspace, ExitStack() as stack:
        workspace.prepare()
        pipeline = read_pipeline(workspace)
        name, *ends = find_ends(workspace, pipeline, good, bad)
        listed = _between(workspace, name, *ends)
        tables = (table,) if table is not None else ()
        asked = Asked(as_of, branch, base, tables, settings, code)
        points = Points(workspace, stack, pipeline, name, listed[-1].hash, asked)
        key = _output(workspace, points, table)
        _check(workspace, points, key, question)
        commits = where_inputs_changed(workspace, points.plan, name, listed)
        if len(commits) == 1:
            raise NotTurningError(
                f"Nothing that the flows read of `{name}` was changed between `{good}` and `{bad}`.",
                "Take ends that are further apart.",
            )
        halvings = (len(commits) - 2).bit_length()
        flows, planned = len(points.plan.flows), [points.point(commit) for commit in (commits[0], commits[-1])]
        most = sum(point.to_run for point in planned) + halvings * flows
        whole = (len(planned) + halvings) * flows
        before = f", {whole - most} of them done before" if most != whole else ""
        tell(f"{len(commits)} commits of {name}; at most {len(planned) + halvings} backtests, runs: {whole}{before}.")
        there = {commit.hash: commit for commit in listed}
        found = BisectResult(
            predicate,
            *key,
            name,
            there[ends[0]],
            there[ends[1]],
            tuple(commit.hash for commit in commits),
            most,
            None,
            None,
            (),
            (),
            (),
        )
        if dry_run:
            return replace(found, warnings=workspace.warnings)
        tries = _Tries(workspace, points, key, question, tell, log_line)
        last, first = _turn(tries, commits, predicate)
        tried, failed = tuple(tries.tried), tuple(tries.failed)
        return replace(found, last=last, first=first, tried=tried, failed=failed, warnings=workspace.warnings)


def _question(predicate: str) -> str:
    """The query that asks a table, `{}`, whether the predicate is true."""
    safe = predicate.replace("{", "{{").replace("}", "}}")
    if is_aggregate(predicate):
        return f"select ({safe}) as value from {{}}"
    return f"select count(*) > 0 as value from {{}} where ({safe})"


def _between(workspace: Workspace, database: str, good: str, bad: str) -> list[Commit]:
    """The commits between both ends, oldest first, whichever that is."""
    if good == bad:
        raise UsageError("`--good` and `--bad` are the same commit.", "Take one where it is well and one where not.")
    if workspace.session(database).reaches([good], [bad]):
        return way(workspace, database, bad, good)
    return way(workspace, database, good, bad)


def _output(workspace: Workspace, points: Points, table: str | None) -> Key:
    """The table that the predicate is about."""
    keys = list(dict.fromkeys(key for flow in points.plan.flows for key in flow.writes))
    if not keys:
        raise NotReplayableError(f"No flow is downstream of `{points.database}`: there is nothing to run.")
    if table is not None:
        database, name = split_name(workspace, table, is_output=True)
        keys = [key for key in keys if key[1].casefold() == name.casefold() and database in (None, key[0])]
    if len(keys) > 1:
        listed = ", ".join(f"`{database}/{name}`" for database, name in keys)
        raise UsageError(f"The flows write several tables: {listed}.", "Say which one is meant with `--table`.")
    return keys[0]


def _check(workspace: Workspace, points: Points, key: Key, question: str) -> None:
    """Makes sure that Dolt takes the predicate, on what production has."""
    for made in points.plan.productions:
        if (made.database, made.table) == key:
            _ask(workspace, key, made.commit.hash, question)


def _ask(workspace: Workspace, key: Key, at: str, question: str) -> bool:
    database, table = key
    (row,) = workspace.session(database).query(question.format(quote(table)), at).to_pylist()
    return bool(row["value"])


class _Tries:
    """Commits on which the predicate is evaluated, one at a time."""

    def __init__(
        self, workspace: Workspace, points: Points, key: Key, question: str, tell: Tell, log_line: Tell | None
    ) -> None:
        self._workspace = workspace
        self._points = points
        self._key = key
        self._question = question
        self._tell = tell
        self._log_line = log_line
        self.tried: list[TriedCommit] = []
        self.failed: list[tuple[Commit, str]] = []

    def on_any(self, commits: Sequence[Commit]) -> TriedCommit | None:
        """The same on that of some commits, near the middle first, on which it goes well; None where there is none."""
        middle = (len(commits) - 1) / 2
        known = {commit.hash for commit, _ in self.failed}
        for number in sorted(range(len(commits)), key=lambda number: abs(number - middle)):
            if commits[number].hash in known:
                continue
            try:
                return self.on(commits[number])
            except RerunFailedError as error:
                self.failed.append((commits[number], str(error)))
                self._tell(f"{commits[number].hash[:8]}: {error}")
        return None

    def on(self, commit: Commit) -> TriedCommit:
        """Runs the flows on a commit and evaluates the predicate.

        Raises:
            RerunFailedError: A flow failed, or did not write the table.
        """
        begun: list[Point] = []
        try:
            ((_, found),) = self._points.carry_out([commit], 1, self._tell, self._log_line, begun.append)
        except KeyboardInterrupt:
            stays = [f" The branch `{point.plan.branch}` stays." for point in begun if point.to_run]
            self._tell(f"Interrupted.{''.join(stays)} The same command goes on after what is done.")
            raise
        if isinstance(found, DoltflowError):
            raise RerunFailedError(
                f"The backtest on {commit.hash} failed: {found.message}",
                f"{found.hint} What was done stays, and the same command goes on after it.".strip(),
            ) from found
        one = self._tried(commit, found)
        self.tried.append(one)
        said = "true" if one.value else "false"
        self._tell(f"{commit.hash[:8]} of {commit.date.astimezone():%Y-%m-%d %H:%M}: {said}")
        return one

    def _tried(self, commit: Commit, result: PointResult) -> TriedCommit:
        made = next((one for one in result.outcomes if (one.database, one.table) == self._key), None)
        if made is None or made.run is None:
            raise RerunFailedError(
                f"On {commit.hash} no flow wrote `{self._key[1]}`, so that the predicate cannot be evaluated.",
                "Take ends between which the flows write it.",
            )
        try:
            value = _ask(self._workspace, self._key, made.commit, self._question)
        except DoltflowError as error:
            raise RerunFailedError(
                f"The predicate cannot be evaluated on what {made.run} made of {commit.hash}: {error.message}",
                error.hint,
            ) from error
        return TriedCommit(commit, value, made.commit, result.branch, result.runs)


def _turn(tries: _Tries, commits: Sequence[Commit], predicate: str) -> tuple[TriedCommit, TriedCommit]:
    """The last commit at which the predicate is as at the first one, and the next."""
    last, first = tries.on(commits[0]), tries.on(commits[-1])
    if last.value == first.value:
        raise NotTurningError(
            f"`{predicate}` is {'true' if last.value else 'false'} at both ends, {last.commit.hash} and "
            f"{first.commit.hash}: nowhere between them need it turn.",
            "Take other ends, or another predicate; what was run is used again.",
        )
    between = list(commits[1:-1])
    while (one := tries.on_any(between)) is not None:
        number = between.index(one.commit)
        if one.value == last.value:
            last, between = one, between[number + 1 :]
        else:
            first, between = one, between[:number]
    return last, first
