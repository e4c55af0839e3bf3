"""Test the checks of the labs.

Right answers in two styles get all points, empty answers get none, and each known mistake (tests/labs/LAB.py)
loses the stated points. Here, the checks run in this process; `test_labs.py` grades a class in the sandbox.
"""

import functools
import importlib.util
import re
from contextlib import suppress

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from conftest import REPOSITORY
from grading.__main__ import LABS, SOURCE, checks, verdict
from grading.asking import in_process

ANSWER = re.compile(r"^([ \t]*)### BEGIN SOLUTION\n.*?### END SOLUTION", re.DOTALL | re.MULTILINE)
EMPTY = {"nothing": lambda *_, **__: None, "NaN": lambda *_, **__: np.nan, "a constant": lambda *_, **__: 1.0,
         "zeros": lambda first=0, *_, **__: 0 * first, "what it was given": lambda first=0, *_, **__: first}


def slow(lab):
    """Leave this test to `make test-labs`."""
    return pytest.param(lab, marks=pytest.mark.all_labs)


QUICK = [slow(lab) if lab == "project" else lab for lab in LABS]


@functools.cache
def known(lab):
    """Import tests/labs/LAB.py."""
    path = REPOSITORY / "tests" / "labs" / f"{lab}.py"
    spec = importlib.util.spec_from_file_location(f"answers_{lab}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@functools.cache
def cells(lab):
    """Return (grade_id, source) of the cells that run quickly, and the points of each graded cell."""
    nb = nbformat.read(SOURCE / lab / f"{lab}.ipynb", as_version=4)
    about = [(cell.metadata.get("nbgrader", {}), cell) for cell in nb.cells if cell.cell_type == "code"]
    graded = {meta["grade_id"]: meta["points"]
              for meta, _ in about if meta.get("grade") and not meta["solution"]}
    quick = [(meta.get("grade_id"), cell.source) for meta, cell in about
             if meta.get("grade_id") not in graded and "slow" not in cell.metadata.get("tags", ())]
    return quick, graded


def namespace(lab, changed=None, patch=None):
    """Return the names of a submission with some changed answers; `patch` replaces its functions."""
    names, (quick, _) = {"__name__": "submission"}, cells(lab)
    assert set(changed or {}) <= {name for name, _ in quick}
    for name, source in quick:
        with suppress(*([Exception] if changed or patch else [])):  # as in a kernel
            exec(compile((changed or {}).get(name, source), f"{lab}/{name}", "exec"), names)
        if patch and ANSWER.search(source):
            names.update(dict.fromkeys(set(re.findall(r"^def (\w+)", source, re.MULTILINE)), patch))
    plt.close("all")
    return names


def lost(lab, names, secret=0):
    """Return the message of each check that gives no points."""
    ask = in_process(names)
    said = {name: verdict(check, ask, np.random.default_rng([secret, i]))
            for i, (name, check) in enumerate(checks(lab).items())}
    plt.close("all")
    return {name: message for name, message in said.items() if message}


@pytest.mark.parametrize("lab", LABS)
def test_each_graded_cell_has_a_check(lab):
    assert list(checks(lab)) == list(cells(lab)[1])


@pytest.mark.parametrize("lab", QUICK)
@pytest.mark.parametrize("secret", [0, pytest.param(1, marks=pytest.mark.all_labs)])
def test_right_answers_get_all_points_in_two_styles(lab, secret):
    assert lost(lab, namespace(lab), secret) == {}
    assert lost(lab, namespace(lab, known(lab).SECOND), secret) == {}


@pytest.mark.parametrize("lab", LABS[:-1])
@pytest.mark.parametrize("empty", EMPTY)
def test_answers_that_show_nothing_get_no_points(lab, empty):
    assert set(lost(lab, namespace(lab, patch=EMPTY[empty]))) == set(checks(lab))


@pytest.mark.parametrize("lab", [lab if lab == "lab2" else slow(lab) for lab in LABS])
def test_a_mistake_loses_its_points_and_no_others_and_is_explained(lab):
    wrong, points = {}, cells(lab)[1]
    for title, (sources, expected) in known(lab).MISCONCEPTIONS.items():
        messages = lost(lab, namespace(lab, sources))
        unexplained = any(len(message) < 30 for message in messages.values())
        if {name: points[name] for name in messages} != expected or unexplained:
            wrong[title] = messages
    assert wrong == {}
