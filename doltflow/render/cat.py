"""What `doltflow cat` answers."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from doltflow.render.accesses import version_name
from doltflow.render.rows import csv_rows, json_rows, parquet_rows
from doltflow.render.text import count, safe

if TYPE_CHECKING:
    from pathlib import Path

    from doltflow.cat import CatResult
    from doltflow.lineage import Resolved

CatOutput = Literal["csv", "parquet", "jsonl"]
_DONE = {"read": "read", "write": "wrote"}


def cat_note(result: "CatResult") -> str:
    """Which version of the table it is, and whether the run that was asked for had others."""
    name = version_name(result.database, result.table, result.commit)
    if result.taken is None:
        return f"{name}."
    said = f"{name}, as {_who(result.taken)} it."
    if not result.others:
        return said
    others = ", ".join(f"{_who(other)} it at {safe(other.version.commit)}" for other in result.others)
    return f"{said} Another version than that: {others}."


def _who(item: "Resolved") -> str:
    return f"{safe(item.access.pathspec)} {_DONE[item.access.kind]}"


def cat_answer(result: "CatResult", output: CatOutput, *, shown: bool) -> Iterator[bytes | str]:
    """The rows, piece by piece.

    Args:
        result: The rows.
        output: Their form.
        shown: Whether a terminal shows them, which what they hold must not steer; else each byte is as it should be.
    """
    match output:
        case "parquet":
            yield from parquet_rows(result.rows)
        case "csv" if shown:
            yield from (safe(piece, lines=True) for piece in csv_rows(result.rows))
        case "csv":
            yield from (piece.encode() for piece in csv_rows(result.rows))
        case "jsonl":
            yield from (piece.encode() for piece in json_rows(result.rows))


def saved_note(result: "CatResult", file: "Path") -> str:
    """What was written where."""
    name = version_name(result.database, result.table, result.commit)
    return f"Wrote {count(result.rows.num_rows, 'row')} of {name} to {safe(str(file))}."
