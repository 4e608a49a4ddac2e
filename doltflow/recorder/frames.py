"""Arrow tables as the frames that a user asks for."""

from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

from doltflow.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa

As = Literal["pandas", "arrow", "polars"]
DTypes = Literal["arrow", "numpy"]
_POLARS_DIGITS = 38


@dataclass(frozen=True, slots=True)
class FrameKind:
    """Which kind of frame is asked for; made before anything is read.

    Raises:
        UsageError: There is no such kind, or polars is not installed.
    """

    as_: As = "pandas"
    dtypes: DTypes = "arrow"

    def __post_init__(self) -> None:
        if self.as_ not in ("pandas", "arrow", "polars"):
            raise UsageError(f"`as_` is {self.as_!r}.", "It is 'pandas', 'arrow' or 'polars'.")
        if self.dtypes not in ("arrow", "numpy"):
            raise UsageError(f"`dtypes` is {self.dtypes!r}.", "It is 'arrow' or 'numpy'.")
        if self.as_ == "polars" and find_spec("polars") is None:
            raise UsageError("polars is not installed.", "`pip install polars`, or leave `as_` out.")


def to_frame(table: "pa.Table", kind: FrameKind) -> Any:
    """The table as a frame: pandas with Arrow-backed types (no copy) or NumPy's, the Arrow table itself, or polars."""
    if kind.as_ == "arrow":
        return table
    if kind.as_ == "polars":
        return _polars(table)
    import pandas

    return table.to_pandas(types_mapper=pandas.ArrowDtype if kind.dtypes == "arrow" else None)


def _polars(table: "pa.Table") -> Any:
    import polars
    import pyarrow as pa

    names = table.column_names
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f"The result has two columns `{twice}`, which polars cannot hold.", "Name them apart.")
    for place, field in enumerate(table.schema):
        if pa.types.is_decimal256(field.type):
            try:
                narrow = table.column(place).cast(pa.decimal128(_POLARS_DIGITS, field.type.scale))
            except (pa.ArrowInvalid, ValueError) as error:
                what = f"numbers of more than {_POLARS_DIGITS} digits"
                raise UsageError(
                    f"The column `{field.name}` has {what}, which polars cannot hold.", "Take `as_='arrow'`, or pandas."
                ) from error
            table = table.set_column(place, field.name, narrow)
    return polars.from_arrow(table)
