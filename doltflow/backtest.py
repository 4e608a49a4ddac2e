"""`backtest`: the flows of today on the data of an earlier commit, on branches of their own."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote

from doltflow.compare import TableVerdict, compare_table
from doltflow.errors import (
    BranchExistsError,
    FlowFileError,
    NotReplayableError,
    RerunFailedError,
    StoreNotFoundError,
    TableNotFoundError,
)
from doltflow.model.run import Run
from doltflow.rerun import CodeChoice, CodeFound, find_code, rerun
from doltflow.rerun.backtest import BacktestPlan, PlannedFlow, plan_backtest, unserved
from doltflow.rerun.figures import ColumnFigures, Figures, compared_columns, figures
from doltflow.rerun.making import (
    ListedBranch,
    branches_to_remove,
    existing,
    listed_branches,
    make_branches,
    remove_listed,
    runs_on,
)
from doltflow.rerun.plan import PlannedBranch
from doltflow.workspace import Workspace, find_run, load_settings, open_workspace, read_run

Tell = Callable[[str], None]


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
class TableSide:
    """A table of production or of the backtest: the run that wrote it, the commit, and how many rows it has there."""

    run: str | None
    commit: str
    rows: int | None


@dataclass(frozen=True, slots=True)
class BacktestTable:
    """A table that the flows wrote, of production and of the backtest.

    Attributes:
        database, table: The table.
        production, backtest: Both sides; production is None for a table that it does not have, and the backtest's run
            is None where no flow wrote the table.
        verdict: How the two differ, from production to the backtest; None without production.
        columns: The numeric columns.
    """

    database: str
    table: str
    production: TableSide | None
    backtest: TableSide
    verdict: TableVerdict | None
    columns: tuple[ColumnFigures, ...]


@dataclass(frozen=True, slots=True)
class BacktestResult:
    """A backtest.

    Attributes:
        plan: Its flows, pins and branches, which begin where an earlier call began them.
        is_dry: Whether nothing was made.
        changed: Of each flow's code, the files that are not what production ran; None where that cannot be told.
        runs: The repeated runs; empty where none was asked for.
        tables: The tables that they wrote, against production.
        commands: What runs the flows, where they were not run.
        warnings: What was missing or strange, one sentence each.
    """

    plan: BacktestPlan
    is_dry: bool
    changed: tuple[tuple[str, tuple[str, ...] | None], ...]
    runs: tuple[BacktestRun, ...]
    tables: tuple[BacktestTable, ...]
    commands: tuple[str, ...]
    warnings: tuple[str, ...]


def backtest(
    *,
    commit: str | None = None,
    database: str | None = None,
    as_of: str | None = None,
    branch: str | None = None,
    base: str | None = None,
    tables: Sequence[str] = (),
    code: CodeChoice = "current",
    run: bool = False,
    resume: bool = False,
    dry_run: bool = False,
    folder: Path | None = None,
    tell: Tell = lambda line: None,
) -> BacktestResult:
    """Makes the branches on which the flows downstream of an input run on an earlier commit of it, and runs them.

    Args:
        commit: The commit of an input database, or the beginning of its hash, a tag or a branch.
        database: The input database, by name or path, where several have the commit.
        as_of: A date: where the other input databases were then; without `commit` all of them.
        branch: The name of the branches; `backtest/` and the commit without it.
        base: Where the branches of output databases begin: any ref, or `root` for the first commit; where production's
            branch stands without it.
        tables: Only the flows that lead to these tables.
        code: `current`: the flows' files as they are. `recorded`: the source that production ran.
        run: Whether to run the flows.
        resume: Whether to go on after a flow that failed: those that are done are not repeated.
        dry_run: Only tells what would be done.
        folder: Where to look for databases and for Metaflow's store, and to run the flows; the current one without it.
        tell: Called with a line for each branch, and each step that begins or ends.

    Raises:
        UsageError, RefNotFoundError, AmbiguousDatabaseError, TableNotFoundError, NotReplayableError, FlowFileError,
        StoreNotFoundError, BranchExistsError: As they say; nothing was made.
        RerunFailedError: A flow failed, or did not read what it was to; the branches stay.
    """
    with open_workspace(load_settings(folder), database, folder) as workspace, ExitStack() as stack:
        workspace.prepare()
        plan = plan_backtest(workspace, commit=commit, as_of=as_of, branch=branch, base=base, tables=tables)
        is_run = (run or resume) and bool(plan.flows)
        known = existing(workspace, plan, base)
        done = _done(workspace, plan, known, run or resume, resume)
        _tell_left_out(workspace, plan)
        codes = _codes(workspace, stack, plan, code, is_run)
        _check_reads(workspace, plan, is_run)
        began = {item.database: item.made.commit for item in known}
        new = [branch for branch in plan.branches if branch.database not in began]
        plan = replace(plan, branches=tuple(replace(b, commit=began.get(b.database, b.commit)) for b in plan.branches))
        command = _command(plan, commit, database, as_of, base, tables, code)
        changed = tuple((flow.run.flow, codes[flow.run.flow].changed) for flow in plan.flows if flow.run.flow in codes)
        if not dry_run:
            make_branches(workspace, plan, new)
        if dry_run or not is_run:
            commands = (command,) if plan.flows else ()
            return BacktestResult(plan, dry_run, changed, (), (), commands, workspace.warnings)
        for made in plan.branches:
            tell(f"{made.database}: branch {made.branch} at {made.commit}")
        runs = _run(workspace, plan, codes, done, command, tell)
        compared = tuple(_tables(workspace, plan))
        return BacktestResult(plan, False, changed, runs, compared, (), workspace.warnings)


def _done(
    workspace: Workspace, plan: BacktestPlan, known: list[ListedBranch], run: bool, resume: bool
) -> dict[str, str]:
    """Production's runs that an earlier call has repeated on the branches, each with the run that repeated it."""
    if not known:
        return {}
    named = f"`{plan.branch}`"
    if not run:
        raise BranchExistsError(
            f"The branch {named} of this backtest is there already, in {', '.join(f'`{k.database}`' for k in known)}.",
            f"Go on with `--run`, or remove it with `doltflow backtest --remove {quote(plan.branch)}`.",
        )
    if all(item.head == item.made.commit for item in known):
        return {}
    if not resume:
        raise BranchExistsError(
            f"Flows of this backtest have written to its branch {named} already.",
            "Go on after those with `--resume`, or begin anew: "
            f"`doltflow backtest --remove {quote(plan.branch)}` removes it.",
        )
    return runs_on(workspace, known)


