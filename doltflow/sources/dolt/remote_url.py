"""Addresses of remotes: what they name, and that none holds a password."""

import re
from urllib.parse import unquote

from doltflow.errors import UsageError
from doltflow.passwords import has_password, without_password

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_OF_DOLTHUB = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def is_remote(text: str) -> bool:
    """Whether a text says where a remote is: a URL, or DoltHub's `owner/name`."""
    return is_url(text) or is_of_dolthub(text)


def is_of_dolthub(text: str) -> bool:
    """Whether a text has the form of DoltHub's `owner/name`."""
    return _OF_DOLTHUB.fullmatch(text) is not None


def is_url(text: str) -> bool:
    """Whether a text is the URL of a remote."""
    return _SCHEME.match(text) is not None and not text.startswith("mysql://")


def split(url: str) -> tuple[str, str, str]:
    """The scheme, the host with what stands before it, and the path of a URL; AWS has brackets that are no IP address.

    The path begins with a slash, or is empty.
    """
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return scheme.lower(), host, slash + path


def tells_owner(url: str) -> bool:
    """Whether a URL is of a kind that has the owner of the database in its path: DoltHub's, a server's, Git's."""
    return split(url)[0] in ("http", "https", "git+http", "git+https", "git+ssh")


def name_at(address: str) -> str:
    """The name of the database at an address: the last part of its path.

    Raises:
        UsageError: It has none.
    """
    path = split(address)[2] if is_url(address) else address
    name = unquote(path).rstrip("/").rpartition("/")[2]
    if name in ("", ".", ".."):
        raise UsageError(f"{without_password(address)} names no database.", "Its last part is the database's name.")
    return name


def check_no_password(address: str) -> None:
    """Makes sure that an address holds no password: it would be recorded, and shown in lists of processes.

    Raises:
        UsageError: It does.
    """
    if has_password(address):
        raise UsageError(
            f"There is a password in {without_password(address, is_address=True)}.",
            "Leave it out: Dolt takes it from DOLT_REMOTE_PASSWORD, and for DoltHub from `dolt login`.",
        )


def user_of(address: str) -> str | None:
    """The user that a URL of a Dolt server names. Those of other kinds, such as SSH, take it from the URL itself."""
    scheme, host, _ = split(address)
    user = host.rpartition("@")[0]
    return unquote(user) if user and scheme in ("http", "https") else None
