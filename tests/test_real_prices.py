"""The demo's flows on real list prices of 51 hospitals, against what plain pandas computes from the CSV files.

The prices are not part of the project: `DOLTFLOW_CHARGEMASTER` names their folder, or they lie in
`shared/data/chargemaster` beside the checkout. Where they are absent, the test says so and skips.
"""

import csv
import gzip
import json
import os
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import doltflow
from doltflow import DoltConfig, DoltDT
from doltflow.cli import main
from doltflow.demo import FLOWS
from tests.conftest import dolt, footprint, head, make_database, run_flow

FOLDER = Path(os.environ.get("DOLTFLOW_CHARGEMASTER") or Path(__file__).parents[2] / "shared/data/chargemaster")
MONTHS = {"January": 17, "February": 34, "March": 51}
TABLES = {
    "HospitalPriceStateMedians": "state_procedure_medians",
    "HospitalProcedurePriceVarianceByState": "variance_by_procedure",
}


@pytest.mark.long
def test_real_prices(capsys: pytest.CaptureFixture[str]) -> None:
    if not FOLDER.is_dir():
        pytest.skip(f"the real prices are not at {FOLDER}: set DOLTFLOW_CHARGEMASTER to run this test")
    work = Path.cwd()
    prices, hospitals = _read("prices.csv.gz"), _read("hospitals.csv")
    _build_databases(work, prices, hospitals)
    source, analysis = work / "hospital-price-transparency", work / "hospital-price-analysis"
    before = footprint(source)
    for script in FLOWS:
        shutil.copy(Path(doltflow.__file__).parent / "demo" / "flows" / script, work)
        run_flow(work, str(work / script))

    # Every price comes back exactly, and so does every other value.
    got = DoltDT(config=DoltConfig(database=str(source))).read("prices", as_="arrow")
    columns = ["npi_number", "code", "payer", "price", "description"]
    assert got.column_names == columns
    key = ["npi_number", "code", "payer"]
    expected = prices.sort_values(key)
    for column in columns:
        values = [value if column != "price" else _price(value) for value in expected[column]]
        assert got[column].to_pylist() == values, column

    medians, variances = _by_pandas(prices, hospitals)
    results = DoltDT(config=DoltConfig(database=str(analysis)))
    found = results.read("state_procedure_medians", dtypes="numpy").set_index(["state", "code"])["price"]
    pd.testing.assert_series_equal(found, medians.sort_index(), check_dtype=False, rtol=0, atol=0)
    found = results.read("variance_by_procedure", dtypes="numpy").set_index("code")["price"]
    pd.testing.assert_series_equal(found, variances.sort_index(), check_dtype=False, rtol=1e-12)

    graph = doltflow.trace_table("variance_by_procedure").graph
    tables = {(data["table"], data["commit"]) for _, data in graph.nodes(data=True) if data["kind"] == "table"}
    assert tables == {
        ("variance_by_procedure", head(analysis)),
        ("state_procedure_medians", head(analysis, "main~1")),
        ("prices", head(source)),
        ("hospitals", head(source)),
    }
    assert footprint(source) == before
    _replays_are_identical(capsys)
    _backtest_is_what_pandas_makes_of_january(prices, hospitals, source, capsys)


def _replays_are_identical(capsys: pytest.CaptureFixture[str]) -> None:
    for flow, table in TABLES.items():
        data = _asked(capsys, "replay", f"{flow}/latest", "--discard")
        assert (data["identical"], data["unhonoured"], data["reasons"]) == (True, [], [])
        assert [(item["table"], item["verdict"]) for item in data["tables"]] == [(table, "identical")]


