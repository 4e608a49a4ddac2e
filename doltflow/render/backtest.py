"""A backtest, what it made and how it compares, as text and as JSON."""

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, TextIO

from rich.console import RenderableType
from rich.text import Text

from doltflow.render.envelope import envelope
from doltflow.render.plain import fields
from doltflow.render.sections import indented, section
from doltflow.render.terminal import drawn
from doltflow.render.text import CODE_ORIGINS, count, moment, safe, short

if TYPE_CHECKING:
    from doltflow.backtest import BacktestResult
    from doltflow.compare.figures import ColumnFigures
    from doltflow.compare.production import BacktestTable
    from doltflow.rerun.making import ListedBranch

# A database's name may have spaces.
_INPUTS = re.compile(r"(?<=@[0-9a-v]{32}) ")


def backtest_answer(result: "BacktestResult", output: Literal["text", "json"], stream: TextIO | None) -> Iterator[str]:
    """The answer of `doltflow backtest`."""
    yield envelope("backtest", backtest_data(result)) if output == "json" else drawn(_text(result), stream)


def backtest_data(result: "BacktestResult") -> dict[str, Any]:
    """`inputs`, `branches`, `flows`, `runs`, `tables`, `commands`, `dry_run` and `warnings`."""
    plan, changed, origins, given = result.plan, dict(result.changed), dict(result.origins), dict(result.given)
    return {
        "inputs": [fields(item) for item in plan.inputs],
        "branches": [
            {"database": branch.database, "branch": branch.branch, "commit": branch.commit} for branch in plan.branches
        ],
        "flows": [
            {
                "flow": flow.run.flow,
                "production": flow.run.pathspec,
                "parameters": flow.run.parameters,
                "pins": [
                    {"database": pin.database, "branch": pin.branch, "commit": pin.commit}
                    for pin in flow.pins.databases
                ],
                "writes": [{"database": database, "table": table} for database, table in flow.writes],
                "changed": changed.get(flow.run.flow),
                "origin": origins.get(flow.run.flow),
                "set": dict(given.get(flow.run.flow, ())),
            }
            for flow in plan.flows
        ],
        "runs": [fields(run) | {"log": str(run.log) if run.log is not None else None} for run in result.runs],
        "tables": [table_data(table) for table in result.tables],
        "commands": list(result.commands),
        "dry_run": result.is_dry,
        "warnings": list(result.warnings),
    }


def table_data(table: "BacktestTable") -> dict[str, Any]:
    """A table, of production and of the backtest, and how the two differ."""
    verdict = table.verdict
    return {
        "database": table.database,
        "table": table.table,
        "production": fields(table.production) if table.production is not None else None,
        "backtest": fields(table.backtest),
        "verdict": verdict.verdict if verdict is not None else None,
        "added": verdict.added if verdict is not None else None,
        "removed": verdict.removed if verdict is not None else None,
        "modified": verdict.modified if verdict is not None else None,
        "columns": [fields(column) | {"change": column.change} for column in table.columns],
    }


def _text(result: "BacktestResult") -> Iterator[RenderableType]:
    plan = result.plan
    inputs = ", ".join(f"{safe(item.database)} @ {short(item.commit)}" for item in plan.inputs)
    yield Text.assemble("Backtest of ", (inputs, "bold cyan"), overflow="fold")
    branches = (f"{safe(branch.database)}: {safe(branch.branch)} at {short(branch.commit)}" for branch in plan.branches)
    yield from section("Branches it would make" if result.is_dry else "Branches", indented(*branches))
    if not plan.flows:
        yield Text()
        yield Text("No flow is downstream of it: there is nothing to run.", overflow="fold")
        return
    if not result.runs:
        yield from section("Flows, in this order", _flows(result))
        if result.commands:
            yield from section("To run them", (Text(f"  {safe(c)}", no_wrap=True) for c in result.commands))
        return
    runs = (
        f"{safe(run.run)} in place of {safe(run.production)}{_given(result, run.flow)}"
        f"{'' if run.is_new else ', done before'}"
        for run in result.runs
    )
    yield from section("Runs", indented(*runs))
    yield from section("Against production", (part for table in result.tables for part in _table(table)))


