"""Which commits changed a row or a cell: merges, renames, keys that change, tables made again, exact values."""

import datetime
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from conftest import dolt
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from test_history import commit, fork, merge, start
from writing import opened, sql

from doltflow.errors import BadValueError, ColumnNotFoundError, DoltError, NoKeyError, QueryError, UsageError
from doltflow.model.row import RowChange
from doltflow.sources.dolt import Database, Session

NUMBERS = count()
DRAWN = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with opened(tmp_path_factory.mktemp("cells")) as session:
        yield session


def line(session: Session) -> str:
    """A branch of its own for a test."""
    name = f"cells{next(NUMBERS)}"
    sql(session, f"call dolt_branch('{name}', 'main')")
    return name


def story(session: Session, branch: str, key: dict[str, Any], column: str | None = None) -> list[RowChange]:
    """All changes of a row of `t`; that the last one alone is the first of them is made sure of."""
    at = session.resolve(branch)
    (found,) = session.row_changes("t", at, [key], column, history=True)
    (last,) = session.row_changes("t", at, [key], column)
    assert last.changes == found.changes[:1]
    assert last.is_there == found.is_there == bool(found.changes and found.changes[0].after is not None)
    return list(found.changes)


def brief(changes: list[RowChange]) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(change.commit, change.change, change.columns) for change in changes]


# Merges


def test_what_a_merge_took_over_was_changed_by_the_commit_that_it_merged(session: Session) -> None:
    main, made = start(session, "t", "u")
    added = commit(session, "insert into t values (1, 1), (2, 2)", branch=main)
    side = fork(session, main)
    of_side = commit(session, "update t set v = 5 where id = 1", branch=side)
    of_main = commit(session, "update t set v = 6 where id = 2", branch=main)
    merged = merge(session, side, main)
    later = commit(session, "insert into u values (1, 1)", branch=main)
    assert len(session.commit(merged).parents) == 2
    assert session.last_change("t", later) == merged
    for key, changed in ((1, of_side), (2, of_main)):
        assert brief(story(session, main, {"id": key})) == [
            (changed, "modified", ("v",)),
            (added, "added", ("id", "v")),
        ]
    assert story(session, main, {"id": 3}) == []
    assert made != added


def test_a_merge_that_made_a_row_of_both_sides_changed_the_row_but_none_of_its_cells(session: Session) -> None:
    branch = line(session)
    added = commit(
        session, "create table t (id int primary key, v int, w int)", "insert into t values (1, 1, 1)", branch=branch
    )
    side = fork(session, branch)
    of_side = commit(session, "update t set v = 2", branch=side)
    of_main = commit(session, "update t set w = 3", branch=branch)
    merged = merge(session, side, branch)
    changes = story(session, branch, {"id": 1})
    assert (changes[0].commit, changes[0].before, changes[0].after, changes[0].columns) == (
        merged,
        {"id": 1, "v": 1, "w": 3},
        {"id": 1, "v": 2, "w": 3},
        ("v",),
    )
    assert {change.commit for change in changes} == {merged, of_side, of_main, added}
    assert [change.commit for change in story(session, branch, {"id": 1}, "v")] == [of_side, added]
    assert [change.commit for change in story(session, branch, {"id": 1}, "w")] == [of_main, added]


def test_of_many_rows_each_has_its_own_changes(session: Session) -> None:
    branch, _ = start(session, "t")
    commits = [commit(session, f"insert into t values ({n}, 0)", branch=branch) for n in range(4)]
    changed = commit(session, "update t set v = 1 where id in (1, 3)", branch=branch)
    at = session.resolve(branch)
    found = session.row_changes("t", at, [{"id": n} for n in range(4)], history=True)
    assert [[change.commit for change in row.changes] for row in found] == [
        [commits[0]],
        [changed, commits[1]],
        [commits[2]],
        [changed, commits[3]],
    ]


# Columns and keys that change


