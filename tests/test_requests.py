"""Requests to be forgotten: every bad file is told why, and no page keeps a number that no run found."""

import math
import re
import subprocess
import sys

import pytest
import torch
from conftest import REPOSITORY, small_network, toy

import grmu
from grmu import data
from grmu.course.report import TEMPLATE, check_report, write_report
from grmu.course.requests import REQUESTS, read_requests
from grmu.data.core import split_at
from grmu.methods import FineTune
from grmu.training import TrainConfig

HEAD = "who,when,group\n"
DAY = "2026-02-14"


@pytest.fixture
def people():
    """Twelve people in four groups, the last of two."""
    return toy([[4, 3], [3, 2]])


def ask(people, row, group=None, when=DAY):
    """A line of a file."""
    return f"train-{row},{when},{group or people.group_names[people.group[row]]}\n"


def written(tmp_path, content):
    path = tmp_path / "requests.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(("content", "sentence"), [
    ("", "requests.csv is empty"),
    (" \n", "requests.csv is empty"),
    (HEAD, "holds no request"),
    ("who,group\ntrain-0,x\n", "needs one column when; it has who, group"),
    ("who,who,group\ntrain-0,x,y\n", "needs one column who and one when; it has who, who, group"),
    ("who;when;group\ntrain-0;2026-02-14;x\n", "not separated by commas: its first line is 'who;when;group'"),
    (HEAD + 'train-0,"2026-02-14,x\n', "no CSV, line 2"),
    (HEAD.encode() + "train-0,2026-02-14,für\n".encode("latin-1"), r"not UTF-8 \(line 2\): save it"),
    (b"PK\x03\x04\x00\x00", r"no text \(a spreadsheet\?\): save it as CSV"),
    ('{"who": "train-0"}\n', "not separated by commas"),
])
def test_a_file_that_is_no_file_of_requests_is_told_why(tmp_path, people, content, sentence):
    with pytest.raises(ValueError, match=sentence):
        read_requests(written(tmp_path, content), people)


def test_a_file_that_is_not_there_is_named(tmp_path, people):
    with pytest.raises(FileNotFoundError, match=r"there is no file none.csv"):
        read_requests(tmp_path / "none.csv", people)


@pytest.mark.parametrize(("line", "sentence"), [
    ("train-99,2026-02-14,class 0 place 0", "train-99 is unknown: ids are train-0 to train-11"),
    ("train-12,2026-02-14,class 0 place 0", "train-12 is unknown"),
    ("train--1,2026-02-14,class 0 place 0", "train--1 has a negative number"),
    ("customer-1,2026-02-14,class 0 place 0", "'customer-1' is no id: ids are train-0 to train-11"),
    ("0,2026-02-14,class 0 place 0", "'0' is no id"),
    (",2026-02-14,class 0 place 0", "'' is no id"),
    ("train-1.5,2026-02-14,class 0 place 0", "'train-1.5' is no id"),
    ("val-3,2026-02-14,class 0 place 0", "val-3 was never in the training set: there is nothing to unlearn"),
    ("test-0,2026-02-14,class 0 place 0", "test-0 was never in the training set"),
    ("all,2026-02-14,class 1 place 1", "nobody can ask for a whole group"),
    ("class 1 place 1,2026-02-14,class 1 place 1", "nobody can ask for a whole group"),
    ("train-0,2026-02-30,GROUP", "'2026-02-30' is no date such as"),
    ("train-0,14.2.2026,GROUP", "'14.2.2026' is no date such as"),
    ("train-0,,GROUP", "'' is no date such as"),
    ("train-0,2026-02-14,boots", "there is no group 'boots': the groups are class 0 place 0, class"),
    ("train-0,2026-02-14,OTHER", "the request says OTHER, the data say GROUP: the id or the group is wrong"),
    ("train-0,2026-02-14", "the line has 2 fields, the first line 3"),
    ("train-0,2026-02-14,GROUP,please", "the line has 4 fields, the first line 3"),
])
def test_a_bad_request_is_refused_with_its_reason_and_stops_no_other(tmp_path, people, line, sentence):
    own = people.group_names[people.group[0]]
    other = next(name for name in people.group_names if name != own)
    line, sentence = (text.replace("GROUP", own).replace("OTHER", other) for text in (line, sentence))
    requests = read_requests(written(tmp_path, HEAD + line + "\n" + ask(people, 3)), people)
    assert requests.rows.tolist() == [3]
    (refused,) = requests.refused.itertuples()
    assert refused.line == 2
    assert re.search(re.escape(sentence), refused.reason)
    assert refused.reason[-1] == "."


