"""Single values as people read them, and the one place where data is made safe to print."""

import json
import re
from datetime import UTC, datetime
from typing import Any

from doltflow.render.plain import plain

SHORT = 8
"""So many characters of a commit's hash are shown where the hash need not be copied whole; `--at` takes them."""

# What could steer a terminal, reorder the line or hide in it: control characters, line separators, bidirectional marks
# and overrides, what has no width (but joiners, which emoji and some scripts need). Half of a surrogate pair (a byte
# that was no UTF-8) could not be encoded at all.
STEERING = "\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb"
_STEERING = re.compile(f"[{STEERING}]")
_UNSAFE = re.compile(f"[\x00-\x1f{STEERING}]")
_UNSAFE_IN_LINES = re.compile(f"[\x00-\x08\x0b-\x1f{STEERING}]")
_NAMED = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
_LONG = 40


CODE_ORIGINS = {
    "package": "from the run's code package",
    "git": "from the run's git commit",
    "kept": "as doltflow kept it with the run",
}
"""What is said of recorded code, by where it comes from."""


def safe(text: str, *, lines: bool = False) -> str:
    r"""The text with every character that could steer a terminal escaped, as `\x1b`.

    Args:
        text: Any text: a table's name, a commit message, a parameter.
        lines: Leave line breaks and tabs as they are; for messages of several lines.
    """
    return (_UNSAFE_IN_LINES if lines else _UNSAFE).sub(_escaped, text)


def exact(text: str) -> str:
    r"""The text as `safe` gives it, but so that it can be told back: a backslash of its own is doubled."""
    return safe(text.replace("\\", "\\\\"))


def escaped_json(text: str) -> str:
    """JSON without what could steer a terminal, which it allows in strings; it escapes only what is below the space."""
    # All of these are in the plane that has an escape, and nowhere but inside strings.
    return _STEERING.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    code = ord(character)
    return _NAMED.get(character) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")


def count(number: int, what: str) -> str:
    """`1 row`, `12,345 rows`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def short(commit: str | None) -> str:
    """The beginning of a commit's hash."""
    return safe(commit[:SHORT]) if commit else "?"


def moment(when: datetime | str | None, *, seconds: bool = False) -> str:
    """A point in time in the user's time zone; empty for None, as it stands where it cannot be read."""
    if when is None:
        return ""
    try:
        date = datetime.fromisoformat(when) if isinstance(when, str) else when
        # A naive date is Dolt's, which counts in UTC.
        local = (date if date.tzinfo else date.replace(tzinfo=UTC)).astimezone()
    except (ValueError, OverflowError, OSError):
        return safe(str(when))
    return local.strftime("%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M")


def duration(seconds: float) -> str:
    """`0.4 s`, `3 min 5 s`, `2 h 10 min`, `3 d 4 h`."""
    if seconds < 59.95:
        return f"{max(seconds, 0):.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def value(data: Any, longest: int | None = _LONG) -> str:
    """A parameter's value on one line: bare where that is clear, else as JSON.

    Args:
        data: The value, of any type.
        longest: A longer one is cut; None cuts nothing.
    """
    if isinstance(data, str) and longest is not None and len(data) > longest:
        data = data[: longest + 1]  # A file's contents are not worth escaping to the end.
    if isinstance(data, str) and re.fullmatch(r"[^\s'\"]+", data):
        shown = data
    else:
        shown = "None" if data is None else json.dumps(plain(data), ensure_ascii=False)
    shown = safe(shown)
    return shown if longest is None or len(shown) <= longest else f"{shown[: longest - 1]}…"


def first_line(message: str) -> str:
    """A commit message's subject."""
    return safe(message.split("\n", 1)[0].rstrip("\r"))
