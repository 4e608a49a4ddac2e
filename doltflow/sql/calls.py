"""The functions that a query calls: that each is harmless, and what Dolt's own ones read."""

import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from doltflow.sql.lexer import Token, place, refuse
from doltflow.sql.names import FUNCTIONS, REFUSED_FUNCTIONS, SYNTAX, VOLATILE
from doltflow.sql.reads import RefRead
from doltflow.sql.refs import check_ref, joined_string

_HASHES = frozenset({"dolt_hashof", "dolt_hashof_db", "hashof"})
_REF_COUNTS = {
    "dolt_hashof": (1,),
    "hashof": (1,),
    "dolt_hashof_db": (0, 1),
    "has_ancestor": (2,),
    "dolt_merge_base": (2,),
}
_DIFFS = frozenset({"dolt_diff", "dolt_diff_stat", "dolt_diff_summary", "dolt_patch", "dolt_schema_diff"})
_LOG_FLAGS = frozenset({"--merges", "--not", "--parents", "--show-signature"})
_LOG_NUMBERS = frozenset({"--min-parents", "--number", "-n"})
_SKINNY = ("--skinny", "-sk")


@dataclass(slots=True)
class Calls:
    """What a query's calls read.

    Attributes:
        refs: What they read at refs that they are given, and where in the text.
        tables: Tables that they read at the pinned commit.
    """

    refs: list[tuple[int, RefRead]]
    tables: list[str]


def find_calls(text: str, tokens: Sequence[Token], columns_lists: AbstractSet[int]) -> Calls:
    """Finds and checks the functions that a query calls.

    Args:
        text: The query.
        tokens: Its tokens.
        columns_lists: Where names stand that have a list of columns behind them, such as a CTE's.

    Raises:
        QueryError: A function is not known to be harmless, or what it reads cannot be told.
    """
    calls = Calls([], [])
    for at, token in enumerate(tokens):
        before = tokens[at - 1] if at else None
        behind = tokens[at + 1] if at + 1 < len(tokens) else None
        dotted = before is not None and before.is_mark(".")
        is_call = behind is not None and behind.is_mark("(")
        if is_call and token.name is not None and token.start not in columns_lists:
            if dotted:
                refuse(f"The query calls a function of a database at {place(text, token.start)}.")
            if token.word not in SYNTAX:
                _call(calls, text, tokens, at)
    return calls


def _call(calls: Calls, text: str, tokens: Sequence[Token], at: int) -> None:
    name, where = str(tokens[at].name).lower(), place(text, tokens[at].start)
    if name in _REF_COUNTS or name in _DIFFS or name in ("dolt_log", "dolt_hashof_table"):
        _dolt_call(calls, text, tokens, at)
    elif name in REFUSED_FUNCTIONS:
        refuse(f"The query calls {name.upper()} at {where}: {REFUSED_FUNCTIONS[name]}.")
    elif name not in FUNCTIONS and name not in VOLATILE:
        refuse(
            f"The query calls {tokens[at].value} at {where}, which doltflow does not know to be harmless.",
            "Only MySQL's functions that neither write nor reach outside can be called.",
        )


def _dolt_call(calls: Calls, text: str, tokens: Sequence[Token], at: int) -> None:
    written, where = tokens[at].value, place(text, tokens[at].start)
    name = written.lower()
    arguments = _strings(tokens, at + 2, where)
    if name == "dolt_hashof_table":
        if len(arguments) != 1:
            _misused(where)
        calls.tables.append(arguments[0])
        return
    if name == "dolt_log":
        refs, tables = _log_arguments(arguments, where)
    elif name in _DIFFS:
        refs, tables = _diff_arguments(name, arguments, where)
    elif len(arguments) in _REF_COUNTS[name]:
        refs, tables = list(arguments), []
    else:
        _misused(where)
    # Of all functions only these take HEAD for the pinned commit.
    kept = [ref for ref in refs if name not in _HASHES or ref.lower() != "head"]
    ends = [end for ref in kept for end in _ends(ref, where)]
    for end in ends:
        check_ref(end, where)
    if refs:
        about = tables or [written]
        reads = (RefRead(table, end, None, "function") for table in about for end in ends)
        calls.refs.extend((tokens[at].start, read) for read in reads)
    else:
        calls.tables.extend(tables)


def _strings(tokens: Sequence[Token], at: int, where: str) -> tuple[str, ...]:
    """The arguments of a call, all of them strings; `at` is the place behind the parenthesis."""
    found: list[str] = []
    while at < len(tokens) and tokens[at].kind == "string":
        argument, at = joined_string(tokens, at)
        found.append(argument)
        if at + 1 < len(tokens) and tokens[at].is_mark(",") and tokens[at + 1].kind == "string":
            at += 1
    if at >= len(tokens) or not tokens[at].is_mark(")"):
        refuse(
            f"The query computes an argument at {where}, so that nobody can tell beforehand what it reads.",
            "Give Dolt's functions plain strings.",
        )
    return tuple(found)


def _log_arguments(arguments: Sequence[str], where: str) -> tuple[list[str], list[str]]:
    refs: list[str] = []
    tables: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument in ("--tables", "-t"):
            tables += [name.strip() for name in next(rest, "").split(",") if name.strip()]
        elif argument in _LOG_NUMBERS:
            next(rest, None)
        elif argument.startswith("-") and argument not in _LOG_FLAGS:
            refuse(f"The query gives dolt_log the option {argument} at {where}, which reads more than commits.")
        elif not argument.startswith("-"):
            refs.append(argument)
    return refs, tables


def _diff_arguments(name: str, arguments: Sequence[str], where: str) -> tuple[list[str], list[str]]:
    plain = [argument for argument in arguments if name != "dolt_diff" or argument not in _SKINNY]
    ends = 1 if plain and ".." in plain[0] else 2
    tables = plain[ends:]
    fewest = 1 if name == "dolt_diff" else 0
    if len(plain) < ends or not fewest <= len(tables) <= 1 or any(argument.startswith("-") for argument in plain):
        _misused(where)
    return plain[:ends], tables


def _ends(ref: str, where: str) -> list[str]:
    """The two ends of a range of commits, or the only one."""
    ends = re.split(r"\.{2,3}", ref.removeprefix("^"))
    if not all(ends):
        refuse(f"The query names a range without an end at {where}, which Dolt takes for HEAD.", "Name both ends.")
    return ends


def _misused(where: str) -> None:
    refuse(f"The query gives a Dolt function arguments that it does not take, at {where}.")
