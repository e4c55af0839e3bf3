"""Grading, end to end with the real nbgrader, of a lab that needs nothing but Python: a class of right,
broken and hostile submissions, graded once. Each gets 0 for what it did not solve, and its neighbours their
points."""

import copy
import importlib.util
import json
import os
import shutil
import stat
import zipfile
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from lab_cells import cell, with_sources, written
from nbformat import v4

from grmu.course import contain, grading
from grmu.course.contain import Limits
from grmu.course.course import course
from grmu.course.submissions import Submission, content

if importlib.util.find_spec("nbgrader") is None:
    pytest.skip("nbgrader is not installed: make .venv/.installed-labs, or pip install -e .[labs]",
                allow_module_level=True)

HARD = Limits(seconds=60, cell_seconds=4, gigabytes=1, ask_seconds=2)
ALONE = pytest.mark.skipif(not contain.isolated(), reason="this system gives a submission no namespaces")
CHECKS = """
from grmu.course.asking import same

def test_double(ask, rng):
    x = int(rng.integers(10, 10**6))
    assert same(ask("double(x)", x=x), 2 * x), "twice as much"

def test_square(ask, rng):
    x = int(rng.integers(10, 10**6))
    assert same(ask("square(x)", x=x), x * x), "a square is a product"
"""


def tiny_lab(folder, double="2 * x"):
    """Its source, its checks."""
    def function(name, body):
        source = f"def {name}(x):\n    ### BEGIN SOLUTION\n    return {body}\n    ### END SOLUTION"
        return cell(v4.new_code_cell, name, source, solution=True)

    def test(name, points, visible):
        return cell(v4.new_code_cell, name, visible, grade=True, locked=True, points=points)

    title = v4.new_markdown_cell("# A tiny lab")
    title.id = "title"
    cells = [title, function("double", double), test("test_double", 2, "assert double(1) == 2"),
             function("square", "x * x"), test("test_square", 3, "assert square(1) == 1"),
             cell(v4.new_markdown_cell, "why", "### BEGIN SOLUTION\nBecause.\n### END SOLUTION", grade=True,
                  solution=True, points=4)]
    written(folder / "source" / "lab1", cells)
    (folder / "checks").mkdir()
    (folder / "checks" / "lab1.py").write_text(CHECKS)
    return folder


def grade_tiny(lab, handed_in, out, made=None, **options):
    """Grade with a course folder that begins as a copy: nbgrader takes seconds to make one."""
    if not (out / "course").exists():
        shutil.copytree(made or lab / "made", out / "course")
    return grading.grade(handed_in, out, limits=HARD, source=lab / "source", checks=lab / "checks",
                         secret="of this class", hidden=(lab,), **options)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """The tiny lab's folder, and a right submission of it."""
    lab = tiny_lab(tmp_path_factory.mktemp("tiny"))
    with course(["lab1"], lab / "source", lab / "made") as made:
        release = nbformat.read(made / "release" / "lab1" / "lab1.ipynb", as_version=4)
    answers = {"double": "def double(x):\n    return 2 * x", "square": "def square(x):\n    return x * x",
               "why": "Because."}
    return lab, with_sources(release, answers)


# What they hand in. Each attack stands in the answer `square`, and wants its points without the work.

GREEDY = {"double": "def double(x):\n    return [bytearray(2**28) for _ in range(9)]",
          "square": "def square(x):\n    while True: print('x' * 1000)"}
