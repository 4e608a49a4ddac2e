"""The structure of a flow as Metaflow noted it with a run, in the form that it has where nobody made up another."""

from collections.abc import Mapping
from typing import Any


def checked(graph: Mapping[Any, Any]) -> dict[str, Any]:
    """The structure without what has not the form that Metaflow gives it.

    Returns:
        `start_step` and `end_step`, where they are known; `parameters`, each with its `name`; and by its name each of
        the `steps`, with `next`, a list of names, and `decorators`, each with `name` and `attributes`.
    """
    found: dict[str, Any] = {
        name: graph[name] for name in ("start_step", "end_step") if isinstance(graph.get(name), str)
    }
    listed = graph.get("parameters")
    if isinstance(listed, list | tuple):
        found["parameters"] = [one for one in listed if isinstance(one, Mapping) and "name" in one]
    steps = graph.get("steps")
    if isinstance(steps, Mapping):
        found["steps"] = {str(name): _step(step) for name, step in steps.items() if isinstance(step, Mapping)}
    return found


def _step(step: Mapping[Any, Any]) -> dict[str, Any]:
    following, decorators = step.get("next"), step.get("decorators")
    return {
        **{str(name): value for name, value in step.items()},
        "next": [str(name) for name in following] if isinstance(following, list | tuple) else [],
        "decorators": [
            {**decorator, "attributes": _mapping(decorator.get("attributes"))}
            for decorator in (decorators if isinstance(decorators, list | tuple) else ())
            if isinstance(decorator, Mapping)
        ],
    }


def _mapping(value: object) -> Mapping[Any, Any]:
    return value if isinstance(value, Mapping) else {}
