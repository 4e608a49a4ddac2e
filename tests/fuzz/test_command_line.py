"""Any command line, on a real database with a real run: an answer or an error that explains, never a defect."""

import contextlib
import io
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from amount import MANY, amount
from conftest import dolt
from flows.harness import world
from hostile import HOSTILE, NAMES, STEERING, WHERE, steers
from hypothesis import given
from hypothesis import strategies as st
from typer.main import get_command

from doltflow.cli.commands import app
from doltflow.cli.entry import main
from doltflow.sources.dolt import Database

CODES = {0, 1, 2, 3, 130}
seen: Counter[int] = Counter()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with world(tmp_path_factory.mktemp("fuzz")) as here, contextlib.ExitStack() as stack:
        make = [f"create table `{name.replace('`', '``')}` (id int primary key, `v` varchar(50))" for name in TABLES]
        source = here.database("source", *make, f"insert into `it's` values (1, 'a{STEERING}')")
        target = here.database("target")
        dolt(
            source,
            "sql",
            "-q",
            "insert into `it's` values (2, 'b'); call dolt_commit('-am', 'two'); call dolt_tag('v1')",
        )
        here.run("hostile_flow.py", "--tables", '[["it\'s", "it\'s"], ["#x", "copied"]]')
        (here.folder / "out").mkdir()
        for database in (source, target):
            stack.enter_context(Database.at(database).open())
        yield here.folder


TABLES = ["it's", "#x", "a,b", "--help", "plain"]
texts = st.one_of(
    st.text(max_size=30),
    st.text(alphabet="ab-=@/.~^'\"`;:*%,()<>[]{}\\ \n\t\x00\x1b\x85\u202e\u05e9\U0001f600\udcff", max_size=12),
    st.sampled_from(
        [*NAMES, STEERING, "", "-", "--", "x" * 10_000, "~nobody", "/", ".", "..", "../..", "%s%n", "$(touch y)"]
    ),
)


