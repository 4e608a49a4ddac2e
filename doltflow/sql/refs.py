"""The revisions that a query names with `AS OF` and with qualifiers such as `` `db/main` ``."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from doltflow.sql.lexer import Token, place, refuse
from doltflow.sql.names import BARE_FUNCTIONS

_CONTINUES = frozenset(
    {"and", "collate", "div", "in", "is", "like", "member", "mod", "not", "or", "regexp", "rlike", "sounds", "xor"}
)
_VALUES = BARE_FUNCTIONS | {"null", "true", "false"}
_UNCOMMITTED = frozenset({"working", "staged"})
_TIME = re.compile(r"(timestamp|date) \( ' \)|cast \( ' as (date|timestamp|datetime( \( [0-6] \))?) \)")


@dataclass(frozen=True, slots=True)
class AsOf:
    """An `AS OF` clause.

    Attributes:
        table: Where the last part of the table's name before it starts.
        ref: As in `RefRead`.
        span: Where the clause stands.
    """

    table: int
    ref: str
    span: tuple[int, int]


def find_as_of(text: str, tokens: Sequence[Token]) -> tuple[AsOf, ...]:
    """The `AS OF` clauses of a query, which sqlglot does not know.

    Raises:
        QueryError: One names no ref that is known before the query runs, or stands behind something else than a name.
    """
    words = [token.word for token in tokens] + [""] * 4
    found = []
    for at, token in enumerate(tokens):
        if (
            words[at] == "for"
            and words[at + 1] in ("system_time", "version")
            and words[at + 2 : at + 4] != ["as", "of"]
        ):
            refuse(f"The query reads a range of versions at {place(text, token.start)}.", "Use AS OF for one commit.")
        if words[at : at + 2] == ["as", "of"]:
            first = at - 2 if words[at - 1] in ("system_time", "version") and words[at - 2] == "for" else at
            if first < 1 or tokens[first - 1].name is None:
                refuse(f"The query has AS OF behind something that is not a table, at {place(text, token.start)}.")
            ref, behind = _ref_at(text, tokens, at + 2)
            found.append(AsOf(tokens[first - 1].start, ref, (tokens[first].start, tokens[behind - 1].end)))
    return tuple(found)


def _ref_at(text: str, tokens: Sequence[Token], at: int) -> tuple[str, int]:
    """The ref at a place, and the place behind it."""
    where = place(text, tokens[at - 2].start)
    if at >= len(tokens):
        refuse(f"The query has AS OF without a ref at {where}.")
    shapes = (
        "'" if t.kind == "string" else "`" if t.kind == "quoted" else t.value.lower() for t in tokens[at : at + 9]
    )
    if time := _TIME.match(" ".join(shapes)):
        behind = at + len(time.group().split())
        ref = text[tokens[at].start : tokens[behind - 1].end]
    elif tokens[at].kind == "string":
        ref, behind = joined_string(tokens, at)
        check_ref(ref, where)
    else:
        ref, behind = tokens[at].name or "", at + 1
        check_ref(ref, where)
    following = tokens[behind] if behind < len(tokens) else None
    if tokens[at].word in _VALUES or (
        following is not None
        and (
            following.kind in ("string", "number")
            or (following.kind == "mark" and following.value not in (")", ","))
            or following.word in _CONTINUES
        )
    ):
        refuse(f"The query computes a ref at {where}.", "Name the commit as text: AS OF 'hash'.")
    return ref, behind


def joined_string(tokens: Sequence[Token], at: int) -> tuple[str, int]:
    """A string and those right behind it, which Dolt joins to one, and the place behind them."""
    behind = at
    while behind < len(tokens) and tokens[behind].kind == "string":
        behind += 1
    return "".join(token.value for token in tokens[at:behind]), behind


def check_ref(ref: str, where: str) -> None:
    """Refuses a ref that nobody could resolve to the commit that Dolt would read.

    Raises:
        QueryError: It is empty, means the working set, or is relative to HEAD.
    """
    name = re.split(r"[~^]", ref.strip())[0].lower()
    if not name:
        refuse(f"The query names no ref at {where}.")
    if name in _UNCOMMITTED:
        refuse(
            f"The query reads the working set ({ref}) at {where}, which is no commit.",
            f"Name a commit; a branch of that name is `heads/{ref}`.",
        )
    if name in ("head", "@"):
        refuse(
            f"The query names {ref} at {where}, where Dolt takes the default branch's, whatever commit is read.",
            "Name the commit by its hash; without a ref, the pinned commit is read.",
        )


def split_qualifier(qualifier: str, where: str) -> tuple[str, str | None]:
    """A database's name, and the revision behind it if there is one.

    Raises:
        QueryError: A part is missing, or the revision is none that can be resolved.
    """
    mark = re.search("[/@]", qualifier)
    if mark is None:
        return qualifier, None
    database, ref = qualifier[: mark.start()], qualifier[mark.end() :]
    if not database:
        refuse(f"The query names no database at {where}.")
    check_ref(ref, where)
    return database, ref
