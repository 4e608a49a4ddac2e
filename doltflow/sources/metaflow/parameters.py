"""The parameters of a flow as its file declares them, and how values are given to `run`."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from doltflow.errors import FlowFileError, NotReplayableError
from doltflow.model.run import NotRead

_MARK = "doltflow-parameters:"
# Runs in the flow's own interpreter: a flow's file may import what this one does not have.
_PROGRAM = f"""
import json, sys
from metaflow.includefile import IncludeFile
from metaflow.parameters import JSONTypeClass
from metaflow.runner.click_api import extract_flow_class_from_file
try:
    from metaflow.user_configs.config_parameters import Config
except ImportError:
    Config = ()
found = []
for variable, p in extract_flow_class_from_file(sys.argv[1])._get_parameters():
    if hasattr(p, "init"):
        p.init()
    kind = "value"
    if isinstance(p, Config):
        kind = "config"
    elif isinstance(p, IncludeFile):
        kind = "file"
    elif isinstance(p.kwargs.get("type"), JSONTypeClass):
        kind = "json"
    plain = bool(p.kwargs.get("plain"))
    default = p.kwargs.get("default")
    is_none = default is None or (kind != "file" and callable(getattr(default, "fun", None)))
    unset = is_none and not p.kwargs.get("required")
    found.append([variable, p.name, kind, getattr(p, "separator", None), plain, unset])
print({_MARK!r} + json.dumps(found))
"""


@dataclass(frozen=True, slots=True)
class Declared:
    """A parameter that a flow declares.

    Attributes:
        variable: The flow's attribute.
        name: Its name on the command line.
        kind: `json` for a JSONType, `file` for an IncludeFile, `config` for a Config.
        separator: What parts its values, where it takes several.
        is_plain: Whether a config is taken as it is.
        is_none_unset: Whether it may be None where it is not given: it has no default, or a function for one.
    """

    variable: str
    name: str
    kind: Literal["value", "json", "file", "config"] = "value"
    separator: str | None = None
    is_plain: bool = False
    is_none_unset: bool = True


def declared(script: Path, python: str, folder: Path) -> tuple[Declared, ...]:
    """The parameters of the flow in a file.

    Raises:
        FlowFileError: The file cannot be loaded.
    """
    try:
        done = subprocess.run(
            [python, "-c", _PROGRAM, str(script)],
            cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
    except OSError as error:
        raise FlowFileError(f"{python} cannot be started: {error}.", "Name another with `--python`.") from error
    told = [line.removeprefix(_MARK) for line in done.stdout.splitlines() if line.startswith(_MARK)]
    if done.returncode != 0 or not told:
        last = (done.stderr.strip().splitlines() or ["it printed nothing"])[-1]
        raise FlowFileError(f"The flow's file {script} cannot be loaded: {last}.")
    return tuple(Declared(*item) for item in json.loads(told[-1]))


def run_arguments(
    parameters: tuple[Declared, ...], values: Mapping[str, Any], given: Mapping[str, str], tags: list[str], kept: Path
) -> tuple[str, ...]:
    """The arguments of a flow's program that run it with explicit parameters.

    Args:
        parameters: What the flow declares.
        values: The values of an earlier run, by variable.
        given: Values as one types them, by variable, in place of those.
        tags: The run's tags.
        kept: A folder for files that the arguments name; it must last as long as the run.

    Raises:
        NotReplayableError: A value cannot be given on the command line.
    """
    before, after = ["--no-pylint"], []
    configs: dict[str, list[Any]] = {}
    for parameter in parameters:
        if parameter.variable not in given and values.get(parameter.variable) is None:
            if not parameter.is_none_unset:  # The command line has no way to say None.
                raise NotReplayableError(
                    f"The run had no value for the parameter `{parameter.name}`, which cannot be left out by now: it "
                    "has a default or is required.",
                    f"Give it one: `--set {parameter.name}=VALUE`.",
                )
            continue
        if parameter.variable not in given and isinstance(values[parameter.variable], NotRead):
            raise NotReplayableError(
                f"The recorded value of the parameter `{parameter.name}` cannot be given again. "
                f"{values[parameter.variable].why}",
                f"Give it one: `--set {parameter.name}=VALUE`.",
            )
        if parameter.kind == "config":
            value = _config(parameter, values, given)
            configs[parameter.name] = [value, parameter.is_plain]
            before += ["--config-value", parameter.name, f"kv.{parameter.name}"]
        elif parameter.variable in given:
            after.append(f"--{parameter.name}={given[parameter.variable]}")
        else:
            after.append(f"--{parameter.name}={_typed(parameter, values[parameter.variable], kept)}")
    if configs:
        file = kept / "configs.json"
        file.write_text(json.dumps({"user_configs": configs}), encoding="utf-8")
        before = ["--local-config-file", str(file), *before]
    return (*before, "run", *(part for tag in tags for part in ("--tag", tag)), *after)


def _config(parameter: Declared, values: Mapping[str, Any], given: Mapping[str, str]) -> Any:
    if parameter.variable not in given:
        return plain(values[parameter.variable])
    text = given[parameter.variable]
    if parameter.is_plain:
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise NotReplayableError(
            f"The config `{parameter.name}` takes JSON, which {text!r} is not: {error}."
        ) from error


def plain(value: Any) -> Any:
    """A value as JSON has it; Metaflow wraps configs."""
    return json.loads(json.dumps(value, default=lambda other: other.to_dict()))


def _typed(parameter: Declared, value: Any, kept: Path) -> str:
    if parameter.kind == "file":
        if not isinstance(value, str | bytes):
            raise NotReplayableError(
                f"What the run read from the file of `{parameter.name}` was parsed, and its text is not kept.",
                f"Name the file: `--set {parameter.name}=PATH`.",
            )
        file = kept / f"{parameter.variable}.included"
        file.write_bytes(value.encode() if isinstance(value, str) else value)
        return str(file)
    if parameter.kind == "json":
        return json.dumps(plain(value))
    if parameter.separator is not None and isinstance(value, list | tuple):
        return parameter.separator.join(map(str, value))
    return str(value)
