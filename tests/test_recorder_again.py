"""Runs that read what an earlier run read, and every Python line of the founding document's pages on it."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import FlowRun, dolt, footprint, head, sql
from flows.harness import World, commits, rows, trailers, world

from doltflow import DoltDT
from doltflow.errors import AccessNotFoundError
from doltflow.model import Access, Pathspec, Record
from doltflow.recorder.audit import Audit

REPORT = """
def told(call):
    try:
        found = call()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return found if isinstance(found, str) else found.astype(str).to_dict("list")
"""


@dataclass(frozen=True)
class Pipeline:
    """Both flows ran; then the prices changed and they ran again; then reruns read what the first ones read."""

    world: World
    prices: Path
    analysis: Path
    medians: list[FlowRun]
    variances: list[FlowRun]
    past: list[str]
    made: dict[str, str]
    before: list[dict[str, str]]

    def notebook(self, code: str, **variables: str) -> Any:
        names = {f"medians{n}": run.pathspec for n, run in enumerate(self.medians)}
        names |= {f"variances{n}": run.pathspec for n, run in enumerate(self.variances)}
        given = "\n".join(f"{name} = {path!r}" for name, path in names.items())
        return self.world.notebook(f"{REPORT}\n{given}\n{code}", **variables)

    def artifact(self, run: FlowRun) -> dict[str, Any]:
        return self.notebook(f"result = Run({run.pathspec!r}).data.dolt")


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with world(tmp_path_factory.mktemp("again")) as here:
        prices = here.database(
            "prices-db",
            "create table hospitals (npi_number int primary key, state varchar(2))",
            "insert into hospitals values (1, 'NY'), (2, 'CA'), (3, null)",
            "create table prices (npi_number int, code varchar(10), price double, primary key (npi_number, code))",
            "insert into prices values (1, '001', 1), (2, '001', 3), (1, 'nan,5', 7), (2, 'nan,5', 8), (3, '001', 99)",
            "create table extra (id int primary key)",
        )
        analysis = here.database("analysis-db")
        before = [footprint(prices), footprint(analysis)]
        past = [head(prices)]
        medians, variances = [here.run("medians_flow.py")], [here.run("variances_flow.py")]
        dolt(
            prices,
            "sql",
            "-q",
            "update prices set price = 10 * price; insert into extra values (1); call dolt_commit('-am', 'Dearer')",
        )
        past.append(head(prices))
        medians.append(here.run("medians_flow.py"))
        variances.append(here.run("variances_flow.py"))
        made = {
            commit["message"].split("\n")[0].split("/")[1]: commit["commit_hash"] for commit in commits(analysis)[:-1]
        }
        # Reruns, on a branch of their own.
        dolt(analysis, "branch", "again", "main~4")
        again = ("--hospital-price-analysis-db-branch", "again", "--historical-run-path")
        medians.append(here.run("medians_flow.py", *again, medians[0].pathspec))
        for form in ("run", "audit"):
            variances.append(here.run("variances_flow.py", *again, variances[0].pathspec, "--form", form))
        yield Pipeline(here, prices, analysis, medians, variances, past, made, before)


def commit_of(pipeline: Pipeline, run: FlowRun) -> str:
    return pipeline.made[run.pathspec.split("/")[1]]


def test_the_results(pipeline: Pipeline) -> None:
    assert rows(pipeline.analysis, "state_procedure_medians", "state, code") == [
        {"state": "CA", "code": "001", "price": 30}, {"state": "CA", "code": "nan,5", "price": 80},
        {"state": "NY", "code": "001", "price": 10}, {"state": "NY", "code": "nan,5", "price": 70},
    ]  # fmt: skip
    assert rows(pipeline.analysis, "variance_by_procedure") == [{"code": "001", "price": 200}]
    assert rows(pipeline.analysis, "variance_by_procedure", ref=commit_of(pipeline, pipeline.variances[0])) == [
        {"code": "001", "price": 2}
    ]


def test_a_rerun_reads_what_the_run_read_and_is_recorded_as_its_own(pipeline: Pipeline) -> None:
    """The medians read a table and a query from the audit and write to a context of its own."""
    first, rerun = pipeline.artifact(pipeline.medians[0]), pipeline.artifact(pipeline.medians[2])
    for key in ("prices", "states"):
        assert rerun["actions"][key]["commit"] == first["actions"][key]["commit"] == pipeline.past[0]
        assert rerun["actions"][key]["pathspec"] == f"{pipeline.medians[2].pathspec}/start/1"
        assert rerun["actions"][key]["config_id"] == first["actions"][key]["config_id"]
    assert rerun["actions"]["state_procedure_medians"]["commit"] == head(pipeline.analysis, "again~2")
    old = commit_of(pipeline, pipeline.medians[0])
    assert rows(pipeline.analysis, "state_procedure_medians", "state, code", "again") == rows(
        pipeline.analysis, "state_procedure_medians", "state, code", old
    )


@pytest.mark.parametrize(("number", "form", "ref"), [(2, "run", "again~1"), (3, "audit", "again")])
def test_a_rerun_reads_from_the_run_and_writes_to_its_branch(
    pipeline: Pipeline, number: int, form: str, ref: str
) -> None:
    run = pipeline.variances[number]
    artifact = pipeline.artifact(run)
    read, write = artifact["accesses"]
    assert (read["kind"], read["tables"], read["pathspec"]) == (
        "read", ["state_procedure_medians"], f"{run.pathspec}/start/1",
    )  # fmt: skip
    assert read["commit"] == commit_of(pipeline, pipeline.medians[0]), "though the branch has moved twice"
    assert (write["kind"], write["branch"], write["commit"]) == ("write", "again", head(pipeline.analysis, ref))
    assert rows(pipeline.analysis, "variance_by_procedure", ref=ref) == [{"code": "001", "price": 2}]
    message = next(c["message"] for c in commits(pipeline.analysis, "again") if c["commit_hash"] == write["commit"])
    (told,) = [value for name, value in trailers(message) if name == "Read"]
    assert told == {
        "database": "analysis-db", "branch": "main", "commit": read["commit"], "tables": ["state_procedure_medians"],
    }  # fmt: skip


def test_the_founding_documents_lines(pipeline: Pipeline) -> None:
    found = pipeline.notebook("""
