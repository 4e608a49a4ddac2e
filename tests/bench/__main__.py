"""`make bench`: each figure as a ratio to the raw program in the same run, in pairs A B A B …, medians.

Prints one table and writes `build/bench.json`. `make bench-full` does the same with the demo's flows at the founding
document's size, or at a part of it, `SCALE`, and writes `build/bench-full.json`. `--figures` puts the tables of these
files into README.md instead.
"""

import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
RESULT, FULL_RESULT = ROOT / "build" / "bench.json", ROOT / "build" / "bench-full.json"
TORTURE = ROOT / "build" / "torture"
ROWS = 1_000_000
EMPTY_TYPER = """
import typer
app = typer.Typer()
@app.command()
def one() -> None:
    "One."
@app.command()
def two() -> None:
    "Two."
app()
"""


@dataclass(frozen=True)
class Figure:
    """One comparison.

    Attributes:
        name: What was measured, and against what.
        ratio: Median of ours over median of the raw program's, pair by pair.
        goal: The ratio that was aimed at.
        met: Whether it was reached.
        seconds, raw_seconds: Medians.
        peak_mb: Peak resident memory of our process, in MiB.
        raw_peak_mb: That of what it was compared with, where that was measured.
    """

    name: str
    ratio: float
    goal: float
    met: bool
    seconds: float
    raw_seconds: float
    peak_mb: float
    raw_peak_mb: float | None = None


def figure(
    name: str,
    goal: float,
    ours: list[float],
    raw: list[float],
    peak_mb: float,
    raw_peak_mb: float | None = None,
    ratios: list[float] | None = None,
) -> Figure:
    """The figure of paired times; also of what `ratios` gives for each pair instead of the one time over the other."""
    ratio = statistics.median(ratios or [a / b for a, b in zip(ours, raw, strict=True)])
    seconds, raw_seconds = statistics.median(ours), statistics.median(raw)
    return Figure(
        name,
        round(ratio, _digits(goal)),
        goal,
        ratio <= goal,
        round(seconds, 3),
        round(raw_seconds, 3),
        round(peak_mb, 1),
        round(raw_peak_mb, 1) if raw_peak_mb is not None else None,
    )


def _digits(goal: float) -> int:
    return 2 if goal >= 1 else 3


def run(arguments: list[str], folder: Path, output: Path | None = None) -> float:
    """Runs a program and gives its seconds."""
    with (output or Path(os.devnull)).open("wb") as out:
        began = time.perf_counter()
        done = subprocess.run(arguments, cwd=folder, stdout=out, stderr=subprocess.PIPE)
        seconds = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)}: {done.stderr.decode(errors='replace')}")
    return seconds


def peak_of(arguments: list[str], folder: Path) -> tuple[float, float]:
    """The peak resident memory of a program's own process, in MiB, and its seconds.

    What `wait4` tells is also about the processes that it waited for, such as Dolt's server.
    """
    began, peak = time.perf_counter(), 0
    process = subprocess.Popen(arguments, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    status = Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        _, _, found = status.read_text().partition("VmHWM:")
        peak = int(found.split()[0]) if found else peak  # It is gone when the process has ended.
        time.sleep(0.005)
    seconds = time.perf_counter() - began
    _, errors = process.communicate()
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)}: {errors.decode(errors='replace')}")
    return peak / 1024, seconds


def flow(folder: Path, scenario: str, **parameters: object) -> dict[str, list[float]]:
    """Runs the flow on a scenario and gives what it timed."""
    result = folder / "result.json"
    options = [part for name, value in parameters.items() for part in (f"--{name}", str(value))]
    script = str(Path(__file__).with_name("flow.py"))
    run(
        [sys.executable, script, "--no-pylint", "run", "--scenario", scenario, "--result", str(result), *options],
        folder,
    )
    return json.loads(result.read_text())


