"""Databases whose commits have dates that the tests choose."""

from pathlib import Path

from conftest import dolt, head

from doltflow.model.commit import ReadTrailer, WriteTrailer, encode_message
from doltflow.model.pathspec import Pathspec


def dated_database(folder: Path, date: str) -> Path:
    """An empty database whose first commit is of a date."""
    folder.mkdir(parents=True)
    dolt(folder, "init", "-b", "main", "--name", "Ann", "--email", "ann@example.com", "--date", date)
    return folder


def commit(folder: Path, date: str, message: str, *statements: str, branch: str = "main") -> str:
    """A commit of what statements change on a branch; the checkout stays where it is."""
    text = message.replace("\\", "\\\\").replace("'", "''")
    made = f"call dolt_commit('--allow-empty', '-Am', '{text}', '--date', '{date}', '--author', 'Ben <b@x>')"
    dolt(folder, "sql", stdin=";\n".join([f"call dolt_checkout('{branch}')", *statements, made]))
    return head(folder, branch)


def run_message(task: str, table: str, *reads: ReadTrailer, mode: str = "replace") -> str:
    """The message of a commit by which a task wrote a table."""
    pathspec = Pathspec.parse(task)
    assert pathspec is not None
    return encode_message(pathspec, attempt=0, writes=[WriteTrailer(table, mode, 1)], reads=reads)
