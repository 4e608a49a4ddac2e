"""The local modules that a flow's code names in its imports, found without running it.

A step runs in a process of its own, and one that opens no `DoltDT` keeps no sources: what only that one imports is
found here.
"""

import ast
import os
import sys
import sysconfig
import warnings
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

LARGEST = 2_000_000  # bytes; what is larger is no source that somebody wrote
MOST_OUTSIDE = 200  # files; more are a library that somebody has in a folder of its own
_FOREIGN = {"site-packages", "dist-packages", ".metaflow", ".mf_code"}
_LIBRARIES = {"doltflow", "metaflow", "metaflow_extensions"}
_LATE = {"import_module", "__import__"}
_Name = tuple[str, ...]


def is_installed(path: Path) -> bool:
    """Whether a file or folder is of an installation, or one that Metaflow made."""
    return bool(set(path.parts) & _FOREIGN) or not _installations().isdisjoint((path, *path.parents))


def is_beside(path: Path, script: Path) -> bool:
    """Whether a module is in a flow's folder, or below it, and is not installed there."""
    home = script.parent
    return path.is_relative_to(home) and not set(path.relative_to(home).parts) & _FOREIGN


def is_library(name: str) -> bool:
    """Whether a module, by its dotted name, is Metaflow's or doltflow's."""
    return name.partition(".")[0] in _LIBRARIES


@cache
def _installations() -> frozenset[Path]:
    return frozenset(Path(path) for path in (sys.prefix, sys.base_prefix, *sysconfig.get_paths().values()))


def search_folders() -> tuple[Path, ...]:
    """The folders in which this process looks for modules, without those of installations."""
    folders = (Path(os.path.normpath(Path(entry).absolute())) for entry in sys.path if entry)
    return tuple(dict.fromkeys(folder for folder in folders if not is_installed(folder) and folder.is_dir()))


@cache
def followed(script: Path, folders: tuple[Path, ...] = ()) -> frozenset[Path]:
    """A flow's file and the local modules that it imports, and that those import, wherever the statements stand.

    What cannot be read or has an error in it is followed no further.

    Args:
        script: The flow's file.
        folders: Where to look for modules besides its folder.
    """
    places = tuple(dict.fromkeys((script.parent, *folders)))
    found, outside, waiting = {script}, set[Path](), [script]
    while waiting and len(outside) <= MOST_OUTSIDE:
        path = waiting.pop()
        for level, name in _imported(path):
            base = (path.parents[min(level, len(path.parents)) - 1],) if level else places
            for module in _modules(name, base):
                if module in found or module in outside:
                    continue
                if is_beside(module, script):
                    found.add(module)
                elif any(module.is_relative_to(folder) for folder in places) and not is_installed(module):
                    outside.add(module)
                else:
                    continue
                waiting.append(module)
    return frozenset(found | outside if len(outside) <= MOST_OUTSIDE else found)


def _modules(name: _Name, folders: Sequence[Path]) -> list[Path]:
    """The files that run when a dotted name is imported, or as much of it as is a module."""
    files: list[Path] = []
    for part in name:
        for folder in folders:
            package, module = folder / part / "__init__.py", folder / f"{part}.py"
            if package.is_file():
                files.append(package)
                folders = (package.parent,)
                break
            if module.is_file():
                return [*files, module]
        else:  # A package need not have an `__init__.py`.
            folders = [folder / part for folder in folders if (folder / part).is_dir()]
    return files


@cache
def _imported(path: Path) -> tuple[tuple[int, _Name], ...]:
    """What a file imports: dotted names, each with the number of dots before it."""
    try:
        content = path.read_bytes() if path.stat().st_size <= LARGEST else b""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(content)
        nodes = ast.walk(tree) if any(name.encode() in content for name in _LATE) else _statements(tree)
        names = dict.fromkeys(name for node in nodes for name in _names(node))
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    return tuple((level, name) for level, name in names if level or not is_library(name[0]))


def _statements(tree: ast.AST) -> Iterator[ast.AST]:
    """All statements: imports are no parts of expressions, which are most of a tree."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        for field in ("body", "orelse", "finalbody", "handlers", "cases"):
            inner = getattr(node, field, ())
            waiting += inner if isinstance(inner, list) else ()


def _names(node: ast.AST) -> Iterator[tuple[int, _Name]]:
    if isinstance(node, ast.Import):
        yield from ((0, tuple(alias.name.split("."))) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        package = tuple(node.module.split(".")) if node.module else ()
        yield from ((node.level, (*package, alias.name)) for alias in node.names)
    elif isinstance(node, ast.Call) and node.args:
        called, first = node.func, node.args[0]
        name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", None)
        # A name that is computed cannot be followed.
        if name in _LATE and isinstance(first, ast.Constant) and isinstance(first.value, str):
            text = first.value.lstrip(".")
            if text and text == first.value:
                yield 0, tuple(text.split("."))
