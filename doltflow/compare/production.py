"""A table of a backtest against the same of production: the rows that differ, and every numeric column."""

from dataclasses import dataclass

from doltflow.compare import TableVerdict, compare_table
from doltflow.compare.figures import ColumnFigures, Figures, compared_columns, figures
from doltflow.sources.dolt import Session


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


def compare_with_production(
    session: Session, table: str, production: tuple[str, str] | None, backtest: tuple[str | None, str]
) -> BacktestTable:
    """Compares a table of a backtest with production's.

    Args:
        session: With the database.
        table: The table's name.
        production: Production's run and the commit by which it wrote the table; None where it has none.
        backtest: The run that wrote the table and a full hash of a commit that has it as the run left it.
    """
    run, at = backtest
    now = _figures(session, table, at)
    after = TableSide(run, at, now.rows if now is not None else None)
    if production is None:
        return BacktestTable(session.name, table, None, after, None, compared_columns(None, now))
    then = _figures(session, table, production[1])
    before = TableSide(*production, then.rows if then is not None else None)
    verdict = compare_table(session, table, production[1], at)
    return BacktestTable(session.name, table, before, after, verdict, compared_columns(then, now))


def _figures(session: Session, table: str, at: str) -> Figures | None:
    return figures(session, table, at) if session.table_hash(table, at) is not None else None
