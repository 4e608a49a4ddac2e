"""`backtest --sweep`: the flows of today on many commits of an input, each against production."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from doltflow.compare.production import BacktestTable, compare_with_production
from doltflow.errors import DoltflowError, NotReplayableError, UsageError
from doltflow.model.commit import Commit
from doltflow.rerun import CodeChoice
from doltflow.rerun.carrying import BacktestRun
from doltflow.rerun.line import find_ends, parse_every, parse_range, thinned, way, where_inputs_changed
from doltflow.rerun.pipeline import read_pipeline
from doltflow.rerun.points import Asked, Point, PointResult, Points
from doltflow.workspace import Workspace, load_settings, open_workspace

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class SweptCommit:
    """The backtest on one commit of a sweep.

    Attributes:
        commit: The commit.
        status: `done`, `failed`, or `planned` under `dry_run`.
        branch: The name of its branches; None where it needs none, or has none yet.
        runs: The runs of the flows; those that were done before are not new. Under `dry_run` only those.
        tables: The tables that they wrote, against production.
        error: What went wrong; empty where nothing did.
    """

    commit: Commit
    status: Literal["done", "failed", "planned"]
    branch: str | None
    runs: tuple[BacktestRun, ...]
    tables: tuple[BacktestTable, ...]
    error: str


@dataclass(frozen=True, slots=True)
class SweepResult:
    """A sweep.

    Attributes:
        database: The input database.
        flows: The flows in their order, each with production's run.
        given: Of each flow, the parameters that are set, by variable, with the values as they were given.
        changed: Of each flow's code, the files that are not what production ran; None where that cannot be told.
        commits: The backtests, the oldest commit first.
        is_dry: Whether nothing was run.
        warnings: What was missing or strange, one sentence each.
    """

    database: str
    flows: tuple[tuple[str, str], ...]
    given: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    changed: tuple[tuple[str, tuple[str, ...] | None], ...]
    commits: tuple[SweptCommit, ...]
    is_dry: bool
    warnings: tuple[str, ...]

    @property
    def failed(self) -> tuple[SweptCommit, ...]:
        """The commits on which it failed."""
        return tuple(one for one in self.commits if one.status == "failed")


def sweep(
    commits: str,
    *,
    every: str | None = None,
    jobs: int = 1,
    database: str | None = None,
    as_of: str | None = None,
    branch: str | None = None,
    base: str | None = None,
    tables: Sequence[str] = (),
    settings: Sequence[str] = (),
    code: CodeChoice = "current",
    dry_run: bool = False,
    folder: Path | None = None,
    tell: Tell = lambda line: None,
    log_line: Tell | None = None,
    ended: Callable[[SweptCommit], None] = lambda one: None,
) -> SweepResult:
    """Runs the flows downstream of an input on many commits of it, each on branches of its own.

    The commits are those that production's branch was at from A to B, both included, over first parents; those at which
    no table that the flows read was changed are left out. A run that was done before on the same content with the same
    code, parameters and packages stands for a new one. Where one commit fails the others go on.

    Args:
        commits: `A..B`: commits, tags, branches or dates of an input database, the older one first. Without B it ends
            where production's branch is.
        every: A number, `day`, `week` or `month`: only some of the commits; see `doltflow.rerun.line.thinned`.
        jobs: So many backtests at a time.
        database: The input database, by name or path, where several have the commits.
        as_of: A date: where the other input databases were then.
        branch: The name that those of the branches begin with, before a slash and the commit; `backtest` without it.
        base: Where the branches of output databases begin, as for `backtest`.
        tables: Only the flows that lead to these tables.
        settings: Parameters to set, as for `backtest`.
        code: Which code, as for `backtest`.
        dry_run: Only tells what would be done.
        folder: Where to look and to run the flows; the current folder without it.
        tell: Called with a line for each step that begins or ends.
        log_line: Called with each line that the flows print.
        ended: Called with each commit whose backtest has ended, as they come.

    Raises:
        UsageError, RefNotFoundError, AmbiguousDatabaseError, TableNotFoundError, NotReplayableError, FlowFileError,
        StoreNotFoundError: As they say; nothing was made.
    """
    first, last = parse_range(commits)
    distance = parse_every(every) if every is not None else None
    if jobs < 1:
        raise UsageError(f"`--jobs {jobs}` is not possible.", "It is 1 or more.")
    with open_workspace(load_settings(folder), database, folder) as workspace, ExitStack() as stack:
        workspace.prepare()
        pipeline = read_pipeline(workspace)
        name, start, end = find_ends(workspace, pipeline, first, last)
        listed = way(workspace, name, start, end)
        points = Points(workspace, stack, pipeline, name, end, Asked(as_of, branch, base, tables, settings, code))
        if not points.plan.flows:
            raise NotReplayableError(f"No flow is downstream of `{name}`: there is nothing to run.")
        wanted = thinned(where_inputs_changed(workspace, points.plan, name, listed), distance)
        found: dict[str, SweptCommit] = {}
        if dry_run:
            found = {commit.hash: _planned(points.point(commit)) for commit in wanted}
            return _result(workspace, points, [found[commit.hash] for commit in wanted], is_dry=True)
        _tell_runs(points, [points.point(commit) for commit in wanted], tell)
        begun: dict[str, str] = {}
        try:
            for commit, result in points.carry_out(wanted, jobs, tell, log_line, lambda point: _note(begun, point)):
                one = _swept(workspace, commit, result, begun.get(commit.hash))
                found[commit.hash] = one
                ended(one)
        except KeyboardInterrupt:
            tell(_left(list(begun.values())))
            raise
        return _result(workspace, points, [found[commit.hash] for commit in wanted], is_dry=False)


def _tell_runs(points: Points, planned: Sequence[Point], tell: Tell) -> None:
    flows, left = len(points.plan.flows), sum(point.to_run for point in planned)
    before = len(planned) * flows - left
    told = f", {before} of them done before" if before else ""
    tell(f"{len(planned)} commits of {points.database}; runs: {left + before}{told}.")


def _note(begun: dict[str, str], point: Point) -> None:
    if point.to_run:
        begun[point.commit.hash] = point.plan.branch


def _planned(point: Point) -> SweptCommit:
    runs = tuple(
        BacktestRun(flow.run.flow, point.earlier[flow.run.pathspec].run, flow.run.pathspec, False, None)
        for flow in point.plan.flows
        if flow.run.pathspec in point.earlier
    )
    return SweptCommit(point.commit, "planned", point.plan.branch if point.to_run else None, runs, (), "")


def _swept(
    workspace: Workspace, commit: Commit, result: PointResult | DoltflowError, branch: str | None
) -> SweptCommit:
    if isinstance(result, DoltflowError):
        return SweptCommit(commit, "failed", branch, (), (), str(result))
    try:
        compared = tuple(
            compare_with_production(workspace.session(one.database), one.table, one.production, (one.run, one.commit))
            for one in result.outcomes
        )
    except DoltflowError as error:
        return SweptCommit(commit, "failed", branch, result.runs, (), str(error))
    return SweptCommit(commit, "done", result.branch, result.runs, compared, "")


def _left(branches: Sequence[str]) -> str:
    stays = f" The branches {', '.join(f'`{branch}`' for branch in branches)} stay." if branches else ""
    return f"Interrupted.{stays} The same command goes on after what is done; `doltflow backtest --list` shows all."


def _result(workspace: Workspace, points: Points, commits: Sequence[SweptCommit], *, is_dry: bool) -> SweepResult:
    flows = tuple((flow.run.flow, flow.run.pathspec) for flow in points.plan.flows)
    given = tuple((name, points.prepared[name].given) for name, _ in flows)
    changed = tuple((name, points.prepared[name].code.changed) for name, _ in flows)
    return SweepResult(points.database, flows, given, changed, tuple(commits), is_dry, workspace.warnings)
