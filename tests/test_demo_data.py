"""The demo: its generated prices, its two databases on the real Dolt, and how it runs a flow."""

import csv
import hashlib
import io
import itertools
import shutil
import statistics
import subprocess
import sys
from collections import defaultdict
from decimal import Decimal
from pathlib import Path

import pytest

from doltflow.demo import ANALYSIS, FLOWS, PRICES, build, demo, make_databases, run_flow
from doltflow.demo.prices import Snapshot, snapshots
from doltflow.demo.run import _environment
from doltflow.errors import DoltflowError, DoltNotFoundError, UsageError

# What `snapshots()` gives on every machine. Other prices make other commits: let it change only on purpose.
DIGEST = "60527fc1c3488590"


def digest(months: list[Snapshot]) -> str:
    return hashlib.sha256("\n".join(map(repr, months)).encode()).hexdigest()[:16]


def dolt(folder: Path, *args: str) -> str:
    return subprocess.run(["dolt", *args], cwd=folder, check=True, capture_output=True, encoding="utf-8").stdout


def query(folder: Path, sql: str) -> list[tuple[str, ...]]:
    return [tuple(row) for row in csv.reader(io.StringIO(dolt(folder, "sql", "-r", "csv", "-q", sql)))][1:]


def commits(folder: Path) -> list[tuple[str, ...]]:
    log = "SELECT commit_hash, committer, email, date, message FROM dolt_log ORDER BY date DESC, commit_hash"
    return query(folder, log)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file, and every empty folder, with its content; but not the statistics that Dolt keeps when it is asked."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in sorted(folder.rglob("*"))
        if (not path.is_dir() or not any(path.iterdir())) and "stats" not in path.parts
    }


@pytest.fixture(scope="session")
def months() -> list[Snapshot]:
    return list(snapshots())


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete demo that no test changes, made where nobody has configured Dolt."""
    home = str(tmp_path_factory.mktemp("home"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", home)
        patch.setenv("DOLT_ROOT_PATH", home)
        folder = tmp_path_factory.mktemp("pristine") / "not" / "there yet"
        made = make_databases(folder)
    assert made.created
    assert made.folder == folder
    return folder


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a file of the user's."""
    folder = tmp_path / "place"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    return folder


@pytest.fixture
def folder(pristine: Path, tmp_path: Path) -> Path:
    """A complete demo that a test may change."""
    return Path(shutil.copytree(pristine, tmp_path / "demo"))


# The generator


def test_prices_are_the_same_everywhere(months: list[Snapshot]) -> None:
    assert months == list(snapshots())
    assert digest(months) == DIGEST
    assert digest(list(snapshots(seed=1))) != DIGEST


def test_months_are_dated_and_described(months: list[Snapshot]) -> None:
    assert [(m.date, m.message) for m in months] == [
        ("2021-01-15T09:00:00Z", "Updating hospitals and prices with changes from prices_2021_01.csv"),
        ("2021-02-15T09:00:00Z", "Updating hospitals and prices with changes from prices_2021_02.csv"),
        ("2021-03-15T09:00:00Z", "Updating prices with changes from prices_2021_03.csv"),
    ]


def test_rows_fit_their_tables(months: list[Snapshot]) -> None:
    for month in months:
        numbers = [h.npi_number for h in month.hospitals]
        keys = [p[:3] for p in month.prices]
        assert numbers == sorted(set(numbers))
        assert keys == sorted(set(keys))
        assert {p.npi_number for p in month.prices} == set(numbers)
        assert all(len(h.state) == 2 and len(h.npi_number) == 10 and len(h.name) <= 255 for h in month.hospitals)
        assert all(len(p.code) <= 64 and len(p.payer) <= 64 and len(p.description) <= 255 for p in month.prices)
        published = [p.price for p in month.prices if p.price is not None]
        assert all(p.as_tuple().exponent == -2 and Decimal(1) < p < Decimal(10**7) for p in published)


