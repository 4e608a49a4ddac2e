"""The run's artifact `dolt`: the original integration's format, with more beside it.

`actions` (the last access per key) and `configs` have exactly the original's fields, so that code written for it can
read them. `accesses` lists every access with all that is known, `tasks` the code and environment of each task.
"""

import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import PurePath
from typing import Any, get_args

from doltflow.errors import RecordError
from doltflow.model.access import Access, Columns, Derived, Kind, Mode, TaskRecord

VERSION = 1
_ACTION = ("key", "config_id", "pathspec", "table_name", "kind", "query", "commit", "artifact_name", "timestamp")


@dataclass(frozen=True, slots=True)
class DatabaseConfig:
    """An entry of `configs`: how a database was opened.

    Attributes:
        id: Its key in `configs`.
        database: As the flow gave it, usually a path.
        branch: The branch; None where the flow gave none.
        commit: The commit that the reads were pinned to.
        dolthub_remote, push_on_commit: As the flow gave them.
    """

    id: str
    database: str
    branch: str | None = None
    commit: str | None = None
    dolthub_remote: bool = False
    push_on_commit: bool = False

    @property
    def name(self) -> str:
        """The name of the database, as far as the path tells it."""
        return database_name(self.database)


@dataclass(frozen=True, slots=True)
class Record:
    """A decoded artifact: what one task knows of itself and of the tasks before it."""

    accesses: tuple[Access, ...] = ()
    configs: tuple[DatabaseConfig, ...] = ()
    tasks: tuple[TaskRecord, ...] = ()

    def config(self, config_id: str | None) -> DatabaseConfig | None:
        """The configuration with that id."""
        return next((config for config in self.configs if config.id == config_id), None)


def database_name(database: str) -> str:
    """The name of the database at a path: its last component."""
    return PurePath(os.path.normpath(database)).name


def merge_records(records: Iterable[Record]) -> Record:
    """The union of records: each access, configuration and task once, accesses in order of time."""
    accesses: dict[Access, None] = {}
    configs: dict[str, DatabaseConfig] = {}
    tasks: dict[str, TaskRecord] = {}
    for record in records:
        accesses.update(dict.fromkeys(record.accesses))
        configs.update({config.id: config for config in record.configs})
        for task in record.tasks:
            known = tasks.get(task.pathspec)
            if known is None or known.attempt <= task.attempt:
                tasks[task.pathspec] = task
    ordered = sorted(accesses, key=lambda access: access.timestamp or 0.0)
    return Record(tuple(ordered), tuple(configs.values()), tuple(tasks.values()))


def encode_artifact(record: Record) -> dict[str, Any]:
    """The artifact: plain data, safe to pickle and to turn into JSON."""
    last = {access.key: access for access in record.accesses}
    return {
        "version": VERSION,
        "actions": {key: {name: getattr(access, name) for name in _ACTION} for key, access in last.items()},
        "configs": {config.id: asdict(config) for config in record.configs},
        "accesses": [_encode_access(access) for access in record.accesses],
        "tasks": {task.pathspec: asdict(task) for task in record.tasks},
    }


def _encode_access(access: Access) -> dict[str, Any]:
    data = asdict(access)
    data["tables"] = None if access.tables is None else list(access.tables)
    data["columns"] = _encode_names(access.columns)
    data["whole"] = None if access.whole is None else list(access.whole)
    data["derived"] = None if access.derived is None else _encode_names(access.derived)
    return data


def _encode_names(items: Columns | Derived) -> dict[str, list[str] | None]:
    return {name: None if names is None else list(names) for name, names in items}


def decode_artifact(artifact: object, *, tables_of: Callable[[str], tuple[str, ...] | None]) -> Record:
    """The record that an artifact holds, doltflow's or the original integration's.

    Args:
        artifact: The value of the artifact `dolt`.
        tables_of: Gives the tables that a query reads, or None; asked where the record does not tell.

    Raises:
        RecordError: It is not such an artifact.
    """
    if not isinstance(artifact, Mapping):
        raise RecordError(
            f"The artifact `dolt` is a {type(artifact).__name__}, not a record of Dolt accesses.",
            "Does the flow use the name `dolt` for something else?",
        )
    try:
        configs = {key: _decode_config(key, value) for key, value in _mapping(artifact["configs"]).items()}
        if "accesses" in artifact:
            accesses = [_decode_access(_mapping(value)) for value in artifact["accesses"]]
        else:
            actions = _mapping(artifact["actions"]).values()
            accesses = [_decode_action(_mapping(value), configs, tables_of) for value in actions]
        tasks = [_decode_task(_mapping(value)) for value in _mapping(artifact.get("tasks", {})).values()]
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise RecordError(
            f"The artifact `dolt` cannot be read as a record of Dolt accesses: {type(error).__name__}: {error}.",
            "It may have been written by another program, or cut off.",
        ) from error
    return Record(tuple(accesses), tuple(configs.values()), tuple(tasks))


