"""What accesses amount to, in a few words: how many rows, which columns.

Accesses come as the graph holds them: the dictionaries that `Access.summary()` gives.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from doltflow.lineage_columns import columns_read
from doltflow.model.quoting import column_name
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
    names = columns_read(accesses, table).names
    return names_note(names, _MOST_COLUMNS) if names else ""


def names_note(names: Sequence[str] | None, most: int | None = None, *, is_all: bool = False) -> str:
    """`columns code, price`; and in words what is no list of names."""
    if is_all:
        return "all columns"
    if names is None:
        return "columns not known"
    shown = [safe(name) for name in names]
    more = f" and {len(shown) - most} more" if most is not None and len(shown) > most else ""
    return f"{'column' if len(shown) == 1 else 'columns'} {', '.join(shown[:most])}{more}" if shown else "no columns"


def columns_said(accesses: Sequence[Mapping[str, Any]], table: str) -> str:
    """Which columns reads took, whatever is known of it, and what the queries computed from them."""
    taken = columns_read(accesses, table)
    return " · ".join([names_note(taken.names, is_all=taken.is_all), *derived_notes(accesses, table)])


def derived_notes(accesses: Iterable[Mapping[str, Any]], table: str) -> list[str]:
    """`median ← price` for each result column that a query computed from columns of a table, or gave another name."""
    prefix = column_name(table, "").casefold()
    notes: dict[str, None] = {}
    for access in accesses:
        for name, sources in (access.get("derived") or {}).items():
            own = [source[len(prefix) :] for source in sources or () if source.casefold().startswith(prefix)]
            if own and own != [name]:
                notes[f"{safe(name)} ← {', '.join(map(safe, own))}"] = None
    return list(notes)


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
