"""Guesses are kept, and held beside the answer; wrong questions are told what is wrong."""

import matplotlib.pyplot as plt
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from grmu.course import notebooks
from grmu.course.guess import calibration, guess, quiz


def committed(asked, value):
    asked.choice.value = value
    asked.button.click()
    return asked


def test_a_number_is_kept_and_cannot_be_changed():
    loss = committed(guess("How many points?", range(101)), 10)
    assert loss.value == 10
    assert loss.choice.disabled
    assert loss.button.disabled
    assert "Kept: 10" in loss.feedback.value


def test_an_option_has_to_be_chosen_before_it_is_kept():
    who = guess("Who pays?", ["those who left", "those who stay"])
    who.button.click()
    assert who.value is None
    assert who.feedback.value == "Choose first."
    assert committed(who, "those who stay").value == "those who stay"


def test_the_answer_stands_beside_the_guess(capsys):
    loss = committed(guess("How many points?", range(101)), 10)
    loss.answer(51.23, "Half of them pay.", digits=1)
    assert capsys.readouterr().out == "You guessed: 10. It is: 51.2. Half of them pay.\n"
    guess("How many?", range(101)).answer(51.23)
    assert capsys.readouterr().out == "It is: 51.\n"


def test_a_truth_that_could_not_be_chosen_is_refused():
    who = guess("Who pays?", ["they", "we"])
    with pytest.raises(ValueError, match=r"'you' is none of the options: they, we"):
        who.answer("you")


def test_a_guessed_number_is_drawn_and_nothing_without_one():
    loss = guess("How many points?", range(101))
    for value, drawn in ((None, 0), (30, 1)):
        _, ax = plt.subplots()
        if value is not None:
            committed(loss, value)
        loss.mark(ax)
        assert len(ax.lines) == len(ax.texts) == drawn
    assert list(ax.lines[0].get_ydata()) == [30, 30]
    assert ax.texts[0].get_text() == "your guess: 30"
    loss.mark(ax, axis="x")
    assert list(ax.lines[1].get_xdata()) == [30, 30]
    plt.close("all")


def test_calibration_counts_what_was_committed_and_answered(capsys):
    who, what = (guess(f"{q}?", ["they", "we"]) for q in ("who", "what"))
    far, near, never = (guess(f"{q}?", range(0, 201, 10)) for q in ("far", "near", "never"))
    for asked, value, truth in ((who, "we", "we"), (what, "we", "they"), (far, 0, 100), (near, 50, 60)):
        committed(asked, value).answer(truth)
    never.answer(1)
    capsys.readouterr()
    calibration(who, what, far, near, never)
    said = capsys.readouterr().out.splitlines()
    assert said == ["Choices right: 1 of 2.", "Numbers: off by 28 % of the range on average.",
                    'Furthest off: "what?" You said we; it is they.']
    calibration(never)
    assert "No guess was committed" in capsys.readouterr().out


def test_calibration_of_something_else_is_refused():
    with pytest.raises(TypeError, match="calibration takes what `guess` returned, not 51"):
        calibration(51)


@pytest.mark.parametrize(("question", "options", "error", "said"), [
    (5, range(3), TypeError, "a guess needs a question, a text, not 5"),
    (" ", range(3), TypeError, "a guess needs a question"),
    ("how?", "yes no", TypeError, r"options must be texts to choose from, or a range such as range\(101\)"),
    ("how?", 100, TypeError, "options must be texts"),
    ("how?", {"a", "b"}, TypeError, "options must be texts"),
    ("how?", ["only"], ValueError, "at least two options"),
    ("how?", range(1), ValueError, "at least two options"),
    ("how?", [1, 2], TypeError, r"options are texts, not 1; for a number, give a range"),
    ("how?", ["a", "a"], ValueError, "an option stands there twice"),
])
def test_a_question_that_cannot_be_asked_is_told_why(question, options, error, said):
    with pytest.raises(error, match=said):
        guess(question, options)


def test_a_quiz_says_why_and_may_be_tried_again():
    asked = quiz("What moves?", {"the share": "The prior shifts.", "the pictures": "They stay."},
                 right="the share")
    asked.button.click()
    assert asked.feedback.value == "Choose first."
    assert committed(asked, "the pictures").feedback.value == "Not so. They stay."
    assert committed(asked, "the share").feedback.value == "Right. The prior shifts."
    assert asked.printed().index("<details>") < asked.printed().index("The prior shifts.")


def test_a_quiz_needs_reasons_and_a_right_answer_among_them():
    with pytest.raises(TypeError, match="a reason for every option"):
        quiz("?", ["a", "b"], right="a")
    with pytest.raises(ValueError, match="'c' is none of the options"):
        quiz("?", {"a": "1", "b": "2"}, right="c")


def test_on_paper_a_line_to_write_on_stands_where_the_widget_was():
    shown = new_output("display_data", data={notebooks.WIDGET: {"model_id": "1"}, "text/plain": "VBox()",
                                             "text/markdown": guess("How many?", range(101)).printed()})
    other = new_output("display_data", data={notebooks.WIDGET: {"model_id": "2"}, "text/plain": "VBox()"})
    nb = notebooks.normalise(new_notebook(cells=[new_code_cell("loss", id="a", outputs=[shown, other])]))
    kept, = nb.cells[0].outputs
    assert kept.data == {"text/markdown": "**How many?**\n\n0 to 100\n\nYour guess: ____________"}
    assert nbformat.writes(notebooks.normalise(nb)) == nbformat.writes(nb)
