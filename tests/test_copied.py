"""Equal answers to different data are found, and chance is not taken for copying."""

import math

import pytest
import torch

from grmu.course import copied
from grmu.course.asking import in_process
from grmu.course.copied import Answers


def test_numbers_are_read_from_plain_data_to_three_digits():
    answer = {"a": [0.53412, 2350, None, "seven"], "b": torch.tensor([[1.0, math.nan]]), "c": True}
    found = copied.numbers(answer)
    assert found == ["0.534", "2350", "1", "nan", "True"]


def test_what_was_asked_is_answered_and_kept():
    ask = copied.Kept(in_process({"counts": torch.tensor([94, 2300]), "share": 0.123456}))
    assert ask("share") == 0.123456
    ask("counts")
    assert ask.answers == ["0.123", "94 2300"]


def test_many_numbers_are_compared_whole():
    ask = copied.Kept(in_process({}))
    for last in (1, 2):
        ask(f"list(range(1000, 1100)) + [{last}]")
    assert len(set(ask.answers)) == 2
    assert max(map(len, ask.answers)) <= copied.SHOWN


def pair(one, other, right=False):
    return [Answers("ann", "lab1", "test_mine", one, True), Answers("bo", "lab1", "test_mine", other, right)]


def test_a_copy_is_found_though_a_check_asks_no_more_after_a_wrong_answer():
    table = copied.same_answers(pair(["0.534 47", "12"], ["0.534 47"]))
    assert table.values.tolist() == [["lab1", "test_mine", "ann", "bo", "ann", "0.534 47"]]


@pytest.mark.parametrize("found", [
    pair(["0.534"], ["0.534"], right=True), pair(["0.534"], ["0.535"]), pair(["47", "12"], ["47", "13"]),
    pair(["1", "0"], ["1", "0"]), pair([], []), pair(["0.534"], []), pair([""], [""])])
def test_chance_is_no_copy(found):
    assert copied.same_answers(found).empty
    assert copied.sentences(copied.same_answers(found)) == []


def test_pairs_are_said_in_a_line_each():
    wrong = [Answers(who, "lab2", cell, ["0.71"], False)
             for who in ("ann", "bo") for cell in ("test_a", "test_b")]
    equal = "ann and bo gave equal answers to different data, in"
    assert copied.sentences(copied.same_answers(pair(["47"], ["47"]) + wrong)) == [
        f"lab1: {equal} test_mine; right for ann's data",
        f"lab2: {equal} test_a, test_b; right for neither: a shared mistake?"]
