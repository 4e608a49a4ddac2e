"""A version of a table: what a node of the lineage graph stands for."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class TableVersion:
    """A table as of the commit that last changed it.

    Attributes:
        database: The database's name, never a path.
        table: The table's name.
        commit: Full hash of the commit that last *changed* the table at or before the commit that was read.
    """

    database: str
    table: str
    commit: str

    @property
    def id(self) -> str:
        """The node's id in the graph."""
        return f"{self.database}/{self.table}@{self.commit}"
