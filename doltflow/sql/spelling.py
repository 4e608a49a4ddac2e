"""From sqlglot's nodes back to the tokens that Dolt sees."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from sqlglot import exp

from doltflow.sql.lexer import Token, place


class Spelling:
    """Where names stand in a query, and how they are spelled there.

    Args:
        text: The query.
        tokens: Its tokens.
    """

    def __init__(self, text: str, tokens: Sequence[Token]) -> None:
        self.text = text
        self._tokens = {token.start: token for token in tokens}
        self._before = {token.start: before for before, token in pairwise(tokens)}

    def token(self, node: exp.Expr) -> Token | None:
        """The token of a name."""
        return self._tokens.get(self.start(node))

    def before(self, node: exp.Expr) -> Token | None:
        """The token before a name."""
        return self._before.get(self.start(node))

    def name(self, node: exp.Expr) -> str:
        """A name as Dolt reads it."""
        token = self.token(node)
        return str(node.name) if token is None else token.value

    def start(self, node: exp.Expr) -> int:
        """Where a name stands; -1 for one that is not in the text."""
        return int(node.meta.get("start", -1))

    def place(self, node: exp.Expr) -> str:
        """The text from a name on, to quote in a message."""
        return place(self.text, max(self.start(node), 0))

    def qualifiers(self) -> Iterator[Token]:
        """The names that have a dot behind them."""
        for token, behind in pairwise(self._tokens.values()):
            if behind.is_mark(".") and token.name is not None:
                yield token
