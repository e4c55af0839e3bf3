"""Checks are found, draw what a secret says, and word what was mistaken."""

import numpy as np
import pytest

from grmu.course import marking
from grmu.course.asking import in_process

CHECKS = '''
from grmu.course.asking import same
HELP = 3

def test_double(ask, rng):
    x = int(rng.integers(10, 1000))
    assert same(ask("double(x)", x=x), 2 * x), "twice,\\n not thrice."

def test_table(ask, rng):
    assert ask("table()")["a"].sum() == 3

def test_mine(ask, rng, mine):
    assert ask("number") == mine

def helper(ask):
    raise SystemError
'''
RIGHT = {"double": lambda x: 2 * x, "table": lambda: {"a": np.array([1, 2])}, "number": 7}


@pytest.fixture
def lab(tmp_path):
    (tmp_path / "lab1.py").write_text(CHECKS)
    return marking.load("lab1", tmp_path)


def test_checks_are_the_functions_named_as_graded_cells(lab, tmp_path):
    assert list(lab.checks) == ["test_double", "test_table", "test_mine"]
    assert lab.source == CHECKS
    with pytest.raises(FileNotFoundError, match="lab2 has no checks"):
        marking.load("lab2", tmp_path)


def test_right_answers_pass_whatever_is_drawn(lab):
    for secret in ("a", "b"):
        assert set(marking.verdicts(lab, in_process(RIGHT), secret, 7).values()) == {""}


@pytest.mark.parametrize(("wrong", "name", "said"), [
    ({"double": lambda x: 3 * x}, "test_double", "twice, not thrice."),
    ({"double": lambda x: 1 / 0}, "test_double", "there was an error. ZeroDivisionError: division by zero"),
    ({"double": lambda x: print}, "test_double", "TypeError: builtin_function_or_method is no plain data"),
    ({"table": lambda: 5}, "test_table", "does not have the form that was asked for"),
    ({"table": lambda: {"b": 1}}, "test_table", "does not have the form that was asked for"),
    ({"table": lambda: {"a": "abc"}}, "test_table", "(AttributeError:"),
    ({"number": 8}, "test_mine", "This is not what was asked for."),
])
def test_a_wrong_answer_is_told_a_sentence(lab, wrong, name, said):
    found = marking.verdicts(lab, in_process(RIGHT | wrong), mine=7)
    assert said in found.pop(name)
    assert set(found.values()) == {""}


def test_draws_depend_on_the_secret_the_lab_and_the_name():
    drawn = {tuple(marking.generator(*key).integers(0, 2**30, 3))
             for key in (("a", "lab1", "x"), ("b", "lab1", "x"), ("a", "lab2", "x"), ("a", "lab1", "y"))}
    assert len(drawn) == 4
    assert marking.generator("a", "lab1", "x").random() == marking.generator("a", "lab1", "x").random()
