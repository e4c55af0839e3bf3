"""Test the computed parts of docs/findings.md and the numbers in its sentences."""

import importlib.util
import re

import matplotlib.pyplot as plt
import pytest
from conftest import REPOSITORY
from sklearn.metrics import r2_score

from grmu.analysis import grids, results, tables
from grmu.analysis.compare import interval
from grmu.course import audits

SPEC = importlib.util.spec_from_file_location("docs_findings", REPOSITORY / "docs" / "findings.py")
findings = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(findings)
TEXT = findings.PAGE.read_text(encoding="utf-8")


def prose(title):
    """Return the sentences of a section on one line, without the computed parts."""
    section = re.search(rf"(?s)^## {title}\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE)[1]
    return " ".join(re.sub(f"(?s)<!-- Computed by .*?{findings.END}", "", section).split())


@pytest.fixture(scope="module")
def miu():
    return findings.miu_table()


def test_the_computed_parts_are_what_the_shipped_results_give():
    parts = {name: compute() for name, compute in findings.SECTIONS.items()}
    plt.close("all")
    assert TEXT.count("<!-- Computed by") == len(parts)
    assert findings.page(parts) == TEXT
    assert all(findings.PAGE.with_name(f"{name}.png").stat().st_size < 50_000 for name in parts)


def test_reweight_matters_more_than_the_method():
    counts = []
    for ratio in (0.9, 0.5):
        gaps = findings.gaps_at("groundwear", ratio).drop(["pretrain", "retrain"], level="method")
        counts += list((gaps.verdict == "lower").groupby("reweight").sum())
        n_methods = gaps.index.unique("method").size
        places = tables.standing(findings.methods_at("groundwear", ratio)).place
        assert set(places.filter(like="REWEIGHT")) == {"tied"}
        assert places["PRETRAIN (original model)"] == "tied"
    text = prose("The benchmark")
    assert n_methods == len(grids.METHODS) == 12
    assert "for {} of 12 methods without REWEIGHT, and for {} of 12 with it".format(*counts) in text
    assert "At ratio 0.5, the counts are {} and {}.".format(*counts[2:]) in text


def test_unlearning_is_needed_where_pictures_are_memorised():
    gaps = findings.gaps_at("groundwear-memorised", 0.9).drop(["pretrain", "retrain"], level="method")
    scores = 100 - tables.standing(findings.methods_at("groundwear-memorised", 0.9)).distance
    original, least = scores["PRETRAIN (original model)"], scores.drop("PRETRAIN (original model)").min()
    above = (gaps.verdict == "higher").groupby("reweight").sum()
    text = prose("The benchmark")
    assert f"the original model's avg. gap is {original:.1f}, and" in text
    assert f"each method reaches at least {least:.1f}" in text
    assert f"the GA of {above[True]} of the {gaps.index.unique('method').size} methods" in text


def test_the_numbers_about_miu_are_in_its_table(miu):
    known = {f"{abs(value):.1f}" for value in miu[["mean", "low", "high", "seen"]].to_numpy().flatten()}
    stated = set(re.findall(r"\d+\.\d", re.sub(r"ratio [\d.]+", "", prose("MIU"))))
    assert len(stated) > 10
    assert stated <= known


def test_what_the_page_says_about_miu_holds(miu):
    verdict = miu.verdict.unstack("measure")
    against = {arm: verdict.xs(f"MIU - {arm}", level="row").distance
               for arm in ("fine-tuning", "original model")}
    assert not against["fine-tuning"].isin(["lower", "higher"]).any()
    memorised = against["original model"].index.str.contains("memorised")
    assert (against["original model"][memorised] == "lower").all()
    assert not (against["original model"][~memorised] == "lower").any()
    terms = miu[miu.index.get_level_values("row").str.startswith(("unlearning", "calibration"))]
    weights = miu[miu.index.get_level_values("section").str.contains("λ")]
    detectable = terms.seen.xs(("unlearning term, groundwear-memorised", "UA"), level=("row", "measure"))
    assert f"only effects of about {detectable.item():.0f} points" in prose("MIU")
    assert set(terms.verdict) == set(weights.verdict.dropna()) == {"not distinguished"}


@pytest.mark.parametrize(("what", "augmented", "sentence", "verdict"), [
    ("10 left, s/10 - 10 left, s", "yes", "a tenfold smaller share costs {:.0f} points", "lower"),
    ("10 left, s - 102 left, s", "yes", "at the same share cost {:.0f} points, which is not significant",
     "not distinguished"),
    ("10 left, s - 102 left, s", "no", "the number matters too ({:.0f} points)", "lower"),
    ("even - nobody, ratio 0.5", "yes", "is equivalent to the original model's", "equal"),
    ("even - nobody, ratio 0.9", "yes", "is equivalent to the original model's", "equal"),
    ("α - without, ratio 0.5", "yes", "recover {:.0f} points at ratio 0.5", "higher"),
    ("α - without, ratio 0.9", "yes", "and {:.0f} at ratio 0.9", "higher"),
    ("α, wrong group - without, ratio 0.9", "yes", "have no significant effect", "not distinguished"),
    ("10 left, s/10", "yes", "the observed loss is {:.0f} points larger", "higher"),
])
def test_what_the_page_says_about_the_causes_holds(what, augmented, sentence, verdict):
    (row,) = results.load("causes_compared", what=what, augmented=augmented).to_dict("records")
    assert row["verdict"] == verdict
    text = prose("Why the group loses accuracy")
    assert sentence.format(abs(row["mean"])) in text
    assert f"*equal* means within {row['margin']:.1f} points" in text


def test_the_loss_that_the_page_explains_is_that_of_its_figure():
    ga = results.load("causes_cells", augment=True).set_index("arm")["mean"]
    loss = f"RETRAIN loses {ga['102 left, s'] - ga['51 left, s/2']:.0f} points"
    assert loss in prose("Why the group loses accuracy")


def test_the_share_that_the_prediction_explains_is_that_of_the_shipped_results():
    rows = results.load("shift", asking=1).dropna(subset=["before", "after", "visible"])
    r2 = {name: r2_score(part.after - part.before, part.visible - part.before)
          for name, part in rows.groupby("dataset")}
    text = prose("Why the group loses accuracy").replace("\N{MINUS SIGN}", "-")
    assert f"R² {r2['groundwear']:.2f} with standard training" in text
    assert f"on memorised data, R² is {r2['groundwear-memorised']:.2f}" in text
    assert f"it fails (R² {r2['groundwear-many']:.2f})" in text


@pytest.mark.parametrize(("sentence", "row", "where"), [
    ("AUC is {} for MIU", ("audit", "groundwear-memorised", "miu", True), {"who": "unlearned"}),
    ("and {} for fine-tuning", ("audit", "groundwear-memorised", "finetune", True), {"who": "unlearned"}),
    ("retained members by {}", ("stayers", "groundwear", "miu", True), {"before": "pretrain"}),
    ("and RETRAIN + REWEIGHT by {}", ("stayers", "groundwear", "retrain", True), {"before": "pretrain"}),
])
def test_what_the_page_says_about_the_audit_holds(sentence, row, where):
    attack = {"attack": "U-LiRA"} if row[0] == "audit" else {}
    value = "{:.2f} [{:.2f}, {:.2f}]".format(*audits.value(*row, **where, **attack))
    assert sentence.format(value) in prose("The audit")


@pytest.mark.parametrize(("method", "sentence"), [("miu", "after {} steps {}"), ("retrain", "after {} {}")])
def test_what_the_page_says_about_relearning_holds(method, sentence):
    rows = results.load("relearning", dataset="groundwear-memorised", method=method, reweight=True)
    mean, low, high, _ = interval(rows.steps)
    assert sentence.format(f"{mean:.1f}", f"[{low:.1f}, {high:.1f}]") in prose("The audit")


def test_what_the_page_says_about_a_probe_holds():
    rows = results.load("inferred", ratio=0.9, method="retrain")
    ga = rows.assign(grouping=rows.grouping.where(rows.reweight, "none")).groupby("grouping").GA.mean()
    share = f"{100 * (ga.probe - ga.none) / (ga.true - ga.none):.0f} %"
    assert f"recovers {share} of the accuracy that the true groups recover" in prose("The audit")


def test_the_number_of_runs_is_that_of_the_table():
    assert f"all {len(results.load()):,} runs, and the studies" in prose("Compute the results again")