def test_columns_are_followed_through_renames_and_begin_with_the_commit_that_added_them(session: Session) -> None:
    branch, _ = start(session, "t")
    added = commit(session, "insert into t values (1, 1)", branch=branch)
    two = commit(session, "update t set v = 2", branch=branch)
    commit(session, "alter table t rename column v to price", branch=branch)
    empty = commit(session, "alter table t add column note varchar(9)", branch=branch)
    filled = commit(session, "alter table t add column n int default 7", branch=branch)
    wide = commit(session, "alter table t modify column price decimal(12,3)", branch=branch)
    lost = commit(session, "alter table t drop column n", branch=branch)
    both = commit(
        session, "alter table t rename column price to cost", "update t set cost = 3, note = ''", branch=branch
    )
    assert [(*one, two) for one, two in zip(brief(story(session, branch, {"id": 1})), range(9), strict=False)] == [
        (both, "modified", ("cost", "note"), 0),
        (lost, "modified", ("n",), 1),
        (filled, "modified", ("n",), 2),
        (two, "modified", ("v",), 3),
        (added, "added", ("id", "v"), 4),
    ]
    changes = story(session, branch, {"id": 1}, "cost")
    assert [change.commit for change in changes] == [both, two, added]
    assert (changes[0].before, changes[0].after) == (
        {"id": 1, "cost": Decimal("2.000"), "note": None},
        {"id": 1, "cost": Decimal("3.000"), "note": ""},
    )
    changes = story(session, branch, {"id": 1}, "note")
    assert brief(changes) == [(both, "modified", ("note",)), (empty, "modified", ("note",))]
    assert (changes[1].before, changes[1].after) == (
        {"id": 1, "price": 2},
        {"id": 1, "price": 2, "note": None},
    )
    assert wide not in [change.commit for change in story(session, branch, {"id": 1})]


def swap(one: str, other: str) -> list[str]:
    """Gives each of two columns the other's name."""
    names = ((one, "swapped"), (other, one), ("swapped", other))
    return [f"alter table t rename column {old} to {new}" for old, new in names]


def test_columns_that_exchange_their_names_in_one_commit(session: Session) -> None:
    branch = line(session)
    create = "create table t (id int primary key, v int, w int)"
    added = commit(session, create, "insert into t values (1, 10, 20)", branch=branch)
    changed = commit(session, "update t set v = 11", branch=branch)
    commit(session, *swap("v", "w"), branch=branch)
    assert brief(story(session, branch, {"id": 1}, "v")) == [(added, "added", ("w",))]
    assert brief(story(session, branch, {"id": 1}, "w")) == [(changed, "modified", ("v",)), (added, "added", ("v",))]
    both = commit(session, *swap("v", "w"), "update t set w = 21", branch=branch)
    changes = story(session, branch, {"id": 1})
    assert brief(changes) == [
        (both, "modified", ("w",)),
        (changed, "modified", ("v",)),
        (added, "added", ("id", "v", "w")),
    ]
    assert (changes[0].before, changes[0].after) == ({"id": 1, "v": 11, "w": 20}, {"id": 1, "v": 11, "w": 21})


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (["alter table t rename column id to number"], {"number": 1}),
        (["alter table t drop primary key", "alter table t add primary key (id, z)"], {"id": 1, "z": 8}),
        (["alter table t drop primary key", "alter table t add primary key (z)"], {"z": 8}),
        (["alter table t modify column id bigint"], {"id": 1}),
        (["alter table t drop primary key", "alter table t modify column id varchar(9)",
          "alter table t add primary key (id)"], {"id": "1"}),
    ],
)  # fmt: skip
def test_rows_are_followed_through_changes_of_the_key(session: Session, change: list[str], key: dict[str, Any]) -> None:
    branch = line(session)
    added = commit(
        session,
        "create table t (id int primary key, v int, z int not null)",
        "insert into t values (1, 1, 8), (2, 1, 9)",
        branch=branch,
    )
    two = commit(session, "update t set v = 2 where z = 8", branch=branch)
    commit(session, *change, branch=branch)
    three = commit(session, "update t set v = 3 where z = 8", branch=branch)
    assert [change.commit for change in story(session, branch, key)] == [three, two, added]
    assert [change.commit for change in story(session, branch, key, "v")] == [three, two, added]


