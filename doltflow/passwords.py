"""Passwords in addresses: found, and masked where a text is shown."""

import re

_MASK = "…"


def _passwords(character: str, of_query: str) -> re.Pattern[str]:
    """The passwords of URLs: what stands behind a colon that begins no port, up to the last `@`; and in a query.

    Args:
        character: What an address is made of.
        of_query: What a password in its query is made of.
    """
    # Brackets hold an IP address, or the table and the bucket of AWS: their colons begin nothing.
    brackets = rf"\[(?:(?![/@\]]){character})*\](?=[:/?#\s]|$)"
    before_host = rf"(?<=://)(?P<user>(?:{brackets}|(?![/:]){character})*+:)(?!\d*/){character}*(?P<at>@)"
    return re.compile(rf"{before_host}|(?P<name>[?&]password=){of_query}*", re.IGNORECASE)


_IN_ADDRESS = _passwords(r"[\s\S]", r"[^&]")
_IN_PROSE = _passwords(r"\S", r"[^&\s`]")


def has_password(address: str) -> bool:
    """Whether there is a password in an address: before its host, or in its query."""
    return _IN_ADDRESS.search(address) is not None


def without_password(text: str, *, is_address: bool = False) -> str:
    """A text without the passwords of the addresses in it.

    Args:
        text: The text.
        is_address: Whether it is one address and nothing else, whose password may have blanks in it.
    """
    found = _IN_ADDRESS if is_address else _IN_PROSE
    return found.sub(lambda one: f"{one['user'] or one['name']}{_MASK}{one['at'] or ''}", text)
