"""`status`: which tables that runs wrote are made of what their inputs no longer are."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from doltflow.errors import NotMadeByRunError, nearest
from doltflow.model.run import Run
from doltflow.workspace import Workspace, load_settings, open_workspace
from doltflow.workspace.at import split_name
from doltflow.workspace.inputs import Freshness, Input, inputs_of
from doltflow.workspace.production import Production, Productions

_Key = tuple[str, str]
_GRAVITY: tuple[Freshness, ...] = ("fresh", "unknown", "stale")


@dataclass(frozen=True, slots=True)
class ChangedBy:
    """Who changed a table after its production run, by which commit; `run` is None where it was by hand."""

    commit: str
    author: str
    date: datetime
    message: str
    run: str | None


@dataclass(frozen=True, slots=True)
class TableStatus:
    """A table that a run wrote.

    Attributes:
        database, table: The table.
        branch: Production's branch; None where nobody can tell any more.
        commit: The commit by which production's run wrote it.
        run: Production's run.
        status: `stale` where an input table has changed since on the branch that was read; else `unknown` where one
            cannot be looked at.
        inputs: What the run read.
        upstream_stale: The stale tables, `database/table`, that it is made from over other tables or directly.
        changed_by: Who changed the table since.
        note: What is strange about it; empty where nothing is.
    """

    database: str
    table: str
    branch: str | None
    commit: str
    run: Run
    status: Freshness
    inputs: tuple[Input, ...]
    upstream_stale: tuple[str, ...]
    changed_by: ChangedBy | None
    note: str = ""

    @property
    def name(self) -> str:
        """`database/table`."""
        return f"{self.database}/{self.table}"

    @property
    def repeat(self) -> str | None:
        """The run to repeat, where the table is stale."""
        return self.run.pathspec if self.status == "stale" else None


@dataclass(frozen=True, slots=True)
class StatusResult:
    """The tables that runs wrote.

    Attributes:
        tables: Each after those that it was made from.
        warnings: What was missing, or could not be told, one sentence each.
    """

    tables: tuple[TableStatus, ...]
    warnings: tuple[str, ...]

    @property
    def is_fresh(self) -> bool:
        """Whether every table is known to be fresh."""
        return all(table.status == "fresh" for table in self.tables)

    @property
    def repeat(self) -> tuple[str, ...]:
        """The runs to repeat, in this order."""
        return tuple(dict.fromkeys(table.repeat for table in self.tables if table.repeat is not None))


def status(tables: Iterable[str] = (), *, database: str | None = None, folder: Path | None = None) -> StatusResult:
    """Which tables that runs wrote are fresh, which are stale, and of which nobody here can tell.

    Looked at is production: of each table the newest successful run that wrote it and is no rerun, on the branch that
    it wrote to. Where a newer one wrote it whose commit no branch reaches any more, a warning says so.

    Args:
        tables: Only these tables, by name or as `database/table`; all without it.
        database: Only the tables of this database, by name or path.
        folder: Where to look for databases and for Metaflow's store; the current folder without it.

    Raises:
        DatabaseNotFoundError: There is none, or not that one.
        TableNotFoundError, NotMadeByRunError: There is no such table, or no run that counts wrote it.
    """
    with open_workspace(load_settings(folder), database, folder) as workspace:
        if not workspace.names:
            raise workspace.no_database()
        checked = _Checked(workspace)
        names = tuple(tables)
        wanted = list(checked.wanted(names))
        told = tuple(checked.told(wanted))
        checked.warn_of_lost(wanted if names else None)
        return StatusResult(told, workspace.warnings)


class _Checked:
    """The tables that were looked at: those that are asked for and those that they were made from."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._productions = Productions(workspace)
        self._inputs: dict[str, tuple[Input, ...]] = {}

    def wanted(self, names: tuple[str, ...]) -> Iterator[_Key]:
        """The tables that are asked for and that a run wrote that counts."""
        written = [key for key in self._productions.tables() if self._workspace.asked in (None, key[0])]
        if not names:
            yield from (key for key in written if self._productions.of(*key) is not None)
        for name in dict.fromkeys(names):
            yield from self._named(name, written)

    def _named(self, name: str, written: list[_Key]) -> list[_Key]:
        database, table = split_name(self._workspace, name)
        for asked in ((None, name), (database, table)):
            same = [key for key in written if key[1].casefold() == asked[1].casefold() and asked[0] in (None, key[0])]
            found = [key for key in same if self._productions.of(*key) is not None]
            if found:
                return found
            if same:
                raise NotMadeByRunError(
                    f"The runs that wrote `{name}` were reruns or not successful.", "`doltflow runs` lists them."
                )
        self._workspace.find_table(table, database or self._workspace.asked, None)  # Says so where there is none.
        known = {key[1] for key in written}
        for lost in self._productions.lost:
            if lost.table.casefold() == table.casefold() and database in (None, lost.database):
                raise NotMadeByRunError(f"No run that counts wrote the table `{name}`.", lost.message)
        raise NotMadeByRunError(
            f"No run wrote the table `{name}`.", nearest(table, known) or "No run has written a table here."
        )

    def warn_of_lost(self, wanted: list[_Key] | None) -> None:
        """Names the runs that do not count because no branch has their commits; of some tables, or of all."""
        folded = None if wanted is None else {(database, table.casefold()) for database, table in wanted}
        for lost in self._productions.lost:
            is_wanted = folded is None or (lost.database, lost.table.casefold()) in folded
            if is_wanted and self._workspace.asked in (None, lost.database):
                self._workspace.warn(lost.message)

    def told(self, wanted: list[_Key]) -> Iterator[TableStatus]:
        """The tables, each after those that it was made from."""
        stale: dict[_Key, dict[str, None]] = {}
        for key in self._in_order(wanted):
            production = self._productions.of(*key)
            if production is None:
                continue
            inputs = self._inputs_of(production)
            above: dict[str, None] = {}
            for source in self._sources(key):
                above |= stale.get(source, {})
            is_stale = any(item.status == "stale" for item in inputs)
            own = {f"{key[0]}/{key[1]}": None} if is_stale else {}
            stale[key] = above | own
            if key in wanted:
                yield self._status(production, inputs, tuple(sorted(above)))

    def _in_order(self, wanted: list[_Key]) -> list[_Key]:
        """The tables and those that they were made from, these first; where they stand in a circle, as they come."""
        done: dict[_Key, None] = {}
        begun: set[_Key] = set()
        waiting = [(key, False) for key in reversed(wanted)]
        while waiting:
            key, is_ready = waiting.pop()
            if is_ready:
                done[key] = None
            elif key not in begun:
                begun.add(key)
                waiting.append((key, True))
                waiting += [(source, False) for source in reversed(self._sources(key))]
        return list(done)

    def _sources(self, key: _Key) -> list[_Key]:
        """The tables of production that a table was made from, those of another branch left out."""
        production = self._productions.of(*key)
        if production is None:
            return []
        found = set()
        for item in self._inputs_of(production):
            source = self._productions.of(item.database, item.table)
            if source is not None and source.branch == item.branch and (source.database, source.table) != key:
                found.add((source.database, source.table))
        return sorted(found)

    def _inputs_of(self, production: Production) -> tuple[Input, ...]:
        run = production.records.run.pathspec
        if run not in self._inputs:
            self._inputs[run] = tuple(inputs_of(self._workspace, production.records))
        return self._inputs[run]

    def _status(self, production: Production, inputs: tuple[Input, ...], above: tuple[str, ...]) -> TableStatus:
        session = self._workspace.session(production.database)
        head = session.branches().get(production.branch) if production.branch is not None else None
        changed_by, note = None, "branch gone"
        if head is not None:
            changed_by, note = self._changed(production, head)
        return TableStatus(
            production.database,
            production.table,
            production.branch,
            production.commit.hash,
            production.records.run,
            max((item.status for item in inputs), key=_GRAVITY.index, default="fresh"),
            inputs,
            above,
            changed_by,
            note,
        )

    def _changed(self, production: Production, head: str) -> tuple[ChangedBy | None, str]:
        """Who changed a table after the run, if it is now another one, and what is strange about it."""
        workspace, database, table = self._workspace, production.database, production.table
        now = workspace.version(database, table, head)
        written = workspace.version(database, table, production.commit.hash)
        session = workspace.session(database)
        if now == written:
            return None, "" if now is not None else "dropped"
        if now is not None and written is not None:
            hashes = [session.table_hash(table, version.commit) for version in (now, written)]
            if hashes[0] == hashes[1]:
                return None, ""
        if not session.reaches([head], [production.commit.hash]):
            return None, "commit not on the branch"  # It was moved: who changed the table before the run is not asked.
        hash_ = now.commit if now is not None else next(iter(session.changes(table, head)), head)
        commit = workspace.find_commit(database, hash_)
        note = "dropped" if now is None else ""
        if commit is None:
            return None, note
        run = str(commit.run.pathspec) if commit.run is not None else None
        return ChangedBy(commit.hash, commit.author, commit.date, commit.message, run), note
