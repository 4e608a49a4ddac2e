"""Metaflow's profiles: `config_NAME.json` in METAFLOW_HOME. Metaflow reads one when it is imported, and never again."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from doltflow.errors import ProfileNotFoundError, nearest

VARIABLE = "METAFLOW_PROFILE"


def profiles() -> dict[str, Path]:
    """The files of the profiles that there are, by name."""
    found = home().glob("config_*.json")
    return {file.name.removeprefix("config_").removesuffix(".json"): file for file in sorted(found)}


def home() -> Path:
    """Where Metaflow keeps them."""
    return Path(os.environ.get("METAFLOW_HOME") or "~/.metaflowconfig").expanduser()


def find_profile(profile: str) -> Path:
    """The file of a profile.

    Raises:
        ProfileNotFoundError: There is none of that name; those that there are are listed.
    """
    known = profiles()
    if profile not in known:
        hint = nearest(profile, known) or f"There is none at all: `metaflow configure` makes one, in {home()}."
        raise ProfileNotFoundError(f"Metaflow has no profile `{profile}` in {home()}.", hint)
    return known[profile]


@contextmanager
def using(profile: str | None) -> Iterator[None]:
    """Has Metaflow, and the flows that are started, use a profile; afterwards the environment is as it was.

    Args:
        profile: Its name; None for what the environment says.

    Raises:
        ProfileNotFoundError: There is none of that name, or Metaflow has begun with another one in this process.
    """
    before = os.environ.get(VARIABLE)
    if profile is None or profile == before:
        yield
        return
    _check_begun(profile, find_profile(profile))
    os.environ[VARIABLE] = profile
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(VARIABLE, None)
        else:
            os.environ[VARIABLE] = before


def _check_begun(profile: str, file: Path) -> None:
    """Makes sure that Metaflow, where it has begun, began with what is in a profile."""
    begun = sys.modules.get("metaflow.metaflow_config_funcs")
    settings = getattr(begun, "METAFLOW_CONFIG", None)
    try:
        is_other = settings is not None and settings != json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ProfileNotFoundError(f"Metaflow's profile `{profile}`, {file}, cannot be read: {error}.") from error
    if is_other:
        raise ProfileNotFoundError(
            f"Metaflow has begun without the profile `{profile}` in this process, and cannot change to it.",
            f"Set {VARIABLE} before Metaflow is imported.",
        )
