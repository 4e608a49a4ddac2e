"""Whether a flow still has the parameters of a recorded run, and those of them that are to be others."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from doltflow.errors import NotReplayableError, UsageError, nearest
from doltflow.model.run import Run
from doltflow.rerun.code import CodeFound
from doltflow.rerun.run import Explicit
from doltflow.sources.metaflow.parameters import Declared, declared, run_arguments
from doltflow.sources.temporary import temporary_folder


def check_parameters(run: Run, code: CodeFound, settings: Sequence[str], python: str, folder: Path) -> Explicit | None:
    """The parameters of a rerun where some are set; None where they are all the recorded ones. Nothing is run.

    Args:
        run: The recorded run.
        code: What is to be run.
        settings: `NAME=VALUE`, once for each parameter that is to be another.
        python: The interpreter.
        folder: Where to run it.

    Raises:
        UsageError: A setting is none, or names no parameter of the flow.
        NotReplayableError: The flow has lost or gained a parameter since, or a recorded value cannot be given again.
        FlowFileError: The flow's file cannot be loaded.
    """
    for setting in settings:
        if not setting.partition("=")[0].strip() or "=" not in setting:
            raise UsageError(f"`{setting}` sets no parameter.", "Write `--set NAME=VALUE`.")
    if not settings and code.changed == ():
        return None
    found = declared(code.script, python, folder)
    now = {parameter.variable for parameter in found}
    changes = [f"no longer has the parameter `{name}`" for name in sorted(run.parameters.keys() - now)]
    changes += [f"has a parameter `{name}` that it had not" for name in sorted(now - run.parameters.keys())]
    if changes:
        raise NotReplayableError(
            f"The flow of `{run.pathspec}` {' and '.join(changes)}: {code.script}.",
            "Repeat the code that it ran, with `--code recorded`.",
        )
    if not settings:
        return None
    names = {parameter.variable: parameter.variable for parameter in found}
    names |= {parameter.name: parameter.variable for parameter in found}
    given = {}
    for setting in settings:
        name, _, value = setting.partition("=")
        if name not in names:
            raise UsageError(f"The flow of `{run.pathspec}` has no parameter `{name}`.", nearest(name, names))
        given[names[name]] = value
    return _checked(found, run.parameters, given)


def with_values(code: CodeFound, values: Mapping[str, Any], python: str, folder: Path) -> Explicit:
    """The parameters that code declares, all with recorded values. Nothing is run.

    Args:
        code: What is to be run.
        values: By variable; what is not declared is left out.
        python: The interpreter.
        folder: Where to run it.

    Raises:
        NotReplayableError: A recorded value cannot be given again.
        FlowFileError: The flow's file cannot be loaded.
    """
    try:
        return _checked(declared(code.script, python, folder), values, {})
    except NotReplayableError as error:
        hint = "The flow cannot be rerun with it; compare the runs without a rerun."
        raise NotReplayableError(error.message, hint) from error


def _checked(found: tuple[Declared, ...], values: Mapping[str, Any], given: Mapping[str, str]) -> Explicit:
    with temporary_folder("values") as temporary:
        # What cannot be given is told now, and not when branches are there.
        run_arguments(found, values, given, [], temporary)
    return Explicit(found, values, given)
