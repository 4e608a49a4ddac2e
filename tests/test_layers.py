"""The arrows between the layers, who may use which library, and what importing doltflow costs."""

import ast
import inspect
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

import doltflow

PACKAGE = Path(doltflow.__file__).parent
OPERATIONS = {
    "backtest",
    "bisect",
    "diff",
    "sweep",
    "audit",
    "replay",
    "cat",
    "demo",
    "log",
    "rows",
    "runs",
    "show",
    "trace",
    "versions",
    "impact",
    "status",
}
BELOW = {
    "passwords": set(),
    "errors": {"passwords"},
    "model": {"errors"},
    "lineage": {"model", "errors"},
    "lineage_columns": {"model", "errors"},
    "sql": {"model", "errors"},
    "sources.dolt": {"model", "errors", "passwords"},
    "sources.git": {"errors"},
    "sources.metaflow": {"sources.git", "sources.temporary", "model", "errors"},
    "sources.temporary": set(),
}
SOURCES = {"sources.dolt", "sources.git", "sources.metaflow", "sources.temporary"}
BELOW["workspace"] = {"lineage", "lineage_columns", "sql", "model", "errors"} | SOURCES
BELOW["compare"] = {"model", "errors"} | SOURCES
BELOW["causes"] = BELOW["workspace"] | {"workspace", "compare"}
BELOW["rerun"] = BELOW["workspace"] | {"workspace"}
BELOW["recorder"] = {"sql", "model", "errors"} | SOURCES
BELOW |= {operation: BELOW["workspace"] | {"workspace", "rerun", "compare", "causes"} for operation in OPERATIONS}
BELOW["render"] = BELOW["workspace"] | {"workspace", "rerun", "compare", "causes"} | OPERATIONS
BELOW["cli"] = BELOW["render"] | {"render"}
BELOW["__main__"] = {"cli"}
# The door of the package names what users get; doltflow itself takes only the version from it.
DOOR = "doltflow"
OF_THE_DOOR = {"diff", "recorder", "trace", "rows", "runs", "show", "impact", "status"}
# The flows that the demo copies are a user's code, and import what a user imports.
USER_CODE = "demo.flows"

USERS = {
    "typer": {"cli"},
    "rich": {"render"},
    "sqlglot": {"sql"},
    "networkx": {"lineage"},
    "doltcli": {"sources.dolt"},
    "pymysql": {"sources.dolt"},
    "connectorx": {"sources.dolt"},
    "pyarrow": {"compare", "sources.dolt", "recorder", "render"},
    "pandas": {"recorder"},
    "polars": {"recorder"},
    "metaflow": {"sources.metaflow", USER_CODE},
}
HEAVY = ["metaflow", "pandas", "pyarrow", "networkx", "sqlglot", "pymysql", "connectorx", "doltcli", "polars", "numpy"]


@dataclass(frozen=True)
class Import:
    """One imported name, of the form that `from a import b` and `import a.b` share."""

    module: str
    name: str
    line: int
    only_types: bool

    @property
    def library(self) -> str:
        return self.name.partition(".")[0]

    def __str__(self) -> str:
        return f"{self.module}, line {self.line}, imports {self.name}"


def modules() -> dict[str, Path]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = [DOOR, *path.relative_to(PACKAGE).with_suffix("").parts]
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports_of(module: str, path: Path) -> Iterator[Import]:
    """Every import of a module, those inside functions included."""
    tree = ast.parse(path.read_text())
    guarded = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            yield Import(module, name, node.lineno, id(node) in guarded)


def layer(name: str) -> str:
    """The layer that a module or a name in one belongs to."""
    parts = name.split(".")[1:]
    if not parts:
        return DOOR
    if parts[:2] == USER_CODE.split("."):
        return USER_CODE
    return ".".join(parts[:2]) if parts[0] == "sources" else parts[0]


@cache
def imports() -> list[Import]:
    return [found for module, path in modules().items() for found in imports_of(module, path)]


def allowed(found: Import) -> bool:
    user, used = layer(found.module), layer(found.name)
    if found.name == f"{DOOR}.__version__" or user == used:
        return True
    if user == USER_CODE:
        return found.name in {f"{DOOR}.{name}" for name in ("DoltConfig", "DoltDT")}
    if user == DOOR:
        return used in OF_THE_DOOR
    return used in BELOW[user]


def test_every_module_belongs_to_a_layer():
    known = {*BELOW, DOOR, USER_CODE, "sources"}
    assert {layer(module) for module in modules()} <= known