def test_a_key_that_changed_and_came_back(session: Session) -> None:
    branch = line(session)
    steps = [
        ["create table t (id int primary key, v int, z int not null)", "insert into t values (1, 1, 8), (2, 1, 8)"],
        ["delete from t where id = 2"],
        ["alter table t drop primary key", "alter table t add primary key (id, z)"],
        ["update t set v = 2 where id = 1"],
        ["alter table t drop primary key"],
        ["update t set v = 3 where id = 1"],
        ["alter table t add primary key (id)"],
        ["insert into t values (2, 5, 5)"],
    ]
    made = [commit(session, *step, branch=branch) for step in steps]
    assert brief(story(session, branch, {"id": 1})) == [
        (made[5], "modified", ("v",)),
        (made[3], "modified", ("v",)),
        (made[0], "added", ("id", "v", "z")),
    ]
    whole = ("id", "v", "z")
    assert brief(story(session, branch, {"id": 2})) == [
        (made[7], "added", whole),
        (made[1], "removed", whole),
        (made[0], "added", whole),
    ]


def test_a_key_that_changed_on_a_branch_that_was_merged(session: Session) -> None:
    branch, _ = start(session, "t")
    added = commit(session, "insert into t values (1, 1)", branch=branch)
    side = fork(session, branch)
    rekeyed = ["alter table t drop primary key", "alter table t modify column v int not null"]
    commit(session, *rekeyed, "alter table t add primary key (id, v)", branch=side)
    of_side = commit(session, "insert into t values (2, 2)", branch=side)
    commit(session, "create table other (id int primary key)", branch=branch)
    merged = merge(session, side, branch)
    assert len(session.commit(merged).parents) == 2
    assert [change.commit for change in story(session, branch, {"id": 1, "v": 1})] == [added]
    assert [change.commit for change in story(session, branch, {"id": 2, "v": 2})] == [of_side]


def test_a_table_that_was_dropped_and_made_again(session: Session) -> None:
    branch, _ = start(session, "t")
    added = commit(session, "insert into t values (1, 1)", branch=branch)
    dropped = commit(session, "drop table t", branch=branch)
    commit(session, "create table other (id int primary key)", branch=branch)
    again = commit(session, "create table t (id int primary key, w int)", "insert into t values (1, 5)", branch=branch)
    at_once = commit(
        session,
        "drop table t",
        "create table t (id int primary key, w int, x int)",
        "insert into t values (1, 6, 7)",
        branch=branch,
    )
    changes = story(session, branch, {"id": 1})
    assert brief(changes) == [
        (at_once, "modified", ("w", "x")),
        (again, "added", ("id", "w")),
        (dropped, "removed", ("id", "v")),
        (added, "added", ("id", "v")),
    ]
    assert (changes[2].before, changes[2].after) == ({"id": 1, "v": 1}, None)


@pytest.mark.parametrize("table", ["a,b", "we ird`t%s", "--", "ü.t"])
def test_tables_of_any_name(session: Session, table: str) -> None:
    branch, _ = start(session, table.replace("`", "``"))
    quoted = "`" + table.replace("`", "``") + "`"
    added = commit(session, f"insert into {quoted} values (1, 1)", branch=branch)
    renamed = commit(session, f"alter table {quoted} rename column v to `w%``ü`", branch=branch)
    changed = commit(session, f"update {quoted} set `w%``ü` = 2", branch=branch)
    commit(session, "create table other (id int primary key)", branch=branch)
    (found,) = session.row_changes(table, session.resolve(branch), [{"id": 1}], "w%`ü", history=True)
    assert [change.commit for change in found.changes] == [changed, added]
    assert renamed not in {added, changed}


def test_a_shallow_clone_tells_as_far_as_it_goes(session: Session, tmp_path: Path) -> None:
    branch, _ = start(session, "t")
    commit(session, "insert into t values (1, 1), (2, 2)", branch=branch)
    changed = commit(session, "update t set v = 3 where id = 1", branch=branch)
    sql(session, f"call dolt_remote('add', '{branch}', 'file://{tmp_path}/remote')")
    sql(session, f"call dolt_push('{branch}', '{branch}')")
    dolt(tmp_path, "clone", "--depth", "1", "--branch", branch, f"file://{tmp_path}/remote", "clone")
    with Database.at(tmp_path / "clone").open() as clone:
        head = clone.branch_head(branch)
        for key in (1, 2):
            (found,) = clone.row_changes("t", head, [{"id": key}], history=True)
            assert brief(list(found.changes)) == [(changed, "added", ("id", "v"))]


