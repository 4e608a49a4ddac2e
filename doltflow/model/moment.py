"""Points in time as users write them."""

import re
from datetime import UTC, datetime, timedelta

from doltflow.errors import UsageError

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_APART = re.compile(r"\s+(?=[+-]\d|Z$)")
HOW = "Write it as 2026-03-01, `2026-03-01 12:00` or 2026-03-01T12:00:00Z."


def looks_like_moment(text: str) -> bool:
    """Whether a text begins as a date does, be it one or not."""
    return _DATE.match(text.strip()) is not None


def parse_moment(text: str, *, end: bool) -> datetime:
    """The point in time, in UTC, that a user means.

    Args:
        text: A date, or a date and a time, in ISO's form; without a zone it is the user's own.
        end: Whether a date alone means the end of that day, else its beginning.

    Raises:
        UsageError: It is neither.
    """
    stripped = text.strip()
    if not looks_like_moment(stripped):
        raise UsageError(f"`{text}` is not a date.", HOW)
    try:
        found = datetime.fromisoformat(_APART.sub("", stripped))  # As git and Dolt print a zone.
    except ValueError as error:
        raise UsageError(f"`{text}` is not a date: {str(error).rstrip('.')}.", HOW) from error
    try:
        if not _DATE.fullmatch(stripped):
            return found.astimezone(UTC)
        # Of the next day's beginning, so that a day on which the clocks change ends when it does.
        return _beginning(found + timedelta(days=1)) - timedelta(microseconds=1) if end else _beginning(found)
    except (OverflowError, ValueError, OSError):  # The calendar ends at one of its own days.
        return (datetime.max if found.year > 1 else datetime.min).replace(tzinfo=UTC)


def _beginning(day: datetime) -> datetime:
    """When a day begins for the user, which is not at midnight where the clocks go forward then."""
    moments = sorted(day.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    return next((moment for moment in moments if moment.astimezone().date() == day.date()), moments[0])


def parse_span(since: str | None, until: str | None) -> tuple[datetime | None, datetime | None]:
    """The first and the last point in time that `--since` and `--until` take in.

    Raises:
        UsageError: One is not a date, or they are the wrong way round.
    """
    first = parse_moment(since, end=False) if since is not None else None
    last = parse_moment(until, end=True) if until is not None else None
    if first is not None and last is not None and first > last:
        raise UsageError(f"`{since}` is after `{until}`.", "Give the earlier date to `--since`.")
    return first, last
