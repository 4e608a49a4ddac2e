"""The parameters that differ between two runs."""

from contextlib import suppress
from typing import Any

from doltflow.causes.cause import Cause, Found
from doltflow.model.run import Run


def parameter_causes(before: Run, after: Run) -> Found:
    """The parameters that have another value, or that only one run has, by variable name."""
    causes = []
    for name in dict.fromkeys([*before.parameters, *after.parameters]):
        if name not in after.parameters:
            causes.append(Cause("parameter", name, before=before.parameters[name], only="before"))
        elif name not in before.parameters:
            causes.append(Cause("parameter", name, after=after.parameters[name], only="after"))
        elif not is_same(before.parameters[name], after.parameters[name]):
            causes.append(Cause("parameter", name, before.parameters[name], after.parameters[name]))
    return Found(tuple(causes))


def is_same(before: Any, after: Any) -> bool:
    """Whether two values are the same. Any object may be a value, and raise what it likes when it is compared."""
    if before is after:
        return True
    if isinstance(before, bool) != isinstance(after, bool):
        return False  # To a flow True is not 1, whatever Python says.
    with suppress(Exception):
        if hasattr(before, "equals"):  # A frame: `==` gives a frame, and its text is shortened.
            return type(before) is type(after) and bool(before.equals(after))
        if hasattr(before, "tolist"):
            kind = getattr(before, "dtype", None) == getattr(after, "dtype", None)
            return type(before) is type(after) and kind and repr(before.tolist()) == repr(after.tolist())
        if (before == after) is True:
            return True
    with suppress(Exception):
        return type(before) is type(after) and repr(before) == repr(after)  # Not even NaN equals itself.
    return False