# Values

TYPES = {
    "id": ("varbinary(8) primary key", "0x00ff", b"\x00\xff"),
    "d": ("decimal(40,10)", "12345678901234567890.10", Decimal("12345678901234567890.1000000000")),
    "blank": ("varchar(9)", "''", ""),
    "nothing": ("varchar(9)", "NULL", None),
    "word": ("varchar(9)", "'NULL'", "NULL"),
    "text": ("text", "'ü☃\\n🐬'", "ü☃\n🐬"),
    "bits": ("bit(12)", "300", 300),
    "day": ("date", "'0987-02-03'", datetime.date(987, 2, 3)),
    "moment": ("datetime(6)", "'2020-01-02 03:04:05.678'", datetime.datetime(2020, 1, 2, 3, 4, 5, 678000)),
    "span": ("time", "'-26:00:01.5'", "-26:00:01.500000"),
    "flag": ("boolean", "true", 1),
    "big": ("bigint unsigned", "18446744073709551615", 2**64 - 1),
    "number": ("double", "0.1", 0.1),
    "data": ("json", "'{\"a\": [1, null]}'", '{"a":[1,null]}'),
    "choice": ("enum('p','q')", "'q'", "q"),
    "raw": ("blob", "0x8000", b"\x80\x00"),
}


def test_values_are_exact(session: Session) -> None:
    branch = line(session)
    columns = ", ".join(f"{name} {kind}" for name, (kind, _, _) in TYPES.items())
    values = ", ".join(text for _, text, _ in TYPES.values())
    added = commit(session, f"create table t ({columns})", f"insert into t values ({values})", branch=branch)
    wanted = {name: value for name, (_, _, value) in TYPES.items()}
    swapped = commit(session, "update t set blank = NULL, nothing = ''", branch=branch)
    key = session.key_of("t", {"ID": "0x00FF"}, swapped)
    assert key == {"id": b"\x00\xff"}
    changes = story(session, branch, key)
    assert brief(changes) == [(swapped, "modified", ("blank", "nothing")), (added, "added", tuple(TYPES))]
    assert changes[1].after == changes[0].before == wanted
    assert {name: type(value) for name, value in (changes[1].after or {}).items()} == {
        name: type(value) for name, value in wanted.items()
    }
    assert changes[0].after == wanted | {"blank": None, "nothing": ""}


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("int", " 7 ", 7),
        ("decimal(10,3)", "1.5", Decimal("1.5")),
        ("date", "2020-01-02", datetime.date(2020, 1, 2)),
        ("datetime", "2020-01-02 03:04:05", datetime.datetime(2020, 1, 2, 3, 4, 5)),
        ("varchar(20)", " a=b,c'`\"\\% ", " a=b,c'`\"\\% "),
        ("varchar(20)", "0x00", "0x00"),
        ("varchar(20)", "00123", "00123"),
        ("varbinary(9)", "ü", "ü".encode()),
        ("time", "-26:00:01", "-26:00:01"),
        ("bit(9)", "300", 300),
        ("double", "0.1", 0.1),
        ("float", "0.1", 0.1),
        ("float", "16777216", 16777216.0),
    ],
)
def test_keys_of_every_type(session: Session, kind: str, text: str, value: Any) -> None:
    branch = line(session)
    commit(session, f"create table t (k {kind}, `a%b` int, primary key (k, `a%b`))", branch=branch)
    session._connection.use(branch)
    session._connection.rows("insert into t values (%s, 1)", [value])
    added = commit(session, branch=branch)
    key = session.key_of("t", {"k": text, "A%B": "1"}, added)
    assert key == {"k": value, "a%b": 1}
    assert [change.commit for change in story(session, branch, key)] == [added]
    (same,), total = session.matching_keys("t", added, "`a%b` = 1", 5)
    assert same == key
    assert total == 1


