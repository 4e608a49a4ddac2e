"""A backtest carried out: its flows run one after the other, and each is shown to have read what it was to."""

import sys
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from doltflow.errors import (
    FlowFileError,
    NotReplayableError,
    RerunFailedError,
    StoreNotFoundError,
    TableNotFoundError,
)
from doltflow.model.access import Access
from doltflow.model.pins import DatabasePin, Pins
from doltflow.model.run import Run
from doltflow.rerun.backtest import BacktestPlan, PlannedFlow
from doltflow.rerun.code import CodeChoice, CodeFound, find_code
from doltflow.rerun.pipeline import Key
from doltflow.rerun.plan import PlannedBranch
from doltflow.rerun.run import Explicit, Rerun, rerun
from doltflow.rerun.setting import explicit_parameters
from doltflow.workspace import Workspace, find_run, read_run

Tell = Callable[[str], None]
Started = Callable[[Callable[[], None]], None]
"""Is told, once a flow runs, what ends it."""
Job = Callable[[Started], Rerun]
"""Runs one flow; speaks to no database itself, so that any thread may call it."""


@dataclass(frozen=True, slots=True)
class BacktestRun:
    """A flow that was repeated.

    Attributes:
        flow: The flow.
        run: The new run.
        production: Production's run of it.
        is_new: Whether it ran now; else an earlier call had run it.
        log: The file that holds all that it printed; None where an earlier call ran it.
    """

    flow: str
    run: str
    production: str
    is_new: bool
    log: Path | None


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a flow is run with.

    Attributes:
        code: Its code.
        explicit: Its parameters, where some are set; None where they are production's.
    """

    code: CodeFound
    explicit: Explicit | None

    @property
    def given(self) -> tuple[tuple[str, str], ...]:
        """The parameters that are set, by variable, with the values as they were given."""
        return tuple(sorted(self.explicit.given.items())) if self.explicit is not None else ()


def prepare(
    workspace: Workspace,
    stack: ExitStack,
    flows: Sequence[PlannedFlow],
    choice: CodeChoice,
    settings: Sequence[str],
    *,
    is_run: bool,
) -> dict[str, Prepared]:
    """What every flow is run with, by its name.

    Args:
        workspace: Where Metaflow's store is.
        stack: Keeps the code for as long as it lasts.
        flows: The flows.
        choice: Which code.
        settings: `NAME=VALUE` or `Flow.NAME=VALUE`, once for each parameter that is to be another than production's.
        is_run: Whether they are to run; else what is missing is only warned of.

    Raises:
        StoreNotFoundError, NotReplayableError, FlowFileError: A flow cannot run.
        UsageError: A setting is none, or names no parameter.
    """
    codes = _codes(workspace, stack, flows, choice, is_run=is_run)
    runs = [flow.run for flow in flows if flow.run.flow in codes]
    is_checked = is_run or bool(settings)
    found = explicit_parameters(runs, codes, settings, sys.executable, workspace.place) if is_checked else {}
    return {name: Prepared(code, found.get(name)) for name, code in codes.items()}


def _codes(
    workspace: Workspace, stack: ExitStack, flows: Sequence[PlannedFlow], choice: CodeChoice, *, is_run: bool
) -> dict[str, CodeFound]:
    if flows and workspace.store is None and is_run:
        raise StoreNotFoundError(
            f"There is no Metaflow store in {workspace.place} or above it, and a rerun needs production's runs.",
            "Go to the folder where the flows ran.",
        )
    found = {}
    for flow in flows:
        if not flow.is_stored:
            message = f"`{flow.run.pathspec}` is not in Metaflow's store, so that it cannot be repeated."
            if is_run:
                raise NotReplayableError(message, "Run the flow once, or go to the folder where it ran.")
            workspace.warn(message)
            continue
        try:
            found[flow.run.flow] = stack.enter_context(find_code(workspace, flow.run, choice))
        except FlowFileError as error:
            hint = "Put it back, or run what production ran with `--code recorded`."
            raise FlowFileError(error.message, hint if choice == "current" else "Leave `--code` out.") from error
    return found


def tell_left_out(workspace: Workspace, plan: BacktestPlan) -> None:
    """Warns of the tables that no flow of a plan would make again."""
    for item in plan.left_out:
        workspace.warn(
            f"`{item.database}/{item.table}` is left out: {item.records.run.pathspec}, which wrote it, is not the "
            "newest run of its flow, and a backtest runs each flow once."
        )


def check_reads(workspace: Workspace, plan: BacktestPlan, *, is_run: bool) -> None:
    """Makes sure that what the flows read is there; of a table of its own a flow may well make the first version.

    Raises:
        TableNotFoundError: It is not; where the flows are not to run, that is only warned of.
    """
    for flow in plan.flows:
        for database, table in flow.missing:
            at = flow.pins.database(database)
            where = f"branch `{at.branch}`" if at is not None and at.commit is None else f"commit {at and at.commit}"
            message = f"`{flow.run.flow}` reads `{table}` of `{database}`, which is not there on the {where}."
            if is_run and (database, table) not in flow.writes:
                raise TableNotFoundError(message, "Take a later commit, or for an output database another `--base`.")
            workspace.warn(message)


# Running


def carry_out(
    workspace: Workspace,
    plan: BacktestPlan,
    prepared: Mapping[str, Prepared],
    done: Mapping[str, str],
    tell: Tell,
    log_line: Tell | None = None,
    *,
    elsewhere: Mapping[str, str] | None = None,
) -> Generator[Job, Rerun, tuple[BacktestRun, ...]]:
    """Runs the flows of a plan in order, those left out that were done before.

    The caller runs each job that this yields, where it likes, and sends back what it gives; everything else, which
    asks the databases and the store, is done here.

    Args:
        workspace: With the databases and the store.
        plan: The plan; its branches are there.
        prepared: What each flow is run with.
        done: Production's runs that were repeated before on these branches, each with the run that did.
        tell: Called with a line for each step that begins or ends.
        log_line: Called with each line that the flows print.
        elsewhere: Production's runs for which a run stands that did the same elsewhere.

    Raises:
        RerunFailedError: A flow failed, or did not read what it was to.
    """
    runs = []
    for flow in plan.flows:
        same = (elsewhere or {}).get(flow.run.pathspec)
        if same is not None:
            runs.append(BacktestRun(flow.run.flow, same, flow.run.pathspec, False, None))
            continue
        again, log = done.get(flow.run.pathspec), None
        if again is None:
            new = yield _job(workspace, flow, prepared[flow.run.flow], tell, log_line)
            again, log = new.run.run, new.log
            workspace.refresh()
        else:
            tell(f"{flow.run.flow}: done before, by {again}")
        check_served(workspace, flow.pins, again)
        runs.append(BacktestRun(flow.run.flow, again, flow.run.pathspec, log is not None, log))
    return tuple(runs)


def run_here(steps: Generator[Job, Rerun, tuple[BacktestRun, ...]]) -> tuple[BacktestRun, ...]:
    """Runs the jobs of `carry_out` in this thread, to the end."""
    try:
        job = next(steps)
        while True:
            job = steps.send(job(lambda end: None))
    except StopIteration as end:
        found: tuple[BacktestRun, ...] = end.value
        return found


def _job(workspace: Workspace, flow: PlannedFlow, prepared: Prepared, tell: Tell, log_line: Tell | None) -> Job:
    origin = find_run(workspace, flow.run.pathspec)
    step = workspace.store.first_step(origin) if workspace.store is not None else "start"
    return lambda started: rerun(
        workspace, origin, flow.pins, prepared.code,
        step=step, python=sys.executable, folder=workspace.place, user=flow.run.user, tell=tell,
        explicit=prepared.explicit, log_line=log_line, started=started,
    )  # fmt: skip


def check_served(workspace: Workspace, pins: Pins, run: str) -> None:
    """Makes sure that a run read what its pins say.

    Raises:
        RerunFailedError: It did not.
    """
    new = read_run(workspace, find_run(workspace, run)).run
    broken = list(unserved(workspace, pins, new))
    if broken:
        raise RerunFailedError(
            f"{new.pathspec} did not read what this backtest is about. {' '.join(broken)}",
            "Its results are not those of the earlier data. Does the flow read a fixed commit?",
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """A table that the flows of a backtest write, and where to compare it.

    Attributes:
        database, table: The table.
        production: Production's run and the commit by which it wrote the table; None where it has none.
        run: The run that wrote the table in the backtest; None where none did.
        commit: Full hash of a commit that has the table as the backtest left it.
    """

    database: str
    table: str
    production: tuple[str, str] | None
    run: str | None
    commit: str


def outcomes(
    workspace: Workspace, plan: BacktestPlan, runs: Sequence[BacktestRun], places: Mapping[Key, str] | None = None
) -> Iterator[Outcome]:
    """The tables that the flows of a plan write, in the flows' order.

    Args:
        workspace: With the databases.
        plan: The plan.
        runs: The runs of its flows.
        places: Commits that have tables which are not on the plan's branches.
    """
    branches = {branch.database: branch for branch in plan.branches}
    makers = _written(workspace, [run.run for run in runs])
    for database, table in dict.fromkeys(key for flow in plan.flows for key in flow.writes):
        same = (p for p in plan.productions if (p.database, p.table) == (database, table))
        production = next(((p.records.run.pathspec, p.commit.hash) for p in same), None)
        at = (places or {}).get((database, table)) or _head(workspace, branches[database])
        maker = makers.get((database, table))
        version = workspace.version(database, table, at) if maker is not None else None
        yield Outcome(database, table, production, maker, version.commit if version is not None else at)


def _head(workspace: Workspace, branch: PlannedBranch) -> str:
    """Where a branch is; where it would begin if it is not there."""
    return workspace.session(branch.database).branches().get(branch.branch, branch.commit)


def _written(workspace: Workspace, runs: Sequence[str]) -> dict[Key, str]:
    """The tables that some runs wrote, each with the run."""
    found: dict[Key, str] = {}
    for name in runs:
        run = read_run(workspace, find_run(workspace, name)).run
        for access in run.accesses:
            if access.kind == "write" and access.pathspec.startswith(f"{run.pathspec}/"):
                found |= {(access.database, table): run.pathspec for table in access.tables or ()}
    return found


def unserved(workspace: Workspace, pins: Pins, new: Run) -> Iterator[str]:
    """Each read of a backtest's run that was not served from where its pins lead, one sentence each.

    Args:
        workspace: With the databases.
        pins: The pins of that run.
        new: The run.
    """
    for access in dict.fromkeys(a for a in new.accesses if a.kind == "read" and a.pathspec.startswith(new.pathspec)):
        named = ", ".join(f"`{table}`" for table in access.tables or ()) or f"`{access.key}`"
        what = f"{named} of `{access.database}` in {access.pathspec}"
        pin = pins.database(access.database)
        if pin is None:
            yield f"{what} had no pin: production's run did not read that database."
        elif _is_change(workspace, pin, access):
            continue
        elif pin.branch is None and access.commit != pin.commit:
            yield f"{what} was served from {access.commit}, not from {pin.commit}."
        elif pin.branch is not None and not _on_branch(workspace, pin, access.branch, access.commit):
            where = f"`{access.branch}`" if access.branch is not None else str(access.commit)
            yield f"{what} was served from {where}, not from the branch `{pin.branch}`."


def _is_change(workspace: Workspace, pin: DatabasePin, access: Access) -> bool:
    """Whether a read is an end of a `diff`, which is of no branch, and not later than what its pin leads to."""
    if not access.key.startswith("diff(") or access.branch is not None or access.commit is None:
        return False
    session = workspace.session(pin.database)
    return session.reaches([pin.commit or session.branch_head(str(pin.branch))], [access.commit])


def _on_branch(workspace: Workspace, pin: DatabasePin, branch: str | None, commit: str | None) -> bool:
    session = workspace.session(pin.database)
    if branch != pin.branch or commit is None:
        return False
    return session.reaches([session.branch_head(str(pin.branch))], [commit])
