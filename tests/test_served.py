"""Databases at an address: who is let in, what is encrypted, and what stays secret."""

import json
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from conftest import FLOWS, dolt, head, run_flow
from served import Server, free_port, served

from doltflow import DoltConfig, DoltDT
from doltflow.errors import (
    AccessDeniedError,
    DatabaseNotFoundError,
    DoltflowError,
    ServerUnreachableError,
    SettingsError,
)
from doltflow.sources.dolt import Database, connection, databases_at
from doltflow.sources.dolt.address import Address

PASSWORD = "sesame @/:'%"
SETUP = "create table t (id int primary key, v varchar(20), d decimal(10,2))"


def database(data: Path, name: str, *statements: str) -> Path:
    """A database in a folder, before a server has it."""
    folder = data / name
    folder.mkdir(parents=True)
    dolt(folder, "init", "-b", "main", "--name", "Ann", "--email", "ann@example.com")
    dolt(folder, "sql", stdin=";\n".join([*statements, "call dolt_commit('-Am', 'setup')"]))
    return folder


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server with two databases, whose account `ann` has a password."""
    data = tmp_path / "data"
    source = ["create table source (id int primary key, v int)", "insert into source values (1, 10), (2, 20)"]
    database(data, "numbers", SETUP, "insert into t values (1, 'x', 1.50), (2, NULL, NULL)", *source)
    database(data, "others", "create table o (id int primary key)", "insert into o values (7)")
    with served(data) as made:
        made.run(
            f"create user 'ann'@'%' identified by '{PASSWORD.replace(chr(39), chr(39) * 2)}'",
            "grant all on *.* to 'ann'@'%' with grant option",
            "create user 'eva'@'%' identified by 'пароль é'",
            "grant select on *.* to 'eva'@'%'",
            "create user 'reader'@'%' identified by 'r'",
            "grant select on *.* to 'reader'@'%'",
        )
        yield made


def cli(*arguments: str, code: int = 0) -> Any:
    """The answer of the program, as JSON where it is asked for."""
    program = str(Path(sys.executable).with_name("doltflow"))
    done = subprocess.run([program, *arguments], capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout) if "json" in arguments else done.stdout + done.stderr


def test_a_database_is_read_at_its_address(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOLTFLOW_PASSWORD", PASSWORD)
    dolt_dt = DoltDT(config=DoltConfig(database=server.address("numbers", "ann")))
    rows = dolt_dt.read("t", as_="arrow").to_pylist()
    assert rows == [{"id": 1, "v": "x", "d": Decimal("1.50")}, {"id": 2, "v": None, "d": None}]
    assert dolt_dt.sql("select * from t", as_key="t", as_="arrow").to_pylist() == rows
    with Database.at(server.address("numbers", "ann")).open() as session:
        assert (session.name, session.default_branch()) == ("numbers", "main")
        assert list(session.branches()) == ["main"]


def test_a_server_stands_for_all_its_databases(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [found.name for found in databases_at(server.address())] == ["numbers", "others"]
    monkeypatch.setenv("DOLTFLOW_DATABASES", server.address())
    assert [line["database"] for line in cli("log", "--output", "json")["data"]["commits"]].count("others") == 2
    # A name of which no folder is here: the same flow code goes from a folder to a server.
    assert DoltDT(config=DoltConfig(database="others")).read("o")["id"].tolist() == [7]
    monkeypatch.setenv("DOLTFLOW_DATABASES", server.address("numbers"))
    with pytest.raises(DatabaseNotFoundError, match="Nor does a place that DOLTFLOW_DATABASES names"):
        DoltDT(config=DoltConfig(database="others")).read("o")


def test_a_server_that_is_down_is_left_out(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    dead = f"mysql://root@127.0.0.1:{free_port()}"
    monkeypatch.setenv("DOLTFLOW_DATABASES", f"{dead}:{server.address('others')}")
    said = " ".join(cli("cat", "o", "--output", "csv").split())
    assert said.startswith("id 7 ")
    assert f"The server `{dead}` is left out: The server at {dead.removeprefix('mysql://root@')} is not reached" in said
    monkeypatch.setenv("DOLTFLOW_DATABASES", dead)
    for command in (["status"], ["log"], ["trace", "o"]):
        said = " ".join(cli(*command, code=3).split())
        assert ("There is no Dolt database in" in said, f"`{dead}` is left out" in said) == (True, True)


def test_a_folder_and_its_address_are_one_database(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOLTFLOW_DATABASES", server.address())
    monkeypatch.chdir(server.data)
    assert "warning" not in cli("log")
    monkeypatch.setenv("DOLTFLOW_DATABASES", f"mysql://root@127.0.0.1:{free_port()}/numbers")
    assert "Two databases are called `numbers`" in cli("log")


def test_a_settings_file_names_a_server(server: Server) -> None:
    Path("doltflow.toml").write_text(f'databases = ["{server.address("others")}"]\n')
    assert "7" in cli("cat", "o", "--output", "csv")
    Path("doltflow.toml").write_text('databases = ["mysql://ann:hunter2@127.0.0.1/others"]\n')
    said = cli("cat", "o", code=2)
    assert "has a password in it" in said
    assert "doltflow.toml names it" in said
    assert "hunter2" not in said


def test_a_run_on_a_server_keeps_the_password_to_itself(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Recorded, traced and replayed; the secret is in no artifact, no commit, no answer and no process's arguments."""
    file = Path.cwd().parent / "secret"
    file.write_text(PASSWORD + "\n")
    monkeypatch.setenv("DOLTFLOW_PASSWORD_FILE", str(file))
    address = server.address("numbers", "ann")
    monkeypatch.setenv("DOLTFLOW_DATABASES", address)
    done = run_flow(Path.cwd(), "counter_flow.py", "--db", address)
    run = f"CounterFlow{done.pathspec}"
    said = [done.output, cli("show", run)]
    graph = cli("trace", run, "--output", "json")
    replayed = cli("replay", run, "--output", "json")["data"]
    assert (replayed["identical"], {t["verdict"] for t in replayed["tables"]}) == (True, {"identical"})
    said += [json.dumps(graph), json.dumps(replayed)]
    log = server.run("select message from dolt_log('main')", database="numbers")
    said += [str(row) for row in log]
    said += [p.read_bytes().decode("latin-1") for p in Path(".metaflow").rglob("*") if p.is_file()]
    said += [p.read_text() for p in (Path.home() / ".cache" / "doltflow").rglob("*.json")]
    assert len(log) >= 2
    assert [text for text in said if "sesame" in text] == []


