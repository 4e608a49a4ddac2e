"""Pairs of versions of a table, drawn at random or declared, in one database, in two, and in a clone."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from conftest import dolt
from hypothesis import strategies as st
from test_values import LONGEST, texts
from writing import opened

from doltflow.compare.changed import Asked, Comparison
from doltflow.compare.merging import Side
from doltflow.compare.versions import Version, comparison
from doltflow.model.quoting import quote
from doltflow.sources.dolt import Database, Session

Row = dict[str, Any]
NUMBERS = ("double", "float", "decimal", "bigint", "unsigned", "boolean", "year", "bit")
ENUM = "enum('','a','b''c','x,y','NULL','é 😀')"
JSONS = ['{"a": 1}', "[]", '["NULL"]', '{"a": [1.5, null, "\\n\\"😀"]}', "null", "7", '"x"']
# No negative zero: that it is equal to zero, and yet another content, is a test of its own.
doubles = st.floats(allow_nan=False, allow_infinity=False).map(lambda number: number + 0.0)
singles = st.floats(-(2.0**126), 2.0**126, width=32).map(lambda number: number + 0.0)

KEYS: dict[str, dict[str, tuple[str, st.SearchStrategy[Any]]]] = {
    "int": {"k": ("int", st.integers(-9, 9))},
    "varchar": {"k": ("varchar(255)", texts)},
    "decimal": {"k": ("decimal(38,10)", st.integers(-(10**38) + 1, 10**38 - 1).map(lambda n: Decimal(f"{n}e-10")))},
    "date": {"k": ("date", st.dates())},
    "varbinary": {"k": ("varbinary(20)", st.binary(max_size=20))},
    "date, int": {"k": ("date", st.sampled_from([date(1, 1, 1), date(2020, 2, 29)])), "l": ("int", st.integers(-2, 2))},
    "varchar, bigint, varbinary": {
        "k": ("varchar(9)", st.sampled_from(["", "a", "A", "a ", "\\", "é"])),
        "l": ("bigint unsigned", st.sampled_from([0, 9, 10, 2**64 - 1])),
        "m": ("varbinary(3)", st.sampled_from([b"", b"\x00", b"\x1f", b"\\"])),
    },
    "none": {},
}
VALUES: dict[str, tuple[str, st.SearchStrategy[Any]]] = {
    "double": ("double", st.sampled_from([5e-324, 1e308, -1.7976931348623157e308, 0.1, 1.0]) | doubles),
    "float": ("float", st.sampled_from([0.0, 1.0, 1.5]) | singles),
    "decimal": (
        "decimal(38,10)",
        st.sampled_from([Decimal(n).scaleb(-10).quantize(Decimal("1e-10")) for n in (0, 1, 10**10, 2 * 10**10)])
        | st.integers(-(10**38) + 1, 10**38 - 1).map(lambda n: Decimal(f"{n}e-10")),
    ),
    "bigint": ("bigint", st.integers(-3, 3) | st.integers(-(2**63), 2**63 - 1)),
    "unsigned": ("bigint unsigned", st.sampled_from([0, 1, 2**64 - 1]) | st.integers(0, 2**64 - 1)),
    "varchar": ("varchar(255)", texts),
    "text": ("longtext", texts),
    "boolean": ("boolean", st.sampled_from([0, 1])),
    "date": ("date", st.dates()),
    "datetime": ("datetime(6)", st.datetimes().map(lambda moment: moment.replace(fold=0))),
    "time": ("time(6)", st.sampled_from([-LONGEST, LONGEST]) | st.timedeltas(-LONGEST, LONGEST)),
    "binary": ("longblob", st.sampled_from([b"", b"\x00", b"\xff\n"]) | st.binary(max_size=9)),
    "json": ("json", st.sampled_from(JSONS)),
    "year": ("year", st.sampled_from([0, 1901, 1999, 2155])),
    "bit": ("bit(64)", st.sampled_from([0, 1, 48, 2**64 - 1])),
    "enum": (ENUM, st.sampled_from(["", "a", "b'c", "x,y", "NULL", "é 😀"])),
}
TYPES = {name: kind for name, (kind, _) in VALUES.items()}


@dataclass(frozen=True)
class Pair:
    """Two versions of a table: the key's columns with their types, and the rows of both."""

    key: dict[str, str]
    before: list[Row]
    after: list[Row]


@st.composite
def pairs(draw: st.DrawFn, keys: Sequence[str] = tuple(KEYS)) -> Pair:
    """A version, and another one that rows were added to, removed from and modified in."""
    columns = KEYS[draw(st.sampled_from(keys))]
    cells = {name: st.none() | values for name, (_, values) in VALUES.items()}
    row = st.fixed_dictionaries({**{name: values for name, (_, values) in columns.items()}, **cells})
    rows = draw(
        st.lists(row, max_size=5, unique_by=(lambda row: tuple(row[name] for name in columns)) if columns else None)
    )
    before, after = [], []
    for one in rows:
        fate = draw(st.sampled_from(["modified", "kept", "added", "removed", "modified"]))
        copies = 1 if columns else draw(st.integers(1, 3))
        before += [one] * (copies if fate != "added" else 0)
        if fate == "modified":
            names = draw(st.lists(st.sampled_from(list(cells)), min_size=1, max_size=4, unique=True))
            after.append(one | {name: draw(cells[name]) for name in names})
            copies -= 1
        after += [one] * (copies if fate != "removed" else 0)
    return Pair({name: kind for name, (kind, _) in columns.items()}, before, after)


