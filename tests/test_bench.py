"""`make bench`: the table's shape and its judgements. No time is asserted: that is what the command itself is
for."""

import json
import re

import nbformat
import pandas as pd
import pytest
import torch
from conftest import REPOSITORY

from grmu.__main__ import main
from grmu.analysis import results
from grmu.scale import bench, bench_scale, sweep, sweep_cost

COUNTED = ("yes", "NO")


def rows(losses, won=()):
    """Shipped rows of PRETRAIN, RETRAIN and RETRAIN + REWEIGHT at ratio 0.5: GA from 0.6, less the losses,
    plus what is won."""
    table = []
    for seed, loss in enumerate(losses):
        for method, reweight, ga in (("pretrain", False, 0.6), ("retrain", False, 0.6 - loss),
                                     ("retrain", True, 0.6 - loss + (won[seed] if won else 0))):
            table.append({"method": method, "reweight": reweight, "ratio": 0.5, "seed": seed, "GA": ga})
    return pd.DataFrame(table)


def ship(monkeypatch, table):
    """Make every grid have these rows."""
    monkeypatch.setattr(results, "load", lambda grid, **where: results.select(table, **where))


def test_the_quick_table_has_a_line_a_promise(capsys):
    assert bench.main(["--quick"]) == 0
    head, blank, titles, *lines, gap, summary = capsys.readouterr().out.splitlines()
    assert re.match(r"\d+ processors .*, load [\d.]+ before, 1 thread a run, torch \S+, Python \d", head)
    assert titles.split() == ["what", "target", "measured", "ok"]
    assert blank == gap == ""
    assert len(lines) == 9
    for line in lines:
        what, target, measured, ok = (line[a:b].strip() for a, b in ((0, 56), (56, 65), (68, 99), (99, None)))
        assert what
        assert re.match(r">= \d|0 inside|reported|> 0", target)
        was_measured = re.match(r"[+-]?\d+\.\d", measured) and ok in COUNTED
        assert was_measured or (measured == "-" and ok.startswith("not measured: "))
    assert re.match(r"\d of 9 targets met", summary)


def test_what_is_not_shipped_is_said_and_ends_nothing(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    results.forget()
    assert bench.main(["--quick"]) == 0
    out = capsys.readouterr().out
    assert out.count("not measured: is missing") == 9
    assert "0 of 9 targets met" in out


def test_losses_and_shares_by_hand(monkeypatch):
    ship(monkeypatch, rows([0.10, 0.20, 0.15, 0.10, 0.20], [0.15] * 5))
    assert bench.lost(0.5).round(9).tolist() == [10, 20, 15, 10, 20]
    assert bench.mean_row(lambda: bench.lost(0.5), 10) == ("15.0 ± 5.0, n = 5", True)
    assert bench.mean_row(lambda: bench.lost(0.5), 16)[1] is False
    assert bench.won_back(0.5).round(9).tolist() == [100] * 5  # 15 points each, of a mean loss of 15


def test_too_few_seeds_are_not_enough(monkeypatch):
    ship(monkeypatch, rows([0.1] * 4))
    with pytest.raises(ValueError, match=r"references has 4 rows of 4 seeds at ratio 0\.5"):
        bench.lost(0.5)


@pytest.mark.parametrize(("losses", "ok"), [([0.01, -0.01, 0.02, -0.02, 0.0], True),
                                            ([0.05, 0.06, 0.05, 0.06, 0.05], False)])
def test_the_control_asks_whether_the_interval_holds_zero(losses, ok, monkeypatch):
    ship(monkeypatch, rows(losses).assign(ratio=round(51 / 5692, 5)))
    measured, answer = bench.control(0.5)
    assert answer is ok
    low, high = map(float, re.search(r"\[(.*), (.*)\]", measured).groups())
    t = 2.776445  # 97.5 % point of t with 4 degrees of freedom
    series = 100 * pd.Series(losses)
    half = t * series.std() / 5**0.5
    assert low == pytest.approx(series.mean() - half, abs=0.06)
    assert high == pytest.approx(series.mean() + half, abs=0.06)


def test_medians_are_judged_by_their_middle():
    assert bench.median_row(lambda: [9.0, 1.0, 2.0], 2.5) == ("2.00 (1.00 to 9.00), n = 3", True)
    assert bench.median_row(lambda: [9.0, 1.0, 3.0], 2.5)[1] is False


def test_the_known_cases_have_the_information_that_they_are_said_to_have():
    x, y = bench.gaussian_pairs(0.5, torch.Generator().manual_seed(0))
    rho = torch.corrcoef(torch.cat([x, y], 1).T)[0, 1]
    assert -0.5 * torch.log(1 - rho**2) == pytest.approx(0.5, abs=0.02)
    z, group = bench.separable_groups(bench.GROUP_SHARES, torch.Generator().manual_seed(0))
    assert torch.equal(z.argmax(1), group.argmax(1))
    assert torch.allclose(group.mean(0), bench.GROUP_SHARES, atol=0.01)


def test_every_promise_has_its_line(tmp_path):
    whats = [what for what, _, _ in bench.checks(tmp_path, quick=False, with_lessons=False)]
    assert len(whats) == len(set(whats)) == 9 + 5 + 5


def test_a_lesson_is_timed_with_an_empty_store(tmp_path):
    code = "import os\nassert os.listdir(os.environ['GRMU_STORE']) == []"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)]),
                   tmp_path / "00_empty.ipynb")
    (seconds,) = bench.lesson_seconds(tmp_path / "00_empty.ipynb")
    assert seconds > 0


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """What a run of the scale benchmark at a tiny size keeps."""
    size = bench_scale.Size(torch.device("cpu"), 16, 16, 16, "fp32", (16, 0), ("minilm", 2, 8), "cnn")
    out = tmp_path_factory.mktemp("bench") / "bench.json"
    assert bench_scale.main(size, out) == 0
    return out


