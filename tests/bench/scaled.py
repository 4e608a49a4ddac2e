"""The demo's two databases at the founding document's size, or a part of it: prices that are made up, always the same.

1,800 hospitals, each with 5 payers for a third of the codes. What is scaled is the number of codes, so that there are
as many prices for each median as at full size.
"""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

from doltflow.demo.build import ANALYSIS, FLOWS, PRICES

HOSPITALS, CODES, CODES_EACH = 1_800, 23_520, 8_080
# In the order of the key, which is that of their bytes.
PAYERS = ("Blue Shield, PPO", "Medicare", "Workers' comp", "discounted cash", "gross charge")
STATES = tuple(f"{a}{b}" for a in "ACIMN" for b in "ADEHIKLNOT")
_HUNDREDTHS_PAID = (64, 35, 78, 62, 100)
_NAME, _EMAIL = "Price Loader", "prices@example.com"
_HOSPITALS_AT_ONCE = 50
_SCHEMA = """
create table hospitals (npi_number varchar(16) primary key, name varchar(255) not null, state char(2) not null);
create table prices (npi_number varchar(16), code varchar(64), payer varchar(64), price decimal(12,2),
    description varchar(255), primary key (npi_number, code, payer));
"""
# As doltflow makes them of the flows' frames; Dolt's import wants them to be there.
_RESULTS = """
create table state_procedure_medians (state varchar(255), code varchar(255), price double, primary key (state, code));
create table variance_by_procedure (code varchar(255) primary key, price double);
call dolt_commit('-Am', 'Empty tables');
"""


class Scaled:
    """A folder with both databases and both flows, kept for the next time; the analysis is empty.

    Attributes:
        folder: Where.
        prices, analysis: The databases.
        rows: How many prices there are.
    """

    def __init__(self, kept: Path, scale: float) -> None:
        self._codes, self._each = max(5, round(CODES * scale)), _codes_each(scale)
        self.rows = prices_at(scale)
        self.folder = kept / f"{self.rows}-prices"
        self.prices, self.analysis = self.folder / PRICES, self.folder / ANALYSIS
        self._empty = self.folder / "empty"
        if not self.folder.exists():
            self._build(kept / "unfinished")
        self.renew()

    def flows(self) -> list[Path]:
        """The demo's flows, in the order in which they run."""
        return [self.folder / name for name in FLOWS]

    def renew(self, copy: Path | None = None) -> Path:
        """Makes the analysis, or another database in its place, empty again."""
        path = copy or self.analysis
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(self._empty, path)
        return path

    def _build(self, folder: Path) -> None:
        import doltflow.demo

        shutil.rmtree(folder, ignore_errors=True)
        prices, empty = folder / PRICES, folder / "empty"
        for database in (prices, empty):
            database.mkdir(parents=True)
            dolt(database, "init", "-b", "main", "--name", _NAME, "--email", _EMAIL)
        dolt(empty, "sql", "-q", _RESULTS)
        dolt(prices, "sql", "-q", _SCHEMA)
        _load(prices, "hospitals", iter([_hospitals()]))
        _load(prices, "prices", self._prices())
        dolt(prices, "commit", "-Am", "Prices of all hospitals")
        for name in FLOWS:
            shutil.copy(Path(doltflow.demo.__file__).parent / "flows" / name, folder)
        folder.rename(self.folder)

    def _prices(self) -> Iterator[pa.Table]:
        """The rows of some hospitals at a time, sorted by the key of the table."""
        codes = np.arange(self._codes, dtype=np.uint64)
        # One in a hundred is what a broken export left of a code.
        texts = [f"{code:05}" if code < self._codes * 0.99 else f"nan,{code}" for code in range(self._codes)]
        order = np.argsort(np.array(texts, dtype="S"))
        texts_in_order = pa.array(texts).take(order)
        described = pa.array([f"Procedure {text}" for text in texts]).take(order)
        payers = pa.array(PAYERS)
        paid = np.array(_HUNDREDTHS_PAID, dtype=np.uint64)
        for start in range(0, HOSPITALS, _HOSPITALS_AT_ONCE):
            parts = []
            for number in range(start, min(start + _HOSPITALS_AT_ONCE, HOSPITALS)):
                chosen = np.sort(np.argsort(_scattered(codes, number), kind="stable")[: self._each])
                gross = 500 + _scattered(order[chosen].astype(np.uint64), 10**6) % np.uint64(500_000)
                gross = gross * (np.uint64(70) + _scattered(chosen.astype(np.uint64), 2 * 10**6 + number) % 80)
                cents = (gross[:, None] * paid // np.uint64(10_000)).ravel()
                which = np.repeat(chosen, len(PAYERS))
                missing = _scattered(np.arange(len(cents), dtype=np.uint64), 4 * 10**6 + number) % np.uint64(50) == 0
                parts.append(
                    pa.table(
                        {
                            "npi_number": pa.array([npi_number(number)]).take(pa.array(np.zeros(len(cents), np.int8))),
                            "code": texts_in_order.take(which),
                            "payer": payers.take(np.tile(np.arange(len(PAYERS)), len(chosen))),
                            "price": pa.array(cents / 100, mask=missing),
                            "description": described.take(which),
                        }
                    )
                )
            yield pa.concat_tables(parts)


def prices_at(scale: float) -> int:
    """How many prices there are at a scale."""
    return HOSPITALS * _codes_each(scale) * len(PAYERS)


def _codes_each(scale: float) -> int:
    return max(2, round(CODES_EACH * scale))


def npi_number(hospital: int) -> str:
    """The number of a hospital, in their order; a real one begins with 1 or 2."""
    return f"9{hospital * 499_979:09}"


def _hospitals() -> pa.Table:
    numbers = range(HOSPITALS)
    return pa.table(
        {
            "npi_number": [npi_number(number) for number in numbers],
            "name": [f"Hospital {number}" for number in numbers],
            "state": [STATES[number * 7 % len(STATES)] for number in numbers],
        }
    )


def _scattered(numbers: np.ndarray, seed: int) -> np.ndarray:
    """Numbers that look like chance, and are the same with every version of NumPy (SplitMix64)."""
    with np.errstate(over="ignore"):
        mixed = (numbers + np.uint64(seed) * np.uint64(0xD1B54A32D192ED03)) * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _load(database: Path, table: str, parts: Iterator[pa.Table]) -> None:
    """Puts rows into a table as they come: the file of all of them is never there."""
    command = ["dolt", "table", "import", "-r", "--file-type", "csv", table]
    process = subprocess.Popen(command, cwd=database, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert process.stdin is not None
    with process.stdin as lines:
        for number, part in enumerate(parts):
            options = pyarrow.csv.WriteOptions(include_header=number == 0)
            pyarrow.csv.write_csv(part, lines, options)
    if process.wait():
        raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}")


def dolt(folder: Path, *arguments: str) -> str:
    """What a dolt command prints."""
    done = subprocess.run(["dolt", *arguments], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"dolt {' '.join(arguments)}: {done.stderr}")
    return done.stdout
