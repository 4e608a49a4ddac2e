"""Addresses of databases on servers: what they say, and what they must not say."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doltflow import DoltConfig
from doltflow.errors import SettingsError, UsageError
from doltflow.sources.dolt.address import Address
from doltflow.sources.dolt.database import places_set
from doltflow.sources.dolt.endpoint import Endpoint

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
        ("mysql://ann:hun@ter2@db/x", ["has a password in it"]),
        ("mysql://ann:@db/x", ["has a password in it"]),
        ("mysql:///x", ["names no host"]),
        ("mysql://db/x/main", ["`x/main`", "`branch=`"]),
        ("mysql://db/x#main", ["`#`"]),
        ("mysql://db:port/x", ["is no address", "mysql://user@host:port/database"]),
        ("mysql://db:99999/x", ["is no address"]),
        ("mysql://db/x?ssl-mod=REQUIRED", ["`ssl-mod`", "Did you mean `ssl-mode`"]),
        ("mysql://db/x?ssl-mode=maybe", ["MAYBE", "VERIFY_IDENTITY"]),
        ("mysql://db/x?password=hunter2", ["`password`"]),
        ("mysql://db", ["names a server and no database"]),
    ],
)
def test_what_is_no_address_of_a_database(text: str, said: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        DoltConfig(database=text)
    assert [part for part in said if part not in str(caught.value)] == []
    assert "ter2" not in str(caught.value)


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
