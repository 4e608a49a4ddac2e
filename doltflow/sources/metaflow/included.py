"""Files that parameters included: what they held, where Metaflow keeps that beside the run's own data."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from doltflow.sources.metaflow.plain import Included


def content_of(name: str, value: Any, root: str) -> Any:
    """A parameter's value; for a file that it included what the file held, or its description where that is gone.

    Args:
        name: The parameter.
        value: As it was stored.
        root: Of the datastore that the run is in: a description may name no file anywhere else.
    """
    if not isinstance(value, Included):
        return value
    from metaflow.includefile import IncludedFile

    if not _is_kept(value.descriptor, root):
        return value.descriptor
    try:
        return IncludedFile(value.descriptor).decode(name)
    except Exception:  # Whatever the storage that held it raises.
        return value.descriptor


def _is_kept(descriptor: Mapping[Any, Any], root: str) -> bool:
    """Whether Metaflow put the file there itself, into the datastore of the run."""
    url = descriptor.get("url")
    is_uploaded = descriptor.get("type") == "uploader-v1" or descriptor.get("sub-type") == "uploaded"
    if not is_uploaded or not isinstance(url, str):
        return False
    scheme, _, path = url.partition("://")
    if scheme == "local":
        return Path(path).resolve().is_relative_to(Path(root).resolve())
    from metaflow.metaflow_config import DATATOOLS_S3ROOT

    roots = [str(one).rstrip("/") + "/" for one in (root, DATATOOLS_S3ROOT) if one]
    return ".." not in path.split("/") and any(url.startswith(one) for one in roots)
