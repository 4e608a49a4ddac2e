"""`doltflow replay`."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import typer

from doltflow.cli.options import JsonOption, ProfileOption
from doltflow.cli.streams import answer, aside, note, relay, warn

EPILOG = (
    "Examples:\n\n\b\n"
    "  doltflow replay HospitalPriceStateMedians/latest\n"
    "  doltflow replay HospitalPriceStateMedians/latest --dry-run\n"
    "  doltflow replay HospitalPriceStateMedians/latest --code recorded --discard\n"
    "  doltflow replay HospitalPriceStateMedians/latest --set hospital-price-db-branch=main"
)


def replay(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="Flow/run_id, Flow/latest or a bare run id.", show_default=False)
    ],
    branch: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The branch for its writes; replay/Flow/run_id without it."),
    ] = None,
    code: Annotated[
        Literal["current", "recorded"],
        typer.Option(help="The flow's file as it is now, or the source that the run ran."),
    ] = "current",
    flow_file: Annotated[
        Path | None, typer.Option("--flow-file", metavar="FILE", help="The flow's file, where it has moved.")
    ] = None,
    python: Annotated[str | None, typer.Option(metavar="PROGRAM", help="The Python to run the flow with.")] = None,
    step: Annotated[
        str | None,
        typer.Option("--from", metavar="STEP", help="Take over what is before this step from the recorded run."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="Another value for a parameter, on the same data; repeatable."
        ),
    ] = None,
    is_kept: Annotated[
        bool, typer.Option("--keep/--discard", help="Keep the branches, or remove them after the comparison.")
    ] = True,
    is_logged: Annotated[bool, typer.Option("--log", help="Show what the flow prints, as it comes.")] = False,
    is_dry: Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")] = False,
    _profile: ProfileOption = None,
    output: JsonOption = "text",
) -> Iterator[str]:
    """Repeat a run on exactly its data, and compare.

    Every read sees the commit that it saw, writes go to new branches, and each table is compared with the recorded one.

    Exit code 1 says that it is not identical; with `--set` that is not asked.
    """
    with aside():
        from doltflow.render.replay import replay_answer
        from doltflow.replay import replay as ask

        result = ask(
            run, branch=branch, code=code, flow_file=flow_file, python=python, step=step, settings=settings or (),
            keep=is_kept, dry_run=is_dry, tell=note, log_line=relay if is_logged else None,
        )  # fmt: skip
    warn(result.warnings)
    told = replay_answer(result, output, sys.stdout)
    if result.new_run is not None and not result.identical and not result.changed:
        answer(told)
        raise typer.Exit(1)
    return told
