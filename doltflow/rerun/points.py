"""Backtests on many commits of one input: planned one by one, with what was done before reused, and carried out."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime

from doltflow.errors import BranchExistsError, DoltflowError
from doltflow.model.commit import Commit
from doltflow.model.moment import parse_moment
from doltflow.rerun.backtest import BacktestPlan, plan_from
from doltflow.rerun.carrying import (
    BacktestRun,
    Job,
    Outcome,
    Prepared,
    Tell,
    carry_out,
    check_reads,
    outcomes,
    prepare,
    tell_left_out,
)
from doltflow.rerun.code import CodeChoice
from doltflow.rerun.earlier import EarlierRun, EarlierRuns, Standing
from doltflow.rerun.inputs import Input
from doltflow.rerun.making import KIND, make_branches, working_on
from doltflow.rerun.pipeline import Key, Pipeline
from doltflow.rerun.plan import PlannedBranch, check_name
from doltflow.rerun.run import Rerun
from doltflow.rerun.together import run_together
from doltflow.sources.dolt.made import made_in
from doltflow.workspace import Workspace

PREFIX = "backtest"


@dataclass(frozen=True, slots=True)
class Point:
    """A backtest on one of many commits.

    Attributes:
        commit: The commit.
        plan: Its flows, pins and branches.
        earlier: Production's runs for which an earlier run stands.
        new: The branches that are not there yet.
    """

    commit: Commit
    plan: BacktestPlan
    earlier: Mapping[str, EarlierRun]
    new: tuple[PlannedBranch, ...]

    @property
    def to_run(self) -> int:
        """How many flows are to run."""
        return len(self.plan.flows) - len(self.earlier)


@dataclass(frozen=True, slots=True)
class PointResult:
    """What became of a point.

    Attributes:
        commit: The commit.
        branch: The name of its branches; None where it has none, as nothing was to run.
        runs: The runs of the flows, those included that were done before.
        outcomes: The tables that they wrote.
    """

    commit: Commit
    branch: str | None
    runs: tuple[BacktestRun, ...]
    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """What backtests on many commits are asked for with; as `backtest` takes them.

    Attributes:
        as_of: A date: where the other input databases were then; where production read them without it.
        prefix: The name that those of all branches begin with.
        base: Where output databases begin.
        tables: Only the flows that lead to these tables.
        settings: Parameters that are set.
        code: Which code.
    """

    as_of: str | None = None
    prefix: str | None = None
    base: str | None = None
    tables: Sequence[str] = ()
    settings: Sequence[str] = ()
    code: CodeChoice = "current"


class Points:
    """Backtests on commits of one input database, which share all but the commit."""

    def __init__(
        self, workspace: Workspace, stack: ExitStack, pipeline: Pipeline, database: str, newest: str, asked: Asked
    ) -> None:
        """Makes sure that the flows can run.

        Args:
            workspace: With the databases and the store.
            stack: Keeps the flows' code for as long as it lasts.
            pipeline: What production is made by.
            database: The input database.
            newest: A commit of it by which to tell what the flows are.
            asked: What was asked for.

        Raises:
            UsageError, TableNotFoundError, NotReplayableError, FlowFileError, StoreNotFoundError: As they say.
        """
        if asked.prefix is not None:
            check_name(asked.prefix)
        self._workspace = workspace
        self._pipeline = pipeline
        self._asked = asked
        self._moment: datetime | None = parse_moment(asked.as_of, end=True) if asked.as_of is not None else None
        self.database = database
        self.plan = self._plan(newest)
        tell_left_out(workspace, self.plan)
        self.prepared: dict[str, Prepared] = prepare(
            workspace, stack, self.plan.flows, asked.code, asked.settings, is_run=bool(self.plan.flows)
        )
        self._earlier = EarlierRuns(workspace, self.prepared)

    def _plan(self, commit: str) -> BacktestPlan:
        asked, inputs = self._asked, (Input(self.database, commit),)
        name = f"{asked.prefix or PREFIX}/{commit[:8]}"
        return plan_from(
            self._workspace, self._pipeline, inputs, name, moment=self._moment, base=asked.base, tables=asked.tables
        )

    # Planning

    def point(self, commit: Commit) -> Point:
        """What is to be done on a commit."""
        plan = self._plan(commit.hash)
        refused: set[str] = set()
        while True:
            found = self._matched(plan, refused)
            if len(found) == len(plan.flows):
                return Point(commit, plan, found, ())
            started, unreachable = self._started(plan, found)
            if unreachable is None:
                break
            refused.add(unreachable)
        began = tuple(replace(branch, commit=started[branch.database]) for branch in plan.branches)
        return self._named(Point(commit, replace(plan, branches=began), found, began))

    def _matched(self, plan: BacktestPlan, refused: set[str]) -> dict[str, EarlierRun]:
        """The flows for which an earlier run stands, those left out that are refused."""
        found: dict[str, EarlierRun] = {}
        started = {branch.database: branch.commit for branch in plan.branches}
        made: dict[Key, str | None] = {}
        for flow in plan.flows:
            at = {pin.database: pin.commit or started.get(pin.database) for pin in flow.pins.databases}
            standing = Standing({database: commit for database, commit in at.items() if commit is not None}, made)
            matching = self._earlier.matching(flow, standing)
            same = next((run for run in matching if run.run not in refused), None)
            if same is not None:
                found[flow.run.pathspec] = same
                made |= same.tables
            else:
                made |= dict.fromkeys(flow.writes)
        return found

    def _started(self, plan: BacktestPlan, found: Mapping[str, EarlierRun]) -> tuple[dict[str, str], str | None]:
        """Where the branches begin so that they have what earlier runs wrote; and a run of which they cannot have it.

        A branch has it where it is at the very commits that the run made, or where the content is the same anyway.
        """
        started = {branch.database: branch.commit for branch in plan.branches}
        taken: set[str] = set()
        for earlier in found.values():
            taken.add(earlier.run)
            for database in {name for name, _ in earlier.tables}:
                if database not in started:
                    return started, earlier.run
                tables = {table: at for (name, table), at in earlier.tables.items() if name == database}
                content, now = self._earlier.content, started[database]
                if all(content(database, table, now) == content(database, table, at) for table, at in tables.items()):
                    continue
                last = earlier.last.get(database)
                if last is None or not self._leads(database, last, now, taken):
                    return started, earlier.run
                started[database] = last
        return started, None

    def _leads(self, database: str, last: str, first: str, runs: set[str]) -> bool:
        """Whether there is nothing but commits of some runs between two commits."""
        hash_ = last
        while hash_ != first:
            commit = self._workspace.find_commit(database, hash_)
            if commit is None or commit.run is None or commit.run.pathspec.run not in runs or len(commit.parents) != 1:
                return False
            hash_ = commit.parents[0]
        return True

    def _named(self, point: Point) -> Point:
        """The point with a name of its branches that is free, or that an earlier call gave to the same ones."""
        plan, number = point.plan, 1
        while True:
            name = plan.branch if number == 1 else f"{plan.branch}-{number}"
            missing = self._missing(plan, name)
            if missing is not None:
                break
            number += 1
        branches = tuple(replace(branch, branch=name) for branch in plan.branches)
        flows = []
        for flow in plan.flows:
            pins = (pin if pin.branch is None else replace(pin, branch=name) for pin in flow.pins.databases)
            flows.append(replace(flow, pins=replace(flow.pins, databases=tuple(pins))))
        named = replace(plan, branch=name, branches=branches, flows=tuple(flows))
        return replace(point, plan=named, new=tuple(branch for branch in branches if branch.database in missing))

    def _missing(self, plan: BacktestPlan, name: str) -> set[str] | None:
        """The databases in which a name is free; None where one has another branch of it."""
        missing = set()
        for branch in plan.branches:
            session = self._workspace.session(branch.database)
            heads = session.branches()
            if name.casefold() not in {head.casefold() for head in heads}:
                missing.add(branch.database)
                continue
            made = made_in(session.database.location).get(name)
            if made is None or (made.kind, made.of) != (KIND, plan.of) or heads.get(name) != branch.commit:
                return None
        return missing

    # Carrying out

    def carry_out(
        self,
        commits: Sequence[Commit],
        jobs: int,
        tell: Tell,
        log_line: Tell | None,
        planned: Callable[[Point], None] = lambda point: None,
    ) -> Iterator[tuple[Commit, PointResult | DoltflowError]]:
        """Runs the backtests on some commits, several at a time.

        Args:
            commits: The commits.
            jobs: So many at a time.
            tell: Called with a line for each step that begins or ends.
            log_line: Called with each line that the flows print.
            planned: Called with each point before it is begun.

        Yields:
            A commit whose backtest has ended, and what it gave or the error that ended it, as they come.
        """
        begins = [self._beginning(commit, tell, log_line, planned) for commit in commits]
        for number, found in run_together(begins, jobs):
            yield commits[number], found

    def _beginning(
        self, commit: Commit, tell: Tell, log_line: Tell | None, planned: Callable[[Point], None]
    ) -> Callable[[], Generator[Job, Rerun, PointResult]]:
        def named(line: str) -> None:
            tell(f"{commit.hash[:8]}: {line}")

        def printed(line: str) -> None:
            if log_line is not None:
                log_line(f"{commit.hash[:8]}: {line}")

        return lambda: self._steps(commit, named, printed if log_line is not None else None, planned)

    def _steps(
        self, commit: Commit, tell: Tell, log_line: Tell | None, planned: Callable[[Point], None]
    ) -> Generator[Job, Rerun, PointResult]:
        point = self.point(commit)
        with working_on(self._workspace, point.plan.branches if point.to_run else ()):
            # Another doltflow may have been at work on it just before.
            self._workspace.refresh()
            now = self.point(commit)
            if now.to_run and (not point.to_run or now.plan.branch != point.plan.branch):
                raise BranchExistsError(f"Another doltflow wrote to the branch `{point.plan.branch}` just now.")
            return (yield from self._carried_out(now, tell, log_line, planned))

    def _carried_out(
        self, point: Point, tell: Tell, log_line: Tell | None, planned: Callable[[Point], None]
    ) -> Generator[Job, Rerun, PointResult]:
        workspace, plan = self._workspace, point.plan
        left = tuple(flow for flow in plan.flows if flow.run.pathspec not in point.earlier)
        check_reads(workspace, replace(plan, flows=left), is_run=True)
        planned(point)
        make_branches(workspace, plan, point.new)
        elsewhere = {production: earlier.run for production, earlier in point.earlier.items()}
        runs = yield from carry_out(workspace, plan, self.prepared, {}, tell, log_line, elsewhere=elsewhere)
        places: dict[Key, str] = {}
        for flow in plan.flows:
            earlier = point.earlier.get(flow.run.pathspec)
            places |= earlier.tables if earlier is not None else {}
            for key in flow.writes if earlier is None else ():
                places.pop(key, None)
        branch = plan.branch if point.to_run else None
        return PointResult(point.commit, branch, runs, tuple(outcomes(workspace, plan, runs, places)))
