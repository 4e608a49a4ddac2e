"""A patch, applied by the dolt program itself, makes of the earlier version the later one, down to its content hash."""

from collections.abc import Iterator
from typing import Any

import pytest
from conftest import dolt, folder_of
from hypothesis import HealthCheck, Phase, given, settings
from pairs import KEYS, Databases, Pair, between, commit, databases, pairs, side, statement
from test_schema_changes import OWN, Case, made
from test_values import SPECIAL

from doltflow.compare.changed import Asked, Comparison
from doltflow.compare.literals import text_literal
from doltflow.compare.patch import patch
from doltflow.model.quoting import quote
from doltflow.sources.dolt import Session

SCRATCH = "scratch"
Content = tuple[str | None, str | None, list[str]]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    with databases(tmp_path_factory.mktemp("patches")) as found:
        yield found


@pytest.fixture(scope="module")
def session(places: Databases) -> Session:
    return places.both


def patched(of: Comparison, base: str) -> Content:
    """What becomes of a table on a scratch branch that begins at a commit with the earlier version."""
    there = of.before or of.after
    assert there is not None
    session = there.session
    statement(session, f"call dolt_branch('-f', '{SCRATCH}', '{base}')")
    dolt(
        folder_of(session),
        "--branch",
        SCRATCH,
        "sql",
        stdin="".join(f"{line}\n" for line in patch(of)),
    )
    return content(session, (of.after or there).definition.name, SCRATCH)


def content(session: Session, table: str, at: str) -> Content:
    """Of a table the content hash, the declaration and all rows, in an order of their own."""
    hash_ = session.table_hash(table, at)
    if hash_ is None:
        return None, None, []
    connection = session._connection
    connection.use(at)
    create = str(connection.rows(f"show create table {quote(table)}")[0][1])
    return hash_, create, sorted(map(repr, session.read(table, at).to_pylist()))


def wanted(of: Comparison) -> Content:
    if of.after is None:
        return None, None, []
    return content(of.after.session, of.after.definition.name, of.after.commit)


def check_both_ways(session: Session, case: Case) -> None:
    before, after = made(session, case)
    for one, other in ((before, after), (after, before)):
        of = between(session, "t", one, other)
        assert patched(of, one) == wanted(of)


# Declarations

DECLARATIONS = {
    "unique and rows": (
        "k int primary key, v int",
        "(1, 1), (2, 1)",
        ("update t set v = k", "create unique index u on t (v)"),
    ),
    "check and rows": (
        "k int primary key, v int",
        "(1, -1)",
        ("update t set v = 1", "alter table t add check (v > 0)"),
    ),
    "an index's column is renamed": (
        "k int primary key, v int, w int, key v (v), key w (w, v)",
        "(1, 1, 1)",
        ("alter table t rename column v to x",),
    ),
    "three columns pass their names on": (
        "k int primary key, a int, b int, c int",
        "(1, 1, 2, 3)",
        (
            "alter table t rename column a to x",
            "alter table t rename column b to a",
            "alter table t rename column c to b",
            "alter table t rename column x to c",
            "update t set a = 7",
        ),
    ),
    "collation of the table": (
        "k int primary key, v varchar(9)",
        "(1, 'a')",
        ("alter table t collate utf8mb4_0900_ai_ci",),
    ),
    "comments": (
        "k int primary key, v varchar(9), key i (v)",
        "(1, 'a')",
        (
            "alter table t modify v varchar(9) comment 'it''s; `v`'",
            "alter table t comment 'it''s = ; COLLATE=x'",
            "alter table t drop index i",
            "create index i on t (v) comment 'x'",
        ),
    ),
    "a column with a default among rows that change": (
        "k int primary key, v int",
        "(1, 1), (2, 2), (3, 3)",
        (
            "alter table t add column w double default 1.5",
            "update t set w = null where k = 1",
            "update t set v = 9 where k = 2",
        ),
    ),
    "a column that must have a value": (
        "k int primary key, v int",
        "(1, 1), (2, 2)",
        ("alter table t add column w varchar(9) not null", "update t set w = 'x' where k = 1"),
    ),
    "AUTO_INCREMENT": (
        "k int primary key auto_increment, v int",
        "(1, 1), (7, 7)",
        ("insert into t (v) values (8)", "delete from t where v = 8"),
    ),
    "AUTO_INCREMENT comes with its key": (
        "a int",
        "(7), (7), (1)",
        ("alter table t add column k int auto_increment primary key",),
    ),
    "AUTO_INCREMENT goes with its key": (
        "k int primary key auto_increment, v int not null",
        "(1, 1), (7, 7)",
        ("alter table t modify k int not null", "alter table t drop primary key", "alter table t add primary key (v)"),
    ),
    "names that must be quoted": (
        "`a ``b` int primary key, `order` int, key `x-y` (`order`)",
        "(1, 1), (7, 7)",
        ("alter table t rename column `order` to `c``d`", "alter table t add column `select` int"),
    ),
}


