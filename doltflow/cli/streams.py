"""Standard output and standard error: who may write there, and what happens when nobody reads."""

import contextlib
import io
import os
import secrets
import stat
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, TextIO

from doltflow.errors import DoltflowError


class AnswerError(DoltflowError):
    """Standard output takes nothing, so that no error can be told there either."""


@contextlib.contextmanager
def aside() -> Iterator[None]:
    """Sends what libraries print meanwhile to standard error: standard output is for the answer alone.

    Raises:
        ConnectionAbortedError: A pipe or connection of the operation's broke. As a `BrokenPipeError` it would be taken
            for a reader of the answer who had had enough.
    """
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except BrokenPipeError as error:
        raise ConnectionAbortedError(str(error)) from error  # Without the number that Typer looks at.


def is_own_process() -> bool:
    """Whether this process is the program `doltflow`, and not one that calls it within itself."""
    program = Path(sys.argv[0])
    return program.name == "doltflow" or program.parts[-2:] == ("doltflow", "__main__.py")


def spare_pandas() -> None:
    """Has Arrow do without pandas, where this process is the program: it makes no frames."""
    if is_own_process():
        from doltflow.sources.dolt.arrow import spare_pandas as spare

        spare()


def prepare(*, utf8: bool) -> None:
    """Makes both streams take any character.

    Args:
        utf8: Whether standard output gets a format that is UTF-8 whatever the terminal speaks, such as JSON.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if utf8 and isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")


def answer(pieces: Iterable[str | bytes]) -> None:
    """Writes the answer. A reader that has had enough, such as `head`, is no error.

    Args:
        pieces: Texts, or bytes that go out as they are.

    Raises:
        AnswerError: It cannot be written, as on a full disk.
    """
    if sys.stdout is None:  # It was closed before doltflow started.
        return
    try:
        for piece in pieces:
            if isinstance(piece, bytes):
                sys.stdout.flush()
                sys.stdout.buffer.write(piece)
            else:
                sys.stdout.write(piece)
        sys.stdout.flush()
    except BrokenPipeError:
        discard(sys.stdout)
    except OSError as error:
        discard(sys.stdout)
        raise AnswerError(f"The answer could not be written: {error.strerror}.") from error


def save(file: Path, pieces: Iterable[str | bytes]) -> None:
    """Writes the answer into a file, which is written whole or stays as it was.

    Raises:
        DoltflowError: It cannot be written.
    """
    try:
        is_new = not file.exists()
        if not is_new and not file.is_file():  # A pipe or a device is no file that another could replace.
            with file.open("wb") as there:
                _write(there, pieces)
            return
        target = file.resolve()
    except (OSError, RuntimeError, ValueError) as error:  # Links in a circle; what no system takes for a name.
        raise _unwritten(file, error) from error
    beside = target.with_name(f".doltflow-{secrets.token_hex(8)}")
    try:
        with beside.open("xb") as new:
            _write(new, pieces)
        if not is_new:
            beside.chmod(stat.S_IMODE(target.stat().st_mode))
        beside.replace(target)
    except OSError as error:
        raise _unwritten(file, error) from error
    finally:
        beside.unlink(missing_ok=True)


def _unwritten(file: Path, error: Exception) -> DoltflowError:
    return DoltflowError(f"`{file}` could not be written: {getattr(error, 'strerror', None) or error}.")


def _write(file: IO[bytes], pieces: Iterable[str | bytes]) -> None:
    for piece in pieces:
        file.write(piece if isinstance(piece, bytes) else piece.encode())


def say(text: str) -> None:
    """Writes to standard error, if anybody listens."""
    if sys.stderr is None:
        return
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        discard(sys.stderr)


def discard(stream: TextIO) -> None:
    """Sends the rest of a stream nowhere: Python would complain when it flushes it at the end."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def warn(warnings: Iterable[str]) -> None:
    """Prints a result's warnings."""
    texts = tuple(warnings)
    if texts:
        from doltflow.render.terminal import warnings as drawn

        say(drawn(texts, sys.stderr))


def note(text: str) -> None:
    """Prints a line that says what is being done."""
    from doltflow.render.text import safe

    say(f"{safe(text)}\n")


def relay(line: str) -> None:
    """Prints a line that another program printed, so that it steers no terminal."""
    from doltflow.render.text import safe

    say(f"{safe(line, lines=True)}\n")
