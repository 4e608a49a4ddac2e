"""`doltflow backtest`."""

import sys
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import typer

from doltflow.cli.options import ProfileOption
from doltflow.cli.streams import answer, aside, note, relay, say, warn
from doltflow.errors import UsageError

Output = Literal["text", "json", "csv"]

EPILOG = (
    "Examples:\n\n\b\n"
    "  doltflow backtest --commit 9f8e7d6c --run\n"
    "  doltflow backtest --commit 9f8e7d6c --branch metaflow-backtest --base root\n"
    "  doltflow backtest --as-of 2021-02-17 --table variance_by_procedure --dry-run\n"
    "  doltflow backtest --commit 9f8e7d6c --run --set hospital-price-db-branch=main\n"
    "  doltflow backtest --sweep 2021-01-31.. --every month --jobs 2 --output csv\n"
    '  doltflow backtest --bisect "avg(price) > 100" --good 9f8e7d6c --bad main --table variance_by_procedure\n'
    "  doltflow backtest --list\n"
    "  doltflow backtest --remove 'backtest/*'"
)


def backtest(
    commit: Annotated[
        str | None,
        typer.Option(metavar="HASH", help="The commit of an input database that the flows are to see."),
    ] = None,
    database: Annotated[
        str | None,
        typer.Option("--database", "-d", metavar="DB", help="The input database, by name or folder."),
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option(
            metavar="DATE",
            help="The other input databases as of this date; without --commit all of them. A date alone is the end of "
            "that day.",
        ),
    ] = None,
    branch: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The name of the branches; backtest/HASH without it. With --sweep and --bisect what "
            "stands before /HASH.",
        ),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(
            metavar="REF",
            help="Where the branches of output databases begin: a ref, or root for the first commit; where "
            "production's branch stands without it.",
        ),
    ] = None,
    table: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TABLE",
            help="Only the flows that lead to this table; may be given again. With --bisect the table meant.",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Another value for a parameter of every flow that has it, or Flow.NAME=VALUE for one; repeatable.",
        ),
    ] = None,
    code: Annotated[
        Literal["current", "recorded"],
        typer.Option(help="The flows' files as they are now, or the source that production ran."),
    ] = "current",
    is_run: Annotated[bool, typer.Option("--run", help="Run the flows, and compare with production.")] = False,
    is_resumed: Annotated[
        bool, typer.Option("--resume", help="Run the flows that an earlier --run did not come to.")
    ] = False,
    sweep: Annotated[
        str | None,
        typer.Option(
            metavar="A..B",
            help="Run the flows on each commit from A to B, both included, at which what they read changed. A commit, "
            "tag, branch or date; without B up to now.",
        ),
    ] = None,
    every: Annotated[
        str | None,
        typer.Option(
            metavar="N|day|week|month",
            help="With --sweep: every Nth commit back from B, or the last of each day, week or month; A and B always.",
        ),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="With --sweep: so many commits at a time; 1 without it.")
    ] = None,
    bisect: Annotated[
        str | None,
        typer.Option(
            metavar="CONDITION",
            help="Find the first commit at which a condition on the output turns: of the whole table if it has "
            "aggregates, else whether any row matches.",
        ),
    ] = None,
    good: Annotated[
        str | None, typer.Option(metavar="REF", help="With --bisect: a commit or date at which all is well.")
    ] = None,
    bad: Annotated[
        str | None, typer.Option(metavar="REF", help="With --bisect: a commit or date at which it is not.")
    ] = None,
    is_logged: Annotated[bool, typer.Option("--log", help="Show what the flows print, as it comes.")] = False,
    is_dry: Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")] = False,
    is_list: Annotated[bool, typer.Option("--list", help="List the branches that doltflow made.")] = False,
    remove: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Remove a branch that doltflow made from all databases; `NAME/*` for all below."
        ),
    ] = None,
    is_sure: Annotated[bool, typer.Option("--yes", help="With --remove: do not ask.")] = False,
    _profile: ProfileOption = None,
    output: Annotated[Output, typer.Option(help="How to answer; csv with --sweep.")] = "text",
) -> Iterator[str]:
    """Run today's flows on the data of an earlier commit.

    The flows downstream of the commit's database run once each, in order, on branches made for it. No flow changes.

    Without --run only the branches are made, and the command that runs the flows is shown.

    With --sweep and --bisect the flows run on many commits, each on branches of its own. A run that was done before on
    the same content, with the same code, parameters and packages, is not repeated, so that the same command goes on
    where one was interrupted.
    """
    asked = {
        "--commit": commit, "--as-of": as_of, "--branch": branch, "--base": base, "--table": table, "--set": settings,
        "--run": is_run, "--resume": is_resumed, "--log": is_logged, "--dry-run": is_dry, "--every": every,
        "--jobs": jobs, "--good": good, "--bad": bad,
    }  # fmt: skip
    modes = {"--list": is_list, "--remove": remove, "--sweep": sweep, "--bisect": bisect}
    _check([name for name, value in modes.items() if value not in (None, False)], asked, output, is_sure=is_sure)
    form: Literal["text", "json"] = "json" if output == "json" else "text"
    if remove is not None:
        return _remove(remove, database, is_sure, form)
    if is_list:
        return _list(database, form)
    shared: dict[str, Any] = {
        "database": database, "as_of": as_of, "branch": branch, "base": base, "settings": settings or (), "code": code,
        "dry_run": is_dry, "tell": note, "log_line": relay if is_logged else None,
    }  # fmt: skip
    if sweep is not None:
        return _sweep(sweep, output, {**shared, "every": every, "jobs": jobs or 1, "tables": table or ()})
    if bisect is not None:
        return _bisect(bisect, form, {**shared, "good": good, "bad": bad}, table or [])
    with aside():
        from doltflow.backtest import backtest as ask
        from doltflow.render.backtest import backtest_answer

        result = ask(commit=commit, tables=table or (), run=is_run, resume=is_resumed, **shared)
    warn(result.warnings)
    return backtest_answer(result, form, sys.stdout)