@pytest.mark.parametrize("name", OWN)
def test_a_change_of_the_declaration(session: Session, name: str) -> None:
    check_both_ways(session, OWN[name])


@pytest.mark.parametrize("name", DECLARATIONS)
def test_a_change_around_other_things(session: Session, name: str) -> None:
    columns, rows, then = DECLARATIONS[name]
    check_both_ways(session, Case((columns, rows), then, ()))


def test_a_column_that_comes_again_may_have_another_tag(session: Session) -> None:
    """The content hash is made with the tags that Dolt gives to columns when they are made, which nobody can ask for.

    It makes them of the name, the types of the columns that are there, and what there was before. Where a column comes
    among others than it came among at first, the same rows under the same declaration are what is promised.
    """
    then = (
        "alter table t drop index i",
        "alter table t drop column v",
        "alter table t add column z varchar(5) not null default 'x' first",
        "create index j on t (z, w)",
    )
    before, after = made(
        session, Case(("k int primary key, v int, w int, key i (v)", "(1, 1, 1), (2, 1, 2)"), then, ())
    )
    of = between(session, "t", before, after)
    assert patched(of, before) == wanted(of)
    back = between(session, "t", after, before)
    hash_, *rest = patched(back, after)
    assert rest == list(wanted(back)[1:])
    assert hash_ != wanted(back)[0]


# Rows