def test_a_float_is_found_as_it_is_shown_and_as_it_was_given(session: Session) -> None:
    branch = line(session)
    added = commit(
        session,
        "create table t (k float primary key)",
        "insert into t values (0.123456789), (16777217), (2.5)",
        branch=branch,
    )
    for text, shown in (("0.123456789", 0.12345679), ("0.12345679", 0.12345679), ("16777217", 16777216.0)):
        (found,) = session.row_changes("t", added, [session.key_of("t", {"k": text}, added)])
        assert (found.key, [change.commit for change in found.changes]) == ({"k": shown}, [added])
    removed = commit(session, "delete from t", branch=branch)
    for text in ("0.123456789", "0.12345679", "16777217", "2.5"):
        changes = story(session, branch, session.key_of("t", {"k": text}, removed))
        assert [change.commit for change in changes] == [removed, added]
    for text in ("1e300", "0.1234"):
        assert story(session, branch, session.key_of("t", {"k": text}, removed)) == []


def test_a_collation_that_takes_texts_for_equal(session: Session) -> None:
    branch = line(session)
    added = commit(
        session,
        "create table t (k varchar(9) collate utf8mb4_0900_ai_ci primary key, v int)",
        "insert into t values ('Ab', 1)",
        branch=branch,
    )
    (found,) = session.row_changes("t", added, [{"k": "AB"}])
    assert found.key == {"k": "Ab"}
    assert [change.commit for change in found.changes] == [added]


# What cannot be asked


def test_a_key_must_be_whole_and_of_its_types(session: Session) -> None:
    branch = line(session)
    at = commit(session, "create table t (a int, b date, v int, primary key (a, b))", branch=branch)
    for given_key, kind, message in (
        ({"a": "1"}, UsageError, "The key lacks `b`. The key of `t` is `a`, `b`. `--where` takes a part of it."),
        ({"a": "1", "A": "2"}, UsageError, "The key's column `a` is given twice. The key of `t` is `a`, `b`."),
        ({"v": "1"}, UsageError, "`v` is no part of the key of `t`. The key of `t` is `a`, `b`. "
         "`--where` takes any column."),
        ({"bb": "1"}, ColumnNotFoundError, "The table `t` of `db` has no column `bb`. Did you mean `b`?"),
        ({"a": "x", "b": "2020-01-01"}, BadValueError, "The column `a` is int, which 'x' is not."),
        ({"a": "1", "b": "yesterday"}, BadValueError, "The column `b` is date, which 'yesterday' is not."),
    ):  # fmt: skip
        with pytest.raises(kind) as error:
            session.key_of("t", given_key, at)
        assert str(error.value) == message


def test_a_table_without_a_key(session: Session) -> None:
    branch = line(session)
    at = commit(session, "create table t (a int)", "insert into t values (1)", branch=branch)
    for ask in (
        lambda: session.key_of("t", {"a": "1"}, at),
        lambda: session.matching_keys("t", at, "a = 1", 5),
        lambda: session.row_changes("t", at, [{"a": 1}]),
        lambda: session.find_column("t", "a", at),
    ):
        with pytest.raises(NoKeyError, match="has no primary key, so that none of its rows can be followed"):
            ask()


@pytest.mark.parametrize(
    ("where", "kind", "message"),
    [
        ("vv = 1", ColumnNotFoundError, "The table `t` of `db` has no column `vv`. Did you mean `v`?"),
        ("u.id = 1", QueryError, "The predicate names another table than `t`."),
        ("sum(v) > 1", QueryError, "Dolt cannot take the rows that match `sum(v) > 1`. Dolt says: "),
    ],
)
def test_predicates_that_dolt_refuses(session: Session, where: str, kind: type[DoltError], message: str) -> None:
    _, at = start(session, "t", "u")
    with pytest.raises(kind) as error:
        session.matching_keys("t", at, where, 5)
    assert str(error.value).startswith(message)


def test_predicates_take_the_first_rows_of_the_keys_order(session: Session) -> None:
    branch, _ = start(session, "t")
    at = commit(session, "insert into t values (3, 1), (1, 1), (2, 1), (4, 0)", branch=branch)
    assert session.matching_keys("t", at, "v = 1 or v = 2", 2) == ([{"id": 1}, {"id": 2}], 3)
    assert session.matching_keys("t", at, "v = 1", 3) == ([{"id": 1}, {"id": 2}, {"id": 3}], 3)
    assert session.matching_keys("t", at, "v like '9%'", 3) == ([], 0)


