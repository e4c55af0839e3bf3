"""Test the project's tasks, and that a notebook cannot change its checks by changing the package."""

import subprocess
import sys

import numpy as np
import torch
from grading.asking import in_process
from grading.checks import project
from grading.sandbox import FORBID

from grmu import methods, training
from grmu.course import unseen

CALLED = """
import pkgutil
for name in {names!r}:
    try:
        pkgutil.resolve_name(name)(None)
    except AssertionError as error:
        assert "your answer calls grmu.methods." in str(error)
    else:
        raise RuntimeError(name)
"""


def test_a_task_is_memorised_and_a_method_is_given_no_test_picture():
    task, rows = unseen.reference(7)
    assert torch.equal(task.train.x, unseen.draw(np.random.default_rng(7)).train.x)
    assert rows["original model"]["RA"] == rows["original model"]["UA"] == 100
    assert max(rows["original model"]["TA"], rows["RETRAIN + REWEIGHT"]["UA"]) < 80
    assert rows["wrecked model"]["RA"] < 60
    inputs = unseen.inputs_of(task)
    pictures = [x.flatten(1).unique(dim=0) for x in (inputs["x"], task.test.x)]
    assert len(torch.cat(pictures).unique(dim=0)) == len(pictures[0]) + len(pictures[1])
    assert inputs["seed"] != task.seeds[0]


def test_the_checks_train_with_the_package_as_it_is_on_disk(monkeypatch):
    task, rows = unseen.reference(7)
    for module, name in ((training, "train"), (unseen, "apply"), (unseen, "context_of")):
        monkeypatch.setattr(module, name, lambda *_: {"nothing": 0})
    ask = in_process({"MyMethod": methods.FineTune, "memorised_settings": {}})
    assert unseen.measure(task, project.unlearned(ask, task, rows)) == rows["fine-tuning"]


def test_a_call_of_any_shipped_method_is_an_error():
    code = FORBID.format(names=project.NOT_ALLOWED) + CALLED.format(names=project.NOT_ALLOWED)
    assert "grmu.methods.ssd.SSD.setup" in project.NOT_ALLOWED  # super() makes it a closure
    subprocess.run([sys.executable, "-c", code], check=True)