HOSTILE = ", ".join(
    f"({n}, {text_literal(text)})" for n, text in enumerate([*SPECIAL, "\x7f", "\u202e", "\x1b[31m", "a" * 5000])
)
ROWS = {
    "unique values are exchanged": (
        "k int primary key, u int unique, v int",
        "(1, 10, 1), (2, 20, 2), (3, 30, 3), (4, null, 4)",
        ("delete from t where k < 4", "insert into t values (1, 20, 1), (2, 30, 2), (3, 10, 3), (5, null, 5)"),
    ),
    "texts": (
        "k int primary key, v longtext",
        "(0, null), (9, 'x'), (999, '')",
        ("delete from t", f"insert into t values {HOSTILE}"),
    ),
    "keys that are texts": (
        "v varchar(8000) primary key, k int",
        "('x', 1), ('\\\\', 2)",
        ("delete from t", f"insert into t (k, v) values {HOSTILE}"),
    ),
    "numbers": (
        "k int primary key, d double, f float, n decimal(65,30)",
        "(1, 0, 0, 0), (2, '-0', '-0', 1), (3, 1, 1, 1)",
        (
            "update t set d = '-0', f = '-0', n = 1e-30 where k = 1",
            "update t set d = 0, f = 0, "
            "n = -99999999999999999999999999999999999.999999999999999999999999999999 where k = 2",
            "update t set d = 5e-324, f = 0.1, n = null where k = 3",
            "insert into t values (4, 1.7976931348623157e308, 3.4028234663852886e38, 1234567890)",
            "insert into t values (5, 0.1, 1e-45, 0.1), (6, 123456789012345680, 16777216, -1)",
        ),
    ),
    "binaries": (
        "k varbinary(9) primary key, v longblob, w binary(3)",
        "(0x, 0x, null), (0x00, 0x00, 0x000000), (0x01, null, 0x414243)",
        (
            "delete from t where k = 0x00",
            "update t set v = 0x00, w = 0x0a0d27",
            "insert into t values (0x0000, 0x, 0xffffff)",
        ),
    ),
    "moments": (
        "d date, t datetime(6), s time(6), y year, b bit(64), primary key (d, t)",
        "('0001-01-01', '0001-01-01', '-838:59:59', 0, 0), "
        "('9999-12-31', '2020-01-01 00:00:00.5', '00:00:00.000001', 1901, 1)",
        (
            "update t set s = '838:59:59', y = 2155, b = 18446744073709551615",
            "insert into t values ('0099-01-01', '9999-12-31 23:59:59.999999', null, null, b'101')",
        ),
    ),
    "enum, set and JSON": (
        "k enum('a','b''c','') primary key, s set('x','y z'), j json",
        """('a', 'x', '{"a": [1.5, "\\\\n😀"]}'), ('', '', null)""",
        (
            "delete from t where k = ''",
            """insert into t values ('b''c', 'x,y z', '"\\\\\\\\"')""",
            "update t set j = 'null', s = null where k = 'a'",
        ),
    ),
    "generated columns": (
        "k int primary key, v int, g int generated always as (v * 2) stored, h int generated always as (v + 1) virtual",
        None,
        ("insert into t (k, v) values (1, 1), (2, 2)", "update t set v = 9 where k = 1"),
    ),
    "a key without values": (
        "a int, b varchar(9), primary key (a, b)",
        "(1, 'x'), (2, 'y')",
        ("update t set b = 'z' where a = 1",),
    ),
    "many rows": (
        "k int primary key, v int",
        ", ".join(f"({n}, {n})" for n in range(500)),
        (
            "update t set v = 0 where k % 2",
            "delete from t where k % 3 = 0",
            f"insert into t values {', '.join(f'({n}, 1)' for n in range(500, 950))}",
        ),
    ),
    "without a key": (
        "a int, b varchar(9)",
        "(1, 'x'), (1, 'x'), (1, 'x'), (null, null), (null, null), (2, '')",
        ("delete from t limit 4", "insert into t values (1, 'x'), (null, null), (3, '3')"),
    ),
    "without a key, floats and JSON": (
        "f float, j json, d double",
        "(0.1, '1', '-0'), (0.1, '1', '-0'), (0.2, null, 0), (null, '[]', 1)",
        ("delete from t limit 2", "insert into t values (0.1, '1', 0), (0.3, '{}', 5e-324)"),
    ),
    "without a key, of texts that a collation takes for equal": (
        "s varchar(9) collate utf8mb4_0900_ai_ci, n int",
        "('a', 1), ('A', 1), ('A', 1), ('b', 1)",
        ("delete from t where n = 1", "insert into t values ('a', 1), ('a', 1), ('B', 1)"),
    ),
    "texts that a collation takes for equal": (
        "k varchar(9) collate utf8mb4_0900_ai_ci primary key, v varchar(9) collate utf8mb4_0900_ai_ci",
        "('a', 'a'), ('b', 'b')",
        ("delete from t", "insert into t values ('A', 'a'), ('b', 'B')"),
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_rows(session: Session, name: str) -> None:
    columns, rows, then = ROWS[name]
    if rows is None:
        before = commit(session, "drop table if exists t", f"create table t ({columns})", then[0])
        after = commit(session, *then[1:])
        for one, other in ((before, after), (after, before)):
            of = between(session, "t", one, other)
            assert patched(of, one) == wanted(of)
    else:
        check_both_ways(session, Case((columns, rows), then, ()))


def test_rows_that_others_refer_to(session: Session) -> None:
    before = commit(
        session,
        "create table parent (k int primary key, u int unique)",
        "create table child (k int primary key, p int, foreign key (p) references parent (k) on delete cascade)",
        "insert into parent values (1, 1), (2, 2)",
        "insert into child values (1, 1), (2, 2)",
    )
    after = commit(
        session,
        "set foreign_key_checks = 0",
        "delete from parent",
        "insert into parent values (1, 2), (3, 1)",
        "set foreign_key_checks = 1",
        "update child set p = 3 where k = 2",
    )
    for one, other in ((before, after), (after, before)):
        for table in ("parent", "child"):
            of = between(session, table, one, other)
            assert patched(of, one) == wanted(of)
            # Nothing becomes of the rows of the other table.
            rest = {"parent": "child", "child": "parent"}[table]
            assert content(session, rest, SCRATCH) == content(session, rest, one)


def test_identical_versions_have_no_patch(session: Session) -> None:
    before, after = made(
        session, Case(("k int primary key", "(1)"), ("insert into t values (2)", "delete from t where k = 2"), ())
    )
    assert list(patch(between(session, "t", before, after))) == []


# Drawn at random


@given(pair=pairs(tuple(KEYS)))
@settings(
    phases=[Phase.generate], deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), max_examples=12
)
def test_any_two_versions(places: Databases, pair: Pair) -> None:
    routes = places.routes(pair, Asked())
    for of in (routes["one database"], routes["two databases"]):
        assert of.before is not None
        assert patched(of, of.before.commit) == wanted(of)


# Two databases


def in_two(places: Databases, before: Any, after: Any) -> Comparison:
    """Versions of a table `two`, of which each database has only its own."""
    drop = "drop table if exists two"
    left, right = (commit(one, drop, *statements) for one, statements in ((places.left, before), (places.right, after)))
    return Comparison(side(places.left, "two", left), side(places.right, "two", right))


def test_two_databases_with_one_declaration(places: Databases) -> None:
    create = "create table two (k int primary key, v double, s varchar(9), unique key (s))"
    of = in_two(
        places,
        [create, "insert into two values (1, 0.1, 'a'), (2, 2, 'b'), (3, null, 'c')"],
        [create, "insert into two values (1, 0.2, 'b'), (2, 2, 'a'), (4, 5e-324, null)"],
    )
    assert of.before is not None
    assert patched(of, of.before.commit) == wanted(of)


def test_two_databases_with_other_declarations(places: Databases) -> None:
    """A column that was renamed keeps the tag of its first name, and here it is made with its last one."""
    of = in_two(
        places,
        ["create table two (k int primary key, v int)", "insert into two values (1, 1), (2, 2)"],
        [
            "create table two (k int primary key, x double default 1.5, s varchar(9), check (k > 0))",
            "alter table two rename column x to v",
            "insert into two values (1, 0.1, 'a'), (3, 3, 'b')",
        ],
    )
    assert of.before is not None
    hash_, create, rows = patched(of, of.before.commit)
    assert (create, rows) == wanted(of)[1:]
    assert hash_ != wanted(of)[0]
