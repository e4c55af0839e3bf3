"""Grade the submissions of a class with the real grader: bubblewrap, a kernel and nbgrader.

`make test` grades lab 2, and `make test-labs` (--all-labs) grades thirty submissions to three labs twice.
"""

import importlib
import io
import json
import subprocess
import sys
import time
import zipfile

import nbformat
import pandas as pd
import pytest
from conftest import REPOSITORY
from grading.__main__ import SOURCE, digest, grade
from grading.sandbox import Limits, Unsafe, check_bubblewrap
from grading.submissions import Submission, content, find, notebook, restore
from nbformat import v4
from test_lab_checks import ANSWER, cells, known

PATIENT = Limits(seconds=3000, cell_seconds=1000, ask_seconds=500)  # nothing here waits for them
SPY = """
import os, pathlib, socket
found = []
for folder, folders, names in os.walk("/"):
    folders[:] = [name for name in folders if name not in ("proc", "site-packages")]
    found += [name for name in names if name in ("secret", "gradebook.db", "lab2.py", "known_hosts")]
for path in ("{marking}", "{folder}", os.path.expanduser("~root/.bashrc"), "/etc/passwd", "/home"):
    if os.path.exists(path):
        found.append(path)
for path in ("{package}/reweight.py", "/usr/x"):
    try:
        pathlib.Path(path).write_text("def group_weights(*_): pass")
        found.append("wrote " + path)
    except OSError:
        pass
try:
    socket.create_connection(("1.1.1.1", 53), 2)
    found.append("network")
except OSError:
    pass
print("found", found)
import torch, numpy
torch.allclose = numpy.allclose = lambda *_, **__: True
AssertionError = type("Quiet", (Exception,), {{}})
"""


@pytest.fixture(scope="module", autouse=True)
def bubblewrap():
    try:
        check_bubblewrap()
    except Unsafe as error:
        pytest.skip(f"no lab was graded: {error}")


def source(lab):
    return nbformat.read(SOURCE / lab / f"{lab}.ipynb", as_version=4)


def answered(lab, sources=None, extra=None, keep=True):
    """Return a submission with some changed answers and one more cell after the imports."""
    nb = source(lab)
    for cell in nb.cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id")
        if not keep:
            cell.source = ANSWER.sub(r"\1raise NotImplementedError()", cell.source)
        cell.source = (sources or {}).get(name, cell.source)
    if extra:
        place = next(i for i, cell in enumerate(nb.cells) if cell.cell_type == "code")
        nb.cells.insert(place + 1, v4.new_code_cell(extra))
    return nbformat.writes(nb)


def fabricated(lab, folder):
    """Return ten submissions as (name, file name, content, lost points), where None means all points."""
    mistakes = known(lab).MISCONCEPTIONS
    title = next(title for title, (sources, _) in mistakes.items() if len(sources) == 1)
    sources, points = mistakes[title]
    answer = next(iter(sources))
    function = sources[answer].split("def ")[1].split("(")[0]
    spy = SPY.format(folder=folder, marking=REPOSITORY / "notebooks", package=REPOSITORY / "grmu")
    slip = io.BytesIO()
    with zipfile.ZipFile(slip, "w") as archive:
        archive.writestr(f"../../{lab}.ipynb", answered(lab))
    hang = {answer: f"def {function}(*arguments, **named):\n    while True:\n        pass\n"}
    return [("right", "ipynb", answered(lab), 0), ("style", "ipynb", answered(lab, known(lab).SECOND), 0),
            ("wrong", "ipynb", answered(lab, sources), sum(points.values())),
            ("untouched", "ipynb", answered(lab, keep=False), None),
            ("spy", "ipynb", answered(lab, extra=spy, keep=False), None),
            ("damaged", "ipynb", answered(lab)[:5000], None), ("slip", "zip", slip.getvalue(), None),
            ("prints", "ipynb", answered(lab, extra="for _ in range(50):\n    print('x' * 10**6)"), 0),
            ("forks", "ipynb", answered(lab, extra="import os\nwhile True:\n    os.fork()"), 0),
            ("hangs", "ipynb", answered(lab, hang), "some")]


def hand_in(folder, labs, only=None):
    """Write the submissions of a class, and return what each should lose by (student, lab)."""
    lost = {}
    for lab in labs:
        for name, ending, text, points in fabricated(lab, folder):
            if only is None or name in only:
                path = folder / name / f"{lab}.{ending}"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(text if isinstance(text, bytes) else text.encode())
                lost[name, lab] = points
    return lost


def check(book, lost):
    """Check that each submission has the expected points."""
    tested = {lab: sum(cells(lab)[1].values()) for _, lab in lost}
    for (name, lab), points in lost.items():
        (row,) = book[(book.student == name) & (book.lab == lab)].to_dict("records")
        missing = tested[lab] - row["total"]
        assert 0 < missing < tested[lab] if points == "some" else missing == (
            tested[lab] if points is None else points), (name, lab, row)
    assert book.groupby("lab")["max"].nunique().eq(1).all()


