"""Arrow without pandas."""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

_spared = False


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
    """Has Arrow, when it is loaded, do without pandas, which it would import with its first value: 0.2 seconds.

    It is for a program that makes no frames of Arrow's tables: nobody in this process will be able to.
    """
    global _spared  # noqa: PLW0603 (it is about the process)
    _spared = True


def load() -> None:
    """Imports Arrow, before who needs it does; without pandas where that is to be spared and is not there already."""
    finder = _Absent()
    if _spared and "pandas" not in sys.modules:
        sys.meta_path.insert(0, finder)
    try:
        import pyarrow

        pyarrow.scalar(0)  # Arrow asks for pandas once, and remembers.
    finally:
        if finder in sys.meta_path:
            sys.meta_path.remove(finder)
