"""A table of which few and many rows have changed, and the programs that tell them, for the figures of `diff`."""

import subprocess
import sys
from pathlib import Path

PEER = Path(__file__).with_name("datacompy_peer.py")
ROWS = 1_000_000
BRANCHES = {10: "ten", 1_000: "thousand", 100_000: "hundredthousand", ROWS: "million"}


class Diffs:
    """A folder with the database `big`: a branch with a table of a million rows, and one each with so many changed."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.database = folder / "big"
        self.database.mkdir()
        _dolt(self.database, "init", "-b", "base", "--name", "bench", "--email", "bench@example.com")
        _dolt(self.database, "sql", "-q", "create table big (id bigint primary key, code varchar(20), price double,"
              " n bigint)")  # fmt: skip
        # Dolt imports a file four times as fast as it inserts what a query makes.
        file = folder / "big.csv"
        with file.open("w") as out:
            out.write("id,code,price,n\n")
            for number in range(ROWS):
                out.write(f"{number},c{number * 7919 % 1_000_003:09},{number * 31 % 100_003 / 100},"
                          f"{number * 1_000_003 % 998_244_353}\n")  # fmt: skip
        _dolt(self.database, "table", "import", "-r", "big", str(file))
        file.unlink()
        _dolt(self.database, "commit", "-Am", "base")
        script = folder / "changes.sql"
        script.write_text(
            "\n".join(
                f"call dolt_checkout('-b', '{branch}', 'base');"
                f" update big set price = round(price * 1.01 + 1, 2), n = n + 1 where id % {ROWS // rows} = 0;"
                f" call dolt_commit('-am', '{branch}');"
                for rows, branch in BRANCHES.items()
            )
        )
        _dolt(self.database, "sql", "--file", str(script))
        out = _dolt(self.database, "sql", "-r", "csv", "-q", "select name, hash from dolt_branches")
        self._hashes = dict(line.split(",") for line in out.split()[1:])

    def ours(self, rows: int, *options: str) -> list[str]:
        """What tells so many changed rows by doltflow."""
        doltflow = str(Path(sys.executable).with_name("doltflow"))
        return [doltflow, "diff", "big@base", f"big@{BRANCHES[rows]}", *options]

    def raw(self, rows: int) -> list[str]:
        """What gives them by Dolt alone. Branches would be dearer there than the commits' hashes."""
        ends = f"'{self._hashes['base']}', '{self._hashes[BRANCHES[rows]]}'"
        return ["dolt", "sql", "-r", "csv", "-q", f"select * from dolt_diff({ends}, 'big')"]

    def peer(self, rows: int) -> list[str]:
        """What finds them by comparing the whole of both versions."""
        return [sys.executable, str(PEER), "big", "id", "base", BRANCHES[rows]]

    def check(self, rows: int) -> None:
        """Makes sure that all of them tell the same."""
        said = f"big/big: {rows:,} rows modified"
        if said not in _run(self.folder, self.ours(rows)):
            raise SystemExit(f"doltflow diff does not say `{said}`")
        found = _run(self.database, self.raw(rows)).count("\n") - 1
        if found != rows:
            raise SystemExit(f"dolt_diff has {found} rows, not {rows}")

    def check_peer(self, rows: int) -> None:
        """Makes sure that the peer, which takes long, does so too."""
        said = f"Number of rows with some compared columns unequal: {rows:,}\n"
        if said not in _run(self.database, self.peer(rows)):
            raise SystemExit(f"datacompy does not say `{said.strip()}`")


def _dolt(folder: Path, *arguments: str) -> str:
    return _run(folder, ["dolt", *arguments])


def _run(folder: Path, arguments: list[str]) -> str:
    done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)}: {done.stderr}")
    return done.stdout