def _mapping(value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError(f"a {type(value).__name__} where a mapping is expected")
    return value


def _decode_config(key: object, value: object) -> DatabaseConfig:
    data = _fields(DatabaseConfig, {**_mapping(value), "id": key})
    _check(data, {"id": str, "database": str})
    _check(data, {"branch": str, "commit": str}, optional=True)
    return DatabaseConfig(**data)


def _decode_task(value: Mapping[str, Any]) -> TaskRecord:
    data = _fields(TaskRecord, value)
    _check(data, {"pathspec": str, "attempt": int})
    texts = dict.fromkeys(("script", "git_commit", "python", "metaflow", "doltflow", "dolt", "folder"), str)
    _check(data, {**texts, "git_dirty": bool}, optional=True)
    for name, kind in (("foreach", int), ("packages", str), ("sources", str)):
        data[name] = tuple(_pair(item, kind) for item in data.get(name) or ())
    return TaskRecord(**data)


def _pair(value: object, kind: type) -> tuple[str, Any]:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise TypeError("no pair")
    _check({"0": value[0], "1": value[1]}, {"0": str, "1": kind})
    return (value[0], value[1])


def _decode_access(value: Mapping[str, Any]) -> Access:
    data = _fields(Access, value)
    data["tables"] = _names(data["tables"])
    data["columns"] = _decode_names(data.get("columns") or {})
    data["whole"] = _names(data.get("whole"))
    data["derived"] = None if data.get("derived") is None else _decode_names(data["derived"])
    _check(data, {"key": str, "database": str, "pathspec": str, "attempt": int})
    texts = ("branch", "commit", "query", "table_name", "artifact_name", "config_id", "where", "folder")
    _check(data, {**dict.fromkeys(texts, str), "rows": int, "changed": bool}, optional=True)
    _check_choice(data["kind"], get_args(Kind))
    _check_choice(data.get("mode"), (None, *get_args(Mode)))
    data["timestamp"] = _moment(data.get("timestamp"))
    return Access(**data)


def _decode_action(
    value: Mapping[str, Any],
    configs: Mapping[str, DatabaseConfig],
    tables_of: Callable[[str], tuple[str, ...] | None],
) -> Access:
    """An action of the original integration, which keeps less: the rest is told by its configuration."""
    config = configs[value["config_id"]]
    table, query, commit = value.get("table_name"), value.get("query"), value.get("commit")
    tables: tuple[object, ...] | None = None if table is None else (table,)
    if table is None and query is not None:
        tables = tables_of(str(query))
    return _decode_access(
        {name: value[name] for name in _ACTION if name in value}
        | {
            "database": config.name,
            "branch": config.branch,
            "tables": tables,
            "commit": commit if isinstance(commit, str) else None,  # The original's default is a type.
            "attempt": 0,
        }
    )


def _fields(cls: type, value: Mapping[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(cls)}
    return {name: item for name, item in value.items() if name in names}


def _check(data: Mapping[str, Any], kinds: Mapping[str, type], *, optional: bool = False) -> None:
    for name, kind in kinds.items():
        item = data.get(name) if optional else data[name]
        if (item is None and optional) or (isinstance(item, kind) and not (kind is int and isinstance(item, bool))):
            continue
        raise TypeError(f"`{name}` is a {type(item).__name__}")


def _check_choice(value: object, known: Iterable[object]) -> None:
    if not (value is None or isinstance(value, str)) or value not in known:
        raise ValueError(f"{value!r} is none of {', '.join(map(repr, known))}")


def _names(value: object) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
        raise TypeError("names that are not a list of texts")
    return tuple(value)


def _decode_names(value: object) -> tuple[tuple[str, tuple[str, ...] | None], ...]:
    items = _mapping(value)
    _names(list(items))
    return tuple((name, _names(names)) for name, names in items.items())


def _moment(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError(f"`timestamp` is {value!r}")
    return float(value)
