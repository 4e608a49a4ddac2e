"""Arrow without pandas."""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType


class _Absent:
    """Says of pandas that it is not installed."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Finds nothing, and for pandas keeps the others from looking."""
        if name == "pandas":
            raise ModuleNotFoundError(name)
        return None


def spare_pandas() -> None:
    """Makes Arrow do without pandas, which it would import with the first value that it is given: 0.2 seconds.

    It is for a program that makes no frames of Arrow's tables: from here on nobody in this process can. Where pandas is
    imported already there is nothing to spare.
    """
    if "pandas" in sys.modules:
        return
    finder = _Absent()
    sys.meta_path.insert(0, finder)
    try:
        import pyarrow

        pyarrow.scalar(0)  # Arrow asks once, and remembers.
    finally:
        sys.meta_path.remove(finder)
