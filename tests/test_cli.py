"""The program: options, exit codes, what goes to which stream. Operations are replaced only to make them fail."""

import contextlib
import errno
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

import doltflow.errors
import doltflow.runs
import doltflow.trace
from doltflow.cli import main
from doltflow.errors import DoltflowError, TableNotFoundError, UsageError
from doltflow.model import Access, Run
from doltflow.runs import RunsResult

PROGRAM = [sys.executable, "-m", "doltflow"]
COMPLETIONS = Path(__file__).parents[1] / "completions"
REWRITE = os.environ.get("DOLTFLOW_REWRITE")  # Read before the tests get an environment of their own.
COMMANDS = ("trace", "runs", "show", "log", "cat", "impact", "status", "audit", "replay", "backtest", "demo")
HEAVY = ("metaflow", "pandas", "numpy", "pyarrow", "networkx", "sqlglot", "pymysql", "connectorx", "doltcli")

# A program whose `doltflow runs` finds 2,000 runs without looking for them.
MANY_RUNS = """
import sys
import doltflow.runs
from doltflow.cli import main
from doltflow.model import Access, Run
from doltflow.runs import RunsResult
def runs(**_):
    print("A library says hello.")
    found = [Run("F", str(n), accesses=(Access("write", "t", "db", None, "a" * 32, ("t",), f"F/{n}/start/1"),))
             for n in range(2000)]
    return RunsResult(tuple(found), ())
doltflow.runs.runs = runs
sys.exit(main())
"""


