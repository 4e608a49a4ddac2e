"""A table at two commits in figures: how many rows, and of every numeric column how many values and their mean."""

from dataclasses import dataclass

from doltflow.model.quoting import quote
from doltflow.sources.dolt import Session

_NUMERIC = ("int", "uint", "float", "double", "halffloat", "decimal")


@dataclass(frozen=True, slots=True)
class ColumnFigures:
    """A numeric column of production and of a backtest.

    Attributes:
        name: The column's name.
        count_production, count_backtest: How many values are not NULL; None where the column is not there.
        mean_production, mean_backtest: Their mean; None where there are none.
    """

    name: str
    count_production: int | None
    mean_production: float | None
    count_backtest: int | None
    mean_backtest: float | None

    @property
    def change(self) -> float | None:
        """The mean of the backtest against that of production, as a part of this: -0.25 is a quarter less."""
        if not self.mean_production or self.mean_backtest is None:
            return None
        return (self.mean_backtest - self.mean_production) / abs(self.mean_production)


@dataclass(frozen=True, slots=True)
class Figures:
    """A table at one commit.

    Attributes:
        rows: How many.
        columns: Of every numeric column, in order, how many values and their mean.
    """

    rows: int
    columns: dict[str, tuple[int, float | None]]


def figures(session: Session, table: str, at: str) -> Figures:
    """The figures of a table at a commit that has it."""
    schema = session.query(f"select * from {quote(table)} limit 0", at).schema
    names = [field.name for field in schema if str(field.type).startswith(_NUMERIC)]
    asked = ["count(*)", *(f"{what}({quote(name)})" for name in names for what in ("count", "avg"))]
    aliased = ", ".join(f"{part} as f{number}" for number, part in enumerate(asked))
    values = list(session.query(f"select {aliased} from {quote(table)}", at).to_pylist()[0].values())
    pairs = zip(values[1::2], values[2::2], strict=True)
    means = [(int(count), None if mean is None else float(mean)) for count, mean in pairs]
    return Figures(int(values[0]), dict(zip(names, means, strict=True)))


def compared_columns(production: Figures | None, backtest: Figures | None) -> tuple[ColumnFigures, ...]:
    """The numeric columns of both, those of production first."""
    before = production.columns if production is not None else {}
    after = backtest.columns if backtest is not None else {}
    none = (None, None)
    return tuple(
        ColumnFigures(name, *before.get(name, none), *after.get(name, none))
        for name in dict.fromkeys([*before, *after])
    )
