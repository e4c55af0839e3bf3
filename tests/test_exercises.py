"""Every exercise of every lesson: its own solution passes, its stub is answered kindly, and its check is one
comment away."""

import pytest
from exercises import EXERCISES, cells, check, solution, stub

from grmu.course import checks


@pytest.mark.parametrize("name", EXERCISES)
def test_the_lessons_own_solution_passes_and_says_so_in_one_line(name, capsys):
    check(name, solution(name))
    said = capsys.readouterr().out
    assert said.startswith("\N{CHECK MARK}")
    assert said.count("\n") == 1


@pytest.mark.parametrize("name", EXERCISES)
def test_the_stub_is_told_to_replace_its_line(name):
    with pytest.raises(checks.CheckError, match=f"{name} still raises NotImplementedError"):
        check(name, stub(name))


@pytest.mark.parametrize("name", EXERCISES)
def test_the_lesson_calls_the_check_behind_a_comment(name):
    lesson, check_name = EXERCISES[name]
    lines = [line for cell in cells(lesson) if cell.cell_type == "code" for line in cell.source.splitlines()]
    assert any(line.startswith("# ") and f"{check_name}({name})" in line for line in lines)


def test_no_check_is_without_its_exercise():
    ours = {check_name for _, check_name in EXERCISES.values()} | {"check_setup"}
    assert {name for name in vars(checks) if name.startswith("check_")} == ours
