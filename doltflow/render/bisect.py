"""Where a predicate turns, as text and as JSON."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal, TextIO

from rich.console import RenderableType
from rich.text import Text

from doltflow.render.envelope import envelope
from doltflow.render.plain import fields
from doltflow.render.sections import indented, section
from doltflow.render.sweep import commit_data
from doltflow.render.terminal import drawn
from doltflow.render.text import count, first_line, moment, safe, short

if TYPE_CHECKING:
    from doltflow.bisect import BisectResult, TriedCommit


def bisect_answer(result: "BisectResult", output: Literal["text", "json"], stream: TextIO | None) -> Iterator[str]:
    """The answer of `doltflow backtest --bisect`."""
    yield envelope("backtest", bisect_data(result)) if output == "json" else drawn(_text(result), stream)


def bisect_data(result: "BisectResult") -> dict[str, Any]:
    """`predicate`, the output, the ends, `first` and `last`, between which it turns, `tried` and `warnings`."""
    return {
        "predicate": result.predicate,
        "database": result.database,
        "table": result.table,
        "input": result.input,
        "good": result.good.hash,
        "bad": result.bad.hash,
        "candidates": len(result.line),
        "runs_at_most": result.most,
        "last": _tried_data(result.last) if result.last is not None else None,
        "first": _tried_data(result.first) if result.first is not None else None,
        "tried": [_tried_data(one) for one in result.tried],
        "failed": [commit_data(commit) | {"error": error} for commit, error in result.failed],
        "exact": result.first is not None and not result.untried,
        "dry_run": result.first is None,
        "warnings": list(result.warnings),
    }


def _tried_data(one: "TriedCommit") -> dict[str, Any]:
    runs = [fields(run) | {"log": str(run.log) if run.log is not None else None} for run in one.runs]
    told = {"value": one.value, "output_commit": one.output, "branch": one.branch, "runs": runs}
    return commit_data(one.commit) | told


def _text(result: "BisectResult") -> Iterator[RenderableType]:
    output = f"{safe(result.database)}/{safe(result.table)}"
    if result.first is None or result.last is None:
        yield Text(
            f"{safe(result.predicate)} of {output}: {count(len(result.line), 'commit')}, "
            f"{count(result.most, 'run')} at most",
            overflow="fold",
        )
        return
    commit = result.first.commit
    yield Text.assemble(
        (safe(result.predicate), "bold cyan"),
        f" of {output} turns from {_said(result.last.value)} to {_said(result.first.value)} at",
        overflow="fold",
    )
    yield Text()
    # The hash is whole: it is there to be copied.
    yield Text(f"{safe(commit.hash)} {safe(result.input)}", style="bold yellow", overflow="fold")
    yield from indented(f"{moment(commit.date)} · {safe(commit.author)}", f"“{first_line(commit.message)}”")
    untried = (f"{safe(one.hash)}  “{first_line(one.message)}”" for one in result.untried)
    yield from section("Or at one of these, on which the flows failed", indented(*untried))
    tried = sorted(result.tried, key=lambda one: result.line.index(one.commit.hash))
    yield from section("Tried", (part for one in tried for part in _tried(one)))


def _tried(one: "TriedCommit") -> Iterator[RenderableType]:
    runs = ", ".join(f"{safe(run.run)}{'' if run.is_new else ', done before'}" for run in one.runs)
    yield from indented(f"{moment(one.commit.date)}  {short(one.commit.hash)}  {_said(one.value)}, by {runs}")


def _said(value: bool) -> str:
    return "true" if value else "false"
