"""One read or one write by a task."""

from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["read", "write"]
Mode = Literal["replace", "update", "append"]
Columns = tuple[tuple[str, tuple[str, ...] | None], ...]
"""Per table the columns that a query read, sorted; None where the query takes them all or it cannot be told."""
Derived = tuple[tuple[str, tuple[str, ...] | None], ...]
"""Per column of a query's result the `table.column` that it is computed from; None where it cannot be told."""


@dataclass(frozen=True, slots=True)
class Access:
    """One read or one write by a task.

    Attributes:
        kind: `read` or `write`.
        key: The name it is recorded under: `as_key`, else the table's name.
        database: The database's name, never a path.
        branch: The branch that the read was pinned from or that the write went to, where known.
        commit: Full hash: the commit that was read, or the commit that the write became.
        tables: The tables that were read; exactly one for a write. None where it cannot be told.
        pathspec: The task, `Flow/run_id/step/task_id`.
        query: The SQL text of a read; `SELECT * FROM ...` for a write.
        table_name: The table of a `read` or `write`; None for `sql`.
        columns: Which columns of which tables a read took.
        rows: How many rows the frame had, where known.
        mode: How a write was done.
        changed: Whether a write changed the table, where known.
        attempt: Metaflow's retry count of the task.
        timestamp: When, in seconds since the epoch.
        artifact_name: The flow's attribute that held the frame at the end of the context, where there was one.
        config_id: Which entry of the artifact's `configs` it used.
        where: The predicate of a `read`, where it had one.
        folder: Absolute path of the database's folder on the machine that ran the task; never in a commit.
        whole: Tables of which the query certainly took every column; None in a record that does not tell.
        derived: What the columns of the result of a `sql` are computed from, within the query; None where even which
            columns there are cannot be told, in a record that does not tell, and for what is no `sql`.
    """

    kind: Kind
    key: str
    database: str
    branch: str | None
    commit: str | None
    tables: tuple[str, ...] | None
    pathspec: str
    query: str | None = None
    table_name: str | None = None
    columns: Columns = ()
    rows: int | None = None
    mode: Mode | None = None
    changed: bool | None = None
    attempt: int = 0
    timestamp: float | None = None
    artifact_name: str | None = None
    config_id: str | None = None
    where: str | None = None
    folder: str | None = None
    whole: tuple[str, ...] | None = None
    derived: Derived | None = None

    def takes_all(self, table: str) -> bool:
        """Whether it is a read that certainly took every column of a table."""
        if self.kind != "read":
            return False
        if self.whole is not None:
            return any(table.casefold() == name.casefold() for name in self.whole)
        # A record that does not tell. A `read` without a list of columns takes them all, and an update keeps them all.
        is_plain = (self.query or "SELECT *").upper().startswith("SELECT *")
        return self.table_name is not None and is_plain and not any(names is not None for _, names in self.columns)

    def summary(self) -> dict[str, Any]:
        """The access as JSON-ready data, without what is empty: the element of an edge's `accesses`."""
        data: dict[str, Any] = {
            "kind": self.kind,
            "key": self.key,
            "database": self.database,
            "branch": self.branch,
            "commit": self.commit,
            "tables": None if self.tables is None else list(self.tables),
            "pathspec": self.pathspec,
            "query": self.query,
            "columns": _listed(self.columns) or None,
            "all_columns": [table for table in self.tables or () if self.takes_all(table)] or None,
            "derived": None if self.derived is None else _listed(self.derived),
            "rows": self.rows,
            "mode": self.mode,
            "changed": self.changed,
            "attempt": self.attempt,
            "timestamp": self.timestamp,
        }
        return {name: value for name, value in data.items() if value is not None}


def _listed(names: Columns | Derived) -> dict[str, list[str] | None]:
    return {name: None if parts is None else list(parts) for name, parts in names}


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """What is known of the code and the environment of one task.

    Attributes:
        pathspec: The task, `Flow/run_id/step/task_id`.
        attempt: Metaflow's retry count.
        script: Absolute path of the flow's file.
        git_commit: The commit of the git repository the script is in, where it is in one.
        git_dirty: Whether that repository had uncommitted changes.
        python, metaflow, doltflow, dolt: Versions.
        folder: Absolute path of the folder in which the task ran.
        foreach: In which foreaches the task stood, the outermost first: the step that is done for each, and the index.
        packages: Names and versions of the packages of frames and numbers that were imported.
        sources: The flow's file and its local modules: path relative to the flow's file, and the key of its content in
            Metaflow's store.
    """

    pathspec: str
    attempt: int = 0
    script: str | None = None
    git_commit: str | None = None
    git_dirty: bool | None = None
    python: str | None = None
    metaflow: str | None = None
    doltflow: str | None = None
    dolt: str | None = None
    folder: str | None = None
    foreach: tuple[tuple[str, int], ...] = ()
    packages: tuple[tuple[str, str], ...] = ()
    sources: tuple[tuple[str, str], ...] = ()
