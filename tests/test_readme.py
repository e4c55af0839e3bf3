"""The numbers and the picture of the README, and those of docs/, are what the shipped results give."""

import importlib.util
import re

import numpy as np
import pytest
from conftest import REPOSITORY

from grmu.analysis import results
from grmu.analysis.compare import interval


def page(name):
    """A page, with hyphens for minus signs."""
    return (REPOSITORY / name).read_text(encoding="utf-8").replace("\N{MINUS SIGN}", "-")


def sentences(name):
    return " ".join(page(name).split())


def script(name):
    """A script of docs/, imported."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", REPOSITORY / "docs" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


README, bench = page("README.md"), script("benchmarks")


def spread(values, digits):
    return f"{np.mean(values):.{digits}f} ± {np.std(values, ddof=1):.{digits}f}"


@pytest.mark.parametrize(("start", "stated"), [
    ("| test accuracy that the forgotten group loses",
     lambda: [spread(bench.lost(r), 1) for r in (0.5, 0.9)]),
    ("| share of it that REWEIGHT recovers",
     lambda: [spread(bench.recovered(r), 0) + " %" for r in (0.5, 0.9)]),
    ("| the same loss if as many", lambda: [bench.lost_evenly(r)
                                                    for r in (0.5, 0.9)]),
    ("| MIU + REWEIGHT minus the gold standard",
     lambda: [", ".join(spread(bench.from_gold(m), 1) for m in ("UA", "GA"))]),
])
def test_a_row_of_the_readme_is_what_the_shipped_results_give(start, stated):
    (line,) = (line for line in README.splitlines() if line.startswith(start))
    cells = [cell.strip() for cell in line.strip("|").split("|")][1:]
    assert cells[: len(stated())] == stated()


def test_the_number_of_runs_is_that_of_the_table():
    assert f"all {len(results.load()):,} runs, and the studies" in page("docs/benchmark.md")


def test_the_share_of_lesson_09_is_that_of_the_shipped_results():
    rows = results.load("inferred")
    rows = rows[(rows.ratio == 0.9) & (rows.method == "retrain")]
    ga = rows.assign(grouping=rows.grouping.where(rows.reweight, "none")).groupby("grouping").GA.mean()
    share = f"{100 * (ga.probe - ga.none) / (ga.true - ga.none):.0f} %"
    assert f"recovers {share} of the accuracy that the true groups recover" in sentences("docs/audit.md")


@pytest.mark.parametrize("method", ["miu", "retrain", "scrub"])
def test_the_steps_of_relearning_are_those_of_the_shipped_results(method):
    rows = results.load("relearning")
    rows = rows[(rows.dataset == "groundwear-memorised") & (rows.method == method) & rows.reweight]
    mean, low, high, _ = interval(rows.steps)
    assert f"{mean:.1f}{' steps' * (method == 'miu')} [{low:.1f}, {high:.1f}]" in sentences("docs/audit.md")


@pytest.fixture(scope="module")
def miu():
    """docs/miu.py and its table."""
    module = script("miu")
    return module, module.table()


def test_the_page_about_miu_is_what_the_shipped_results_give(miu):
    module, found = miu
    assert module.PAGE.read_text(encoding="utf-8") == module.page(found, module.draw(found))
    assert module.PAGE.with_suffix(".png").is_file()


def test_the_sentences_about_miu_are_in_the_table_of_its_page(miu):
    _, found = miu
    answer = page("docs/miu.md").split("## The answer")[1].split("<!--")[0]
    known = {f"{abs(value):.1f}" for value in found[["mean", "low", "high", "seen"]].to_numpy().flatten()}
    assert set(re.findall(r"\d+\.\d", re.sub(r"ratio [\d.]+", "", answer))) - known == set()


def test_what_the_readme_and_the_page_about_miu_say_of_it_holds(miu):
    _, found = miu
    verdict = found.verdict.unstack("measure")
    against = {arm: verdict.xs(f"MIU - {arm}", level="row").distance
               for arm in ("fine-tuning", "original model")}
    assert not against["fine-tuning"].isin(["lower", "higher"]).any()
    memorised = against["original model"].index.str.contains("memorised")
    assert (against["original model"][memorised] == "lower").all()
    assert not (against["original model"][~memorised] == "lower").any()
    terms = found[found.index.get_level_values("row").str.startswith(("unlearning", "calibration"))]
    weights = found[found.index.get_level_values("section").str.contains("λ")]
    assert set(terms.verdict) == set(weights.verdict.dropna()) == {"not distinguished"}
    assert (weights["mean"].abs() < 2).all()


def test_the_page_about_causes_is_what_the_shipped_results_give():
    why = script("why")
    assert why.PAGE.read_text(encoding="utf-8") == why.page(why.draw())


def test_the_picture_and_its_alt_text_are_what_the_shipped_results_give(tmp_path):
    effect = script("effect")
    drawn = effect.draw(tmp_path / "effect.png")
    assert f"![{drawn}](docs/effect.png)" in sentences("README.md")
    assert (tmp_path / "effect.png").stat().st_size < 100_000
    assert effect.PICTURE.is_file()
