"""Keys of rows as single values."""

import pyarrow.compute as pc

from doltflow.compare.cells import joined
from doltflow.compare.changed import Changed


def keys_of(changed: Changed) -> list[bytes]:
    """The key of each row, from whichever side has the row."""
    columns = [both for both in changed.columns if both.name in changed.key]
    arrays = []
    for both in columns:
        sides = [
            changed.rows.column(f"{prefix}{column.name}").combine_chunks()
            for prefix, column in (("to_", both.after), ("from_", both.before))
            if column is not None
        ]
        same = [side if side.type == sides[0].type else side.cast(sides[0].type) for side in sides]
        arrays.append(pc.coalesce(*same))
    return list(joined(arrays).to_pylist())