def fail_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def operation(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr(doltflow.trace, "trace", operation)


def found(monkeypatch: pytest.MonkeyPatch, *runs: Run, warnings: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    asked: list[dict[str, Any]] = []

    def operation(**options: Any) -> RunsResult:
        asked.append(options)
        print("A library says hello.")
        return RunsResult(runs, warnings)

    monkeypatch.setattr(doltflow.runs, "runs", operation)
    return asked


def run(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PROGRAM, *arguments], capture_output=True, text=True, **options)


def in_terminal(columns: int, *command: str, **variables: str) -> str:
    """What a command shows on a terminal of so many columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", **variables}
    child = subprocess.Popen([*command], stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL, env=environment)
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # What Linux says at the end.
        while piece := os.read(ours, 65536):
            shown += piece
    os.close(ours)
    assert child.wait() == 0
    return shown.decode().replace("\r\n", "\n")


def test_version(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dolt = subprocess.run(["dolt", "version"], capture_output=True, text=True, check=True).stdout.split()[2]
    others = f"Metaflow {metadata.version('metaflow')}\n"
    assert main(["--version"]) == 0
    assert capsys.readouterr() == (f"doltflow {doltflow.__version__}\nDolt {dolt}\n{others}", "")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["--version"]) == 0
    assert capsys.readouterr() == (f"doltflow {doltflow.__version__}\nDolt is not on PATH\n{others}", "")


@pytest.mark.parametrize("command", ["", *COMMANDS])
@pytest.mark.parametrize(("columns", "widest"), [(40, 50), (80, 80)])  # Typer does not go below 50.
def test_help(
    command: str, columns: int, widest: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert main([*command.split(), "--help"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.startswith(f"Usage: {f'doltflow {command}'.strip()} ")
    lines = [line for line in out.splitlines() if not line.startswith("    doltflow ")]  # They are there to be copied.
    assert max(map(len, lines)) <= widest
    for part in (f"    doltflow {command}", "--output") if command else (*COMMANDS, "--show-completion"):
        assert part in out


def test_help_imports_little() -> None:
    script = (
        "import sys\nfrom doltflow.cli import main\n"
        f"main(['--help'])\nprint(*sorted({{m.split('.')[0] for m in sys.modules}} & {set(HEAVY)!r}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "\n")


def test_no_arguments_show_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    out, err = capsys.readouterr()
    assert out.startswith("Usage: doltflow ")
    assert err == ""


USAGE = [
    (["trac"], "No such command 'trac'. Did you mean 'trace'?", "doltflow"),
    (["--nonsense"], "No such option: --nonsense", "doltflow"),
    (["trace"], "Missing argument 'TABLE|RUN'.", "doltflow trace"),
    (["show", "a", "b"], "Got unexpected extra argument(s) (b)", "doltflow show"),
    (["trace", "t", "--depth", "-1"], "Invalid value for '--depth': Input should be greater than or equal to 0",
     "doltflow trace"),
    (["runs", "--flow"], "Option '--flow' requires an argument.", "doltflow"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "message", "command"), USAGE)
def test_wrong_usage(arguments: list[str], message: str, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"error: {message}\n`{command} --help` says how it is used.\n")


@pytest.mark.parametrize(
    ("arguments", "message", "command"),
    [
        (["trace", "--output", "json"], "Missing argument 'TABLE|RUN'.", "doltflow trace"),
        (["--output=json", "trac"], "No such option: --output", "doltflow"),
        (["runs", "--output", "text", "--output", "json", "--limit", "x"],
         "Invalid value for '--limit': Input should be a valid integer, unable to parse string as an integer",
         "doltflow runs"),
    ],
)  # fmt: skip
def test_wrong_usage_as_json(
    arguments: list[str], message: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    hint = f"`{command} --help` says how it is used."
    error = {"code": "usage", "message": message, "hint": hint}
    assert (json.loads(out), err) == ({"schema": "doltflow.error/1", "error": error}, "")


def test_what_looks_like_json_but_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["show", "--", "--output", "json"], ["runs", "--output", "xml"], ["show", "--output"]):
        assert main(arguments) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("error: ")


def errors() -> list[type[DoltflowError]]:
    classes = [value for value in vars(doltflow.errors).values() if isinstance(value, type)]
    return [value for value in classes if issubclass(value, DoltflowError)]


@pytest.mark.parametrize("kind", errors())
def test_expected_errors(
    kind: type[DoltflowError], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fail_with(monkeypatch, kind("There is no [bold]`t\x1b`.", "Did you mean `u`?"))
    expected = 2 if kind is UsageError else 3
    assert main(["trace", "t"]) == expected
    assert capsys.readouterr() == ("", "error: There is no [bold]`t\\x1b`.\nDid you mean `u`?\n")
    assert main(["trace", "t", "--output", "json"]) == expected
    out, err = capsys.readouterr()
    error = {"code": kind.code, "message": "There is no [bold]`t\x1b`.", "hint": "Did you mean `u`?"}
    assert (json.loads(out), err) == ({"schema": "doltflow.error/1", "error": error}, "")
    assert main(["trace", "t", "--output", "mermaid"]) == expected
    assert capsys.readouterr().out == ""


def test_an_error_without_a_hint(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    fail_with(monkeypatch, TableNotFoundError("Nothing here."))
    assert main(["trace", "t"]) == 3
    assert capsys.readouterr() == ("", "error: Nothing here.\n")


REPORT = "Please report it with the command, `doltflow --version`, and what it prints under DOLTFLOW_DEBUG=1."


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ZeroDivisionError("by \x1bzero"), "This is a defect of doltflow. ZeroDivisionError: by \\x1bzero"),
        (KeyError(), "This is a defect of doltflow. KeyError"),
        (RecursionError("deep"), "This is a defect of doltflow. RecursionError: deep"),
        # An operation's connection, not the reader of the answer.
        (BrokenPipeError(32, "Gone"), "This is a defect of doltflow. ConnectionAbortedError: [Errno 32] Gone"),
    ],
)
def test_defects(
    error: Exception, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fail_with(monkeypatch, error)
    assert main(["trace", "t"]) == 4
    assert capsys.readouterr() == ("", f"error: {message}\n{REPORT}\n")


def test_a_defect_as_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    fail_with(monkeypatch, ZeroDivisionError("zero"))
    assert main(["trace", "t", "--output", "json"]) == 4
    out, err = capsys.readouterr()
    error = {"code": "defect", "message": "This is a defect of doltflow. ZeroDivisionError: zero", "hint": REPORT}
    assert (json.loads(out), err) == ({"schema": "doltflow.error/1", "error": error}, "")


def test_a_traceback_only_when_debugging(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("DOLTFLOW_DEBUG", "1")
    fail_with(monkeypatch, ZeroDivisionError("by \x1bzero"))
    assert main(["trace", "t"]) == 4
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Traceback (most recent call last):\n")
    assert "ZeroDivisionError: by \\x1bzero\nerror: This is a defect" in err


def test_what_the_machine_forbids_is_no_defect(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fail_with(monkeypatch, PermissionError(errno.EACCES, "Permission denied", "/secret"))
    assert main(["trace", "t"]) == 3
    assert capsys.readouterr() == ("", "error: The system refused: [Errno 13] Permission denied: '/secret'.\n")


def test_interrupted(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    fail_with(monkeypatch, KeyboardInterrupt())
    assert main(["trace", "t"]) == 130
    assert capsys.readouterr() == ("", "")
    assert main(["trace", "t", "--output", "json"]) == 130
    error = {"code": "interrupted", "message": "Interrupted.", "hint": ""}
    assert json.loads(capsys.readouterr().out) == {"schema": "doltflow.error/1", "error": error}


def test_interrupted_by_a_signal() -> None:
    script = MANY_RUNS.replace('print("A library says hello.")', "print(1, flush=True); import time; time.sleep(60)")
    command = [sys.executable, "-c", script, "runs"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr is not None
        child.stderr.readline()
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=30)
    assert (child.returncode, out, err) == (130, "", "")


def test_options_reach_the_operation(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    asked = found(monkeypatch)
    assert main(["runs", "--flow", "F", "--limit", "3", "--output", "jsonl"]) == 0
    assert main(["runs"]) == 0
    dates = {"since": None, "until": None}
    assert asked == [{"flow": "F", "limit": 3} | dates, {"flow": None, "limit": None} | dates]
    traced: list[Any] = []

    def operation(*arguments: Any, **options: Any) -> Any:
        traced.append((arguments, options))
        raise DoltflowError("Enough.")

    monkeypatch.setattr(doltflow.trace, "trace", operation)
    main(["trace", "t", "-d", "db", "--at", "main", "--depth", "2", "--zoom", "step", "--output", "dot"])
    main(["trace", "F/latest", "--downstream"])
    main(["trace", "t", "--both"])
    plain = {"columns": False}
    assert traced == [
        (("t",), {"database": "db", "at": "main", "depth": 2, "zoom": "step", "direction": "upstream"} | plain),
        (
            ("F/latest",),
            {"database": None, "at": None, "depth": None, "zoom": "run", "direction": "downstream"} | plain,
        ),
        (("t",), {"database": None, "at": None, "depth": None, "zoom": "run", "direction": "both"} | plain),
    ]


def a_run() -> Run:
    return Run("F", "1", accesses=(Access("write", "t", "db", None, "a" * 32, ("t",), "F/1/start/2", rows=3),))


def test_only_the_answer_is_on_stdout(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    found(monkeypatch, a_run(), warnings=("one [bold]\x1b", "two"))
    assert main(["runs"]) == 0
    said = "A library says hello.\nwarning: one [bold]\\x1b\nwarning: two\n"
    assert capsys.readouterr() == ("F/1\n  status unknown\n  wrote db/t @ aaaaaaaa · 3 rows\n", said)
    assert main(["runs", "--output", "json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["data"]["warnings"] == ["one [bold]\x1b", "two"]
    assert err == said


def test_no_runs_at_all(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    found(monkeypatch)
    assert main(["runs", "--flow", "F"]) == 0
    said = "A library says hello.\n"
    assert capsys.readouterr() == ("", f"{said}No run of F has read or written a table in Dolt here.\n")
    assert main(["runs", "--output", "jsonl"]) == 0
    assert capsys.readouterr() == ("", said)


@pytest.mark.parametrize("arguments", ["runs", "runs --output json", "runs --output jsonl"])
def test_a_reader_that_has_had_enough(arguments: str) -> None:
    command = [sys.executable, "-c", MANY_RUNS, *arguments.split()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.readline()
        child.stdout.close()
        err = child.stderr.read()
    assert (child.returncode, err) == (0, "A library says hello.\n")


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["trace", "--help"], ["nonsense", "--output=json"]])
def test_a_reader_that_never_was(arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as nobody:
        done = subprocess.run([*PROGRAM, *arguments], stdout=nobody, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (2 if "nonsense" in arguments else 0, "")


def test_a_full_disk() -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-c", MANY_RUNS, "runs"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    said = "error: The answer could not be written: No space left on device.\n"
    assert (done.returncode, done.stderr) == (3, f"A library says hello.\n{said}")


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_streams(closed: str) -> None:
    command = 'exec "$0" -c "$1" runs --output jsonl ' + closed
    done = subprocess.run(["sh", "-c", command, sys.executable, MANY_RUNS], capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stdout.count("\n") == (0 if closed.startswith(">") else 2000)
    assert done.stderr == ("" if "2" in closed else "A library says hello.\n")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_that_knows_few_characters(encoding: str) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    odd = MANY_RUNS.replace('"db"', '"dé😀\\udc80"').replace("2000", "1")
    command = [sys.executable, "-c", odd, "runs"]
    done = subprocess.run(command, capture_output=True, env=environment)
    expected = "F/0\n  status unknown\n  wrote dé\\U0001f600\\udc80/t @ aaaaaaaa\n".encode(encoding, "backslashreplace")
    assert (done.returncode, done.stdout) == (0, expected)
    done = subprocess.run([*command, "--output", "jsonl"], capture_output=True, env=environment)
    assert json.loads(done.stdout.decode())["writes"][0]["database"] == "dé😀\udc80"


def test_terminals() -> None:
    command = [sys.executable, "-c", MANY_RUNS.replace("2000", "1").replace('"t"', '"t" * 50'), "runs"]
    plain = f"F/0\n  status unknown\n  wrote db/{'t' * 29}\n        {'t' * 21} @ aaaaaaaa\n"
    assert in_terminal(40, *command, NO_COLOR="1") == plain
    coloured = in_terminal(40, *command)
    assert "\x1b[1;32mF/0\x1b[0m\n" in coloured
    assert [line.rstrip() for line in re.sub("\x1b\\[[0-9;]*m", "", coloured).splitlines()] == plain.splitlines()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions(shell: str) -> None:
    """`DOLTFLOW_REWRITE=1 pytest tests/test_cli.py` writes them anew."""
    program = str(Path(sys.executable).with_name("doltflow"))
    environment = {**os.environ, "_DOLTFLOW_COMPLETE": f"source_{shell}"}
    done = subprocess.run([program], env=environment, capture_output=True, text=True, check=True)
    # zsh looks for `#compdef` in the first line.
    expected, file = f"{done.stdout.strip()}\n", COMPLETIONS / f"doltflow.{shell}"
    if REWRITE:
        file.write_text(expected)
    assert file.read_text() == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["doltflow", ""], "trace\nruns\nshow\nlog\ncat\nimpact\nstatus\naudit\nreplay\nbacktest\ndiff\ndemo"),
        (["doltflow", "trace", "--output", "j"], "json"),
        (["doltflow", "runs", "--output", ""], "text\njson\njsonl"),
        (["doltflow", "trace", "--zoom", ""], "run\nstep\ntask"),
        (["doltflow", "trace", "--data"], "--database"),
    ],
)
def test_bash_completes(words: list[str], expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(sys.executable).parent
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    script = f"""
        source '{COMPLETIONS}/doltflow.bash'
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
        _doltflow_completion doltflow
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", script, "bash", *words], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{expected}\n", "")


def test_the_module_is_the_program() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout.splitlines()[0], done.stderr) == (0, f"doltflow {doltflow.__version__}", "")


def test_demo_traces_what_it_made(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    made: list[Path] = []

    def operation(folder: Path, progress: Callable[[str], None]) -> Any:
        made.append(folder)
        progress("Making it\x1b")
        return doltflow.demo.DemoResult(tmp_path, True, ("F/1",), ("doltflow runs",))

    def trace_table(table: str, folder: Path) -> Any:
        assert folder == tmp_path
        raise TableNotFoundError(f"No {table}.")

    monkeypatch.setattr("doltflow.demo.demo", operation)
    monkeypatch.setattr("doltflow.trace.trace_table", trace_table)
    assert main(["demo"]) == 3
    assert capsys.readouterr() == ("", "Making it\\x1b\nerror: No variance_by_procedure.\n")
    assert main(["demo", "x", "--output", "json"]) == 0
    data = {"folder": str(tmp_path), "created": True, "runs": ["F/1"], "next": ["doltflow runs"]}
    assert json.loads(capsys.readouterr().out) == {"schema": "doltflow.demo/1", "data": data}
    assert made == [Path("doltflow-demo"), Path("x")]
