"""Files that parameters included: what they held, where Metaflow keeps that beside the run's own data."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from doltflow.sources.metaflow.plain import Included


def content_of(name: str, value: Any, root: str, known: dict[str, Any]) -> Any:
    """A parameter's value; for a file that it included what the file held, or its description where that is gone.

    Args:
        name: The parameter.
        value: As it was stored.
        root: Of the datastore that the run is in: a description may name no file anywhere else.
        known: The contents that were read before, by address; it is added to.
    """
    if not isinstance(value, Included):
        return value
    from metaflow.includefile import IncludedFile

    url = _place(value.descriptor, root)
    if url is None:
        return value.descriptor
    try:
        if url not in known:
            known[url] = IncludedFile({**value.descriptor, "url": url}).decode(name)
        return known[url]
    except Exception:  # Whatever the storage that held it raises.
        return value.descriptor


def _place(descriptor: Mapping[Any, Any], root: str) -> str | None:
    """Where a file is that Metaflow itself put into the datastore of the run; None where it is anywhere else."""
    url = descriptor.get("url")
    is_uploaded = descriptor.get("type") == "uploader-v1" or descriptor.get("sub-type") == "uploaded"
    if not is_uploaded or not isinstance(url, str):
        return None
    scheme, _, path = url.partition("://")
    if scheme == "local":
        # The store may have been moved since.
        file = (Path(root) / path.rpartition(f"/{Path(root).name}/")[2]).resolve()
        return f"local://{file}" if file.is_relative_to(Path(root).resolve()) else None
    from metaflow.metaflow_config import DATATOOLS_S3ROOT

    roots = [str(one).rstrip("/") + "/" for one in (root, DATATOOLS_S3ROOT) if one]
    return url if ".." not in path.split("/") and any(url.startswith(one) for one in roots) else None
