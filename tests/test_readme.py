"""The numbers that the README states are those that the shipped results give."""

import numpy as np
import pytest
from conftest import REPOSITORY

from grmu.scale import bench
from grmu.study import results, studies

README = (REPOSITORY / "README.md").read_text(encoding="utf-8").replace("\N{MINUS SIGN}", "-")


def spread(values, digits):
    return f"{np.mean(values):.{digits}f} ± {np.std(values, ddof=1):.{digits}f}"


@pytest.mark.parametrize(("start", "stated"), [
    ("| test accuracy that the forgotten group loses",
     lambda: [spread(bench.lost(r), 1) for r in (0.5, 0.9)]),
    ("| share of it that REWEIGHT wins back",
     lambda: [spread(bench.won_back(r), 0) + " %" for r in (0.5, 0.9)]),
    ("| the same loss if as many samples", lambda: [bench.control(r).measured.split(", n")[0]
                                                    for r in (0.5, 0.9)]),
    ("| MIU + REWEIGHT minus the gold standard",
     lambda: [", ".join(spread(bench.from_gold(m), 1) for m in ("UA", "GA"))]),
])
def test_a_row_of_the_readme_is_what_the_shipped_results_give(start, stated):
    (line,) = (line for line in README.splitlines() if line.startswith(start))
    cells = [cell.strip() for cell in line.strip("|").split("|")][1:]
    assert cells[: len(stated())] == stated()


def test_the_losses_of_lesson_07_are_those_of_the_shipped_results():
    lost = []
    for grid in ("text", "text_pretrained"):
        rows = results.load(grid)
        ga = rows[(rows.ratio == 0.9) & (rows.groups == "default") & ~rows.reweight].groupby("method").GA.mean() * 100
        lost.append(round(ga.pretrain - ga.retrain))
    assert f"costs the same group {lost[0]} points, a pretrained MiniLM {lost[1]};" in README


def test_the_number_of_runs_is_that_of_the_table():
    assert f"all {len(results.table()):,} runs again" in README


def test_the_share_of_lesson_08_is_that_of_the_shipped_results():
    rows = studies.load("inferred")
    rows = rows[(rows.ratio == 0.9) & (rows.method == "retrain")]
    ga = rows.assign(grouping=rows.grouping.where(rows.reweight, "none")).groupby("grouping").GA.mean()
    assert f"returns {100 * (ga.probe - ga.none) / (ga.true - ga.none):.0f} % of what the true groups return" in README
