"""Long differences come piece by piece, by whichever reader: nothing is lost, doubled or left behind."""

from collections.abc import Iterator

import pyarrow as pa
import pytest
from pairs import Databases, between, commit, databases, side

from doltflow.compare.changed import Asked, Comparison
from doltflow.compare.summary import summarise
from doltflow.sources.dolt import Session, stream

ROWS, MOVED, NEVER = 30_000, 2_500, 10**9
READERS = {"plain": (NEVER, NEVER), "bulk": (1_000, NEVER), "bulk, then relay": (1_000, 23_000)}
"""From how many rows on the bulk reader is asked, and for how many."""
COLUMNS = "v double not null, n decimal(40,4), d date, t datetime(6) not null, s varchar(20) not null, b bit(8)"
DIGITS = (
    "(select 0 as d union all select 1 union all select 2 union all select 3 union all select 4 union all select 5 \
union all select 6 union all select 7 union all select 8 union all select 9)"
)
NUMBERS = "(select a.d + 10 * b.d + 100 * c.d + 1000 * e.d + 10000 * f.d as k from {0} a, {0} b, {0} c, {0} e, {0} f)"
INSERT = (
    "insert into {table} select k + {first}, k / 7, if(k % 3, k / 8, null), if(k % 5, '2020-02-29', null), "
    "'2020-02-29 12:34:56.789', concat('é', k % 11), if(k % 2, k % 256, null) "
    f"from {NUMBERS.format(DIGITS)} as numbers where k < {ROWS}"
)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    with databases(tmp_path_factory.mktemp("streams")) as found:
        yield found


@pytest.fixture(scope="module")
def ends(places: Databases) -> tuple[str, str]:
    """Commits between which 2,500 rows were removed, 2,500 added, and all others modified."""
    before, after = filled(places.both, 0), filled(places.both, MOVED)
    filled(places.left, 0)
    filled(places.right, MOVED)
    return before, after


def filled(session: Session, first: int) -> str:
    return commit(
        session,
        f"create table if not exists t (k int primary key, {COLUMNS})",
        "delete from t",
        INSERT.format(table="t", first=first),
    )


def read(of: Comparison, reader: str) -> tuple[pa.Table, list[int]]:
    """All rows that differ, and how many each piece has."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "BULK_ROWS", READERS[reader][0])
        patch.setattr(stream, "BULK_MOST", READERS[reader][1])
        pieces = [changed.rows for changed in of.changed()]
        return pa.concat_tables(pieces).combine_chunks(), [piece.num_rows for piece in pieces]


def keys(rows: pa.Table) -> list[int]:
    return [
        new if old is None else old
        for old, new in zip(rows["from_k"].to_pylist(), rows["to_k"].to_pylist(), strict=True)
    ]


def test_both_readers_give_the_same(places: Databases, ends: tuple[str, str]) -> None:
    of = between(places.both, "t", *ends)
    rows, _ = read(of, "plain")
    assert keys(rows) == list(range(ROWS + MOVED))
    for reader in ("bulk", "bulk, then relay"):
        again, pieces = read(of, reader)
        assert again.equals(rows)
        assert max(pieces) <= stream.BATCH_ROWS
    told = summarise(of, 3)
    assert (told.added, told.removed, told.modified) == (MOVED, MOVED, ROWS - MOVED)
    v = told.columns[0]
    assert (v.name, v.changed, v.count) == ("v", ROWS - MOVED, ROWS - MOVED)
    assert v.median == pytest.approx(-MOVED / 7)
    assert v.mean == pytest.approx(-MOVED / 7)


@pytest.mark.parametrize("reader", READERS)
def test_a_predicate_is_kept_by_either_reader(places: Databases, ends: tuple[str, str], reader: str) -> None:
    rows, _ = read(between(places.both, "t", *ends, Asked("k % 2 = 0")), reader)
    assert keys(rows) == list(range(0, ROWS + MOVED, 2))


def test_two_databases_are_read_by_both_readers(places: Databases, ends: tuple[str, str]) -> None:
    rows, _ = read(between(places.both, "t", *ends), "bulk")
    for reader in READERS:
        again, pieces = read(apart(places), reader)
        assert again.equals(rows)
        assert max(pieces) <= 2 * stream.BATCH_ROWS


def apart(places: Databases) -> Comparison:
    """The same two versions, each in a database of its own."""
    return Comparison(*(side(one, "t", one.resolve("main")) for one in (places.left, places.right)))


def test_dates_that_the_bulk_reader_cannot_read(places: Databases, ends: tuple[str, str]) -> None:
    session = places.both
    early = commit(
        session, "update t set d = '0999-12-31' where k = 22000", "update t set t = '0001-01-01' where k = 25000"
    )
    of = between(session, "t", ends[0], early)
    rows, _ = read(of, "plain")
    assert keys(rows) == list(range(ROWS + MOVED))
    for reader in ("bulk", "bulk, then relay"):
        assert read(of, reader)[0].equals(rows)


@pytest.mark.parametrize("reader", READERS)
def test_who_stops_leaves_nothing_behind(
    places: Databases, ends: tuple[str, str], reader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "BULK_ROWS", READERS[reader][0])
    monkeypatch.setattr(stream, "BULK_MOST", READERS[reader][1])
    one = between(places.both, "t", *ends)
    two = apart(places)
    for of in (one, two):
        pieces = of.changed()
        first = next(pieces)
        assert keys(first.rows)[:3] == [0, 1, 2]
        assert of.after is not None
        # In the middle of a stream its session answers.
        assert of.after.session.row_count("t", of.after.commit) == ROWS
        pieces.close()
        assert of.after.session.row_count("t", of.after.commit) == ROWS
    assert commit(places.both, "create table if not exists u (k int primary key)") != ends[1]


def test_rows_that_dolt_has_to_sort(places: Databases, ends: tuple[str, str]) -> None:
    retyped = commit(places.both, "alter table t modify k varchar(20) not null")
    without = commit(places.both, "alter table t drop primary key")
    for after, asked, counts in (
        (retyped, Asked(), (MOVED, MOVED, ROWS - MOVED)),
        (without, Asked(columns=("k",)), (MOVED, MOVED, 0)),
    ):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(stream, "BULK_ROWS", 1_000)
            patch.setattr(stream, "BULK_MOST", 23_000)
            found = summarise(between(places.both, "t", ends[0], after, asked), 0)
        assert (found.added, found.removed, found.modified) == counts
