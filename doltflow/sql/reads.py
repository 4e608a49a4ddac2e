"""What a query reads, as records."""

from dataclasses import dataclass
from typing import Literal

from doltflow.model.access import Columns


@dataclass(frozen=True, slots=True)
class RefRead:
    """A table that is read at a revision which the query itself names.

    Attributes:
        table: The table as written. Where a function is given a whole commit, such as `dolt_log('main')`, the function.
        ref: The ref as written: a name, a hash, an expression such as `main~1`. A point in time is the SQL expression
            that gives it, such as `TIMESTAMP('2024-01-31')`, which is never a ref's name.
        database: The database, where a qualifier names one; None is the current one.
        kind: Named with `AS OF`, by a qualifier (`` `db/main`.t ``, `` `db@main`.t ``), or as a function's argument.
    """

    table: str
    ref: str
    database: str | None
    kind: Literal["as_of", "revision", "function"]


@dataclass(frozen=True, slots=True)
class QueryReads:
    """What a query reads.

    Attributes:
        tables: Tables of the current database that it reads at the pinned commit, sorted, each once, spelled as where
            it first names them. Dolt's own tables count as the table that they are about (`dolt_history_t` as `t`), or
            not at all. What looks like a table may be a view.
        columns: Their columns, in the same order; None where it reads all, or where nobody can tell which.
        refs: What it reads at revisions that it names itself, in the order of the text, each once. A table that is read
            only so is not among `tables`.
        databases: Other databases that it reads at no named revision, sorted: the default branch's working set there,
            even where the name is the current database's.
        whole: Those of the tables of which it certainly reads every column, as with `*`.
    """

    tables: tuple[str, ...] = ()
    columns: Columns = ()
    refs: tuple[RefRead, ...] = ()
    databases: tuple[str, ...] = ()
    whole: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Output:
    """A column of a query's result, or of a view.

    Attributes:
        name: What it is called; None where Dolt makes up a name, as of an expression without an alias.
        sources: The tables and columns that its values are computed from, sorted: none for a constant or `count(*)`.
            None where it cannot be told.
    """

    name: str | None
    sources: tuple[tuple[str, str], ...] | None = None
