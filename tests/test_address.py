"""Addresses of databases on servers: what they say, and what they must not say."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from doltflow import DoltConfig
from doltflow.errors import DatabaseNotFoundError, SettingsError, UsageError
from doltflow.passwords import has_password, without_password
from doltflow.sources.dolt.address import Address
from doltflow.sources.dolt.database import Database, places_set
from doltflow.sources.dolt.endpoint import Endpoint
from doltflow.sources.dolt.remote_url import check_no_password

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)


@given(
    user=TEXT,
    host=st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,20}[a-z0-9])?", fullmatch=True) | st.just("::1"),
    port=st.integers(1, 65535),
    database=TEXT.filter(lambda name: "/" not in name),
    mode=st.sampled_from(["DISABLED", "PREFERRED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"]),
    ca=st.none() | TEXT,
    file=st.none() | TEXT,
)
def test_an_address_comes_back_from_its_text(
    user: str, host: str, port: int, database: str, mode: str, ca: str | None, file: str | None
) -> None:
    address = Address(host, port, database, user, mode, ca, file)  # type: ignore[arg-type]
    assert Address.parse(str(address)) == address


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mysql://db.example.com/prices", "mysql://root@db.example.com:3306/prices"),
        ("mysql://ann@db:3307/a%20b", "mysql://ann@db:3307/a%20b"),
        ("mysql://ann@[::1]:3307/prices", "mysql://ann@[::1]:3307/prices"),
        ("mysql://db/x?ssl-mode=verify-ca&ssl-ca=/ca.pem", "mysql://root@db:3306/x?ssl-mode=VERIFY_CA&ssl-ca=/ca.pem"),
        ("mysql://db", "mysql://root@db:3306/"),
    ],
)
def test_what_is_left_out_has_a_default(text: str, shown: str) -> None:
    assert str(Address.parse(text)) == shown


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mysql://ann:hunter2@db/x", ["mysql://ann:…@db/x", "has a password in it", "DOLTFLOW_PASSWORD"]),
        ("mysql://ann:hun@ter2@db/x", ["`mysql://ann:…@db/x` has a password in it"]),
        ("mysql://ann@corp:hunter2@db/x", ["`mysql://ann@corp:…@db/x` has a password in it"]),
        ("mysql://ann:hunter2/x@db/x", ["`mysql://ann:…@db/x` has a password in it"]),
        ("mysql://ann:a hunter2@db/x", ["`mysql://ann:…@db/x` has a password in it"]),
        ("mysql://ann:@db/x", ["has a password in it"]),
        ("mysql:///x", ["names no host"]),
        ("mysql://db/x/main", ["`x/main`", "`branch=`"]),
        ("mysql://db/x#main", ["`#`"]),
        ("mysql://db:port/x", ["is no address", "mysql://user@host:port/database"]),
        ("mysql://db:99999/x", ["is no address"]),
        ("mysql://db/x?ssl-mod=REQUIRED", ["`ssl-mod`", "Did you mean `ssl-mode`"]),
        ("mysql://db/x?ssl-mode=maybe", ["MAYBE", "VERIFY_IDENTITY"]),
        ("mysql://db/x?password=hunter2", ["`mysql://db/x?password=…` has a password in it", "?password-file="]),
        ("mysql://db", ["names a server and no database"]),
    ],
)
def test_what_is_no_address_of_a_database(text: str, said: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        DoltConfig(database=text)
    assert [part for part in said if part not in str(caught.value)] == []
    assert "ter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mysql://root:hunter2@h/db", "mysql://root:…@h/db"),
        ("MYSQL://root:hunter2@h", "MYSQL://root:…@h"),
        ("http://u:hunter2@h", "http://u:…@h"),
        ("http://:hunter2@h", "http://:…@h"),
        ("http://u:hun@t:e?r#2&'[%@h:50051/db", "http://u:…@h:50051/db"),
        ("http://u:hunter2@[::1]:50051/db", "http://u:…@[::1]:50051/db"),
        ("http://u@corp:hunter2@h/db", "http://u@corp:…@h/db"),
        ("http://u:1/hunter 2@h/db", "http://u:1/hunter 2@h/db"),  # Behind the slash it may be the path after a port.
        ("Dolt says: GET http://u:hunter2@h/db failed; ask a@b.", "Dolt says: GET http://u:…@h/db failed; ask a@b."),
        ("Of http://h:50051/db ask a@b: http://u:hunter2@h", "Of http://h:50051/db ask a@b: http://u:…@h"),
        ("mysql://db/x?a=b&PASSWORD=hunter2&c=d", "mysql://db/x?a=b&PASSWORD=…&c=d"),
    ],
)
def test_a_password_is_masked_wherever_it_is_shown(text: str, shown: str) -> None:
    assert (without_password(text), without_password(shown)) == (shown, shown)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("http://u:hunter 2@h/a b", "http://u:…@h/a b"),
        ("http://the u:hunter\n2@h/a b", "http://the u:…@h/a b"),
        ("mysql://h/x?password=hunter `2&a=b", "mysql://h/x?password=…&a=b"),
        ("file:///srv/a b/c:d@e", "file:///srv/a b/c:d@e"),
        ("mysql://h/d?password=a://b&x=c:d&password=p@ss", "mysql://h/d?password=…&x=c:…"),
    ],
)
def test_a_password_may_have_blanks(address: str, shown: str) -> None:
    masked = without_password(address, is_address=True)
    assert (masked, without_password(masked, is_address=True)) == (shown, shown)


@pytest.mark.parametrize(
    "text",
    [
        "http://host:50051/a@b",
        "http://ann@host:50051/a@b",
        "http://ann@[::1]:50051/a@b",
        "file:///srv/x:y/a@b",
        "aws://[t:b]/db@x",
        "git+ssh://git@github.com/owner/name.git",
        "mysql://ann@db:3306/x?password-file=/a:b@c",
        "file:///srv/password=x/db",
    ],
)
def test_what_is_no_password_is_left_alone(text: str) -> None:
    assert (has_password(text), without_password(text)) == (False, text)
    check_no_password(text)


def test_a_word_that_begins_like_an_address_again_and_again_holds_nobody_up() -> None:
    text = "://a:" * 200_000
    assert (has_password(text), without_password(text)) == (False, text)
    assert without_password(f"{text}@ {text}") == f"://a:…@ {text}"
    text = "://" + "[" * 200_000 + "@"
    assert (has_password(text), without_password(text)) == (False, text)


@given(st.text("aB1/@:[]?# %.&;=\n", max_size=24), st.sampled_from(["mysql", "http", "MYSQL"]))
@example("[:x]pw@h/db", "mysql")
def test_whatever_python_takes_for_a_password_is_found(rest: str, scheme: str) -> None:
    url = f"{scheme}://{rest}"
    try:
        password = urlsplit(url).password
    except ValueError:
        return
    assert password is None or has_password(url)


def test_a_mistyped_address_shows_no_password(tmp_path: Path) -> None:
    with pytest.raises(DatabaseNotFoundError) as caught:
        Database.at("MYSQL://root:hunter2@h/db")
    assert str(caught.value) == "There is no folder `MYSQL://root:…@h/db`."


def _endpoint(text: str) -> Endpoint:
    with Address.parse(text).serving() as endpoint:
        return endpoint


def test_where_a_password_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _endpoint("mysql://db/x").password == ""
    monkeypatch.setenv("DOLTFLOW_PASSWORD", "of the variable")
    assert _endpoint("mysql://db/x").password == "of the variable"
    (tmp_path / "one").write_text("of a file\n")
    (tmp_path / "two").write_text(" of another\r\n")
    monkeypatch.setenv("DOLTFLOW_PASSWORD_FILE", str(tmp_path / "one"))
    assert _endpoint("mysql://db/x").password == "of a file"
    found = _endpoint(f"mysql://db/x?password-file={tmp_path / 'two'}")
    assert found.password == " of another"
    assert "another" not in repr(found)
    with pytest.raises(SettingsError, match="cannot be read"):
        _endpoint(f"mysql://db/x?password-file={tmp_path / 'three'}")


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("", []),
        ("a:b/c", ["a", "b/c"]),
        ("mysql://root@db:3306", ["mysql://root@db:3306"]),
        ("mysql://db", ["mysql://db"]),
        (
            "a:mysql://root@db:3306/x?ssl-ca=/y:mysql://db/z:/b",
            ["a", "mysql://root@db:3306/x?ssl-ca=/y", "mysql://db/z", "/b"],
        ),
        ("mysql://root@[::1]:3306/db:b", ["mysql://root@[::1]:3306/db", "b"]),
        ("a:mysql://root:secret@db:3306/x:b", ["a", "mysql://root:secret@db:3306/x", "b"]),
        ("mysql://root@db:3306?ssl-mode=REQUIRED:b", ["mysql://root@db:3306?ssl-mode=REQUIRED", "b"]),
        ("mysql://root@db:3306:mysql://other", ["mysql://root@db:3306", "mysql://other"]),
    ],
)
def test_a_variable_names_folders_and_addresses(text: str, places: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOLTFLOW_DATABASES", text)
    assert places_set() == places


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("`mysql://root:hunter2@h/db` is", "`mysql://root:…@h/db` is"),
        ("MYSQL://root:p:w@x@h", "MYSQL://root:…@h"),
        ("http://u:hunter2@h/db and mysql://b@h:3306/x", "http://u:…@h/db and mysql://b@h:3306/x"),
        ("mysql://h/x?password=hunter2&ssl-ca=/a", "mysql://h/x?password=…&ssl-ca=/a"),
        ("a: b@c, mysql://h:3306/x", "a: b@c, mysql://h:3306/x"),
    ],
)
def test_no_error_says_a_password(text: str, shown: str) -> None:
    said = UsageError(text, text)
    assert (said.message, said.hint, str(said)) == (shown, shown, f"{shown} {shown}")
