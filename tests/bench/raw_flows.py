"""What a flow of the demo does, by Dolt's own export and import: the export parsed by Arrow, and the same in pandas.

`raw_flows.py TABLE PRICES ANALYSIS` makes one of the two tables.
"""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv


def export(database: Path, query: str, types: dict[str, pa.DataType]) -> pa.Table:
    """The result of a query, by way of a file."""
    file = database.with_name("export.csv")
    with file.open("wb") as out:
        subprocess.run(["dolt", "sql", "-r", "csv", "-q", query], cwd=database, stdout=out, check=True)
    # Else a state that is called NA would be none.
    nulls = {"null_values": [""], "strings_can_be_null": True, "quoted_strings_can_be_null": False}
    options = pa.csv.ConvertOptions(column_types=types, **nulls)
    parsing = pa.csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False)
    table = pa.csv.read_csv(file, parse_options=parsing, convert_options=options)
    file.unlink()
    return table


def frame(table: pa.Table) -> pd.DataFrame:
    """A table as the kind of frame that doltflow gives."""
    return table.to_pandas(types_mapper=pd.ArrowDtype)


def load(database: Path, result: pd.DataFrame, table: str) -> None:
    """Puts rows, sorted by key as they are, into a table, and commits them."""
    file = database.with_name("import.csv")
    pa.csv.write_csv(pa.Table.from_pandas(result, preserve_index=False), file)
    for arguments in (["table", "import", "-r", table, str(file)], ["add", table], ["commit", "-m", table]):
        subprocess.run(["dolt", *arguments], cwd=database, stdout=subprocess.DEVNULL, check=True)
    file.unlink()


def prices_of(database: Path) -> pa.Table:
    """What the first flow needs of the prices."""
    types = {"npi_number": pa.string(), "code": pa.string(), "price": pa.float64()}
    return export(database, "select npi_number, code, price from prices as of 'main'", types)


def medians(prices_database: Path, analysis: Path) -> None:
    """The first flow."""
    prices = frame(prices_of(prices_database))
    types = {"npi_number": pa.string(), "state": pa.string()}
    hospitals = frame(export(prices_database, "select npi_number, state from hospitals as of 'main'", types))
    prices_by_state = prices.astype({"price": float}).merge(hospitals, on="npi_number")
    found = prices_by_state.groupby(["state", "code"], as_index=False)["price"].median()
    load(analysis, found, "state_procedure_medians")


def variances(analysis: Path) -> None:
    """The second flow."""
    types = {"state": pa.string(), "code": pa.string(), "price": pa.float64()}
    found = frame(export(analysis, "select * from state_procedure_medians as of 'main'", types))
    clean = found[~found["code"].str.startswith("nan")]
    load(analysis, clean.groupby("code", as_index=False)["price"].var(), "variance_by_procedure")


if __name__ == "__main__":
    made, first, second = sys.argv[1:]
    if made == "state_procedure_medians":
        medians(Path(first).resolve(), Path(second).resolve())
    else:
        variances(Path(second).resolve())
