"""A recorded run again with one thing of another run: what of the difference of their outputs that thing explains."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from doltflow.errors import BranchExistsError, NotReplayableError, RerunFailedError, StoreNotFoundError
from doltflow.model.pathspec import Pathspec
from doltflow.model.pins import DatabasePin
from doltflow.rerun.code import CodeFound, find_code
from doltflow.rerun.parameters import with_values
from doltflow.rerun.plan import Plan, plan_replay
from doltflow.rerun.proof import misread
from doltflow.rerun.run import Explicit, Tell, made_branches, rerun
from doltflow.workspace import Workspace, read_run

Swap = Literal["data", "code", "parameter"]
PREFIX = "attribute"
"""What the names of the branches begin with."""
_NAMES = {"data": "data", "code": "code", "parameter": "parameters"}


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """A recorded run again, with one thing taken from another run.

    Attributes:
        swap: What was taken.
        run: `Flow/run_id` of the new run.
        tables: Every table that one of the two runs wrote, as database, table and full hash of the commit that has it
            as the new run left it; where the new run did not write it, that is as it was before, if it was there at
            all. The commits are there as long as the context lasts.
        unhonoured: The reads that were not of the data that was to be read, one sentence each.
        log: The file that holds all that the flow printed.
    """

    swap: Swap
    run: str
    tables: tuple[tuple[str, str, str], ...]
    unhonoured: tuple[str, ...]
    log: Path


@dataclass(frozen=True, slots=True)
class _Plans:
    """What a counterfactual is made of.

    Attributes:
        origin, other: The plans of the two runs.
        data: The plan of the run whose data is read, with a branch wherever either run wrote.
        code: The plan of the run whose code is run.
    """

    origin: Plan
    other: Plan
    data: Plan
    code: Plan


@contextmanager
def counterfactual(
    workspace: Workspace,
    before: Pathspec,
    after: Pathspec,
    swap: Swap,
    *,
    python: str,
    tell: Tell,
    log_line: Tell | None = None,
) -> Iterator[Counterfactual]:
    """Runs a recorded run again with one thing of another run of its flow, on branches that are removed at the end.

    Args:
        workspace: Where to look, and where to run.
        before: The run that is repeated, with its recorded code.
        after: The run that one thing is taken from.
        swap: `data`: what was read, and where writes began. `code`: the recorded code; parameters that only it has
            come with it. `parameter`: the values of the parameters.
        python: The interpreter.
        tell: Called with a line on what is run, and for each step that begins or ends.
        log_line: Called with each line that the flow prints, in place of those on its steps.

    Raises:
        StoreNotFoundError: There is no Metaflow store, without which no flow can be repeated.
        NotReplayableError, FlowFileError: The runs are of two flows, one of them cannot be repeated, or its code is
            not to be had; nothing was made.
        RerunFailedError: The flow failed; the message names its log.
    """
    before, after = before.zoomed("run"), after.zoomed("run")
    _check(workspace, before, after)
    name = f"{PREFIX}/{before.flow}/{before.run_id}/{swap}"
    plans = _planned(workspace, before, after, swap, name)
    with ExitStack() as stack:
        code = stack.enter_context(find_code(workspace, plans.code.run, "recorded"))
        explicit = _parameters(workspace, plans, code, swap, python)
        stack.callback(workspace.refresh)  # The commits are gone with the branches.
        while True:
            try:
                made = made_branches(workspace, plans.data.branches, before.run, keep=False)
                stack.enter_context(made)
            except BranchExistsError:
                # Another one has just taken the number; nothing was made.
                plans = _planned(workspace, before, after, swap, name)
            else:
                break
        what = f"{before.run} with the {_NAMES[swap]} of {after.run}"
        tell(f"{before.flow}: {what}")
        try:
            done = rerun(
                workspace, before, plans.data.pins, code,
                step=_first_step(workspace, before), python=python, folder=workspace.place,
                user=plans.origin.run.user, tell=tell, explicit=explicit, log_line=log_line,
                code_of=after if swap == "code" else before, tags=(f"doltflow:{swap}-of={after.run}",),
            )  # fmt: skip
        except RerunFailedError as error:
            raise RerunFailedError(f"{what}: {error.message}", error.hint) from error
        workspace.refresh()
        new = read_run(workspace, done.run).run
        broken = tuple(misread(workspace, plans.data, plans.code.pins.reads, new))
        yield Counterfactual(swap, new.pathspec, tuple(_tables(workspace, plans)), broken, done.log)


def _check(workspace: Workspace, before: Pathspec, after: Pathspec) -> None:
    """Makes sure that a run can be repeated with something of another one.

    Raises:
        NotReplayableError: They are of two flows, or Metaflow's store does not know one.
        StoreNotFoundError: There is no store.
    """
    if before.flow != after.flow:
        raise NotReplayableError(
            f"`{before.run}` and `{after.run}` are runs of two flows, of which neither can run with what the other one "
            "is made of.",
            "Take two runs of one flow.",
        )
    if workspace.store is None:
        raise StoreNotFoundError(
            f"There is no Metaflow store in {workspace.place} or above it, and a rerun needs the recorded runs.",
            "Go to the folder where the flow ran.",
        )
    for run in (before, after):
        if run.run in workspace.others or not read_run(workspace, run).is_stored:
            raise NotReplayableError(
                f"`{run.run}` is not in Metaflow's store, so that it cannot be repeated.",
                "Go to the folder where it ran.",
            )


def _first_step(workspace: Workspace, run: Pathspec) -> str:
    return workspace.store.first_step(run) if workspace.store is not None else "start"


def _planned(workspace: Workspace, before: Pathspec, after: Pathspec, swap: Swap, name: str) -> _Plans:
    """The plans of both runs, all steps of which are to run, and what is taken from which."""
    origin, other = (plan_replay(workspace, run, is_whole=True, like=name) for run in (before, after))
    data = _on_data(other, origin, before) if swap == "data" else _on_data(origin, other, before)
    return _Plans(origin, other, data, other if swap == "code" else origin)


def _on_data(data: Plan, rest: Plan, origin: Pathspec) -> Plan:
    """The plan of a run as that of a rerun of another one, which may write wherever either of the two wrote."""
    written = {branch.database for branch in data.branches}
    pins = {pin.database: pin for pin in data.pins.databases}
    branches = list(data.branches)
    for branch in rest.branches:
        if branch.database in written:
            continue
        read = pins.get(branch.database)
        # Of the data's own time where that is known.
        base = read.commit if read is not None and read.commit is not None else branch.commit
        branches.append(replace(branch, commit=base, made=()))
        folder = next(pin.folder for pin in rest.pins.databases if pin.database == branch.database)
        pins[branch.database] = DatabasePin(branch.database, folder, branch.branch)
    sent = replace(data.pins, of=origin.run, databases=tuple(pins[name] for name in sorted(pins)))
    return replace(data, branches=tuple(branches), pins=sent)


def _parameters(workspace: Workspace, plans: _Plans, code: CodeFound, swap: Swap, python: str) -> Explicit | None:
    """The parameters that are given one by one; None where code and parameters are those of the run itself."""
    if swap == "data":
        return None
    mine, others = plans.origin.run.parameters, plans.other.run.parameters
    # What the code declares and the one run did not have yet, or has no more, is as the other one had it.
    values = {**mine, **others} if swap == "parameter" else {**others, **mine}
    return with_values(code, values, python, workspace.place)


def _tables(workspace: Workspace, plans: _Plans) -> Iterator[tuple[str, str, str]]:
    """The tables that either run wrote, each with where it is as the new run left it."""
    heads = {made.database: workspace.session(made.database).branch_head(made.branch) for made in plans.data.branches}
    found: dict[tuple[str, str], str] = {}
    for branch in (*plans.origin.branches, *plans.other.branches):
        for table, _ in branch.made:
            found.setdefault((branch.database, table.casefold()), table)
    for (database, _), table in sorted(found.items()):
        yield database, table, heads[database]
