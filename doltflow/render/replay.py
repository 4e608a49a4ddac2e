"""A replay and its verdict, as text and as JSON."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal, TextIO

from rich.console import RenderableType
from rich.text import Text

from doltflow.render.accesses import version_name
from doltflow.render.envelope import envelope
from doltflow.render.plain import fields
from doltflow.render.sections import indented, section
from doltflow.render.terminal import drawn
from doltflow.render.text import CODE_ORIGINS, count, safe, short, value

if TYPE_CHECKING:
    from doltflow.compare import TableVerdict
    from doltflow.replay import ReplayResult

_STYLES = {"identical": "bold green", "different": "bold red"}


def replay_answer(result: "ReplayResult", output: Literal["text", "json"], stream: TextIO | None) -> Iterator[str]:
    """The answer of `doltflow replay`."""
    if output == "json":
        yield envelope("replay", replay_data(result))
    else:
        yield drawn(_plan_text(result) if result.new_run is None else _verdict_text(result), stream)


def replay_data(result: "ReplayResult") -> dict[str, Any]:
    """`run`, `new_run`, `identical`, `tables`, `branches`, `steps`, `pins`, `code`, `unhonoured` and so on."""
    return {
        "run": result.run.pathspec,
        "new_run": result.new_run.pathspec if result.new_run is not None else None,
        "identical": result.identical if result.new_run is not None else None,
        "tables": [fields(table) for table in result.tables],
        "branches": [
            {"database": branch.database, "branch": branch.branch, "commit": branch.commit}
            for branch in result.plan.branches
        ],
        "kept": result.kept,
        "steps": list(result.plan.order),
        "pins": [fields(pin) | {"tables": list(pin.tables), "own": list(pin.own)} for pin in result.plan.pins.reads],
        "parameters": result.run.parameters,
        "set": dict(result.changed),
        "code": {
            "script": str(result.code.script),
            "choice": result.code.choice,
            "origin": result.code.origin,
            "changed": None if result.code.changed is None else list(result.code.changed),
        },
        "unhonoured": list(result.unhonoured),
        "reasons": list(result.reasons),
        "log": str(result.log) if result.log is not None else None,
        "warnings": list(result.warnings),
    }


def _plan_text(result: "ReplayResult") -> Iterator[RenderableType]:
    yield Text.assemble("This would repeat ", (safe(result.run.pathspec), "bold green"), ".", overflow="fold")
    parameters = [f"{safe(name)} = {value(data)}" for name, data in result.run.parameters.items()]
    yield from section("Parameters", indented(*parameters))
    yield from section("Set", indented(*(f"{safe(name)} = {safe(given)}" for name, given in result.changed)))
    steps = result.plan.steps
    yield from section("Steps", indented(*map(safe, result.plan.order)))
    reads = [
        f"{safe(pin.step)}{''.join(f'[{index}]' for _, index in pin.foreach)} reads "
        + ", ".join(version_name(pin.database, table, pin.commit) for table in pin.tables)
        + (" as the replay writes it" if pin.own else "")
        for pin in result.plan.pins.reads
        if steps is None or pin.step in steps
    ]
    yield from section("Reads", indented(*reads))
    branches = [
        f"{safe(branch.database)}: branch {safe(branch.branch)} at {short(branch.commit)}"
        for branch in result.plan.branches
    ]
    yield from section("Writes go to", indented(*branches))
    yield from section("Code", indented(safe(str(result.code.script)), _code_note(result)))


def _code_note(result: "ReplayResult") -> str:
    if result.code.choice == "recorded":
        return CODE_ORIGINS[result.code.origin]
    if result.code.changed is None:
        return "the run has not recorded its source"
    return f"has changed since: {', '.join(map(safe, result.code.changed))}" if result.code.changed else ""


def _verdict_text(result: "ReplayResult") -> Iterator[RenderableType]:
    new = result.new_run.pathspec if result.new_run is not None else ""
    said = ("identical", _STYLES["identical"]) if result.identical else ("not identical", _STYLES["different"])
    yield Text.assemble(said, f": {safe(new)} against {safe(result.run.pathspec)}", overflow="fold")
    for table in result.tables:
        yield from indented(_table(table))
    yield from section("Set", indented(*(f"{safe(name)} = {safe(given)}" for name, given in result.changed)))
    yield from section("Not as recorded", indented(*map(safe, result.unhonoured)))
    yield from section("Why", indented(*map(safe, result.reasons)))
    branches = [f"{safe(branch.database)}: {safe(branch.branch)}" for branch in result.plan.branches]
    yield from section("Branches" if result.kept else "Branches, removed again", indented(*branches))
    yield from section("Log", indented(safe(str(result.log)) if result.log is not None else ""))


def _table(table: "TableVerdict") -> str:
    name = f"{safe(table.database)}/{safe(table.table)}"
    if table.verdict in ("identical", "missing"):
        return f"{name}: {'was not written' if table.verdict == 'missing' else table.verdict}"
    amounts = ((table.added, "added"), (table.removed, "removed"), (table.modified, "modified"))
    rows = ", ".join(f"{count(number, 'row')} {verb}" for number, verb in amounts if number)
    columns = f"in {', '.join(map(safe, table.columns))}" if table.columns else ""
    if table.verdict == "unrecorded":
        return f"{name}: was written, which the recorded run did not{f': {rows}' if rows else ''}"
    return f"{name}: {' '.join(part for part in (rows or 'different', columns) if part)}"