def test_the_same_person_counts_once_however_the_id_is_written(tmp_path, people):
    again = ask(people, 3).replace("train-3", "train-003")
    requests = read_requests(written(tmp_path, HEAD + ask(people, 3) + again + ask(people, 1)), people)
    assert requests.rows.tolist() == [1, 3]
    assert requests.refused.reason.tolist() == ["the same person asked already, in line 2: once is enough."]
    assert requests.refused.line.tolist() == [3]


def test_who_was_refused_may_ask_again(tmp_path, people):
    requests = read_requests(written(tmp_path, HEAD + ask(people, 3, when="?") + ask(people, 3)), people)
    assert requests.rows.tolist() == [3]


def test_other_columns_spaces_blank_lines_and_a_byte_order_mark_are_no_harm(tmp_path, people):
    group = people.group_names[people.group[5]]
    text = f"\ufeffgroup, when ,who,note\n\n{group}, {DAY},train-5 ,\"please, soon\"\n"
    requests = read_requests(written(tmp_path, text), people)
    assert requests.rows.tolist() == [5]
    assert requests.valid.when.tolist()[0].isoformat() == DAY
    assert requests.valid.line.tolist() == [3]


def test_a_group_that_asks_as_a_whole_is_granted_and_said(tmp_path, people):
    last = (people.group == 3).nonzero().flatten().tolist()
    requests = read_requests(written(tmp_path, HEAD + "".join(ask(people, r) for r in last)), people)
    assert requests.rows.tolist() == sorted(last)
    (note,) = requests.notes
    assert note.startswith("All 2 of class 1 place 1 ask.")
    assert "REWEIGHT cannot bring back a group that has vanished" in note


def test_everybody_and_nobody_are_said(tmp_path, people):
    every = read_requests(written(tmp_path, HEAD + "".join(ask(people, r) for r in range(12))), people)
    assert every.notes == ["The whole training set asks: nothing is left to train on. "
                           "Take the model out of service."]
    nobody = read_requests(written(tmp_path, HEAD + "all,2026-02-14,x\n"), people)
    assert nobody.notes == ["No request is valid: there is nothing to unlearn."]
    assert len(nobody.rows) == 0
    assert list(nobody.valid) == ["line", "who", "when", "group", "row"]


def test_the_training_set_must_be_one(tmp_path):
    with pytest.raises(ValueError, match="train must be a GroupedDataset"):
        read_requests(written(tmp_path, HEAD), [1, 2])


# --- the file that ships ------------------------------------------------------------------------------------


def test_the_shipped_file_is_what_its_script_builds_and_holds_what_the_lesson_says():
    script = REPOSITORY / "data" / "build_requests.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, cwd=REPOSITORY,
                          env={"PYTHONPATH": str(REPOSITORY), "PATH": ""})
    assert done.returncode == 0, done.stderr
    train = data.load("groundwear").train
    requests = read_requests(REQUESTS, train)
    asks = split_at(train, requests.rows).forget.group_counts()
    assert asks.tolist() == [9, 7, 8, 53]
    kinds = requests.refused.reason.str.split(": ").str[0].str.replace(r"\S*\d\S*|'.*?'", "", regex=True)
    assert kinds.nunique() >= 7
    assert requests.notes == []


# --- the page -----------------------------------------------------------------------------------------------