def test_history_adds_revises_and_removes(months: list[Snapshot]) -> None:
    assert [len(m.hospitals) for m in months] == [20, 36, 36]
    assert set(months[0].hospitals) < set(months[1].hospitals)
    assert months[1].hospitals == months[2].hospitals  # so that the tables' last changes are two commits
    assert 10_000 < len(months[-1].prices) < 30_000
    for before, after in itertools.pairwise(months):
        old, new = ({p[:3]: p for p in month.prices} for month in (before, after))
        kept = old.keys() & new.keys()
        assert len(new.keys() - old.keys()) > 100
        assert 10 < len(old.keys() - new.keys()) < 0.03 * len(old)
        assert 0.05 * len(old) < sum(old[key] != new[key] for key in kept) < 0.25 * len(old)
        assert {p.code for p in after.prices} > {p.code for p in before.prices}


def test_prices_have_what_makes_real_ones_hard(months: list[Snapshot]) -> None:
    prices = months[-1].prices
    codes = {p.code for p in prices}
    assert "00123" in codes
    assert any(code.startswith("nan,") for code in codes)
    assert any('"' in code for code in codes)
    assert any("®" in code and "," in code for code in codes)
    assert any("'" in p.payer for p in prices)
    assert any(ord(char) > 0xFFFF for p in prices for char in p.description)
    assert any(p.description == "" for p in prices)
    assert any(not h.name.isascii() for h in months[-1].hospitals)
    assert 0.01 < sum(p.price is None for p in prices) / len(prices) < 0.1

    state_of = {h.npi_number: h.state for h in months[-1].hospitals}
    by_group = defaultdict(list)
    for p in prices:
        by_group[p.code, state_of[p.npi_number]].append(p.price)
    assert any(all(price is None for price in group) for group in by_group.values())
    assert by_group["Q2042", "WY"]
    assert by_group["Q2042", "TX"]
    states = defaultdict(set)
    for code, state in by_group:
        states[code].add(state)
    assert sum(len(found) == 1 for found in states.values()) >= 10


# The databases


def test_every_month_is_a_commit_with_exactly_its_rows(pristine: Path, months: list[Snapshot]) -> None:
    log = commits(pristine / PRICES)
    assert [row[1:] for row in log] == [
        *(("Price Loader", "prices@example.com", m.date[:19].replace("T", " "), m.message) for m in reversed(months)),
        ("Price Loader", "prices@example.com", "2021-01-04 09:00:00", "Initialize data repository"),
    ]
    for month, (commit, *_) in zip(reversed(months), log[:3], strict=True):
        hospitals = query(pristine / PRICES, f"SELECT * FROM hospitals AS OF '{commit}' ORDER BY npi_number")
        assert hospitals == list(month.hospitals)
        columns = "npi_number, code, payer, ifnull(price, 'NULL'), ifnull(description, 'NULL')"
        prices = query(pristine / PRICES, f"SELECT {columns} FROM prices AS OF '{commit}' ORDER BY 1, 2, 3")
        assert prices == [(*p[:3], "NULL" if p.price is None else str(p.price), p.description) for p in month.prices]


def test_databases_are_clean_on_main_and_nobodys(pristine: Path) -> None:
    for name in (PRICES, ANALYSIS):
        assert query(pristine / name, "SELECT name FROM dolt_branches") == [("main",)]
        assert query(pristine / name, "SELECT active_branch()") == [("main",)]
        assert query(pristine / name, "SELECT table_name FROM dolt_status") == []
        assert "user." not in (pristine / name / ".dolt" / "config.json").read_text()
    assert [row[4] for row in commits(pristine / ANALYSIS)] == ["Initialize data repository"]
    assert query(pristine / ANALYSIS, "SHOW TABLES") == []
    assert commits(pristine / ANALYSIS)[0][0] != commits(pristine / PRICES)[-1][0]
    assert sorted(path.name for path in pristine.iterdir()) == sorted([PRICES, ANALYSIS, *FLOWS])


def test_another_machine_makes_the_same_commits(
    pristine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "another home").mkdir()
    monkeypatch.setenv("DOLT_ROOT_PATH", str(tmp_path / "another home"))
    dolt(tmp_path, "config", "--global", "--add", "user.name", "Somebody Else")
    dolt(tmp_path, "config", "--global", "--add", "init.defaultbranch", "trunk")
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    monkeypatch.setenv("LC_ALL", "C")
    made = make_databases(tmp_path / "it's here")
    assert commits(made.prices) == commits(pristine / PRICES)
    assert commits(made.analysis) == commits(pristine / ANALYSIS)


