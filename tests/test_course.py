"""Test guesses, files of deletion requests, and the report about them."""

import re
from types import SimpleNamespace

import matplotlib.pyplot as plt
import pytest
from conftest import toy

from grmu import data
from grmu.course.guesses import guess, quiz, score_guesses
from grmu.course.requests import REQUESTS, check_report, read_requests, write_report
from grmu.data.core import split_at

HEAD = "who,when,group\n"


# --- guesses ------------------------------------------------------------------------------------------------


def committed(asked, value):
    asked.choice.value = value
    asked.button.click()
    return asked


def test_a_guess_is_kept_drawn_and_compared(capsys):
    loss = committed(guess("How many points?", range(101)), 30)
    who = guess("Which group?", ["the forget set", "the retain set"])
    who.button.click()
    assert who.feedback.value == "Choose first."
    committed(who, "the retain set")
    assert (loss.value, loss.choice.disabled, loss.button.disabled) == (30, True, True)
    _, ax = plt.subplots()
    loss.mark(ax)
    assert list(ax.lines[0].get_ydata()) == [30, 30]
    plt.close("all")
    loss.answer(51.23, "Half of them.", digits=1)
    who.answer("the retain set")
    capsys.readouterr()
    score_guesses(loss, who, guess("Not answered?", range(10)))
    assert capsys.readouterr().out == (
        "Choices right: 1 of 1.\nNumbers: off by 21 % of the range on average.\n")


def test_an_answer_stays_collapsed_until_there_is_a_guess(monkeypatch):
    shown = []
    place = SimpleNamespace(update=shown.append)
    monkeypatch.setattr("grmu.course.guesses.display", lambda html, **_: shown.append(html) or place)
    loss = guess("How many points?", range(101))
    loss.answer(51.23, "Half of them.")
    assert shown[-1].data.startswith("<details>")
    committed(loss, 30)
    assert shown[-1].data == "<p>You guessed: 30. The answer is 51. Half of them.</p>"
    loss.answer(51.23)
    assert shown[-1].data == "<p>You guessed: 30. The answer is 51.</p>"
    guess("Whose accuracy falls?", ["one group's", "everyone's"]).answer("one group's")
    assert "The answer is “one group's”." in shown[-1].data


def test_a_quiz_explains_each_choice_and_prints_its_answer():
    asked = quiz("Is it exact?", {"yes": "RETRAIN is.", "no": "It never saw them."}, "yes")
    whole = quiz("Is it exact?", {"It is.": "RETRAIN.", "no": "RETRAIN is."}, "It is.")
    assert "*It is.* Right. RETRAIN." in whole.printed()
    assert committed(asked, "no").feedback.value == "Wrong. It never saw them."
    assert committed(asked, "yes").feedback.value == "Right. RETRAIN is."
    assert "<summary>Answer</summary>" in asked.printed()
    assert "Your guess: ____" in guess("How many?", range(5)).printed()


@pytest.mark.parametrize("wrong", [
    lambda: guess("?", ["a", "b"]).answer("c"), lambda: quiz("?", {"a": "x", "b": "y"}, "c")])
def test_an_answer_is_one_of_the_options(wrong):
    with pytest.raises(ValueError, match="must be one of a, b, got 'c'"):
        wrong()


# --- requests -----------------------------------------------------------------------------------------------


@pytest.fixture
def people():
    """Twelve people in four groups, of which the last has two."""
    return toy([[4, 3], [3, 2]])


def line(people, row, group=None, when="2026-02-14"):
    return f"train-{row},{when},{group or people.group_names[people.group[row]]}\n"


def written(tmp_path, content):
    path = tmp_path / "requests.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(("content", "sentence"), [
    ("", "No columns"), (HEAD, "has no requests"),
    ("who,group\ntrain-0,x\n", "needs the columns who, when"),
    ("who;when;group\ntrain-0;2026-02-14;x\n", "needs the columns"),
    (HEAD + 'train-0,"2026-02-14,x\n', "EOF inside string"),
    (HEAD.encode() + "train-0,d,für\n".encode("latin-1"), "utf-8")])