ADAMANT = """
def double(x):
    import signal, time
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        time.sleep(1)
"""
ODD = """
import socket, sys
print("x" * 20_000_000)
for address in ("1.1.1.1", "127.0.0.1"):
    try:
        socket.create_connection((address, 22), 2)
        raise SystemError("there is a network")
    except OSError:
        pass
def double(x):
    print("careful", file=sys.stderr)
    return 2 * x
"""
TRICKS = """
import json, os, sys, threading, time
expect = same = lambda *found: True
AssertionError = type("Calm", (Exception,), {})
sys.excepthook = lambda *error: None
shell = get_ipython()
shell.showtraceback = lambda *a, **k: None
shell.set_custom_exc((BaseException,), lambda *a, **k: None)

forged = json.dumps({"names": ["value"], "values": [81]})
line = json.dumps({"answer": forged, "verdicts": {"test_square": ""}, "notes": []}) + "\\n"
for process in ("self", os.getppid(), 1):
    for number in os.listdir(f"/proc/{process}/fd"):
        try:
            with open(f"/proc/{process}/fd/{number}", "w") as file:
                file.write(line)
        except OSError:
            pass

def haunt():
    while True:
        sys.stdout.write(line)
        globals()["square"] = anything
        time.sleep(0.01)

class Anything:
    def __eq__(self, other):
        return True

def anything(x):
    print(line)
    return Anything()

threading.Thread(target=haunt, daemon=True).start()
square = anything
"""
READS = """
import gc, os, subprocess, sys
from pathlib import Path
seen = []
for folder in FOLDERS:
    seen += [str(path) for path in Path(folder).rglob("*") if path.is_file()]
for file in [*Path("/proc").glob("*/cmdline"), *Path("/proc").glob("*/environ")]:
    try:
        if SECRET.encode() in file.read_bytes() or b"lab1_" in file.read_bytes():
            seen.append(file)
    except OSError:
        pass
for frame in sys._current_frames().values():
    while frame:
        seen += [name for name in frame.f_locals if name in ("rng", "lab_checks", "verdict")]
        frame = frame.f_back
seen += [f for f in gc.get_objects() if getattr(f, "__name__", "") in ("test_square", "verdicts")]
for folder in FOLDERS:
    if subprocess.run(["umount", folder], capture_output=True).returncode == 0:
        seen.append("umount")
for path in (REPOSITORY + "/grmu/course/marking.py", "/tmp/left", sys.prefix + "/left"):
    try:
        open(path, "a").close()
        seen.append("written: " + path)
    except OSError:
        pass
if seen:
    print("SE" + "EN", seen)
def square(x):
    return len(seen)
"""
PATCHES = """
import builtins, json
import torch
from grmu import metrics

def always(*arguments, **options):
    return True
builtins.isinstance_before, torch.equal, torch.Tensor.allclose, metrics.group_accuracy = (always,) * 4
def square(x):
    return 1
"""
FORGES = """
import json
real = json.dumps
def dumps(value, *arguments, **options):
    answer = isinstance(value, dict) and value.get("names") == ["value"]
    return '{"names": ["value"], "values": [1]}' if answer else real(value, *arguments, **options)
json.dumps = dumps
def square(x):
    raise SystemExit
"""
LARGE = """
def double(x):
    return "x" * 100_000_000
def square(x):
    found = []
    for _ in range(100_000):
        found = [found]
    return found
"""
BOMB = "import os\ndef square(x):\n    while True:\n        os.fork()"
KILLS = "import os, signal\ndef square(x):\n    os.kill(os.getppid(), signal.SIGKILL)"
CRASHES = "def square(x):\n    import os\n    os._exit(3)"


def class_of(good, folders):
    """Notebooks by student."""
    bare, tampered, deleted = (copy.deepcopy(good) for _ in range(3))
    for c in bare.cells:
        c.metadata.clear()
    tampered = with_sources(good, {"test_square": "1", "square": "square = None"})
    tampered.cells[2].metadata.nbgrader.points = 300
    tampered.cells[4].metadata.nbgrader.update(solution=True, locked=False)
    tampered.cells.append(copy.deepcopy(good.cells[2]))
    tampered.cells[-1].id = "another"
    del deleted.cells[4:], deleted.cells[1]
    reads = READS
    for name, value in (("FOLDERS", [str(f) for f in folders]), ("SECRET", "of this class"),
                        ("REPOSITORY", str(contain.REPOSITORY))):
        reads = reads.replace(name, repr(value))
    attacks = {"constant": "def square(x):\n    return 1", "tricks": TRICKS, "patches": PATCHES,
               "forges": FORGES, "crashes": CRASHES, "kills": KILLS}
    if contain.isolated():
        attacks |= {"reads": reads, "bomb": BOMB}
    return {"bare": bare, "tampered": tampered, "deleted": deleted, "greedy": with_sources(good, GREEDY),
            "adamant": with_sources(good, {"double": ADAMANT}), "odd": with_sources(good, {"double": ODD}),
            "large": with_sources(good, {"square": LARGE})
            } | {student: with_sources(good, {"square": source}) for student, source in attacks.items()}


def zipped(path, members, link=None):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
        if link:
            info = zipfile.ZipInfo(link)
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(info, "/etc/passwd")
    return path


