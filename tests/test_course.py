"""Test guesses, files of deletion requests, and the report about them."""

import re
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from conftest import toy
from scipy.stats import norm

from grmu import data
from grmu.analysis import results
from grmu.course import certified, last_layer, leaving
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


# --- rounds in which people leave ---------------------------------------------------------------------------


def test_people_leave_at_the_error_of_their_group_and_an_empty_group_is_announced_once(capsys):
    left, accuracy = leaving.spiral(np.repeat([0, 1], [50, 3]), lambda here: np.array([1.0, 0.0]), 1.0,
                                    names=("boots", "sneakers"))
    assert left.tolist() == [[50, 3], *[[50, 0]] * leaving.ROUNDS]
    assert accuracy.tolist() == [[1.0, 0.0]] * (leaving.ROUNDS + 1)
    assert capsys.readouterr().out == "Round 1: no sneakers is left; the others continue.\n"


def test_in_the_control_everyone_has_the_average_chance_and_a_seed_repeats_itself():
    def play(seed, chance=None):
        group = np.repeat([0, 1], [9000, 1000])
        return leaving.spiral(group, lambda here: np.array([0.9, 0.4]), 0.5, seed, 1, chance)

    left, accuracy = play(0)
    chance = leaving.average_chance(left, accuracy, 0.5)
    assert chance == pytest.approx([(9000 * 0.05 + 1000 * 0.3) / 10_000])
    assert (play(0)[0] == left).all()
    assert (play(1)[0] != left).any()
    control = play(0, chance)[0]
    assert control[1] / control[0] == pytest.approx(1 - chance[0], abs=0.03)


@pytest.mark.parametrize("rate", [-0.1, 1.5, "0.5"])
def test_a_rate_of_leaving_is_from_0_to_1(rate):
    with pytest.raises(ValueError, match=f"rate must be a number from 0 to 1, got {rate!r}"):
        leaving.spiral(np.zeros(3, dtype=int), lambda here: np.ones(1), rate)


def test_a_shipped_simulation_comes_out_alike_when_it_is_done_again():
    """The same machine gives the same digits; on another, the original model may differ a little."""
    part = last_layer.features(1)
    left, accuracy = leaving.spiral(part.train.group, leaving.last_layer_update(part, leaving.plain), 0.6, 1)
    shipped = results.load("leaving", model="last layer", arm="retrain", seed=1, rate=0.6)
    np.testing.assert_allclose(accuracy.flatten(), shipped.accuracy, atol=0.12)
    then = shipped.left.to_numpy().reshape(left.shape)
    np.testing.assert_allclose(left / left[0], then / left[0], atol=0.12)


# --- certified removal --------------------------------------------------------------------------------------