def test_the_scale_benchmark_runs_at_a_tiny_size_on_the_code_of_full_runs(measured):
    found = {what: (target, value) for what, target, value in json.loads(measured.read_text())["rows"]}
    for name, most in (("celeba", "<= 1.4"), ("waterbirds", "<= 1.5")):
        lines = {what.split(": ")[1]: row for what, row in found.items() if what.startswith(name)}
        assert lines["miu's time over fine-tuning's"][0] == most
        assert {f"{method}'s time over fine-tuning's" for method in bench_scale.METHODS} < set(lines)
        alone, whole = (float(lines[f"{what}"][1]) for what in (
            "of miu's, the original's forward pass alone", "miu's time over fine-tuning's"))
        assert 0 < alone < whole
        assert lines["speed, of the limit"][0] == ">= 90 %"
    assert len(found) == 1 + 10 + 9 + 1


def test_a_device_that_computes_otherwise_is_noticed(monkeypatch):
    cpu, x = torch.device("cpu"), bench_scale.random_batch(8, 3, 32, 32)
    assert bench_scale.disagreement(bench_scale.Network("resnet18"), x, cpu) == 0
    calls, right = [], bench_scale.step
    monkeypatch.setattr(bench_scale, "step", lambda model, optimizer, x, y: calls.append(0) or right(
        model, optimizer, x + (len(calls) == 8), y))  # one step of the second run sees other pictures
    assert bench_scale.disagreement(bench_scale.Network("resnet18"), x, cpu) > 0.001


def test_what_the_scale_benchmark_keeps_is_what_a_sweep_is_costed_with(measured, capsys):
    speeds, said = sweep_cost.read_bench(measured)
    assert said.startswith("Speeds: a CPU, fp32, pictures of 16 x 16. That is the small size")
    rows = {what: value for what, _, value in json.loads(measured.read_text())["rows"]}
    for name in ("celeba", "waterbirds"):
        epoch = next(value for what, value in rows.items() if re.match(f"{name}.*speed, of the limit", what))
        printed = float(epoch.split()[1].replace(",", ""))
        assert 0 < speeds[name][16] <= printed + 0.5  # the slowest of all that were measured
    assert speeds["images"] == {16: min(speeds["celeba"][16], speeds["waterbirds"][16])}
    assert speeds["texts"][2] == pytest.approx(float(list(rows.values())[-1]), abs=0.06)
    grid = "workflow/paper.yaml"
    runs = sweep_cost.runs(sweep.read(str(REPOSITORY / grid)), speeds)
    for dataset, speed in (("celeba", speeds["celeba"][16]), ("fairface", speeds["images"][16]),
                           ("multinli", speeds["texts"][2])):
        run = runs[runs.dataset == dataset].iloc[0]
        assert run.hours == pytest.approx((run.trained + run.forward / 3) / speed / 3600)
    assert main(["sweep", "cost", str(REPOSITORY / grid), "--bench", str(measured)]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(said)
    assert f"{runs.hours.sum():.1f} GPU hours" in printed
    assert "not measured" not in printed


def test_a_file_that_cannot_be_written_is_refused_before_anything_is_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(bench_scale, "measure", lambda *_: pytest.fail("something was measured"))
    for bad in (tmp_path, tmp_path / "none" / "bench.json"):
        with pytest.raises(OSError, match=bad.name):
            bench_scale.main(out=bad)


def test_the_scale_benchmarks_pictures_have_the_data_sets_numbers_and_forms():
    from grmu.data.originals.celeba import CELEBA

    splits = bench_scale.random_splits(CELEBA, bench_scale.Size(torch.device("cpu"), 1000, 224))
    share = 1000 / 162_770
    assert splits.train.group_counts().tolist() == [round(n * share) for n in CELEBA.published["train"]]
    assert splits.train.x[:1].shape[1:] == (3, CELEBA.pictures.height, CELEBA.pictures.width)
    assert splits.train.x.storage is splits.test.x.storage
    assert bench_scale.streamed(splits).train.x.storage.resident_share == 0


def test_what_full_scale_runs_cost_is_measured_alone_where_it_is_asked_for(monkeypatch):
    monkeypatch.setattr(bench_scale, "main", lambda out: 7)
    monkeypatch.setattr(bench, "checks", lambda *_: pytest.fail("something else was measured"))
    assert bench.main(["--scale"]) == 7
