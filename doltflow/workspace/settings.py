"""Settings: `[tool.doltflow]` of pyproject.toml or `doltflow.toml`, found upwards; then `DOLTFLOW_*` variables."""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from doltflow.errors import SettingsError, nearest
from doltflow.sources.dolt import VARIABLE, is_address, places_set
from doltflow.sources.metaflow.profile import VARIABLE as METAFLOWS

_NAMES = ("databases", "profile")
_PROFILE = "DOLTFLOW_PROFILE"


@dataclass(frozen=True, slots=True)
class Settings:
    """What can be set.

    Attributes:
        databases: Databases to look at, beside those in the current folder and just below it: paths of folders,
            addresses of databases on servers, or of servers with all that they have.
        origin: What set them: a file or a variable.
        profile: The profile of Metaflow's to use; None for Metaflow's own choice.
    """

    databases: tuple[str, ...] = ()
    origin: str = ""
    profile: str | None = None


def load_settings(folder: Path | None = None) -> Settings:
    """The settings that hold in a folder; the current one without it.

    Raises:
        SettingsError: A file cannot be read, or says something that cannot be set.
    """
    start = (folder or Path.cwd()).absolute()
    found = next((read for read in map(_read, (start, *start.parents)) if read is not None), None)
    settings = Settings(_databases(*found), str(found[0]), _profile(*found)) if found is not None else Settings()
    if parts := places_set():
        databases = tuple(_place(Path.cwd(), part, VARIABLE) for part in parts)
        settings = replace(settings, databases=databases, origin=VARIABLE)
    # Metaflow's own variable is stronger than a file, as every variable is, and weaker than doltflow's.
    return replace(settings, profile=os.environ.get(_PROFILE) or os.environ.get(METAFLOWS) or settings.profile)


def use_profile(profile: str) -> None:
    """Sets the profile for this process: what `--profile` does."""
    os.environ[_PROFILE] = profile


def _read(folder: Path) -> tuple[Path, Mapping[str, Any]] | None:
    """The file of a folder that has settings, and its table of them."""
    own, project = folder / "doltflow.toml", folder / "pyproject.toml"
    if own.is_file():
        return own, _parse(own)
    if project.is_file():
        tools = _parse(project).get("tool", {})
        if isinstance(tools, Mapping) and "doltflow" in tools:
            table = tools["doltflow"]
            if not isinstance(table, Mapping):
                raise SettingsError(f"`tool.doltflow` in {project} is {table!r}, not a table of settings.")
            return project, table
    return None


def _parse(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{file} cannot be read: {error}.") from error


def _databases(file: Path, table: Mapping[str, Any]) -> tuple[str, ...]:
    unknown = [name for name in table if name not in _NAMES]
    if unknown:
        raise SettingsError(f"{file} sets `{unknown[0]}`, which is no setting.", nearest(unknown[0], _NAMES))
    value = table.get("databases", [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise SettingsError(
            f"`databases` in {file} is {value!r}, not a list of folders and addresses.",
            'Write `databases = ["../prices"]`, say.',
        )
    return tuple(_place(file.parent, item, str(file)) for item in value)


def _profile(file: Path, table: Mapping[str, Any]) -> str | None:
    value = table.get("profile")
    if value is not None and not (isinstance(value, str) and value):
        raise SettingsError(f"`profile` in {file} is {value!r}, not a name.", 'Write `profile = "production"`, say.')
    return value


def _place(base: Path, text: str, origin: str) -> str:
    if is_address(text):
        return text
    try:
        return str(base / Path(text).expanduser())
    except RuntimeError as error:  # `~name` of nobody here.
        raise SettingsError(f"{origin} names the folder `{text}`: {error}.") from error