# Against an account of what was done

State = dict[int, dict[str, Any]]


@dataclass
class Account:
    """What a test did: the parents, the rows and the columns of each commit, by names that no rename changes."""

    parents: dict[str, tuple[str, ...]] = field(default_factory=dict)
    states: dict[str, State] = field(default_factory=dict)
    columns: dict[str, set[str]] = field(default_factory=dict)

    def add(self, commit: str, parents: tuple[str, ...], state: State, columns: Iterable[str]) -> None:
        if commit not in self.parents:
            self.parents[commit] = parents
            self.columns[commit] = set(columns)
            self.states[commit] = {key: dict(row) for key, row in state.items()}

    def view(self, commit: str, key: int, column: str | None) -> object:
        row = self.states[commit].get(key)
        if row is None:
            return None
        return sorted((k, v) for k, v in row.items() if v is not None) if column is None else (row.get(column, "?"),)

    def changes(self, head: str, key: int, column: str | None) -> set[str]:
        """The commits that changed a row, or a cell, on the ways that git's simplified history takes.

        A cell's history begins with the commit that added its column.
        """
        found: set[str] = set()
        seen: set[str] = set()
        waiting = [head]
        while waiting:
            commit = waiting.pop()
            if commit in seen:
                continue
            seen.add(commit)
            parents, mine = self.parents[commit], self.view(commit, key, column)
            same = [parent for parent in parents if self.view(parent, key, column) == mine][:1]
            if not same and (parents or mine is not None):
                found.add(commit)
            waiting += [p for p in same or parents if column is None or column in self.columns[p]]
        return found

    def is_newest_first(self, commits: list[str]) -> bool:
        return not any(self._is_before(a, b) for n, a in enumerate(commits) for b in commits[n + 1 :])

    def _is_before(self, old: str, new: str) -> bool:
        waiting = list(self.parents[new])
        while waiting:
            commit = waiting.pop()
            if commit == old:
                return True
            waiting += self.parents[commit]
        return False


def check(
    session: Session, account: Account, branch: str, keys: dict[int, dict[str, Any]], names: dict[str, str]
) -> None:
    """Compares what is told of rows, and of the columns by the names they have now, with the account."""
    head = session.resolve(branch)
    for column in (None, *names):
        spelled = None if column is None else names[column]
        whole = session.row_changes("t", head, list(keys.values()), spelled, history=True)
        last = session.row_changes("t", head, list(keys.values()), spelled)
        for key, row, one in zip(keys, whole, last, strict=True):
            told = [change.commit for change in row.changes]
            assert set(told) == account.changes(head, key, column)
            assert account.is_newest_first(told)
            assert list(one.changes) == list(row.changes[:1])
            assert row.is_there == (key in account.states[head])
            for change in row.changes:
                _agrees(change, account, key, column)


def _agrees(change: RowChange, account: Account, key: int, column: str | None) -> None:
    first = account.parents[change.commit][:1]
    states = [account.states[at].get(key) for at in (*first, change.commit)]
    before, after = states if first else (None, states[0])
    for told, was in ((change.before, before), (change.after, after)):
        assert (told is None) == (was is None)
        if told is not None and was is not None and column is None:
            assert sorted(map(repr, told.values())) == sorted(map(repr, was.values()))


BRANCHED = st.lists(
    st.tuples(
        st.sampled_from(["set", "set", "set", "add", "remove", "other", "merge"]),
        st.booleans(),
        st.integers(1, 2),
        st.sampled_from(["v", "w"]),
        st.integers(0, 2),
    ),
    min_size=4,
    max_size=14,
)


