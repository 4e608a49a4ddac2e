"""What a query reads, and that it does nothing else."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import NoReturn

from sqlglot import Dialect, TokenType, exp
from sqlglot.errors import ParseError

from doltflow.errors import QueryError
from doltflow.sql.calls import find_calls
from doltflow.sql.columns import ColumnReads
from doltflow.sql.derived import Derivation, Outputs
from doltflow.sql.lexer import Token, masked, one_statement, place, refuse, tokenise
from doltflow.sql.names import AGGREGATES, CLAUSES, KEYWORDS, REFUSED_WORDS, SELECT_OPTIONS, STARTS
from doltflow.sql.reads import Output, QueryReads
from doltflow.sql.refs import find_as_of
from doltflow.sql.resolver import Resolver
from doltflow.sql.spelling import Spelling

# Otherwise Python prints what sqlglot logs of a query that is refused anyway.
logging.getLogger("sqlglot").addHandler(logging.NullHandler())

_REFUSED_NODES = (
    exp.Aliases,
    exp.Command,
    exp.DDL,
    exp.DML,
    exp.Into,
    exp.Lock,
    exp.Parameter,
    exp.Pivot,
    exp.Placeholder,
    exp.SessionParameter,
    exp.Unnest,
)
_VALUES = (exp.Literal, exp.Null, exp.Neg, exp.Add, exp.Sub, exp.Mul, exp.Div, exp.IntDiv, exp.Mod)
"""What no condition is, though Dolt takes what is neither zero nor NULL for true."""
_QUOTED = (TokenType.STRING, TokenType.IDENTIFIER)


def analyse(query: str, schema: Mapping[str, Sequence[str]] | None = None) -> QueryReads:
    """See `doltflow.sql.analyse`."""
    tokens = one_statement(query, tokenise(query))
    _check_words(query, tokens)
    as_of = find_as_of(query, tokens)
    try:
        tree = _parse(query, tokens, [*(clause.span for clause in as_of), *_select_options(tokens)])
        columns = ColumnReads(schema or {})
        resolver = Resolver(Spelling(query, tokens), as_of, columns)
        resolver.read(tree)
    except RecursionError as error:
        raise QueryError("The query is nested too deeply to be parsed.") from error
    calls = find_calls(query, tokens, resolver.column_lists)
    for table in calls.tables:
        resolver.tables.setdefault(table.lower(), table)
        columns.use_table(table)
    tables = sorted(resolver.tables.values())
    refs = sorted(resolver.refs + calls.refs, key=lambda found: found[0])
    return QueryReads(
        tables=tuple(tables),
        columns=tuple((table, columns.of(table)) for table in tables),
        refs=tuple(dict.fromkeys(ref for _, ref in refs)),
        databases=tuple(sorted(resolver.databases.values())),
        whole=tuple(table for table in tables if columns.is_whole(table)),
    )


def derive(
    query: str, schema: Mapping[str, Sequence[str]], views: Mapping[str, Outputs] | None = None
) -> tuple[Output, ...] | None:
    """See `doltflow.sql.derive`."""
    try:
        tokens = one_statement(query, tokenise(query))
        as_of = find_as_of(query, tokens)
        tree = _parse(query, tokens, [*(clause.span for clause in as_of), *_select_options(tokens)])
        past = [clause.table for clause in as_of]
        return Derivation(Spelling(query, tokens), past, schema, views or {}).of(tree)
    except (QueryError, RecursionError):
        return None


def check_predicate(text: str) -> None:
    """See `doltflow.sql.check_predicate`."""
    tokens = tokenise(text)
    if not tokens:
        refuse("The predicate is empty.", "Leave it out to take every row.")
    _check_no_comments(text, tokens)
    _check_balanced(text, tokens)
    try:
        _check_condition(text)
    except RecursionError as error:
        raise QueryError("The predicate is nested too deeply to be parsed.") from error
    except QueryError as error:
        raise QueryError(error.message.replace("The query", "The predicate", 1), error.hint) from error


def is_aggregate(text: str) -> bool:
    """See `doltflow.sql.is_aggregate`."""
    check_predicate(text)
    where = _condition(text, f"SELECT 1 FROM t WHERE ({text})")
    if where.find(exp.Window) is not None:
        refuse("The predicate has a window function.", "Give a condition on the table, or on its rows.")
    if not any(_aggregates(node) for node in where.walk()):
        return False
    for column in where.find_all(exp.Column):
        parent = column.parent
        while parent is not None and not _aggregates(parent):
            parent = parent.parent
        if parent is None:
            refuse(
                f"The predicate takes `{column.name}` of each row, and aggregates over all of them.",
                "Put the column into an aggregate too, such as max.",
            )
    return True


def _aggregates(node: exp.Expr) -> bool:
    if not isinstance(node, exp.Func):
        return False
    name = node.name if isinstance(node, exp.Anonymous | exp.AnonymousAggFunc) else ""
    return isinstance(node, exp.AggFunc) or (name or node.sql_name()).lower() in AGGREGATES


def _check_condition(text: str) -> None:
    _condition(text, f"SELECT 1 FROM t WHERE {text}")  # As it stands, so that a message quotes nothing else.
    condition = _condition(text, f"SELECT 1 FROM t WHERE ({text})")
    if not isinstance(condition, exp.Paren):
        _refuse_predicate(text)
    value = condition.unnest()
    if isinstance(value, exp.Column):
        refuse(f"{place(text, 0)} is a column and no predicate.", "Compare it: `c = 1`, `c IS NOT NULL`, say.")
    if isinstance(value, _VALUES):
        refuse(f"{place(text, 0)} is a value and no predicate.", "Compare a column with it: `c = 1`, say.")


def _condition(text: str, query: str) -> exp.Expr:
    """What stands behind WHERE in the query into which a predicate was put."""
    tokens = one_statement(query, tokenise(query))
    _check_words(query, tokens)
    if find_as_of(query, tokens):
        refuse("The query names a revision.", "A predicate is about the rows of one table at one commit.")
    tree = _parse(query, tokens)
    where = tree.args.get("where")
    others = {key for key, value in tree.args.items() if value} - {"expressions", "from_", "where"}
    if not isinstance(where, exp.Where) or others or where.find(exp.Alias):
        _refuse_predicate(text)
    if sum(1 for _ in tree.find_all(exp.Query, exp.Values, exp.Table)) != len(("SELECT", "t")):
        refuse(
            "The query has a subquery, whose tables would not be recorded.",
            "Write the values themselves. In a step, `sql` takes the whole query.",
        )
    find_calls(query, tokens, frozenset())
    condition: exp.Expr = where.this
    return condition


def _refuse_predicate(text: str) -> NoReturn:
    refuse(f"{place(text, 0)} is no predicate.", "Give one condition, as behind WHERE.")


def _check_words(text: str, tokens: Sequence[Token]) -> None:
    first = next((token for token in tokens if not token.is_mark("(")), tokens[0])
    if first.word not in STARTS:
        refuse(
            f"The query is no SELECT: it begins with {place(text, first.start)}.",
            "Only SELECT, WITH … SELECT, VALUES and TABLE can be run.",
        )
    for at, token in enumerate(tokens):
        if token.kind != "word" or (at and tokens[at - 1].is_mark(".")):
            continue
        behind = tokens[at + 1] if at + 1 < len(tokens) else None
        if token.word in REFUSED_WORDS:
            refuse(f"The query does more than read, at {place(text, token.start)}. {REFUSED_WORDS[token.word]}")
        if token.word in ("insert", "replace") and (behind is None or not behind.is_mark("(")):
            refuse(f"The query does more than read, at {place(text, token.start)}. It inserts.")
        if token.word == "for" and behind is not None and behind.word == "share":
            refuse(f"The query does more than read, at {place(text, token.start)}. It locks what it reads.")


def _check_no_comments(text: str, tokens: Sequence[Token]) -> None:
    behind = 0
    for token in tokens:
        if text[behind : token.start].strip():
            refuse(f"The predicate has a comment at {place(text, behind)}.", "Leave it out.")
        behind = token.end
    if text[behind:].strip():
        refuse(f"The predicate has a comment at {place(text, behind)}.", "Leave it out.")


def _check_balanced(text: str, tokens: Sequence[Token]) -> None:
    depth = 0
    for token in tokens:
        depth += token.is_mark("(") - token.is_mark(")")
        if token.is_mark(";") or depth < 0:
            refuse(f"The predicate ends at {place(text, token.start)}, but goes on.", "Give one condition.")
    if depth:
        refuse("The predicate has a `(` that is not closed.")


def _select_options(tokens: Sequence[Token]) -> Iterator[tuple[int, int]]:
    """The words behind SELECT that sqlglot would take for columns."""
    is_behind = False
    for token in tokens:
        is_option = is_behind and token.word in SELECT_OPTIONS
        if is_option:
            yield token.start, token.end
        is_behind = is_option or token.word == "select" or (is_behind and token.word in ("all", "distinct"))


def _parse(text: str, tokens: Sequence[Token], hidden: Sequence[tuple[int, int]] = ()) -> exp.Expr:
    """The query's tree, checked to be one that only reads."""
    dialect = Dialect.get_or_raise("mysql")
    source = masked(text, tokens, hidden)
    shown = [token for token in tokens if not any(start <= token.start < end for start, end in hidden)]
    try:
        pieces = dialect.tokenize(source)
        trees = dialect.parser().parse(pieces, source)
    except RecursionError:
        raise
    except Exception as error:  # On broken syntax sqlglot also fails with errors that are not its own.
        raise QueryError(f"The query cannot be parsed{_near(text, shown, error)}.") from error
    spans = [(piece.start, piece.end + 1) for piece in pieces if piece.token_type in _QUOTED]
    if spans != [(token.start, token.end) for token in shown if token.kind in ("string", "quoted")]:
        refuse("The query has a quotation that can be read in two ways.")
    tree = trees[0] if len(trees) == 1 else None
    if not isinstance(tree, exp.Query | exp.Values):
        refuse("The query is no SELECT.", "Only SELECT, WITH … SELECT, VALUES and TABLE can be run.")
    for node in tree.find_all(*_REFUSED_NODES):
        refuse(f"The query has what doltflow does not take for part of a plain read ({node.key.upper()}).")
    _check_names(text, shown, {node.meta.get("start") for node in tree.find_all(exp.Identifier)})
    return tree


