"""The labs, end to end with the real nbgrader: release versions, grading, known misconceptions, hostile
submissions."""

import ast
import importlib.util
import os
import shutil
import subprocess
import sys
import time
import zipfile
from contextlib import nullcontext
from pathlib import Path

import nbformat
import pandas as pd
import psutil
import pytest
from lab_cells import REGION, graded, known_answers, meta, solutions, with_sources

from grmu.course import classes, labs
from grmu.course.submissions import recognise

if importlib.util.find_spec("nbgrader") is None:
    pytest.skip("nbgrader is not installed: make .venv/.installed-labs, or pip install -e .[labs]",
                allow_module_level=True)

NAMES = labs.labs()
QUICK = ("lab3",)


ANSWERS = {lab: known_answers(lab) for lab in NAMES}


@pytest.fixture(scope="module")
def made():
    """A course with the release versions of all labs."""
    with labs.course(NAMES) as folder:
        yield folder


def read(made, part, lab):
    return nbformat.read(made / part / lab / f"{lab}.ipynb", as_version=4)


# Release versions


@pytest.mark.parametrize("lab", NAMES)
def test_a_release_holds_no_solution_and_no_hidden_test(made, lab):
    source, stub = read(made, "source", lab), read(made, "release", lab)
    handed_out = "\n".join(c.source for c in stub.cells)
    assert "BEGIN" not in handed_out
    secret = {line.strip() for c in source.cells for _, text in REGION.findall(c.source)
              for line in text.splitlines()}
    public = {line.strip() for c in source.cells for line in REGION.sub("", c.source).splitlines()}
    lines = {line.strip() for line in handed_out.splitlines()}
    assert not {line for line in secret - public if len(line) > 12} & lines
    assert len(secret) > 10
    assert all(not c.get("outputs") and c.get("execution_count") is None
               for c in [*source.cells, *stub.cells])


def test_a_class_gets_a_folder_and_a_zip_each_with_their_own_name(made, tmp_path, monkeypatch):
    monkeypatch.setattr(labs, "course", lambda names, source: nullcontext(made))
    (tmp_path / "class.csv").write_text("student\nann\nbo\n")
    assert labs.main(["--class", str(tmp_path / "class.csv"), "--lab", "lab1", "--out", str(tmp_path)]) == 0
    for student in ("ann", "bo"):
        with zipfile.ZipFile(tmp_path / student / "lab1.zip") as archive:
            nb = nbformat.reads(archive.read("lab1/lab1.ipynb").decode(), as_version=4)
        assert nb == nbformat.read(tmp_path / student / "lab1" / "lab1.ipynb", as_version=4)
        assert classes.named(nb) in (student, None)  # None: a lab that is the same for all
    assert {p.name for p in tmp_path.iterdir()} == {"class.csv", "ann", "bo"}


def test_a_secret_or_a_list_that_is_not_there_is_said_before_anything_is_graded(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no secret: make it with make labs-private"):
        labs.main(["--grade", str(tmp_path), "--private", str(tmp_path), "--out", str(tmp_path / "out")])
    with pytest.raises(FileNotFoundError, match=r"there is no file .*class\.csv"):
        labs.main(["--grade", str(tmp_path), "--class", str(tmp_path / "class.csv")])
    assert not (tmp_path / "out").exists()


def signatures(source):
    """Names, arguments, bases and decorators of what a cell defines."""
    return [(type(node).__name__, node.name, ast.unparse(node.args) if isinstance(node, ast.FunctionDef) else
             [ast.unparse(base) for base in node.bases], [ast.unparse(d) for d in node.decorator_list])
            for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.ClassDef)]


@pytest.mark.parametrize("lab", NAMES)
def test_each_stub_has_the_signature_of_its_solution(made, lab):
    stubs = {meta(c).get("grade_id"): c.source for c in read(made, "release", lab).cells}
    for cell in read(made, "source", lab).cells:
        if cell.cell_type == "code" and meta(cell).get("solution"):
            public = signatures(REGION.sub("pass", cell.source))
            assert signatures(stubs[meta(cell).grade_id]) == public
            assert [s for s in signatures(cell.source) if s in public] == public


