"""Tables that differ and that no two runs made: who changed them in between."""

from collections.abc import Sequence

from doltflow.causes.cause import Causes
from doltflow.causes.data import TableCauses
from doltflow.causes.inputs import Seen
from doltflow.model.table import TableVersion
from doltflow.sources.dolt.stats import ChangedRows
from doltflow.workspace import Workspace


def changes_of_tables(
    workspace: Workspace,
    pairs: Sequence[tuple[TableVersion, TableVersion, ChangedRows | None]],
    before: str,
    after: str,
) -> Causes:
    """The commits that lead from one version of each table to the other one.

    Args:
        workspace: Where the databases are.
        pairs: The versions, whose contents differ, at any commit that has them, and by how many rows, where that is
            known.
        before: What the one end is called.
        after: What the other end is called.
    """
    comparison = TableCauses(workspace)
    for one, other, rows in pairs:
        comparison.compare([Seen(one, "before")], [Seen(other, "after")], rows)
    return Causes(before, after, tuple(comparison.causes), (), tuple(("data", why) for why in comparison.unknown), True)
