"""What a commit spoiled: versions, runs and heads of branches, over databases, and what has become clean again."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import networkx
import pytest
from conftest import head, sql
from histories import Histories, histories_here

from doltflow.cli import main
from doltflow.errors import DatabaseNotFoundError, RefNotFoundError, TableNotFoundError, UsageError
from doltflow.impact import ImpactResult, impact

ADD = "insert into {} values ({}, {})"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Histories]:
    """Two databases, `prices` with a table of that name and `codes`, and `made` with `medians` and `sums`."""
    with histories_here(tmp_path, monkeypatch) as made:
        made.database("prices", "prices", "codes")
        made.database("made", "medians", "sums")
        yield made


def hand(here: Histories, number: int, table: str = "prices", name: str = "prices", **more: Any) -> str:
    """A commit by hand that adds a row."""
    return here.by_hand(name, ADD.format(table, number, number), **more)


def medians(here: Histories, run: int, at: str, **more: Any) -> str:
    """A run that makes the medians of the prices at a commit."""
    statements = ["delete from medians", ADD.format("medians", run, run)]
    return here.run("made", f"Medians/{run}/s/1", "medians", *statements, reads=[("prices", "prices", at)], **more)


def sums(here: Histories, run: int, at: str) -> str:
    """A run that makes the sums of the medians at a commit."""
    statements = ["delete from sums", ADD.format("sums", run, run)]
    return here.run("made", f"Sums/{run}/s/1", "sums", *statements, reads=[("made", "medians", at)])


def told(result: ImpactResult) -> tuple[set[tuple[str, str]], list[str], set[tuple[str, str, str]]]:
    """The tables with their commits, the runs, and the branches with their tables."""
    return (
        {(item.version.table, item.version.commit) for item in result.tables},
        [run.pathspec for run in result.runs],
        {(head.version.database, head.branch, head.version.table) for head in result.branches},
    )


def test_what_was_made_from_a_commit_over_databases(here: Histories) -> None:
    good = hand(here, 1)
    before = medians(here, 1, good)
    here.branch("made", "old")
    bad = hand(here, 2)
    here.branch("prices", "copy")
    first = medians(here, 2, bad)
    second = sums(here, 3, first)
    result = impact("prices@main")
    assert result.commit.hash == bad
    assert told(result) == (
        {("prices", bad), ("medians", first), ("sums", second)},
        ["Sums/3", "Medians/2"],
        {("prices", "main", "prices"), ("prices", "copy", "prices"), ("made", "main", "medians")}
        | {("made", "main", "sums")},
    )
    assert [item.run for item in result.tables] == [None, "Medians/2", "Sums/3"]
    assert told(impact("prices@HEAD~1"))[0] == {
        *(("prices", commit) for commit in (good, bad)),
        *(("medians", commit) for commit in (before, first)),
        ("sums", second),
    }
    assert ("made", "old", "medians") in told(impact("prices@main~1"))[2]


def test_a_later_version_by_hand_is_spoiled_until_the_table_is_what_it_was(here: Histories) -> None:
    hand(here, 1)
    bad = hand(here, 2)
    later = hand(here, 3)
    reverted = here.by_hand("prices", "delete from prices where id in (2, 3)")
    clean = hand(here, 4)
    wrong, right = medians(here, 5, later), medians(here, 6, clean)
    assert told(impact(f"prices@{bad}")) == (
        {("prices", bad), ("prices", later), ("medians", wrong)},
        ["Medians/5"],
        set(),
    )
    again = hand(here, 3)
    assert ("prices", again) not in told(impact(f"prices@{bad}"))[0]
    assert {reverted, right}.isdisjoint(commit for _, commit in told(impact(f"prices@{bad}"))[0])


def test_what_is_undone_after_the_next_load_is_clean_and_what_is_undone_in_part_is_not(here: Histories) -> None:
    hand(here, 1)
    hand(here, 4)
    bad = here.by_hand(
        "prices", "update prices set v = 9 where id = 1", "delete from prices where id = 4", ADD.format("prices", 2, 2)
    )
    load = hand(here, 3)
    parts = [
        here.by_hand("prices", "delete from prices where id = 2"),
        here.by_hand("prices", ADD.format("prices", 4, 44)),
    ]
    mended = here.by_hand("prices", "update prices set v = 8 where id = 1")
    after = hand(here, 5)
    wrong, right = medians(here, 6, parts[-1]), medians(here, 7, after)
    tables, runs, heads = told(impact(f"prices@{bad}"))
    assert tables == {("prices", commit) for commit in (bad, load, *parts)} | {("medians", wrong)}
    assert (runs, heads) == (["Medians/6"], set())
    assert {mended, right}.isdisjoint(commit for _, commit in tables)


def test_what_was_put_back_or_cherry_picked_is_spoiled_again(here: Histories) -> None:
    hand(here, 1)
    here.branch("prices", "side")
    bad = hand(here, 2)
    here.by_hand("prices", "delete from prices where id = 2")
    here.branch("prices", "reverted")
    again = hand(here, 2)
    here.branch("prices", "good", "reverted")
    picked = hand(here, 2, branch="side")
    hand(here, 3, branch="good")
    later = hand(here, 4)
    wrong, right = medians(here, 5, later), medians(here, 6, here.head("prices", "good"))
    assert told(impact(f"prices@{bad}")) == (
        {("prices", commit) for commit in (bad, again, later, picked)} | {("medians", wrong)},
        ["Medians/5"],
        {("prices", "main", "prices"), ("prices", "side", "prices")},
    )
    assert ("medians", right) not in told(impact(f"prices@{bad}", depth=9))[0]


def test_what_was_cherry_picked_beside_other_changes_is_spoiled(here: Histories) -> None:
    hand(here, 1)
    here.branch("prices", "side")
    bad = hand(here, 2, message="Load")
    hand(here, 3, branch="side", message="Load")
    (picked,) = (row[0] for row in here.rows("prices", f"call dolt_cherry_pick('{bad}')", "side"))
    later = hand(here, 4, branch="side")
    spoiled = medians(here, 5, later)
    assert told(impact(f"prices@{bad}")) == (
        {("prices", commit) for commit in (bad, picked, later)} | {("medians", spoiled)},
        ["Medians/5"],
        {("prices", "main", "prices"), ("prices", "side", "prices"), ("made", "main", "medians")},
    )
    here.by_hand("prices", "delete from prices where id = 2", branch="side")
    assert [head.branch for head in impact(f"prices@{bad}", table="prices").branches] == ["main", "main"]


def test_what_a_run_replaced_from_good_inputs_is_clean_and_what_it_updated_is_not(here: Histories) -> None:
    good = hand(here, 1)
    bad = hand(here, 2)
    wrong = medians(here, 1, bad)
    appended = here.run("made", "More/2/s/1", "medians", ADD.format("medians", 50, 0), mode="append")
    by_hand = hand(here, 51, "medians", "made")
    assert told(impact(f"prices@{bad}")) == (
        {("prices", bad), ("medians", wrong), ("medians", appended), ("medians", by_hand)},
        ["More/2", "Medians/1"],
        {("prices", "main", "prices"), ("made", "main", "medians")},
    )
    medians(here, 3, good)
    hand(here, 52, "medians", "made")
    tables, _, branches = told(impact(f"prices@{bad}"))
    assert tables == {("prices", bad), ("medians", wrong), ("medians", appended), ("medians", by_hand)}
    assert branches == {("prices", "main", "prices")}


def test_what_was_put_back_by_hand_in_another_database_is_clean(here: Histories) -> None:
    good = hand(here, 1)
    medians(here, 1, good)
    bad = hand(here, 2)
    wrong = medians(here, 2, bad)
    here.by_hand("made", "delete from medians", ADD.format("medians", 1, 1))
    assert told(impact(f"prices@{bad}")) == (
        {("prices", bad), ("medians", wrong)},
        ["Medians/2"],
        {("prices", "main", "prices")},
    )


def test_a_run_that_put_its_own_table_back_leaves_it_clean(here: Histories) -> None:
    hand(here, 1)
    bad = hand(here, 2)
    here.run("prices", "Repair/1/s/1", "prices", "delete from prices where id = 2", mode="update")
    hand(here, 7)
    assert told(impact(f"prices@{bad}")) == ({("prices", bad)}, ["Repair/1"], set())


def test_merges_carry_it_on_and_take_one_side(here: Histories) -> None:
    hand(here, 1)
    here.branch("prices", "side")
    bad = hand(here, 2, branch="side")
    elsewhere = hand(here, 3, "codes")
    here.merge("prices", "side")
    taken = told(impact("prices@side"))
    assert taken == ({("prices", bad)}, [], {("prices", "side", "prices"), ("prices", "main", "prices")})
    merge = impact("prices@main")
    assert (merge.commit.parents[0], told(merge)) == (elsewhere, taken)
    hand(here, 4)
    onward = hand(here, 5, branch="side")
    both = here.merge("prices", "side")
    assert {("prices", both), ("prices", onward)} < told(impact(f"prices@{bad}"))[0]


def test_only_one_table_and_only_so_far(here: Histories) -> None:
    bad = here.by_hand("prices", ADD.format("prices", 1, 1), ADD.format("codes", 1, 1))
    wrong = medians(here, 1, bad)
    sums(here, 2, wrong)
    assert told(impact("prices@main", table="CODES"))[0] == {("codes", bad)}
    assert {table for table, _ in told(impact("prices@main"))[0]} == {"codes", "prices", "medians", "sums"}
    assert told(impact("prices@main", depth=2, table="prices")) == (
        {("prices", bad), ("medians", wrong)},
        ["Medians/1"],
        {("prices", "main", "prices"), ("made", "main", "medians")},
    )
    assert told(impact("prices@main", depth=0))[0] == {("codes", bad), ("prices", bad)}


def test_errors(here: Histories) -> None:
    bad = hand(here, 1)
    here.by_hand("prices", "drop table codes", message="Gone")
    here.by_hand("prices", message="Nothing")
    for text in ("prices", "", "@", "prices@", "@main"):
        with pytest.raises(UsageError, match=r"is no `DATABASE@COMMIT`"):
            impact(text)
    with pytest.raises(DatabaseNotFoundError, match=r"no database `price` .* Did you mean `prices`"):
        impact("price@main")
    with pytest.raises(RefNotFoundError, match=r"no branch, tag or commit `mian`\. Did you mean `main`"):
        impact("prices@mian")
    with pytest.raises(TableNotFoundError, match=r"“Nothing”, changed no table\."):
        impact("prices@main")
    with pytest.raises(TableNotFoundError, match="“Gone”, changed no table; it dropped `codes`"):
        impact("prices@main~1")
    with pytest.raises(
        TableNotFoundError, match=f"{bad} of `prices` did not change a table `price`. Did you mean `prices`"
    ):
        impact("prices@main~2", table="price")
    with pytest.raises(UsageError, match="The depth is -1"):
        impact("prices@main", depth=-1)


def test_a_table_that_was_dropped_beside_a_change_is_named(here: Histories) -> None:
    bad = here.by_hand("prices", "drop table codes", ADD.format("prices", 3, 3))
    result = impact(f"prices@{bad}")
    assert told(result)[0] == {("prices", bad)}
    dropped = f"The commit {bad} of `prices` also dropped `codes`: what a table that is not there spoiled is not told."
    assert dropped in result.warnings
    assert dropped not in impact(f"prices@{bad}", table="prices").warnings


def test_a_branch_with_an_at_sign(here: Histories) -> None:
    commit = hand(here, 1)
    here.branch("prices", "me@home")
    hand(here, 2)
    assert [impact(text).commit.hash for text in ("prices@me@home", "./prices@me@home")] == [commit] * 2


# On the demo


@pytest.mark.parametrize("has_store", [True, False])
def test_the_demo(demo_copy: Path, has_store: bool, capsys: pytest.CaptureFixture[str]) -> None:
    if not has_store:
        shutil.rmtree(demo_copy / ".metaflow")
    prices, analysis = "hospital-price-transparency", "hospital-price-analysis"
    assert main(["impact", f"{prices}@main", "--output", "json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["schema"] == "doltflow.impact/1"
    data = answer["data"]
    bad = head(demo_copy / prices)
    variances, wrote = (row["h"] for row in sql(demo_copy / analysis, "select commit_hash as h from dolt_log limit 2"))
    runs = data["runs"]
    assert [run.split("/")[0] for run in runs] == [
        "HospitalProcedurePriceVarianceByState",
        "HospitalPriceStateMedians",
    ]
    assert (data["database"], data["commit"], data["changed"]) == (prices, bad, ["prices"])
    assert [(t["database"], t["table"], t["commit"], t["run"]) for t in data["tables"]] == [
        (prices, "prices", bad, None),
        (analysis, "state_procedure_medians", wrote, runs[1]),
        (analysis, "variance_by_procedure", variances, runs[0]),
    ]
    assert data["branches"] == [
        {"database": analysis, "branch": "main", "table": "state_procedure_medians", "commit": wrote},
        {"database": analysis, "branch": "main", "table": "variance_by_procedure", "commit": variances},
        {"database": prices, "branch": "main", "table": "prices", "commit": bad},
    ]
    graph = networkx.node_link_graph(data["graph"], edges="edges")
    assert list(networkx.topological_sort(graph)) == [
        f"{prices}/prices@{bad}",
        runs[1],
        f"{analysis}/state_procedure_medians@{wrote}",
        runs[0],
        f"{analysis}/variance_by_procedure@{variances}",
    ]
    assert [text.split(" (")[0] for text in data["warnings"]] == ([] if has_store else ["There is no Metaflow store"])


def test_the_text(here: Histories, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    bad = here.by_hand("prices", ADD.format("prices", 1, 1), message="Wrong\n\nMore")
    wrong = medians(here, 1, bad)
    assert main(["impact", "prices@main"]) == 0
    out = capsys.readouterr().out
    dates = sorted({word for word in out.split("\n") if "20" in word})
    assert dates
    lines = [line.split(" · 20")[0] for line in out.splitlines() if not line.strip().startswith("20")]
    assert lines == [
        f"prices @ {bad[:8]}",
        "  Ann",
        "  changed prices",
        "  2 spoiled versions · 1 run · 2 heads still spoiled",
        "",
        "Spoiled versions of tables",
        f"  prices/prices @ {bad[:8]}",
        f"  made/medians @ {wrong[:8]}",
        "",
        "Runs that spoiled data went into",
        "  Medians/1",
        "",
        "Branches whose head has spoiled data",
        f"  main of made: medians @ {wrong[:8]}",
        f"  main of prices: prices @ {bad[:8]}",
    ]
    here.by_hand("prices", "delete from prices")
    medians(here, 2, here.head("prices"))
    assert main(["impact", "prices@main~1"]) == 0
    assert capsys.readouterr().out.endswith("\nNo branch's head has spoiled data any more.\n")
    for output, start in (("mermaid", "flowchart LR\n"), ("dot", "digraph doltflow {\n"), ("csv", "source,target,")):
        assert main(["impact", "prices@main~1", "--output", output]) == 0
        assert capsys.readouterr().out.startswith(start)
    assert main(["impact", "prices@main~1", "--output", "graphml"]) == 0
    assert len(networkx.parse_graphml(capsys.readouterr().out)) == 3
