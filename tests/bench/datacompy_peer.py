"""What a user without `doltflow diff` may do: read both versions of a table into pandas and compare them by datacompy.

Its arguments: the table, its key, and the refs of the two versions; it runs in the database's folder.
"""

import subprocess
import sys

import datacompy
import pandas as pd


def version(table: str, ref: str) -> pd.DataFrame:
    """A table at a ref, read while Dolt writes it."""
    query = f"select * from `{table}` as of '{ref}'"
    with subprocess.Popen(["dolt", "sql", "-r", "csv", "-q", query], stdout=subprocess.PIPE) as dolt:
        return pd.read_csv(dolt.stdout)


table, key, before, after = sys.argv[1:]
compared = datacompy.Compare(
    version(table, before), version(table, after), join_columns=[key], df1_name=before, df2_name=after
)
print(compared.report())