def test_a_module_imports_only_what_is_below_it():
    own = [found for found in imports() if found.library == DOOR]
    assert len(own) > 100
    assert [str(found) for found in own if not allowed(found)] == []


@pytest.mark.parametrize(
    ("module", "name", "is_allowed"),
    [
        ("doltflow.trace", "doltflow.workspace.gather", True),
        ("doltflow.trace", "doltflow.lineage.build", True),
        ("doltflow.trace", "doltflow.show.show", False),
        ("doltflow.trace", "doltflow.recorder.DoltDT", False),
        ("doltflow.trace", "doltflow.render.tree.trees", False),
        ("doltflow.render.tree", "doltflow.trace.TraceResult", True),
        ("doltflow.render.tree", "doltflow.cli.streams.note", False),
        ("doltflow.workspace.gather", "doltflow.trace.trace", False),
        ("doltflow.lineage", "doltflow.workspace.Workspace", False),
        ("doltflow.lineage", "doltflow.sources.dolt.Session", False),
        ("doltflow.sources.dolt.refs", "doltflow.sources.metaflow.store.Store", False),
        ("doltflow.sources.dolt.refs", "doltflow.sources.dolt.column.Column", True),
        ("doltflow.recorder.context", "doltflow.workspace.Workspace", False),
        ("doltflow.recorder.context", "doltflow.sql.analyse", True),
        ("doltflow.model.run", "doltflow.sql.analyse", False),
        ("doltflow.errors", "doltflow.model.run.Run", False),
        ("doltflow.demo.build", "doltflow.DoltDT", False),
        ("doltflow.demo.flows.hospital", "doltflow.DoltDT", True),
        ("doltflow.cli.commands", "doltflow.__version__", True),
    ],
)
def test_the_arrows_themselves(module: str, name: str, is_allowed: bool):
    assert allowed(Import(module, name, 1, False)) is is_allowed


def test_each_library_has_one_user():
    used = [found for found in imports() if found.library in USERS and not found.only_types]
    assert {found.library for found in used} == set(USERS)
    assert [str(found) for found in used if layer(found.module) not in USERS[found.library]] == []


def test_no_other_library_is_used():
    known = {*USERS, DOOR, *sys.stdlib_module_names}
    assert [str(found) for found in imports() if found.library not in known] == []


def test_nothing_is_imported_by_a_name_made_at_run_time():
    # Such an import would be seen by none of the tests here; the package's door does it on purpose.
    users = {found.module for found in imports() if found.name in ("importlib.import_module", "importlib.__import__")}
    assert users == {DOOR}
    assert all("__import__(" not in path.read_text() for path in modules().values())


ALONE = """
import gc, os, sys, traceback
libraries, modules = sys.argv[1].split(), sys.argv[2:]
for library in libraries:
    __import__(library)
gc.freeze()
gc.disable()
failed = []
for module in modules:
    # A fork that has imported nothing of doltflow yet is as good as a new interpreter, and starts at once.
    child = os.fork()
    if child == 0:
        try:
            __import__(module)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        failed.append(module)
print(*failed)
"""


def python(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=os.environ.copy())


@pytest.mark.long
def test_every_module_can_be_imported_alone_and_without_a_warning():
    # See pyproject.toml: a warning at Metaflow's own import.
    old_name = ("-W", "ignore:The _yaml extension module:DeprecationWarning")
    done = python("-W", "error", *old_name, "-c", ALONE, " ".join(USERS), *modules())
    assert done.stdout.split() == [], done.stderr
    assert done.stderr == ""


@pytest.mark.parametrize("module", ["doltflow", "doltflow.cli"])
def test_what_a_command_line_starts_with_loads_nothing_heavy(module: str):
    done = python("-c", f"import sys, {module}; print(*(name for name in {HEAVY} if name in sys.modules))")
    assert done.stdout.split() == [], done.stderr
    assert done.returncode == 0


@pytest.mark.parametrize("name", sorted(doltflow.__all__))
def test_what_the_package_exports_is_there(name: str):
    assert getattr(doltflow, name) is not None


@pytest.mark.parametrize("name", sorted(OPERATIONS - {"rows"}))
def test_the_function_of_a_commands_name_is_in_the_module_of_that_name(name: str):
    function = getattr(import_module(f"doltflow.{name}"), name)
    assert inspect.signature(function).return_annotation.__dataclass_params__.frozen


def test_what_the_package_does_not_export_is_missing_as_in_any_module():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = doltflow.nonsense