def test_a_class_gets_what_it_deserves_and_no_submission_harms_the_next(tmp_path, monkeypatch):
    lost = hand_in(tmp_path / "in", ["lab2"], ("right", "wrong", "spy", "damaged", "slip"))
    before, out = digest(), tmp_path / "out"
    book = grade(tmp_path / "in", out, "lab2", PATIENT, 2, unsafe=False)
    check(book, lost)
    assert digest() == before
    status = book.set_index("student").status
    assert "not a readable notebook" in status["damaged"]
    assert "outside its folder" in status["slip"]
    assert "to mark by hand" in status["right"]
    pages = {path.parent.name: path.read_text() for path in (out / "feedback").glob("*/lab2.html")}
    assert "found []" in pages["spy"]
    assert "<script>" not in pages["right"].split("<body")[1]
    points = pd.read_csv(out / "points.csv").set_index("SIS Login ID").lab2
    assert points.to_dict() == book.set_index("student").total.to_dict()
    # what has not changed is not graded again; a mark given by hand is kept
    monkeypatch.delattr("grading.__main__.Grading.run")
    (tmp_path / "in" / "damaged" / "lab2.ipynb").unlink()
    (tmp_path / "in" / "slip" / "lab2.zip").unlink()
    again = grade(tmp_path / "in", out, "lab2", PATIENT, 1, unsafe=False)
    assert again.set_index("student").total.to_dict() == {s: points[s] for s in again.student}


@pytest.mark.all_labs
def test_thirty_submissions_to_three_labs_get_equal_points_twice(tmp_path):
    lost = hand_in(tmp_path / "in", ["lab1", "lab2", "lab5"])
    books = []
    for out in ("one", "two"):
        begun = time.monotonic()
        (tmp_path / out).mkdir()
        (tmp_path / out / "secret").write_text("of a test\n")
        limits = Limits(cell_seconds=60, ask_seconds=20)
        books.append(grade(tmp_path / "in", tmp_path / out, None, limits, 2, unsafe=False))
        print(f"{len(lost)} submissions: {time.monotonic() - begun:.0f} s")
    check(books[0], lost)
    pd.testing.assert_frame_equal(books[0].drop(columns="status"), books[1].drop(columns="status"))
    print(books[0][["student", "lab", "total", "max", "status"]].to_string())


def test_without_bubblewrap_nothing_is_graded(tmp_path):
    hand_in(tmp_path / "in", ["lab2"], ("right",))
    command = ["grade", str(tmp_path / "in"), "--out", str(tmp_path / "out")]
    places = {"PATH": str(tmp_path), "PYTHONPATH": f"{REPOSITORY / 'notebooks' / 'labs'}:{REPOSITORY}"}
    tried = subprocess.run([sys.executable, "-m", "grading", *command], env=places, capture_output=True,
                           text=True)
    assert tried.returncode == 1
    assert "bubblewrap is not installed" in tried.stderr
    assert "Containerfile" in tried.stderr
    assert not (tmp_path / "out").exists()


def test_a_changed_check_stops_grading_and_names_the_submission(tmp_path, monkeypatch):
    hand_in(tmp_path / "in", ["lab2"], ("damaged",))
    digests = iter(["as it was", "changed"])
    monkeypatch.setattr("grading.__main__.digest", lambda: next(digests))
    given = tmp_path / "out" / "course" / "given"
    given.mkdir(parents=True)
    (given / "lab2.passed").write_text("as it was")  # the solution need not be graded again
    with pytest.raises(RuntimeError, match=r"damaged.lab2.ipynb was graded"):
        grade(tmp_path / "in", tmp_path / "out", "lab2", PATIENT, 1, unsafe=False)


def test_what_students_may_not_change_is_restored():
    release, nb = source("lab2"), source("lab2")
    names = [cell.metadata.nbgrader.grade_id for cell in nb.cells]
    nb.cells[names.index("test_alpha")].source = "pass"
    nb.cells[names.index("alpha")].source = "mine = 1"
    nb.cells[names.index("alpha")].metadata.clear()  # as some editors leave it
    del nb.cells[names.index("imports")]
    assert restore(nb, release) == ["changed cells restored: test_alpha", "missing cells restored: imports"]
    assert [cell.metadata.nbgrader.grade_id for cell in nb.cells] == names
    assert nb.cells[names.index("alpha")].source == "mine = 1"


def test_submissions_are_found_under_three_names_and_strange_files_are_named(tmp_path):
    for name in ("ann/lab1.ipynb", "lab2_bob.ipynb", "cy/lab1/lab1.ipynb", "ann/notes.txt", "lab9_dan.ipynb",
                 "lab2_...ipynb"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}")
    found, others = find(tmp_path, ["lab1", "lab2"])
    assert {(s.student, s.lab) for s in found} == {("ann", "lab1"), ("bob", "lab2"), ("cy", "lab1")}
    assert [line.split(":")[0] for line in others] == ["ann/notes.txt", "lab2_...ipynb", "lab9_dan.ipynb"]
    with pytest.raises(ValueError, match="not a readable notebook"):
        notebook(content(found[0]))
    link = tmp_path / "eve" / "lab1.ipynb"
    link.parent.mkdir()
    link.symlink_to("/etc/passwd")
    with pytest.raises(ValueError, match="link"):
        content(Submission("eve", "lab1", link))


def test_students_get_release_versions_without_solutions_and_one_wheel(tmp_path):
    grading = importlib.import_module("grading.__main__")
    grading.release(tmp_path / "labs", "lab2")
    assert len(list((tmp_path / "labs").glob("*.whl"))) == 1
    with zipfile.ZipFile(tmp_path / "labs" / "lab2.zip") as archive:
        assert [name for name in archive.namelist() if not name.endswith("/")] == ["lab2/lab2.ipynb"]
        text = json.dumps(json.loads(archive.read("lab2/lab2.ipynb")))
    assert "BEGIN SOLUTION" not in text
    assert "NotImplementedError" in text
