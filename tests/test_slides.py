"""Test the slides: every figure and table is there, guesses precede answers, and no other host is needed."""

import re

import build_slides
import nbformat
import pytest


@pytest.fixture(params=build_slides.LESSONS, ids=lambda path: path.stem)
def lesson(request):
    return nbformat.read(request.param, as_version=4)


def test_every_figure_and_guess_of_a_lesson_has_a_slide(lesson):
    cells = build_slides.deck(lesson).cells
    kinds = [cell.metadata.slideshow.slide_type for cell in cells]
    code = [cell for cell in lesson.cells if cell.cell_type == "code"]
    assert 12 <= kinds.count("slide") <= 45
    shown = [output for cell in cells for output in cell.get("outputs", ())]
    diagrams = [output for output in shown if "image/svg+xml" in output.data]
    assert [output for cell in code for output in build_slides.visuals(cell)] == [
        output for output in shown if output not in diagrams]
    assert len(diagrams) == "".join(cell.source for cell in lesson.cells).count("](diagrams/")
    guesses = [text for cell in code for text in build_slides.questions(cell)]
    assert kinds.count("fragment") == len(guesses) >= 3
    for kind, cell in zip(kinds, cells, strict=True):
        assert kind == "fragment" or "It is: " not in cell.get("source", "")
        assert not re.search(r"<details|NotImplementedError|\]\((?!https?:)", cell.source)


def test_a_page_loads_only_what_lies_beside_it():
    page = build_slides.page(build_slides.deck(nbformat.read(build_slides.LESSONS[0], as_version=4)))
    loaded = re.findall(r"<(?:link|script|img|iframe)\b[^>]*?(?:href|src)=\"([^\"]*)\"", page)
    beside = {name.rpartition("/")[2] for name in build_slides.ASSETS} | {"slides.css"}
    assert {name for name in loaded if not name.startswith("data:")} == beside
    assert page.count("<img") == page.count('alt="')