RESULTS = {
    "first": "2026-02-02", "last": "2026-02-26", "model": "groundwear-2", "lines": 92, "valid": 77,
    "refused": 15, "most": "y=1 a=1", "share_asks": 68.83, "share_trained": 1.79, "retained": 5615,
    "trained_all": 5692,
    "method": "fine-tuning + REWEIGHT", "hours": 23.86, "budget": 30.0, "hours_gold": 40.0, "exact": "no",
    "promise": "none yet.", "verdict": "cannot tell", "attacked": 53, "auc": 0.4841, "auc_low": 0.4052,
    "auc_high": 0.5618, "kept_n": 49, "kept": 0.5288, "kept_low": 0.4471, "kept_high": 0.6102,
    "memorised": 0.7918, "memorised_original": 0.9927, "memorised_gold": 0.4954,
    "group": ["y=0 a=0", "y=1 a=1"],
    "asked": [24, 53],
    "trained": [5590, 102], "before": [98.6, 59.8], "predicted": [98.7, 45.8], "after": [98.2, 61.8],
    "n": [1500, 500], "pays": "y=0 a=0", "lost": -0.42, "lost_low": -1.12, "lost_high": 0.27,
    "without": 52.9}
PAGE = write_report(RESULTS)


def test_the_page_that_was_written_passes_and_its_numbers_are_counted():
    assert check_report(PAGE, RESULTS) == 40
    assert "| y=1 a=1 | 53 of 102 | 59.8 | 45.8 | 61.8 | 500 |" in PAGE
    assert "5,615 of 5,692 records remain" in PAGE
    assert "{" not in PAGE


NUMBERS = [match.span() for match in re.finditer(r"(?<![\w.=-])\d[\d,]*(?:\.\d+)?(?![\w-])", PAGE)]


@pytest.mark.parametrize("where", range(len(NUMBERS)))
def test_a_page_with_one_number_changed_is_refused(where):
    end = NUMBERS[where][1]
    last = "1" if PAGE[end - 1] != "1" else "2"
    with pytest.raises(ValueError, match=r"^Line \d+: "):
        check_report(PAGE[: end - 1] + last + PAGE[end:], RESULTS)


def test_two_numbers_of_the_run_that_changed_places_are_refused():
    swapped = PAGE.replace("| 59.8 | 45.8 | 61.8 |", "| 61.8 | 45.8 | 59.8 |")
    with pytest.raises(ValueError, match=r"61.8 stands where before\[1\] belongs, and the run says 59.8.\n"
                                         r"Line \d+: 59.8 stands where after\[1\] belongs"):
        check_report(swapped, RESULTS)


def test_a_verdict_and_a_promise_are_the_runs():
    with pytest.raises(ValueError, match="forgotten stands where verdict belongs, and the run says cannot"):
        check_report(PAGE.replace("Verdict: cannot tell.", "Verdict: forgotten."), RESULTS)
    with pytest.raises(ValueError, match="deleted! stands where promise belongs"):
        check_report(PAGE.replace("Promise: none yet.", "Promise: deleted!"), RESULTS)


@pytest.mark.parametrize("line", [
    "Of 77 people, 53 are of one group.", "It went from 59.8 to 61.8, in short 62.",
    "A loss of 0.42 points (-0.42).",
    "5,692 became 5615.", "Change: \u22120.4", "1. First, train-17 and val-3 asked on 2026-02-14.",
    "See Article 17, Articles 12 and section 10.4, lesson 07; by 3 March 2026.",
    "Model groundwear-2, group y=1 a=1."])
def test_a_sentence_of_ones_own_may_hold_the_runs_numbers_ids_and_dates(line):
    check_report(PAGE + line + "\n", RESULTS)


