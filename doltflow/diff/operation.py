"""`diff`: what changed between the outputs of two runs, and why."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from doltflow.compare.asked import Asked
from doltflow.compare.tolerance import Tolerance
from doltflow.diff.result import DiffResult
from doltflow.errors import QueryError, UsageError
from doltflow.sources.dolt.arrow import load
from doltflow.sql import check_predicate, is_aggregate
from doltflow.workspace import Workspace, load_settings, open_workspace
from doltflow.workspace.ends import End, begin_end, find_end

LIMIT = 10
Tell = Callable[[str], None]


def diff(
    a: str,
    b: str,
    *,
    tables: Sequence[str] = (),
    where: str | None = None,
    columns: Sequence[str] = (),
    tolerance: str | None = None,
    limit: int = LIMIT,
    why: bool = True,
    counted: bool = True,
    walked: bool = True,
    attribute: bool = False,
    python: str | None = None,
    folder: Path | None = None,
    tell: Tell = lambda line: None,
    log_line: Tell | None = None,
) -> DiffResult:
    """What changed from one end to the other, and why.

    Args:
        a: The one end: a run as `Flow/run_id`, `Flow/latest`, `Flow/latest~1`, a bare run id, or a step or task of it;
            `DATABASE@REF` with a commit, tag, branch or date; or a branch, such as that of a backtest.
        b: The other end, seen from which rows were added, removed or modified.
        tables: Only these tables, by name or `database/table`.
        where: A predicate in SQL that a row must fulfil at one end at least.
        columns: Only these columns are compared.
        tolerance: What is called equal: `0.01`, or `1%` of the earlier number.
        limit: So many rows of each table are in its sample.
        why: Whether to look for causes.
        counted: Whether statistics and samples are wanted beside the counts.
        walked: Whether the tables are to be compared now; without it only their schemas are, and `rows` does the rest.
        attribute: Whether to run the first run again with the second one's data, code and parameters, each by itself.
        python: The interpreter for that; this one without it.
        folder: Where to look for databases and for Metaflow's store; the current folder without it.
        tell: Called with a line for each step of such a run that begins or ends.
        log_line: Called with each line that the flow prints, in place of those on its steps.

    Raises:
        UsageError, QueryError: The tolerance, the limit or the predicate is none.
        RunNotFoundError, AmbiguousRunError, DatabaseNotFoundError, RefNotFoundError, TableNotFoundError,
            ColumnNotFoundError: As they say.
        NoOutputError, NothingInCommonError: A run wrote no table, or both wrote none of the same name.
        ToleranceError: There is no number that it could be about.
        NotReplayableError, FlowFileError, StoreNotFoundError, RerunFailedError: With `attribute`, as they say.
    """
    if limit < 0:
        raise UsageError(f"The limit is {limit}.", "It is 0 or more.")
    if where is not None:
        check_predicate(where)
        if is_aggregate(where):
            raise QueryError(f"The predicate `{where}` is about a whole table.", "Give one about each of its rows.")
    asked = Asked(where, tuple(columns), Tolerance.parse(tolerance) if tolerance is not None else None)
    with open_workspace(load_settings(folder), None, folder) as workspace:
        for text in (a, b):
            begin_end(workspace, text)
        load()  # While the servers start.
        from doltflow.diff.tables import tables_of

        ends = find_end(workspace, a), find_end(workspace, b)
        walked = walked or attribute
        found = tables_of(workspace, ends, tables, asked, limit, counted=counted, walked=walked)
        result = DiffResult(ends[0].name, ends[1].name, found, (), "", asked)
        result = replace(result, summary="identical" if result.identical else "differs")
        if why or attribute:
            result = _explained(workspace, result, ends)
        if attribute:
            from doltflow.diff.attribution import explained_by

            explained, unexplained = explained_by(
                workspace, result.tables, result.causes, asked, python or sys.executable, tell, log_line
            )
            result = replace(result, explained=tuple(explained), unexplained=tuple(unexplained))
        return replace(result, warnings=workspace.warnings)


def _explained(workspace: Workspace, result: DiffResult, ends: tuple[End, End]) -> DiffResult:
    """The result with the causes, which are read only where they are asked for: it takes Metaflow's client."""
    from doltflow.diff.why import causes_of, sentence, with_makers

    result = replace(result, tables=tuple(with_makers(workspace, table) for table in result.tables))
    result = replace(result, causes=tuple(causes_of(workspace, result)))
    return replace(result, summary=sentence(result, ends))


diff_runs = diff
"""`diff` by the name under which the package exports it, where it stands beside much else."""
