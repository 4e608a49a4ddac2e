"""Which commit made a table what it is, what a ref stands for, and which commits there are."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from writing import AUTHOR, opened, sql

from doltflow.errors import RefNotFoundError, TableNotFoundError
from doltflow.model.pathspec import Pathspec
from doltflow.sources.dolt import Session, refs


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with opened(tmp_path_factory.mktemp("history")) as session:
        yield session


def commit(session: Session, *statements: str, branch: str = "main", message: str = "by hand") -> str:
    """A commit of all that the statements change on a branch."""
    sql(session, *statements, branch=branch)
    session._connection.use(branch)
    return str(
        session._connection.value("call dolt_commit('--allow-empty', '-Am', %s, '--author', %s)", [message, AUTHOR])
    )


def start(session: Session, *tables: str) -> tuple[str, str]:
    """A branch of its own for a test, and the commit that made its tables."""
    count = len(session.branches())
    name = f"line{count}"
    sql(session, f"call dolt_branch('{name}', 'main')")
    made = commit(session, *(f"create table `{table}` (id int primary key, v int)" for table in tables), branch=name)
    return name, made


def fork(session: Session, branch: str) -> str:
    name = f"{branch}-side{len(session.branches())}"
    sql(session, f"call dolt_branch('{name}', '{branch}')")
    return name


def merge(session: Session, side: str, branch: str, *options: str) -> str:
    """Merges a branch into another; the head that it has then."""
    arguments = ", ".join(f"'{argument}'" for argument in (side, *options))
    sql(session, f"call dolt_merge({arguments})", branch=branch)
    return session.branches()[branch]


# The commit that last changed a table


def test_commits_that_change_other_tables_are_passed_over(session: Session) -> None:
    line, made = start(session, "t", "u")
    changed = commit(session, "insert into t values (1, 1)", branch=line)
    commit(session, "insert into u values (1, 1)", branch=line)
    head = commit(session, branch=line, message="nothing")
    assert session.last_change("t", head) == changed
    assert session.last_change("t", changed) == changed
    assert session.last_change("t", made) == made
    assert session.last_change("u", changed) == made


def test_a_schema_alone_is_a_change(session: Session) -> None:
    line, _ = start(session, "t")
    changed = commit(session, "alter table t add column w int", branch=line)
    assert session.last_change("t", session.resolve(line)) == changed


def test_through_a_fast_forward(session: Session) -> None:
    line, _ = start(session, "t")
    side = fork(session, line)
    changed = commit(session, "insert into t values (1, 1)", branch=side)
    assert merge(session, side, line) == changed
    assert session.last_change("t", session.resolve(line)) == changed


@pytest.mark.parametrize("into", ["line", "side"])
def test_through_a_merge_that_took_one_side(session: Session, into: str) -> None:
    line, made = start(session, "t", "u", "w")
    side = fork(session, line)
    of_side = commit(session, "insert into t values (1, 1)", branch=side)
    of_line = commit(session, "insert into u values (1, 1)", branch=line)
    target, source = (line, side) if into == "line" else (side, line)
    head = merge(session, source, target)
    assert len(session.commit(head).parents) == 2
    later = commit(session, branch=target, message="later")
    for at in (head, later):
        assert session.last_change("t", at) == of_side
        assert session.last_change("u", at) == of_line
        assert session.last_change("w", at) == made


def test_a_merge_of_both_sides_is_the_change_itself(session: Session) -> None:
    line, _ = start(session, "t", "u")
    side = fork(session, line)
    commit(session, "insert into t values (1, 1)", branch=side)
    commit(session, "insert into t values (2, 2)", branch=line)
    head = merge(session, side, line)
    later = commit(session, "insert into u values (1, 1)", branch=line)
    assert session.last_change("t", head) == session.last_change("t", later) == head


def test_back_to_earlier_content_is_a_change(session: Session) -> None:
    line, made = start(session, "t")
    commit(session, "insert into t values (1, 1)", branch=line)
    back = commit(session, "delete from t", branch=line)
    assert session.table_hash("t", back) == session.table_hash("t", made)
    assert session.last_change("t", back) == back


def test_what_another_branch_did_and_took_back_is_no_change(session: Session) -> None:
    line, made = start(session, "t")
    side = fork(session, line)
    commit(session, "insert into t values (1, 1)", branch=side)
    back = commit(session, "delete from t", branch=side)
    commit(session, branch=line, message="so that it is a merge")
    head = merge(session, side, line)
    assert session.last_change("t", back) == back
    assert session.last_change("t", head) == made


def test_the_same_change_on_both_sides_is_that_of_the_branch(session: Session) -> None:
    line, _ = start(session, "t")
    side = fork(session, line)
    of_side = commit(session, "insert into t values (1, 1)", branch=side, message="on the side")
    of_line = commit(session, "insert into t values (1, 1)", branch=line, message="on the line")
    assert session.last_change("t", merge(session, side, line)) == of_line
    assert session.last_change("t", of_side) == of_side


def test_through_many_merges(session: Session) -> None:
    line, _ = start(session, "t", "u")
    changed = commit(session, "insert into t values (1, 1)", branch=line)
    for n in range(3):
        side, second = fork(session, line), fork(session, line)
        commit(session, f"insert into u values ({n}, 1)", branch=side)
        commit(session, f"insert into u values ({n + 10}, 1)", branch=second)
        merge(session, second, side)
        commit(session, branch=line, message="beside")
        merge(session, side, line)
    head = session.resolve(line)
    assert session.last_change("t", head) == changed
    assert len(session.commit(session.last_change("u", head)).parents) == 2


def test_a_merge_that_brings_a_table_is_passed_through(session: Session) -> None:
    line, _ = start(session, "u")
    side = fork(session, line)
    made = commit(session, "create table brought (id int primary key)", branch=side)
    commit(session, "insert into u values (1, 1)", branch=line)
    assert session.last_change("brought", merge(session, side, line)) == made


def test_a_table_that_was_dropped_and_made_again(session: Session) -> None:
    line, made = start(session, "t")
    gone = commit(session, "drop table t", branch=line)
    with pytest.raises(TableNotFoundError, match=rf"`db` has no table `t` at commit {gone}"):
        session.last_change("t", gone)
    again = commit(session, "create table t (id int primary key, v int)", branch=line)
    later = commit(session, branch=line)
    assert session.last_change("t", later) == again
    assert session.last_change("t", made) == made


def test_a_table_that_was_renamed(session: Session) -> None:
    line, _ = start(session, "t")
    commit(session, "insert into t values (1, 1)", branch=line)
    renamed = commit(session, "rename table t to t2", branch=line)
    assert session.last_change("t2", renamed) == renamed


def test_a_branch_that_was_renamed(session: Session) -> None:
    line, made = start(session, "t")
    sql(session, f"call dolt_branch('-m', '{line}', 'new-name')")
    head = commit(session, branch="new-name")
    assert session.resolve("new-name") == head
    assert session.last_change("t", head) == made
    with pytest.raises(RefNotFoundError):
        session.resolve(line)


@pytest.mark.parametrize("name", ["a,b", "-x", "--parents", "a b", "it's", "main"])
def test_names_of_tables(session: Session, name: str) -> None:
    line, made = start(session, "u", name)
    changed = commit(session, f"insert into `{name}` values (1, 1)", branch=line)
    head = commit(session, "insert into u values (1, 1)", branch=line)
    assert session.last_change(name, head) == changed
    assert session.last_change(name, made) == made
    side = fork(session, line)
    there = commit(session, f"insert into `{name}` values (2, 2)", branch=line)
    aside = commit(session, f"insert into `{name}` values (3, 3)", branch=side)
    both = merge(session, side, line)
    away = commit(session, f"alter table `{name}` rename to `away`", branch=line)
    commit(session, "alter table u add column w int", branch=line)
    again = commit(session, f"create table `{name}` (id int primary key)", branch=line)
    changes = [again, away, both, aside, there, changed, made]
    found = session.changes(name, session.branch_head(line))
    assert (sorted(found), found[:3], found[5:]) == (sorted(changes), changes[:3], changes[5:])
    assert set(session.touching(name)) == set(changes)
    assert session.lacking(name, again, found) == {away}


# Refs


def test_what_a_ref_stands_for(session: Session) -> None:
    line, first = start(session, "t")
    second = commit(session, "insert into t values (1, 1)", branch=line)
    side = fork(session, line)
    third = commit(session, "insert into t values (2, 2)", branch=line)
    other = commit(session, "insert into t values (3, 3)", branch=side)
    merged = merge(session, side, line)
    sql(session, f"call dolt_tag('v1.0-final', '{second}')", f"call dolt_tag('{side}', '{first}')")
    sql(session, f"call dolt_branch('abcdef0', '{first}')")
    spellings = {
        merged: [line, merged, merged[:6], merged[:31], f"{line}~0", f"{merged}^0"[:-2]],
        third: [f"{line}~", f"{line}~1", f"{line}^", f"{line}^1", f"{merged[:8]}~1"],
        other: [side, f"{line}^2"],  # a branch goes before a tag
        second: ["v1.0-final", f"{line}~2", f"{line}^2~1", f"{line}^2^", f"{third}^"],
        first: [f"{line}~3", "v1.0-final~1", "abcdef0"],  # and before what could be a commit
        session.branches()["main"]: ["main", "HEAD"],
    }
    assert {hash_: [session.resolve(ref) for ref in refs] for hash_, refs in spellings.items()} == {
        hash_: [hash_] * len(refs) for hash_, refs in spellings.items()
    }


@pytest.mark.parametrize(
    ("ref", "hint"),
    [
        ("mian", "Did you mean `main`?"),
        ("MAIN2", "Did you mean `main`"),
        ("v9.9-beta2", "Did you mean `v9.9-beta`?"),
        ("main~9999", "`main` is there, but nothing at `~9999` of it."),
        ("main^2", "`main` is there, but nothing at `^2` of it."),
        ("main~x", "`main` is there, but nothing at `~x` of it."),
        ("mian~1", "Did you mean `main`"),
        ("0" * 32, ""),
        ("0" * 31, ""),
        ("", ""),
        ("'; drop table t; --", ""),
        ("a\nb", ""),
        ("WORKING", ""),
        ("%s", ""),
    ],
)
def test_a_ref_that_is_not_there(session: Session, ref: str, hint: str) -> None:
    session._connection.use()  # It may be the first test of its process.
    if "v9.9-beta" not in refs.tags(session._connection):
        sql(session, "call dolt_tag('v9.9-beta', 'main')")
    with pytest.raises(RefNotFoundError, match=re.escape(f"`db` has no branch, tag or commit `{ref}`. {hint}")):
        session.resolve(ref)


def test_a_prefix_that_fits_several_commits(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    line, _ = start(session)
    hashes = [commit(session, branch=line, message=f"number {n}") for n in range(33)]
    monkeypatch.setattr(refs, "_PREFIX", re.compile(r"[0-9a-v]{1,31}"))
    known = [one.hash for one in session.log()]
    first = next(hash_[0] for hash_ in hashes if sum(other[0] == hash_[0] for other in known) > 1)
    with pytest.raises(
        RefNotFoundError, match=rf"`{first}` fits several commits of `db`: {first}\w+, {first}\w+.*Give more"
    ):
        session.resolve(first)
    with pytest.raises(RefNotFoundError, match=r"fits several commits"):
        session.resolve(f"{first}~1")


def test_what_there_is(session: Session) -> None:
    line, made = start(session, "Prices", "hospitals")
    head = commit(session, "insert into Prices values (1, null), (2, 5)", branch=line)
    assert session.branch_head(line) == head
    assert [session.has_commit(ref) for ref in (head, "0" * 32, "main", head[:31])] == [True, False, False, False]
    assert (session.tables(head), session.find_table("prices", head)) == (["Prices", "hospitals"], "Prices")
    assert (session.row_count("Prices", head), session.row_count("Prices", made)) == (2, 0)
    assert session.column_names("Prices", head) == ["id", "v"]
    assert session.table_hash("Prices", made) != session.table_hash("Prices", head)
    assert session.table_hash("nope", head) is None
    with pytest.raises(
        TableNotFoundError, match=rf"`db` has no table `price` at commit {head}. Did you mean `Prices`\?"
    ):
        session.find_table("price", head)
    with pytest.raises(RefNotFoundError, match=r"`db` has no branch `lime\d+`. Did you mean `line"):
        session.branch_head(line.replace("n", "m"))
    with pytest.raises(RefNotFoundError, match=r"`db` has no commit"):
        session.commit("0" * 32)


def test_what_differs_between_two_commits(session: Session) -> None:
    line, made = start(session, "t'x")
    before = commit(session, "insert into `t'x` values (1, 1), (2, 2)", branch=line)
    after = commit(session, "update `t'x` set v = 20 where id = 2", "insert into `t'x` values (3, null)", branch=line)
    rows = session.diff("t'x", before, after).select(["to_id", "to_v", "from_id", "from_v", "diff_type"]).to_pylist()
    assert [tuple(row.values()) for row in rows] == [(2, 20, 2, 2, "modified"), (3, None, None, None, "added")]
    assert session.diff("t'x", made, made).num_rows == 0


# The log


def test_the_log_has_every_branch_and_each_commit_once(session: Session) -> None:
    line, made = start(session, "t")
    side = fork(session, line)
    of_side = commit(session, "insert into t values (1, 1)", branch=side, message="first line\n\nit's a\tbody 😀\n")
    of_line = commit(session, "insert into t values (2, 2)", branch=line)
    merged = merge(session, side, line)
    same_head = fork(session, line)
    assert session.branches()[same_head] == merged
    log = session.log()
    by_hash = {one.hash: one for one in log}
    assert len(by_hash) == len(log)
    assert {made, of_side, of_line, merged, *session.branches().values()} <= set(by_hash)
    assert by_hash[merged].parents == (of_line, of_side)
    assert by_hash[of_side].parents == by_hash[of_line].parents == (made,)
    places = {hash_: place for place, hash_ in enumerate(by_hash)}
    assert all(places[one.hash] < places[parent] for one in log for parent in one.parents)
    one = by_hash[of_side]
    assert (one.database, one.message, one.subject) == ("db", "first line\n\nit's a\tbody 😀", "first line")
    assert (one.author, one.email) == ("Bea", "bea@example.com")
    assert one == session.commit(of_side)
    assert datetime.now(UTC) - one.date < timedelta(hours=1)


def test_commits_of_a_task(session: Session) -> None:
    line, _ = start(session, "t")
    first = commit(session, branch=line, message="Run: Flow/1/step/2\n\nDoltflow-Version: 1\nDoltflow-Attempt: 0")
    for subject in (
        "Run: Flow/1/step/22",
        "Run: Flow/1/step/2 again",
        "run: Flow/1/step/2",
        "Run: Flow/1/step",
        "by hand",
    ):
        commit(session, branch=line, message=subject)
    side = fork(session, line)
    second = commit(session, branch=line, message="Run: Flow/1/step/2\n\nDoltflow-Version: 1\nDoltflow-Attempt: 1")
    commit(session, branch=side, message="Run: Flow/1/step/2")
    found = session.commits_of_task(Pathspec("Flow", "1", "step", "2"), line)
    assert [(one.hash, one.run and one.run.attempt, one.database) for one in found] == [
        (second, 1, "db"),
        (first, 0, "db"),
    ]
    assert session.commits_of_task(Pathspec("Flow", "9", "step", "2"), line) == []
    with pytest.raises(RefNotFoundError, match="`db` has no commit or branch nope"):
        session.commits_of_task(Pathspec("Flow", "1", "step", "2"), "nope")