def _backtest_is_what_pandas_makes_of_january(
    prices: pd.DataFrame, hospitals: pd.DataFrame, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    january = head(source, "main~2")
    known = set(sorted(hospitals["npi_number"])[: MONTHS["January"]])
    medians, variances = _by_pandas(*(part[part["npi_number"].isin(known)] for part in (prices, hospitals)))
    data = _asked(capsys, "backtest", "--commit", january, "--run")
    assert [run["flow"] for run in data["runs"]] == list(TABLES)
    assert [table["table"] for table in data["tables"]] == list(TABLES.values())
    whole = _by_pandas(prices, hospitals)
    for table, then, now in zip(data["tables"], (medians, variances), whole, strict=True):
        assert (table["backtest"]["rows"], table["production"]["rows"]) == (len(then), len(now))
        assert (table["verdict"], table["added"]) == ("different", len(then.index.difference(now.index)))
        assert table["removed"] == len(now.index.difference(then.index))
        (column,) = table["columns"]
        assert column["mean_backtest"] == pytest.approx(then.mean())
        assert column["mean_production"] == pytest.approx(now.mean())
    _diff_is_what_pandas_finds(whole[0], medians, data["branches"][0]["branch"], capsys)
    months = _asked(capsys, "diff", f"{source.name}@main~2", f"{source.name}@main", "--table", "prices")
    (table,) = months["tables"]
    january_rows = prices["npi_number"].isin(known).sum()
    assert (table["added"], table["removed"], table["modified"]) == (len(prices) - january_rows, 0, 0)


def _diff_is_what_pandas_finds(
    now: pd.Series, then: pd.Series, branch: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """From production's medians to those of January's prices."""
    data = _asked(capsys, "diff", "HospitalPriceStateMedians/latest", branch)
    (table,) = data["tables"]
    both = pd.concat({"now": now, "then": then}, axis=1, join="inner")
    changed = both[(both["now"] != both["then"]) & ~(both["now"].isna() & both["then"].isna())]
    assert table["table"] == "state_procedure_medians"
    assert table["added"] == len(then.index.difference(now.index))
    assert table["removed"] == len(now.index.difference(then.index))
    assert table["modified"] == len(changed) > 0
    change = (changed["then"] - changed["now"]).dropna()
    (column,) = table["columns"]
    assert (column["name"], column["changed"], column["count"]) == ("price", len(changed), len(change))
    assert column["mean"] == pytest.approx(change.mean())
    assert column["median"] == pytest.approx(change.median())
    largest = column["largest"]
    assert abs(largest["change"]) == pytest.approx(change.abs().max())
    state, code = largest["key"]["state"], largest["key"]["code"]
    assert (largest["before"], largest["after"]) == (now[state, code], then[state, code])
    assert [(cause["kind"], cause["table"]) for cause in data["causes"]] == [("data", "prices"), ("data", "hospitals")]


def _asked(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """The data that a command answers."""
    capsys.readouterr()
    assert main([*arguments, "--output", "json"]) == 0
    return dict(json.loads(capsys.readouterr().out)["data"])


def _read(name: str) -> pd.DataFrame:
    opener = gzip.open if name.endswith(".gz") else open
    with opener(FOLDER / name, "rt", encoding="utf-8", newline="") as file:  # type: ignore[operator]
        rows = list(csv.reader(file))
    return pd.DataFrame(rows[1:], columns=rows[0], dtype=object)


def _price(text: str) -> Decimal | None:
    return Decimal(text) if text else None


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _build_databases(work: Path, prices: pd.DataFrame, hospitals: pd.DataFrame) -> None:
    source = make_database(
        work / "hospital-price-transparency",
        "create table hospitals (npi_number varchar(100) primary key, name varchar(200), state char(2))",
        "create table prices (npi_number varchar(100), code varchar(300), payer varchar(50), price decimal(12,2),"
        " description varchar(4000), primary key (npi_number, code, payer))",
    )
    make_database(work / "hospital-price-analysis")
    order = sorted(hospitals["npi_number"])
    for month, count in MONTHS.items():
        known = set(order[:count])
        for table, frame in (("hospitals", hospitals), ("prices", prices)):
            file = work / f"{table}.csv"
            part = frame[frame["npi_number"].isin(known)]
            with file.open("w", encoding="utf-8", newline="") as out:
                out.write(",".join(part.columns) + "\n")
                for row in part.itertuples(index=False):
                    # To Dolt an empty field is NULL and a quoted empty one is a text.
                    fields = zip(part.columns, row, strict=True)
                    out.write(",".join(v if c == "price" else _quoted(v) for c, v in fields) + "\n")
            dolt(source, "table", "import", "-r", table, str(file))
        dolt(source, "commit", "-Am", f"Prices of {month}")


def _by_pandas(prices: pd.DataFrame, hospitals: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    numbers = prices.assign(price=[float(p) if p else None for p in prices["price"]])
    merged = numbers.merge(hospitals[["npi_number", "state"]], on="npi_number")
    medians = merged.groupby(["state", "code"])["price"].median()
    clean = medians.reset_index()
    clean = clean[~clean["code"].str.startswith("nan")]
    return medians, clean.groupby("code")["price"].var()
