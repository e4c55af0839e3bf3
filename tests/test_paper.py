"""Test the paper's tables and figures: the printed numbers, their runs, and ours beside the paper's."""

import re

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import REPOSITORY, toy

from grmu.__main__ import main
from grmu.analysis import paper, printed, reproduced, results
from grmu.analysis.printed import ITEMS
from grmu.analysis.released import equalized_odds, membership
from grmu.data.originals.registry import ORIGINALS
from grmu.metrics import METRICS

RAW = pd.read_csv(REPOSITORY / "data" / "results" / "runs.csv")


def test_some_values_as_printed_in_the_paper():
    celeba = paper.results("celeba", 0.5)
    assert celeba.loc[("pretrain", False), "UA"] == 41.9
    assert celeba.loc[("retrain", True), "GA"] == 41.3
    assert paper.table("ablation").query("dataset == 'celeba' and metric == 'RA'").value.iloc[0] == 96.4
    one, nine = (paper.results("fairface", 0.5, n).loc[("miu", True), "UA"] for n in (1, 9))
    assert one != nine
    assert paper.results("groundwear").empty


@pytest.mark.parametrize(("method", "reweight"), [("l1_sparse", False), ("scrub", True), ("miu", True)])
def test_the_papers_avg_gap_is_100_minus_its_mean_delta(method, reweight):
    rows = paper.table("results").query("table == 1 and reweight == @reweight")
    rows = rows[rows.method.replace(paper.METHODS) == method].set_index("metric")
    assert 100 - rows.delta_to_gold[list(METRICS)].mean() == pytest.approx(rows.value.avg_gap, abs=0.05)


@pytest.mark.parametrize("number", [1, 2, 3, *range(5, 17)])
def test_a_table_has_the_papers_rows(number):
    theirs = paper.table("results").query("table == @number")
    theirs = set(zip(theirs.method.replace(paper.METHODS), theirs.reweight == 1, strict=True))
    assert {(row.method, row.reweight) for row in ITEMS[f"table{number}"].rows} == theirs


def test_items_are_the_papers_eighteen_tables_seven_figures_and_the_overhead():
    names = [f"table{n}" for n in range(1, 19)] + ["overhead"] + [f"figure{n}" for n in range(2, 9)]
    assert sorted(ITEMS) == sorted(names)
    ages, races = ORIGINALS["fairface"].class_names, ORIGINALS["fairface"].attribute_names
    smallest, largest = printed.grids.SMALLEST_AND_LARGEST["fairface"]
    assert [(ages[y], races[a]) for y, a in (*smallest, *largest)] == [
        ("more than 70", "Middle Eastern"), ("60-69", "White"), ("20-29", "Black"),
        ("30-39", "Southeast Asian")]


def test_a_cells_delta_and_an_avg_gap_by_hand_from_raw_rows():
    plain = RAW[(RAW.dataset == "groundwear") & (RAW.ratio == 0.5) & (RAW.groups == "default")
                & (RAW.overrides == "{}") & RAW.seed.isin(range(5))]
    gold = plain[(plain.method == "retrain") & plain.reweight].sort_values("seed")
    salun = plain[(plain.method == "salun") & plain.reweight].sort_values("seed")
    away = np.abs(salun[list(METRICS)].to_numpy() - gold[list(METRICS)].to_numpy()).mean(0)
    table = reproduced.cells(ITEMS["table1"], reproduced.shipped(ITEMS["table1"])[0])
    row = table[(table.method == "salun") & table.reweight].set_index("metric")
    assert row.delta[list(METRICS)].to_numpy() == pytest.approx(100 * away)
    assert row.ours["avg_gap"] == pytest.approx(100 - 100 * away.mean())
    assert row.ours["UA"] == pytest.approx(100 * salun.UA.mean())
    assert row.sd["UA"] == pytest.approx(100 * salun.UA.std())
    assert (row.paper["UA"], row.paper_delta["UA"]) == (42.9, 8.2)


def test_the_layout_has_the_original_model_below_a_rule_and_the_nearest_in_bold():
    item = ITEMS["table1"]
    table = reproduced.cells(item, reproduced.shipped(item)[0])
    shown = reproduced.layout(item, table).set_index("method")
    assert list(shown.columns) == [*METRICS, "avg. gap"]
    assert shown.index[-2:].tolist() == ["---", "original model as a competitor"]
    assert shown["avg. gap"].iloc[-1].endswith("≈ 99.2")
    rivals = table[(table.metric == "avg_gap") & ~table.method.isin(["retrain", "group_dro"])]
    gaps = rivals.set_index("name").ours
    (best,) = shown.index[shown["avg. gap"].str.startswith("**")]
    assert best == gaps.idxmax() or best.startswith("original")
    assert shown.loc["RETRAIN + REWEIGHT", "avg. gap"] == ""


@pytest.mark.parametrize("name", ITEMS)
def test_every_table_and_figure_is_there_on_embedded_data(name):
    rows, missing = reproduced.shipped(ITEMS[name], seeds=range(2 if name == "figure7" else 5))
    diverged = {(row.method, row.dataset) for row in missing}
    assert diverged == ({("scrub", "waterbirds")} if name == "figure7" else set())
    table = reproduced.cells(ITEMS[name], rows)
    assert table.ours.notna().all()
    assert len(reproduced.layout(ITEMS[name], table))


@pytest.mark.parametrize("number", [1, 2, 3, 16])
def test_the_released_metrics_ship_with_the_main_tables(number):
    item = ITEMS[f"table{number}"]
    rows, missing = reproduced.shipped(item, metrics="paper")
    assert not missing
    ours = reproduced.shipped(item)[0]
    assert any(not np.allclose(part.MIA, ours[row].MIA) for row, part in rows.items())
    for row, part in rows.items():
        assert part.MIA.between(0, 1).all()
        if number < 3:  # two classes, two attribute values
            assert part.EO.to_numpy() == pytest.approx(ours[row].EO.to_numpy(), abs=1e-3)


