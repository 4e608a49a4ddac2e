"""Who Dolt says commits."""

import json
import os
from collections.abc import Mapping
from pathlib import Path


def configured_author(folder: Path | None = None) -> str | None:
    """`Name <mail>` as Dolt is configured for the database of a folder, else for the user; None where it is not."""
    settings = _settings(Path(os.environ.get("DOLT_ROOT_PATH") or Path.home()) / ".dolt" / "config_global.json")
    settings |= _settings(folder / ".dolt" / "config.json") if folder is not None else {}
    name, email = settings.get("user.name"), settings.get("user.email")
    return format_author(name, email or "") if name else None


def format_author(name: str, email: str) -> str:
    """`Name <mail>`, without what would break that form."""
    strip = str.maketrans("<>\r\n", "    ")
    return f"{name.translate(strip).strip()} <{email.translate(strip).strip()}>"


def _settings(file: Path) -> dict[str, str]:
    try:
        data = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return {str(k): str(v) for k, v in data.items()} if isinstance(data, Mapping) else {}