def database(folder: Path, *statements: str) -> Path:
    """A new database."""
    folder.mkdir()
    run(["dolt", "init", "-b", "main", "--name", "bench", "--email", "bench@example.com"], folder)
    script = folder.with_suffix(".sql")
    script.write_text(";\n".join([*statements, "call dolt_commit('-Am', 'setup')"]))
    run(["dolt", "sql", "--file", str(script)], folder)
    return folder


def help_figure(folder: Path) -> Figure:
    """`doltflow --help` against a Typer program with two empty commands."""
    empty = folder / "empty.py"
    empty.write_text(EMPTY_TYPER)
    doltflow = str(Path(sys.executable).with_name("doltflow"))
    ours, raw = [], []
    for number in range(16):
        pair = run([doltflow, "--help"], folder), run([sys.executable, str(empty), "--help"], folder)
        if number:
            ours.append(pair[0])
            raw.append(pair[1])
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return figure("`doltflow --help` / an empty Typer program's", 1.3, ours, raw, peak)


def small_figure(folder: Path) -> Figure:
    """A context with one read and one write of 10 rows."""
    values = ", ".join(f"({number}, 0.5)" for number in range(10))
    db = database(
        folder / "small", "create table small (id bigint primary key, v double)", f"insert into small values {values}"
    )
    times = flow(folder, "small", db=db, rounds=16)
    name = 'one read and one write of 10 rows, from cold / `dolt sql -q "select 1"`'
    return figure(name, 2.5, times["ours"], times["raw"], float(times["peak_mb"]))  # type: ignore[arg-type]


def make_rows(folder: Path) -> tuple[Path, Path]:
    """A million rows × 4: unsorted as Parquet, and sorted by key as CSV."""
    import pandas as pd

    chance = random.Random(7)
    identities = list(range(ROWS))
    frame = pd.DataFrame(
        {
            "id": identities,
            "code": [f"c{chance.randrange(10**9):09}" for _ in identities],
            "price": [round(chance.random() * 1000, 2) for _ in identities],
            "n": [chance.randrange(2**60) for _ in identities],
        }
    )
    ordered = folder / "sorted.csv"
    frame.to_csv(ordered, index=False)
    chance.shuffle(identities)
    unsorted = folder / "unsorted.parquet"
    frame.iloc[identities].reset_index(drop=True).to_parquet(unsorted)
    return unsorted, ordered


def bulk_figures(folder: Path) -> list[Figure]:
    """Writing and reading a million rows."""
    unsorted, ordered = make_rows(folder)
    empty = database(
        folder / "empty",
        "create table big (id bigint primary key, code varchar(20), price double, n bigint)",
        "call dolt_branch('side')",
    )
    ours, raw, peak = [], [], 0.0
    for number in range(3):
        mine, theirs = folder / f"mine{number}", folder / f"theirs{number}"
        shutil.copytree(empty, mine)
        shutil.copytree(empty, theirs)
        times = flow(folder, "write", db=mine, data=unsorted)
        ours += times["ours"]
        peak = max(peak, float(times["peak_mb"]))  # type: ignore[arg-type]
        raw.append(run(["dolt", "table", "import", "-r", "big", str(ordered)], theirs))
        if number:
            shutil.rmtree(mine)
            shutil.rmtree(theirs)
    name = "writing 1,000,000 unsorted rows to another branch / `dolt table import -r` of them sorted"
    write = figure(name, 1.0, ours, raw, peak)

    full = folder / "theirs0"
    run(["dolt", "commit", "-Am", "rows"], full)
    ours, raw, peak = [], [], 0.0
    for number in range(6):
        times = flow(folder, "read", db=full)
        seconds = run(["dolt", "sql", "-r", "csv", "-q", "select * from big"], full, folder / "big.csv")
        if number:
            ours += times["ours"]
            raw.append(seconds)
            peak = max(peak, float(times["peak_mb"]))  # type: ignore[arg-type]
    read = figure("reading 1,000,000 rows × 4 into pandas / `dolt sql -r csv` to a file", 1.0, ours, raw, peak)
    return [read, write]


