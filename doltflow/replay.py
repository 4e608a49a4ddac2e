"""`replay`: a recorded run again, on exactly its data, and whether it gives the same."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote

from doltflow.causes import environment_changes
from doltflow.compare import TableVerdict, compare_table
from doltflow.errors import BranchExistsError, DoltflowError, StoreNotFoundError, UsageError
from doltflow.model.pathspec import Pathspec
from doltflow.model.run import Run
from doltflow.rerun import (
    CodeChoice,
    CodeFound,
    Explicit,
    Plan,
    check_parameters,
    find_code,
    made_branches,
    plan_replay,
    remove_branches,
    unhonoured,
    written_between,
)
from doltflow.rerun import rerun as run_again
from doltflow.workspace import Workspace, find_run, load_settings, open_workspace, read_run

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """A replay, or under `dry_run` what it would be.

    Attributes:
        run: The recorded run.
        plan: Its pins and branches.
        code: The code that was run.
        new_run: The run that repeated it; None for a dry run.
        tables: Each table that the recorded run wrote, and what else the new one wrote, compared; empty for a dry run.
        unhonoured: The reads that were not served as recorded, one sentence each.
        reasons: Why tables differ, as far as it is known, one sentence each: it begins with `code`, `environment`,
            `parameter`, `data` or `not deterministic`.
        log: The file that holds all that the flow printed.
        kept: Whether the branches are still there.
        warnings: What was missing, one sentence each.
        changed: The parameters that were set, by variable, with the values as they were given.
    """

    run: Run
    plan: Plan
    code: CodeFound
    new_run: Run | None
    tables: tuple[TableVerdict, ...]
    unhonoured: tuple[str, ...]
    reasons: tuple[str, ...]
    log: Path | None
    kept: bool
    warnings: tuple[str, ...]
    changed: tuple[tuple[str, str], ...] = ()

    @property
    def identical(self) -> bool:
        """Whether every table is the same, made from what the recorded run had read."""
        return self.new_run is not None and not self.unhonoured and all(t.verdict == "identical" for t in self.tables)


def replay(
    run: str,
    *,
    branch: str | None = None,
    code: CodeChoice = "current",
    flow_file: Path | None = None,
    python: str | None = None,
    step: str | None = None,
    settings: Sequence[str] = (),
    keep: bool = True,
    dry_run: bool = False,
    folder: Path | None = None,
    tell: Tell = lambda line: None,
    log_line: Tell | None = None,
) -> ReplayResult:
    """Repeats a run on the commits that it read, on branches of its own, and compares what both wrote.

    Args:
        run: `Flow/run_id`, `Flow/latest` or a bare run id.
        branch: The name of the new branches; `replay/Flow/run_id` without it.
        code: `current`: the flow's file as it is. `recorded`: the source that the run ran.
        flow_file: The flow's file, where it is not where the run had it.
        python: The interpreter; this one without it.
        step: The step to begin with; without it the first one. What is before it is taken over from the recorded run.
        settings: `NAME=VALUE` for each parameter that is to be another than recorded; every step runs again.
        keep: Whether the branches stay when all is compared.
        dry_run: Only tells what would be done.
        folder: Where to look for databases and for Metaflow's store, and to run the flow; the current one without it.
        tell: Called with a line for each step that begins or ends.
        log_line: Called with each line that the flow prints, in place of those on its steps.

    Raises:
        RunNotFoundError, AmbiguousRunError: There is no such run, or several.
        StoreNotFoundError: There is no Metaflow store, without which no flow can be repeated.
        NotReplayableError, FlowFileError, BranchExistsError: As they say; nothing was made.
        RerunFailedError: The flow failed; the branches stay to be looked at.
    """
    if settings and step is not None:
        raise UsageError(
            "`--set` and `--from` exclude each other: a run that goes on from a step keeps its parameters.",
            "Leave `--from` out.",
        )
    with open_workspace(load_settings(folder), None, folder) as workspace:
        workspace.prepare()
        if workspace.store is None:
            raise StoreNotFoundError(
                f"There is no Metaflow store in {workspace.place} or above it, and a replay needs the recorded run.",
                "Go to the folder where the flow ran.",
            )
        pathspec = find_run(workspace, run).zoomed("run")
        plan = plan_replay(workspace, pathspec, branch, step, is_whole=bool(settings))
        with find_code(workspace, plan.run, code, flow_file) as found:
            explicit = check_parameters(plan.run, found, settings, python or sys.executable, workspace.place)
            if dry_run:
                told, given = workspace.warnings, _given(explicit)
                return ReplayResult(plan.run, plan, found, None, (), (), (), None, False, told, given)
            while True:
                first = plan.first or workspace.store.first_step(pathspec)
                try:
                    return _replay(
                        workspace, plan, found, explicit, first, python or sys.executable, keep, tell, log_line
                    )
                except BranchExistsError:
                    if branch is not None:
                        raise
                    # Another replay has just taken the number; nothing was made.
                    plan = plan_replay(workspace, pathspec, None, step, is_whole=bool(settings))


def _given(explicit: Explicit | None) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(explicit.given.items())) if explicit is not None else ()


def _replay(
    workspace: Workspace,
    plan: Plan,
    code: CodeFound,
    explicit: Explicit | None,
    step: str,
    python: str,
    keep: bool,
    tell: Tell,
    log_line: Tell | None,
) -> ReplayResult:
    origin = Pathspec(plan.run.flow, plan.run.run_id)
    with _left_named(workspace, plan, tell), made_branches(workspace, plan.branches, origin.run):
        done = run_again(
            workspace, origin, plan.pins, code,
            step=step, python=python, folder=workspace.place,
            user=plan.run.user, tell=tell, explicit=explicit, log_line=log_line,
        )  # fmt: skip
        workspace.refresh()
        new = read_run(workspace, done.run).run
        broken = tuple(unhonoured(workspace, plan, new))
        tables = tuple(_verdicts(workspace, plan, new))
        if not keep:
            remove_branches(workspace, plan.branches)
        given, told = _given(explicit), workspace.warnings
        different = [table for table in tables if table.verdict != "identical"]
        reasons = _reasons(plan.run, new, code, broken, given) if different else []
        reasons += _reasons_of_tables(workspace, plan, different, is_explained=bool(reasons))
        return ReplayResult(plan.run, plan, code, new, tables, broken, tuple(reasons), done.log, keep, told, given)


@contextmanager
def _left_named(workspace: Workspace, plan: Plan, tell: Tell) -> Iterator[None]:
    """Names the branches that stay when the replay does not come to its end."""
    try:
        yield
    except BranchExistsError:
        raise
    except DoltflowError as error:
        if left := _left(workspace, plan):
            error.hint = f"{error.hint} {left}".strip()
        raise
    except KeyboardInterrupt:
        if left := _left(workspace, plan):
            tell(left)
        raise


def _left(workspace: Workspace, plan: Plan) -> str:
    """A sentence on the branches of a plan that are there; empty where none is."""
    there = [item for item in plan.branches if item.branch in workspace.session(item.database).branches()]
    listed = ", ".join(f"{item.database}: {item.branch}" for item in there)
    names = dict.fromkeys(f"`doltflow backtest --remove {quote(item.branch)}`" for item in there)
    return f"What it had written stays: {listed}. {' and '.join(names)} removes it." if there else ""


def _verdicts(workspace: Workspace, plan: Plan, new: Run) -> list[TableVerdict]:
    found = []
    writes = [access for access in new.accesses if access.kind == "write"]
    for branch in plan.branches:
        session = workspace.session(branch.database)
        now = session.branch_head(branch.branch)
        found += [compare_table(session, table, recorded, now) for table, recorded in branch.made]
        written = {table for write in writes if write.database == branch.database for table in write.tables or ()}
        known = {table.casefold() for table, _ in branch.made}
        others = sorted(table for table in written if table.casefold() not in known)
        # Nothing was recorded of them: what the write did to the table is told.
        found += [replace(compare_table(session, name, branch.commit, now), verdict="unrecorded") for name in others]
    return found


def _reasons_of_tables(
    workspace: Workspace, plan: Plan, different: list[TableVerdict], *, is_explained: bool
) -> Iterator[str]:
    """Who wrote the tables that differ while the recorded run wrote them; what not even that explains."""
    branches = {branch.database: branch for branch in plan.branches}
    unexplained = []
    for table in different:
        name, others = f"`{table.database}/{table.table}`", []
        is_told = _is_replaced(workspace, table) and (table.added or table.removed or table.modified)
        if table.verdict != "unrecorded" and not is_told:
            others = written_between(workspace, plan.run, branches[table.database], table.table, table.recorded)
        for commit in others:
            who = commit.run.pathspec.run if commit.run is not None else commit.author
            yield f"data: {name} was also written by {who} (commit {commit.hash}) between this run's writes."
        if not others:
            unexplained.append(name)
    if unexplained and not is_explained:
        names = ", ".join(unexplained)
        yield f"not deterministic: {names}. Code, environment, parameters and data are the same."


def _is_replaced(workspace: Workspace, table: TableVerdict) -> bool:
    """Whether the recorded run wrote all rows of a table when it last wrote it, so that nobody else's were left."""
    commit = workspace.find_commit(table.database, table.recorded)
    writes = commit.run.writes if commit is not None and commit.run is not None else ()
    modes = [write.mode for write in writes if write.table.casefold() == table.table.casefold()]
    return modes[-1:] == ["replace"]


def _reasons(
    recorded: Run, new: Run, code: CodeFound, broken: tuple[str, ...], given: tuple[tuple[str, str], ...]
) -> list[str]:
    """What is not the same about the two runs, each with what kind of reason it is."""
    reasons = [f"code: {name} has changed." for name in code.changed or ()]
    if code.changed is None:
        reasons.append("code: whether it is the same cannot be told, as the run has not recorded its source.")
    changes = environment_changes(recorded, new)
    reasons += [f"environment: {name} was {before} and is {now}." for name, before, now in changes]
    reasons += [f"parameter: `{name}` was set to {value}." for name, value in given]
    if broken:
        reasons.append("data: the replay did not read what the recorded run had read.")
    return reasons
