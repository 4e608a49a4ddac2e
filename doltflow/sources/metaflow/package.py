"""The code package of a run: what Metaflow sends to the machines that run a flow's steps, and keeps."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from doltflow.errors import FlowFileError
from doltflow.model.pathspec import Pathspec
from doltflow.sources.metaflow.store import Store

_NOTE = "code-package"
# A package without a note on its format is of the first one.
_FIRST = '{"version": 0, "archive_format": "tgz", "mfcontent_version": 0}'
_NOT_OF_THE_FLOW = {"doltflow", "metaflow", "metaflow_extensions"}


@dataclass(frozen=True, slots=True)
class CodePackage:
    """The code of a run, without Metaflow's own.

    Attributes:
        script: The flow's file.
        files: Contents by path, relative to the flow's file.
        key: Its own key in Metaflow's store.
    """

    script: str
    files: Mapping[str, bytes]
    key: str


def code_package(store: Store, run: Pathspec) -> CodePackage | None:
    """The code package of a run; None where it has none.

    Raises:
        FlowFileError: It is no longer in the store, or cannot be read.
    """
    noted = next(iter(store.notes(run, _NOTE)), None)
    if noted is None:
        return None
    try:
        package = json.loads(noted)
        key, metadata = str(package["sha"]), str(package.get("metadata") or _FIRST)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FlowFileError(f"What Metaflow noted of the code package of `{run}` cannot be read: {noted}.") from error
    blob = store.blobs(run, [key]).get(key)
    if blob is None:
        raise FlowFileError(f"The code package of `{run}` is no longer in Metaflow's store.")
    try:
        return _unpacked(blob, metadata, key)
    except Exception as error:  # Whatever an archive that is none makes Metaflow raise.
        raise FlowFileError(f"The code package of `{run}` cannot be read: {type(error).__name__}: {error}.") from error


def _unpacked(blob: bytes, metadata: str, key: str) -> CodePackage:
    from metaflow.package import MetaflowPackage
    from metaflow.packaging_sys import MFCONTENT_MARKER, ContentType, MetaflowCodeContent

    script = str(MetaflowPackage.cls_get_info(metadata, BytesIO(blob))["script"])
    backend = MetaflowPackage.get_backend(metadata)
    with backend.cls_open(BytesIO(blob)) as archive:
        of_user = ContentType.USER_CONTENT.value
        members = MetaflowCodeContent.get_archive_content_members(archive, of_user, backend)
        names = {name: name for name in (str(backend.cls_member_name(member)) for member in members)}
        for name in _modules(backend.cls_get_member(archive, MFCONTENT_MARKER)):
            names.setdefault(name.partition("/")[2], name)
        found = {path: backend.cls_get_member(archive, name) for path, name in names.items()}
    files = {path: bytes(content) for path, content in found.items() if content is not None}
    if script not in files:
        raise ValueError(f"it has no {script}")
    return CodePackage(script, files, key)


def _modules(marker: Any) -> list[str]:
    """The files of modules that are not in the flow's folder and were packed with it."""
    listed = json.loads(marker).get("module_files", ()) if marker else ()
    return [str(name) for name in listed if str(name).split("/")[1:2] and name.split("/")[1] not in _NOT_OF_THE_FLOW]
