"""SQL as users write it: which tables, columns and revisions a query reads, and that it only reads.

The text is trusted in nothing. It is cut into tokens by Dolt's own rules, parsed by sqlglot, and refused wherever the
two could read it differently; functions and Dolt's own tables are allowed by name. What is accepted can neither write
nor reach outside, and reads nothing but the pinned commit and what the result names. Two things a text cannot tell:
what a view reads, and where a table lies that `dolt_nonlocal_tables` redirects.

Importing this package does not import sqlglot, which takes 0.2 seconds.
"""

from collections.abc import Mapping, Sequence

from doltflow.errors import QueryError
from doltflow.model.quoting import literal, quote
from doltflow.sql.reads import Output, QueryReads, RefRead

__all__ = [
    "Output",
    "QueryReads",
    "RefRead",
    "analyse",
    "check_predicate",
    "derive",
    "is_aggregate",
    "literal",
    "quote",
    "tables_of",
]


def analyse(query: str, schema: Mapping[str, Sequence[str]] | None = None) -> QueryReads:
    """What a query reads.

    Args:
        query: One SELECT, WITH … SELECT, VALUES or TABLE, in parentheses or not, with or without a `;` behind it.
        schema: The columns of the tables at the pinned commit, by which unqualified columns are told apart; `*` is not
            expanded.

    Returns:
        The tables, columns and revisions that it reads.

    Raises:
        QueryError: It is empty, cannot be parsed, is several statements, does more than read, could reach outside the
            pinned commit without saying where, or may be read differently by Dolt than by doltflow.
    """
    from doltflow.sql.analysis import analyse as run

    return run(query, schema)


def derive(
    query: str, schema: Mapping[str, Sequence[str]], views: Mapping[str, tuple[Output, ...] | None] | None = None
) -> tuple[Output, ...] | None:
    """What the columns of a query's result are computed from, never guessed.

    Args:
        query: A query that `analyse` takes.
        schema: The columns of the tables at the pinned commit, in order.
        views: The columns of the views there, in order, as this gives them.

    Returns:
        The result's columns, in order; None where not even their number can be told.
    """
    from doltflow.sql.analysis import derive as run

    return run(query, schema, views)


def tables_of(query: str) -> tuple[str, ...] | None:
    """The tables that a query of an earlier run read; None for one that doltflow would refuse."""
    try:
        return analyse(query).tables
    except QueryError:
        return None


def check_predicate(text: str) -> None:
    """Makes sure that a text is one condition about the columns of one table, fit to stand behind WHERE.

    Raises:
        QueryError: It is not, or it has a comment, a subquery, or a function that is not known to be harmless.
    """
    from doltflow.sql.analysis import check_predicate as run

    run(text)


def is_aggregate(text: str) -> bool:
    """Whether a predicate is about a whole table, as `avg(price) > 100` is, rather than about each of its rows.

    Raises:
        QueryError: It is no predicate, or it is about both.
    """
    from doltflow.sql.analysis import is_aggregate as run

    return run(text)
