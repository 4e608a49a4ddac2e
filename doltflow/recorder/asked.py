"""What a user asks for, checked before anything is done."""

from collections.abc import Iterable

from doltflow.errors import UsageError


def text(value: object, what: str) -> str:
    """A name, query or ref as given.

    Raises:
        UsageError: It is no text, or empty, or holds half a character, which nothing in a database is called.
    """
    if not isinstance(value, str) or not value:
        raise UsageError(f"The {what} is {value!r}.", "Give a text that is not empty.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise UsageError(f"The {what} is {value!r}, which holds half a character.", "Is it decoded wrongly?") from None
    return value


def column_names(value: object) -> tuple[str, ...]:
    """Names of columns as given: one, or several.

    Raises:
        UsageError: It is no list of names, or an empty one, or one that has a name twice.
    """
    names = (value,) if isinstance(value, str) or not isinstance(value, Iterable) else tuple(value)
    if not names:
        raise UsageError("The columns are an empty list.", "Give at least one name, or leave them out for all.")
    found = tuple(text(name, "name of a column") for name in names)
    folded = [name.casefold() for name in found]
    if twice := next((name for name in found if folded.count(name.casefold()) > 1), None):
        raise UsageError(f"The columns name `{twice}` twice.", "Name each once.")
    return found
