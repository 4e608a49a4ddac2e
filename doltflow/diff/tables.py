"""The tables of two ends, compared."""

from collections.abc import Sequence
from dataclasses import replace

from doltflow.compare.asked import Asked
from doltflow.compare.changed import Comparison
from doltflow.compare.summary import TableDifference, summarise
from doltflow.compare.versions import comparison
from doltflow.diff.pairs import chosen, pairs_of
from doltflow.diff.result import DiffTable
from doltflow.errors import BadValueError, ColumnNotFoundError, ToleranceError, nearest
from doltflow.workspace import Workspace
from doltflow.workspace.ends import End


def tables_of(
    workspace: Workspace,
    ends: tuple[End, End],
    names: Sequence[str],
    asked: Asked,
    limit: int,
    *,
    counted: bool,
    walked: bool,
) -> tuple[DiffTable, ...]:
    """The tables of two ends, each with how it differs.

    Args:
        workspace: With the databases.
        ends: The ends.
        names: Only these tables; all without names.
        asked: What of the difference is meant.
        limit: So many rows of each table are in its sample.
        counted: Whether statistics and samples are wanted beside the counts.
        walked: Whether the tables are to be compared now.
    """
    pairs = chosen(pairs_of(workspace, *ends), names)
    compared = [
        replace(
            comparison(*pair, asked, lambda version: workspace.session(version.database)),
            is_unwritten=any(version is None and end.kind == "run" for version, end in zip(pair, ends, strict=True)),
        )
        for pair in pairs
    ]
    _check_columns(compared, asked)
    for of in compared:
        _check_where(of)
    found = []
    for (before, after), of in zip(pairs, compared, strict=True):
        known = after or before
        if known is not None:
            difference = _difference(of, limit, counted=counted) if walked else None
            changes = () if of.is_identical else of.schema_changes
            place = (known.database, known.table, before, after)
            found.append(DiffTable(*place, of.is_identical, of.is_unwritten, changes, difference))
    return tuple(found)


def _check_columns(compared: Sequence[Comparison], asked: Asked) -> None:
    """Makes sure that there is what is asked for: the columns, and numbers for a tolerance.

    Raises:
        ColumnNotFoundError, ToleranceError: There is not.
    """
    for name in asked.columns:
        if not any(of.of.place(name) is not None for of in compared):
            alone = any(name.casefold() in {n.casefold() for n in of.of.names} for of in compared)
            known = {known for of in compared for known in of.of.names}
            found = "at one of both ends only" if alone else "in none of the tables compared"
            raise ColumnNotFoundError(f"The column `{name}` is {found}.", "" if alone else nearest(name, known))
    if asked.tolerance is None:
        return
    for of in compared:
        for pair in of.compared if asked.columns else ():
            if not of.is_number(pair):
                raise ToleranceError(
                    f"The column `{pair.name}` is {pair.after.type}, and a tolerance is for numbers.",
                    "Leave the column out of `--columns`.",
                )
    if not any(of.is_number(pair) for of in compared if of.key for pair in of.compared):
        raise ToleranceError(
            f"The tolerance {asked.tolerance.text} is for numbers, and no column that is compared is one.",
            "Only columns beside the key count, of tables that have a key.",
        )


def _check_where(of: Comparison) -> None:
    """Makes sure, before anything is answered, that the predicate can be applied to a table.

    Raises:
        ColumnNotFoundError, QueryError: It cannot.
    """
    if of.asked.where is None:
        return
    where = of.of.where(of.asked.where)
    for side, names in ((of.before, where.before), (of.after, where.after)):
        if side is None:
            continue
        try:
            side.session.check_where(side.definition.name, side.commit, where.text, side.others(names))
        except ColumnNotFoundError as error:
            message = f"The predicate `{where.text}` cannot be applied to `{side.definition.name}`. {error.message}"
            raise ColumnNotFoundError(message, "`--table` says which table is meant.") from error


def _difference(of: Comparison, limit: int, *, counted: bool) -> TableDifference:
    try:
        return summarise(of, limit, is_counted=counted)
    except BadValueError as error:
        raise BadValueError(error.message, "`--columns` leaves the column out.") from error