def two_groups(n=300, seed=0):
    """Samples of norm 1, a tenth of them in a group with other features, and noise."""
    rng = np.random.default_rng(seed)
    group = (np.arange(n) < n // 10).astype(int)
    x = rng.normal(size=(n, 4)) + 2 * group[:, None] * np.array([0, 1, 0, -1])
    y = (x[:, 0] + 0.5 * rng.normal(size=n) > 0).astype(int) ^ group
    return last_layer.Samples(x / np.linalg.norm(x, axis=1, keepdims=True), y, group), rng.normal(size=4)


def test_the_first_newton_step_is_the_closed_form_of_a_ridge_regression():
    (x, y, _), b = two_groups()
    w = certified.newton_step(np.zeros(4), x, y, 0.01, b)
    ridge = x.T @ x / 4 + len(y) * 0.01 * np.eye(4)
    np.testing.assert_allclose(w, np.linalg.solve(ridge, x.T @ (y - 0.5) - b), rtol=1e-10)


def test_newton_steps_end_at_the_exactly_retrained_model():
    samples, _ = two_groups()
    left = last_layer.take(samples, np.arange(300) >= 15)  # half of the group leaves
    start = certified.train(samples.x, samples.y, 1e-3)
    np.testing.assert_allclose(start, last_layer.fit(samples, l2=1e-3), atol=1e-5)
    for weights in (None, np.array([1.0, 2.0])[left.group]):
        w, exact = start, last_layer.fit(left, weights, 1e-3)
        for _ in range(4):
            w = certified.newton_step(w, left.x, left.y, 1e-3, 0.0, weights)
        np.testing.assert_allclose(w, exact, atol=1e-5)
        assert np.linalg.norm(start - exact) > 0.01


def test_no_residual_of_200_requests_exceeds_its_bound():
    samples, b = two_groups()
    shares = []
    for k in range(200):
        rng = np.random.default_rng(k)
        start = certified.train(samples.x, samples.y, 1e-3, k % 3 * b)
        pool = rng.permutation(30 if k % 2 else 300)  # every second request comes from the group
        left = last_layer.take(samples, np.setdiff1d(np.arange(300), pool[:rng.integers(1, 29)]))
        loss = left.x, left.y, 1e-3, k % 3 * b, rng.uniform(0.5, 3, len(left.y)) if k % 5 == 0 else None
        shares.append(certified.residual(certified.newton_step(start, *loss), *loss)
                      / certified.bound(start, *loss))
    assert 0.005 < max(shares) <= 1  # the largest shows that the bound is not empty


@pytest.mark.parametrize("epsilon", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("delta", [1e-5, 1e-2])
def test_the_noise_hides_a_shift_by_the_allowed_residual(epsilon, delta):
    apart = 0.3 / certified.noise_scale(0.3, epsilon, delta)  # of two normal distributions, in deviations
    exact = norm.cdf(apart / 2 - epsilon / apart) - np.exp(epsilon) * norm.cdf(-apart / 2 - epsilon / apart)
    assert exact <= delta


@pytest.mark.parametrize(("epsilon", "delta", "wrong"), [
    (0, 0.1, "epsilon"), (-1, 0.1, "epsilon"), (float("nan"), 0.1, "epsilon"), (1, 0, "delta"),
    (1, 1, "delta"), (1, 1.4, "delta")])
def test_an_epsilon_or_delta_that_no_noise_reaches_is_rejected(epsilon, delta, wrong):
    with pytest.raises(ValueError, match=f"{wrong} must be .*, got "):
        certified.noise_scale(0.1, epsilon, delta)


def test_sisa_retrains_only_the_shards_that_lost_samples():
    samples, _ = two_groups()
    shard, forgotten = np.arange(300) % 5, np.isin(np.arange(300), [3, 8, 14])  # of shards 3 and 4
    models = certified.sisa(samples, shard, 1e-3)
    new, used = certified.sisa_forget(models, samples, shard, forgotten, 1e-3)
    assert used == 58 + 59
    assert (new == models).all(axis=1).tolist() == [True, True, True, False, False]
    left = [last_layer.take(samples, (shard == k) & ~forgotten) for k in range(5)]
    np.testing.assert_allclose(new, [last_layer.fit(part, l2=1e-3) for part in left], atol=1e-5)
    one = np.repeat(models[:1], 3, axis=0)
    assert (certified.sisa_accuracy(one, samples) == last_layer.accuracy_by_group(one[0], samples)).all()


def test_a_shard_that_loses_a_class_says_so():
    samples, _ = two_groups()
    shard = np.arange(300) % 5
    with pytest.raises(ValueError, match="shard 2 has no sample of class 1 left: use fewer shards"):
        certified.sisa_forget(certified.sisa(samples, shard, 1e-3), samples, shard,
                              (shard == 2) & (samples.y == 1), 1e-3)


def test_a_shipped_accuracy_comes_out_alike_with_one_shard_and_without_shards():
    part = last_layer.features(1, unit=True)
    accuracy = last_layer.accuracy_by_group(certified.train(part.train.x, part.train.y, 1e-3), part.test)
    for row in results.load("sisa", seed=1, shards=1, state="before")[part.names].to_numpy():
        np.testing.assert_allclose(accuracy, row, atol=0.05)  # another machine's model may differ a little