@DRAWN
@given(steps=BRANCHED)
def test_rows_on_two_branches_that_are_merged(session: Session, steps: list[tuple[Any, ...]]) -> None:
    main, account = line(session), Account()
    create = "create table t (id int primary key, v int, w int)"
    first = commit(session, create, "insert into t values (1, 0, 0)", branch=main)
    account.add(first, (), {1: {"id": 1, "v": 0, "w": 0}}, "vw")
    side = fork(session, main)
    for number, (kind, on_side, key, column, value) in enumerate(steps):
        branch, other = (side, main) if on_side else (main, side)
        before = session.resolve(branch)
        parents: tuple[str, ...] = (before,)
        match kind:
            case "set":
                after = commit(session, f"update t set {column} = {value} where id = {key}", branch=branch)
            case "add":
                after = commit(session, f"insert ignore into t values ({key}, {value}, 0)", branch=branch)
            case "remove":
                after = commit(session, f"delete from t where id = {key}", branch=branch)
            case "other":
                after = commit(session, f"create table o{number} (id int primary key)", branch=branch)
            case _:
                parents = (before, session.resolve(other))
                try:
                    after = merge(session, other, branch)
                except DoltError:  # Both sides changed one cell.
                    continue
        if parents[1:] and session.commit(after).parents != parents:
            continue  # One side had nothing that the other one lacked.
        names = ("id", "v", "w")
        session._connection.use(after)
        rows = session._connection.rows("select id, v, w from t")
        account.add(after, parents, {row[0]: dict(zip(names, row, strict=True)) for row in rows}, "vw")
    for branch in (main, side):
        check(session, account, branch, {1: {"id": 1}, 2: {"id": 2}}, {"v": "v", "w": "w"})


RESHAPED = st.lists(
    st.tuples(
        st.sampled_from(
            ["set", "set", "remove", "add", "column", "default", "drop", "rename", "swap", "key", "key name"]
        ),
        st.integers(1, 2),
        st.integers(0, 9),
    ),
    min_size=4,
    max_size=14,
)


@DRAWN
@example(steps=[("key", 1, 1), ("remove", 1, 0), ("key name", 1, 0), ("key", 1, 0)])
@given(steps=RESHAPED)
def test_rows_of_a_table_whose_columns_and_key_change(session: Session, steps: list[tuple[Any, ...]]) -> None:
    branch, account = line(session), Account()
    key_name, keys = "id", ["id"]
    names = {"v": "v"}
    state: State = {1: {"id": 1, "z": 10, "v": 0}}
    create = "create table t (id int primary key, z int not null, v int)"
    before = commit(session, create, "insert into t values (1, 10, 0)", branch=branch)
    account.add(before, (), state, names)
    for number, (kind, key, value) in enumerate(steps):
        column = list(names)[value % len(names)] if names else None
        statements = []
        if kind == "set" and column is not None:
            statements = [f"update t set {names[column]} = {value} where {key_name} = {key}"]
            if key in state:
                state[key][column] = value
        elif kind == "remove":
            statements = [f"delete from t where {key_name} = {key}"]
            state.pop(key, None)
        elif kind == "add" and key not in state:
            statements = [f"insert into t ({key_name}, z) values ({key}, {key * 10})"]
            state[key] = {"id": key, "z": key * 10}
            for name in names:
                state[key][name] = 7 if name.startswith("default") else None
        elif kind in ("column", "default"):
            new = f"{kind}{number}"
            statements = [f"alter table t add column {new} int {'default 7' if kind == 'default' else ''}"]
            names[new] = new
            for row in state.values():
                row[new] = 7 if kind == "default" else None
        elif kind == "drop" and column is not None:
            statements = [f"alter table t drop column {names.pop(column)}"]
            for row in state.values():
                row.pop(column, None)
        elif kind == "rename" and column is not None:
            statements = [f"alter table t rename column {names[column]} to r{number}"]
            names[column] = f"r{number}"
        elif kind == "swap" and len(names) > 1:
            other = list(names)[value % len(names) - 1]
            statements = swap(names[str(column)], names[other])
            names[str(column)], names[other] = names[other], names[str(column)]
        elif kind == "key":
            keys = ["z"] if keys == ["id"] and value % 2 else ["id", "z"] if keys == ["id"] else ["id"]
            spelled = ", ".join(key_name if name == "id" else name for name in keys)
            statements = ["alter table t drop primary key", f"alter table t add primary key ({spelled})"]
        elif kind == "key name":
            statements = [f"alter table t rename column {key_name} to k{number}"]
            key_name = f"k{number}"
        after = commit(session, *statements, branch=branch)
        account.add(after, (before,), state, names)
        before = after
    wanted = {
        key: {key_name if name == "id" else name: key if name == "id" else key * 10 for name in keys} for key in (1, 2)
    }
    check(session, account, branch, wanted, names)
