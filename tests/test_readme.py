"""The numbers and the picture of the README, and those of docs/, are what the shipped results give."""

import importlib.util

import numpy as np
import pytest
from conftest import REPOSITORY

from grmu.scale import bench
from grmu.study import results, studies


def page(name):
    """A page, with hyphens for minus signs."""
    return (REPOSITORY / name).read_text(encoding="utf-8").replace("\N{MINUS SIGN}", "-")


def sentences(name):
    return " ".join(page(name).split())


README = page("README.md")


def spread(values, digits):
    return f"{np.mean(values):.{digits}f} ± {np.std(values, ddof=1):.{digits}f}"


@pytest.mark.parametrize(("start", "stated"), [
    ("| test accuracy that the forgotten group loses",
     lambda: [spread(bench.lost(r), 1) for r in (0.5, 0.9)]),
    ("| share of it that REWEIGHT wins back",
     lambda: [spread(bench.won_back(r), 0) + " %" for r in (0.5, 0.9)]),
    ("| the same loss if as many", lambda: [bench.control(r).measured.split(", n")[0]
                                                    for r in (0.5, 0.9)]),
    ("| MIU (our form) + REWEIGHT minus the gold standard",
     lambda: [", ".join(spread(bench.from_gold(m), 1) for m in ("UA", "GA"))]),
])
def test_a_row_of_the_readme_is_what_the_shipped_results_give(start, stated):
    (line,) = (line for line in README.splitlines() if line.startswith(start))
    cells = [cell.strip() for cell in line.strip("|").split("|")][1:]
    assert cells[: len(stated())] == stated()


def test_the_losses_of_lesson_08_are_those_of_the_shipped_results():
    new = studies.load("sentences").groupby("arm").GA.mean() * 100
    rows = results.load("text_pretrained")
    mini = rows[(rows.groups == "default") & ~rows.reweight].groupby("method").GA.mean() * 100
    lost = round(new["PRETRAIN"] - new["RETRAIN"]), round(mini.pretrain - mini.retrain)
    assert f"a new network loses {lost[0]} points, a pretrained MiniLM {lost[1]} |" in README


def test_the_number_of_runs_is_that_of_the_table():
    assert f"all {len(results.table()):,} runs, and the studies" in page("docs/benchmark.md")


def test_the_share_of_lesson_09_is_that_of_the_shipped_results():
    rows = studies.load("inferred")
    rows = rows[(rows.ratio == 0.9) & (rows.method == "retrain")]
    ga = rows.assign(grouping=rows.grouping.where(rows.reweight, "none")).groupby("grouping").GA.mean()
    share = f"{100 * (ga.probe - ga.none) / (ga.true - ga.none):.0f} %"
    assert f"returns {share} of what the true groups return" in sentences("docs/audit.md")


def test_the_picture_and_its_alt_text_are_what_the_shipped_results_give(tmp_path):
    spec = importlib.util.spec_from_file_location("effect", REPOSITORY / "docs" / "effect.py")
    effect = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(effect)
    drawn = effect.draw(tmp_path / "effect.png")
    assert f"![{drawn}](docs/effect.png)" in sentences("README.md")
    assert (tmp_path / "effect.png").stat().st_size < 100_000
    assert effect.PICTURE.is_file()
