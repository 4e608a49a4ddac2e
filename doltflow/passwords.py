"""Passwords in addresses: found, and masked where a text is shown."""

import re

_MASK = "…"
_WORD = re.compile(r"\S+")
# Brackets hold an IP address, or the table and the bucket of AWS: their colons begin nothing.
_BRACKETS = r"\[[^/@\[\]]*\](?=[:/?#\s]|$)"
_BEFORE_HOST = re.compile(rf"(?<=://)(?:{_BRACKETS}|[^/:])*+:(?!\d*/)(?P<hidden>[\s\S]*)@")
"""What stands behind a colon that begins no port, up to the last `@`."""
_IN_QUERY = re.compile(r"[?&]password=(?P<hidden>[^&]*)", re.IGNORECASE)
_IN_QUERY_OF_PROSE = re.compile(r"[?&]password=(?P<hidden>[^&`]*)", re.IGNORECASE)


def has_password(address: str) -> bool:
    """Whether there is a password in an address: before its host, or in its query."""
    return bool(_BEFORE_HOST.search(_up_to_host(address)) or _IN_QUERY.search(address))


def without_password(text: str, *, is_address: bool = False) -> str:
    """A text without the passwords of the addresses in it.

    Args:
        text: The text.
        is_address: Whether it is one address and nothing else, whose password may have blanks in it.
    """
    if is_address:
        return _masked(text, _IN_QUERY)
    return _WORD.sub(lambda word: _masked(word.group(), _IN_QUERY_OF_PROSE), text)


def _masked(word: str, in_query: re.Pattern[str]) -> str:
    found = [*_BEFORE_HOST.finditer(_up_to_host(word)), *in_query.finditer(word)]
    shown, at = "", 0
    for start, end in sorted(one.span("hidden") for one in found):
        if start >= at:  # Else what hides has begun in the one before.
            shown += word[at:start] + _MASK
        at = max(at, end)
    return shown + word[at:]


def _up_to_host(word: str) -> str:
    # Else each of a thousand beginnings would look for an `@` to the word's end in vain.
    return word[: word.rfind("@") + 1]