def history_figures(folder: Path) -> list[Figure]:
    """The trace of a table in a long history: without doltflow's index of it, and with it."""
    import history

    short, long = history.History(folder / "short"), history.History(folder / "long")
    short.grow(100)
    doltflow = str(Path(sys.executable).with_name("doltflow"))
    trace = [doltflow, "trace", f"a{history.DERIVED - 1}"]
    log = "select commit_hash, date, message from"
    raw_log = ["dolt", "sql", "-q", f"{log} source.dolt_log union all {log} analysis.dolt_log"]
    index = Path(os.environ["HOME"]) / ".cache" / "doltflow" / "index"
    figures = []
    for commits in (5_000, 10_000, 20_000):
        long.grow(commits)
        cold, raw, warm, few = [], [], [], []
        for number in range(8):
            shutil.rmtree(index, ignore_errors=True)
            times = run(trace, long.folder), run(raw_log, long.folder)
            run(trace, short.folder)
            more = run(trace, long.folder), run(trace, short.folder)
            if number:
                cold.append(times[0])
                raw.append(times[1])
                warm.append(more[0])
                few.append(more[1])
        peak, _ = peak_of(trace, long.folder)
        name = f"`doltflow trace` of {commits:,} commits and {commits // 2:,} runs"
        figures.append(figure(f"{name}, cold / `dolt sql` of their `dolt_log`", 1.5, cold, raw, peak))
        figures.append(figure(f"{name}, warm / the same on 100 commits", 1.2, warm, few, peak))
    return figures


def rerun_figures(folder: Path) -> list[Figure]:
    """A replay against the plain run of its flow; branches and verdicts on few and on many rows."""
    import reruns

    doltflow = str(Path(sys.executable).with_name("doltflow"))
    usual = reruns.Reruns(folder / "usual", 500_000)
    replay = [doltflow, "replay", f"{reruns.CLASS}/latest"]
    ours, raw = [], []
    for number in range(8):
        usual.renew()  # Both write tables that are not there.
        raw_seconds = run(usual.run_command(), usual.folder)
        seconds = run(replay, usual.folder)
        if number:
            ours.append(seconds)
            raw.append(raw_seconds)
    name = "`doltflow replay` of a flow on 500,000 prices / `python flow.py run` of it"
    figures = [figure(name, 1.15, ours, raw, peak_of(replay, usual.folder)[0])]

    few, many = reruns.Reruns(folder / "few", 10_000), reruns.Reruns(folder / "many", 1_000_000)
    for each in (few, many):
        run(each.run_command(1_000), each.folder)
    ours, raw = [], []
    for number in range(12):
        pair = [
            run([doltflow, "backtest", "--commit", each.first, "--branch", f"b{number}"], each.folder)
            for each in (many, few)
        ]
        if number:
            ours.append(pair[0])
            raw.append(pair[1])
    peak, _ = peak_of([doltflow, "backtest", "--commit", many.first, "--branch", "last"], many.folder)
    name = "`doltflow backtest`: branches on 1,000,000 rows / on 10,000"
    figures.append(figure(name, 1.1, ours, raw, peak))

    for what, commit in (("the same", "more"), ("one row more", "first")):
        pair = reruns.verdicts(many, few, commit, 500)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        figures.append(figure(f"a replay's verdict, {what}, on 1,000,000 rows / on 10,000", 1.1, *pair, peak))
    return figures