from metaflow import Flow
result = []
dolt = DoltDT(run=Flow('VariancesFlow').latest_successful_run)
df = dolt.read('variance_by_procedure')
result.append(df.to_dict("list"))

downstream_doltdt = DoltDT(config=DoltConfig(database='analysis-db'))
run = downstream_doltdt.get_run('variance_by_procedure')
result.append(run)

commit = Run('/'.join(run.split('/')[:2])).data.dolt['actions']['state_procedure_medians']['commit']
run = downstream_doltdt.get_run('state_procedure_medians', commit)
result.append(run)

upstream_doltdt = DoltDT(run=Run('/'.join(run.split('/')[:2])))
df = upstream_doltdt.read('prices')
result.append(df["price"].tolist())

doltdt = DoltDT(run=Run(variances0))
df = doltdt.read('variance_by_procedure')
result.append(df.to_dict("list"))
""")
    assert found == [
        {"code": ["001"], "price": [2.0]},
        f"{pipeline.variances[1].pathspec}/start/1",
        f"{pipeline.medians[1].pathspec}/start/1",
        [10.0, 70.0, 30.0, 80.0, 990.0],
        {"code": ["001"], "price": [2.0]},
    ]


def test_what_a_notebook_reads_again(pipeline: Pipeline) -> None:
    found = pipeline.notebook("""
namespace("user:nobody")
medians = DoltDT(run=medians0)
variances = DoltDT(run=variances0 + "/start")
with medians:
    def differences():
        return variances.diff("main~2", "main", "variance_by_procedure")["variance_by_procedure"][["to_price"]]
    result = {
        "by key": told(lambda: medians.read("states")),
        "by table": told(lambda: medians.read("hospitals", where="npi_number = 3", columns=["npi_number"])),
        "read": told(lambda: medians.read("prices", columns="price", where="code <> '001'")),
        "written": told(lambda: medians.read("state_procedure_medians", columns="price")),
        "queried": told(lambda: medians.sql("select max(price) as m from prices", "new key")),
        "queried by key": told(lambda: medians.sql("select count(*) as n from prices", "states")),
        "queried what was written": told(lambda: medians.sql("select max(price) m from state_procedure_medians", "x")),
        "in another order": told(lambda: variances.read("VARIANCE_BY_PROCEDURE", dtypes="numpy")),
        "run of what was read": told(lambda: variances.get_run("state_procedure_medians")),
        "run of what was written": told(lambda: variances.get_run("variance_by_procedure")),
        "run on the branch": told(lambda: variances.get_run("variance_by_procedure", "main")),
        "changed": told(differences),
        "wrong key": told(lambda: medians.read("pricse")),
        "wrong query": told(lambda: medians.sql("select 1 from nothing", "stats")),
        "columns of a query": told(lambda: medians.read("states", columns=["state"])),
        "write": told(lambda: medians.write(None, "x")),
        "namespace": get_namespace(),
    }
