"""The labs' checks against right answers, which pass, and mutants, which lose what they get wrong: a table of
check x mutant for each lab that has checks. (`-vv` shows all that is wrong.) `make test` takes one secret,
`make test-labs` three, and the project, whose mutants are trained."""

import functools
from dataclasses import dataclass, replace

import matplotlib.pyplot as plt
import pytest
from lab_cells import (
    Lab,
    Run,
    constant,
    fitted_once,
    known_answers,
    nothing,
    solutions,
    stub,
    used_and_set,
)

from grmu.course import labs, marking
from grmu.course.own import EVERYONE

# Secrets, each with the student whom it marks. All have group (0, 1) or (1, 0), and another ratio than 0.5:
# who exchanges class and attribute, or takes the course's ratio, cannot be right by luck.
SECRETS = {"public": "student 57", "another": "student 132", "a third": "student 259"}
AT_LEAST = 6  # mutants that fail a check
LABS = labs.labs()
NAMES = [pytest.param(lab, marks=pytest.mark.all_labs) if lab == "project" else lab for lab in LABS]
N_SECRETS = [1]  # that are tried


@pytest.fixture(scope="module", autouse=True)
def all_labs(request):
    """All secrets with --all-labs."""
    if request.config.getoption("--all-labs"):
        N_SECRETS[0] = len(SECRETS)


@pytest.fixture(scope="module", autouse=True)
def equal_fits_once():
    with fitted_once():
        yield


@dataclass(frozen=True)
class Mutant:
    """A wrong submission, and what it should lose: exactly (`points` by test), or at least the checks of one
    answer (`answer`)."""

    name: str
    sources: dict
    points: dict
    answer: str | None = None
    patch: object = None


@functools.cache
def lab_of(name, student=EVERYONE):
    """The lab; one for all students if it has nothing of their own."""
    if student != EVERYONE and lab_of(name).mine is None:
        return lab_of(name)
    return Lab(name, student)


@functools.cache
def checks_of(name):
    return marking.load(name).checks


@functools.cache
def answers(name):
    return known_answers(name)


def secrets_of(name):
    """Those that a lab is tried with; where a check trains for seconds, the first."""
    return dict(list(SECRETS.items())[:1 if name == "project" else N_SECRETS[0]])


def generic(lab):
    """The stub, None, and a constant, for each answer. A constant in place of a number is everyone's own,
    copied: without a student in the lab, there is none."""
    sources, reference = solutions(lab.nb), lab.unchanged
    for answer, tests in lab.exercises().items():
        place = reference.place[answer]
        bound = used_and_set(reference.cells[place].source)[1]
        reference.need(place)
        values = {name: reference.names[name] for name in bound if not callable(reference.names[name])}
        points = {test: lab.points[test] for test in tests}
        yield Mutant(f"{answer}: the stub", {answer: stub(sources[answer])}, points, answer)
        yield Mutant(f"{answer}: None", {}, points, answer, functools.partial(nothing, bound=bound))
        if lab.mine or len(values) < len(bound):
            yield Mutant(f"{answer}: a constant", {}, points, answer,
                         functools.partial(constant, bound=bound, values=values))


@functools.cache
def mutants(name):
    known = [Mutant(title, sources, points) for title, (sources, points) in
             answers(name).MISCONCEPTIONS.items()]
    lose = getattr(answers(name), "GENERIC", {})
    return [*known, *(replace(mutant, points=lose.get(mutant.name, mutant.points))
                      for mutant in generic(lab_of(name)))]


def run_of(lab, mutant):
    """The mutant's names. The tests that a student sees are run first, as in a notebook: a constant is the
    answer to one of them."""
    run = Run(lab, mutant.sources, mutant.patch, mutant.answer)
    for test in lab.exercises().get(mutant.answer, ()):
        run.passes(test)
    return run


@functools.cache
def reach(name, secret):
    """The answers that each check asks for, and what it says of the reference."""
    lab, found = lab_of(name, SECRETS[secret]), {}
    for title, check in checks_of(name).items():
        asked = set()

        def ask(code, /, _asked=asked, **given):
            _asked |= lab.unchanged.reached(code, given)
            return lab.unchanged.ask(code, **given)
        found[title] = asked, marking.verdict(check, ask, marking.generator(secret, name, title), lab.mine)
    return found


