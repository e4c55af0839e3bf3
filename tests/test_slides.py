"""Lessons as slides: how many, guesses before their answers, words for the speaker, no other host."""

import re
import sys

import nbformat
import pytest
from conftest import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "docs"))  # scripts, not a package

import build_slides


@pytest.fixture(params=build_slides.LESSONS, ids=lambda path: path.stem)
def lesson(request):
    return nbformat.read(request.param, as_version=4)


@pytest.fixture
def slides(lesson):
    """The cells of each slide, with their types."""
    shown = []
    for cell in build_slides.deck(lesson).cells:
        kind = cell.metadata.slideshow.slide_type
        if kind == "slide":
            shown.append([])
        shown[-1].append((kind, cell))
    return shown


def test_a_lesson_has_as_many_slides_as_an_hour_has_time_for(slides):
    assert 12 <= len(slides) <= 20


def test_a_guess_is_a_pause(lesson, slides):
    guesses = [out.data["text/markdown"].split("\n")[0] for cell in lesson.cells if cell.cell_type == "code"
               for out in build_slides.outputs(cell, *build_slides.GUESS)]
    asked = {slide[1][1].source: slide for slide in slides if slide[1][1].source.startswith("**")}
    assert guesses
    for guess in guesses:
        waiting = [cell.source for kind, cell in asked[guess] if kind == "fragment"]
        assert waiting[0].startswith("It is: ")
        assert not any("It is: " in cell.source for kind, cell in asked[guess] if kind != "fragment")


def test_every_figure_and_table_of_a_lesson_is_shown_and_the_text_is_the_speakers(lesson, slides):
    code = [cell for cell in lesson.cells if cell.cell_type == "code"]
    shown = [out for slide in slides for _, cell in slide for out in cell.get("outputs", ()) if "data" in out]
    assert [out for cell in code for out in build_slides.visuals(cell)] == shown
    notes = [cell.source for slide in slides for kind, cell in slide if kind == "notes"]
    assert len(notes) > len(slides) / 2
    assert len(" ".join(notes).split()) > 500


def test_no_slide_has_what_only_a_notebook_has(slides):
    for cell in (cell for slide in slides for _, cell in slide):
        assert not re.search(r"<details|NotImplementedError|\]\((?!https?:)", cell.source)


def test_a_page_loads_what_lies_beside_it():
    lesson = nbformat.read(build_slides.LESSONS[0], as_version=4)
    page = build_slides.page(build_slides.deck(lesson))
    loaded = re.findall(r"<(?:link|script|img|iframe)\b[^>]*?(?:href|src)=\"([^\"]*)\"", page)
    beside = {name.rpartition("/")[2] for name in build_slides.ASSETS} | {"slides.css"}
    assert {name for name in loaded if not name.startswith("data:")} == beside
    assert "@import" not in page
    assert page.count("<img") == page.count('alt="')
