"""Flows run as programs of their own: `python flow.py resume …`, with the log kept and told line by line."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from doltflow.errors import FlowFileError
from doltflow.model.pathspec import Pathspec
from doltflow.sources.metaflow import supervisor
from doltflow.sources.temporary import temporary_folder

_LINE = re.compile(r"^\S+ \S+ \[\d+/(?P<step>[^/\]]+)/(?P<task>[^/\] ]+)[^\]]*\] (?P<text>.*)$")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True, slots=True)
class Launch:
    """A flow that is to be run.

    Attributes:
        script: The flow's file.
        arguments: What stands behind it: `("resume", "start", …)`.
        python: The interpreter.
        folder: Where to run it.
        store: The folder that holds the local Metaflow store; None where the store is not a local one.
        variables: What to set in the environment.
    """

    script: Path
    arguments: tuple[str, ...]
    python: str
    folder: Path
    store: Path | None
    variables: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Launched:
    """A flow that has run.

    Attributes:
        run: Its run, where it got as far as to have one.
        exit_code: The program's.
        log: The file that holds all that it printed.
    """

    run: Pathspec | None
    exit_code: int
    log: Path


def resume_arguments(origin: Pathspec, step: str, tags: Sequence[str]) -> tuple[str, ...]:
    """The arguments that run a flow again from a step on, with the parameters of an earlier run."""
    tagged = [part for tag in tags for part in ("--tag", tag)]
    return ("--no-pylint", "resume", step, "--origin-run-id", origin.run_id, *tagged)


def launch(
    asked: Launch,
    log: Path,
    tell: Callable[[str, str], None],
    log_line: Callable[[str], None] = lambda line: None,
    started: Callable[[Callable[[], None]], None] = lambda end: None,
) -> Launched:
    """Runs a flow to its end.

    Args:
        asked: What to run.
        log: Where to keep what it prints.
        tell: Called with a step's name and what became of it.
        log_line: Called with each line that it prints, as it comes, without the line's end and Metaflow's colours.
        started: Called once the flow runs, with a function that ends it from any thread.

    Raises:
        FlowFileError: The program cannot be started.
        KeyboardInterrupt: After the flow was ended too. Should doltflow be killed, the flow is ended as well.
    """
    program = _program(asked)
    environment = {**os.environ, **asked.variables, "PYTHONUNBUFFERED": "1"}
    if asked.store is not None:
        environment["METAFLOW_DATASTORE_SYSROOT_LOCAL"] = str(asked.store)
    with temporary_folder("run") as temporary, _kept(log) as kept:
        attributes = temporary / "run.json"
        flow = [program, str(asked.script), *asked.arguments, "--runner-attribute-file", str(attributes)]
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", supervisor.__file__, *flow],
            cwd=asked.folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # A Ctrl-C is ours to pass on, once.
        )
        try:
            started(process.stdin.close if process.stdin is not None else process.kill)
            for line in process.stdout or ():
                kept.write(line)
                text = _COLOUR.sub("", line.rstrip("\n"))
                log_line(text)
                found = _LINE.match(text)
                if found and found["text"].startswith("Task "):
                    tell(found["step"], found["text"].removeprefix("Task ").rstrip("."))
            exit_code = process.wait()
        finally:
            _end(process, kept)
        return Launched(_run_of(attributes), exit_code, log)


def _program(asked: Launch) -> str:
    """The interpreter's path. One that is given with a folder is looked for from where it is to run."""
    found = shutil.which(asked.python if os.sep not in asked.python else str(asked.folder / asked.python))
    if found is None:
        raise FlowFileError(
            f"{asked.python} cannot be started: there is no such program.", "Name another with `--python`."
        )
    return found


def _end(process: "subprocess.Popen[str]", kept: TextIO) -> None:
    """Ends a flow and its steps, where they have not ended: closes what `supervisor.py` waits for."""
    if process.stdin is not None:
        process.stdin.close()
    if process.stdout is not None:
        kept.writelines(process.stdout)
        process.stdout.close()
    process.wait()


def _kept(log: Path) -> TextIO:
    """The file for what a flow prints, which holds each line as soon as it is there."""
    return log.open("w", encoding="utf-8", buffering=1)


def _run_of(attributes: Path) -> Pathspec | None:
    try:
        data = json.loads(attributes.read_text())
        return Pathspec(str(data["flow_name"]), str(data["run_id"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