def _tell_left_out(workspace: Workspace, plan: BacktestPlan) -> None:
    for item in plan.left_out:
        workspace.warn(
            f"`{item.database}/{item.table}` is left out: {item.records.run.pathspec}, which wrote it, is not the "
            "newest run of its flow, and a backtest runs each flow once."
        )


def _codes(
    workspace: Workspace, stack: ExitStack, plan: BacktestPlan, choice: CodeChoice, is_run: bool
) -> dict[str, CodeFound]:
    """The code of every flow."""
    if plan.flows and workspace.store is None and is_run:
        raise StoreNotFoundError(
            f"There is no Metaflow store in {workspace.place} or above it, and a rerun needs production's runs.",
            "Go to the folder where the flows ran.",
        )
    found = {}
    for flow in plan.flows:
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


def _check_reads(workspace: Workspace, plan: BacktestPlan, is_run: bool) -> None:
    """What a flow reads has to be there; of a table of its own it may well make the first version."""
    for flow in plan.flows:
        for database, table in flow.missing:
            at = flow.pins.database(database)
            where = f"branch `{at.branch}`" if at is not None and at.commit is None else f"commit {at and at.commit}"
            message = f"`{flow.run.flow}` reads `{table}` of `{database}`, which is not there on the {where}."
            if is_run and (database, table) not in flow.writes:
                raise TableNotFoundError(message, "Take a later commit, or for an output database another `--base`.")
            workspace.warn(message)


def _command(
    plan: BacktestPlan,
    commit: str | None,
    database: str | None,
    as_of: str | None,
    base: str | None,
    tables: Sequence[str],
    code: CodeChoice,
) -> str:
    """The command that runs the flows on the branches."""
    options = [("--commit", plan.inputs[0].commit if commit is not None else None), ("--database", database)]
    options += [("--as-of", as_of), ("--base", base), *(("--table", table) for table in tables)]
    options += [("--code", code if code != "current" else None), ("--branch", plan.branch)]
    given = [part for name, value in options if value is not None for part in (name, quote(value))]
    return " ".join(["doltflow", "backtest", *given, "--run"])


# Running


