"""What surrounds a recorded step: who committed, which code ran, and what is left when it is killed."""

import json
import os
import shutil
import signal
from pathlib import Path

import pytest
from conftest import FLOWS, dolt, footprint, git, head
from flows.harness import commits, is_loading, is_served, left_running, rows, trailers, wait_for, world

from doltflow.model.pins import DatabasePin, Pins


@pytest.mark.long
@pytest.mark.folder
def test_authors_and_code(tmp_path: Path) -> None:
    """One repository and two databases; first nobody has configured Dolt, then somebody has."""
    with world(tmp_path / "here") as here:
        own, nobodys = here.database("own"), here.database("nobodys")
        (nobodys / ".dolt" / "config.json").write_text("{}")
        script = here.folder / "author_flow.py"
        shutil.copy(FLOWS / "author_flow.py", script)
        git(here.folder, "init", "-q")

        def run(*tags: str) -> dict[str, object]:
            found = here.artifacts(here.run(str(script), *tags), "dolt")
            (task,) = next(iter(found.values()))["dolt"]["tasks"].values()
            assert task["script"] == str(script)
            return {name: task[name] for name in ("git_commit", "git_dirty")}

        assert run() == {"git_commit": None, "git_dirty": None}, "the repository has no commit"
        git(here.folder, "commit", "-q", "--allow-empty", "-m", "first")
        assert run() == {"git_commit": git(here.folder, "rev-parse", "HEAD"), "git_dirty": True}
        for database, author in ((own, "Ann <ann@example.com>"), (nobodys, "tester <tester@localhost>")):
            made = commits(database)[:2]
            assert {f"{commit['committer']} <{commit['email']}>" for commit in made} == {author}

        git(here.folder, "add", "author_flow.py")
        git(here.folder, "commit", "-q", "-m", "second")
        index = (here.folder / ".git" / "index").read_bytes()
        for name, value in (("user.name", "Zoë Ångström"), ("user.email", "zoe@example.com")):
            dolt(nobodys, "config", "--global", "--add", name, value)
        tags = ["--tag", "nightly", "--tag", "doltflow:replay-of=AuthorFlow/7"]
        to_main = tuple(DatabasePin(folder.name, str(folder), "main") for folder in (own, nobodys))
        (here.folder / "pins.json").write_text(Pins("replay", "AuthorFlow/7", to_main).encode())
        here.environment["DOLTFLOW_PINS"] = "pins.json"
        assert run(*tags) == {"git_commit": git(here.folder, "rev-parse", "HEAD"), "git_dirty": False}
        assert trailers(commits(own)[0]["message"])[-1] == ("Rerun-Of", {"pathspec": "AuthorFlow/7", "kind": "replay"})
        assert (here.folder / ".git" / "index").read_bytes() == index
        for database, author in ((own, "Ann <ann@example.com>"), (nobodys, "Zoë Ångström <zoe@example.com>")):
            newest = commits(database)[0]
            assert f"{newest['committer']} <{newest['email']}>" == author


@pytest.mark.folder
def test_a_killed_step_leaves_nothing_behind(tmp_path: Path) -> None:
    with world(tmp_path / "here") as here:
        database = here.database("numbers", "create table source (id int primary key)", "insert into source values (1)")
        dolt(database, "sql", "-q", "insert into source values (2)")
        before, start = footprint(database), head(database)
        for moment in ("in the body", "in the write"):
            pid = here.folder / "pid"
            pid.unlink(missing_ok=True)
            process = here.start("killed_flow.py", "--killed", moment)
            wait_for(lambda pid=pid: pid.exists() and pid.read_text(), "the step's pid")
            if moment == "in the write":
                wait_for(lambda: is_loading(database), "the load")
            os.kill(int(pid.read_text()), signal.SIGKILL)
            output, _ = process.communicate()
            assert process.returncode != 0, output
            wait_for(lambda: not is_served(database) and not left_running(here), "the end of the server")
            assert footprint(database) == before
            assert head(database) == start
            dolt(database, "fsck")

        here.run("killed_flow.py")
        assert len(rows(database, "big")) == 10
        assert head(database, "main~1") == start
        assert json.dumps(commits(database)[0]["message"]).count("Doltflow-Read") == 1
        assert not is_served(database)
        wait_for(lambda: not left_running(here), "the end of the supervisor")
        assert footprint(database) == before