def test_equalized_odds_as_released_by_hand():
    test = toy([[10, 10, 20], [40, 10, 10]])
    accuracies = [0.5, 0.2, 0.8, 0.9, 0.6, 0.4]
    of_class = 0.6 - (0.9 * 40 + 0.4 * 10) / 50
    of_others = 0.2 - (0.5 * 10 + 0.8 * 20) / 30
    by_hand = (abs(of_class) + abs(of_others)) / 2
    assert equalized_odds(accuracies, test, [(1, 1)]) == pytest.approx(by_hand)


def test_membership_as_released_mostly_says_which_side_is_larger():
    draw = torch.Generator().manual_seed(0)
    retain, val, forget = (torch.rand(n, generator=draw) for n in (4000, 40, 200))
    assert membership(retain, val, forget) < 0.05  # nobody could tell members, but most are
    assert membership(val, retain, forget) > 0.95
    assert membership(retain, val + 2, forget + 2) == 1


def test_rows_of_two_protocols_are_rejected(tmp_path):
    rows = pd.DataFrame({"seed": [0, 1], "protocol": ["ours", "released"]})
    with pytest.raises(ValueError, match="one table needs rows of one protocol, got ours, released"):
        reproduced.check(rows)


@pytest.mark.parametrize(("arguments", "sentence"), [
    (["tabel1"], "did you mean table1"), (["table1", "--seeds", "1"], "± needs two, got 1"),
    (["table1"], "pass the folder that holds it"),
    (["table1", "--root", "."], "list_attr_celeba.txt is not in"),
    (["table14", "--on", "groundwear"], "fairface and groundwear-many, got 'groundwear'"),
    (["table1", "--on", "mnist"], "data set to run on"),
    (["table1", "--methods", "ssd"], "method in Table 1"),
    (["claims", "--rows", "data/results/shift.csv"], "must be the runs.csv of a sweep")])
def test_bad_input_is_rejected_with_one_sentence(arguments, sentence, capsys):
    assert main(["paper", *arguments]) == 2
    assert sentence in capsys.readouterr().err


def test_the_command_lists_everything_and_writes_a_table_three_ways(tmp_path, capsys):
    assert main(["paper"]) == 0
    listed = capsys.readouterr().out
    assert all(f"{name} " in listed for name in ITEMS)
    assert main(["paper", "table4", "--on", "groundwear", "--output", str(tmp_path)]) == 0
    assert "MIU, no calibration" in capsys.readouterr().out
    assert len(pd.read_csv(tmp_path / "table4-groundwear.csv")) == 4 * 3
    assert "data:image/png;base64," in (tmp_path / "table4-groundwear.html").read_text()
    assert "\\| 97.5" in (tmp_path / "table4-groundwear.md").read_text()


def test_claims_are_judged_on_a_sweeps_rows(tmp_path, capsys):
    roles = {ours: theirs for theirs, ours in printed.STAND_INS.items()}
    rows = RAW[RAW.dataset.isin(roles)].assign(dataset=lambda table: table.dataset.map(roles))
    path = tmp_path / "runs.csv"
    rows[(rows.dataset == "celeba")].to_csv(path, index=False)
    assert main(["paper", "claims", "--rows", str(path)]) == 0
    said = capsys.readouterr().out
    assert re.search(r"RETRAIN \+ REWEIGHT restores the group's accuracy.*reproduced", said)
    assert re.search(r"When 9 or 25 groups request deletion.*no runs", said)
    RAW[RAW.dataset == "groundwear"].to_csv(path, index=False)
    assert main(["paper", "claims", "--rows", str(path)]) == 2


def test_runs_of_one_split_stand_beside_the_papers_table_if_it_prints_one():
    rows = results.load("memorised", ratio=0.5)
    rows = rows[rows.method != "finetune"]
    assert reproduced.beside_paper(rows).empty
    shown = reproduced.beside_paper(rows.assign(dataset="waterbirds")).set_index("method")
    assert shown.loc["MIU", "UA"].endswith("| 53.6")


PAGE = (REPOSITORY / "docs" / "paper.md").read_text(encoding="utf-8")
COMMANDS = [line.split("  #")[0].split() for line in re.findall(r"^python -m grmu (.*)$", PAGE, re.MULTILINE)]
NEEDS_MORE = {"--root", "--rows", "--download", "--tiny"}  # data, runs, a network; --tiny has its own test


@pytest.mark.parametrize("command", [c for c in COMMANDS if not NEEDS_MORE & set(c)], ids=" ".join)
def test_a_command_of_the_page_that_needs_no_data_works(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GRMU_STORE", str(tmp_path))
    assert main([str(REPOSITORY / part) if part.endswith(".yaml") else part for part in command]) == 0
    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize("methods", [["miu"], pytest.param([], marks=pytest.mark.slow)])
def test_the_pages_tiny_table_runs_from_the_pictures_to_the_page(methods, tmp_path, capsys):
    (tiny,) = (command for command in COMMANDS if "--tiny" in command)
    chosen = ["--methods", *methods] if methods else []
    assert main([*tiny, *chosen, "--output", str(tmp_path)]) == 0
    table = pd.read_csv(tmp_path / "tiny" / "table1.csv")
    n_rows = 5 if methods else 12
    assert table.name.nunique() == n_rows
    assert len(list((tmp_path / "tiny" / "runs").rglob("notebook.ipynb"))) == n_rows
