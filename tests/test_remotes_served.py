"""A `dolt sql-server` as the remote, over HTTP, in a network of its own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import FLOWS

ALONE = ["unshare", "--map-current-user", "--keep-caps", "--net"]
URL = "http://ann@127.0.0.1:50051/numbers"


def has_network_of_its_own() -> bool:
    """Whether this machine lets one have a network namespace."""
    try:
        return subprocess.run([*ALONE, "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@pytest.mark.skipif(
    not has_network_of_its_own(),
    reason="this machine gives no network namespace (`unshare --net`), and a port for remotes listens on every address",
)
def test_a_server_is_a_remote_as_a_folder_is(tmp_path: Path) -> None:
    done = subprocess.run(
        [*ALONE, sys.executable, str(FLOWS / "served_remote.py"), str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    hint = (
        "Is the address right, and may you read it (`dolt login` for DoltHub; DOLT_REMOTE_PASSWORD, and the user in "
        "the URL, for a server)?"
    )
    found = json.loads(done.stdout)
    code, text = found.pop("no password")
    assert code == "remote"
    assert text.startswith(f"{URL} cannot be cloned. Dolt says: ")
    assert "must set DOLT_REMOTE_PASSWORD environment variable" in text
    assert text.endswith(hint)
    code, text = found.pop("wrong password")
    assert (code, "Access denied for user 'ann'" in text, "wrong" in text) == ("remote", True, False)
    code, text = found.pop("diverged")
    told = f"since it and the remote `origin` at {URL} parted, both have changed `a`. Merge by hand, in the database's"
    assert (code, text.startswith(f"The branch `main` was not pushed: {told}")) == ("diverged", True)
    both = [[{"id": 1, "v": 1}], [{"id": 1, "v": 2}]]
    assert found == {
        "push": "done",
        "rejected, then merged": "done",
        "pull": "done",
        "rows": [both, both],
        "same": True,
        "push again": "done",
        "dirty": [
            "remote",
            f"The branch `main` could not be pushed: the database at the remote `origin` at {URL} has uncommitted "
            "changes. Commit them there, then push: `dolt push origin main`.",
        ],
        "remotes": [f"`origin` at {URL}"],
    }
