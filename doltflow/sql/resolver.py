"""Which tables a parsed query reads, and by way of them its columns."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sqlglot import exp

from doltflow.sql.columns import ColumnReads, Outputs, Scopes, Source
from doltflow.sql.lexer import Token, place, refuse
from doltflow.sql.names import (
    BARE_FUNCTIONS,
    INTERNAL_DATABASES,
    REFUSED_FUNCTIONS,
    TABLE_FUNCTIONS,
    base_of_system_table,
    finds_any_commit,
    is_of_the_commit,
    is_system_table,
)
from doltflow.sql.reads import RefRead
from doltflow.sql.refs import AsOf, split_qualifier
from doltflow.sql.spelling import Spelling

_BEFORE_TABLE = frozenset({"from", "join", "straight_join", "table", ",", "("})
_FROM_CLAUSES = ("from_", "joins", "with_")
_ALIASED_CLAUSES = ("order", "group", "having")


@dataclass(frozen=True, slots=True)
class Env:
    """What a query can see around it: CTEs with their columns, and the sources of the queries that it is nested in."""

    ctes: Mapping[str, Outputs]
    scopes: Scopes = ()


@dataclass(slots=True)
class From:
    """The FROM clause of one SELECT.

    Attributes:
        sources: What it reads from.
        conditions: The conditions of its joins.
        usings: For each column of a USING the sources on its two sides.
        is_natural: Whether it has a NATURAL join.
        history: A table in it that finds commits outside the pinned one's history.
    """

    sources: list[Source] = field(default_factory=list)
    conditions: list[exp.Expr] = field(default_factory=list)
    usings: list[tuple[str, tuple[Source, ...], tuple[Source, ...]]] = field(default_factory=list)
    is_natural: bool = False
    history: str | None = None


class Resolver:
    """Walks a query once and keeps what it reads.

    Args:
        spelling: The query's names.
        as_of: Its `AS OF` clauses.
        columns: Takes the columns that it reads.

    Attributes:
        tables: Tables read at the pinned commit: lower case to as written.
        refs: Tables read at other revisions, and where in the text.
        databases: Other databases that are read at no named revision: lower case to as written.
        column_lists: Where names stand that have a list of columns behind them.
    """

    def __init__(self, spelling: Spelling, as_of: Sequence[AsOf], columns: ColumnReads) -> None:
        self.tables: dict[str, str] = {}
        self.refs: list[tuple[int, RefRead]] = []
        self.databases: dict[str, str] = {}
        self.column_lists: set[int] = set()
        self._spelling = spelling
        self._as_of = {clause.table: clause for clause in as_of}
        self._columns = columns
        self._seen: set[int] = set()
        self._qualifiers: set[str] = set()
        self._root: exp.Expr | None = None

    def read(self, tree: exp.Expr) -> None:
        """Walks the query.

        Raises:
            QueryError: It reads what it may not, or what it reads cannot be told.
        """
        self._root = tree.unnest()
        self._query(tree, Env({}))
        if any(id(node) not in self._seen for node in tree.find_all(exp.Table, exp.Select)):
            refuse("What the query reads cannot be told: it has a table or a SELECT where doltflow expects none.")
        for clause in self._as_of.values():
            where = place(self._spelling.text, clause.table)
            refuse(f"The query has AS OF behind something that is not a table, at {where}.")
        for token in self._spelling.qualifiers():
            if token.value.lower() not in self._qualifiers:
                self._refuse_qualifier(token)

    # Queries

    def _query(self, node: exp.Expr, env: Env) -> Outputs:
        env = self._with(node, env)
        if isinstance(node, exp.Select):
            return self._select(node, env)
        if isinstance(node, exp.SetOperation):
            outputs = self._query(node.this, env)
            self._query(node.expression, env)
            self._nested_queries(node, env)
            return outputs
        if isinstance(node, exp.Subquery):
            self._nested_queries(node, env)
            return self._query(node.this, env)
        if not isinstance(node, exp.Values):
            refuse(f"The query has a {node.key.upper()} where a SELECT is expected.")
        self._nested_queries(node, env)
        return None

    def _nested_queries(self, node: exp.Expr, env: Env) -> None:
        """Reads the queries in the clauses of a query whose columns are not its own."""
        for key in node.args:
            if key not in ("this", "expression", "alias", *_FROM_CLAUSES):
                for part in _parts(node, key):
                    self._read_expression(part, Env(env.ctes))

    def _with(self, node: exp.Expr, env: Env) -> Env:
        clause = node.args.get("with_")
        if clause is None:
            return env
        for cte in clause.expressions:
            name, columns = self._alias(cte)
            itself = {**env.ctes, name: columns}
            outputs = self._query(cte.this, Env(itself, env.scopes) if clause.args.get("recursive") else env)
            env = Env({**env.ctes, name: columns or outputs}, env.scopes)
        return env

    def _select(self, node: exp.Select, env: Env) -> Outputs:
        self._seen.add(id(node))
        clause = From()
        for part in _parts(node, "from_"):
            self._source(part.this, clause, env)
        for part in _parts(node, "joins"):
            self._join(part, clause, env)
        if clause.history is not None:
            self._check_history(node, clause)
        inner = Env(env.ctes, (tuple(clause.sources), *env.scopes))
        self._clauses(node, clause, inner)
        if clause.is_natural:
            self._columns.use_some(clause.sources)
        for name, *sides in clause.usings:
            for side in sides:
                self._columns.use_unqualified(name, (side,))
        return self._outputs(node)

    def _clauses(self, node: exp.Select, clause: From, env: Env) -> None:
        """Counts the columns of everything but the FROM clause itself."""
        joined = {name.lower() for name, _, _ in clause.usings}
        aliases = {
            self._spelling.name(part.args["alias"]).lower(): part.this
            for part in node.expressions
            if isinstance(part, exp.Alias)
        }
        parts = [(key, part) for key in node.args if key not in _FROM_CLAUSES for part in _parts(node, key)]
        for key, part in [*parts, *(("on", condition) for condition in clause.conditions)]:
            if isinstance(part, exp.Star):
                self._columns.use_star(clause.sources)
            for column in self._read_expression(part, env):
                if key not in _ALIASED_CLAUSES or not self._is_alias(column, aliases, key, env):
                    self._column(column, env, joined)

    def _outputs(self, node: exp.Select) -> Outputs:
        found = set()
        for part in node.expressions:
            if isinstance(part, exp.Alias):
                found.add(self._spelling.name(part.args["alias"]).lower())
            elif (name := self._column_name(part)) is not None:
                found.add(name.lower())
            else:
                return None
        return frozenset(found)

    def _check_history(self, node: exp.Select, clause: From) -> None:
        """Refuses a search by commit, be it through an alias or by a condition that Dolt moves into a subquery."""
        named = [c for c in node.find_all(exp.Column) if (self._column_name(c) or "").lower() == "commit_hash"]
        shown = [part for key in ("expressions", "group", "order") for part in _parts(node, key)]
        harmless = {id(column) for part in shown for column in _split(part)[0]}
        if node is self._root and not node.args.get("having"):
            is_searched = any(id(column) not in harmless for column in named)
        else:
            is_searched = bool(named) or any(_is_star(part) for part in node.expressions)
        if is_searched or clause.is_natural or any(name.lower() == "commit_hash" for name, _, _ in clause.usings):
            refuse(
                f"The query could search `{clause.history}` by `commit_hash`, and Dolt then finds commits outside the "
                "history of the one that is read.",
                "Keep `commit_hash` out of conditions, and name the columns in a subquery; "
                "or compare commits with dolt_diff('from', 'to', 'table').",
            )

    # Sources

    def _source(self, node: exp.Expr, clause: From, env: Env) -> None:
        if isinstance(node, exp.Table):
            self._add(clause, self._table(node, clause, env))
        elif isinstance(node, exp.Subquery) and isinstance(node.this, exp.Table):
            if node.args.get("alias") is not None:
                refuse("The query names a join in parentheses, which Dolt cannot do.")
            self._source(node.this, clause, env)
        elif isinstance(node, exp.Subquery | exp.Values):
            self._derived(node, node, clause, env)
        elif isinstance(node, exp.Lateral) and isinstance(node.this, exp.Subquery):
            self._derived(node, node.this, clause, Env(env.ctes, (tuple(clause.sources), *env.scopes)))
        else:
            refuse(f"The query reads from a {node.key.upper()}, where doltflow cannot follow.")
        for join in _parts(node, "joins"):
            self._join(join, clause, env)

    def _add(self, clause: From, source: Source | None) -> None:
        if source is not None:
            clause.sources.append(source)
            self._qualifiers |= {source.name, source.database or source.name}

    def _join(self, node: exp.Expr, clause: From, env: Env) -> None:
        count = len(clause.sources)
        self._source(node.this, clause, env)
        sides = tuple(clause.sources[:count]), tuple(clause.sources[count:])
        clause.conditions += _parts(node, "on")
        for part in _parts(node, "using"):
            clause.usings.append((self._column_name(part) or self._spelling.name(part), *sides))
        clause.is_natural |= str(node.args.get("method") or "").upper() == "NATURAL"

    def _derived(self, node: exp.Expr, query: exp.Expr, clause: From, env: Env) -> None:
        name, columns = self._alias(node)
        outputs = self._query(query, env)
        self._add(clause, Source(name, outputs=columns or outputs))

    def _table(self, node: exp.Table, clause: From, env: Env) -> Source | None:
        self._seen.add(id(node))
        alias, _ = self._alias(node)
        if not isinstance(node.this, exp.Identifier):
            return self._function(node.this, alias, clause)
        database = node.args.get("db")
        name, token = self._spelling.name(node.this), self._spelling.token(node.this)
        first = database or node.this
        where, before = self._spelling.place(first), self._spelling.before(first)
        follows = before is not None and before.kind in ("word", "mark") and before.value.lower() in _BEFORE_TABLE
        if token is None or not follows or node.args.get("catalog"):
            refuse(f"What the query reads at {where} cannot be told.")
        as_of = self._as_of.pop(token.start, None)
        if name.lower() in env.ctes:
            if as_of is not None or database is not None:
                refuse(
                    f"The query reads `{name}` at {where} at a revision or in a database, where Dolt takes the CTE.",
                    "Give the CTE another name.",
                )
            return Source(alias or name.lower(), outputs=env.ctes[name.lower()])
        if token.word == "dual" and database is None:
            return None
        if finds_any_commit(name):
            clause.history = name
        qualifier = None if database is None else self._spelling.name(database)
        return self._base_table(name, alias, qualifier, as_of, first)

    def _base_table(self, name: str, alias: str, qualifier: str | None, as_of: AsOf | None, first: exp.Expr) -> Source:
        where, start = self._spelling.place(first), self._spelling.start(first)
        database, ref = (None, None) if qualifier is None else split_qualifier(qualifier, where)
        if (database or "").lower() in INTERNAL_DATABASES:
            refuse(f"The query reads the server's own database `{database}` at {where}, which no commit holds.")
        if ref is not None and as_of is not None:
            refuse(f"The query names two revisions of one table at {where}.")
        table: str | None = name
        if is_system_table(name):
            if not is_of_the_commit(name):
                refuse(
                    f"The query reads `{name}`, which can change while the commit that is read stays the same.",
                    "Dolt's tables of the commit's history can be read, such as dolt_log and dolt_history_….",
                )
            table = base_of_system_table(name)
        if ref is not None:
            self.refs.append((start, RefRead(table or name, ref, database, "revision")))
        elif as_of is not None:
            self.refs.append((start, RefRead(table or name, as_of.ref, database, "as_of")))
        elif database is not None:
            self.databases.setdefault(database.lower(), database)
        elif table is not None:
            self.tables.setdefault(table.lower(), table)
            if table == name:
                return Source(alias or name.lower(), None, name.lower(), self._columns.outputs(name))
            self._columns.use_table(table)
        return Source(alias or name.lower(), None if qualifier is None else qualifier.lower())

    def _function(self, node: exp.Expr, alias: str, clause: From) -> Source:
        """A function in place of a table, whose arguments are checked with all calls."""
        if isinstance(node, exp.JSONTable):
            clause.conditions.append(node.this)
            return Source(alias, outputs=frozenset(str(c.name).lower() for c in node.find_all(exp.JSONColumnDef)))
        name = node.name.lower() if isinstance(node, exp.Anonymous) else str(node.key)
        if name not in TABLE_FUNCTIONS:
            reason = REFUSED_FUNCTIONS.get(name, "it gives no table that doltflow knows")
            refuse(f"The query reads from {name.upper()}: {reason}.")
        clause.conditions += node.expressions
        return Source(alias or name)

    # Columns

    def _read_expression(self, node: exp.Expr, env: Env) -> Iterator[exp.Column]:
        """The columns of an expression; the queries in it are read."""
        columns, queries = _split(node)
        for query in queries:
            self._query(query, env)
        return iter(columns)

    def _column(self, node: exp.Column, env: Env, joined: set[str]) -> None:
        if node.args.get("table") is not None:
            self._qualified(node, env)
            return
        name, token = self._column_name(node), self._spelling.token(node.this)
        if name is None:
            self._columns.use_some([source for sources in env.scopes[:1] for source in sources])
        elif name.lower() not in joined and not (token is not None and token.word in BARE_FUNCTIONS):
            self._columns.use_unqualified(name, env.scopes)

    def _is_alias(self, node: exp.Column, aliases: Mapping[str, exp.Expr], key: str, env: Env) -> bool:
        """Whether a name in ORDER BY, GROUP BY or HAVING is none of a column, or has been counted as if it were."""
        name = None if node.args.get("table") is not None else self._column_name(node)
        if name is None or name.lower() not in aliases:
            return False
        if key == "order":
            return True
        meant = aliases[name.lower()]
        if isinstance(meant, exp.Column) and (self._column_name(meant) or "").lower() == name.lower():
            return False
        self._columns.use_if_column(name, env.scopes)
        return True

    def _qualified(self, node: exp.Column, env: Env) -> None:
        qualifier, database = node.args["table"], node.args.get("db")
        name = self._spelling.name(qualifier).lower()
        where = None if database is None else self._spelling.name(database).lower()
        if node.args.get("catalog"):
            refuse(f"What the query reads at {self._spelling.place(qualifier)} cannot be told.")
        for source in (source for sources in env.scopes for source in sources):
            if source.name == name and where in (None, source.database):
                if (column := self._column_name(node)) is None:
                    self._columns.use_star([source])
                else:
                    self._columns.use(source, column)
                return
        self._refuse_qualifier(self._spelling.token(qualifier))

    def _refuse_qualifier(self, token: Token | None) -> None:
        where = "" if token is None else f" at {place(self._spelling.text, token.start)}"
        refuse(f"The query qualifies a name{where} with what is no table or alias of its FROM.")

    # Names

    def _column_name(self, node: exp.Expr) -> str | None:
        """A column's name; None for `*` and for what is no column."""
        is_named = isinstance(node, exp.Column) and isinstance(node.this, exp.Identifier)
        return self._spelling.name(node.this) if is_named else None

    def _alias(self, node: exp.Expr) -> tuple[str, Outputs]:
        """The alias of a source or CTE in lower case, empty if it has none, and the columns named behind it."""
        alias = node.args.get("alias")
        if not isinstance(alias, exp.TableAlias) or alias.this is None:
            return "", None
        columns = frozenset(self._spelling.name(column).lower() for column in _parts(alias, "columns"))
        if columns:
            self.column_lists.add(self._spelling.start(alias.this))
        return self._spelling.name(alias.this).lower(), columns or None


def _parts(node: exp.Expr, key: str) -> list[exp.Expr]:
    """The expressions of one clause."""
    value = node.args.get(key)
    return [part for part in (value if isinstance(value, list) else [value]) if isinstance(part, exp.Expr)]


def _split(node: exp.Expr) -> tuple[list[exp.Column], list[exp.Expr]]:
    """The columns of an expression and the queries in it; iterative, since conditions can be thousands deep."""
    columns: list[exp.Column] = []
    queries: list[exp.Expr] = []
    stack = [node]
    while stack:
        part = stack.pop()
        if isinstance(part, exp.Query | exp.Values):
            queries.append(part)
        elif isinstance(part, exp.Column):
            columns.append(part)
        elif not isinstance(part, exp.DataType):
            stack.extend(part.iter_expressions(reverse=True))
    return columns, queries


def _is_star(node: exp.Expr) -> bool:
    return isinstance(node, exp.Star) or (isinstance(node, exp.Column) and isinstance(node.this, exp.Star))
