"""`doltflow backtest`."""

import sys
from collections.abc import Iterator
from typing import Annotated, Literal

import typer

from doltflow.cli.options import JsonOption
from doltflow.cli.streams import aside, note, warn
from doltflow.errors import UsageError

EPILOG = (
    "Examples:\n\n\b\n"
    "  doltflow backtest --commit 9f8e7d6c --run\n"
    "  doltflow backtest --commit 9f8e7d6c --branch metaflow-backtest --base root\n"
    "  doltflow backtest --as-of 2021-02-17 --table variance_by_procedure --dry-run\n"
    "  doltflow backtest --commit 9f8e7d6c --run --set hospital-price-db-branch=main\n"
    "  doltflow backtest --list\n"
    "  doltflow backtest --remove metaflow-backtest"
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
        typer.Option(metavar="NAME", help="The name of the branches; backtest/HASH without it."),
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
        typer.Option(metavar="TABLE", help="Only the flows that lead to this table; may be given again."),
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
    is_dry: Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")] = False,
    is_list: Annotated[bool, typer.Option("--list", help="List the branches that doltflow made.")] = False,
    remove: Annotated[
        str | None, typer.Option(metavar="NAME", help="Remove a branch that doltflow made from all databases.")
    ] = None,
    is_sure: Annotated[bool, typer.Option("--yes", help="With --remove: do not ask.")] = False,
    output: JsonOption = "text",
) -> Iterator[str]:
    """Run today's flows on the data of an earlier commit.

    The flows downstream of the commit's database run once each, in order, on branches made for it. No flow changes.

    Without --run only the branches are made, and the command that runs the flows is shown.
    """
    asked = {
        "--commit": commit, "--as-of": as_of, "--branch": branch, "--base": base, "--table": table, "--set": settings,
        "--run": is_run, "--resume": is_resumed, "--dry-run": is_dry,
    }  # fmt: skip
    given = [name for name, value in asked.items() if value]
    if (is_list or remove is not None) and given:
        raise UsageError(f"`{given[0]}` does not go with `{'--list' if is_list else '--remove'}`.")
    if is_list and remove is not None:
        raise UsageError("`--list` does not go with `--remove`.")
    if is_sure and remove is None:
        raise UsageError("`--yes` goes with `--remove`.")
    if remove is not None:
        return _remove(remove, database, is_sure, output)
    if is_list:
        return _list(database, output)
    with aside():
        from doltflow.backtest import backtest as ask
        from doltflow.render.backtest import backtest_answer

        result = ask(
            commit=commit, database=database, as_of=as_of, branch=branch, base=base, tables=table or (),
            settings=settings or (), code=code, run=is_run, resume=is_resumed, dry_run=is_dry, tell=note,
        )  # fmt: skip
    warn(result.warnings)
    return backtest_answer(result, output, sys.stdout)


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