def test_flows_are_the_packages_own(pristine: Path) -> None:
    flows = Path(build.__file__).with_name("flows")
    assert sorted(path.name for path in flows.glob("*.py")) == sorted(FLOWS)
    for name, flow in FLOWS.items():
        assert (pristine / name).read_text() == (flows / name).read_text()
        assert f"class {flow}(FlowSpec)" in (pristine / name).read_text()


def test_a_second_call_changes_nothing(folder: Path) -> None:
    before = contents(folder)
    made = make_databases(folder)
    assert not made.created
    assert made.flows == tuple(folder / name for name in FLOWS)
    assert contents(folder) == before


def test_a_second_call_keeps_what_the_user_made(folder: Path) -> None:
    who = ("--author", "User <user@example.com>")
    dolt(folder / PRICES, "sql", "-q", "UPDATE prices SET price = 1.00 WHERE code = '00123'")
    dolt(folder / PRICES, "sql", "-q", f"CALL DOLT_COMMIT('-am', 'Mine', '{who[0]}', '{who[1]}')")
    dolt(folder / PRICES, "checkout", "-b", "experiment", "main~2")
    dolt(folder / PRICES, "sql", "-q", "CREATE TABLE notes (id INT PRIMARY KEY)")
    dolt(folder / ANALYSIS, "branch", "metaflow-backtest")
    flow = folder / "hospital_price_state_medians.py"
    flow.write_text(flow.read_text().replace("median()", "mean()"))
    (folder / "notes.txt").write_text("mine")
    before = contents(folder)

    assert not make_databases(folder).created
    assert contents(folder) == before
    assert query(folder / PRICES, "SELECT active_branch()") == [("experiment",)]


@pytest.mark.parametrize("missing", [PRICES, ANALYSIS, *FLOWS])
def test_what_is_missing_is_made_again(pristine: Path, folder: Path, missing: str) -> None:
    path = folder / missing
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    before = contents(folder)
    assert make_databases(folder).created
    assert contents(folder).items() >= before.items()
    assert contents(folder).keys() >= contents(pristine).keys() - {f for f in contents(pristine) if missing in f}
    for name in (PRICES, ANALYSIS):
        assert commits(folder / name) == commits(pristine / name)
    assert path.exists()


@pytest.mark.parametrize("call", [1, 4, 7])
def test_an_interrupted_build_leaves_nothing_half_made(
    pristine: Path, place: Path, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    genuine, calls = build._dolt, 0

    def interrupted(*args: object, **options: object) -> str:
        nonlocal calls
        calls += 1
        if calls == call:
            raise KeyboardInterrupt
        return genuine(*args, **options)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(build, "_dolt", interrupted)
        with pytest.raises(KeyboardInterrupt):
            make_databases(place)
    first_done = call > 5  # of the databases: `init`, three months, `config`
    assert {path.name for path in place.iterdir()} == {"notes.txt"} | ({PRICES} if first_done else set())

    assert make_databases(place).created
    assert commits(place / PRICES) == commits(pristine / PRICES)
    assert commits(place / ANALYSIS) == commits(pristine / ANALYSIS)
    assert {path.name for path in place.iterdir()} == {"notes.txt", PRICES, ANALYSIS, *FLOWS}


def test_leftovers_of_a_killed_build_go_away(folder: Path) -> None:
    shutil.rmtree(folder / ANALYSIS)
    half = folder / build._SCRATCH / ANALYSIS / ".dolt"
    half.mkdir(parents=True)
    (half / "config.json").write_text("{")
    assert make_databases(folder).created
    assert not (folder / build._SCRATCH).exists()
    assert len(commits(folder / ANALYSIS)) == 1


def test_empty_folders_are_not_in_the_way(pristine: Path, folder: Path) -> None:
    shutil.rmtree(folder / ANALYSIS)
    (folder / ANALYSIS).mkdir()
    assert make_databases(folder).created
    assert commits(folder / ANALYSIS) == commits(pristine / ANALYSIS)


def foreign_folder(path: Path) -> None:
    path.mkdir()
    (path / "thesis.tex").write_text("all of it")


def foreign_database(path: Path) -> None:
    path.mkdir()
    dolt(path, "init", "--name", "User", "--email", "user@example.com")


def broken_database(path: Path) -> None:
    (path / ".dolt").mkdir(parents=True)


def foreign_file(path: Path) -> None:
    path.write_text("print('mine')")


@pytest.mark.parametrize(
    ("name", "make"),
    [
        (PRICES, foreign_folder),
        (PRICES, foreign_database),
        (PRICES, broken_database),
        (ANALYSIS, foreign_database),
        (ANALYSIS, foreign_file),
        (ANALYSIS, lambda path: path.symlink_to("nowhere")),
        *((flow, make) for flow in FLOWS for make in (foreign_file, Path.mkdir)),
        (build._SCRATCH, foreign_file),
    ],
)
def test_what_is_not_the_demos_stops_it(place: Path, name: str, make: object) -> None:
    make(place / name)  # type: ignore[operator]
    before = contents(place)
    with pytest.raises(UsageError, match=name) as caught:
        make_databases(place)
    assert caught.value.hint
    assert contents(place) == before


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "demo").write_text("mine")
    for path in (tmp_path / "demo", tmp_path / "demo" / "deeper"):
        with pytest.raises(UsageError, match="cannot be made"):
            make_databases(path)