def diff_figures(folder: Path) -> list[Figure]:
    """The answer of `diff` against Dolt's own walk and against a comparison in pandas; its memory on many rows."""
    import diffs

    changes = diffs.Diffs(folder / "changes")
    figures = []
    for rows, rounds, peer_rounds in ((10, 12, 4), (1_000, 12, 4), (100_000, 8, 0)):
        print(f"  {rows:,} rows …", file=sys.stderr)
        changes.check(rows)
        ours, raw = [], []
        for number in range(rounds):
            pair = (
                run(changes.ours(rows), changes.folder),
                run(changes.raw(rows), changes.database, folder / "raw.csv"),
            )
            if number:
                ours.append(pair[0])
                raw.append(pair[1])
        peak, _ = peak_of(changes.ours(rows), changes.folder)
        name = f"`doltflow diff` of {rows:,} changed rows of {diffs.ROWS:,}"
        figures.append(figure(f"{name} / `dolt sql` of `dolt_diff`", 1.5, ours, raw, peak))
        above = [(a - b) / 0.6 for a, b in zip(ours, raw, strict=True)]
        figures.append(figure(f"{name}, seconds above that / 0.6", 1.0, ours, raw, peak, ratios=above))
        if not peer_rounds:
            continue
        changes.check_peer(rows)
        ours, raw = [], []
        for _ in range(peer_rounds):
            ours.append(run(changes.ours(rows), changes.folder))
            raw.append(run(changes.peer(rows), changes.database))
        raw_peak, _ = peak_of(changes.peer(rows), changes.database)
        figures.append(
            figure(f"{name} / both versions compared by datacompy in pandas", 0.1, ours, raw, peak, raw_peak)
        )

    for output in ("text", "jsonl"):
        print(f"  memory of {output} …", file=sys.stderr)
        (peak, seconds), (raw_peak, raw_seconds) = (
            peak_of(changes.ours(rows, "--output", output), changes.folder) for rows in (diffs.ROWS, 100_000)
        )
        name = f"memory of `doltflow diff --output {output}`: {diffs.ROWS:,} changed rows / 100,000"
        figures.append(figure(name, 1.25, [seconds], [raw_seconds], peak, raw_peak, [peak / raw_peak]))
    return figures


def full_figures(_: Path) -> list[Figure]:
    """Both flows of the demo on many prices against Dolt's own export and import; and what their reads hold."""
    import full
    import scaled

    part = full.scale()
    print(f"  {scaled.prices_at(part):,} prices …", file=sys.stderr)
    place = scaled.Scaled(ROOT / "build" / "full", part)
    flows, name = full.Flows(place), f"{place.rows:,} prices"
    ours, raw = [], []
    for number in range(2 if part <= 0.1 else 1):
        ours.append(flows.ours())
        raw.append(flows.by_hand())
        flows.check()
        for which, cost in (("doltflow", ours[-1]), ("by hand", raw[-1])):
            print(f"  {number}, {which}: {cost.seconds:.1f} s, Python {cost.python_mb:,.0f} MiB, Dolt "
                  f"{cost.dolt_mb:,.0f} MiB", file=sys.stderr)  # fmt: skip
    figures = [
        figure(
            f"both flows of the demo on {name} / `dolt sql -r csv`, the same in pandas, `dolt table import -r`",
            1.5,
            [cost.seconds for cost in ours],
            [cost.seconds for cost in raw],
            max(cost.python_mb for cost in ours),
            max(cost.python_mb for cost in raw),
        )
    ]
    print("  reads …", file=sys.stderr)
    by_hand = full.read(place, "raw")
    for how, call in (("arrow", 'as_="arrow"'), ("pandas", "")):
        found = full.read(place, how)
        figures.append(
            figure(
                f"memory of `read({call})` of 3 columns of {name} / the Arrow table's size",
                2.0,
                [found.seconds],
                [by_hand.seconds],
                found.peak_mb,
                by_hand.peak_mb,
                [found.peak_mb / found.table_mb],
            )
        )
    found, few = full.read(place, "batches"), full.read(place, "batches", "payer = 'Medicare'")
    figures.append(
        figure(
            f'memory of `read(as_="arrow", batches=True)` of {found.rows:,} prices / of {few.rows:,} of them',
            1.25,
            [found.seconds],
            [few.seconds],
            found.peak_mb,
            few.peak_mb,
            [found.peak_mb / few.peak_mb],
        )
    )
    return figures


