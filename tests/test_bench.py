"""Test that `make bench` prints one line per promise and runs at a small size without a GPU."""

import importlib.util
import re
from pathlib import Path

import pytest
import torch
from conftest import REPOSITORY


@pytest.fixture(scope="module")
def bench():
    path = Path(REPOSITORY / "docs" / "benchmarks.py")
    spec = importlib.util.spec_from_file_location("docs_benchmarks", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_promise_of_the_shipped_results_is_printed_and_kept(bench, capsys):
    bench.main(["--quick"])
    _, *lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6
    for target, measured in (re.match(r".{62} (.{8})   (.*)", line).groups() for line in lines):
        mean, *ends = map(float, re.findall(r"-?\d+\.?\d*", measured))
        assert ">=" not in target or mean >= float(target.split()[1])
        assert "0 inside" not in target or ends[0] <= 0 <= ends[1]


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="with a GPU it takes a quarter of an hour")
def test_training_is_measured_at_a_small_size(bench, capsys):
    bench.show_full_scale(bench.SMALL._replace(most=16), 0, 0)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + 2 * 3 + 2
    assert all(re.search(r"   [\d,.]+(, [\d.]+ ?[%x])?$", line) for line in lines)
