"""Reads prices in a process of its own, and prints what that took: `read_peak.py DATABASE arrow|pandas|batches|raw`."""

import json
import sys
import time
from pathlib import Path

import pandas  # noqa: F401
import pyarrow.compute
import pyarrow.csv  # noqa: F401
from raw_flows import frame, prices_of

from doltflow import DoltConfig, DoltDT

COLUMNS = ["npi_number", "code", "price"]


def peak() -> float:
    """The peak memory of this process up to now, in MiB."""
    _, _, found = Path("/proc/self/status").read_text().partition("VmHWM:")
    return int(found.split()[0]) / 1024


def main(database: str, how: str, where: str) -> None:
    """Reads once."""
    config = DoltConfig(database=database)
    DoltDT(config=config).read("hospitals")  # So that all libraries are loaded.
    start, began = peak(), time.perf_counter()
    if how == "raw":
        prices = frame(prices_of(Path(database).resolve()))
        size, rows = sum(prices[name].array.__arrow_array__().nbytes for name in prices), len(prices)
    else:
        with DoltDT(config=config) as dolt:
            if how == "batches":
                size = rows = 0
                reader = dolt.read("prices", columns=COLUMNS, where=where or None, as_="arrow", batches=True)
                for batch in reader:
                    size, rows = size + batch.nbytes, rows + batch.num_rows
            elif how == "arrow":
                table = dolt.read("prices", columns=COLUMNS, as_="arrow")
                size, rows = table.nbytes, len(table)
            else:
                prices = dolt.read("prices", columns=COLUMNS)
                size, rows = sum(prices[name].array.__arrow_array__().nbytes for name in prices), len(prices)
    found = {"seconds": time.perf_counter() - began, "peak_mb": peak() - start, "table_mb": size / 2**20, "rows": rows}
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