_ALONE = {
    "--sweep": {"--commit", "--resume", "--good", "--bad"},
    "--bisect": {"--commit", "--resume", "--every", "--jobs"},
}
"""What does not go with it."""
_TOGETHER = {"--every": "--sweep", "--jobs": "--sweep", "--good": "--bisect", "--bad": "--bisect"}


def _check(modes: list[str], asked: Mapping[str, object], output: Output, *, is_sure: bool) -> None:
    """Makes sure that options which are given go together."""
    given = [name for name, value in asked.items() if value not in (None, False, [])]
    if len(modes) > 1:
        raise UsageError(f"`{modes[0]}` does not go with `{modes[1]}`.")
    mode = next(iter(modes), None)
    for name in given:
        if mode is not None and name in _ALONE.get(mode, asked):
            raise UsageError(f"`{name}` does not go with `{mode}`.")
        if mode is None and name in _TOGETHER:
            raise UsageError(f"`{name}` goes with `{_TOGETHER[name]}`.")
    if is_sure and mode != "--remove":
        raise UsageError("`--yes` goes with `--remove`.")
    if output == "csv" and mode != "--sweep":
        raise UsageError("`--output csv` goes with `--sweep`.", "`--output json` is there for all.")
    if mode == "--bisect" and not {"--good", "--bad"} <= set(given):
        raise UsageError("`--bisect` needs `--good` and `--bad`.", "Give a commit or a date for each.")


def _sweep(commits: str, output: Output, options: dict[str, Any]) -> Iterator[str]:
    with aside():
        from doltflow.render.sweep import lines_of, sweep_answer
        from doltflow.sweep import SweptCommit
        from doltflow.sweep import sweep as ask

        def ended(one: SweptCommit) -> None:
            for line in lines_of(one):
                note(line)

        result = ask(commits, ended=ended, **options)
    warn(result.warnings)
    told = sweep_answer(result, output, sys.stdout)
    if not result.failed:
        return told
    answer(told)
    failed = f"The backtest failed on {len(result.failed)} of {len(result.commits)} commits."
    hint = "What was done stays, and the same command goes on after it. `doltflow backtest --list` shows the branches."
    raise _failed(failed, hint)


def _failed(message: str, hint: str) -> typer.Exit:
    """What ends the program after the answer was given, with an error all the same."""
    from doltflow.render.terminal import error

    say(error(message, hint, sys.stderr))
    return typer.Exit(3)


def _bisect(
    condition: str, output: Literal["text", "json"], options: dict[str, Any], tables: list[str]
) -> Iterator[str]:
    if len(tables) > 1:
        raise UsageError("`--bisect` is about one `--table`.")
    with aside():
        from doltflow.bisect import bisect as ask
        from doltflow.render.bisect import bisect_answer

        result = ask(condition, table=next(iter(tables), None), **options)
    warn(result.warnings)
    told = bisect_answer(result, output, sys.stdout)
    if not result.untried:
        return told
    answer(told)
    failed = f"It turns at one of {len(result.untried) + 1} commits: on the others the flows failed."
    raise _failed(failed, "Mend the flows, and give the same command again: what was done is not repeated.")


def _list(database: str | None, output: Literal["text", "json"]) -> Iterator[str]:
    with aside():
        from doltflow.backtest import made_branches
        from doltflow.render.backtest import list_answer

        found = made_branches(database=database)
    if not found and output == "text":
        note("doltflow has made no branch here.")
    return list_answer(found, output, sys.stdout)


def _remove(name: str, database: str | None, is_sure: bool, output: Literal["text", "json"]) -> Iterator[str]:
    with aside():
        from doltflow.backtest import remove_made
        from doltflow.render.backtest import list_answer, removal_question

        if not is_sure and not (sys.stdin is not None and sys.stdin.isatty()):
            raise UsageError("Nobody can be asked whether to remove it.", "Say so with `--yes`.")
        removed = remove_made(
            name,
            database=database,
            confirm=lambda found: is_sure or typer.confirm(removal_question(found), err=True),
        )
    if not removed:
        note("Nothing was removed.")
    return list_answer(removed, output, sys.stdout, removed=True)
