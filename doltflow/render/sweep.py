"""A sweep as text, as JSON and as CSV."""

import csv
from collections.abc import Iterator
from datetime import UTC
from io import StringIO
from typing import TYPE_CHECKING, Any, Literal, TextIO

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from doltflow.render.backtest import column_said, difference_said, rows_said, table_data
from doltflow.render.envelope import envelope
from doltflow.render.plain import fields, plain
from doltflow.render.sections import indented, section
from doltflow.render.terminal import drawn
from doltflow.render.text import count, moment, safe, short

if TYPE_CHECKING:
    from doltflow.compare.figures import ColumnFigures
    from doltflow.model.commit import Commit
    from doltflow.sweep import SweepResult, SweptCommit

COLUMNS = (
    "commit", "date", "status", "error", "branch", "database", "table", "run", "reused", "output_commit", "rows",
    "rows_production", "verdict", "added", "removed", "modified", "column", "count", "count_production", "mean",
    "mean_production", "change",
)  # fmt: skip
"""Of the CSV file, which has a line for each commit, table and numeric column."""


def sweep_answer(result: "SweepResult", output: Literal["text", "json", "csv"], stream: TextIO | None) -> Iterator[str]:
    """The answer of `doltflow backtest --sweep`."""
    match output:
        case "json":
            yield envelope("backtest", sweep_data(result))
        case "csv":
            yield from _csv(result)
        case "text":
            yield drawn(_text(result), stream)


def sweep_data(result: "SweepResult") -> dict[str, Any]:
    """`database`, `flows`, `commits`, the oldest first, `dry_run` and `warnings`."""
    given, changed = dict(result.given), dict(result.changed)
    return {
        "database": result.database,
        "flows": [
            {"flow": name, "production": run, "set": dict(given[name]), "changed": changed[name]}
            for name, run in result.flows
        ],
        "commits": [_commit_data(one) for one in result.commits],
        "dry_run": result.is_dry,
        "warnings": list(result.warnings),
    }


def _commit_data(one: "SweptCommit") -> dict[str, Any]:
    return commit_data(one.commit) | {
        "status": one.status,
        "branch": one.branch,
        "runs": [fields(run) | {"log": str(run.log) if run.log is not None else None} for run in one.runs],
        "tables": [table_data(table) for table in one.tables],
        "error": one.error or None,
    }


def commit_data(commit: "Commit") -> dict[str, Any]:
    """`commit`, its `date`, `author` and `message`."""
    return {
        "commit": commit.hash,
        "date": commit.date.astimezone(UTC).isoformat(),
        "author": commit.author,
        "message": commit.message,
    }


def _csv(result: "SweepResult") -> Iterator[str]:
    text = StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for one in result.commits:
        writer.writerows({name: plain(value) for name, value in line.items()} for line in _lines(one))
    yield text.getvalue()


def _lines(one: "SweptCommit") -> Iterator[dict[str, Any]]:
    """One for each table and numeric column; one for a commit that has none."""
    commit = {
        "commit": one.commit.hash,
        "date": one.commit.date.astimezone(UTC).isoformat(),
        "status": one.status,
        "error": one.error,
        "branch": one.branch,
    }
    if not one.tables:
        yield commit
    reused = {run.run for run in one.runs if not run.is_new}
    for table in one.tables:
        verdict = table.verdict
        told = commit | {
            "database": table.database,
            "table": table.table,
            "run": table.backtest.run,
            "reused": str(table.backtest.run in reused).lower(),
            "output_commit": table.backtest.commit,
            "rows": table.backtest.rows,
            "rows_production": table.production.rows if table.production is not None else None,
        }
        if verdict is not None:
            told |= {name: getattr(verdict, name) for name in ("verdict", "added", "removed", "modified")}
        if not table.columns:
            yield told
        for column in table.columns:
            yield told | {
                "column": column.name,
                "count": column.count_backtest,
                "count_production": column.count_production,
                "mean": column.mean_backtest,
                "mean_production": column.mean_production,
                "change": column.change,
            }


# Text


def _text(result: "SweepResult") -> Iterator[RenderableType]:
    yield Text.assemble(
        "Sweep over ",
        (count(len(result.commits), "commit"), "bold cyan"),
        " of ",
        (safe(result.database), "bold cyan"),
        overflow="fold",
    )
    given = dict(result.given)
    flows = (
        f"{safe(name)}, with the parameters of {safe(run)}"
        + "".join(f", {safe(variable)}={safe(value)}" for variable, value in given[name])
        for name, run in result.flows
    )
    yield from section("Flows", indented(*flows))
    grid = Table.grid(padding=(0, 2, 0, 0))
    for _ in range(7):
        grid.add_column(overflow="fold")
    for one in result.commits:
        for line in _cells(one):
            grid.add_row(*(Text(cell, overflow="fold") for cell in line))
    yield from section("Commits" if result.is_dry else "Against production", [grid] if result.commits else [])


def lines_of(one: "SweptCommit") -> list[str]:
    """What there is to say of a commit: a line for each table."""
    return ["  ".join(cell for cell in line if cell) for line in _cells(one)]


def _cells(one: "SweptCommit") -> Iterator[list[str]]:
    """The lines of a commit: date, commit, table, rows, what differs, figures, and the run."""
    head = [moment(one.commit.date), short(one.commit.hash)]
    if one.status == "failed":
        yield [*head, "failed", safe(one.error)]
    elif one.status == "planned":
        runs = ", ".join(f"{safe(run.run)} was done before" for run in one.runs)
        yield [*head, f"branch {safe(one.branch)}" if one.branch is not None else "nothing to run", runs]
    elif not one.tables:
        yield [*head, "no table"]
    reused = {run.run for run in one.runs if not run.is_new}
    for table in one.tables:
        columns = "; ".join(map(_column, table.columns))
        run = table.backtest.run
        made = "" if run is None else f"{safe(run)}{', done before' if run in reused else ''}"
        yield [*head, safe(table.table), rows_said(table), difference_said(table), columns, made]


def _column(column: "ColumnFigures") -> str:
    return column_said(column).rpartition(", ")[0]
