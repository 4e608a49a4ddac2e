"""What `--at`, `--since` and `--until` take: commits, names of commits, and dates in any zone."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest
from conftest import dolt, make_database
from dated import commit, dated_database, run_message
from flows.harness import world
from hypothesis import example, given
from hypothesis import strategies as st

from doltflow.cli import main
from doltflow.errors import RefNotFoundError, RunNotFoundError, UsageError
from doltflow.model.moment import looks_like_moment, parse_moment, parse_span
from doltflow.runs import runs
from doltflow.sources.dolt import Database, Session
from doltflow.trace import trace
from doltflow.workspace.at import resolve_at

# Rules, not names: they hold without a database of zones. The last one changes its clocks at midnight.
ZONES = ["UTC0", "CET-1CEST,M3.5.0,M10.5.0/3", "EST5EDT,M3.2.0,M11.1.0", "NPT-5:45", "EET-2EEST,M4.5.5/0,M10.5.4/24"]
HOW = "Write it as 2026-03-01, `2026-03-01 12:00` or 2026-03-01T12:00:00Z."
TICK = timedelta(microseconds=1)

days = st.dates(date(1990, 1, 1), date(2030, 12, 31))
zones = st.sampled_from(ZONES)
offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@pytest.fixture
def _zone() -> Iterator[None]:
    before = os.environ.get("TZ")
    yield
    live_in(before)


def live_in(zone: str | None) -> None:
    if zone is None:
        os.environ.pop("TZ", None)
    else:
        os.environ["TZ"] = zone
    time.tzset()


# Dates


@pytest.mark.usefixtures("_zone")
@given(day=days, zone=zones)
@example(day=date(2000, 4, 27), zone=ZONES[-1])  # The next day begins at one o'clock,
@example(day=date(2000, 4, 28), zone=ZONES[-1])  # as this one does.
def test_a_date_alone_is_a_day_of_the_users_zone(day: date, zone: str) -> None:
    live_in(zone)
    first, last = (parse_moment(day.isoformat(), end=end) for end in (False, True))
    assert [moment.astimezone().date() for moment in (first, last)] == [day, day]
    before, after = ((moment + step).astimezone().date() for moment, step in ((first, -TICK), (last, TICK)))
    assert (before, after) == (day - timedelta(days=1), day + timedelta(days=1))


@pytest.mark.usefixtures("_zone")
@given(moment=st.datetimes(datetime(1990, 1, 1), datetime(2030, 12, 31)), zone=zones, end=st.booleans())
def test_a_time_without_a_zone_is_the_users(moment: datetime, zone: str, end: bool) -> None:
    live_in(zone)
    expected = moment.astimezone(UTC)
    for text in (moment.isoformat(), moment.isoformat(" "), f"  {moment.isoformat(' ')} "):
        assert parse_moment(text, end=end) == expected


@pytest.mark.usefixtures("_zone")
@given(moment=st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=offsets), zone=zones)
def test_a_zone_in_the_text_counts_wherever_the_user_is(moment: datetime, zone: str) -> None:
    live_in(zone)
    for text in (moment.isoformat(), moment.isoformat(" ")):
        assert parse_moment(text, end=True) == moment
    assert parse_moment(moment.astimezone(UTC).isoformat().replace("+00:00", "Z"), end=False) == moment


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-01 12:00:00 +0200", datetime(2026, 3, 1, 10, tzinfo=UTC)),
        ("2026-03-01 12:00 Z", datetime(2026, 3, 1, 12, tzinfo=UTC)),
        ("2026-03-01 12:00 -05:30", datetime(2026, 3, 1, 17, 30, tzinfo=UTC)),
    ],
)
def test_a_zone_apart_from_the_time(text: str, expected: datetime) -> None:
    assert parse_moment(text, end=True) == expected


@pytest.mark.usefixtures("_zone")
@pytest.mark.parametrize("zone", ZONES)
def test_the_ends_of_the_calendar(zone: str) -> None:
    live_in(zone)
    last = parse_moment("9999-12-31", end=True)
    assert timedelta() <= datetime.max.replace(tzinfo=UTC) - last <= timedelta(days=1)
    first = parse_moment("0001-01-01", end=False)
    assert timedelta() <= first - datetime.min.replace(tzinfo=UTC) <= timedelta(days=1)


@given(text=st.text() | st.from_regex(r"\A\d{4}-\d{2}-\d{2}.{0,12}\Z"), end=st.booleans())
def test_any_text_is_a_moment_or_wrong_usage(text: str, end: bool) -> None:
    moment: datetime | None = None
    with suppress(UsageError):
        moment = parse_moment(text, end=end)
    assert moment is None or (moment.tzinfo is UTC and looks_like_moment(text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "`` is not a date."),
        ("march", "`march` is not a date."),
        ("20260301", "`20260301` is not a date."),
        ("2026-02-30", "`2026-02-30` is not a date: day is out of range for month."),
        ("2026-03-01 25:00", "`2026-03-01 25:00` is not a date: hour must be in 0..23."),
    ],
)
def test_what_is_no_date(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_moment(text, end=True)
    assert caught.value.message == message


@given(first=days, last=days)
def test_a_span_is_of_whole_days_in_their_order(first: date, last: date) -> None:
    texts = first.isoformat(), last.isoformat()
    if first <= last:
        assert parse_span(*texts) == (parse_moment(texts[0], end=False), parse_moment(texts[1], end=True))
    else:
        with pytest.raises(UsageError, match="is after"):
            parse_span(*texts)
    assert parse_span(None, None) == (None, None)


# Commits


@dataclass(frozen=True)
class Past:
    """A database with a merge, a commit that is dated before its parent, and branches that are called like dates.

    Attributes:
        way: Hash and date of the commits that `main` was at, newest first.
    """

    session: Session
    folder: Path
    hashes: dict[str, str]
    way: list[tuple[str, datetime]]


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Past]:
    with world(tmp_path_factory.mktemp("past")) as here:
        folder = dated_database(here.folder / "prices", "2026-01-01T00:00:00Z")
        hashes = {"start": commit(folder, "2026-01-10T12:00:00Z", "One", "create table t (id int primary key)")}
        dolt(folder, "branch", "side")
        hashes["side"] = commit(folder, "2026-01-15T00:00:00Z", "Side", "insert into t values (1)", branch="side")
        hashes["two"] = commit(folder, "2026-01-20T00:00:00Z", "Two", "create table u (id int primary key)")
        merge = "call dolt_merge('side', '--no-ff', '-m', 'Merge', '--author', 'Eve <e@x>')"
        dolt(folder, "sql", stdin=f"call dolt_checkout('main');\n{merge}")
        hashes["merge"] = commit(folder, "2026-02-01T00:00:00Z", "Merged", "insert into t values (2)")
        hashes["late"] = commit(folder, "2026-03-01T23:59:59Z", "Late", "insert into t values (3)")
        hashes["back"] = commit(folder, "2026-02-20T00:00:00Z", "Back", "insert into t values (4)")
        dolt(folder, "tag", "v1", hashes["two"])
        dolt(folder, "branch", "2026-02-02", hashes["start"])
        dolt(folder, "tag", "2026-02-03", hashes["two"])
        with Database.at(folder).open() as session:
            found, next_ = [], session.branches()["main"]
            while next_:
                one = session.commit(next_)
                found.append((one.hash, one.date))
                next_ = one.parents[0] if one.parents else ""
            yield Past(session, folder, hashes, found)


@given(moment=st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)))
def test_a_date_is_the_newest_commit_that_the_branch_was_at(past: Past, moment: datetime) -> None:
    aware = moment.replace(tzinfo=UTC)
    expected = next(hash_ for hash_, date in past.way if date <= aware)
    assert resolve_at(past.session, aware.isoformat()) == expected


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("2026-01-10", "start"),
        ("2026-01-10T12:00:00Z", "start"),
        ("2026-01-10 13:00:00+01:00", "start"),
        ("2026-01-17", "start"),  # The side was not merged yet, whatever its commit's date.
        ("2026-01-31", "two"),
        ("2026-02-01", "merge"),
        ("2026-02-19", "merge"),
        ("2026-02-20", "back"),
        ("2026-12-31", "back"),
        ("2026-02-02", "start"),  # The branch.
        ("2026-02-02~0", "start"),
        ("2026-02-03", "two"),  # The tag.
        ("2026-02-02 00:00", "merge"),
        ("HEAD", "back"),
        ("HEAD~2", "merge"),
        ("HEAD^", "late"),
        ("main~1", "late"),
        ("side", "side"),
        ("v1", "two"),
        ("v1~1", "start"),
    ],
)
def test_what_names_a_commit(past: Past, text: str, name: str) -> None:
    assert resolve_at(past.session, text) == past.hashes[name]


def test_a_hash_and_the_beginning_of_one(past: Past) -> None:
    for hash_ in past.hashes.values():
        assert resolve_at(past.session, hash_) == hash_
        assert resolve_at(past.session, hash_[:10]) == hash_


def test_before_a_commit_by_a_tick(past: Past) -> None:
    assert resolve_at(past.session, "2026-01-10T11:59:59.999999Z") == past.way[-1][0]


def test_head_is_that_of_the_branch_that_is_checked_out_in_the_folder(past: Past) -> None:
    state = past.folder / ".dolt" / "repo_state.json"
    before = state.read_text()
    state.write_text(json.dumps(json.loads(before) | {"head": "refs/heads/side"}))
    try:
        assert resolve_at(past.session, "HEAD") == past.hashes["side"]
        assert resolve_at(past.session, "HEAD~1") == past.hashes["start"]
        assert resolve_at(past.session, "2026-12-31") == past.hashes["side"]
    finally:
        state.write_text(before)


def test_before_the_first_commit(past: Past) -> None:
    first = past.way[-1][0]
    with pytest.raises(RefNotFoundError) as caught:
        resolve_at(past.session, "2025-12-31T00:00:00Z")
    local = [datetime(*day, tzinfo=UTC).astimezone().isoformat(sep=" ") for day in ((2025, 12, 31), (2026, 1, 1))]
    assert str(caught.value) == (
        f"`prices` has no commit at or before {local[0]}: its first is {first} of {local[1]}. Give a later date."
    )


@pytest.mark.parametrize("text", ["0001-01-01", "9999-12-31"])
def test_dates_at_the_ends_of_the_calendar(past: Past, text: str) -> None:
    if text < "1":
        with pytest.raises(RefNotFoundError, match="its first is"):
            resolve_at(past.session, text)
    else:
        assert resolve_at(past.session, text) == past.hashes["back"]


@pytest.mark.parametrize(
    "text",
    ["nope", "HEAD~99", "HEADS", "", " ", "it's", "`", "2026", "a; drop table t", "größe", "-D", "~1", "HEAD\x00"],
)
def test_what_names_nothing(past: Past, text: str) -> None:
    with pytest.raises(RefNotFoundError, match="has no branch, tag or commit"):
        resolve_at(past.session, text)


def test_what_looks_like_a_date_and_is_none(past: Past) -> None:
    with pytest.raises(RefNotFoundError) as caught:
        resolve_at(past.session, "2026-02-30")
    assert caught.value.message == "`prices` has no branch, tag or commit `2026-02-30`."
    assert caught.value.hint == f"`2026-02-30` is not a date: day is out of range for month. {HOW}"


# In commands


def test_an_error_names_every_database_that_lacks_the_ref(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("one", "two"):
        make_database(Path(name), "create table t (id int primary key)")
    assert main(["trace", "t", "--at", "nope"]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    lacks = "has no branch, tag or commit `nope`."
    assert err == f"error: `one` {lacks} `two` {lacks}\nThere is `main`.\n"


def test_trace_at_a_date(past: Past) -> None:
    for text, name in (("2026-01-31", "start"), ("2026-02-20", "back"), ("HEAD~1", "late")):
        assert trace("t", at=text, folder=past.folder).target == f"prices/t@{past.hashes[name]}"


# Runs


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with world(tmp_path_factory.mktemp("ran")) as here:
        folder = dated_database(here.folder / "made", "2026-01-01T00:00:00Z")
        dolt(folder, "sql", "-q", "create table t (id int primary key)")
        for number, day in enumerate(("2026-01-10T09:00:00Z", "2026-01-20T09:00:00Z", "2026-02-01T09:00:00Z")):
            message = run_message(f"Flow/{number}/start/1", "t")
            commit(folder, day, message, f"insert into t values ({number})")
        yield here.folder


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ["2", "1", "0"]),
        ({"since": "2026-01-20"}, ["2", "1"]),
        ({"since": "2026-01-20T09:00:00.000001Z"}, ["2"]),
        ({"until": "2026-01-20"}, ["1", "0"]),
        ({"until": "2026-01-20T08:59:59Z"}, ["0"]),
        ({"since": "2026-01-11", "until": "2026-01-31"}, ["1"]),
        ({"since": "2026-01-20T09:00:00Z", "until": "2026-01-20T09:00:00Z"}, ["1"]),
        ({"until": "2026-01-31", "limit": 1}, ["1"]),
        ({"since": "2027-01-01"}, []),
    ],
)
def test_runs_of_a_time(ran: Path, options: dict[str, str], expected: list[str]) -> None:
    assert [run.run_id for run in runs(folder=ran, **options).runs] == expected  # type: ignore[arg-type]


def test_runs_of_dates_that_make_no_sense(ran: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RunNotFoundError):
        runs(folder=ran, flow="Nope", since="2026-01-01")
    assert main(["runs", "--since", "2026-02-01", "--until", "2026-01-01"]) == 2
    said = "error: `2026-02-01` is after `2026-01-01`.\nGive the earlier date to `--since`.\n"
    assert capsys.readouterr() == ("", said)
    assert main(["runs", "--until", "soon", "--output", "json"]) == 2
    error = {"code": "usage", "message": "`soon` is not a date.", "hint": HOW}
    assert json.loads(capsys.readouterr().out) == {"schema": "doltflow.error/1", "error": error}


def test_no_run_of_a_time(ran: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ran)
    assert main(["runs", "--since", "2027-01-01", "--until", "2027-02-01"]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    said = "No run since 2027-01-01 until 2027-02-01 has read or written a table in Dolt here."
    assert err.splitlines()[-1] == said