@pytest.mark.parametrize(("line", "sentence"), [
    ("We lost 78.", "78 in 'We lost 78.' is none of the run's numbers; the nearest is valid, 77"),
    ("Accuracy: 61.9 %", r"the nearest is after\[1\], 61.8"), ("A gain of +0.42 points", r"\+0.42 in"),
    ("about 5,700 left", "the nearest is trained_all, 5692"), ("at 61.80001", "61.80001 in"),
    ("AUC 0.490", "0.490 in")])
def test_another_number_is_named_with_its_place_and_what_the_run_says(line, sentence):
    with pytest.raises(ValueError, match=f"^Line {len(PAGE.splitlines()) + 1}: .*{sentence}"):
        check_report(PAGE + line + "\n", RESULTS)


def test_what_was_not_measured_is_said_in_words_and_is_no_number():
    results = RESULTS | {"memorised": math.nan, "after": [98.2, math.nan]}
    page = write_report(results)
    assert "AUC not measured, attacked person by person" in page
    assert "| 45.8 | not measured | 500 |" in page
    check_report(page, results)
    with pytest.raises(ValueError, match=r"0\.79 stands where memorised belongs, and the run says not"):
        check_report(page.replace("AUC not measured", "AUC 0.79"), results)


def test_fewer_digits_of_the_same_number_are_fine_in_a_line_of_the_template():
    check_report(PAGE.replace("| 59.8 |", "| 60 |"), RESULTS)


def test_a_page_that_asks_for_what_was_not_found_is_refused():
    with pytest.raises(ValueError, match="the page asks for 'verdict', which is not among the results"):
        write_report({name: value for name, value in RESULTS.items() if name != "verdict"})
    with pytest.raises(ValueError, match="which is not among the results"):
        write_report(RESULTS | {"after": [98.2]})


def test_with_nothing_found_every_number_is_strange():
    with pytest.raises(ValueError, match=r"^Line 1: 3 in 'I counted 3' is none of the run's numbers\.$"):
        check_report("I counted 3", {}, "")


# --- own arrays ---------------------------------------------------------------------------------------------


def test_it_works_with_arrays_and_a_network_of_ones_own(tmp_path):
    splits = data.Splits(toy([[40, 20], [20, 12]]), toy([[6, 6], [6, 6]], seed=1),
                         toy([[8, 8], [8, 8]], seed=2), (1, 1))
    train, names = splits.train, splits.train.group_names
    leave = (train.group == 3).nonzero().flatten().tolist()[:5]
    requests = read_requests(written(tmp_path, HEAD + "".join(ask(train, r) for r in leave)), train)
    model = small_network()
    config = TrainConfig(epochs=1, lr=0.01, batch_size=16)
    unlearned = grmu.unlearn(model, splits, requests.rows, FineTune(), head="head", config=config)
    split = split_at(train, requests.rows)

    def percent(network):
        with torch.no_grad():
            right = (network(splits.test.x).argmax(1) == splits.test.y).float()
        return [100 * right[splits.test.group == g].mean().item() for g in range(4)]

    results = RESULTS | {"group": names, "before": percent(model.eval()), "after": percent(unlearned.model),
                     "predicted": [math.nan] * 4, "valid": len(requests.valid), "most": names[3],
                     "asked": split.forget.group_counts().tolist(), "trained": train.group_counts().tolist(),
                     "n": splits.test.group_counts().tolist(), "pays": names[3],
                     "retained": len(split.retain)}
    page = write_report(results)
    assert check_report(page, results) > 40
    assert page.count("| class ") == 4
    assert f"| {names[3]} | 5 of 12 |" in page
    with pytest.raises(ValueError, match=r"6 stands where asked\[3\] belongs, and the run says 5"):
        check_report(page.replace("5 of 12", "6 of 12"), results)


def test_the_templates_lines_are_told_apart():
    filled = [line for line in TEMPLATE.splitlines() if "{" in line]
    assert len(filled) > 12
    words = [re.sub(r"\{.*?\}", "", line) for line in filled if "{group[#]}" not in line]
    assert all(re.search(r"[A-Za-z]{3}", text) for text in words)
    assert len(set(words)) == len(words)