def test_branches_of_a_backtest_on_a_server_are_known_and_removed(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOLTFLOW_DATABASES", server.address())
    run_flow(Path.cwd(), "counter_flow.py", "--db", "numbers")
    (commit,) = server.run("select dolt_hashof('main~1')", database="numbers")[0]
    before = server.run("select name from dolt_branches", database="numbers")
    run = cli("runs", "--output", "json")["data"]["runs"][0]["pathspec"]
    cli("replay", run, "--keep")
    listed = cli("backtest", "--list", "--output", "json")["data"]
    assert [branch["branch"] for branch in listed["branches"]] == [f"replay/{run}"], commit
    cli("backtest", "--remove", f"replay/{run}", "--yes")
    assert server.run("select name from dolt_branches", database="numbers") == before
    assert not list(Path.home().rglob("doltflow-branches.json"))


def error(call: Callable[[], object]) -> DoltflowError:
    with pytest.raises(DoltflowError) as caught:
        call()
    return caught.value


def test_who_is_not_let_in_is_told_why(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(address: str) -> Callable[[], object]:
        return lambda: DoltDT(config=DoltConfig(database=address)).read("t")

    monkeypatch.setenv("DOLTFLOW_PASSWORD", "wrong")
    found = [
        error(read(server.address("numbers", "ann"))),
        error(read(server.address("nobody's", "root", "?password-file=nowhere"))),
        error(read(f"mysql://root@127.0.0.1:{free_port()}/numbers")),
        error(read("mysql://root@nowhere.invalid/numbers")),
        error(read("mysql://root@no..where/numbers")),
        error(read(server.address("numbers", more="?ssl-mode=REQUIRED"))),
        error(read(server.address("numbers", more="?ssl-mode=VERIFY_CA&ssl-ca=nowhere.pem"))),
    ]
    kinds = [AccessDeniedError, SettingsError, *[ServerUnreachableError] * 4, SettingsError]
    assert [type(one) for one in found] == kinds
    assert all(one.hint and "wrong" not in str(one) for one in found)
    monkeypatch.delenv("DOLTFLOW_PASSWORD")
    missing = error(read(server.address("number")))
    assert (type(missing), "Did you mean `numbers`" in missing.hint) == (DatabaseNotFoundError, True)
    assert f"mysql://root@127.0.0.1:{server.port}/" in missing.message


def test_a_password_may_have_any_letters(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOLTFLOW_PASSWORD", "пароль é")
    assert len(DoltDT(config=DoltConfig(database=server.address("numbers", "eva"))).read("t")) == 2


def test_a_record_sends_nobody_to_a_server_that_the_user_has_not_named(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its address is not asked; where the user names the server, it is with his account and not with the record's."""
    run_flow(Path.cwd(), "counter_flow.py", "--db", server.address("numbers"))
    said = cli("trace", "CounterFlow/latest")
    assert f"mysql://root@127.0.0.1:{server.port}/numbers, a server that you have not named" in " ".join(said.split())
    monkeypatch.setenv("DOLTFLOW_DATABASES", server.address())
    said = cli("trace", "CounterFlow/latest")
    assert ("wrote numbers/final" in said, "warning" in said) == (True, False)
    own = [Address.parse("mysql://me@db:3307/mine?ssl-mode=REQUIRED")]
    found = Database.recorded("mysql://root@db:3307/yours?password-file=/etc/passwd&ssl-mode=DISABLED", own)
    assert found is not None
    assert str(found.location) == "mysql://me@db:3307/yours?ssl-mode=REQUIRED"
    for place in ("mysql://db:3306/mine", "mysql://evil:3307/mine", "mysql://db:3307", "mysql://a:b@db:3307/x"):
        assert Database.recorded(place, own) is None


class Rogue:
    """What listens as a server would, and keeps what it is sent.

    Args:
        greeting: What it says first.
        then: What it says to the first answer.
    """

    def __init__(self, greeting: bytes = b"", then: bytes = b"") -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.heard = b""
        self._thread = threading.Thread(target=self._serve, args=(greeting, then), daemon=True)
        self._thread.start()

    def _serve(self, greeting: bytes, then: bytes) -> None:
        with suppress(OSError):
            client, _ = self._listener.accept()
            with client:
                client.settimeout(10)
                client.sendall(greeting)
                for answer in (then, b""):
                    heard = client.recv(65536)
                    if not heard:
                        return
                    self.heard += heard
                    client.sendall(answer)

    def close(self) -> None:
        self._listener.close()
        self._thread.join(20)


def packet(number: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "little") + bytes([number]) + payload


def test_a_server_that_asks_for_the_password_in_clear_does_not_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOLTFLOW_PASSWORD", "sesame")
    greeting = b"\x0a8.0.33\0" + bytes(4) + b"saltsalt\0" + b"\xff\xf7\x21\x02\x00\xff\x00\x15" + bytes(10)
    greeting += b"saltsaltsalt\0mysql_native_password\0"
    rogue = Rogue(packet(0, greeting), packet(2, b"\xfemysql_clear_password\0salt\0"))
    said = error(lambda: DoltDT(config=DoltConfig(f"mysql://ann@127.0.0.1:{rogue.port}/x")).read("t"))
    rogue.close()
    assert type(said) is AccessDeniedError
    assert "in clear" in said.message
    assert b"ann\0" in rogue.heard
    assert b"sesame" not in rogue.heard


def test_what_listens_and_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_GREETING_SECONDS", 0.2)
    rogue = Rogue()
    said = error(lambda: DoltDT(config=DoltConfig(f"mysql://ann@127.0.0.1:{rogue.port}/x")).read("t"))
    assert type(said) is ServerUnreachableError
    assert f"127.0.0.1:{rogue.port} does not answer" in said.message
    rogue.close()


def test_who_may_only_read_reads_and_writes_nothing(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOLTFLOW_PASSWORD", "r")
    address = server.address("numbers", "reader")
    before = server.run("select hash from dolt_branches", database="numbers")
    assert len(DoltDT(config=DoltConfig(database=address)).read("t")) == 2
    assert "setup" in cli("trace", "t", "--database", address)
    done = run_flow(Path.cwd(), "counter_flow.py", "--db", address, check=False)
    assert done.returncode != 0
    assert "AccessDeniedError" in done.output
    assert server.run("select hash from dolt_branches", database="numbers") == before


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """A certificate for this machine, of an authority that only its own file vouches for."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl here, to make a certificate")
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names, *files]
    subprocess.run(command, check=True, capture_output=True)
    return tmp_path


def test_a_connection_is_encrypted_as_the_address_says(certificates: Path) -> None:
    """Small reads and those of the bulk reader alike: a server that takes nothing else gives both."""
    data = certificates / "data"
    database(
        data,
        "numbers",
        "create table big (id int primary key, v int)",
        "set @@cte_max_recursion_depth = 20000",
        "insert into big with recursive n as (select 1 as id union all select id + 1 from n where id < 9000) "
        "select id, id * 2 from n",
    )
    cert, key = certificates / "cert.pem", certificates / "key.pem"
    tls = f"  tls_cert: '{cert}'\n  tls_key: '{key}'\n  require_secure_transport: true\n"
    with served(data, tls) as server:

        def count(more: str, host: str = "127.0.0.1") -> int:
            address = server.address("numbers", more=more).replace("127.0.0.1", host)
            return len(DoltDT(config=DoltConfig(database=address)).read("big"))

        assert [count(""), count("?ssl-mode=REQUIRED"), count(f"?ssl-mode=VERIFY_CA&ssl-ca={cert}")] == [9000] * 3
        assert count(f"?ssl-mode=VERIFY_IDENTITY&ssl-ca={cert}", "localhost") == 9000
        for more, host in (
            ("?ssl-mode=REQUIRED", "127.0.0.1"),
            (f"?ssl-mode=VERIFY_IDENTITY&ssl-ca={cert}", "localhost"),
        ):
            with DoltDT(config=DoltConfig(server.address("numbers", more=more).replace("127.0.0.1", host))) as dolt:
                reader = dolt.read("big", as_="arrow", batches=True)
                assert sum(batch.num_rows for batch in reader) == 9000
        refused = {
            "another authority": lambda: count("?ssl-mode=VERIFY_CA"),
            "another host": lambda: count(f"?ssl-mode=VERIFY_IDENTITY&ssl-ca={cert}"),
            "not encrypted": lambda: count("?ssl-mode=DISABLED"),
        }
        said = {what: str(error(call)) for what, call in refused.items()}
    assert "certificate verify failed" in said["another authority"]
    assert re.search("certificate verify failed|IP address mismatch", said["another host"])
    assert "SSL/TLS" in said["not encrypted"]


def test_a_folder_that_a_server_above_has_is_used_through_it(tmp_path: Path) -> None:
    """As the dolt program does; and one that it does not know is served as ever."""
    folder = database(
        tmp_path / "data",
        "numbers",
        "create table source (id int primary key, v int)",
        "insert into source values (1, 1)",
    )
    with served(tmp_path / "data") as server:
        with Database.at(folder).open() as session:
            assert session._connection.endpoint.port == server.port
            assert session.branches() == {"main": head(folder)}
        made = database(tmp_path / "data", "later", SETUP)
        with Database.at(made).open() as session:
            assert session._connection.endpoint.port != server.port
            assert list(session.branches()) == ["main"]
        assert not (made / ".dolt" / "sql-server.info").exists()
        run_flow(Path.cwd(), str(FLOWS / "counter_flow.py"), "--db", str(folder))
        assert "Run: CounterFlow" in str(server.run("select message from dolt_log('main') limit 1", database="numbers"))
