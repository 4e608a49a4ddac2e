"""From which columns of which tables each column of a query's result is computed, as far as the query itself tells.

A walk of its own over a tree that `Resolver` has accepted. It knows less than Dolt and says so: where anything on the
way of a value is not plain, what the value is computed from is None. What only decides which rows there are (WHERE,
ON, GROUP BY, HAVING, ORDER BY) computes no value.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlglot import exp

from doltflow.sql.names import BARE_FUNCTIONS
from doltflow.sql.reads import Output
from doltflow.sql.spelling import Spelling

Outputs = tuple[Output, ...] | None
"""The columns of a source in order; None where not even their number is known."""
_Origins = frozenset[tuple[str, str]] | None

# Their value rests on rows, or on something that is named elsewhere, rather than on columns that stand in them.
_OPAQUE = (exp.Exists, exp.Dot, exp.Window)


@dataclass(frozen=True, slots=True)
class _Source:
    """Something in a FROM clause: the name that its columns may be qualified with, in lower case, and they."""

    name: str
    outputs: Outputs

    def named(self, column: str) -> list[Output]:
        return [output for output in self.outputs or () if (output.name or "").lower() == column.lower()]


@dataclass(frozen=True, slots=True)
class _Scope:
    """The FROM clause of one SELECT.

    Attributes:
        sources: What it reads from.
        using: The columns in lower case that a USING joins, with the sources on its sides.
        is_natural: Whether it has a NATURAL join.
    """

    sources: tuple[_Source, ...]
    using: Mapping[str, tuple[_Source, ...]]
    is_natural: bool


@dataclass(frozen=True, slots=True)
class _Env:
    """What a query sees around it: CTEs, and the FROM clauses of the queries that it is nested in, inner ones first."""

    ctes: Mapping[str, Outputs]
    scopes: tuple[_Scope, ...] = ()


class Derivation:
    """What the columns of queries are computed from.

    Args:
        spelling: The query's names.
        past: Where the names of tables stand that are read at another commit.
        schema: The columns of the tables at the pinned commit.
        views: What the columns of the views there are computed from.
    """

    def __init__(
        self,
        spelling: Spelling,
        past: Iterable[int],
        schema: Mapping[str, Sequence[str]],
        views: Mapping[str, Outputs],
    ) -> None:
        self._spelling = spelling
        self._past = frozenset(past)
        self._known: dict[str, Outputs] = {name.lower(): outputs for name, outputs in views.items()}
        for table, names in schema.items():
            self._known[table.lower()] = tuple(Output(name, ((table, name),)) for name in names)

    def of(self, tree: exp.Expr) -> Outputs:
        """The columns of a query's result, in order."""
        return self._query(tree, _Env({}))

    def _query(self, node: exp.Expr, env: _Env) -> Outputs:
        env = self._with(node, env)
        if isinstance(node, exp.Subquery):
            return self._query(node.this, env)
        if isinstance(node, exp.SetOperation):
            left, right = self._query(node.this, env), self._query(node.expression, env)
            if isinstance(node, exp.Except):
                return left
            if left is None or right is None or len(left) != len(right):
                return None
            pairs = zip(left, right, strict=True)
            return tuple(_output(one.name, _union([_origins(one), _origins(other)])) for one, other in pairs)
        if isinstance(node, exp.Table):
            return self._table(node, env)
        return self._select(node, env) if isinstance(node, exp.Select) else None

    def _with(self, node: exp.Expr, env: _Env) -> _Env:
        clause = node.args.get("with_")
        if clause is None:
            return env
        for cte in clause.expressions:
            name, columns = self._alias(cte)
            # A query that reads its own result is not followed.
            inner = _Env({**env.ctes, name: None}, env.scopes) if clause.args.get("recursive") else env
            env = _Env({**env.ctes, name: _renamed(self._query(cte.this, inner), columns)}, env.scopes)
        return env

    def _select(self, node: exp.Select, env: _Env) -> Outputs:
        scope = self._scope(node, env)
        inner = _Env(env.ctes, (scope, *env.scopes))
        found: list[Output] = []
        for part in node.expressions:
            if isinstance(part, exp.Star) or (isinstance(part, exp.Column) and isinstance(part.this, exp.Star)):
                listed = self._star(part, scope)
                if listed is None:
                    return None
                found += listed
            else:
                found.append(_output(self._name(part), self._value(part, inner)))
        return tuple(found)

    def _name(self, part: exp.Expr) -> str | None:
        """What a column is called; Dolt itself names an expression without an alias."""
        if isinstance(part, exp.Alias):
            return self._spelling.name(part.args["alias"])
        is_plain = isinstance(part, exp.Column) and isinstance(part.this, exp.Identifier)
        return self._spelling.name(part.this) if is_plain else None

    def _star(self, part: exp.Expr, scope: _Scope) -> Outputs:
        qualifier = part.args.get("table")
        if qualifier is None:
            # In which order Dolt lists the columns of such a join is not for us to tell.
            sources = None if scope.using or scope.is_natural else scope.sources
        else:
            name = self._spelling.name(qualifier).lower()
            sources = tuple(source for source in scope.sources if source.name == name)
            sources = sources if len(sources) == 1 and part.args.get("db") is None else None
        if sources is None or any(source.outputs is None for source in sources):
            return None
        return tuple(output for source in sources for output in source.outputs or ())

    # Sources

    def _scope(self, node: exp.Select, env: _Env) -> _Scope:
        sources: list[_Source] = []
        using: dict[str, tuple[_Source, ...]] = {}
        is_natural = False
        waiting = [*_parts(node, "from_"), *_parts(node, "joins")]
        while waiting:
            join = waiting.pop(0)
            source = join if isinstance(join, exp.Table) else join.this
            count = len(sources)
            if isinstance(source, exp.Subquery) and isinstance(source.this, exp.Table):
                # A join in parentheses: its sides stand as if there were none, and a USING behind it is not followed.
                is_natural |= bool(_parts(join, "using"))
                waiting[:0] = [source.this, *_parts(source, "joins")]
                continue
            sources.append(self._source(source, env, sources))
            waiting[:0] = _parts(source, "joins")
            is_natural |= str(join.args.get("method") or "").upper() == "NATURAL"
            for part in _parts(join, "using"):
                name = (self._name(part) or self._spelling.name(part)).lower()
                sides = (*using.get(name, tuple(sources[:count])), sources[-1])
                using[name] = tuple(dict.fromkeys(sides))
        return _Scope(tuple(sources), using, is_natural)

    def _source(self, node: exp.Expr, env: _Env, before: Sequence[_Source]) -> _Source:
        name, columns = self._alias(node)
        if isinstance(node, exp.Table):
            if not isinstance(node.this, exp.Identifier):
                return _Source(name, None)
            return _Source(name or self._spelling.name(node.this).lower(), self._table(node, env))
        if isinstance(node, exp.Lateral):
            around = _Env(env.ctes, (_Scope(tuple(before), {}, False), *env.scopes))
            return _Source(name, _renamed(self._query(node.this, around), columns))
        return _Source(name, _renamed(self._query(node, env), columns) if isinstance(node, exp.Subquery) else None)

    def _table(self, node: exp.Table, env: _Env) -> Outputs:
        if not isinstance(node.this, exp.Identifier) or node.args.get("db") is not None:
            return None
        name = self._spelling.name(node.this).lower()
        if self._spelling.start(node.this) in self._past:
            return None
        return env.ctes[name] if name in env.ctes else self._known.get(name)

    def _alias(self, node: exp.Expr) -> tuple[str, tuple[str, ...]]:
        alias = node.args.get("alias")
        if not isinstance(alias, exp.TableAlias) or alias.this is None:
            return "", ()
        columns = tuple(self._spelling.name(column) for column in _parts(alias, "columns"))
        return self._spelling.name(alias.this).lower(), columns

    # Values

    def _value(self, node: exp.Expr, env: _Env) -> _Origins:
        """The columns that an expression is computed from; iterative, since expressions can be thousands deep."""
        found: list[_Origins] = []
        stack = [node]
        while stack:
            part = stack.pop()
            if isinstance(part, _OPAQUE) and not (isinstance(part, exp.Window) and not part.args.get("alias")):
                return None
            if isinstance(part, exp.Query | exp.Values):
                outputs = self._query(part, env)
                found += [None] if outputs is None else map(_origins, outputs)
            elif isinstance(part, exp.Column):
                found.append(self._column(part, env))
            elif not isinstance(part, exp.DataType):
                stack.extend(part.iter_expressions())
        return _union(found)

    def _column(self, node: exp.Column, env: _Env) -> _Origins:
        if not isinstance(node.this, exp.Identifier) or node.args.get("db") is not None:
            return None
        name, qualifier = self._spelling.name(node.this), node.args.get("table")
        if qualifier is not None:
            return self._qualified(self._spelling.name(qualifier).lower(), name, env)
        token = self._spelling.token(node.this)
        if token is not None and token.word in BARE_FUNCTIONS:
            return frozenset()
        for scope in env.scopes:
            having = [source for source in scope.sources if source.named(name)]
            if having and scope.is_natural:
                return None
            if having:
                joined = scope.using.get(name.lower(), ())
                if len(having) > 1 and not set(having) <= set(joined):
                    return None
                found = [output for source in having for output in source.named(name)]
                # Columns of one name in one source, and sources with columns that are not known, could be meant too.
                if len(found) > len(having) or any(source.outputs is None for source in joined):
                    return None
                return _union(map(_origins, found))
            if any(source.outputs is None for source in scope.sources):
                return None
        return None

    def _qualified(self, qualifier: str, name: str, env: _Env) -> _Origins:
        for scope in env.scopes:
            sources = [source for source in scope.sources if source.name == qualifier]
            if sources:
                found = sources[0].named(name)
                return _origins(found[0]) if len(sources) == len(found) == 1 else None
        return None


def _output(name: str | None, origins: _Origins) -> Output:
    return Output(name, None if origins is None else tuple(sorted(origins)))


def _origins(output: Output) -> _Origins:
    return None if output.sources is None else frozenset(output.sources)


def _union(many: Iterable[_Origins]) -> _Origins:
    found: set[tuple[str, str]] = set()
    for origins in many:
        if origins is None:
            return None
        found |= origins
    return frozenset(found)


def _renamed(outputs: Outputs, names: Sequence[str]) -> Outputs:
    """The columns of a source under the names that stand behind its alias."""
    if not names:
        return outputs
    if outputs is None or len(outputs) != len(names):
        return tuple(Output(name) for name in names)
    return tuple(replace(output, name=name) for output, name in zip(outputs, names, strict=True))


def _parts(node: exp.Expr, key: str) -> list[exp.Expr]:
    value = node.args.get(key)
    return [part for part in (value if isinstance(value, list) else [value]) if isinstance(part, exp.Expr)]