def _check_names(text: str, tokens: Sequence[Token], names: AbstractSet[object]) -> None:
    """Makes sure that sqlglot took for syntax only what is syntax to Dolt, so that no name was lost."""
    for at, token in enumerate(tokens):
        before = tokens[at - 1] if at else None
        behind = tokens[at + 1] if at + 1 < len(tokens) else None
        is_name = token.name is None or token.start in names
        is_call = behind is not None and behind.is_mark("(")
        is_charset = before is not None and before.word in ("charset", "collate", "set", "using")
        is_introducer = token.word.startswith("_") and behind is not None and behind.kind == "string"
        is_syntax = is_call or is_charset or is_introducer or token.word in KEYWORDS
        follows_comma = before is not None and before.is_mark(",")
        if not is_name and (not is_syntax or (follows_comma and token.word in CLAUSES)):
            where = place(text, token.start)
            refuse(f"What `{token.value}` means at {where} cannot be told.", "Put it in backticks if it is a name.")


def _near(text: str, tokens: Sequence[Token], error: Exception) -> str:
    """The place of a syntax error, as `doltflow` can quote it from the query itself."""
    details = error.errors[0] if isinstance(error, ParseError) and error.errors else {}
    line, column = details.get("line"), details.get("col")
    if not isinstance(line, int) or not isinstance(column, int):
        return ""
    start = sum(len(row) + 1 for row in text.split("\n")[: line - 1])
    token = next((token for token in tokens if token.end >= start + column), None)
    return " at its end" if token is None else f" at {place(text, token.start)}"
