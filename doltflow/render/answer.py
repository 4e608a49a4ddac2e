"""From a command's result and the form that was asked for to the text of the answer."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal, TextIO

from doltflow.render.downstream import downstream_text
from doltflow.render.envelope import envelope, line
from doltflow.render.forms import demo_data, run_data, runs_data, show_data, trace_about, trace_data
from doltflow.render.graphs import GraphOutput, graph_text, graph_warnings
from doltflow.render.listing import demo_text, runs_text, show_text
from doltflow.render.terminal import drawn, width
from doltflow.render.tree import trace_text

if TYPE_CHECKING:
    from doltflow.demo import DemoResult
    from doltflow.runs import RunsResult
    from doltflow.show import ShowResult
    from doltflow.trace import TraceResult

Stream = TextIO | None
"""Where the answer will go, which decides on colours and line breaks; None where that is closed."""


def trace_warnings(result: "TraceResult", output: GraphOutput) -> tuple[str, ...]:
    """The warnings of a trace, and those of the form that was asked for."""
    return (*result.warnings, *graph_warnings(result.graph, output))


def trace_answer(result: "TraceResult", output: GraphOutput, stream: Stream) -> Iterator[str]:
    """The answer of `doltflow trace`."""
    match output:
        case "json":
            yield envelope("trace", trace_data(result))
        case "text":
            told = trace_text if result.direction == "upstream" else downstream_text
            yield drawn(told(result, width(stream)), stream)
        case _:
            yield graph_text(result.graph, output, trace_about(result))


def runs_answer(result: "RunsResult", output: Literal["text", "json", "jsonl"], stream: Stream) -> Iterator[str]:
    """The answer of `doltflow runs`; under `jsonl` line by line."""
    match output:
        case "json":
            yield envelope("runs", runs_data(result))
        case "jsonl":
            for run in result.runs:
                yield line(run_data(run))
        case "text":
            yield drawn(runs_text(result), stream)


def show_answer(result: "ShowResult", output: Literal["text", "json"], stream: Stream) -> Iterator[str]:
    """The answer of `doltflow show`."""
    yield envelope("show", show_data(result)) if output == "json" else drawn(show_text(result), stream)


def demo_answer(
    result: "DemoResult", trace: "TraceResult | None", output: Literal["text", "json"], stream: Stream
) -> Iterator[str]:
    """The answer of `doltflow demo`; the trace is shown in the text only."""
    if output == "json":
        yield envelope("demo", demo_data(result))
    else:
        yield drawn(demo_text(result, trace_text(trace, width(stream)) if trace else ()), stream)
