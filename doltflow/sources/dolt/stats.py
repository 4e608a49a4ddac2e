"""By how many rows two versions of a table differ."""

from dataclasses import dataclass

from doltflow.errors import DoltError
from doltflow.model.quoting import literal
from doltflow.sources.dolt.connection import Connection


@dataclass(frozen=True, slots=True)
class ChangedRows:
    """How many rows were added, removed and modified; of a table without a key Dolt knows of no modified ones."""

    added: int
    removed: int
    modified: int | None


def changed_rows(connection: Connection, table: str, from_commit: str, to_commit: str) -> ChangedRows | None:
    """By how many rows a table differs between two commits; None where Dolt cannot tell: the primary key changed."""
    connection.use()
    # Dolt takes nothing but literals here.
    source = f"dolt_diff_stat({literal(from_commit)}, {literal(to_commit)}, {literal(table)})"
    try:
        rows = connection.rows(f"select rows_added, rows_deleted, rows_modified from {source}")
    except DoltError as error:
        if "primary key" in error.message:
            return None
        raise
    if not rows:  # Neither has a row, or only the schema differs.
        return ChangedRows(0, 0, 0)
    added, removed, modified = rows[0]
    return ChangedRows(int(added), int(removed), None if modified is None else int(modified))


def is_reshaped(connection: Connection, table: str, from_commit: str, to_commit: str) -> bool:
    """Whether the schema of a table, which is there at both commits, differs between them."""
    connection.use()
    # Dolt takes nothing but literals here.
    source = f"dolt_schema_diff({literal(from_commit)}, {literal(to_commit)}, {literal(table)})"
    return bool(connection.rows(f"select to_table_name from {source}"))