def _run(
    workspace: Workspace,
    plan: BacktestPlan,
    codes: dict[str, CodeFound],
    done: dict[str, str],
    command: str,
    tell: Tell,
) -> tuple[BacktestRun, ...]:
    runs = []
    go_on = f"Go on with `{command} --resume`, or remove it with `doltflow backtest --remove {quote(plan.branch)}`."
    for flow in plan.flows:
        try:
            runs.append(_run_flow(workspace, flow, codes[flow.run.flow], done.get(flow.run.pathspec), tell))
        except RerunFailedError as error:
            stays = f"The branch `{plan.branch}` stays. {go_on}"
            raise RerunFailedError(error.message, f"{error.hint} {stays}".strip()) from error
        except KeyboardInterrupt:
            tell(f"Interrupted. The branch `{plan.branch}` stays. {go_on}")
            raise
    return tuple(runs)


def _run_flow(workspace: Workspace, flow: PlannedFlow, code: CodeFound, done: str | None, tell: Tell) -> BacktestRun:
    """Runs a flow, unless an earlier call did, and makes sure that it read what it was to."""
    log = None
    if done is None:
        origin = find_run(workspace, flow.run.pathspec)
        step = workspace.store.first_step(origin) if workspace.store is not None else "start"
        again = rerun(
            workspace, origin, flow.pins, code,
            step=step, python=sys.executable, folder=workspace.place, user=flow.run.user, tell=tell,
        )  # fmt: skip
        done, log = again.run.run, again.log
        workspace.refresh()
    else:
        tell(f"{flow.run.flow}: done before, by {done}")
    new = _read(workspace, done)
    broken = list(unserved(workspace, flow.pins, new))
    if broken:
        raise RerunFailedError(
            f"{new.pathspec} did not read what this backtest is about. {' '.join(broken)}",
            "Its results are not those of the earlier data. Does the flow read a fixed commit?",
        )
    return BacktestRun(flow.run.flow, new.pathspec, flow.run.pathspec, log is not None, log)


def _read(workspace: Workspace, run: str) -> Run:
    return read_run(workspace, find_run(workspace, run)).run


# The comparison


def _tables(workspace: Workspace, plan: BacktestPlan) -> Iterator[BacktestTable]:
    """The tables that the flows wrote, in the flows' order, each against production."""
    branches = {branch.database: branch for branch in plan.branches}
    keys = dict.fromkeys(key for flow in plan.flows for key in flow.writes)
    for database, table in keys:
        yield _table(workspace, plan, branches[database], table)


def _table(workspace: Workspace, plan: BacktestPlan, branch: PlannedBranch, table: str) -> BacktestTable:
    session, database = workspace.session(branch.database), branch.database
    same = (p for p in plan.productions if (p.database, p.table) == (database, table))
    production = next(same, None)
    head = session.branch_head(branch.branch)
    version = workspace.version(database, table, head)
    commit = workspace.find_commit(database, version.commit) if version is not None else None
    again = commit.run if commit is not None and commit.run is not None else None
    is_new = again is not None and again.rerun_of is not None
    now = figures(session, table, head) if version is not None else None
    run = again.pathspec.run if again is not None and is_new else None
    after = TableSide(run, version.commit if version is not None and is_new else head, now.rows if now else None)
    if production is None:
        return BacktestTable(database, table, None, after, None, compared_columns(None, now))
    then: Figures | None = None
    if session.table_hash(table, production.commit.hash) is not None:
        then = figures(session, table, production.commit.hash)
    before = TableSide(production.records.run.pathspec, production.commit.hash, then.rows if then else None)
    verdict = compare_table(session, table, production.commit.hash, head)
    return BacktestTable(database, table, before, after, verdict, compared_columns(then, now))


# What was made


def made_branches(*, database: str | None = None, folder: Path | None = None) -> tuple[ListedBranch, ...]:
    """The branches that doltflow made and that are still there.

    Args:
        database: Only those of this database, by name or path.
        folder: Where to look for databases; the current folder without it.
    """
    with open_workspace(load_settings(folder), database, folder) as workspace:
        return tuple(listed_branches(workspace))


def remove_made(
    name: str,
    *,
    database: str | None = None,
    folder: Path | None = None,
    confirm: Callable[[tuple[ListedBranch, ...]], bool] = lambda branches: True,
) -> tuple[ListedBranch, ...]:
    """Removes the branches of a name that doltflow made, with all that only they lead to.

    Args:
        name: The name.
        database: Only of this database, by name or path.
        folder: Where to look for databases; the current folder without it.
        confirm: Asked before anything is removed; nothing is where it says no.

    Returns:
        What was removed.

    Raises:
        RefNotFoundError: doltflow made none of that name.
        NotReplayableError: One is checked out.
    """
    with open_workspace(load_settings(folder), database, folder) as workspace:
        found = tuple(branches_to_remove(workspace, name))
        if not confirm(found):
            return ()
        remove_listed(workspace, found)
        return found