@pytest.fixture(scope="module")
def graded(tiny, tmp_path_factory):
    """The gradebook of the class, and where it was written."""
    (lab, good), folder = tiny, tmp_path_factory.mktemp("class")
    handed_in, out, text = folder / "in", folder / "out", nbformat.writes(good)
    hidden = (handed_in, out, lab, contain.REPOSITORY / "notebooks" / "labs", contain.REPOSITORY / "tests")
    for student, nb in class_of(good, hidden).items():
        path = handed_in / {"bare": "bare/lab1.ipynb"}.get(student, f"lab1_{student}.ipynb")
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(nb, path)
    (handed_in / "lab1_torn.ipynb").write_text('{"cells": [')
    (handed_in / "lab1_linked.ipynb").symlink_to(handed_in / "bare" / "lab1.ipynb")
    zipped(handed_in / "lab1_good.zip", {"lab1/lab1.ipynb": text, "__MACOSX/lab1/lab1.ipynb": "x"})
    zipped(handed_in / "lab1_leaves.zip", {"lab1.ipynb": text, "../../lab1_good.ipynb": text})
    zipped(handed_in / "lab1_links.zip", {"lab1.ipynb": text}, link="grades")
    # most wait for a limit: together, and the slowest, adamant, from the beginning
    return grade_tiny(lab, handed_in, out, jobs=6).set_index("student"), handed_in, out


@pytest.mark.parametrize(("student", "total", "status"), [
    ("good", 5, "graded; to grade by hand: why"), ("bare", 5, "graded; to grade by hand: why"),
    ("tampered", 2, "changed cells put back: test_square"),
    ("deleted", 3, "missing cells put back: test_square, why; answers missing: double"),
    ("greedy", 0, "cell 3 wanted more than 1 GB of memory"), ("greedy", 0, "cell 5 was stopped after 4 s"),
    ("greedy", 0, "cell 5 printed "), ("greedy", 0, "an answer took longer than 2 s"),
    ("adamant", 3, "could not be interrupted in cell 3"), ("adamant", 3, "when an answer was asked for"),
    ("odd", 5, "cell 2 printed 20,0"), ("large", 0, "graded; to grade by hand: why"),
    ("torn", 0, "not graded; this is not a notebook that can be read"),
    ("constant", 2, "graded; to grade by hand: why"), ("tricks", 2, "graded"),
    ("patches", 2, "names of libraries replaced: builtins.isinstance_before, grmu.metrics.group_accuracy"),
    ("forges", 0, "it answered something else"),
    ("crashes", 2, "the kernel died in cell 5: the cells after it were not run"),
    ("kills", 0, "grading ended without a result"),
    pytest.param("reads", 2, "graded; to grade by hand: why", marks=ALONE),
    ("linked", 0, "not graded; lab1_linked.ipynb is refused: it is a link to another file"),
    ("leaves", 0, "lab1_leaves.zip is refused: '../../lab1_good.ipynb' in it leads out of its folder"),
    ("links", 0, "lab1_links.zip is refused: 'grades' in it is a link")])
def test_a_submission_gets_what_it_solved_and_a_sentence_whatever_its_neighbours_do(
    graded, student, total, status
):
    """What is not named in a status is harmless by construction: whatever `tricks`, `constant` and `reads` do
    to their own kernel, numbers that nobody knows beforehand are asked for, and compared where no code of
    theirs runs; there is no expected number, no check and no mark on their side of the socket."""
    book, _, out = graded
    row = book.loc[student]
    none = 0 if "to grade by hand: why" in row.status else 4  # an answer that is not there gets 0 of them
    assert (row.total, row["max"]) == (total, 5 + none), row.status
    assert status in row.status
    page = (out / "feedback" / student / "lab1.html").read_text()
    assert 0 < len(page) < 1_000_000
    assert "SEEN" not in page


@ALONE
def test_a_fork_bomb_is_ended(graded):
    """Whichever comes first: too many processes, or the end of the cell's time."""
    row = graded[0].loc["bomb"]
    assert row["lab1/test_square"] == 0
    assert "more than 256 processes" in row.status or "cell 5 was stopped after 4 s" in row.status


