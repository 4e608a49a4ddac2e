"""Runs as text: a few lines for each, so that nothing is cut on a narrow terminal."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from doltflow.model.access import Access, TaskRecord
from doltflow.model.commit import Commit
from doltflow.model.run import Run
from doltflow.render import labels
from doltflow.render.accesses import columns_said, rows_note, version_name
from doltflow.render.forms import own_accesses, resolved, took
from doltflow.render.labels import run_style
from doltflow.render.text import duration, moment, safe, short, value

if TYPE_CHECKING:
    from doltflow.demo import DemoResult
    from doltflow.runs import RunsResult
    from doltflow.show import ShowResult

_VERBS = {"read": "read", "write": "wrote"}


def runs_text(result: "RunsResult") -> Iterator[RenderableType]:
    """The runs, newest first: what each read and wrote, at which commit."""
    for number, run in enumerate(result.runs):
        if number:
            yield Text()
        yield from _head(run)
        yield from _accesses_of(run)


def _head(run: Run) -> Iterator[RenderableType]:
    yield _folded(safe(run.pathspec), style=run_style(run.status))
    seconds = took(run)
    yield from _indented(
        [
            labels.joined(
                moment(run.started),
                "status unknown" if run.status == "unknown" else run.status,
                duration(seconds) if seconds is not None else "",
                f"by {safe(run.user)}" if run.user else "",
                labels.rerun_note(run.rerun_of),
            )
        ]
    )


def _accesses_of(run: Run) -> Iterator[RenderableType]:
    """A line for each table and commit, however many tasks went there."""
    grouped: dict[tuple[str, str, str, str | None], list[Access]] = {}
    for access in own_accesses(run):
        for table in access.tables or ("?",):
            grouped.setdefault((access.kind, access.database, table, access.commit), []).append(access)
    for (kind, database, table, commit), accesses in sorted(grouped.items(), key=lambda item: item[0][0]):
        yield _access_line(kind, version_name(database, table, commit), accesses)


def _access_line(kind: str, name: str, accesses: list[Access], *more: str, columns: int = 2) -> RenderableType:
    # The verb stands in front already.
    amount = rows_note(access.summary() for access in accesses).removeprefix(f"{_VERBS[kind]} ")
    unchanged = "no change" if kind == "write" and all(access.changed is False for access in accesses) else ""
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(width=max(map(len, _VERBS.values())), no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(Text(_VERBS[kind]), _folded(labels.joined(name, amount, unchanged, *more)))
    return Padding(grid, (0, 0, 0, columns), expand=False)


def show_text(result: "ShowResult") -> Iterator[RenderableType]:
    """One run: parameters, code, reads and writes, commits."""
    yield from _head(result.run)
    tags = ", ".join(safe(tag) for tag in result.run.tags)
    yield from _indented([f"tags: {tags}"] if tags else [])
    parameters = [f"{safe(name)} = {value(data, longest=None)}" for name, data in result.run.parameters.items()]
    yield from _section("Parameters", _indented(parameters))
    yield from _section("Code", _indented(_code(result.run.tasks)))
    yield from _section("Reads and writes", _by_task(result))
    yield from _section("Commits", _indented(_commit(commit) for commit in result.commits))


def _section(title: str, parts: Iterable[RenderableType]) -> Iterator[RenderableType]:
    listed = list(parts)
    if listed:
        yield Text()
        yield Text(title, style="bold")
        yield from listed


def _code(tasks: Iterable[TaskRecord]) -> Iterator[str]:
    """A line for each environment; nearly always all tasks have the same."""
    grouped: dict[str, list[str]] = {}
    for task in tasks:
        dirty = " with uncommitted changes" if task.git_dirty else ""
        versions = {"Python": task.python, "Metaflow": task.metaflow, "doltflow": task.doltflow, "Dolt": task.dolt}
        described = labels.joined(
            safe(task.script) if task.script else "",
            f"git {short(task.git_commit)}{dirty}" if task.git_commit else "",
            *(f"{name} {safe(version)}" for name, version in versions.items() if version),
        )
        grouped.setdefault(described, []).append(_below_run(task.pathspec))
    for described, names in grouped.items():
        yield described if len(grouped) == 1 else f"{', '.join(names)}: {described}"


def _by_task(result: "ShowResult") -> Iterator[RenderableType]:
    task = None
    for access, table, version in resolved(result):
        if access.pathspec != task:
            task = access.pathspec
            attempt = f" (attempt {access.attempt})" if access.attempt else ""
            yield from _indented([f"{safe(_below_run(task))}{attempt}"])
        name = version_name(access.database, table or "?", version or access.commit)
        columns = columns_said([access.summary()], table or "?") if access.kind == "read" else ""
        branch = f"branch {safe(access.branch)}" if access.branch else ""
        pinned = f"at {short(access.commit)}" if access.commit and version and access.commit != version else ""
        key = f"as {safe(access.key)}" if access.key != table else ""
        where = " ".join(part for part in (branch, pinned) if part)
        yield _access_line(access.kind, name, [access], columns, key, where, columns=4)


def _below_run(pathspec: str) -> str:
    return "/".join(pathspec.split("/")[2:]) or pathspec


def _commit(commit: Commit) -> str:
    # Whole: it is there to be copied.
    return labels.joined(
        f"{safe(commit.hash)} {safe(commit.database)}",
        moment(commit.date),
        safe(commit.author),
        safe(commit.subject),
    )


def demo_text(result: "DemoResult", trace: Iterable[RenderableType]) -> Iterator[RenderableType]:
    """What the demo made, the trace of its result, and the commands to try next."""
    state = "is ready" if result.created else "was there already; the flows ran once more"
    yield _folded(f"The demo in {safe(str(result.folder))} {state}.")
    yield from _indented(f"ran {safe(run)}" for run in result.runs)
    yield Text()
    yield from trace
    yield Text()
    yield Text("Try next:", style="bold")
    for command in result.next_commands:
        # Not folded: a terminal that breaks the line itself lets it be copied whole.
        yield Text(f"  {safe(command)}", no_wrap=True)


def _indented(lines: Iterable[str], columns: int = 2) -> Iterator[RenderableType]:
    for line in lines:
        if line:
            yield Padding(_folded(line), (0, 0, 0, columns), expand=False)


def _folded(text: str, style: str = "") -> Text:
    return Text(text, style=style, overflow="fold")
