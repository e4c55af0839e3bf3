"""Test that an interrupted run resumes and gives the same numbers as an uninterrupted one."""

from __future__ import annotations

import signal
from dataclasses import replace

import pytest
import torch
from conftest import same_state, start_python, weights_of

from grmu import methods
from grmu.data import LOADERS, GroupedDataset, Splits
from grmu.experiments import Experiment, run

EPOCHS = {"epochs": 4}
SHORT = {"epochs": 1, "warmup_epochs": 0}
OWN = {"gradient_ascent": {"lr": 1e-4}, "miu": {"lr": 1e-3, "first_updates": 10},
       "miu_released": {"lr": 1e-3, "first_updates": 10}}
TRAINED = [name for name in methods.registry
           if name not in ("ssd", "influence", "adjust")]  # those work in one stroke

pytestmark = pytest.mark.usefixtures("few_pictures")


class Stopped(Exception):
    """Raised by the tests to stop a run."""


def stop_in(epoch: int):
    """Return a callback that stops the run in the given epoch."""
    def on_epoch(number: int, row: dict) -> None:
        if number == epoch:
            raise Stopped

    return on_epoch


def experiment(method: str, **settings) -> Experiment:
    """Return a short run with every option that a method can have."""
    forget = {"forget_epochs": 3} if "forget_epochs" in methods.get(method).__dataclass_fields__ else {}
    reweight = method in ("miu", "miu_released", "scrub", "retrain")
    return Experiment(method=method, reweight=reweight, pretraining=SHORT,
                      overrides=EPOCHS | forget | OWN.get(method, {}) | settings)


@pytest.mark.parametrize("method", TRAINED)
def test_a_stopped_run_goes_on_with_the_same_numbers(method, store):
    e, seen = experiment(method), []
    with pytest.raises(Stopped):
        run(e, store, on_epoch=stop_in(3))
    rest = run(e, store, on_epoch=lambda epoch, row: seen.append(epoch))
    assert seen == [3, 4]  # the epochs before were kept
    in_parts = weights_of(rest)
    whole = run(e, store, fresh=True)
    assert same_state(weights_of(whole), in_parts)
    assert whole.metrics == rest.metrics
    assert rest.curves.equals(whole.curves)
    assert rest.seconds > 0


@pytest.mark.parametrize("stopped_in", [2, 4])
def test_a_stopped_run_keeps_the_best_epoch(stopped_in, tmp_path):
    e = experiment("retrain", keep="best", lr=0.5)
    with pytest.raises(Stopped):
        run(e, tmp_path / "parts", on_epoch=stop_in(stopped_in))
    rest, whole = run(e, tmp_path / "parts"), run(e, tmp_path / "whole")
    assert same_state(weights_of(whole), weights_of(rest))
    assert whole.metrics == rest.metrics
    assert whole.metrics["val_TA"] == pytest.approx(whole.curves.val_TA.max())


@pytest.mark.parametrize("method", ["miu", "miu_released"])
def test_dropout_and_adamw_are_resumed_too(method, tmp_path, monkeypatch):
    """The text network draws from PyTorch's global generator, and AdamW counts its steps."""
    rng = torch.Generator().manual_seed(0)
    tokens = torch.randint(1000, 1050, (64, 2, 8), generator=rng).to(torch.int16)
    tokens[:, 1] = 0
    data = GroupedDataset(tokens, tokens[:, 0, 0] % 2, torch.arange(64) % 2, name="groundwear")
    monkeypatch.setitem(LOADERS, "groundwear", lambda name, root: Splits(data, data, data, (1, 1)))
    e = experiment(method, model="text", optimizer="adamw", schedule="constant", batch_size=16)
    whole = run(e, tmp_path / "whole")
    with pytest.raises(Stopped):
        run(e, tmp_path / "parts", on_epoch=stop_in(3))
    torch.manual_seed(123)  # the global state is no part of a run
    torch.rand(7)
    assert same_state(weights_of(whole), weights_of(run(e, tmp_path / "parts")))
    assert not same_state(weights_of(whole), weights_of(run(replace(e, seed=1), tmp_path / "whole")))


def test_a_killed_process_leaves_a_checkpoint_that_another_takes_up(tmp_path):
    code = """
import os, signal
from grmu.experiments import Experiment, run
e = Experiment(method="miu", overrides={"epochs": 4}, pretraining={"epochs": 1, "warmup_epochs": 0})
def on_epoch(epoch, row):
    if epoch == 3:
        os.kill(os.getpid(), signal.SIGKILL)
run(e, sys.argv[1], on_epoch=on_epoch)
"""
    killed = start_python(code, tmp_path / "parts")
    assert killed.wait(600) == -signal.SIGKILL, killed.stderr.read()
    assert len(list((tmp_path / "parts" / "checkpoints").glob("*/*.state"))) == 1
    e, seen = Experiment(method="miu", overrides=EPOCHS, pretraining=SHORT), []
    rest = run(e, tmp_path / "parts", on_epoch=lambda epoch, row: seen.append(epoch))
    assert seen == [3, 4]  # this process has taken up what the other left
    whole = run(e, tmp_path / "whole")
    assert rest.metrics == whole.metrics
    assert same_state(weights_of(rest), weights_of(whole))


def test_checkpoints_go_when_a_run_is_finished_and_fresh_runs_neither_read_nor_write_them(tmp_path):
    e = experiment("finetune")
    with pytest.raises(Stopped):
        run(e, tmp_path, on_epoch=stop_in(3), fresh=True)
    assert not list((tmp_path / "checkpoints").glob("*"))
    with pytest.raises(Stopped):
        run(e, tmp_path, on_epoch=stop_in(3))
    assert len(list((tmp_path / "checkpoints").glob("*/*.state"))) == 1
    seen = []
    run(e, tmp_path, on_epoch=lambda epoch, row: seen.append(epoch), fresh=True)
    assert seen == [1, 2, 3, 4]
    assert not list((tmp_path / "checkpoints").glob("*"))


