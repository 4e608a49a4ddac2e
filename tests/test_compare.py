"""Two versions of a table compared, under whatever name a record has for it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import dolt, head, make_database

from doltflow.compare import compare_table
from doltflow.sources.dolt import Database


@pytest.mark.parametrize("spell", [str.lower, str.upper])
def test_a_table_is_found_however_a_record_spells_it(tmp_path: Path, spell: Callable[[str], str]) -> None:
    folder = make_database(
        tmp_path / "numbers", "create table a (id int primary key, v int)", "insert into a values (1, 10), (2, 20)"
    )
    first = head(folder)
    dolt(folder, "sql", "-q", "update a set v = 1 where id = 1; insert into a values (3, 30); create table b (id int)")
    dolt(folder, "sql", "-q", "call dolt_commit('-Am', 'More')")
    last = head(folder)
    pairs = {"changed": ("a", first, last), "same": ("a", last, last), "new": ("b", first, last)}
    pairs |= {"gone": ("b", last, first), "never": ("c", first, last)}
    with Database.at(folder).open() as session:
        found = {name: compare_table(session, spell(table), *at) for name, (table, *at) in pairs.items()}
    assert {name: (v.table.lower(), v.verdict, v.added, v.removed, v.modified) for name, v in found.items()} == {
        "changed": ("a", "different", 1, 0, 1),
        "same": ("a", "identical", 0, 0, 0),
        "new": ("b", "different", None, None, None),
        "gone": ("b", "missing", None, None, None),
        "never": ("c", "missing", None, None, None),
    }
    assert [found[name].table for name in ("changed", "same", "new", "gone")] == ["a", "a", "b", "b"]


def test_a_new_column_modifies_no_row(tmp_path: Path) -> None:
    folder = make_database(
        tmp_path / "numbers", "create table a (id int primary key, v int)", "insert into a values (1, 10), (2, 20)"
    )
    first = head(folder)
    dolt(folder, "sql", "-q", "alter table a add column w int default 5; update a set v = 11 where id = 1; "
         "insert into a values (3, 30, 3); call dolt_commit('-am', 'Wider')")  # fmt: skip
    with Database.at(folder).open() as session:
        found = compare_table(session, "a", first, head(folder))
    assert (found.verdict, found.added, found.removed, found.modified) == ("different", 1, 0, 1)
    assert found.columns == ("w", "v")
