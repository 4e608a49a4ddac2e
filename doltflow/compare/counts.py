"""By how many rows two versions of a table differ, at the least cost."""

from doltflow.sources.dolt import Session
from doltflow.sources.dolt.stats import ChangedRows


def changed_rows(session: Session, table: str, before: str, after: str) -> ChangedRows | None:
    """By how many rows a table differs between two commits, in the columns that both have.

    Where the declaration is the same Dolt itself tells. Where it is not, to Dolt every row is another one, and the rows
    are looked at.

    Args:
        session: With the database.
        table: The table, as the database spells it.
        before: Full hash of the earlier commit.
        after: Full hash of the later commit.

    Returns:
        None where one of both does not have the table.
    """
    if not session.is_reshaped(table, before, after):
        return session.changed_rows(table, before, after)
    # Arrow takes a while to import.
    from doltflow.compare.changed import Comparison
    from doltflow.compare.merging import Side
    from doltflow.compare.summary import summarise

    old, new = (session.definition(table, commit) for commit in (before, after))
    if old is None or new is None:
        return None
    found = summarise(Comparison(Side(session, old, before), Side(session, new, after)), 0, is_counted=False)
    return ChangedRows(found.added, found.removed, found.modified)
