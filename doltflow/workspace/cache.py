"""Files in the user's cache folder. Nothing depends on them but speed.

What is damaged, of another version or held by another process counts as empty, and is made anew where it can be.
"""

import hashlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar

WAIT = 2.0
"""Seconds for another process that writes; then it goes without."""


def cache_file(kind: str, of: Path | str) -> Path:
    """Where what is known of a folder, or of something that has another name, is kept."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    name = hashlib.sha256(os.fsencode(of.resolve() if isinstance(of, Path) else of)).hexdigest()[:32]
    return cache / "doltflow" / kind / f"{name}.sqlite"


class CacheFile:
    """A file of SQLite's. Where it cannot be used it answers as if it were empty.

    Attributes:
        VERSION: Of the schema.
        TABLES: The tables by name, each with its columns as `create table` takes them, and what stands behind them.
    """

    VERSION: ClassVar[int]
    TABLES: ClassVar[dict[str, str]]
    MORE: ClassVar[Sequence[str]] = ()

    def __init__(self, file: Path) -> None:
        self._file = file
        self._raw: sqlite3.Connection | None = None
        try:
            self._raw = self._open()
        except (OSError, sqlite3.Error) as error:
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
                return
            # Damaged, or of another version, which nothing is lost with.
            with suppress(OSError, sqlite3.Error):
                self._file.unlink(missing_ok=True)
                self._raw = self._open()

    def _open(self) -> sqlite3.Connection:
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        raw = sqlite3.connect(self._file, timeout=WAIT, isolation_level=None, check_same_thread=False)
        try:
            # It can be made again: to be fast matters more than to outlive a power cut.
            raw.execute("pragma synchronous = off")
            if self._version(raw) == 0:
                with suppress(sqlite3.OperationalError):  # Another process makes it at the same time.
                    raw.executescript(self._schema())
            if self._version(raw) != self.VERSION or raw.execute("pragma quick_check(1)").fetchone() != ("ok",):
                raise sqlite3.DatabaseError("not what it should be")
            for table in self.TABLES:
                raw.execute(f"select 1 from {table} limit 0")  # Fails where there is none.
        except BaseException:
            raw.close()
            raise
        return raw

    @classmethod
    def _schema(cls) -> str:
        tables = [f"create table {name} {columns}" for name, columns in cls.TABLES.items()]
        statements = ["begin immediate", *tables, *cls.MORE, f"pragma user_version = {cls.VERSION}", "commit"]
        return ";\n".join([*statements, ""])

    @staticmethod
    def _version(raw: sqlite3.Connection) -> int:
        return int(raw.execute("pragma user_version").fetchone()[0])

    @property
    def is_open(self) -> bool:
        """Whether its answers count."""
        return self._raw is not None

    def close(self) -> None:
        """Closes the file."""
        if self._raw is not None:
            self._raw.close()
            self._raw = None

    def clear(self) -> None:
        """Forgets everything, on disk too."""
        with self.writing() as raw:
            if raw is not None:
                for table in self.TABLES:
                    raw.execute(f"delete from {table}")

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """The rows of a query; none where the file cannot be read, which ends its use."""
        if self._raw is None:
            return []
        try:
            return self._raw.execute(query, values).fetchall()
        except sqlite3.Error:
            self.close()
            return []

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection | None]:
        """A transaction; None where there is no file to write to. What goes wrong with the file ends its use."""
        raw = self._raw
        try:
            if raw is not None:
                raw.execute("begin immediate")
        except sqlite3.Error:
            raw = None
        try:
            yield raw
            if raw is not None:
                raw.execute("commit")
        except sqlite3.Error:
            self.close()
        except BaseException:
            self.close()  # Which rolls back.
            raise
