"""The forecast counts what has to be run; how long a step takes is the machine's business."""

import pytest

from grmu.runs import Experiment, run
from grmu.study import forecast

SHORT = {"epochs": 1, "batch_size": 512}


@pytest.fixture(autouse=True)
def a_second_a_step(monkeypatch):
    monkeypatch.setattr(forecast, "_step", lambda e: 1.0)


def test_it_counts_steps_of_the_run_and_of_its_pretrain_times_what_the_method_costs(store):
    e = Experiment(method="finetune", ratio=0.5, overrides=SHORT)
    one = forecast.seconds([e], store)
    assert one == pytest.approx(2 + 15 * 89 + 12 * 1.011)  # 5,692 samples by 64, 15 epochs; 5,641 by 512
    twice = Experiment(method="finetune", ratio=0.5, overrides=SHORT | {"epochs": 2})
    assert forecast.seconds([twice], store) - one == pytest.approx(12 * 1.011)
    assert forecast.seconds([e, e, twice], store) == pytest.approx(1 + one + 24 * 1.011)
    miu = forecast.seconds([Experiment(method="miu", ratio=0.5, overrides=SHORT)], store)
    assert miu - one == pytest.approx(12 * (1.414 - 1.011))


def test_what_is_stored_takes_no_time(store):
    e = Experiment(method="pretrain", overrides=SHORT | {"warmup_epochs": 0})
    run(e, store)
    assert forecast.seconds([e], store) == 0


def test_a_real_step_takes_some_time(monkeypatch):
    monkeypatch.undo()
    assert forecast._step(Experiment(method="finetune", overrides=SHORT)) > 0
