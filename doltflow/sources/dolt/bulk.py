"""The bulk reader: results straight into Arrow, four times as fast as by the plain connection.

It takes what the server sends as fast as it comes, whether or not anybody wants it yet. Where a result may be larger
than is to be held, it therefore reads through a relay (`relay.py`) that lets no more pass than was asked for.
"""

import os
import subprocess
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, cast
from urllib.parse import urlsplit, urlunsplit

import pyarrow as pa

from doltflow.errors import DoltError


class BulkError(Exception):
    """The bulk reader cannot read the result, or not on: as it cannot dates before the year 1000."""


def batches(url: str, queries: Sequence[str], rows: int) -> Generator[pa.RecordBatch, None, None]:
    """The results of queries that are read at the same time, batches of all in any order.

    Args:
        url: Of the database; see `Connection.url`.
        queries: What to read.
        rows: How many rows a batch has at most.

    Raises:
        BulkError: It cannot be read, or not on.
    """
    with _quiet():
        import connectorx  # 0.1 s to import, so only where it pays

    try:
        reader: Any = connectorx.read_sql(url, list(queries), return_type="arrow_stream", batch_size=rows)
        while True:
            try:
                batch = reader.read_next_batch()
            except StopIteration:
                return
            yield batch
    except BaseException as error:
        # Its panics are no `Exception`; in the middle of a stream it is Arrow that passes its errors on.
        if isinstance(error, RuntimeError | OSError | pa.ArrowException) or type(error).__name__ == "PanicException":
            raise BulkError(str(error)) from error
        raise


def bounded_batches(url: str, query: str, rows: int) -> Iterator[pa.RecordBatch]:
    """The result of a query, of which about two batches are held at once, whoever takes them how slowly.

    Args:
        url: As for `batches`.
        query: What to read.
        rows: As for `batches`.

    Raises:
        BulkError: It cannot be read, or not on.
    """
    with _relay(url) as (relayed, gate):
        reading = batches(relayed, [query], rows)
        is_whole = False
        try:
            while True:
                _say(gate, b"+")
                batch = next(reading, None)
                _say(gate, b"-")
                if batch is None:
                    is_whole = True
                    return
                yield batch
                del batch
        finally:
            if not is_whole:
                # Once its connection is gone, the server ends the query: whoever asked, no right is needed for that.
                _say(gate, b"x")
                reading.close()


@contextmanager
def _quiet() -> Iterator[None]:
    """Has the bulk reader, which asks when it is imported, not tell the terminal of a query that was ended."""
    is_set = "RUST_LOG" in os.environ
    os.environ.setdefault("RUST_LOG", "off")
    try:
        yield
    finally:
        if not is_set:
            del os.environ["RUST_LOG"]


@contextmanager
def _relay(url: str) -> Iterator[tuple[str, int]]:
    """A relay to where a URL leads: the URL that leads through it, and where to write what it is to do."""
    parts = urlsplit(url)
    if "VERIFY_IDENTITY" in parts.query:  # The reader would see the relay's host, and try for half a minute.
        raise BulkError("The name of the server cannot be checked through a relay.")
    account, _, _ = parts.netloc.rpartition("@")
    command = [sys.executable, "-I", "-S", str(Path(__file__).with_name("relay.py"))]
    process = subprocess.Popen(
        [*command, parts.hostname or "127.0.0.1", str(parts.port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # So that no Ctrl-C meant for us reaches it.
    )
    with process, cast(IO[bytes], process.stdout) as said, cast(IO[bytes], process.stdin) as gate:
        port = said.readline().strip().decode()
        if not port:
            raise DoltError("The relay to Dolt's server does not start.")
        yield urlunsplit(parts._replace(netloc=f"{account}@127.0.0.1:{port}")), gate.fileno()


def _say(gate: int, what: bytes) -> None:
    with suppress(OSError):  # The relay is gone, which the reader will tell.
        os.write(gate, what)
