"""The demo's flows at the founding document's size, against the same by Dolt's own export and import.

One process each runs a flow of the demo and its raw counterpart (`raw_flows.py`), in pairs. What comes out must be the
same, hash for hash.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from scaled import Scaled, dolt

RAW = Path(__file__).with_name("raw_flows.py")
READ = Path(__file__).with_name("read_peak.py")
TABLES = ("state_procedure_medians", "variance_by_procedure")


@dataclass(frozen=True)
class Cost:
    """What it took to run programs, one after the other.

    Attributes:
        seconds: In all.
        python_mb, dolt_mb: Peak resident memory of the largest Python process, and of the largest Dolt process.
    """

    seconds: float
    python_mb: float
    dolt_mb: float


@dataclass(frozen=True)
class Read:
    """A read in a process of its own.

    Attributes:
        seconds: From the `with` to its end.
        peak_mb: Peak resident memory above that of the process that has loaded all libraries.
        table_mb: The size of the Arrow table that was read, held or not.
        rows: Its rows.
    """

    seconds: float
    peak_mb: float
    table_mb: float
    rows: int


class Flows:
    """Both flows of the demo, and what they are compared with."""

    def __init__(self, place: Scaled) -> None:
        self.place = place
        self.raw = place.folder / "raw"

    def ours(self) -> Cost:
        """Runs both flows by Metaflow, on an analysis without rows."""
        self.place.renew()
        shutil.rmtree(self.place.folder / ".metaflow", ignore_errors=True)
        return cost([[sys.executable, flow.name, "--no-pylint", "run"] for flow in self.place.flows()],
                    self.place.folder)  # fmt: skip

    def by_hand(self) -> Cost:
        """Does the same without doltflow and Metaflow."""
        self.place.renew(self.raw)
        return cost([[sys.executable, str(RAW), table, str(self.place.prices), str(self.raw)] for table in TABLES],
                    self.place.folder)  # fmt: skip

    def check(self) -> None:
        """Makes sure that both have made the same tables."""
        for table in TABLES:
            query = f"select dolt_hashof_table('{table}') as h"
            ours, raw = (dolt(where, "sql", "-r", "csv", "-q", query) for where in (self.place.analysis, self.raw))
            if ours != raw:
                raise SystemExit(f"`{table}` is not the same by doltflow and by hand")


def cost(commands: list[list[str]], folder: Path) -> Cost:
    """Runs programs, and watches the memory of each process that they start."""
    peaks: dict[str, float] = {"python": 0.0, "dolt": 0.0}
    began = time.perf_counter()
    for command in commands:
        with (folder / "output.txt").open("wb") as output:
            process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT)
            while process.poll() is None:
                for name, peak in _peaks(process.pid):
                    kind = name if name in peaks else "python"
                    peaks[kind] = max(peaks[kind], peak)
                time.sleep(0.05)
        if process.returncode:
            raise SystemExit(f"{' '.join(command)}: {(folder / 'output.txt').read_text()}")
    return Cost(time.perf_counter() - began, peaks["python"], peaks["dolt"])


def _peaks(process: int) -> list[tuple[str, float]]:
    """The name and the peak memory in MiB of a process and of all that it has started."""
    found, waiting = [], [process]
    while waiting:
        folder = Path(f"/proc/{waiting.pop()}")
        try:
            name = (folder / "comm").read_text().strip()
            _, _, peak = (folder / "status").read_text().partition("VmHWM:")
            for task in (folder / "task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
        except OSError:  # It has ended meanwhile.
            continue
        if peak:
            found.append((name, int(peak.split()[0]) / 1024))
    return found


def read(place: Scaled, how: str, where: str = "") -> Read:
    """Reads what the first flow needs of the prices: `arrow`, `pandas`, `batches`, or by hand: `raw`."""
    command = [sys.executable, str(READ), str(place.prices), how, where]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr}")
    return Read(**json.loads(done.stdout))


def scale() -> float:
    """`SCALE`: the part of the founding document's 72.7 million prices."""
    text = os.environ.get("SCALE") or "1"
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found <= 1:
        raise SystemExit(f"SCALE is `{text}`, not a number above 0 and up to 1.")
    return found
