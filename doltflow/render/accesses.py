"""What accesses amount to, in a few words: how many rows, which columns.

Accesses come as the graph holds them: the dictionaries that `Access.summary()` gives.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from doltflow.render.text import count, safe, short

_VERBS = {"append": "appended", "update": "updated"}
_MOST_COLUMNS = 6


def rows_note(accesses: Iterable[Mapping[str, Any]]) -> str:
    """`read 36 rows`, `wrote 1,234 rows`; empty where no row count is known."""
    groups: dict[str, list[int | None]] = {}
    for access in accesses:
        rows = access.get("rows")
        groups.setdefault(_verb(access), []).append(rows if isinstance(rows, int) else None)
    return ", ".join(_amount(verb, rows) for verb, rows in groups.items() if any(n is not None for n in rows))


def _verb(access: Mapping[str, Any]) -> str:
    if access.get("kind") == "write":
        return _VERBS.get(str(access.get("mode")), "wrote")
    tables = len(access.get("tables") or ())
    # The rows of a query over several tables are no table's rows.
    return "read" if tables <= 1 else f"query over {tables} tables gave"


def _amount(verb: str, rows: Sequence[int | None]) -> str:
    known = [number for number in rows if number is not None]
    if len(rows) > 1 and len(set(rows)) == 1:  # Tasks of a foreach that all read the same table.
        return f"{verb} {count(known[0], 'row')} {len(rows)} times"
    least = "at least " if len(known) < len(rows) else ""
    times = f" in {len(rows)} parts" if len(rows) > 1 else ""
    return f"{verb} {least}{count(sum(known), 'row')}{times}"


def columns_note(accesses: Iterable[Mapping[str, Any]], table: str) -> str:
    """`columns code, price`; empty where all columns were read, or it is not known which."""
    names: set[str] = set()
    for access in accesses:
        columns = access.get("columns")
        of_table = next((v for k, v in (columns or {}).items() if k.casefold() == table.casefold()), None)
        if of_table is None:
            return ""
        names.update(map(str, of_table))
    if not names:
        return ""
    shown = [safe(name) for name in sorted(names)]
    more = f" and {len(shown) - _MOST_COLUMNS} more" if len(shown) > _MOST_COLUMNS else ""
    return f"{'column' if len(shown) == 1 else 'columns'} {', '.join(shown[:_MOST_COLUMNS])}{more}"


def version_name(database: str, table: str, commit: str | None) -> str:
    """`database/table @ 9f8e7d6c`."""
    return f"{safe(database)}/{safe(table)} @ {short(commit)}"


def names_of(accesses: Iterable[Mapping[str, Any]]) -> list[str]:
    """The `database/table` that the accesses went to, each once."""
    names: dict[str, None] = {}
    for access in accesses:
        for table in access.get("tables") or ("?",):
            names[f"{safe(str(access.get('database')))}/{safe(table)}"] = None
    return list(names)