def test_make_labs_writes_a_folder_and_a_zip_that_says_how_to_open_it(made, tmp_path, monkeypatch):
    monkeypatch.setattr(labs, "course", lambda names, source: nullcontext(made))  # made once for all tests
    assert labs.main(["--out", str(tmp_path)]) == 0
    for lab in NAMES:
        with zipfile.ZipFile(tmp_path / f"{lab}.zip") as archive:
            names = {Path(name).name for name in archive.namelist()}
            assert {f"{lab}.ipynb", "README.md", "run"} < names
            (wheel,) = (name for name in names if name.endswith(".whl"))
            assert archive.getinfo(f"{lab}/run").external_attr >> 16 & 0o100
        assert f"./{wheel}" in (tmp_path / lab / "run").read_text()
        assert "sh run" in (tmp_path / lab / "README.md").read_text()
        subprocess.run(["sh", "-n", tmp_path / lab / "run"], check=True)
    with zipfile.ZipFile(tmp_path / NAMES[0] / wheel) as archive:
        assert {"grmu/mine.py", "grmu/shipped/groundwear.safetensors.xz",
                "grmu/shipped/results/runs.csv"} < set(archive.namelist())


# Grading, with the real nbgrader. `labs.grade` begins with each lab's own solution, and refuses to go on if
# it loses a point.


def one_mistake_a_cell(lab):
    """A submission's worth of misconceptions, one for each answer; and the points that they cost together."""
    answers, lost = {}, {}
    for wrong, points in ANSWERS[lab].MISCONCEPTIONS.values():
        if not wrong.keys() & answers.keys() and not points.keys() & lost.keys():
            answers |= wrong
            lost |= points
    return answers, lost


@pytest.fixture(params=NAMES)
def lab(request):
    """Each lab in turn; without --all-labs, only those that the real autograder runs quickly."""
    if request.param not in QUICK and not request.config.getoption("--all-labs"):
        pytest.skip("the real autograder takes a minute a lab: make test-labs runs them all")
    return request.param


FORGED = """
expect = same = check = lambda *found, **options: True
get_ipython().showtraceback = lambda *error, **options: None
get_ipython().set_custom_exc((BaseException,), lambda *error, **options: None)
"""


def class_of(made, lab):
    """Six submissions of a lab, each with the points that it should lose by test."""
    stub, source = read(made, "release", lab), read(made, "source", lab)
    right, (answers, lost) = with_sources(stub, solutions(source)), one_mistake_a_cell(lab)
    forged, everything = with_sources(stub, {}), graded(source)
    next(c for c in forged.cells if c.cell_type == "code").source += FORGED
    wrong, points = list(ANSWERS[lab].MISCONCEPTIONS.values())[-1]
    found = {"untouched": (stub, everything), "wrong": (with_sources(right, answers), lost),
             "right": (right, {}), "second": (with_sources(right, ANSWERS[lab].SECOND), {}),
             "forged": (forged, everything), "mutant": (with_sources(right, wrong), points)}
    for student, (nb, _) in found.items():
        classes.personal(nb, student)  # wrong of their own data may be right of everyone's
    return found


# Live runs and figures for a person's eyes are no test's matter: the least of them will do.
SHORTER = {"project": {"seeds = 0.5, [0, 1]": "seeds = 0.5, [0]"},
           "lab3": {"updates=400": "updates=20", "range(20, 401, 20)": "range(20, 21)"}}


def shorter(lab, text):
    for much, little in SHORTER.get(lab, {}).items():
        text = text.replace(much, little)
    return text


@pytest.fixture(scope="module")
def labs_book(made, tmp_path_factory, request):
    """The gradebook of a class, and where it was written. Without --all-labs: of two students, one who hands
    in an untouched notebook and one who is wrong once in each cell."""
    folder, whole = tmp_path_factory.mktemp("labs"), request.config.getoption("--all-labs")
    source = shutil.copytree(labs.SOURCE, folder / "source")
    for lab in SHORTER:
        path = source / lab / f"{lab}.ipynb"
        path.write_text(shorter(lab, path.read_text()))
    for lab in NAMES if whole else QUICK:
        for student, (nb, _) in class_of(made, lab).items():
            if whole or student in ("untouched", "wrong"):
                (folder / "in" / student).mkdir(parents=True, exist_ok=True)
                (folder / "in" / student / f"{lab}.ipynb").write_text(shorter(lab, nbformat.writes(nb)))
    book = labs.grade(folder / "in", folder / "out", jobs=2, source=source)
    return book.set_index(["student", "lab"]), folder