""")
    assert found == {
        "by key": {"npi_number": ["1", "2"], "state": ["NY", "CA"]},
        "by table": {"npi_number": ["3"]},
        "read": {"price": ["7.0", "8.0"]},
        "written": {"price": ["3.0", "8.0", "1.0", "7.0"]},
        "queried": {"m": ["99.0"]},
        "queried by key": {"n": ["5"]},
        "queried what was written": {"m": ["8.0"]},
        "in another order": {"code": ["001"], "price": ["2.0"]},
        "run of what was read": f"{pipeline.medians[0].pathspec}/start/1",
        "run of what was written": f"{pipeline.variances[0].pathspec}/start/1",
        "run on the branch": f"{pipeline.variances[1].pathspec}/start/1",
        "changed": {"to_price": ["200.0"]},
        "wrong key": "AccessNotFoundError: The run that is read from has neither read nor written `pricse`. "
        "Did you mean `prices`?",
        "wrong query": "AccessNotFoundError: The run that is read from has no key `stats` and has not touched the "
        "tables that the query reads. Did you mean `states`?",
        "columns of a query": "UsageError: `states` is a query's result, of which no `columns` or `where` can be "
        "taken.",
        "write": "NotInFlowError: `x` was not written: a write is recorded with the step that makes it, and no step is "
        "running. Write in a step of a Metaflow flow, or use `dolt table import`.",
        "namespace": "user:nobody",
    }


def test_a_table_that_the_run_did_not_touch_is_read_as_the_run_saw_its_database(pipeline: Pipeline) -> None:
    found = pipeline.notebook("""
both = {name: DoltDT(run=medians0, config=DoltConfig(database=f"{name}-db")) for name in ("prices", "analysis")}
result = [
    told(lambda: both["prices"].read("extra")),
    told(lambda: both["prices"].sql("select count(*) as n from extra", "n")),
    told(lambda: both["prices"].read("EXTRAS")),
    told(lambda: both["analysis"].read("extra")),
    told(lambda: both["analysis"].read("prices", columns="price", where="npi_number = 3")),
    told(lambda: both["analysis"].get_run("variance_by_procedure")),
]
""")
    nothing = "AccessNotFoundError: The run that is read from has read nothing of `analysis-db`, so it does not tell at"
    assert found[:2] == [{"id": []}, {"n": ["0"]}]
    assert found[2].startswith("TableNotFoundError: `prices-db` has no table `EXTRAS` at commit")
    assert found[3].startswith(nothing)
    assert found[4:] == [{"price": ["99.0"]}, f"{pipeline.variances[1].pathspec}/start/1"]


def test_which_access_a_name_means() -> None:
    def access(step: str, kind: str, commit: str, **told: Any) -> Access:
        return Access(kind, told.pop("key", "t"), "db", "main", commit, **{"tables": ("t",), "table_name": "t"} | told,
                      pathspec=f"Flow/1/{step}/1")  # type: ignore[arg-type]  # fmt: skip

    accesses = (
        access("start", "read", "1"),
        access("start", "write", "2"),
        access("middle", "read", "3", key="k"),
        access("middle", "read", "4", key="q", tables=("t", "u"), table_name=None),
        access("end", "write", "5"),
        access("end", "write", None, key="lost"),
    )
    audit = Audit(Record(accesses))
    start, middle, other = (Pathspec("Flow", "9", step, "1") for step in ("start", "middle", "none"))
    assert audit.find("t").commit == "5", "the last one under the key"
    assert audit.find("t", start).commit == "1", "a step that does its work again reads what it read"
    assert audit.find("t", middle).commit == "1"
    assert audit.find("t", Pathspec("Else", "9", "end", "1")).commit == "1"
    assert audit.find("k").commit == "3"
    assert audit.find("U", other).commit == "4", "of a query that took the table too"
    assert audit.of_query("new", ["t"]).commit == "5"
    assert audit.of_query("new", ["t"], task=middle).commit == "3"
    assert audit.of_query("q", ["t"]).commit == "4"
    with pytest.raises(
        AccessNotFoundError, match=r"the tables of the query `new` at several commits: `db` at 4, `db` at 5"
    ):
        audit.of_query("new", ["t", "u"])
    with pytest.raises(AccessNotFoundError, match=r"`db` at several commits"):
        audit.of_query("new", ["v"], "db")
    with pytest.raises(AccessNotFoundError, match="neither read nor written `lost`"):
        audit.find("lost")
    with pytest.raises(AccessNotFoundError, match="It recorded no access at all"):
        Audit(Record()).find("t")


def test_runs_that_cannot_be_read_from(pipeline: Pipeline) -> None:
    found = pipeline.notebook("""
