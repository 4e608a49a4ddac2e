"""The demo's folder: two Dolt databases and the two flows.

Each database is built in a scratch folder and moved into place when it is complete. Whatever interrupts a build, there
is never a database that is only half the demo's, and what another call finds in place it leaves alone.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from doltflow.demo.prices import Snapshot, snapshots
from doltflow.errors import DoltError, UsageError
from doltflow.model.quoting import literal
from doltflow.sources.dolt.program import find_dolt, run_dolt

PRICES = "hospital-price-transparency"
ANALYSIS = "hospital-price-analysis"

# In the order in which they run: each reads what the one before it wrote.
FLOWS = {
    "hospital_price_state_medians.py": "HospitalPriceStateMedians",
    "hospital_procedure_price_variance_by_state.py": "HospitalProcedurePriceVarianceByState",
}

_SCRATCH = ".doltflow-demo-unfinished"

_NAME, _EMAIL = "Price Loader", "prices@example.com"

# By database: when it was made. The dates differ so that the two first commits, which are both empty, differ too.
_FIRST_COMMITS = {PRICES: "2021-01-04T09:00:00Z", ANALYSIS: "2021-01-05T09:00:00Z"}

_SCHEMA = """
CREATE TABLE hospitals (
    npi_number VARCHAR(16) NOT NULL PRIMARY KEY,
    name VARCHAR(255) NOT NULL,
    state CHAR(2) NOT NULL
);
CREATE TABLE prices (
    npi_number VARCHAR(16) NOT NULL,
    code VARCHAR(64) NOT NULL,
    payer VARCHAR(64) NOT NULL,
    price DECIMAL(12,2),
    description VARCHAR(255),
    PRIMARY KEY (npi_number, code, payer)
);
"""

_ROWS_PER_INSERT = 1000


@dataclass(frozen=True)
class DemoFolder:
    """What the demo's folder holds.

    Attributes:
        folder: The folder, absolute.
        prices: The database of hospitals and prices.
        analysis: The database that the flows write.
        flows: The flows' files, in the order in which they run.
        created: Whether anything was missing and has been made.
    """

    folder: Path
    prices: Path
    analysis: Path
    flows: tuple[Path, ...]
    created: bool


def make_databases(folder: Path) -> DemoFolder:
    """Makes what the folder lacks of the demo: either database, either flow. What is there already stays as it is.

    Args:
        folder: Where; made if it does not exist. It may hold other files.

    Raises:
        UsageError: Something that is not the demo's is in the way (then nothing has changed), or the folder cannot be
            written.
        DoltNotFoundError: There is no `dolt` program.
        DoltError: Dolt refused something.
    """
    find_dolt()
    folder = folder.resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder):
            # Everything is looked at before anything is made.
            databases = [name for name in (PRICES, ANALYSIS) if _lacks_database(folder / name)]
            flows = [name for name, flow in FLOWS.items() if _lacks_flow(folder / name, flow)]
            with _scratch(folder) as scratch:
                for name in databases:
                    _build_database(scratch / name)
                    (scratch / name).rename(folder / name)
                for name in flows:
                    template = resources.files("doltflow.demo").joinpath("flows", name)
                    (scratch / name).write_bytes(template.read_bytes())
                    (scratch / name).rename(folder / name)
    except OSError as error:
        raise UsageError(
            f"The demo cannot be made in `{folder}`: {error.strerror} ({error.filename}).",
            "Choose another folder: `doltflow demo DIR`.",
        ) from error
    return DemoFolder(
        folder=folder,
        prices=folder / PRICES,
        analysis=folder / ANALYSIS,
        flows=tuple(folder / name for name in FLOWS),
        created=bool(databases or flows),
    )


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Makes another demo in the same folder wait, so that neither takes the other's scratch folder for a leftover."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # Some network file systems have no such lock: then two at once are the user's risk.
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """An empty folder on the same file system, without what an interrupted build left in it."""
    scratch = folder / _SCRATCH
    if scratch.exists():
        shutil.rmtree(scratch)
    scratch.mkdir()
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _lacks_database(path: Path) -> bool:
    """Whether there is nothing at the path yet.

    Raises:
        UsageError: There is something, but not the demo's database.
    """
    if not os.path.lexists(path) or (path.is_dir() and not path.is_symlink() and not any(path.iterdir())):
        return True
    if not (path / ".dolt").is_dir():
        raise _in_the_way(path, "no Dolt database")
    # The demo's own commits are there for good, whatever the user has committed, branched or checked out since.
    mine = f"SELECT message FROM dolt_commits WHERE email = {literal(_EMAIL)}"
    try:
        found = _dolt(["sql", "-r", "csv", "-q", mine], path).splitlines()
    except DoltError as error:
        raise _in_the_way(path, "no database that Dolt can read") from error
    if len(found) < 2:  # the first line is the header
        raise _in_the_way(path, "a database with another history")
    return False


def _lacks_flow(path: Path, flow: str) -> bool:
    """Whether there is no file at the path yet; one that the user has edited since counts as there.

    Raises:
        UsageError: There is something, but not that flow.
    """
    if not os.path.lexists(path):
        return True
    try:
        mine = f"class {flow}(" in path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        mine = False
    if not mine:
        raise _in_the_way(path, f"not the flow `{flow}`")
    return False


def _in_the_way(path: Path, what: str) -> UsageError:
    return UsageError(
        f"The demo makes `{path.name}`, but `{path}` is already there and is {what}. Nothing was changed.",
        "Move it away, or choose another folder: `doltflow demo DIR`.",
    )


def _build_database(path: Path) -> None:
    path.mkdir()
    date = _FIRST_COMMITS[path.name]
    _dolt(["init", "-b", "main", "--name", _NAME, "--email", _EMAIL, "--date", date], path, date=date)
    if path.name == PRICES:
        schema = _SCHEMA
        for snapshot in snapshots():
            _dolt(["sql"], path, schema + _load(snapshot), date=snapshot.date)
            schema = ""
    # `init` needs a name, and keeps it. What is committed from now on is not the price loader's, but the user's.
    _dolt(["config", "--local", "--unset", "user.name", "user.email"], path)


def _load(snapshot: Snapshot) -> str:
    """SQL that makes the tables hold exactly a month's rows, and commits them."""
    statements = []
    for table, rows in (("hospitals", snapshot.hospitals), ("prices", snapshot.prices)):
        # Dolt stores what the rows are, not how they came: a row that is deleted and comes back has not changed.
        statements.append(f"DELETE FROM {table}")
        for start in range(0, len(rows), _ROWS_PER_INSERT):
            values = ",".join(_row(row) for row in rows[start : start + _ROWS_PER_INSERT])
            statements.append(f"INSERT INTO {table} VALUES {values}")
    author = literal(f"{_NAME} <{_EMAIL}>")
    message, date = literal(snapshot.message), literal(snapshot.date)
    statements.append(f"CALL DOLT_COMMIT('-A', '-m', {message}, '--author', {author}, '--date', {date})")
    return ";\n".join(statements) + ";\n"


def _row(values: Sequence[object]) -> str:
    fields = ("NULL" if value is None else literal(value) if isinstance(value, str) else str(value) for value in values)
    return f"({','.join(fields)})"


def _dolt(args: Sequence[str], cwd: Path, stdin: str = "", *, date: str | None = None) -> str:
    """What the `dolt` program prints; with a date, its commits have the same hashes on every machine."""
    # `--date` says when they were authored, the variable when they were committed.
    return run_dolt(args, cwd, stdin, {"DOLT_COMMITTER_DATE": date} if date else None)
