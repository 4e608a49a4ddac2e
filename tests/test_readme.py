"""README.md is true: its commands run, its help texts and its trace are what the program prints, its flow works.

`DOLTFLOW_REWRITE=1 pytest tests/test_readme.py` puts the present texts into it.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"
REWRITE = bool(os.environ.get("DOLTFLOW_REWRITE"))
COMMANDS = (
    "",
    "trace",
    "runs",
    "show",
    "log",
    "cat",
    "impact",
    "status",
    "audit",
    "replay",
    "backtest",
    "diff",
    "demo",
)


def output(folder: Path, *arguments: str) -> str:
    """What doltflow prints, on a terminal of 80 columns without colour."""
    program = str(Path(sys.executable).with_name("doltflow"))
    environment = {**os.environ, "COLUMNS": "80", "TERM": "dumb", "NO_COLOR": "1"}
    done = subprocess.run([program, *arguments], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return "\n".join(line.rstrip() for line in done.stdout.strip("\n").splitlines())


def block(name: str) -> str:
    """What stands between two marks of README.md."""
    _, _, rest = README.read_text().partition(f"<!-- {name}: begin -->\n")
    text, found, _ = rest.partition(f"<!-- {name}: end -->")
    assert found, f"README.md has no block `{name}`"
    return text


def check(name: str, expected: str, same: str | None = None) -> None:
    """Compares a block with what it must be, `same` where parts of it are different each time; or rewrites it."""
    if REWRITE:
        text = README.read_text()
        old = f"<!-- {name}: begin -->\n{block(name)}<!-- {name}: end -->"
        README.write_text(text.replace(old, f"<!-- {name}: begin -->\n{expected}<!-- {name}: end -->"))
    found = block(name)
    assert (found if same is None else anonymous(found)) == (expected if same is None else same)


def anonymous(text: str) -> str:
    """A text without what differs from run to run."""
    text = re.sub(r"\b[0-9a-v]{32}\b", "<hash>", text)
    text = re.sub(r"(?<=@ )[0-9a-v]{8}\b", "<hash>", text)
    text = re.sub(r"\b\d{13,17}\b", "<id>", text)
    text = re.sub(r"\b[\d.]+ s\b", "<seconds>", text)
    return re.sub(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?", "<time>", text)


def test_help(tmp_path: Path) -> None:
    texts = []
    for command in COMMANDS:
        arguments = [part for part in (command, "--help") if part]
        texts.append(f"```console\n$ doltflow {' '.join(arguments)}\n{output(tmp_path, *arguments)}\n```\n")
    check("help", "\n".join(texts))


@pytest.mark.long
def test_trace(demo_folder: Path) -> None:
    tree = output(demo_folder, "trace", "variance_by_procedure")
    text = f"```console\n$ doltflow trace variance_by_procedure\n{tree}\n```\n"
    check("trace", text, anonymous(text))


@pytest.mark.long
def test_commands_run(demo_folder: Path) -> None:
    text = re.sub(r"<!-- (\w+): begin -->.*?<!-- \1: end -->", "", README.read_text(), flags=re.DOTALL)
    commands = re.findall(r"^\$ doltflow (.+)$", text, flags=re.MULTILINE)
    assert commands
    for command in commands:
        assert output(demo_folder, *command.split())


@pytest.mark.long
def test_flow_runs(demo_copy: Path) -> None:
    (flow,) = re.findall(r"^```python\n(.*?)^```$", README.read_text(), flags=re.MULTILINE | re.DOTALL)
    (demo_copy / "cheapest_flow.py").write_text(flow)
    done = subprocess.run([sys.executable, "cheapest_flow.py", "run"], cwd=demo_copy, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "state_procedure_medians" in output(demo_copy, "trace", "cheapest_by_procedure")


def test_targets_exist() -> None:
    makefile = (README.parent / "Makefile").read_text()
    targets = re.findall(r"^(?:`)?make (\w+)", README.read_text(), flags=re.MULTILINE)
    assert targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target
