"""Rows of a frame into a table, on the branch that the connection uses: in bulk where there are many."""

import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from errno import ENOSPC
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from doltflow.errors import FREE_SPACE, DiskFullError, DoltError, SchemaMismatchError
from doltflow.model.access import Mode
from doltflow.model.quoting import literal, quote
from doltflow.sources.dolt.column import Column
from doltflow.sources.dolt.connection import Connection
from doltflow.sources.dolt.write.frame import listed
from doltflow.sources.dolt.write.halves import HALVES_ROWS, can_be_halved, put_in_halves
from doltflow.sources.dolt.write.schema import Plan
from doltflow.sources.dolt.write.values import expression, loads_as_text, sql_text, unloadable, write_lines

LOAD_ROWS = 2_000


def fill(connection: Connection, made: Plan, mode: Mode, load_folder: Path | None) -> None:
    """Puts the rows of a plan into its table: beside those that are there, or over them where the mode is `update`.

    Args:
        connection: On the branch that is to be written.
        made: The plan; its statements have been executed.
        mode: `replace`, `update` or `append`; a replacement's table is empty by now.
        load_folder: Where the server may load files from, if it may.

    Raises:
        BadValueError: The table does not take a row.
    """
    values = _sorted(made)
    if load_folder is not None and _has_triggers(connection, made.table):
        load_folder = None  # Dolt's bulk load does not fire them.
    if made.joins:
        _join(connection, made, values, load_folder)
        return
    verb = "replace" if mode == "update" else "insert"
    connection.rows("start transaction")
    if mode == "replace":
        connection.rows(f"delete from {quote(made.table)}")
    if load_folder is not None and values.num_rows > HALVES_ROWS and can_be_halved(connection, made):
        connection.rows("commit")
        middle = values.num_rows // 2

        def put(on: Connection, second: bool) -> None:
            half = values.slice(middle) if second else values.slice(0, middle)
            _put(on, verb, made.table, made.columns, half, load_folder)

        put_in_halves(connection, put)
        return
    _put(connection, verb, made.table, made.columns, values, load_folder)
    connection.rows("commit")


def _has_triggers(connection: Connection, table: str) -> bool:
    return any(str(row[2]).lower() == table.lower() for row in connection.rows("show triggers"))


def _sorted(made: Plan) -> pa.Table:
    """The rows in the order of their key, in which Dolt writes them in half the time and space."""
    keys = [key.lower() for key in made.keys]
    mine = {name.lower(): number for number, name in enumerate(made.values.column_names)}
    places = [mine[key] for key in keys if key in mine]
    if not places:
        return made.values
    # By number: Arrow takes a dot in a column's name for a path.
    columns = pa.table({str(place): made.values.column(place) for place in places})
    order = pc.sort_indices(columns, sort_keys=[(str(place), "ascending") for place in places])
    return made.values.take(order)


def _put(
    connection: Connection,
    verb: str,
    table: str,
    columns: Sequence[Column],
    values: pa.Table,
    load_folder: Path | None,
) -> None:
    texts = [sql_text(array, column) for array, column in zip(values.columns, columns, strict=True)]
    if load_folder is None or values.num_rows <= LOAD_ROWS:
        _insert(connection, verb, table, columns, texts)
        return
    mask = unloadable(texts)
    if mask is not None:
        _insert(connection, verb, table, columns, [text.filter(mask) for text in texts])
        texts = [text.filter(pc.invert(mask)) for text in texts]
    with _file_in(load_folder) as (file, lines):
        try:
            with lines:
                write_lines(lines, texts)
        except OSError as error:
            kind = DiskFullError if error.errno == ENOSPC else DoltError
            raise kind(f"The rows of `{table}` do not go into a file in {load_folder}: {error}.", FREE_SPACE) from error
        _load(connection, "replace" if verb == "replace" else "", table, columns, file)


@contextmanager
def _file_in(load_folder: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """A new file, open to be written, in a folder that is there only while some writer has a file in it."""
    file = load_folder / f"{os.getpid()}-{uuid.uuid4().hex}.tsv"
    while True:
        load_folder.mkdir(mode=0o700, exist_ok=True)
        with suppress(FileNotFoundError):  # Another writer has just removed the folder.
            lines = file.open("xb")
            break
    try:
        yield file, lines
    finally:
        lines.close()
        file.unlink(missing_ok=True)
        with suppress(OSError):  # Another writer has a file in it.
            load_folder.rmdir()


def _load(connection: Connection, replace: str, table: str, columns: Sequence[Column], file: Path) -> None:
    names, sets = [], []
    for number, column in enumerate(columns):
        if loads_as_text(column):
            names.append(quote(column.name))
        else:
            names.append(f"@v{number}")
            # A variable holds the text NULL for what is NULL in the file.
            text = f"nullif(@v{number}, 'NULL')"
            sets.append(f"{quote(column.name)} = {expression(column, text)}")
    connection.rows(
        f"load data infile {literal(str(file))} {replace} into table {quote(table)} "
        r"character set utf8mb4 fields terminated by '\t' escaped by '\\' lines terminated by '\n' "
        f"({', '.join(names)}){' set ' if sets else ''}{', '.join(sets)}"
    )


def _insert(
    connection: Connection, verb: str, table: str, columns: Sequence[Column], texts: Sequence[pa.ChunkedArray]
) -> None:
    names = ", ".join(quote(column.name) for column in columns)
    marks = ", ".join(expression(column, "%s") for column in columns)
    rows = zip(*(text.to_pylist() for text in texts), strict=True)
    connection.insert(f"{verb} into {quote(table)} ({names}) values ", f"({marks})", rows)


def _join(connection: Connection, made: Plan, values: pa.Table, load_folder: Path | None) -> None:
    """Updates rows by key and inserts the new ones, by way of a table that is gone afterwards.

    REPLACE would lose the columns that the frame does not have, and both it and ON DUPLICATE KEY UPDATE would change
    another row where a value of a unique index is already there.
    """
    work = f"_doltflow_{uuid.uuid4().hex}"
    keys = [column for column in made.columns if column.name.lower() in {key.lower() for key in made.keys}]
    lines = [_definition(column) for column in made.columns]
    lines.append(f"PRIMARY KEY ({', '.join(quote(column.name) for column in keys)})")
    connection.rows(f"create table {quote(work)} ({', '.join(lines)})")
    _put(connection, "insert", work, made.columns, values, load_folder)
    target, source = quote(made.table), quote(work)
    same = " and ".join(f"{target}.{quote(key.name)} = {source}.{quote(key.name)}" for key in keys)
    names = [quote(column.name) for column in made.columns]
    sets = [f"{target}.{name} = {source}.{name}" for name in names if name not in {quote(key.name) for key in keys}]
    if sets:
        connection.rows(f"update {target} join {source} on {same} set {', '.join(sets)}")
    new = f"from {source} left join {target} on {same} where {target}.{quote(keys[0].name)} is null"
    count = int(connection.value(f"select count(*) {new}"))
    if count and made.required:
        raise SchemaMismatchError(
            f"{count:,} row{'' if count == 1 else 's'} of the frame {'is' if count == 1 else 'are'} new to the table "
            f"`{made.table}`, and the frame lacks {listed(made.required)}, which it requires (NOT NULL, no default)."
        )
    if count:
        picked = ", ".join(f"{source}.{name}" for name in names)
        connection.rows(f"insert into {target} ({', '.join(names)}) select {picked} {new}")
    connection.rows(f"drop table {source}")


def _definition(column: Column) -> str:
    return f"{quote(column.name)} {column.type}" + (f" COLLATE {column.collation}" if column.folds else "")