def test_without_dolt_nothing_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DoltNotFoundError):
        make_databases(tmp_path / "demo")
    assert not (tmp_path / "demo").exists()


# Running


def test_importing_the_demo_is_cheap() -> None:
    code = "import sys, doltflow.demo; print([m for m in ('metaflow', 'pandas', 'networkx') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "[]\n"


def test_no_setting_of_metaflow_reaches_the_demo(tmp_path: Path) -> None:
    inherited = {"PATH": "/bin", "METAFLOW_PROFILE": "work", "METAFLOW_SERVICE_URL": "https://mf", "USER": "ada"}
    assert _environment(inherited, tmp_path) == {
        "PATH": "/bin",
        "USER": "ada",
        "METAFLOW_DATASTORE_SYSROOT_LOCAL": str(tmp_path),
        "METAFLOW_DEFAULT_DATASTORE": "local",
        "METAFLOW_DEFAULT_METADATA": "local",
        "METAFLOW_HOME": str(tmp_path / ".metaflow"),
        "METAFLOW_USER": "ada",
    }
    assert _environment({"METAFLOW_USER": "bob", "USER": "ada"}, tmp_path)["METAFLOW_USER"] == "bob"
    assert _environment({"USER": "root"}, tmp_path)["METAFLOW_USER"] == "demo"


SCRIPT = "hospital_price_state_medians.py"
PLAIN_FLOW = """
from metaflow import FlowSpec, Parameter, step

class HospitalPriceStateMedians(FlowSpec):
    divisor = Parameter("divisor", type=int, default=1)

    @step
    def start(self):
        print("One over it is", 1 // self.divisor, "🏥")
        self.next(self.end)

    @step
    def end(self):
        pass

if __name__ == "__main__":
    HospitalPriceStateMedians()
"""


