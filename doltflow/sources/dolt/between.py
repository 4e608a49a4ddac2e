"""The rows of a table that differ between two commits, as something to select from."""

from doltflow.model.quoting import literal, quote


def between(before: str, after: str, table: str, name: str = "d") -> str:
    """What stands behind FROM; Dolt takes nothing but literals there.

    Args:
        before: The one commit.
        after: The other one. Where a table's name begins with `-`, the connection must be at a commit that has it.
        table: The table's name.
        name: What the rows are called in the query.
    """
    if table.startswith("-"):  # The function would take it for an option, and has no way to say that it is none.
        ends = f"to_commit = {literal(after)} and from_commit = {literal(before)}"
        return f"(select * from {quote(f'dolt_commit_diff_{table}')} where {ends}) as {name}"
    return f"dolt_diff({literal(before)}, {literal(after)}, {literal(table)}) as {name}"
