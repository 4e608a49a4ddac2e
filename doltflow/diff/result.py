"""What `diff` returns: frozen, and able to give its rows again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from doltflow.compare.asked import Asked
from doltflow.errors import AmbiguousDatabaseError, TableNotFoundError, nearest

if TYPE_CHECKING:  # Arrow takes a while to import, and a database's server can start meanwhile.
    import pyarrow as pa

    from doltflow.causes import Causes, Kind
    from doltflow.compare.changed import Changed
    from doltflow.compare.schema import SchemaChange
    from doltflow.compare.summary import TableDifference
    from doltflow.compare.versions import Version


@dataclass(frozen=True, slots=True)
class DiffTable:
    """A table at both ends.

    Attributes:
        database, table: The table, by its later place where it has two.
        before, after: Its versions; None at an end that did not write it or does not have it.
        is_same: Whether their content hashes are equal, and their names.
        is_unwritten: Whether one of them is missing as a run did not write it, rather than that the table is gone.
        schema_changes: What has changed in its declaration.
        difference: How they differ; None where only the rows were asked for.
    """

    database: str
    table: str
    before: "Version | None"
    after: "Version | None"
    is_same: bool
    is_unwritten: bool = False
    schema_changes: "tuple[SchemaChange, ...]" = ()
    difference: "TableDifference | None" = None

    @property
    def is_identical(self) -> bool:
        """Whether nothing that was asked for differs; where only the rows were, whether the contents are equal."""
        return self.is_same if self.difference is None else not self.difference.is_different


@dataclass(frozen=True, slots=True)
class Explained:
    """How much of a table's difference one thing explains by itself: the first run again, with that of the second.

    Attributes:
        kind: What was taken from the second run: `data`, `code` or `parameter`; None where nothing is known to differ,
            and the first run was repeated as it was.
        before, after: The two runs, `Flow/run_id`.
        run: The new run.
        database, table: The table.
        rows: How many rows differ between the two runs; of a table whose rows cannot be told apart, the larger number
            of those that are added and removed.
        explained: How many of them the new run has just as the second run has them.
        left: How many rows of the new run differ from the second run's, whether they did before or not.
        apart: How many rows of the new run differ from the first run's.
        unhonoured: What is wrong about the new run, one sentence each: reads that were not of the data that was to be
            read, and that it did not write the table.
        log: The file that holds all that the flow printed.
    """

    kind: "Kind | None"
    before: str
    after: str
    run: str
    database: str
    table: str
    rows: int
    explained: int
    left: int
    apart: int
    unhonoured: tuple[str, ...]
    log: Path


@dataclass(frozen=True, slots=True)
class DiffResult:
    """What differs between two ends, and why.

    Attributes:
        before, after: The ends: `Flow/run_id`, `database@ref` or a branch.
        tables: Each table that either wrote; for two databases at a ref, each that they have.
        causes: What is not the same about the runs that made the tables, once for each pair of runs.
        summary: All of it in a sentence.
        asked: What of the difference is meant.
        explained: What each cause explains by itself, where that was asked for.
        unexplained: Of each table how many rows no cause explains by itself; none where all are explained.
        warnings: What was missing, one sentence each.
    """

    before: str
    after: str
    tables: tuple[DiffTable, ...]
    causes: "tuple[Causes, ...]"
    summary: str
    asked: Asked = field(default_factory=Asked)
    explained: tuple[Explained, ...] = ()
    unexplained: tuple[tuple[str, str, int], ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def identical(self) -> bool:
        """Whether nothing that was asked for differs."""
        return all(table.is_identical for table in self.tables)

    def table(self, name: str | None = None) -> DiffTable:
        """The table of a name, also `database/table`; the only one without it.

        Raises:
            TableNotFoundError: There is none.
            AmbiguousDatabaseError: There are several.
        """
        return _one_of(self.tables, name)

    def rows(self, table: str | None = None) -> "Iterator[pa.RecordBatch]":
        """The rows of a table that differ, a batch at a time, in the order of its key; the databases are opened for it.

        Args:
            table: Its name, or `database/table`; the only one without it.

        Returns:
            Record batches with the column `diff_type` (`added`, `removed` or `modified`) and, for each column of the
            table, `from_` and `to_` before its name, NULL where the row is not there. TIMEs are durations, BOOLEANs
            and BITs integers.

        Raises:
            TableNotFoundError, AmbiguousDatabaseError: As for `table`.
        """
        for changed in self.changed(self.table(table)):
            yield from changed.rows.to_batches()

    def patch(self, table: str | None = None) -> Iterator[str]:
        """The statements that make the later version of a table of the earlier one, row for row and column for column.

        They are about the whole table, whatever was asked for.

        Args:
            table: Its name, or `database/table`; the only one without it.

        Raises:
            TableNotFoundError, AmbiguousDatabaseError: As for `table`.
        """
        from doltflow.compare.patch import patch
        from doltflow.compare.versions import reopened

        found = self.table(table)
        with reopened(found.before, found.after, Asked()) as of:
            yield from patch(of)

    def changed(self, table: DiffTable) -> "Iterator[Changed]":
        """The rows of a table that differ, with the cells in which they do; the databases are opened for it."""
        from doltflow.compare.versions import reopened

        with reopened(table.before, table.after, self.asked) as of:
            yield from of.changed()


def _one_of(tables: Sequence[DiffTable], name: str | None) -> DiffTable:
    folded = name.casefold() if name is not None else None
    found = [t for t in tables if folded in (None, t.table.casefold(), f"{t.database}/{t.table}".casefold())]
    names = [f"{table.database}/{table.table}" for table in tables]
    if not found:
        raise TableNotFoundError(
            f"There is no table `{name}` among those that are compared.", nearest(str(name), names)
        )
    if len(found) > 1:
        listed = ", ".join(f"`{table.database}/{table.table}`" for table in found)
        raise AmbiguousDatabaseError(f"Several tables are compared: {listed}.", "Say which one.")
    return found[0]
