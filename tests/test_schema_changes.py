"""What two declarations of a table differ in, and that a change of the declaration modifies no row by itself."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from pairs import between, commit, side
from writing import opened

from doltflow.compare.changed import Comparison
from doltflow.compare.schema import SchemaChange
from doltflow.compare.summary import RowDifference, summarise
from doltflow.sources.dolt import Session

MANY = 1_000


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with opened(tmp_path_factory.mktemp("changes")) as session:
        yield session


def added(column: str, after: str) -> SchemaChange:
    return SchemaChange("column-added", column, None, after)


def removed(column: str, before: str) -> SchemaChange:
    return SchemaChange("column-removed", column, before, None)


def renamed(before: str, after: str) -> SchemaChange:
    return SchemaChange("column-renamed", after, before, after)


def retyped(column: str, before: str, after: str) -> SchemaChange:
    return SchemaChange("column-retyped", column, before, after)


def rekeyed(before: str | None, after: str | None) -> SchemaChange:
    return SchemaChange("key-changed", None, before, after)


def declared(before: str | None, after: str | None) -> SchemaChange:
    return SchemaChange("definition-changed", None, before, after)


@dataclass(frozen=True)
class Case:
    """A table, what is done to it, and what is told of that: of the declaration, and of the rows.

    Attributes:
        before: The columns and the rows of the table `t`.
        then: Statements.
        changes: What is told of the declaration.
        counts: Rows added, removed and modified.
        cells: Of each modified column how many cells have changed.
    """

    before: tuple[str, str]
    then: tuple[str, ...]
    changes: tuple[SchemaChange, ...]
    counts: tuple[int, int, int] = (0, 0, 0)
    cells: tuple[tuple[str, int], ...] = ()


KV = ("k int primary key, v int", "(1, 10), (2, null), (3, 30)")
KVW = ("k int primary key, v int, w int", "(1, 10, 11), (2, null, 22), (3, 30, 30)")
AB = ("a int, b int, v int, primary key (a, b)", "(1, 2, 10), (2, 1, 20)")
SET_9 = "update t set v = 9 where k = 1"
NINE = ((0, 0, 1), (("v", 1),))
OWN = {
    "column added": Case(KV, ("alter table t add column w varchar(9)",), (added("w", "varchar(9)"),)),
    "column added, rows changed": Case(
        KV,
        ("alter table t add column w int first", SET_9, "update t set w = 5", "insert into t values (0, 7, 0)"),
        (added("w", "int"),),
        (1, 0, 1),
        (("v", 1),),
    ),
    "column added with a default": Case(
        KV,
        ("alter table t add column w int not null default 7", SET_9, "delete from t where k = 3"),
        (added("w", "int not null"),),
        (0, 1, 1),
        (("v", 1),),
    ),
    "column removed": Case(KVW, ("alter table t drop column w", SET_9), (removed("w", "int"),), *NINE),
    "column renamed": Case(KVW, ("alter table t rename column v to x",), (renamed("v", "x"),)),
    "column renamed, rows changed": Case(
        KVW,
        ("alter table t rename column v to x", "update t set x = 9 where k = 1"),
        (renamed("v", "x"),),
        (0, 0, 1),
        (("x", 1),),
    ),
    "column renamed only in case": Case(
        KVW, ("alter table t rename column v to x", "alter table t rename column x to V"), (renamed("v", "V"),)
    ),
    "two columns exchange their names": Case(
        KVW,
        (
            "alter table t rename column v to x",
            "alter table t rename column w to v",
            "alter table t rename column x to w",
            "update t set v = 9 where k = 1",
        ),
        (renamed("v", "w"), renamed("w", "v")),
        (0, 0, 1),
        (("v", 1),),
    ),
    "a name goes to a new column": Case(
        KVW,
        ("alter table t rename column v to x", "alter table t add column v int"),
        (added("v", "int"), renamed("v", "x")),
    ),
    "int to bigint": Case(KV, ("alter table t modify v bigint", SET_9), (retyped("v", "int", "bigint"),), *NINE),
    "int to varchar": Case(
        KV,
        ("alter table t modify v varchar(20)", "update t set v = '030' where k = 3"),
        (retyped("v", "int", "varchar(20)"),),
        (0, 0, 1),
        (("v", 1),),
    ),
    "decimal's scale": Case(
        ("k int primary key, v decimal(10,2)", "(1, 1.25), (2, null), (3, 30)"),
        ("alter table t modify v decimal(20,4)", "update t set v = 30.0001 where k = 3"),
        (retyped("v", "decimal(10,2)", "decimal(20,4)"),),
        (0, 0, 1),
        (("v", 1),),
    ),
    "decimals with no room for both": Case(
        ("k int primary key, v decimal(65,0)", f"(1, {'9' * 65}), (2, 1), (3, 0), (4, 100)"),
        (
            "delete from t where k = 1",
            "alter table t modify v decimal(65,30)",
            f"insert into t values (1, {'9' * 35}.5)",
            "update t set v = 1.5 where k = 2",
        ),
        (retyped("v", "decimal(65,0)", "decimal(65,30)"),),
        (0, 0, 2),
        (("v", 2),),
    ),
    "date to datetime": Case(
        ("k int primary key, v date", "(1, '2020-02-29'), (2, null), (3, '0999-01-01')"),
        ("alter table t modify v datetime(6)", "update t set v = '2020-02-29 00:00:01' where k = 1"),
        (retyped("v", "date", "datetime(6)"),),
        (0, 0, 1),
        (("v", 1),),
    ),
    "float to double": Case(
        ("k int primary key, v float", "(1, 0.1), (2, null), (3, 1.5)"),
        ("alter table t modify v double", "update t set v = 1.25 where k = 3"),
        (retyped("v", "float", "double"),),
        (0, 0, 1),
        (("v", 1),),
    ),
    "time to varchar": Case(
        ("k int primary key, v time", "(1, '01:02:03'), (2, null), (3, '-26:00:00.5')"),
        ("alter table t drop column v", "alter table t add column v varchar(20)"),
        (retyped("v", "time(6)", "varchar(20)"),),
        (0, 0, 2),
        (("v", 2),),
    ),
    "varchar to varbinary": Case(
        ("k int primary key, v varchar(9)", "(1, 'é'), (2, null), (3, 'x')"),
        ("alter table t modify v varbinary(20)", "update t set v = 0x78ff where k = 3"),
        (retyped("v", "varchar(9)", "varbinary(20)"),),
        (0, 0, 1),
        (("v", 1),),
    ),
    "NOT NULL": Case(
        ("k int primary key, v int", "(1, 10)"),
        ("alter table t modify v int not null",),
        (retyped("v", "int", "int not null"),),
    ),
    "reordered": Case(
        KVW, ("alter table t modify w int first", SET_9), (declared("order: k, v, w", "order: w, k, v"),), *NINE
    ),
    "key of another column": Case(
        KVW,
        ("alter table t drop primary key", "alter table t modify w int not null", "alter table t add primary key (w)"),
        (retyped("w", "int", "int not null"), rekeyed("k", "w")),
    ),
    "key in another order": Case(
        AB,
        ("alter table t drop primary key", "alter table t add primary key (b, a)", "update t set v = 9 where a = 1"),
        (rekeyed("a, b", "b, a"),),
        (0, 0, 1),
        (("v", 1),),
    ),
    "key with a column more": Case(
        AB,
        ("alter table t drop primary key", "alter table t add primary key (a, b, v)"),
        (retyped("v", "int", "int not null"), rekeyed("a, b", "a, b, v")),
    ),
    "key retyped, int to bigint": Case(
        KV,
        ("alter table t modify k bigint", SET_9, "insert into t values (5000000000, 1)"),
        (retyped("k", "int not null", "bigint not null"),),
        (1, 0, 1),
        (("v", 1),),
    ),
    "key retyped, int to varchar": Case(
        ("k int primary key, v int", "(1, 10), (2, 20), (10, 30), (-3, 40)"),
        ("alter table t modify k varchar(20)", SET_9, "delete from t where k = '2'"),
        (retyped("k", "int not null", "varchar(20) not null"),),
        (0, 1, 1),
        (("v", 1),),
    ),
    "key retyped, date to datetime": Case(
        ("k date primary key, v int", "('2020-02-29', 1), ('2021-01-01', 2)"),
        ("alter table t modify k datetime(6)", "update t set v = 9 where v = 2"),
        (retyped("k", "date not null", "datetime(6) not null"),),
        (0, 0, 1),
        (("v", 1),),
    ),
    "key retyped, decimal's scale": Case(
        ("k decimal(10,2) primary key, v int", "(1.5, 1), (-20, 2), (3, 3)"),
        ("alter table t modify k decimal(12,4)", "update t set v = 9 where v = 2"),
        (retyped("k", "decimal(10,2) not null", "decimal(12,4) not null"),),
        (0, 0, 1),
        (("v", 1),),
    ),
    "key renamed": Case(
        KV,
        ("alter table t rename column k to kk", "update t set v = 9 where kk = 1", "insert into t values (4, 4)"),
        (renamed("k", "kk"),),
        (1, 0, 1),
        (("v", 1),),
    ),
    "key dropped": Case(KV, ("alter table t drop primary key", SET_9), (rekeyed("k", None),), (1, 1, 0)),
    "key added": Case(
        ("k int not null, v int", "(1, 10), (2, null), (3, 30)"),
        ("alter table t add primary key (k)", SET_9),
        (rekeyed(None, "k"),),
        (1, 1, 0),
    ),
    "default": Case(
        KV,
        ("alter table t alter column v set default 5", SET_9),
        (SchemaChange("definition-changed", "v", None, "DEFAULT '5'"),),
        *NINE,
    ),
    "collation": Case(
        ("k int primary key, v varchar(9)", "(1, 'a'), (2, 'b')"),
        (
            "alter table t modify v varchar(9) collate utf8mb4_0900_ai_ci",
            "delete from t where k = 1",
            "insert into t values (1, 'A')",
        ),
        (retyped("v", "varchar(9)", "varchar(9) collate utf8mb4_0900_ai_ci"),),
        (0, 0, 1),
        (("v", 1),),
    ),
    "letters that a collation takes for equal": Case(
        ("k int primary key, v varchar(9) collate utf8mb4_0900_ai_ci", "(1, 'a'), (2, 'b')"),
        ("alter table t add column w int", "delete from t where k = 1", "insert into t values (1, 'A', null)"),
        (added("w", "int"),),
        (0, 0, 1),
        (("v", 1),),
    ),
    "check": Case(
        KV,
        ("alter table t add constraint positive check (v > 0)",),
        (declared(None, "CONSTRAINT `positive` CHECK ((`v` > 0))"),),
    ),
    "index": Case(KV, ("create index i on t (v)", SET_9), (declared(None, "KEY `i` (`v`)"),), *NINE),
    "unique index": Case(KV, ("create unique index i on t (v)",), (declared(None, "UNIQUE KEY `i` (`v`)"),)),
    "comment of the table": Case(
        KV,
        ("alter table t comment = 'x'",),
        (declared(None, "COMMENT='x'"),),
    ),
    "AUTO_INCREMENT": Case(
        ("k int primary key auto_increment, v int", "(1, 10)"),
        ("alter table t auto_increment = 50",),
        # Another content, of which no line of the declaration is about a row.
        (declared("AUTO_INCREMENT=2", "AUTO_INCREMENT=50"),),
    ),
    "table created": Case(
        ("", ""),
        ("create table t (k int primary key)", "insert into t values (1), (2)"),
        (SchemaChange("table-added"),),
        (2, 0, 0),
    ),
    "table dropped": Case(KV, ("drop table t",), (SchemaChange("table-removed"),), (0, 3, 0)),
    "without a key: column added": Case(
        ("a int, b int", "(1, 1), (1, 1), (2, null)"),
        ("alter table t add column c int", "update t set c = 5", "insert into t values (1, 1, 7)"),
        (added("c", "int"),),
        (1, 0, 0),
    ),
    "without a key: int to bigint": Case(
        ("a int, b int", "(1, 1), (1, 1), (2, null)"),
        ("alter table t modify b bigint", "insert into t values (9, 9)"),
        (retyped("b", "int", "bigint"),),
        (1, 0, 0),
    ),
    "without a key: column renamed": Case(
        ("a int, b int", "(1, 1), (1, 1), (2, null)"),
        ("alter table t rename column b to c", "delete from t where a = 2"),
        (renamed("b", "c"),),
        (0, 1, 0),
    ),
    "columns that Dolt has beside the table's": Case(
        ("`commit` int primary key, commit_date int, v int, from_v int, to_v int", "(1, 1, 1, 1, 1), (2, 2, 2, 2, 2)"),
        ("update t set v = 9, from_v = 3 where `commit` = 1",),
        (),
        (0, 0, 1),
        (("v", 1), ("from_v", 1)),
    ),
}


def made(session: Session, case: Case) -> tuple[str, str]:
    """The commits before and after."""
    columns, rows = case.before
    setup = [f"create table t ({columns})", f"insert into t values {rows}"] if columns else []
    # Where a table of the name was before, Dolt gives its columns' tags to the new ones.
    commit(session, "drop table if exists t")
    before = commit(session, *setup)
    return before, commit(session, *case.then)


@pytest.mark.parametrize("name", OWN)
def test_what_is_told(session: Session, name: str) -> None:
    case = OWN[name]
    before, after = made(session, case)
    found = summarise(between(session, "t", before, after), MANY)
    assert found.schema_changes == case.changes
    assert (found.added, found.removed, found.modified) == case.counts
    assert tuple((column.name, column.changed) for column in found.columns) == case.cells
    stat = summarise(between(session, "t", before, after), 0, is_counted=False)
    assert (stat.added, stat.removed, stat.modified, stat.schema_changes) == (*case.counts, case.changes)


def test_a_table_that_is_renamed_only_in_case(session: Session) -> None:
    before = commit(
        session, "drop table if exists t", "create table t (k int primary key, v int)", "insert into t values (1, 1)"
    )
    after = commit(session, "rename table t to u", "rename table u to T", "insert into T values (2, 2)")
    found = summarise(Comparison(side(session, "t", before), side(session, "T", after)), MANY)
    renamed = (SchemaChange("table-renamed", None, "t", "T"),)
    assert (found.schema_changes, found.added, found.removed, found.modified) == (renamed, 1, 0, 0)
    assert found.sample == (RowDifference("added", {"k": 2}, None, {"v": 2}, ()),)
    commit(session, "drop table T")
