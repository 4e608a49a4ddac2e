"""The rows in which two versions of a table differ, as they come: CSV, JSON lines and a patch."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from doltflow.render.rows import csv_rows, json_values
from doltflow.render.text import escaped_json, safe

if TYPE_CHECKING:
    from doltflow.compare.changed import Changed
    from doltflow.diff import DiffResult, DiffTable


def csv_changes(pieces: "Iterable[Changed]", *, shown: bool) -> Iterator[str | bytes]:
    """Rows as CSV: `diff_type`, then each column as `from_` and `to_` before its name; no line where there is no row.

    Args:
        pieces: The rows.
        shown: Whether a terminal shows them, which what they hold must not steer; else each byte is as it should be.
    """
    for number, piece in enumerate(pieces):
        for text in csv_rows(piece.rows, header=not number):
            yield safe(text, lines=True) if shown else text.encode()


def json_changes(table: "DiffTable", pieces: "Iterable[Changed]") -> Iterator[str | bytes]:
    """Rows as JSON, one a line: `database`, `table`, `change`, `key`, `before`, `after` and the modified `columns`."""
    head = f'{{"database": {_text(table.database)}, "table": {_text(table.table)}, "change": '
    for piece in pieces:
        key = set(piece.key)
        sides = [
            [(_text(b.name), b.name in key, _text(b.before.name), _cells(piece, f"from_{b.before.name}"))
             for b in piece.columns if b.before is not None],
            [(_text(b.name), b.name in key, _text(b.after.name), _cells(piece, f"to_{b.after.name}"))
             for b in piece.columns if b.after is not None],
        ]  # fmt: skip
        flags = {name: mask.to_pylist() for name, mask in piece.cells.items()}
        lines = []
        for row, change in enumerate(piece.rows.column(0).to_pylist()):
            own = sides[0] if change == "removed" else sides[1]
            keys = ", ".join(f"{name}: {cells[row]}" for name, is_key, _, cells in own if is_key)
            before, after = (
                "null" if change == gone else
                f"{{{', '.join(f'{name}: {cells[row]}' for _, is_key, name, cells in side if not is_key)}}}"
                for gone, side in (("added", sides[0]), ("removed", sides[1]))
            )  # fmt: skip
            columns = json.dumps([name for name, flag in flags.items() if flag[row]], ensure_ascii=False)
            lines.append(
                f'{head}"{change}", "key": {{{keys}}}, "before": {before}, "after": {after}, "columns": {columns}}}\n'
            )
        yield escaped_json("".join(lines)).encode()


def patch_lines(result: "DiffResult", tables: "Sequence[DiffTable]", *, shown: bool) -> Iterator[str | bytes]:
    """A patch, with a comment before what is about each table.

    Args:
        result: The ends.
        tables: The tables that differ.
        shown: Whether a terminal shows it.
    """
    for table in tables:
        name = f"{table.database}/{table.table}"
        # Dolt's own program looks for quotes and semicolons in comments too.
        said = re.sub("[`'\";]", "", safe(f"{name}: from {result.before} to {result.after}"))
        yield _line(f"-- {said}", shown=shown)
        for statement in result.patch(name):
            yield _line(statement, shown=shown)


def _line(text: str, *, shown: bool) -> str | bytes:
    return f"{safe(text, lines=True)}\n" if shown else f"{text}\n".encode()


def _cells(piece: "Changed", name: str) -> list[str]:
    return list(json_values(piece.rows.column(name).combine_chunks()))


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
