"""`backtest`: the flows of today on the data of an earlier commit, on branches of their own."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote

from doltflow.compare.production import BacktestTable, compare_with_production
from doltflow.errors import BranchExistsError, RerunFailedError
from doltflow.rerun import CodeChoice, CodeOrigin
from doltflow.rerun.backtest import BacktestPlan, plan_backtest
from doltflow.rerun.carrying import (
    BacktestRun,
    Prepared,
    carry_out,
    check_reads,
    outcomes,
    prepare,
    run_here,
    tell_left_out,
)
from doltflow.rerun.earlier import check_done
from doltflow.rerun.making import (
    ListedBranch,
    branches_to_remove,
    existing,
    listed_branches,
    make_branches,
    remove_listed,
    runs_on,
    working_on,
)
from doltflow.workspace import Workspace, load_settings, open_workspace

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class BacktestResult:
    """A backtest.

    Attributes:
        plan: Its flows, pins and branches, which begin where an earlier call began them.
        is_dry: Whether nothing was made.
        changed: Of each flow's code, the files that are not what production ran; None where that cannot be told.
        origins: Where each flow's code comes from.
        given: Of each flow, the parameters that are set, by variable, with the values as they were given.
        runs: The repeated runs; empty where none was asked for.
        tables: The tables that they wrote, against production.
        commands: What runs the flows, where they were not run.
        warnings: What was missing or strange, one sentence each.
    """

    plan: BacktestPlan
    is_dry: bool
    changed: tuple[tuple[str, tuple[str, ...] | None], ...]
    origins: tuple[tuple[str, CodeOrigin], ...]
    given: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
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
    settings: Sequence[str] = (),
    code: CodeChoice = "current",
    run: bool = False,
    resume: bool = False,
    dry_run: bool = False,
    folder: Path | None = None,
    tell: Tell = lambda line: None,
    log_line: Tell | None = None,
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
        settings: `NAME=VALUE`, for every flow that has such a parameter, or `Flow.NAME=VALUE`: once for each parameter
            that is to be another than production's.
        code: `current`: the flows' files as they are. `recorded`: the source that production ran.
        run: Whether to run the flows.
        resume: Whether to go on after a flow that failed: those that are done are not repeated.
        dry_run: Only tells what would be done.
        folder: Where to look for databases and for Metaflow's store, and to run the flows; the current one without it.
        tell: Called with a line for each branch, and each step that begins or ends.
        log_line: Called with each line that the flows print.

    Raises:
        UsageError, RefNotFoundError, AmbiguousDatabaseError, TableNotFoundError, NotReplayableError, FlowFileError,
        StoreNotFoundError, BranchExistsError: As they say; nothing was made.
        RerunFailedError: A flow failed, or did not read what it was to; the branches stay.
    """
    with open_workspace(load_settings(folder), database, folder) as workspace, ExitStack() as stack:
        workspace.prepare()
        plan = plan_backtest(workspace, commit=commit, as_of=as_of, branch=branch, base=base, tables=tables)
        is_run = (run or resume) and bool(plan.flows)
        if is_run and not dry_run:
            stack.enter_context(working_on(workspace, plan.branches))
        known = existing(workspace, plan, base)
        done = _done(workspace, plan, known, run or resume, resume)
        tell_left_out(workspace, plan)
        prepared = prepare(workspace, stack, plan.flows, code, settings, is_run=is_run)
        for production, again in done.items():
            check_done(workspace, plan, prepared, production, again)
        check_reads(workspace, plan, is_run=is_run)
        began = {item.database: item.made.commit for item in known}
        new = [branch for branch in plan.branches if branch.database not in began]
        plan = replace(plan, branches=tuple(replace(b, commit=began.get(b.database, b.commit)) for b in plan.branches))
        command = _command(plan, commit, database, as_of, base, tables, settings, code)
        names = [flow.run.flow for flow in plan.flows if flow.run.flow in prepared]
        changed = tuple((name, prepared[name].code.changed) for name in names)
        origins = tuple((name, prepared[name].code.origin) for name in names)
        given = tuple((name, prepared[name].given) for name in names)
        if not dry_run:
            make_branches(workspace, plan, new)
        if dry_run or not is_run:
            commands = (command,) if plan.flows else ()
            return BacktestResult(plan, dry_run, changed, origins, given, (), (), commands, workspace.warnings)
        for made in plan.branches:
            tell(f"{made.database}: branch {made.branch} at {made.commit}")
        runs = _run(workspace, plan, prepared, done, command, tell, log_line)
        compared = tuple(
            compare_with_production(workspace.session(one.database), one.table, one.production, (one.run, one.commit))
            for one in outcomes(workspace, plan, runs)
        )
        return BacktestResult(plan, False, changed, origins, given, runs, compared, (), workspace.warnings)


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


def _command(
    plan: BacktestPlan,
    commit: str | None,
    database: str | None,
    as_of: str | None,
    base: str | None,
    tables: Sequence[str],
    settings: Sequence[str],
    code: CodeChoice,
) -> str:
    """The command that runs the flows on the branches."""
    options = [("--commit", plan.inputs[0].commit if commit is not None else None), ("--database", database)]
    options += [("--as-of", as_of), ("--base", base), *(("--table", table) for table in tables)]
    options += [("--set", setting) for setting in settings]
    options += [("--code", code if code != "current" else None), ("--branch", plan.branch)]
    given = [part for name, value in options if value is not None for part in (name, quote(value))]
    return " ".join(["doltflow", "backtest", *given, "--run"])


# Running


def _run(
    workspace: Workspace,
    plan: BacktestPlan,
    prepared: Mapping[str, Prepared],
    done: dict[str, str],
    command: str,
    tell: Tell,
    log_line: Tell | None,
) -> tuple[BacktestRun, ...]:
    go_on = f"Go on with `{command} --resume`, or remove it with `doltflow backtest --remove {quote(plan.branch)}`."
    try:
        return run_here(carry_out(workspace, plan, prepared, done, tell, log_line))
    except RerunFailedError as error:
        stays = f"The branch `{plan.branch}` stays. {go_on}"
        raise RerunFailedError(error.message, f"{error.hint} {stays}".strip()) from error
    except KeyboardInterrupt:
        tell(f"Interrupted. The branch `{plan.branch}` stays. {go_on}")
        raise


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
        name: The name; with `*` in it, which no branch has, all that fit, such as `backtest/*`.
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