def test_a_flow_runs_in_the_folder_whatever_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("METAFLOW_USER", "SUDO_USER", "USERNAME", "USER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("METAFLOW_PROFILE", "not-there")
    monkeypatch.setenv("METAFLOW_DEFAULT_DATASTORE", "s3")
    monkeypatch.setenv("METAFLOW_DEFAULT_METADATA", "service")
    folder = tmp_path / "the demo"
    folder.mkdir()
    (folder / SCRIPT).write_text(PLAIN_FLOW)
    monkeypatch.chdir(tmp_path)
    run = run_flow(Path("the demo"), SCRIPT)
    flow, run_id = run.pathspec.split("/")
    assert flow == "HospitalPriceStateMedians"
    assert (folder / ".metaflow" / flow / run_id).is_dir()
    assert run.log == folder / "hospital_price_state_medians.log"
    assert "One over it is 1" in run.log.read_text()
    assert not (tmp_path / ".metaflow").exists()

    with pytest.raises(DoltflowError, match="ZeroDivisionError") as caught:
        run_flow(folder, SCRIPT, ["--divisor=0"])
    assert str(run.log) in caught.value.message
    assert len(caught.value.message.splitlines()) < 20
    assert caught.value.exit_code == 3


def figures(folder: Path, table: str, ref: str = "main") -> dict[tuple[str, ...], float | None]:
    rows = query(folder / ANALYSIS, f"SELECT * FROM {table} AS OF '{ref}'")
    return {tuple(row[:-1]): float(row[-1]) if row[-1] else None for row in rows}


def expected(month: Snapshot) -> tuple[dict[tuple[str, ...], float | None], dict[tuple[str, ...], float | None]]:
    """The medians and the variances, without pandas."""
    state_of = {h.npi_number: h.state for h in month.hospitals}
    prices: dict[tuple[str, ...], list[float]] = defaultdict(list)
    for p in month.prices:
        prices[state_of[p.npi_number], p.code] += [] if p.price is None else [float(p.price)]
    medians = {key: statistics.median(found) if found else None for key, found in prices.items()}
    of_code: dict[tuple[str, ...], list[float]] = defaultdict(list)
    for (_, code), median in medians.items():
        if not code.startswith("nan"):
            of_code[code,] += [] if median is None else [median]
    variances = {key: statistics.variance(found) if len(found) > 1 else None for key, found in of_code.items()}
    return medians, variances


def assert_close(actual: dict[tuple[str, ...], float | None], wanted: dict[tuple[str, ...], float | None]) -> None:
    """The same keys, the same NULLs, the same numbers up to the order in which they were summed."""
    assert {key for key, value in actual.items() if value is None} == {k for k, v in wanted.items() if v is None}
    numbers = {key: value for key, value in actual.items() if value is not None}
    assert numbers == pytest.approx({key: value for key, value in wanted.items() if value is not None}, rel=1e-12)


@pytest.mark.long
def test_both_flows_run_and_run_again(folder: Path, months: list[Snapshot], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    told: list[str] = []
    result = demo(Path("demo"), told.append)
    assert told
    assert (result.folder, result.created) == (folder, False)
    assert [run.split("/")[0] for run in result.runs] == list(FLOWS.values())
    assert result.next_commands[:2] == ("cd demo", "doltflow trace variance_by_procedure")
    assert f"doltflow show {result.runs[1]}" in result.next_commands

    medians, variances = expected(months[-1])
    assert figures(folder, "state_procedure_medians") == medians
    assert_close(figures(folder, "variance_by_procedure"), variances)
    assert None in medians.values()
    assert None in variances.values()
    subjects = [row[4].splitlines()[0] for row in commits(folder / ANALYSIS)]
    assert subjects == [
        *(f"Run: {run}/start/1" for run in reversed(result.runs)),
        "Initialize data repository",
    ]

    hashes = "SELECT dolt_hashof_table('state_procedure_medians'), dolt_hashof_table('variance_by_procedure')"
    before = query(folder / ANALYSIS, hashes)
    prices = commits(folder / PRICES)
    monkeypatch.chdir(folder)
    again = demo(Path(), told.append)
    assert set(again.runs).isdisjoint(result.runs)
    assert again.next_commands[0] == "doltflow trace variance_by_procedure"
    assert query(folder / ANALYSIS, hashes) == before
    assert commits(folder / PRICES) == prices
    for name in (PRICES, ANALYSIS):
        assert query(folder / name, "SELECT name FROM dolt_branches") == [("main",)]
        assert query(folder / name, "SELECT table_name FROM dolt_status") == []


@pytest.mark.long
def test_the_flows_take_branches_and_earlier_runs(folder: Path, months: list[Snapshot]) -> None:
    dolt(folder / PRICES, "branch", "metaflow-backtest", "main~1")
    dolt(folder / ANALYSIS, "branch", "metaflow-backtest")
    analysis = ["--hospital-price-analysis-db", ANALYSIS, "--hospital-price-analysis-db-branch", "metaflow-backtest"]
    prices = ["--hospital-price-db", PRICES, "--hospital-price-db-branch", "metaflow-backtest"]
    earlier = [
        run_flow(folder, script, args) for script, args in zip(FLOWS, (prices + analysis, analysis), strict=True)
    ]
    medians, variances = expected(months[1])
    assert figures(folder, "state_procedure_medians", "metaflow-backtest") == medians
    assert_close(figures(folder, "variance_by_procedure", "metaflow-backtest"), variances)

    # Reads from what that run read, writes to main.
    for script, run in zip(FLOWS, earlier, strict=True):
        run_flow(folder, script, ["--historical-run-path", run.pathspec])
    assert figures(folder, "state_procedure_medians") == medians
    assert_close(figures(folder, "variance_by_procedure"), variances)
