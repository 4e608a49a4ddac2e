"""How many inputs each target gets: `make fuzz` sets it, and then they are other ones every time."""

import os
from typing import Any

from hypothesis import HealthCheck, settings

MANY = int(os.environ.get("FUZZ", "0"))


def amount(few: int, share: float = 1.0) -> Any:
    """The settings of a target.

    Args:
        few: So many inputs in `make test`, the same every time.
        share: Of those that `make fuzz` asks for.
    """
    return settings(
        max_examples=max(few, int(MANY * share)),
        derandomize=not MANY,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
