"""Tables that differ and that no two runs made: who changed them in between."""

from collections.abc import Sequence

from doltflow.causes.cause import Causes, Kind
from doltflow.causes.data import TableCauses
from doltflow.causes.inputs import Seen
from doltflow.model.table import TableVersion
from doltflow.sources.dolt.stats import ChangedRows
from doltflow.workspace import Workspace


def changes_of_tables(
    workspace: Workspace,
    pairs: Sequence[tuple[TableVersion | None, TableVersion | None, ChangedRows | None]],
    before: str,
    after: str,
) -> Causes:
    """The commits that lead from one version of each table to the other one.

    Args:
        workspace: Where the databases are.
        pairs: The versions, whose contents differ, at any commit that has them, None where there is none; and by how
            many rows, where that is known.
        before: What the one end is called.
        after: What the other end is called.
    """
    comparison = TableCauses(workspace)
    for one, other, rows in pairs:
        # Their contents are known to differ: any two words stand for them.
        seen = [Seen(one, "before")] if one is not None else [], [Seen(other, "after")] if other is not None else []
        comparison.compare(seen[0], seen[1], rows)
    unknown: tuple[tuple[Kind, str], ...] = tuple(("data", why) for why in dict.fromkeys(comparison.unknown))
    return Causes(before, after, tuple(comparison.causes), (), unknown, by_hand=True)
