"""Parameters that are set for several flows at once: which flow gets which."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from doltflow.errors import UsageError, nearest
from doltflow.model.run import Run
from doltflow.rerun.code import CodeFound
from doltflow.rerun.parameters import check_parameters
from doltflow.rerun.run import Explicit
from doltflow.sources.metaflow.parameters import declared


def explicit_parameters(
    runs: Sequence[Run], codes: Mapping[str, CodeFound], settings: Sequence[str], python: str, folder: Path
) -> dict[str, Explicit]:
    """The parameters of the flows for which some are set, by the flow's name. Nothing is run.

    Args:
        runs: The recorded runs, one of each flow.
        codes: The code of each flow, by its name.
        settings: `NAME=VALUE`, for every flow that has such a parameter, or `Flow.NAME=VALUE` for that flow.
        python: The interpreter.
        folder: Where to run it.

    Raises:
        UsageError: A setting is none, or names no parameter.
        NotReplayableError: A flow has lost or gained a parameter since.
        FlowFileError: A flow's file cannot be loaded.
    """
    mine = _distributed(runs, codes, settings, python, folder) if settings else {}
    found = {}
    for run in runs:
        explicit = check_parameters(run, codes[run.flow], mine.get(run.flow, ()), python, folder)
        if explicit is not None:
            found[run.flow] = explicit
    return found


def _distributed(
    runs: Sequence[Run], codes: Mapping[str, CodeFound], settings: Sequence[str], python: str, folder: Path
) -> dict[str, list[str]]:
    """The settings of each flow, without the flow's name."""
    names: dict[str, set[str]] = {}
    for run in runs:
        parameters = declared(codes[run.flow].script, python, folder)
        names[run.flow] = {name for one in parameters for name in (one.name, one.variable)}
    found: dict[str, list[str]] = {}
    for setting in settings:
        name, sign, value = setting.partition("=")
        if not sign or not name.strip():
            raise UsageError(f"`{setting}` sets no parameter.", "Write `--set NAME=VALUE`, or `--set Flow.NAME=VALUE`.")
        flow, dot, parameter = name.rpartition(".")
        if dot and flow not in names:
            raise UsageError(f"`--set {name}`: no flow `{flow}` is to run.", nearest(flow, names) or "There is none.")
        wanted = {flow: names[flow]} if dot else names
        takers = [taker for taker, known in wanted.items() if parameter in known]
        if not takers:
            which = f"The flow `{flow}` has no" if dot else "None of the flows to run has a"
            known = {one for mine in wanted.values() for one in mine}
            raise UsageError(f"{which} parameter `{parameter}`.", nearest(parameter, known) or "They have none at all.")
        for taker in takers:
            found.setdefault(taker, []).append(f"{parameter}={value}")
    return found
