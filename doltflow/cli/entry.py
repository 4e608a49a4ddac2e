"""`main`: runs a command, prints its answer, and turns whatever goes wrong into one message and an exit code."""

import errno
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import typer

from doltflow.cli.commands import app
from doltflow.cli.streams import AnswerError, answer, discard, prepare, say
from doltflow.errors import DoltflowError, shortened

NAME = "doltflow"
DEFECT, INTERRUPTED = 4, 130
# What the machine lacks or forbids is no defect of doltflow's.
_REFUSALS = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.EIO}
_DEBUG = "DOLTFLOW_DEBUG"
_ENVELOPED = ("json", "jsonl")


def main(arguments: Sequence[str] | None = None) -> int:
    """The program.

    Args:
        arguments: The command line without the program's name; `sys.argv`'s without it.

    Returns:
        The exit code.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    output = asked_output(given)
    prepare(utf8=output not in (None, "text"))
    try:
        with _terminable():
            exit_code = _run(given)
        if exit_code == INTERRUPTED and output in _ENVELOPED:  # A command was; it has not begun to answer.
            _answer_error("interrupted", "Interrupted.", "", output)
        return exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except SystemExit as error:
        # Typer and rich end the program where nobody reads their help; a reader that has had enough is no error.
        if isinstance(error.__context__, BrokenPipeError):
            discard(sys.stdout)
            return 0
        raise
    except Exception as error:
        return _fail(error, output)


@contextmanager
def _terminable() -> Iterator[None]:
    """A request to end is as a Ctrl-C: what is temporary is removed and what stays is named."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _run(arguments: Sequence[str]) -> int:
    # Without its standalone mode Typer leaves errors to the caller, and returns the exit code or the command's answer.
    done = typer.main.get_command(app).main(list(arguments), prog_name=NAME, standalone_mode=False)
    if isinstance(done, int):
        return done
    answer(done or ())
    return 0


def asked_output(arguments: Sequence[str]) -> str | None:
    """The last `--output` of a command line, whether or not the rest of it can be parsed."""
    asked = None
    for number, argument in enumerate(arguments):
        if argument == "--":
            break
        if argument == "--output" and number + 1 < len(arguments):
            asked = arguments[number + 1]
        elif argument.startswith("--output="):
            asked = argument.partition("=")[2]
    return asked


def _fail(error: Exception, output: str | None) -> int:
    """Prints the one message, in the form that was asked for, and gives the exit code."""
    if os.environ.get(_DEBUG) and not isinstance(error, typer.TyperException):
        from doltflow.render.text import safe

        say(safe("".join(traceback.format_exception(error)), lines=True))
    exit_code, code, message, hint = _explained(error)
    if output in _ENVELOPED and not isinstance(error, AnswerError):
        _answer_error(code, message, hint, output)
    else:
        _say_error(message, hint)
    return exit_code


def _answer_error(code: str, message: str, hint: str, output: str | None) -> None:
    from doltflow.render.envelope import error_envelope

    try:
        answer([error_envelope(code, message, hint, one_line=output == "jsonl")])
    except DoltflowError as unwritten:
        _say_error(unwritten.message, "")


def _say_error(message: str, hint: str) -> None:
    from doltflow.render.terminal import error as drawn

    say(drawn(message, hint, sys.stderr))


def _explained(error: Exception) -> tuple[int, str, str, str]:
    """The exit code, the error's code, the message and the hint."""
    if isinstance(error, typer.TyperException):
        context = getattr(error, "ctx", None)
        hint = f"`{context.command_path if context else NAME} --help` says how it is used."
        return error.exit_code, "usage", shortened(error.format_message()), hint
    if isinstance(error, DoltflowError):
        return error.exit_code, error.code, error.message, error.hint
    if isinstance(error, OSError) and error.errno in _REFUSALS:
        return DoltflowError.exit_code, "system", f"The system refused: {error}.", ""
    what = shortened(f"{type(error).__name__}: {error}") if str(error) else type(error).__name__
    shown = "" if os.environ.get(_DEBUG) else f", and what it prints under {_DEBUG}=1"
    hint = f"Please report it with the command, `doltflow --version`{shown}."
    return DEFECT, "defect", f"This is a defect of doltflow. {what}", hint