def writer_figures(folder: Path) -> Figure:
    """Eight processes that commit at once, through doltflow, against the same commits in one session."""
    import writers

    empty = database(folder / "empty", "create table t (id bigint primary key, v bigint)")
    ours, raw = [], []
    for number in range(4):
        mine, theirs = folder / f"mine{number}", folder / f"theirs{number}"
        shutil.copytree(empty, mine)
        shutil.copytree(empty, theirs)
        pair = writers.ours(mine), writers.raw(theirs)
        if number:
            ours.append(pair[0])
            raw.append(pair[1])
    commits = writers.PROCESSES * writers.COMMITS
    print(
        f"  {commits / statistics.median(ours):.0f} commits a second, {commits / statistics.median(raw):.0f} raw",
        file=sys.stderr,
    )
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    name = f"{commits} commits of {writers.PROCESSES} processes / the same in one `dolt sql` session"
    return figure(name, 5.0, ours, raw, peak)


def table(figures: list[Figure]) -> str:
    """The figures as a Markdown table."""
    lines = [
        "| | ratio | goal | | seconds | raw | peak MiB | raw peak |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for item in figures:
        verdict = "met" if item.met else "**missed**"
        raw_peak = f"{item.raw_peak_mb:,.0f}" if item.raw_peak_mb is not None else ""
        lines.append(
            f"| {item.name} | {item.ratio:.{_digits(item.goal)}f} | ≤ {item.goal:g} | {verdict} | {item.seconds:.3f} | "
            f"{item.raw_seconds:.3f} | {item.peak_mb:,.0f} | {raw_peak} |"
        )
    return "\n".join(lines)


def torture_table(folder: Path) -> str:
    """What `make torture` tried and found, as a Markdown table."""
    rows = [json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))]
    lines = ["| tried | found | minutes |", "| --- | --- | --- |"]
    return "\n".join([*lines, *(f"| {row['what']} | {row['outcome']} | {row['seconds'] / 60:.0f} |" for row in rows)])


def put_into_readme(text: str, block: str) -> None:
    """Puts the table between README.md's marks."""
    readme = ROOT / "README.md"
    begin, end = f"<!-- {block}: begin -->", f"<!-- {block}: end -->"
    head, _, rest = readme.read_text().partition(begin)
    _, _, tail = rest.partition(end)
    readme.write_text(f"{head}{begin}\n{text}\n{end}{tail}")


def main() -> None:
    """Measures, or makes README's table of what was measured."""
    if "--figures" in sys.argv:
        for result, block in ((RESULT, "figures"), (FULL_RESULT, "full")):
            if result.exists():
                put_into_readme(table([Figure(**item) for item in json.loads(result.read_text())]), block)
        if TORTURE.exists():
            put_into_readme(torture_table(TORTURE), "torture")
        return
    scenarios: dict[str, Callable[[Path], Figure | list[Figure]]] = {
        "help": help_figure,
        "small": small_figure,
        "bulk": bulk_figures,
        "history": history_figures,
        "reruns": rerun_figures,
        "diff": diff_figures,
        "writers": writer_figures,
    }
    result = RESULT
    wanted = [name for name in sys.argv[1:] if name in scenarios] or list(scenarios)
    if "full" in sys.argv:
        scenarios, wanted, result = {"full": full_figures}, ["full"], FULL_RESULT
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="doltflow-bench-") as temporary:
        home = Path(temporary) / "home"
        home.mkdir()
        os.environ |= {"HOME": str(home), "DOLT_ROOT_PATH": str(home), "METAFLOW_USER": "bench"}
        os.environ |= {"METAFLOW_DEFAULT_DATASTORE": "local", "METAFLOW_DEFAULT_METADATA": "local"}
        # Who installed doltflow has its bytecode; without it each process compiles its modules anew: 0.1 s.
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        for name in wanted:
            folder = Path(temporary) / name
            folder.mkdir()
            print(f"{name} …", file=sys.stderr)
            found = scenarios[name](folder)
            figures += found if isinstance(found, list) else [found]
    print(table(figures))
    result.parent.mkdir(exist_ok=True)
    known = [Figure(**item) for item in json.loads(result.read_text())] if result.exists() else []
    measured = {item.name: item for item in figures}
    kept = [measured.pop(item.name, item) for item in known]
    result.write_text(json.dumps([asdict(item) for item in [*kept, *measured.values()]], indent=2) + "\n")


if __name__ == "__main__":
    main()
