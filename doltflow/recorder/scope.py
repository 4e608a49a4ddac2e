"""What a query reads when it is asked at a commit, views looked through; and that it is nothing that could move."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from doltflow.errors import QueryError, RefNotFoundError, TableNotFoundError
from doltflow.model.access import Columns, Derived
from doltflow.model.quoting import column_name, quote
from doltflow.sources.dolt import HASH, Session
from doltflow.sql import Output, QueryReads, RefRead, analyse, derive


@dataclass(frozen=True, slots=True)
class Scope:
    """What a query reads.

    Attributes:
        columns: Tables at the pinned commit with their columns, None where it takes them all or it cannot be told.
        past: Tables at other commits, which the query names by their full hash.
        whole: Tables of which it certainly takes every column.
        outputs: What the columns of its result are computed from, in order; None where it cannot be told.
    """

    columns: Columns = ()
    past: tuple[tuple[str, tuple[str, ...]], ...] = ()
    whole: tuple[str, ...] = ()
    outputs: tuple[Output, ...] | None = None

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables at the pinned commit."""
        return tuple(table for table, _ in self.columns)


def scope_of(session: Session, query: str, commit: str) -> Scope:
    """What a query reads at a commit, tables spelled as the database spells them.

    Raises:
        QueryError: It is not a read, or it names what could move or lies elsewhere.
        TableNotFoundError: There is no such table.
    """
    walk = _Walk(session, commit)
    outputs = walk.read(query)
    found = sorted(walk.found.items())
    columns = tuple((table, None if names is None else tuple(sorted(names))) for table, names in found)
    past = tuple((at, tuple(sorted(tables))) for at, tables in sorted(walk.past.items()))
    return Scope(columns, past, tuple(sorted(walk.whole)), outputs)


def derived_of(outputs: Sequence[Output] | None, names: Sequence[str]) -> Derived | None:
    """What each column of a result is computed from, by the name that Dolt gave it; None where it cannot be told."""
    if outputs is None or len(outputs) != len(names):
        return None
    times = Counter(names)
    found: dict[str, tuple[str, ...] | None] = {}
    for name, output in zip(names, outputs, strict=True):
        # Two columns of one name cannot be told apart.
        is_told = output.sources is not None and times[name] == 1
        found[name] = tuple(column_name(*at) for at in output.sources or ()) if is_told else None
    return tuple(found.items())


@dataclass
class _Walk:
    """The walk through a query and the views that it reads."""

    session: Session
    commit: str
    found: dict[str, set[str] | None] = field(default_factory=dict)
    past: dict[str, set[str]] = field(default_factory=dict)
    whole: set[str] = field(default_factory=set)
    views: Mapping[str, str] | None = None
    outputs: dict[str, tuple[Output, ...] | None] = field(default_factory=dict)

    def read(self, query: str) -> tuple[Output, ...] | None:
        tables = {table.casefold(): table for table in self.session.tables(self.commit)}
        named = [tables[name.casefold()] for name in analyse(query).tables if name.casefold() in tables]
        schema = {table: self.session.column_names(table, self.commit) for table in named}
        reads = analyse(query, schema)
        _check_pinned(self.session, reads)
        for name, columns in reads.columns:
            if name.casefold() in tables:
                self._add(tables[name.casefold()], columns)
            else:
                self._view(name)
        for ref in reads.refs:
            self._past(ref)
        self.whole.update(tables[name.casefold()] for name in reads.whole if name.casefold() in tables)
        return derive(
            query,
            schema,
            {name: self.outputs.get(name.casefold()) for name, _ in reads.columns if name.casefold() not in tables},
        )

    def _add(self, table: str, columns: tuple[str, ...] | None) -> None:
        known = self.found.setdefault(table, set())
        self.found[table] = None if known is None or columns is None else known | set(columns)

    def _view(self, name: str) -> None:
        """A view is a query of its own, which may name a branch as well as the user's."""
        if self.views is None:
            found = self.session.view_definitions(self.commit)
            self.views = {name.casefold(): query for name, query in found.items()}
        if name.casefold() in self.outputs:
            return
        self.outputs[name.casefold()] = None
        definition = self.views.get(name.casefold())
        if definition is None:
            self.session.find_table(name, self.commit)
            return
        try:
            outputs = self.read(definition)
        except QueryError as error:
            raise QueryError(f"The view {quote(name)} cannot be read. {error.message}", error.hint) from error
        names = self.session.column_names(name, self.commit)
        if outputs is not None and len(outputs) == len(names):
            pairs = zip(outputs, names, strict=True)
            self.outputs[name.casefold()] = tuple(Output(column, output.sources) for output, column in pairs)

    def _past(self, ref: RefRead) -> None:
        if ref.ref != self.commit:
            self.past.setdefault(ref.ref, set())
        try:
            table = self.session.find_table(ref.table, ref.ref)
        except TableNotFoundError:
            if ref.kind == "function":  # Its ref may be about no table at all.
                return
            raise
        if ref.ref == self.commit:
            self._add(table, None)
        else:
            self.past[ref.ref].add(table)


def _check_pinned(session: Session, reads: QueryReads) -> None:
    """Makes sure that a query names no place that could move or lies elsewhere."""
    elsewhere = [ref.database for ref in reads.refs if ref.database not in (None, session.name)]
    for database in (*reads.databases, *elsewhere):
        raise QueryError(
            f"The query names the database `{database}`, which would leave the pinned commit.",
            "Leave the database's name out; read another database in a DoltDT of its own.",
        )
    for ref in reads.refs:
        if not HASH.fullmatch(ref.ref):
            hint = "Name a commit by its full hash."
            with suppress(RefNotFoundError):
                hint = f"Name the commit: at the moment it is '{session.resolve(ref.ref)}'."
            raise QueryError(f"The query reads `{ref.table}` at `{ref.ref}`, which can move.", hint)
        if not session.has_commit(ref.ref):
            raise QueryError(
                f"The query reads `{ref.table}` at {ref.ref}, a commit that `{session.name}` does not have."
            )
