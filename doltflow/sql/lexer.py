"""A query's text in tokens, exactly as Dolt cuts it.

sqlglot and Dolt disagree on what a comment is, on which characters a name may have and on where a statement ends. What
they read differently could hide a table or a second statement, so the text is cut here first, by Dolt's rules, and
whatever the two could see differently is refused. sqlglot then gets the text without its comments.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NoReturn

from doltflow.errors import QueryError

Kind = Literal["word", "quoted", "string", "number", "mark"]

_TOKEN = re.compile(
    r"""
      (?P<space>[ \t\r\n]+)
    | (?P<executable>/\*M?!)
    | (?P<comment>/\*.*?\*/ | (?:\#|--(?=[ \t\r\n]|\Z))[^\n]*)
    | (?P<quoted>`(?:[^`]|``)*+`)
    | (?P<string>'(?:[^'\\]|\\.|'')*+' | "(?:[^"\\]|\\.|"")*+")
    | (?P<number>[xX]'[0-9a-fA-F]*' | [bB]'[01]*'
        | (?:0[xX][0-9a-fA-F]+ | (?:[0-9]+(?:\.[0-9]*)? | \.[0-9]+)(?:[eE][+-]?[0-9]+)?)(?![A-Za-z0-9_]))
    | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<disputed>--|//|/\*)
    | (?P<mark>[-(),.;=<>+*/%^~&|!])
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPES = {"0": "\0", "b": "\b", "n": "\n", "r": "\r", "t": "\t", "Z": "\x1a"}
_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a query.

    Attributes:
        kind: What it is.
        value: A name or a string decoded, anything else as written.
        start: Where it begins in the text.
        end: Just behind it.
    """

    kind: Kind
    value: str
    start: int
    end: int

    @property
    def word(self) -> str:
        """A keyword or bare name in lower case; empty for what is quoted or is no name."""
        return self.value.lower() if self.kind == "word" else ""

    @property
    def name(self) -> str | None:
        """The name that it can stand for, quoted or not."""
        return self.value if self.kind in ("word", "quoted") else None

    def is_mark(self, mark: str) -> bool:
        """Whether it is that punctuation mark."""
        return self.kind == "mark" and self.value == mark


def refuse(message: str, hint: str = "") -> NoReturn:
    """Refuses a query.

    Raises:
        QueryError: Always.
    """
    raise QueryError(message, hint)


def place(text: str, start: int) -> str:
    """The text from a place on, short and on one line, to quote in a message."""
    rest = " ".join(text[start : start + 4 * _SHOWN].split())
    return f"`{rest[:_SHOWN]}…`" if len(rest) > _SHOWN else f"`{rest}`"


def tokenise(text: str) -> tuple[Token, ...]:
    """The tokens of a text, without comments and blanks.

    Raises:
        QueryError: Dolt could not cut the text so, or could run a part of it that looks like a comment.
    """
    if "\0" in text or not _encodable(text):
        refuse("The query holds a NUL or a broken character, which no SQL text can hold.")
    found: list[Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup in ("executable", "disputed"):
            _refuse_piece(text, at, match)
        kind, piece, end = str(match.lastgroup), match.group(), match.end()
        if kind == "comment" and piece.startswith("/*+") and "set_var" in piece.lower():
            refuse(f"The query sets a variable in the hint {place(text, at)}; it may only read.")
        if kind not in ("space", "comment"):
            found.append(_token(kind, piece, at, end, text))
        at = end
    return tuple(found)


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _token(kind: str, piece: str, start: int, end: int, text: str) -> Token:
    match kind:
        case "quoted":
            value = piece[1:-1].replace("``", "`")
            if not value.strip():
                refuse(f"The query has an empty name at {place(text, start)}.")
            return Token("quoted", value, start, end)
        case "string":
            quote = piece[0]
            value = re.sub(
                rf"\\(.)|{quote}{quote}",
                lambda m: quote if m[1] is None else _ESCAPES.get(m[1], m[1]),
                piece[1:-1],
                flags=re.DOTALL,
            )
            return Token("string", value, start, end)
        case "number":
            return Token("number", piece, start, end)
        case "word":
            return Token("word", piece, start, end)
        case _:
            return Token("mark", piece, start, end)


def _refuse_piece(text: str, at: int, match: re.Match[str] | None) -> NoReturn:
    where, char, piece = place(text, at), text[at], match.group() if match else ""
    if match is not None and match.lastgroup == "executable":
        refuse(f"The query hides SQL in a comment at {where}, which Dolt would run.", "Write it out, or leave it out.")
    if piece == "--":
        refuse(
            f"The query has `--` without a blank behind it at {where}, where Dolt sees a comment and MySQL does not.",
            "Write `-- ` for a comment, or `- -` for two minus signs.",
        )
    if piece == "//":
        refuse(f"The query has `//` at {where}, which Dolt takes for a comment.", "Write `-- ` for a comment.")
    if piece == "/*":
        refuse(f"The comment that begins at {where} does not end.")
    if char in "'\"`":
        refuse(f"The quotation that begins at {where} does not end.")
    if char == "@":
        refuse(
            f"The query uses a variable at {where}, whose value is not part of any commit.", "Write the value itself."
        )
    if char in "?:":
        refuse(f"The query has a placeholder at {where}, and nothing is put in its place.", "Write the value itself.")
    if char.isalnum():
        begin = at - len(re.split(r"\W", text[:at])[-1])
        refuse(f"The query has a name that must be quoted at {place(text, begin)}.", "Put it in backticks.")
    refuse(f"The query cannot be parsed: {char!r} has no meaning at {where}.")


def masked(text: str, tokens: Sequence[Token], hidden: Sequence[tuple[int, int]] = ()) -> str:
    """The text with blanks for its comments and for some spans, so that every token keeps its place."""
    kept = [" "] * len(text)
    for token in tokens:
        if not any(start <= token.start < end for start, end in hidden):
            kept[token.start : token.end] = text[token.start : token.end]
    return "".join("\n" if char == "\n" and kept[at] == " " else kept[at] for at, char in enumerate(text))


def one_statement(text: str, tokens: Sequence[Token]) -> tuple[Token, ...]:
    """The tokens of the only statement, without the semicolon behind it.

    Raises:
        QueryError: There is no statement, or more than one, or Dolt's command line would see more than one.
    """
    body = tuple(tokens[:-1]) if tokens and tokens[-1].is_mark(";") else tuple(tokens)
    if not body:
        refuse("The query is empty.", "Give one SELECT.")
    if (second := next((token for token in body if token.is_mark(";")), None)) is not None:
        refuse(f"The query has several statements: a `;` stands at {place(text, second.start)}.", "Give one SELECT.")
    gaps = zip([0, *(token.end for token in tokens)], [*(token.start for token in tokens), len(text)], strict=True)
    in_comments = {start + match.start() for start, end in gaps for match in re.finditer(";", text[start:end])}
    if stray := sorted((in_comments | set(_splits(text))) - {tokens[-1].start}):
        refuse(
            f"The query has a `;` in a comment, or behind a quotation mark in one, at {place(text, stray[0])}, where "
            "Dolt's command line would begin a second statement.",
            "Leave the `;` or the comment out.",
        )
    return body


def _splits(text: str) -> Iterator[int]:
    """Where `dolt sql` ends statements: it knows quotes, by rules of its own, but no comments."""
    if ";" not in text:
        return
    quote, last, backslashes, skip = "", "", 0, False
    for at, char in enumerate(text):
        if skip:
            skip = False
        elif char == ";" and not quote:
            yield at
            last, backslashes = "", 0
            continue
        elif char == "\\":
            backslashes += 1
        elif char in "'\"`":
            escaped = last == "\\" and backslashes % 2 == 1
            backslashes = 0
            if not escaped and quote == char:
                skip = text[at + 1 : at + 2] == char
                quote = char if skip else ""
            elif not escaped and not quote:
                quote = char
        elif char != "\n":
            backslashes = 0
        last = char