def test_feedback_says_what_was_mistaken(graded):
    page = (graded[2] / "feedback" / "constant" / "lab1.html").read_text()
    assert "a square is a product" in page
    assert "twice as much" not in page
    page = (graded[2] / "feedback" / "large" / "lab1.html").read_text()
    assert "at most 67,108,864 are taken" in page or "is no plain data" in page or "Recursion" in page


def test_what_is_finished_is_not_done_again(tiny, graded, tmp_path, monkeypatch):
    """Some of the same files, and the same course folder: the same lines, and nothing is run."""
    book, handed_in, out = graded
    shutil.copytree(out / "course", tmp_path / "out" / "course")
    for name in ("lab1_constant.ipynb", "lab1_crashes.ipynb", "lab1_good.zip", "lab1_leaves.zip"):
        (tmp_path / "in").mkdir(exist_ok=True)
        shutil.copy(handed_in / name, tmp_path / "in")
    monkeypatch.setattr(grading, "mark_apart", None)
    again = grade_tiny(tiny[0], tmp_path / "in", tmp_path / "out").set_index("student")
    pd.testing.assert_frame_equal(again, book.loc[again.index], check_dtype=False)
    with pytest.raises(TypeError):  # asked other questions
        grading.grade(tmp_path / "in", tmp_path / "out", limits=HARD, source=tiny[0] / "source",
                      checks=tiny[0] / "checks", secret="of another class")


def test_without_namespaces_sockets_are_refused_and_it_is_said(tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(contain, "isolated", lambda: False)
    lab, good = tiny
    caller = "import socket\ndef double(x):\n    socket.create_connection(('127.0.0.1', 9), 1)"
    nbformat.write(with_sources(good, {"double": caller}), tmp_path / "lab1_caller.ipynb")
    book = grade_tiny(lab, tmp_path, tmp_path / "out")
    assert book.total.tolist() == [3]
    page = (tmp_path / "out" / "feedback" / "caller" / "lab1.html").read_text()
    assert "there is no network while a lab is graded" in page
    assert "Python's sockets are blocked" in capsys.readouterr().out


@pytest.mark.parametrize(("double", "checks", "said"), [
    ("3 * x", CHECKS, "own solution does not get full marks.*test_double: twice as much"),
    ("2 * x", CHECKS.replace("test_double", "test_twice"), "do not fit together: test_double, test_twice")])
def test_a_lab_whose_own_solution_fails_grades_nobody(tiny, tmp_path, double, checks, said):
    lab = tiny_lab(tmp_path / "lab", double)
    (lab / "checks" / "lab1.py").write_text(checks)
    (tmp_path / "in").mkdir()
    nbformat.write(tiny[1], tmp_path / "in" / "lab1_a.ipynb")
    with pytest.raises(ValueError, match=f"lab1: .*{said}"):
        grade_tiny(lab, tmp_path / "in", tmp_path / "out", tiny[0] / "made")


@pytest.mark.parametrize(("members", "said"), [
    ({"notes.txt": "x"}, "it holds no notebooks named lab1.ipynb"),
    ({"a/lab1.ipynb": "x", "b/lab1.ipynb": "x"}, "it holds 2 notebooks named lab1.ipynb"),
    ({"/lab1.ipynb": "x"}, "leads out of its folder"), ({"C:\\lab1.ipynb": "x"}, "leads out of its folder"),
    ({"lab1.ipynb": "0" * (51 << 20)}, "its notebook is larger than 50 MB"),
    ({str(n): "" for n in range(1001)}, "it holds more than 1000 files")])
def test_a_zip_is_read_and_never_unpacked(tmp_path, members, said):
    path = zipped(tmp_path / "lab1_a.zip", members)
    with pytest.raises(ValueError, match=said):
        content(Submission("a", "lab1", path), tmp_path)
    assert os.listdir(tmp_path) == ["lab1_a.zip"]


def test_a_torn_zip_is_said(tmp_path):
    path = tmp_path / "lab1_a.zip"
    path.write_bytes(zipped(tmp_path / "b.zip", {"lab1.ipynb": json.dumps({})}).read_bytes()[:-10])
    with pytest.raises(ValueError, match=r"lab1_a.zip cannot be unpacked"):
        content(Submission("a", "lab1", path), tmp_path)


def test_what_decides_marks_is_hidden():
    hidden = contain.secrets()
    assert {f.name for f in hidden} == {"labs", "tests", "build", ".git"}
    assert all(Path(f).exists() for f in hidden if f.name != "build")
