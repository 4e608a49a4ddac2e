"""What others put into a store is read as plain data: nothing of it is run, and what is refused or damaged is named."""

import gzip
import hashlib
import json
import pickle
import pickletools
import shutil
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import make_database, run_flow
from flows.harness import world

from doltflow.audit import audit
from doltflow.diff import diff
from doltflow.runs import runs
from doltflow.show import show
from doltflow.sources.metaflow.plain import NotPlain, plain
from doltflow.trace import trace


class Evil:
    """What makes a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.file), "w")


@dataclass(frozen=True)
class Stored:
    """A folder with two databases and a store, in which mallory ran a flow."""

    folder: Path
    run: str

    def data(self, task: str) -> Path:
        """The file that names the artifacts of a task."""
        return self.folder / ".metaflow" / self.run / task / "0.data.json"

    def put(self, task: str, name: str, content: bytes, kept: Callable[[bytes], bytes] = gzip.compress) -> None:
        """Makes an artifact another one."""
        key = hashlib.sha1(content).hexdigest()
        file = self.folder / ".metaflow" / "FanFlow" / "data" / key[:2] / key
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(kept(content))
        file.with_name(f"{key}_meta").write_text(json.dumps({"cas_raw": False, "cas_version": 1}))
        data = json.loads(self.data(task).read_text())
        data["objects"][name] = key
        self.data(task).write_text(json.dumps(data))


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stored]:
    with world(tmp_path_factory.mktemp("trusted")) as here, pytest.MonkeyPatch.context() as patch:
        patch.setenv("METAFLOW_USER", "mallory")
        given = "create table given (id int primary key, v int)"
        make_database(here.folder / "numbers", given, "insert into given values (1, 10), (2, 20)")
        make_database(here.folder / "sums")
        (here.folder / "notes.txt").write_text("What was counted")
        run_id = run_flow(here.folder, "fan_flow.py", "--max-workers", "1").pathspec.rpartition("/")[2]
        yield Stored(here.folder, f"FanFlow/{run_id}")


@pytest.fixture
def stored(template: Stored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stored:
    shutil.copytree(template.folder, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return Stored(tmp_path / "copy", template.run)


TASKS = ("start/1", "fan/2", "fan/3", "join/4", "end/5")
REASON = f"it holds `{open.__module__}.open`, and no plain data alone."


def everything(run: str) -> list[Any]:
    """What each command finds."""
    return [runs(), show(run), trace("products"), audit(), diff(run, "sums@main")]


# Other users


def test_the_runs_of_another_user_are_seen_and_say_whose_they_are(stored: Stored):
    assert [(run.pathspec, run.user) for run in runs().runs] == [(stored.run, "mallory")]
    assert show("FanFlow/latest").run.user == "mallory"
    graph = trace("products").graph
    assert {attributes["user"] for _, attributes in graph.nodes(data=True) if attributes["kind"] == "run"} == {
        "mallory"
    }
    assert audit().findings == ()


def test_the_parameters_are_what_the_flow_saw_in_a_store_that_was_moved_too(stored: Stored):
    expected = {"numbers": "numbers", "sums": "sums", "factors": [1, 2], "notes": "What was counted"}
    assert show("FanFlow/latest").run.parameters == expected


# What is more than plain data


def test_a_record_that_would_run_code_is_refused_and_the_commits_tell_the_rest(stored: Stored, tmp_path: Path):
    file = tmp_path / "made"
    blob = pickle.dumps({"actions": {}, "configs": {}, "more": Evil(file)}, 4)
    before = set(show(stored.run).run.accesses)
    for task in TASKS:
        stored.put(task, "dolt", blob)
    for found in everything(stored.run):
        for task in TASKS:
            told = [warning for warning in found.warnings if f"{stored.run}/{task}" in warning]
            if not hasattr(found, "findings"):
                sentence = f"The artifact `dolt` of {stored.run}/{task} is not read: {REASON}"
                assert told == [f"{stored.run}/{task}: {sentence}"]
    findings = audit().findings
    assert {finding.kind for finding in findings} >= {"artifact-broken"}
    assert sum(finding.kind == "artifact-broken" for finding in findings) == len(TASKS)
    after = set(show(stored.run).run.accesses)
    assert {(one.kind, one.tables, one.commit) for one in after} == {(o.kind, o.tables, o.commit) for o in before}
    assert not file.exists()
    pickle.loads(blob)["more"].close()
    assert file.exists()


def test_a_parameter_that_would_run_code_is_shown_as_not_read(stored: Stored, tmp_path: Path):
    file = tmp_path / "made"
    stored.put("_parameters/0", "factors", pickle.dumps([Evil(file)], 4))
    sentence = f"The artifact `factors` of {stored.run}/_parameters/0 is not read: {REASON}"
    results = everything(stored.run)
    assert [sentence in result.warnings for result in results] == [True, True, True, False, True]
    assert repr(show(stored.run).run.parameters["factors"]) == "not read: it is no plain value"
    assert audit().findings == ()
    assert not file.exists()


@pytest.mark.parametrize("name", ["_graph_info", "_success", "_task_ok", "_foreach_stack"])
def test_what_metaflow_keeps_of_a_task_runs_nothing_either(stored: Stored, tmp_path: Path, name: str):
    file = tmp_path / "made"
    for task in ("_parameters/0", *TASKS):
        stored.put(task, name, pickle.dumps([Evil(file)], 4))
    for result in everything(stored.run):
        assert result is not None
    assert trace("products", zoom="task").graph.number_of_nodes() > 0
    warnings = [warning for warning in trace("products", zoom="task").warnings if f"`{name}`" in warning]
    assert warnings or name in ("_task_ok",)
    assert not file.exists()


@pytest.mark.parametrize(
    "graph",
    [
        {"steps": {"start": 1, "fan": {"next": 3, "decorators": [4]}}},
        {"parameters": [1]},
        pytest.param({"steps": 5}, marks=pytest.mark.long),
        pytest.param([1], marks=pytest.mark.long),
    ],
)
def test_a_structure_that_makes_no_sense_is_no_defect(stored: Stored, graph: object):
    for task in ("_parameters/0", *TASKS):
        stored.put(task, "_graph_info", pickle.dumps(graph, 4))
    assert all(result is not None for result in everything(stored.run))
    assert trace("products", zoom="task").graph.number_of_nodes() > 0


def test_a_file_that_a_parameter_included_is_in_the_store_and_nowhere_else(stored: Stored, tmp_path: Path):
    from metaflow.includefile import IncludedFile

    secret = tmp_path / "secret"
    secret.write_bytes(gzip.compress(b"secret"))
    place = {"type": "uploader-v2", "is_text": True, "encoding": None, "url": f"local://{secret}"}
    for kind in ("uploaded", "external"):
        described = {**place, "sub-type": kind}
        stored.put("_parameters/0", "notes", pickle.dumps(IncludedFile(described), 4))
        assert show(stored.run).run.parameters["notes"] == described


# What is damaged


@pytest.mark.parametrize(
    ("kept", "why"),
    [
        (lambda content: gzip.compress(content)[:-20], "Compressed file ended before the end-of-stream marker"),
        (lambda content: b"no gzip", "Not a gzipped file"),
        (lambda content: gzip.compress(content[: len(content) // 2]), "pickle data was truncated"),
    ],
    ids=["cut off", "no gzip", "half a pickle"],
)
def test_a_damaged_artifact_is_named_and_the_rest_is_told(stored: Stored, kept: Callable[[bytes], bytes], why: str):
    content = pickle.dumps({"actions": {}, "configs": {}, "accesses": [], "padding": "x" * 1000}, 4)
    stored.put("join/4", "dolt", content, kept)
    stored.put("_parameters/0", "factors", content, kept)
    result = show(stored.run)
    task, constants = f"{stored.run}/join/4", f"{stored.run}/_parameters/0"
    (of_task,) = [warning for warning in result.warnings if warning.startswith(f"{task}: ")]
    assert of_task.startswith(f"{task}: The artifact `dolt` of {task} cannot be read: ")
    assert why in of_task
    assert any(warning.startswith(f"The artifact `factors` of {constants} cannot") for warning in result.warnings)
    assert repr(result.run.parameters["factors"]) == "not read: it is damaged or gone"
    assert {access.tables for access in result.run.accesses} == {
        ("given",), ("times_1",), ("times_2",), ("products",)
    }  # fmt: skip
    broken = [finding.message for finding in audit().findings if finding.kind == "artifact-broken"]
    assert len(broken) == 2
    assert sorted(message.split(": ")[0] for message in broken) == sorted([task, constants])


def test_what_unpacks_to_more_than_a_machine_has_is_not_read(stored: Stored):
    bomb = gzip.compress(b"\0" * (1 << 20)) * 257
    stored.put("join/4", "dolt", b"a bomb", lambda _: bomb)
    task = f"{stored.run}/join/4"
    assert [warning for warning in show(stored.run).warnings if task in warning] == [
        f"{task}: The artifact `dolt` of {task} is not read: it unpacks to more than 256 MiB."
    ]


# Plain data itself


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_data_is_read_as_it_was_written(protocol: int):
    value = {"a": [1, 2.5, None, True, "größe", b"\x00\xff", b"", (1, (2,)), {3}, frozenset([4]), 10**40, -1]}
    assert plain(pickle.dumps(value, protocol)) == value


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_nothing_that_a_pickle_names_is_called(tmp_path: Path, protocol: int):
    file = tmp_path / "made"
    with pytest.raises(NotPlain, match=r"open`"):
        plain(pickle.dumps([Evil(file)], protocol))
    assert not file.exists()


@pytest.mark.parametrize(
    "blob",
    [
        b"cmetaflow.includefile\nIncludedFile\n(S'x'\nI1\nd(S'y'\nI1\nd\x86b.",
        b"c_codecs\nencode\n(S'x'\nI1\nd(S'y'\nI1\nd\x86b.",
        b"cbuiltins\nset\n(S'x'\nI1\nd(S'y'\nI1\nd\x86b.",
        b"c__main__\nForeachFrame\n(S'x'\nI1\nd(S'y'\nI1\nd\x86b.",
        b"cbuiltins\nstr\n(I1\ntR.",
        b"cbuiltins\nbytes\n(I9999999999\ntR.",
        b"cmetaflow.user_configs.config_parameters\nConfigValue\n(I1\ntR.",
        b"\x80\x02cbuiltins\nset\n\x82\x01.",
        b"Pid\n.",
    ],
)
def test_nothing_is_set_or_made_but_plain_data(blob: bytes):
    with pytest.raises(Exception, match=r".*"):
        plain(blob)
    assert plain(pickle.dumps({b"1"}, 2)) == {b"1"}


def test_few_bytes_make_no_endless_data():
    laughs: list[Any] = ["ha"] * 10
    for _ in range(12):
        laughs = [laughs] * 10
    loop: list[Any] = []
    loop.append(loop)
    deep: list[Any] = []
    for _ in range(300):
        deep = [deep]
    for value in (laughs, loop, deep):
        with pytest.raises(NotPlain, match="more"):
            plain(pickle.dumps(value, 4))


def text(amount: int) -> bytes:
    return b"X" + amount.to_bytes(4, "little") + b"x" * amount


NUMBERS = b"(" + b"".join(b"M" + number.to_bytes(2, "little") for number in range(50_000))


@pytest.mark.parametrize(
    "blob",
    [
        pickle.dumps([[()] * 100_000] * 400, 4),
        pickle.dumps([dict.fromkeys(range(60_000), ())] * 600, 4),
        b"\x80\x02](" + NUMBERS + b"lq\0" + b"cbuiltins\nset\nq\x01" + b"h\x01h\0\x85R" * 200 + b"e.",
        b"\x80\x02](" + NUMBERS + b"lq\0" + b"cbuiltins\nset\nh\0\x85R" * 200 + b"e.",
        b"\x80\x02](" + NUMBERS + b"tq\0" + b"c__main__\nForeachFrame\nh\0R" * 600 + b"e.",
        b"\x80\x02](" + text(900_000) + b"q\0" + b"c_codecs\nencode\nh\0\x85R" * 200 + b"e.",
        b"Nr" + (20_000_000).to_bytes(4, "little") + b".",
        b"N" + text(3) + b"(cbuiltins\nset\nK\x01J\0\0\0\0r" + (20_000_000).to_bytes(4, "little") + b".",
        b"Np20000000\n.",
    ],
    ids=["lists", "dicts", "one set", "sets", "frames", "bytes", "number", "number behind others", "old number"],
)
def test_few_bytes_take_no_endless_memory(blob: bytes):
    tracemalloc.start()
    try:
        with pytest.raises(NotPlain, match=r"more|too high"):
            plain(blob)
        assert tracemalloc.get_traced_memory()[1] < 150 << 20
    finally:
        tracemalloc.stop()


DEEP = b"N" + b"\x85" * 1_000_000
DOUBLED = b"N" + b"q\0h\0\x86" * 40
HASHING = (
    b"}KEYNs",
    b"}(KEYNu",
    b"(KEYNd",
    b"\x8f(KEY\x90",
    b"(KEY\x91",
    b"(cbuiltins\nset\n]KEYao",
    b"(]KEYaibuiltins\nset\n",
    b"cbuiltins\nset\n]KEYa\x85R",
    b"cbuiltins\nfrozenset\n(KEYt\x85R",
    b"}c__main__\nForeachFrame\nKEY\x85\x81Ns",
)
WIDE = b"(" + b"N" * 100_000 + b"tq\0"


@pytest.mark.parametrize(
    "blob",
    [
        *(b"\x80\x04" + code.replace(b"KEY", key) + b"." for key in (DEEP, DOUBLED) for code in HASHING),
        b"\x80\x02}" + WIDE + b"Ns" + b"h\0Ns" * 10_000 + b".",
        b"\x80\x02}(" + WIDE + b"N" + b"h\0N" * 10_000 + b"u.",
        b"\x80\x02}" + b"(c__main__\nForeachFrame\n" * 100_000 + b"N" + b"o" * 100_000 + b"Ns.",
        b"\x80\x02}" + b"(" * 100_000 + b"N" + b"i__main__\nForeachFrame\n" * 100_000 + b"Ns.",
        b"\x80\x04c__main__\nForeachFrame\nq\x01)\x81" + b"q\0h\x01h\0h\0\x86\x81" * 40 + b"q\0}h\0Ns.",
    ],
)  # fmt: skip
def test_a_key_that_takes_for_ever_is_refused(blob: bytes):
    """Python makes the hash of a tuple anew each time, and without a look at how deep it goes."""
    with pytest.raises(NotPlain, match="more"):
        plain(blob)


@pytest.mark.parametrize("code", [b"\x96", b"\x8e", b"\x8d"])
@pytest.mark.parametrize("before", [b"", b"}N\x85Ns0"])
def test_no_room_is_made_for_what_is_cut_off(code: bytes, before: bytes):
    tracemalloc.start()
    try:
        with pytest.raises(pickle.UnpicklingError, match="truncated"):
            plain(b"\x80\x05" + before + code + (1 << 30).to_bytes(8, "little") + b"x.")
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_tuples_are_keys(protocol: int):
    key = ("a", (1, (2.5, None)), frozenset({("b",), (("c", 1),)}))
    value = {key: [key, key], "rest": {(number, (number,)): {(str(number), key)} for number in range(1000)}}
    assert plain(pickle.dumps(value, protocol)) == value
    assert plain(pickletools.optimize(pickle.dumps(value, protocol))) == value


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_large_plain_data_is_read(protocol: int):
    numbers = list(range(100_000))
    value = {
        "numbers": numbers,
        "again": numbers,
        "sets": [set(numbers), {"x"}],
        "text": "größe\n" * 9000,
        "n": 1 << 9000,
    }
    assert plain(pickle.dumps(value, protocol)) == value
    assert plain(pickletools.optimize(pickle.dumps(value, protocol))) == value