def mostly(good: list[str], odd: list[str] | None = None, *more: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """What makes sense, and now and then what does not: one of the latter is enough to stop a command."""
    strange = st.one_of(texts, st.sampled_from(odd or [""]), *more)
    return st.integers(0, 7).flatmap(lambda number: st.sampled_from(good) if number else strange)


def output(*forms: str) -> st.SearchStrategy[str]:
    return mostly(list(forms))


tables = mostly([*TABLES, "copied", "source/it's", "target/copied"])
databases = mostly(["source", "target", "./source"], ["."])
odd_dates = ["2021-02-30", "9999-12-31", "0001-01-01", "2026-01-01T00:00:00+99:00", "now", "1e9"]
dates = mostly(["2026-01-01", "2026-01-01 12:00"], odd_dates, st.dates().map(str), st.datetimes().map(str))
odd_refs = ["HEAD~99999999999", "main^^^", "WORKING", "STAGED", "a" * 32, "~", "^", "main..v1", *odd_dates]
refs = mostly(["main", "HEAD", "main~1", "v1"], odd_refs)
runs = mostly(["HostileFlow/latest", "HostileFlow/latest/end"], ["HostileFlow/latest~1", "HostileFlow/1", "1", "//"])
ends = st.one_of(runs, st.builds("{}@{}".format, databases, refs))
wheres = mostly(["id = 1", "v is not null", "id in (1, 2) and v <> 'x'"], ["1", "avg(id) > 1", *HOSTILE, *WHERE])
keys = mostly(["id=1", "id=2"], ["id=", "=1", "id=x", "v=1", "id=1=2"], st.builds("{}={}".format, texts, texts))
numbers = mostly(["1", "2", "5"], ["0", "-1", "1e3", "0x1", "99999999999999999999", "\u0663"])
columns = mostly(["id", "id,v", '"id","v"'], [",", '"', "v,nothing"])
tolerances = mostly(["0.01", "1%"], ["-1", "nan", "inf", "1e999", "%"])
files = texts.map(lambda name: "out/" + name.replace("/", "_"))
ranges = st.builds("{}..{}".format, refs, refs)
sets = mostly(["note=x", "HostileFlow.note=x"], ["source=", "nothing=1", "=", "note"])
GRAPH = output("text", "json", "mermaid", "dot", "graphml", "csv")

VALUES: dict[str, st.SearchStrategy[str]] = {
    "TABLE": tables,
    "DATABASE": databases,
    "DATABASE@COMMIT": ends,
    "RUN": runs,
    "RUN|TABLE": st.one_of(runs, tables),
    "TABLE|RUN": st.one_of(runs, tables),
    "[TABLE]...": tables,
    "A": ends,
    "B": ends,
    "--as-of": dates,
    "--at": refs,
    "--bad": refs,
    "--base": refs,
    "--bisect": wheres,
    "--branch": texts,
    "--code": output("current", "recorded"),
    "--column": columns,
    "--columns": columns,
    "--commit": refs,
    "--database": databases,
    "--depth": numbers,
    "--every": numbers,
    "--flow": mostly(["HostileFlow"]),
    "--flow-file": texts,
    "--from": mostly(["end"]),
    "--good": refs,
    "--jobs": numbers,
    "--key": keys,
    "--limit": numbers,
    "--profile": texts,
    "--python": texts,
    "--remove": texts,
    "--run": runs,
    "--set": sets,
    "--since": dates,
    "--status": mostly(["successful"]),
    "--sweep": ranges,
    "--table": tables,
    "--to": files,
    "--tolerance": tolerances,
    "--until": dates,
    "--where": wheres,
    "--zoom": output("run", "step", "task"),
    "--output": output("text", "json"),
    "cat --output": output("csv", "jsonl", "parquet"),
    "diff --output": output("text", "json", "jsonl", "csv", "sql"),
    "log --output": output("text", "json", "jsonl"),
    "backtest --output": output("text", "json", "csv"),
    "impact --output": GRAPH,
    "trace --output": GRAPH,
}


def grammar() -> Iterator[tuple[str, list[st.SearchStrategy[str]], dict[str, st.SearchStrategy[str] | None]]]:
    """Every command as the program itself declares it, with what its arguments and options may be given.

    Left out are the demo, which makes a folder anywhere, and running flows, which other tests do.
    """
    commands: dict[str, Any] = get_command(app).commands  # type: ignore[attr-defined]
    for command, declared in commands.items():
        if command == "demo":
            continue
        positionals, options = [], dict[str, st.SearchStrategy[str] | None]()
        for parameter in declared.params:
            name = max(parameter.opts, key=len)
            if parameter.param_type_name == "argument":
                positionals.append(VALUES[parameter.metavar or parameter.name.upper()])
            elif getattr(parameter, "is_flag", False):
                options |= dict.fromkeys([*parameter.opts, *parameter.secondary_opts])
            else:
                options |= dict.fromkeys(parameter.opts, VALUES.get(f"{command} {name}", VALUES[name]))
        if command == "backtest":
            del options["--run"], options["--resume"]
        options.pop("--attribute", None)
        yield command, positionals, options


COMMANDS = {command: (positionals, options) for command, positionals, options in grammar()}
COMMANDS[""] = ([texts], {"--version": None, "--help": None, "--nothing": texts})


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    command = draw(st.sampled_from(sorted(COMMANDS)))
    positionals, options = COMMANDS[command]
    arguments = [command] if command else []
    # No flow is run: that is what other tests are for.
    arguments += ["--dry-run"] if command in ("replay", "backtest") else []
    for name in draw(st.lists(st.sampled_from(sorted(options)), max_size=4)):
        value = options[name]
        if value is None:
            arguments.append(name)
        elif name.startswith("--") and draw(st.booleans()):
            arguments.append(f"{name}={draw(value)}")
        else:
            arguments += [name, draw(value)]
    given_ = [draw(positional) for positional in positionals]
    arguments += ["--", *given_] if draw(st.booleans()) else given_
    if draw(st.integers(0, 9)) == 0:  # Out of order, or too much.
        arguments.insert(draw(st.integers(0, len(arguments))), draw(texts))
    return arguments


def check(arguments: list[str]) -> None:
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(arguments)
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else 0
    told = err.buffer.getvalue().decode()  # type: ignore[attr-defined]
    answer = out.buffer.getvalue()  # type: ignore[attr-defined]
    assert code in CODES, told
    assert "Traceback" not in told
    assert set(steers(told)) <= {"\t"}
    assert len(told) < 20_000
    # What is nothing but rows goes to a pipe as it is.
    if not {"cat", "sql", "csv", "--output=sql", "--output=csv"} & set(arguments):
        assert set(steers(answer.decode())) <= {"\t"}
    seen[code] += 1
    if MANY and seen.total() % 100 == 0:
        print(f"\n{seen.total():,} command lines, by exit code {dict(seen)}", file=sys.__stderr__, flush=True)


@amount(60, 1.0)
@given(arguments=command_lines())
def test_any_command_line(folder: Path, arguments: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        check(arguments)


def test_they_were_of_every_kind() -> None:
    """Most would be nothing but wrong usage if the grammar were wrong."""
    assert {0, 2, 3} <= set(seen)