def test_an_untouched_release_gets_nothing_and_breaks_nothing(labs_book, made, lab):
    row = labs_book[0].loc["untouched", lab]
    points = sum(float(meta(c).points) for c in read(made, "source", lab).cells if meta(c).get("grade"))
    assert (row.total, row["max"], row.by_hand) == (0, points, 0)
    assert row.status == "graded"


def test_the_real_autograder_takes_the_same_points_for_mistakes(labs_book, made, lab):
    book, folder = labs_book
    for student, (_, lost) in class_of(made, lab).items():
        if (student, lab) in book.index:
            expected = {name: 0 if name in lost else points
                        for name, points in graded(read(made, "source", lab)).items()}
            row = book.loc[student, lab]
            assert {name: row[f"{lab}/{name}"] for name in expected} == expected, (student, row.status)
    row = book.loc["wrong", lab]
    assert row.by_hand > 0
    assert "to grade by hand" in row.status
    page = (folder / "out" / "feedback" / "wrong" / f"{lab}.html").read_text()
    assert "Not yet" in page or "AssertionError" in page


def test_a_class_graded_twice_gets_the_same_marks(labs_book, request):
    """Thirty submissions, with nothing of the first time: no course folder, no run."""
    if not request.config.getoption("--all-labs"):
        pytest.skip("minutes: make test-labs")
    book, folder = labs_book
    again = labs.grade(folder / "in", folder / "again", jobs=2, source=folder / "source")
    assert len(book) >= 30
    pd.testing.assert_frame_equal(again.set_index(["student", "lab"]).drop(columns="status"),
                                  book.drop(columns="status"))


def waiting_is_counted():
    """Whether this system says what a process waited for a processor: most Linux systems do."""
    said = Path("/proc/self/schedstat")
    return said.is_file() and said.read_text().split()[0] != "0"


@pytest.mark.skipif(not waiting_is_counted(), reason="this system does not count what a process waits")
def test_what_a_process_waits_for_a_processor_is_not_counted():
    from grmu.course.grader import Clock

    core = min(os.sched_getaffinity(0))
    code = f"import os; os.sched_setaffinity(0, {{{core}}}); print(flush=True)\nwhile True: pass"
    rivals = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in range(3)]
    try:
        for rival in rivals:
            rival.stdout.readline()
        clocks, begun = [Clock(rival.pid) for rival in rivals], time.monotonic()
        while sum(psutil.Process(rival.pid).cpu_times().user for rival in rivals) < 1:
            time.sleep(0.05)
        passed = time.monotonic() - begun
        had = [clock.seconds() for clock in clocks]
    finally:
        for rival in rivals:
            rival.kill()
    assert sum(had) < 2 * passed  # three that never sleep, on one core: by the wall's clock it were 3


def test_what_is_no_submission_is_named(tmp_path):
    for name in ("lab1_ann.ipynb", "ann/lab1.ipynb", "bo/lab2.ipynb", "cy/lab3/lab3.ipynb", "lab4.ipynb",
                 "homework.doc",
                 "cy/lab3/.ipynb_checkpoints/lab3.ipynb"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found, strange = recognise(tmp_path)
    assert {(s.student, s.lab) for s in found} == {("ann", "lab1"), ("bo", "lab2"), ("cy", "lab3")}
    assert len(strange) == 3
    assert "ann has handed in lab1 already" in "".join(strange)
    assert all(name in "".join(strange) for name in ("lab4.ipynb", "homework.doc"))


def test_a_folder_without_submissions_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no submission of lab2"):
        labs.grade(tmp_path, tmp_path / "out", only="lab2")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        labs.grade(tmp_path / "nowhere", tmp_path / "out")
