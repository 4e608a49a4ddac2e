"""Why outputs differ, as one sentence."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from doltflow.causes.cause import KINDS, WORDS, Cause, Causes, Kind

_MOST = 3  # of one kind; the others are counted
_LONG = 40
_SHORT = 8
_OTHERS: dict[Kind, str] = {"data": "table", "code": "flow", "parameter": "parameter", "environment": "package"}


def summary(found: Sequence[Causes], is_different: bool) -> str:
    """One sentence on top of an answer, without a full stop.

    That all is the same is said only where it is known of each kind and of all pairs.

    Args:
        found: What is known of each pair of runs that made the outputs; empty where nobody knows of a run.
        is_different: Whether the outputs differ.
    """
    causes = {kind: [(cause, one) for one in found for cause in one.causes if cause.kind == kind] for kind in KINDS}
    differing = [kind for kind in KINDS if causes[kind]]
    if not is_different:
        return f"identical, although {_kinds(differing, 'differ')}" if differing else "identical"
    of_runs = [one for one in found if not one.by_hand]
    same = [kind for kind in KINDS if of_runs and all(kind in one.same for one in of_runs)]
    asked = KINDS if of_runs or not found else ()
    untold = [kind for kind in asked if kind not in same and kind not in differing]
    if len(same) == len(KINDS):
        return f"not deterministic: {_kinds(same, 'be')} the same"
    names = Counter(table for table, _ in {(cause.table, cause.name) for cause, _ in causes["data"]})
    phrases = [phrase for kind in KINDS for phrase in _phrases(kind, causes[kind], names)]
    parts = [f"differs because {_joined(phrases)}" if phrases else "differs"]
    parts += [f"{_kinds(same, 'be')} the same"] if same else []
    parts += [f"whether {_kinds(untold, 'be')} the same cannot be told"] if untold else []
    return "; ".join(parts)


def _kinds(kinds: Sequence[Kind], verb: str) -> str:
    """`data is`, `code and parameters are`; `data differs`."""
    is_one = len(kinds) == 1 and kinds[0] != "parameter"
    verbs = {"be": ("is", "are"), "differ": ("differs", "differ")}[verb]
    return f"{_joined([WORDS[kind] for kind in kinds])} {verbs[0] if is_one else verbs[1]}"


def _phrases(kind: Kind, causes: Iterable[tuple[Cause, Causes]], names: Counter[str | None]) -> list[str]:
    say = {"data": _data, "code": _code, "parameter": _parameter, "environment": _environment}[kind]
    phrases = list(dict.fromkeys(say(cause, runs, names) for cause, runs in causes))
    left = len(phrases) - _MOST
    if left < 2:  # To count a single one says less than to name it.
        return phrases
    return [*phrases[:_MOST], f"{_count(left, f'more {_OTHERS[kind]}')} changed"]


# Data


def _data(cause: Cause, runs: Causes, names: Counter[str | None]) -> str:
    if cause.only is not None and runs.by_hand:
        return f"`{cause.table}` is only in `{_side(cause, runs)}`"
    if cause.only is not None:
        did = "found" if cause.kept else "read"
        return f"only `{_side(cause, runs)}` {did} `{cause.name}` (at {_short(cause.before or cause.after)})"
    name = f"`{cause.table if names[cause.table] == 1 else cause.name}`"
    if cause.kept:
        name += ", which was not replaced,"
    done = [
        f"gained {_count(cause.added, 'row')}" if cause.added else "",
        f"lost {_count(cause.removed, 'row')}" if cause.removed else "",
        f"had {_count(cause.modified, 'row')} modified" if cause.modified else "",
        "changed its schema" if cause.schema_changed else "",
    ]
    return f"{name} {_joined([part for part in done if part]) or 'changed'}{_who(cause)}"


def _who(cause: Cause) -> str:
    """Who made the difference, in brackets; of versions that do not follow each other, how they stand to each other."""
    made = ""
    if cause.commits:
        number, newest = len(cause.commits) + cause.more, cause.commits[0]
        by = f"the run {newest.run.pathspec.run}" if newest.run is not None else newest.author
        last = f"{_short(newest.hash)} by {by}"
        made = f"commit {last}" if number == 1 else f"{number:,} commits, the newest {last}"
    how = {"backward": "an older version", "apart": "a version from another branch"}.get(cause.direction or "", "")
    if how and made:
        made = f"{how}, {'without' if cause.direction == 'backward' else 'apart by'} {made}"
    said = made or how
    return f" ({said})" if said else ""


# Code, parameters, environment


def _code(cause: Cause, runs: Causes, names: Counter[str | None]) -> str:
    if not cause.files:
        return f"the {cause.name} of the code is {_short(cause.after)} and was {_short(cause.before)}"
    which = f"`{cause.files[0].path}`" if len(cause.files) == 1 else _count(len(cause.files), "file")
    lines = [(file.added, file.removed) for file in cause.files]
    added = sum(number for number, _ in lines if number is not None)
    removed = sum(number for _, number in lines if number is not None)
    is_counted = all(number is not None for pair in lines for number in pair)
    return f"the code changed ({which}{f': +{added:,} −{removed:,} lines' if is_counted else ''})"


def _parameter(cause: Cause, runs: Causes, names: Counter[str | None]) -> str:
    if cause.only is not None:
        value = cause.before if cause.only == "before" else cause.after
        return f"only `{_side(cause, runs)}` has the parameter `{cause.name}` ({_value(value)})"
    return f"the parameter `{cause.name}` is {_value(cause.after)} and was {_value(cause.before)}"


def _environment(cause: Cause, runs: Causes, names: Counter[str | None]) -> str:
    if cause.only is not None:
        return f"only `{_side(cause, runs)}` imported {cause.name} {cause.before or cause.after}"
    return f"{cause.name} is {cause.after} and was {cause.before}"


# Words


def _side(cause: Cause, runs: Causes) -> str:
    return runs.before if cause.only == "before" else runs.after


def _joined(parts: Sequence[str]) -> str:
    return " and ".join(part for part in (", ".join(parts[:-1]), *parts[-1:]) if part)


def _count(number: int | None, what: str) -> str:
    return f"{number or 0:,} {what}{'' if number == 1 else 's'}"


def _short(hash_: Any) -> str:
    return str(hash_)[:_SHORT]


def _value(value: Any) -> str:
    """A value on part of a line; any object may be one."""
    try:
        text = " ".join(repr(value).split())
    except Exception:  # Whatever a foreign class raises.
        text = f"a {type(value).__name__}"
    return text if len(text) <= _LONG else f"{text[: _LONG - 1]}…"