class Databases:
    """One database with all commits, a clone of it, and one for either version alone."""

    def __init__(self, both: Session, clone: Session, left: Session, right: Session) -> None:
        self.both, self.clone, self.left, self.right = both, clone, left, right
        self._numbers = count()

    def new_name(self) -> str:
        return f"table {next(self._numbers)}"

    def routes(self, pair: Pair, asked: Asked) -> dict[str, Comparison]:
        """The pair's comparison on every way that there is."""
        table = self.new_name()
        create = declared(table, {**pair.key, **TYPES}, tuple(pair.key))
        a, b = (self._stored(self.both, table, create, rows) for rows in (pair.before, pair.after))
        left = self._stored(self.left, table, create, pair.before)
        right = self._stored(self.right, table, create, pair.after)
        statement(self.both, "call dolt_push('origin', 'main')")
        statement(self.clone, "call dolt_fetch('origin')")
        sessions = {session.database.location: session for session in (self.both, self.clone)}
        versions = [
            Version("db", session.database.location, table, at) for session, at in ((self.both, a), (self.clone, b))
        ]
        return {
            "one database": between(self.both, table, a, b, asked),
            "a clone": comparison(*versions, asked, lambda version: sessions[version.location]),
            "two clones": Comparison(side(self.both, table, a), side(self.clone, table, b), asked),
            "two databases": Comparison(side(self.left, table, left), side(self.right, table, right), asked),
        }

    def _stored(self, session: Session, table: str, create: str, rows: Sequence[Row]) -> str:
        statement(session, create)
        statement(session, f"delete from {quote(table)}")
        insert(session, table, rows)
        return commit(session)


def declared(table: str, columns: Mapping[str, str], key: Sequence[str]) -> str:
    lines = [f"{quote(name)} {kind}" for name, kind in columns.items()]
    lines += [f"primary key ({', '.join(map(quote, key))})"] if key else []
    return f"create table if not exists {quote(table)} ({', '.join(lines)})"


def statement(session: Session, text: str) -> Any:
    session._connection.use("main")
    return session._connection.value(text.encode())


def insert(session: Session, table: str, rows: Sequence[Row]) -> None:
    if rows:
        names = list(rows[0])
        head = f"insert into {quote(table)} ({', '.join(map(quote, names))}) values "
        session._connection.use("main")
        session._connection.insert(
            head, f"({', '.join(['%s'] * len(names))})", [tuple(row[name] for name in names) for row in rows]
        )


def commit(session: Session, *statements: str) -> str:
    """The commit that statements make on the main branch."""
    for text in statements:
        statement(session, text)
    return str(statement(session, "call dolt_commit('-A', '--allow-empty', '-m', 'x', '--author', 'A <a@b.c>')"))


def side(session: Session, table: str, at: str) -> Side | None:
    found = session.definition(table, at)
    return None if found is None else Side(session, found, at)


def between(session: Session, table: str, before: str, after: str, asked: Asked | None = None) -> Comparison:
    """The comparison of two commits of one database."""
    return Comparison(side(session, table, before), side(session, table, after), asked or Asked())


@contextmanager
def databases(folder: Path) -> Iterator[Databases]:
    with ExitStack() as stack:
        both, left, right = (stack.enter_context(opened(folder / name)) for name in ("both", "left", "right"))
        remote = f"file://{folder / 'remote'}"
        (folder / "remote").mkdir()
        statement(both, f"call dolt_remote('add', 'origin', '{remote}')")
        statement(both, "call dolt_push('-u', 'origin', 'main')")
        (folder / "clone").mkdir()
        dolt(folder / "clone", "clone", remote, "db")
        clone = stack.enter_context(Database.at(folder / "clone" / "db").open())
        yield Databases(both, clone, left, right)


# Predicates, in SQL and in Python


@dataclass(frozen=True)
class Predicate:
    text: str
    columns: tuple[str, ...]
    holds: Callable[[Row], bool] = field(compare=False, repr=False)


def _is(name: str, test: Callable[[Any], bool]) -> Callable[[Row], bool]:
    return lambda row: row[name] is not None and test(row[name])


PREDICATES = [
    Predicate("`bigint` > 0", ("bigint",), _is("bigint", lambda value: value > 0)),
    Predicate("`varchar` is null", ("varchar",), lambda row: row["varchar"] is None),
    Predicate("`double` <= 1 or `year` = 1999", ("double", "year"), lambda row: _low(row) or row["year"] == 1999),
    Predicate("`DATE` >= '2000-01-01'", ("date",), _is("date", lambda value: value >= date(2000, 1, 1))),
    Predicate("`boolean`", ("boolean",), _is("boolean", bool)),
    Predicate("not `boolean`", ("boolean",), _is("boolean", lambda value: not value)),
    Predicate("false", (), lambda row: False),
    Predicate("true", (), lambda row: True),
]


def _low(row: Row) -> bool:
    return row["double"] is not None and row["double"] <= 1


# Rows to compare


def plain(row: Mapping[str, Any] | None, names: Sequence[str]) -> Row | None:
    """Values in one form, whether they were drawn or come from Dolt."""
    return None if row is None else {name: _plain(name, row[name]) for name in names}


def _plain(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name == "float":  # As it is printed: with just the digits that four bytes need.
        return float(str(np.float32(value)))
    if name == "json":
        return json.dumps(json.loads(value, parse_int=float), sort_keys=True)
    if isinstance(value, timedelta):
        sign, whole = ("-", -value) if value < timedelta(0) else ("", value)
        seconds, fraction = divmod(whole // timedelta(microseconds=1), 1_000_000)
        text = f"{sign}{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        return f"{text}.{fraction:06}" if fraction else text
    return value


def early(value: Any) -> bool:
    """Whether it is a moment that the bulk reader cannot read."""
    return isinstance(value, date | datetime) and value.year < 1000