def test_a_wrong_file_is_rejected(tmp_path, people, content, sentence):
    with pytest.raises(ValueError, match=sentence):
        read_requests(written(tmp_path, content), people)


@pytest.mark.parametrize(("bad", "sentence"), [
    ("train-12,2026-02-14,GROUP", "'train-12' is not an id: ids are train-0 to train-11"),
    ("train--1,2026-02-14,GROUP", "is not an id"), ("all,2026-02-14,GROUP", "is not an id"),
    ("val-3,2026-02-14,GROUP", "never in the training set"), ("train-0,2026-02-30,GROUP", "is not a date"),
    ("train-0,,GROUP", "is not a date"), ("train-0,2026-02-14,boots", "there is no group 'boots'"),
    ("train-0,2026-02-14,OTHER", "either the id or the group is wrong"),
    ("train-0,2026-02-14", "no group ''")])
def test_a_bad_request_is_rejected_with_its_reason_and_affects_no_other(tmp_path, people, bad, sentence):
    group = people.group_names[people.group[0]]
    other = next(name for name in people.group_names if name != group)
    text = HEAD + bad.replace("GROUP", group).replace("OTHER", other) + "\n" + line(people, 3)
    requests = read_requests(written(tmp_path, text), people)
    assert requests.rows.tolist() == [3]
    assert requests.rejected.line.tolist() == [2]
    assert sentence in requests.rejected.reason[0]


def test_one_person_counts_once(tmp_path, people):
    members = (people.group == 3).nonzero().flatten().tolist()
    text = "\ufeff" + HEAD + "".join(line(people, row) for row in [*members, members[0]]) + "\n"
    requests = read_requests(written(tmp_path, text), people)
    assert requests.rows.tolist() == sorted(members)
    assert requests.rejected.reason.tolist() == ["this person has already asked in line 2."]


def test_the_shipped_file_has_the_requests_of_the_lesson():
    train = data.load("groundwear").train
    requests = read_requests(REQUESTS, train)
    assert split_at(train, requests.rows).forget.group_counts().tolist() == [9, 7, 8, 53]


# --- the page -----------------------------------------------------------------------------------------------


TEMPLATE = """Of {valid} people, {asked[0]} are of one group. Verdict: {verdict}.
| {group[#]} | {asked[#]} | {before[#]:.1f} |
AUC {auc:.3f}.
"""
RESULTS = {"valid": 77, "asked": [24, 53], "verdict": "cannot tell", "group": ["y=0", "y=1"],
           "before": [98.6, 59.8], "auc": 0.4841}


def test_a_written_page_passes_and_each_changed_number_is_found():
    page = write_report(RESULTS, TEMPLATE)
    assert "| y=1 | 53 | 59.8 |" in page
    assert check_report(page, RESULTS, TEMPLATE) == 9
    for number in re.finditer(r"(?<![\w=.])\d[\d.]*\d", page):
        end = number.end() - 1
        with pytest.raises(ValueError, match=r"^The page lacks the line '.*'"):
            check_report(page[:end] + ("1" if page[end] != "1" else "2") + page[end + 1:], RESULTS, TEMPLATE)
    with pytest.raises(ValueError, match=r"The page lacks the line '.*cannot tell.'"):
        check_report(page.replace("cannot tell", "deleted"), RESULTS, TEMPLATE)


def test_own_sentences_may_have_numbers_of_the_run_ids_and_dates_but_no_others():
    page = write_report(RESULTS, TEMPLATE)
    own = "In short 60 %, as Article 17 says; train-17 asked on 2026-02-14.\n"
    check_report(page + own, RESULTS, TEMPLATE)
    with pytest.raises(ValueError, match=r"^Line 5: 78 is not one of the run's numbers"):
        check_report(page + "We lost 78.", RESULTS, TEMPLATE)
