"""Databases and runs for the figures of `replay` and `backtest`."""

import random
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

FLOW = Path(__file__).with_name("medians_flow.py")
CLASS = "MediansFlow"
STATES, CODES = 10, 5_000


class Reruns:
    """A folder with prices, an analysis that is empty, and the flow that makes the one of the other."""

    def __init__(self, folder: Path, rows: int) -> None:
        folder.mkdir()
        self.folder = folder
        self.prices, self.analysis = folder / "prices", folder / "analysis"
        self._empty = folder.with_name(f"{folder.name}-empty")
        shutil.copy(FLOW, folder)
        for database in (self.prices, self._empty):
            database.mkdir()
            _dolt(database, "init", "-b", "main", "--name", "bench", "--email", "bench@example.com")
        _dolt(self.prices, "sql", "-q", "create table prices (id int primary key, state char(2), code varchar(20),"
              " price decimal(12, 2), note varchar(100))")  # fmt: skip
        chance = random.Random(7)
        lines = ["id,state,code,price,note"]
        for number in range(rows):
            key = f"s{chance.randrange(STATES)},c{chance.randrange(CODES):06}"
            lines.append(f"{number},{key},{chance.randrange(10**6) / 100},note {number}")
        file = folder / "prices.csv"
        file.write_text("\n".join(lines) + "\n")
        _dolt(self.prices, "table", "import", "-r", "prices", str(file))
        _dolt(self.prices, "commit", "-Am", "Prices")
        file.unlink()
        self.first = self.head()
        # One row more, so that there are two versions that differ in next to nothing; and a commit that changes none.
        _dolt(self.prices, "sql", "-q", "insert into prices values (-1, 's0', 'c0', 1, ''); "
              "call dolt_commit('-am', 'One more')")  # fmt: skip
        self.more = self.head()
        _dolt(self.prices, "sql", "-q", "create table other (id int primary key); call dolt_commit('-Am', 'Another')")
        self.renew()

    def head(self) -> str:
        """The newest commit of the prices."""
        out = _dolt(self.prices, "sql", "-r", "csv", "-q", "select dolt_hashof('main')")
        return out.split()[-1]

    def renew(self) -> None:
        """Makes the analysis empty again."""
        shutil.rmtree(self.analysis, ignore_errors=True)
        shutil.copytree(self._empty, self.analysis)

    def run_command(self, rows: int = 1_000_000) -> list[str]:
        """The command that runs the flow on the first rows."""
        return [sys.executable, FLOW.name, "run", "--rows", str(rows)]


def verdicts(first: Reruns, second: Reruns, name: str, rounds: int) -> tuple[list[float], list[float]]:
    """The seconds of comparing the prices at an earlier commit with those at the newest, in turn in both places.

    Args:
        first, second: The places.
        name: Which commit: `first` or `more`.
        rounds: How often.
    """
    from doltflow.compare import compare_table
    from doltflow.sources.dolt import Database

    seconds: dict[Reruns, list[float]] = {first: [], second: []}
    with ExitStack() as stack:
        asked = [
            (each, stack.enter_context(Database.at(each.prices).open()), getattr(each, name), each.head())
            for each in (first, second)
        ]
        for number in range(rounds):
            # Whoever comes second finds the processor awake: each is that every other time.
            for each, session, before, newest in asked[:: 1 if number % 2 else -1]:
                began = time.perf_counter()
                compare_table(session, "prices", before, newest)
                seconds[each].append(time.perf_counter() - began)
    return seconds[first][2:], seconds[second][2:]


def _dolt(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["dolt", *arguments], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"dolt {' '.join(arguments)}: {done.stderr}")
    return done.stdout
