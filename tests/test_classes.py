"""Class lists, and everyone's own notebook."""

import pytest
from nbformat import v4

from grmu.course import classes
from grmu.course.labs import LABS


def write(folder, text, encoding="utf-8"):
    path = folder / "class.csv"
    path.write_text(text, encoding=encoding)
    return path


def test_a_list_is_read_in_its_order_with_other_columns_and_as_spreadsheets_write_it(tmp_path):
    path = write(tmp_path, "number;student\n1;Zoe\u0308 O'Hara\n\n2;  bo li \n", "utf-8-sig")
    assert classes.read_class(path, LABS) == ["Zoë O'Hara", "bo li"]
    assert classes.read_class(write(tmp_path, 'student,mail\n"Li, Bo",b@x\n')) == ["Li, Bo"]


def test_what_else_a_list_says_of_a_student_is_for_moodle_and_canvas(tmp_path):
    path = write(tmp_path, "student,login,shoe,id\nann, a1 ,42,007\nbo,,41\n")
    assert classes.identities(path) == {"ann": {"login": "a1", "id": "007"}, "bo": {}}


@pytest.mark.parametrize(("text", "said"), [
    ("name\nann\n", "line 1: there is no column \"student\", only 'name'"),
    ("", "line 1: there is no column"),
    ("student\n", "nobody in it"),
    ("student,mail\nann,a@x\n,b@x\n", "line 3: '': there is no name"),
    ("student\nann\nbo\nAnn\n", "line 4: 'Ann': 'ann' is in line 2 already"),
    ("student\nann/bo\n", "line 2: 'ann/bo': a folder's name cannot hold /"),
    ("student\na..b\n", "cannot hold .."), ("student\nc:\\x\n", "cannot hold \\"),
    ("student\n.ann\n", "begins with a letter"),
    ("student\n=1+1\n", "begins with a letter"), ("student\neveryone\n", "another meaning"),
    ("student\nLab1\n", "another meaning"), ("student\na\x07b\n", "cannot be seen"),
    (f"student\n{'a' * 101}\n", "at most 100 bytes"), ('student\n"a\nb"\n', "cannot be seen")])
def test_a_name_that_is_no_folder_s_is_refused_with_its_line(tmp_path, text, said):
    with pytest.raises(ValueError, match=r"class\.csv") as error:
        classes.read_class(write(tmp_path, text), LABS)
    assert said in str(error.value)


def test_a_list_that_cannot_be_read_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'there is no file .*a column "student"'):
        classes.read_class(tmp_path / "no.csv")
    with pytest.raises(ValueError, match="not UTF-8"):
        classes.read_class(write(tmp_path, "student\nZoë\n", "latin-1"))


def lab(source, **meta):
    cell = v4.new_code_cell(source)
    cell.metadata["nbgrader"] = {"grade_id": "student", "locked": True, "solution": False,
                                 "grade": False} | meta
    return v4.new_notebook(cells=[v4.new_code_cell('student = "no"'), cell])


SOURCE = 'from grmu.course.own import own\nstudent = "everyone"  # yours\nmine = own(student, "lab1")'


@pytest.mark.parametrize("name", ["ann", "Zoë O'Hara", 'a"b\\1'])
def test_a_notebook_is_made_a_student_s_own_and_stays_python(name):
    nb = lab(SOURCE)
    assert classes.personal(nb, name)
    assert nb.cells[0].source == 'student = "no"'
    assert nb.cells[1].source.endswith('  # yours\nmine = own(student, "lab1")')
    found = {}
    exec(nb.cells[1].source, found)
    assert found["mine"].student == found["student"] == name


def test_the_name_of_a_notebook_is_read_again():
    nb = lab(SOURCE)
    assert classes.named(nb) == "everyone"
    classes.personal(nb, "Zoë O'Hara")
    assert classes.named(nb) == "Zoë O'Hara"
    assert not classes.personal(v4.new_notebook(cells=nb.cells[:1]), "ann")
    assert classes.named(v4.new_notebook(cells=nb.cells[:1])) is None


def test_nbgrader_takes_the_personal_cell_for_unchanged():
    utils = pytest.importorskip("nbgrader.utils")
    nb = lab(SOURCE, checksum="of everyone's")
    classes.personal(nb, "ann")
    assert nb.cells[1].metadata.nbgrader.checksum == utils.compute_checksum(nb.cells[1])