@functools.cache
def table(name):
    """(mutant, secret) -> what each check says that the mutant can reach, "" for nothing; and
    (mutant, secret) -> the tests in sight that notice it."""
    said, noticed = {}, {}
    for mutant in mutants(name):
        changed = set(mutant.sources) | ({mutant.answer} if mutant.answer else set())
        for secret, student in secrets_of(name).items():
            lab = lab_of(name, student)
            run = run_of(lab, mutant)
            said[mutant.name, secret] = {
                title: marking.verdict(check, run.ask, marking.generator(secret, name, title), lab.mine)
                for title, check in checks_of(name).items() if reach(name, secret)[title][0] & changed}
            noticed[mutant.name, secret] = {test for test in said[mutant.name, secret]
                                            if not run.passes(test)}
        plt.close("all")
    return said, noticed


def failed(verdicts):
    return {title for title, message in verdicts.items() if message}


def too_few(found, checks):
    """The checks that fewer mutants fail than there should be."""
    caught = {title: {mutant for (mutant, _), verdicts in found.items() if title in failed(verdicts)}
              for title in checks}
    return {title: len(names) for title, names in caught.items() if len(names) < AT_LEAST}


@pytest.mark.parametrize("name", LABS)
def test_each_graded_cell_has_a_check_and_each_check_a_cell(name):
    lab = lab_of(name)
    assert list(checks_of(name)) == list(lab.points)
    assert "HIDDEN TESTS" not in "".join(c.source for c in lab.nb.cells)


@pytest.mark.parametrize("name", NAMES)
def test_right_answers_pass_every_check_and_every_test_in_sight(name):
    assert answers(name).SECOND.keys() <= solutions(lab_of(name).nb).keys()
    for secret, student in [*secrets_of(name).items(), ("public", EVERYONE)]:
        lab = lab_of(name, student)
        for run in (lab.unchanged, Run(lab, answers(name).SECOND)):
            assert [test for test in lab.points if not run.passes(test)] == []
            said = marking.verdicts(marking.load(name), run.ask, secret, lab.mine)
            assert {title: message for title, message in said.items() if message} == {}
    plt.close("all")


@pytest.mark.parametrize("name", NAMES)
def test_a_mutant_loses_exactly_the_points_of_what_it_gets_wrong(name):
    found, points, wrong = table(name)[0], lab_of(name).points, {}
    for mutant in mutants(name):
        for secret in secrets_of(name):
            lost = {title: points[title] for title in failed(found[mutant.name, secret])}
            if not (mutant.points.items() <= lost.items() if mutant.answer else mutant.points == lost):
                wrong[mutant.name, secret] = lost
    assert wrong == {}


@pytest.mark.parametrize("name", NAMES)
def test_a_mutant_is_told_what_was_mistaken(name):
    said = {(mutant, title): message for (mutant, _), verdicts in table(name)[0].items()
            for title, message in verdicts.items() if message and mutant in answers(name).MISCONCEPTIONS}
    dumb = {key: message for key, message in said.items()
            if len(message) < 30 or "have the form that was asked for" in message}
    assert dumb == {}


@pytest.mark.parametrize("name", NAMES)
def test_enough_mutants_fail_each_check(name):
    assert too_few(table(name)[0], checks_of(name)) == {}


@pytest.mark.parametrize("name", NAMES)
def test_a_check_without_mutants_of_its_own_is_noticed(name):
    known = answers(name).MISCONCEPTIONS
    for check in checks_of(name):
        without = {key: verdicts for key, verdicts in table(name)[0].items()
                   if check not in known.get(key[0], ({}, {}))[1]}
        assert check in too_few(without, checks_of(name))


@pytest.mark.parametrize("name", NAMES)
def test_tests_in_sight_are_worth_half_of_the_points_of_each_exercise(name):
    """A test in sight is worth its points if it notices every mutant that its check notices."""
    lab, (found, noticed), poor = lab_of(name), table(name), {}
    for answer, tests in lab.exercises().items():
        missed = {test: sorted({mutant for (mutant, secret), verdicts in found.items()
                                if test in failed(verdicts) and test not in noticed[mutant, secret]})
                  for test in tests}
        worth = sum(lab.points[test] for test in tests if not missed[test])
        if worth < sum(lab.points[test] for test in tests) / 2:
            poor[answer] = missed
    assert poor == {}
