"""Equal answers to different data are found, and chance is not taken for copying."""

import math

import torch

from grmu.teach import copied
from grmu.teach.asking import in_process
from grmu.teach.copied import Answers


def test_numbers_are_read_from_plain_data_to_three_digits():
    answer = {"a": [0.53412, 2350, None, "seven"], "b": torch.tensor([[1.0, math.nan]]), "c": True}
    found = copied.numbers(answer)
    assert found == ["0.534", "2350", "1", "nan", "True"]


def test_what_was_asked_is_answered_and_kept():
    ask = copied.Kept(in_process({"counts": torch.tensor([94, 2300]), "share": 0.123456}))
    assert ask("share") == 0.123456
    ask("counts")
    assert ask.text() == "0.123 94 2300"


def test_zero_and_one_say_nothing():
    ask = copied.Kept(in_process({}))
    assert ask("[0, 1, True, None]") == [0, 1, True, None]
    assert ask.text() == ""


def test_many_numbers_are_compared_whole():
    texts = set()
    for last in (1, 2):
        ask = copied.Kept(in_process({}))
        ask(f"list(range(1000, 1100)) + [{last}]")
        texts.add(ask.text())
    assert len(texts) == 2
    assert max(map(len, texts)) <= copied.SHOWN


def test_a_copy_is_found_and_said_and_equal_right_answers_are_not():
    table = copied.same_answers([
        Answers("ann", "lab1", "test_mine", "0.534", True),
        Answers("bo", "lab1", "test_mine", "0.534", False),
        Answers("cy", "lab1", "test_mine", "0.61", True), Answers("di", "lab1", "test_mine", "0.61", True),
        Answers("ed", "lab1", "test_mine", "", False), Answers("flo", "lab1", "test_mine", "", False),
        Answers("ann", "lab2", "test_mine", "0.7", False), Answers("bo", "lab2", "test_mine", "0.7", False),
        Answers("cy", "lab2", "test_other", "0.7", False)])
    assert table[["lab", "student", "same as", "right for"]].values.tolist() == [
        ["lab1", "ann", "bo", "ann"], ["lab2", "ann", "bo", "neither"]]
    equal = "ann and bo gave equal answers to different data, in test_mine; right for"
    assert copied.sentences(table) == [f"lab1: {equal} ann's data",
                                       f"lab2: {equal} neither: a shared mistake?"]
    assert copied.sentences(copied.same_answers([])) == []
