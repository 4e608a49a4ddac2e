"""The code of a running flow: its file and the local modules that it imports, kept in Metaflow's store."""

import hashlib
import os
import sys
from pathlib import Path
from typing import Any

from doltflow.sources.metaflow.imports import (
    LARGEST,
    MOST_OUTSIDE,
    followed,
    is_beside,
    is_installed,
    is_library,
    search_folders,
)

_PACKAGES = ("numpy", "pandas", "polars", "pyarrow", "scipy", "sklearn")


def keep_sources(flow: Any, script: Path) -> tuple[tuple[str, str], ...]:
    """Keeps a flow's file and its local modules: those that are not of an installation.

    They are the modules that are imported by now, and those that the files name in their imports: another step may
    import what this one does not, in a process in which nobody looks.

    The store keeps equal content once, however many runs it belongs to.

    Args:
        flow: The flow's object, in a running task.
        script: The flow's file.

    Returns:
        For each file its path relative to the flow's file's folder, and the key of its content in the store; empty
        where the store cannot be written.
    """
    store = getattr(getattr(flow, "_datastore", None), "_ca_store", None)
    if store is None:
        return ()
    contents: dict[str, bytes] = {}
    for path in _files(script):
        try:
            content = path.read_bytes()
        except OSError:  # Gone meanwhile, or not to be read: then the record says what there is.
            continue
        if len(content) <= LARGEST:
            contents[Path(os.path.relpath(path, script.parent)).as_posix()] = content
    return tuple(sorted(zip(contents, _keep(store, list(contents.values())), strict=True)))


def _files(script: Path) -> list[Path]:
    found, outside = {script}, set[Path]()
    for module in list(sys.modules.values()):
        name = getattr(module, "__file__", None)
        if not isinstance(name, str) or not name.endswith(".py"):
            continue
        path = Path(os.path.normpath(Path(name).absolute()))
        if path.is_relative_to(script.parent):
            if is_beside(path, script):
                found.add(path)
        elif not is_library(str(getattr(module, "__name__", ""))) and not is_installed(path):
            outside.add(path)
    if len(outside) > MOST_OUTSIDE:
        outside.clear()
    return sorted(found | outside | followed(script, search_folders()))


_keys: dict[bytes, str] = {}


def _keep(store: Any, contents: list[bytes]) -> list[str]:
    """The keys of contents, those that are new to this process saved all together: a store may be far away."""
    digests = [hashlib.sha256(content).digest() for content in contents]
    new = {digest: content for digest, content in zip(digests, contents, strict=True) if digest not in _keys}
    if new:
        saved = store.save_blobs(iter(new.values()), len_hint=len(new))
        _keys.update({digest: str(one.key) for digest, one in zip(new, saved, strict=True)})
    return [_keys[digest] for digest in digests]


def foreach_path(flow: Any) -> tuple[tuple[str, int], ...]:
    """In which foreaches a task stands, the outermost first: the step that is done for each, and the index."""
    stack = getattr(flow, "_foreach_stack", None) or ()
    return tuple((str(frame.step), int(frame.index)) for frame in stack)


def frame_packages() -> tuple[tuple[str, str], ...]:
    """The versions of the packages that results depend on, of those that are imported by now."""
    found = ((name, getattr(sys.modules.get(name), "__version__", None)) for name in _PACKAGES)
    return tuple((name, str(version)) for name, version in found if version is not None)
