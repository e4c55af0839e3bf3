"""Test the findings and the picture of the README against the shipped results."""

import importlib.util
import re

import pytest
from conftest import REPOSITORY

from grmu import plots
from grmu.analysis import results
from grmu.analysis.compare import differences, interval, verdicts

README = " ".join((REPOSITORY / "README.md").read_text(encoding="utf-8").split())
FOUND = re.split(r" \d\. ", README.split("## What we found")[1].split("## Lessons")[0])[1:]


def script(name):
    """A script of docs/, imported."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", REPOSITORY / "docs" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


bench = script("benchmarks")


def causes(what):
    """The row of a comparison in which one thing changed, with augmented pictures."""
    rows = results.load("causes_compared")
    (row,) = rows[(rows.what == what) & (rows.augmented == "yes")].itertuples()
    return row


def distance(dataset, ratio, method, reweight=True):
    """The mean distance from the gold standard in UA and GA, in points, by seed."""
    rows = results.load("text" if dataset == "negation" else "tuned_alike", dataset=dataset, ratio=ratio)
    gold = results.select(rows, method="retrain", reweight=True)
    ours = results.select(rows, method=method, reweight=reweight)
    return 100 * differences(ours, gold, ("UA", "GA")).abs().mean(axis=1)


def forgotten_evenly():
    """The change of the group's accuracy, with its interval, if as many are forgotten at random."""
    for ratio in (0.5, 0.9):
        same_number = round(ratio * bench.N_GROUP) / bench.N_TRAIN
        yield from interval(-bench.lost(same_number, "uniform"))[:3]


@pytest.mark.parametrize(("finding", "computed"), [
    (1, lambda: [bench.lost(ratio).mean() for ratio in (0.5, 0.9)]),
    (2, lambda: [bench.recovered(ratio).mean() for ratio in (0.5, 0.9)]),
    (3, lambda: [*forgotten_evenly(), 95]),
    (4, lambda: [-causes("10 left, s/10 - 10 left, s").mean, -causes("10 left, s - 102 left, s").mean]),
    (5, lambda: [distance("groundwear-memorised", 0.5, *arm).mean()
                 for arm in (("miu",), ("finetune",), ("pretrain", False))]),
])
def test_the_numbers_of_a_finding_are_those_of_the_shipped_results_rounded(finding, computed):
    text = FOUND[finding - 1].replace("\N{MINUS SIGN}", "-")
    stated = re.findall(r"-?\d+(?:\.\d+)?", text)
    assert stated == [f"{value:.{len(number.partition('.')[2])}f}"
                      for number, value in zip(stated, computed(), strict=True)]


def test_what_the_findings_call_significant_is_so_after_correction():
    assert causes("10 left, s/10 - 10 left, s").verdict == "lower"
    assert causes("10 left, s - 102 left, s").verdict not in ("lower", "higher")
    changes = list(forgotten_evenly())
    assert all(low < 0 < high for low, high in (changes[1:3], changes[4:]))
    places = [(name, ratio) for ratio in (0.5, 0.9)
              for name in ("groundwear", "groundwear-memorised", "negation")]
    against = verdicts({place: distance(*place, "miu") - distance(*place, "finetune") for place in places})
    assert not against.verdict.isin(["lower", "higher"]).any()
    memorised = verdicts({method: distance("groundwear-memorised", 0.5, method)
                          - distance("groundwear-memorised", 0.5, "pretrain", False)
                          for method in ("miu", "finetune")})
    assert (memorised.verdict == "lower").all()


def test_the_picture_and_its_alt_text_are_what_the_shipped_results_give(tmp_path):
    figure = script("findings").effect()
    plots.save(figure, tmp_path / "effect.png")
    assert f"![{plots.caption_of(figure)}](docs/effect.png)" in README
    assert (tmp_path / "effect.png").stat().st_size < 100_000
    assert (REPOSITORY / "docs" / "effect.png").is_file()


MINE = """
from torch import nn
from grmu import data
part = data.load("groundwear").test
train = val = test = [(part.x[i] / 255, int(part.y[i]), int(part.a[i])) for i in range(80)]
model = nn.Sequential(nn.Flatten(), nn.Linear(784, 8), nn.ReLU(), nn.Linear(8, 2))
"""


def test_the_example_of_the_readme_prints_the_rows_that_it_shows(tmp_path, monkeypatch, capsys):
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    example, shown = (re.search(f"```{kind}\n(.*?)```", text, re.DOTALL)[1] for kind in ("python", "text"))
    (tmp_path / "mine.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)
    exec(example, {})
    printed = capsys.readouterr().out
    assert [re.split("  +", line)[0] for line in printed.splitlines()] == [
        re.split("  +", line)[0] for line in shown.splitlines()]