def _flows(result: "BacktestResult") -> Iterator[RenderableType]:
    changed, origins = dict(result.changed), dict(result.origins)
    for flow in result.plan.flows:
        files = ", ".join(map(safe, changed.get(flow.run.flow) or ()))
        others = (
            f"{safe(pin.database)} stays at {short(pin.commit)}"
            for pin in flow.pins.databases
            if pin.commit is not None
        )
        yield from indented(
            f"{safe(flow.run.flow)}, with the parameters of {safe(flow.run.pathspec)}{_given(result, flow.run.flow)}"
        )
        code = f"its code has changed since: {files}" if files else ""
        if origins.get(flow.run.flow, "current") != "current":
            code = f"its code is {CODE_ORIGINS[origins[flow.run.flow]]}"
        yield from indented(*others, code, columns=4)


def _given(result: "BacktestResult", flow: str) -> str:
    """The parameters that are set for a flow: `, n=3`."""
    return "".join(f", {safe(name)}={safe(value)}" for name, value in dict(result.given).get(flow, ()))


def _table(table: "BacktestTable") -> Iterator[RenderableType]:
    name = f"{safe(table.database)}/{safe(table.table)}"
    yield from indented(f"{name}: {rows_said(table)}")
    yield from indented(difference_said(table), *map(column_said, table.columns), columns=4)


def rows_said(table: "BacktestTable") -> str:
    """`20 rows against 30`."""
    if table.backtest.run is None:
        return "was not written"
    now = count(table.backtest.rows or 0, "row")
    if table.production is None or table.production.rows is None:
        return f"{now}, none in production"
    return f"{now} against {table.production.rows:,}"


def difference_said(table: "BacktestTable") -> str:
    """`identical`, or `2 rows added, 1 row removed`; empty where there is nothing to compare."""
    verdict = table.verdict
    if verdict is None or verdict.verdict == "missing" or table.backtest.run is None:
        return ""
    if verdict.verdict == "identical":
        return "identical"
    amounts = ((verdict.added, "added"), (verdict.removed, "removed"), (verdict.modified, "modified"))
    return ", ".join(f"{count(number, 'row')} {verb}" for number, verb in amounts if number)


def column_said(column: "ColumnFigures") -> str:
    """`price: mean 10.5 against 11 (-4.5 %), 200 values against 201`."""
    before, now = _figure(column.mean_production), _figure(column.mean_backtest)
    change = f" ({column.change:+.1%})" if column.change is not None else ""
    values = f"{column.count_backtest or 0:,} values against {column.count_production or 0:,}"
    return f"{safe(column.name)}: mean {now} against {before}{change}, {values}"


def _figure(number: float | None) -> str:
    return "none" if number is None else f"{number:,.6g}"


def list_answer(
    branches: Sequence["ListedBranch"], output: Literal["text", "json"], stream: TextIO | None, *, removed: bool = False
) -> Iterator[str]:
    """The answer of `doltflow backtest --list` and `--remove`."""
    if output == "json":
        yield envelope("backtest", {"removed" if removed else "branches": [_listed(item) for item in branches]})
    else:
        yield drawn((part for item in branches for part in _listed_text(item, removed=removed)), stream)


def _listed(item: "ListedBranch") -> dict[str, Any]:
    return {"database": item.database, "head": item.head, **fields(item.made)}


def _listed_text(item: "ListedBranch", *, removed: bool) -> Iterator[RenderableType]:
    said = "removed " if removed else ""
    yield Text.assemble(
        said, (f"{safe(item.database)}", "bold cyan"), ": ", (safe(item.made.branch), "bold"), overflow="fold"
    )
    if not removed:
        of = safe(item.made.of)
        if item.made.kind == "backtest":
            of = ", ".join(f"{safe(one[:-32])}{short(one[-32:])}" for one in _INPUTS.split(item.made.of))
        written = "" if item.head == item.made.commit else ", written since"
        yield from indented(f"{safe(item.made.kind)} of {of}, made {moment(item.made.made)}{written}")


def removal_question(branches: Sequence["ListedBranch"]) -> str:
    """What is asked before branches are removed."""
    names = list(dict.fromkeys(safe(item.made.branch) for item in branches))
    where = ", ".join(dict.fromkeys(safe(item.database) for item in branches))
    what = f"branch {names[0]}" if len(names) == 1 else f"branches {', '.join(names)}"
    return f"Remove the {what} of {where}, with all that was written to {'it' if len(names) == 1 else 'them'}?"
