"""How much of a difference each cause explains: the first run again, with one thing of the second."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from doltflow.causes import Causes, Kind
from doltflow.compare.asked import Asked
from doltflow.compare.changed import Comparison
from doltflow.compare.keys import keys_of
from doltflow.compare.summary import summarise
from doltflow.compare.versions import Open, Version, comparison
from doltflow.diff.result import DiffTable, Explained
from doltflow.errors import NotReplayableError
from doltflow.model.pathspec import Pathspec
from doltflow.rerun.counterfactual import Counterfactual, Swap, counterfactual
from doltflow.rerun.run import Tell
from doltflow.workspace import Workspace, read_run
from doltflow.workspace.ends import written_by

_SWAPS: tuple[Swap, ...] = ("data", "code", "parameter")


def explained_by(
    workspace: Workspace,
    tables: Sequence[DiffTable],
    causes: Sequence[Causes],
    asked: Asked,
    python: str,
    tell: Tell,
    log_line: Tell | None = None,
) -> tuple[list[Explained], list[tuple[str, str, int]]]:
    """What each cause explains by itself, for each pair of runs and each table of theirs that differs.

    Where nothing is known to differ, the first run is repeated as it was: if it then gives something else, it is not
    deterministic.

    Args:
        workspace: Where the databases and Metaflow's store are.
        tables: The tables, with the runs that made their versions.
        causes: What differs between these runs.
        asked: What of the tables' difference is meant.
        python: The interpreter to run with.
        tell: Called with a line on what is run, and for each step that begins or ends.
        log_line: Called with each line that the flows print, in place of those on their steps.

    Returns:
        For each cause and table how much it explains; and the tables of which no cause explains all rows by itself,
        each with how many are left.

    Raises:
        NotReplayableError: The tables were not made by two runs of one flow, or one of these cannot be repeated.
        FlowFileError, StoreNotFoundError, RerunFailedError: As they say. No branch stays.
    """
    of_runs = [found for found in causes if not found.by_hand]
    if not of_runs:
        raise NotReplayableError(
            "No table that differs was made by two runs, so that there is nothing to run again.",
            "`--attribute` is for two runs, or for branches and commits to which runs wrote.",
        )
    explained: list[Explained] = []
    left: dict[tuple[str, str], set[bytes]] = {}
    for found in of_runs:
        ends = Pathspec.parse(found.before), Pathspec.parse(found.after)
        mine = [table for table in tables if not table.is_identical and _makers(table) == (found.before, found.after)]
        if ends[0] is None or ends[1] is None or not mine:
            continue
        differing = [_rows(comparison(table.before, table.after, asked, _opened(workspace))) for table in mine]
        for swap in _swaps(found):
            taken: Swap = swap or "data"
            with counterfactual(
                workspace, ends[0], ends[1], taken, python=python, tell=tell, log_line=log_line
            ) as done:
                written = set(_written(workspace, done.run))
                for table, was in zip(mine, differing, strict=True):
                    one, keys = _explained(workspace, found, table, was, done, asked, swap)
                    if (table.database, table.table.casefold()) not in written:
                        name = f"`{table.database}/{table.table}`"
                        one = replace(one, unhonoured=(*one.unhonoured, f"{done.run} did not write {name}."))
                    explained.append(one)
                    place = (table.database, table.table)
                    left[place] = left[place] & keys if place in left else keys
    return explained, [(*place, len(keys)) for place, keys in left.items() if keys]


def _makers(table: DiffTable) -> tuple[str | None, str | None]:
    before, after = table.before, table.after
    return before.run if before is not None else None, after.run if after is not None else None


def _swaps(found: Causes) -> Sequence[Swap | None]:
    kinds: set[Kind] = {cause.kind for cause in found.causes}
    return [swap for swap in _SWAPS if swap in kinds] or [None]


def _written(workspace: Workspace, run: str) -> Iterator[tuple[str, str]]:
    """The tables that a run wrote, folded."""
    pathspec = Pathspec.parse(run)
    if pathspec is not None:
        for output in written_by(workspace, read_run(workspace, pathspec), pathspec):
            yield output.database, output.table.casefold()


def _explained(
    workspace: Workspace,
    found: Causes,
    table: DiffTable,
    differing: tuple[int, set[bytes]],
    done: Counterfactual,
    asked: Asked,
    swap: Swap | None,
) -> tuple[Explained, set[bytes]]:
    """What a new run explains of a table's difference, and the keys of the rows that it does not explain."""
    session = _opened(workspace)
    last = table.after or table.before
    same = [
        Version(database, workspace.locations[database], name, commit, done.run)
        for database, name, commit in done.tables
        if last is not None and (database, name.casefold()) == (last.database, last.table.casefold())
    ]
    new = same[0] if same else None
    rows, was = differing
    left, still = _rows(comparison(new, table.after, asked, session))
    apart, _ = _rows(comparison(table.before, new, asked, session))
    explained = len(was - still) if was or still else max(0, rows - left)
    one = Explained(
        swap, found.before, found.after, done.run, table.database, table.table, rows, explained, left, apart,
        done.unhonoured, done.log,
    )  # fmt: skip
    return one, was & still


def _opened(workspace: Workspace) -> Open:
    return lambda version: workspace.session(version.database)


def _rows(of: Comparison) -> tuple[int, set[bytes]]:
    """How many rows differ, and the keys of those, where rows have one."""
    if of.before is None and of.after is None:
        return 0, set()
    if of.key:
        keys = {key for piece in of.changed() for key in keys_of(piece)}
        return len(keys), keys
    found = summarise(of, 0, is_counted=False)
    return max(found.added, found.removed), set()