result = [told(lambda name=name: DoltDT(run=name)) for name in
          ("VariancesFlw/1", "VariancesFlow/1", variances0 + "/strat", variances0 + "/start/9", "no run")]
""")
    assert [text.split(":")[0] for text in found] == ["RunNotFoundError"] * 5
    assert "`VariancesFlow`" in found[0]
    assert "`start`" in found[2]
    missing = pipeline.notebook("result = told(lambda: DoltDT(run=variances0))", METAFLOW_DATASTORE_SYSROOT_LOCAL="/")
    assert missing.startswith("StoreNotFoundError")


def moved(pipeline: Pipeline, folder: Path) -> dict[str, Any]:
    """The first medians' artifact, as if its databases had been elsewhere; the prices are now in a folder."""
    shutil.copytree(pipeline.prices, folder / "prices-db")
    text = json.dumps(pipeline.artifact(pipeline.medians[0]))
    artifact: dict[str, Any] = json.loads(text.replace(str(pipeline.world.folder), "/gone"))
    return artifact


@pytest.mark.folder
def test_a_database_that_was_moved_is_found_by_its_name(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact = moved(pipeline, tmp_path / "new")
    with pytest.raises(Exception, match=r"`prices-db` of .*/start/1 is neither at /gone/prices-db nor in "):
        DoltDT(audit=artifact).read("prices")
    monkeypatch.chdir(tmp_path / "new")
    assert DoltDT(audit=artifact).read("prices")["price"].max() == 99
    monkeypatch.chdir(tmp_path / "new" / "prices-db")
    assert DoltDT(audit=artifact).read("prices")["price"].max() == 99
    (tmp_path / "other" / "prices-db").mkdir(parents=True)
    dolt(tmp_path / "other" / "prices-db", "init", "-b", "main", "--name", "Ann", "--email", "ann@example.com")
    monkeypatch.chdir(tmp_path / "other")
    with pytest.raises(Exception, match=f"saw `prices-db` at {pipeline.past[0]}, a commit that the database in"):
        DoltDT(audit=artifact).read("prices")


def original(pipeline: Pipeline) -> dict[str, Any]:
    """The first medians' artifact as the original integration would have written it."""
    artifact = pipeline.artifact(pipeline.medians[0])
    return {name: artifact[name] for name in ("actions", "configs")}


@pytest.mark.folder
def test_an_artifact_of_the_original_integration(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact = original(pipeline)
    monkeypatch.chdir(pipeline.world.folder)
    reader = DoltDT(audit=artifact)
    assert reader.read("prices")["price"].max() == 99
    assert reader.read("states")["state"].tolist() == ["NY", "CA"]
    assert reader.read("hospitals")["npi_number"].tolist() == [1, 2, 3], "of the query's table"
    assert len(reader.read("state_procedure_medians")) == 4
    assert reader.sql("select count(*) as n from prices join hospitals using (npi_number)", "n")["n"].tolist() == [5]

    paths = {"prices-db": "/Users/oscar/dolt-dbs/prices-db/", "analysis-db": "../elsewhere/analysis-db"}
    for config in artifact["configs"].values():
        config["database"] = paths[config["database"]]
    assert DoltDT(audit=artifact).read("prices")["price"].max() == 99, "found by the last part of its path"
    artifact["actions"]["states"]["query"] = "drop table prices"
    with pytest.raises(Exception, match="no SELECT"):
        DoltDT(audit=artifact).read("states")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Exception, match="neither at /Users/oscar/dolt-dbs/prices-db/ nor in"):
        DoltDT(audit=artifact).read("prices")


def test_nothing_else_of_the_databases_has_changed(pipeline: Pipeline) -> None:
    dolt(pipeline.analysis, "branch", "-D", "again")
    assert [footprint(pipeline.prices), footprint(pipeline.analysis)] == pipeline.before
    assert len(sql(pipeline.prices, "select * from dolt_log")) == 3
