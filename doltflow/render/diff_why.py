"""Why the outputs of two runs differ, and what each cause explains, for people."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.text import Text

from doltflow.causes import KINDS, WORDS
from doltflow.render.sections import hanging, indented, section
from doltflow.render.text import count, first_line, moment, safe, short, value

if TYPE_CHECKING:
    from doltflow.causes import Cause, Causes
    from doltflow.diff import DiffResult, Explained


def why_text(causes: "Sequence[Causes]") -> Iterator[RenderableType]:
    """What is not the same, with who changed it, and what is; for each two runs."""
    for found in causes:
        title = "Why" if len(causes) == 1 else f"Why: {safe(found.before)} → {safe(found.after)}"
        parts = list(_causes(found))
        if parts:
            yield from section(title, parts)


def _causes(found: "Causes") -> Iterator[RenderableType]:
    for place, cause in enumerate(found.causes):
        yield hanging(Text.assemble((f"{WORDS[cause.kind].capitalize()}: ", "bold"), _cause(cause)), 2)
        for file in cause.files:
            lines = "" if file.added is None else f" | +{file.added} −{file.removed}"
            yield from indented(f"{safe(file.path)}{lines}", columns=4)
        following = found.causes[place + 1 : place + 2]
        if following and cause.commits and following[0].commits == cause.commits:
            continue  # What several tables are from is told once, below the last of them.
        for commit in cause.commits:
            by = str(commit.run.pathspec) if commit.run is not None else commit.author
            message = f" “{first_line(commit.message)}”" if commit.run is None and commit.message else ""
            line = f"{short(commit.hash)}  {moment(commit.date)}  {safe(by)}{message}"
            yield from indented(line, columns=4)
        if cause.more:
            yield from indented(f"and {count(cause.more, 'commit')} before", columns=4)
    for kind, why in found.unknown:
        yield hanging(Text.assemble((f"{WORDS[kind].capitalize()}: ", "bold"), safe(why)), 2)
    same = ", ".join(WORDS[kind] for kind in found.same)
    if same and found.causes:
        yield from indented(f"The same: {same}", style="dim")


def _cause(cause: "Cause") -> str:
    match cause.kind:
        case "data":
            return _data(cause)
        case "code":
            return f"{cause.name} {_ends(cause, short)}"
        case _:
            return f"{safe(cause.name)} {_ends(cause, value)}"


def _ends(cause: "Cause", shown: Any) -> str:
    if cause.only is not None:
        side, end = ("first", cause.before) if cause.only == "before" else ("second", cause.after)
        return f"only in the {side}: {shown(end)}"
    return f"{shown(cause.before)} → {shown(cause.after)}"


def _data(cause: "Cause") -> str:
    numbers = ((cause.added, "added"), (cause.removed, "removed"), (cause.modified, "modified"))
    rows = ", ".join(f"{count(number, 'row')} {verb}" for number, verb in numbers if number)
    told = [rows, "its schema changed" if cause.schema_changed else ""]
    said = ", ".join(part for part in told if part)
    return f"{safe(cause.name)} {_ends(cause, short)}{f': {said}' if said else ''}"


def explained_text(result: "DiffResult") -> Iterator[RenderableType]:
    """What each cause explains by itself, and what none does."""
    told = ""
    for one in result.explained:
        name = f"{safe(one.database)}/{safe(one.table)}"
        if one.run != told:
            told = one.run
            what = f"with the {WORDS[one.kind]} of {safe(one.after)}" if one.kind is not None else "as it was"
            yield hanging(Text(f"{safe(one.before)} again, {what}: {safe(one.run)}"), 2)
        if one.kind is None:
            said = f"{name}: {count(one.apart, 'row')} other than before"
            said += ", so that the flow is not deterministic" if one.apart else ", so that it cannot be told why"
        else:
            share = f" ({one.explained / one.rows:.1%})" if one.rows else ""
            said = f"{name}: the {WORDS[one.kind]} alone explain{'' if one.kind == 'parameter' else 's'} "
            said += f"{one.explained:,} of {count(one.rows, 'row')}{share}"
            if one.left:
                said += f"; {count(one.left, 'row')} still differ{'s' if one.left == 1 else ''}"
        yield from indented(said, columns=4)
        yield from indented(*map(safe, one.unhonoured), columns=4, style="yellow")
    for database, table, rows in result.unexplained:
        tried = [one for one in result.explained if (one.database, one.table) == (database, table)]
        if said := _unexplained(result, tried):
            yield from indented(f"{safe(database)}/{safe(table)}: {count(rows, 'row')} that {said}")


def _unexplained(result: "DiffResult", tried: "Sequence[Explained]") -> str:
    """What is said of rows that nothing explains by itself; empty where nothing was taken from the other run."""
    kinds = {one.kind for one in tried if one.kind is not None}
    if len(kinds) > 1:
        return "nothing explains by itself: it takes several together, or the flow is not deterministic"
    for kind in kinds:
        said = f"the {WORDS[kind]} alone {'do' if kind == 'parameter' else 'does'} not explain"
        runs = {(one.before, one.after) for one in tried}
        same = [found.same for found in result.causes if (found.before, found.after) in runs]
        is_all = all({kind, *of} == {*KINDS} for of in same) and not any(one.unhonoured for one in tried)
        return f"{said}, so that the flow is not deterministic" if is_all else said
    return ""
