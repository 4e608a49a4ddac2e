"""A replay of a run that went on from a failed one: what it ran itself runs again, and what it took over does not."""

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import sql
from flows.harness import world

from doltflow.cli import main


@pytest.mark.long
def test_a_resumed_run_is_replayed_from_where_it_went_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def asked(*arguments: str) -> tuple[int, dict[str, Any]]:
        capsys.readouterr()
        exit_code = main(["replay", *arguments, "--output", "json"])
        return exit_code, json.loads(capsys.readouterr().out)

    with world(tmp_path / "resumed") as here:
        made = "create table source (name varchar(5) primary key)"
        numbers = here.database("numbers", made, "insert into source values ('a'), ('b')")
        failed = here.run("resume_flow.py", check=False)
        Path("repaired").touch()
        origin = failed.pathspec.partition("/")[2]
        run = here.run("resume_flow.py", "--origin-run-id", origin, command="resume").pathspec

        # The tasks that it took over stand where the others' stood.
        exit_code, told = asked(run, "--from", "work", "--dry-run")
        assert exit_code == 0
        pins = sorted((pin["step"], pin["foreach"], pin["key"]) for pin in told["data"]["pins"])
        assert pins == [
            ("finish", [], "last"),
            ("finish", [], "last"),
            ("start", [], "source"),
            ("work", [["work", 0]], "copied"),
            ("work", [["work", 1]], "copied"),
        ]

        exit_code, told = asked(run)
        assert (exit_code, told["data"]["identical"], told["data"]["unhonoured"]) == (0, True, [])
        assert [table["table"] for table in told["data"]["tables"]] == ["first_half", "second_half"]

        branches = sql(numbers, "select name, hash from dolt_branches order by name")
        for arguments in (["--from", "start"], ["--set", "x=1"]):
            exit_code, told = asked(run, *arguments)
            assert (exit_code, told["error"]["code"]) == (3, "not-replayable")
            assert told["error"]["message"].startswith(f"`{run}` goes on from {failed.pathspec} and took over ")
            assert told["error"]["message"].endswith("which wrote `copied`: what it wrote before is not this run's.")
        assert sql(numbers, "select name, hash from dolt_branches order by name") == branches
