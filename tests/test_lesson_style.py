"""What a lesson may be: its size, figures in words, guesses before answers, names, numbers with a source."""

import ast
import builtins
import functools
import re

import nbformat
import pytest

from grmu.analysis import paper
from grmu.course import notebooks

CELLS, WORDS, TABLES, FIGURES, SETUP_LINES, COLUMNS = 45, 2200, 4, 6, 40, 110
LESSONS = notebooks.lessons()
TYPED = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?(?!\w)")  # unsigned: a minus may be a dash

# Numbers in prose that no cell computes, with the reason why they may stand there.
EXCEPTIONS: dict[str, dict[str, str]] = {}
EVERYWHERE = {"0": "zero", "1": "one", "2": "a count", "95": "the intervals' level", "100": "percent"}


@functools.cache
def read(path):
    """A lesson; no test changes it."""
    nb = nbformat.read(path, as_version=4)
    nb.metadata.stem = path.stem
    return nb


@pytest.fixture(params=LESSONS, ids=lambda path: path.stem)
def lesson(request):
    return read(request.param)


def prose(nb):
    """The Markdown, without code of solutions."""
    return [re.sub(r"```.*?```", "", cell.source, flags=re.S) for cell in nb.cells
            if cell.cell_type == "markdown"]


def outputs(nb):
    return [output for cell in nb.cells for output in cell.get("outputs", ())]


def code(nb):
    """(position, tree) of every code cell."""
    return [(i, ast.parse(re.sub(r"^\s*[%!].*", "", cell.source, flags=re.M)))
            for i, cell in enumerate(nb.cells) if cell.cell_type == "code"]


def test_a_lesson_is_no_longer_than_it_may_be(lesson):
    words = sum(len(re.findall(r"\S*\w\S*", text)) for text in prose(lesson))
    rest = prose(lesson)[1:]  # the opening's table says how long it takes
    tables = (sum("<table" in output.get("data", {}).get("text/html", "") for output in outputs(lesson))
              + sum(len(re.findall(r"^\|[ :|-]+\|$", text, re.M)) for text in rest))
    figures = sum("image/png" in output.get("data", {}) for output in outputs(lesson))
    found = {"cells": len(lesson.cells), "words": words, "tables": tables, "figures": figures}
    allowed = {"cells": CELLS, "words": WORDS, "tables": TABLES, "figures": FIGURES}
    assert {name: n for name, n in found.items() if n > allowed[name]} == {}


def test_a_lesson_says_what_one_can_do_afterwards_and_how_long_it_takes(lesson):
    opening = lesson.cells[0].source
    assert opening.startswith("# ")
    assert "After this lesson you can" in opening
    assert re.search(r"\d+ minutes", opening)
    assert re.search(r"about \d+ s", opening)


def test_the_set_up_fits_on_one_screen(lesson):
    first = next(cell for cell in lesson.cells if cell.cell_type == "code")
    assert len(first.source.splitlines()) <= SETUP_LINES


def breakable(text):
    """Markdown without what cannot be broken: rows of tables, and lines that begin or lie within $$...$$."""
    text = re.sub(r"^\$\$.*?\$\$.*?$", "", text, flags=re.M | re.S)
    return re.sub(r"^\|.*$", "", text, flags=re.M)


def test_lines_fit_on_the_page(lesson):
    texts = [cell.source if cell.cell_type == "code" else breakable(cell.source) for cell in lesson.cells]
    long = [(position, line) for position, text in enumerate(texts) for line in text.splitlines()
            if len(line) > COLUMNS]
    assert long == []


def test_every_figure_says_in_words_what_it_shows(lesson):
    for output in outputs(lesson):
        if "image/png" in output.get("data", {}):
            alt = output.metadata.get("image/png", {}).get("alt", "")
            assert len(alt) >= 40, "a figure without alt text"
            assert re.search(r"\d", alt), f"no number in the alt text: {alt}"


def assigned(tree):
    """Names that a cell binds at its top level, but for loop variables and those that begin with _."""
    bound = set()
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            bound.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            bound |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            bound |= {n.id for target in targets for n in ast.walk(target)
                      if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return {name for name in bound if not name.startswith("_")}


def test_no_name_is_used_for_two_things(lesson):
    bound = {}
    for position, tree in code(lesson):
        for name in assigned(tree):
            bound.setdefault(name, []).append(position)
    assert {name: where for name, where in bound.items() if len(where) > 1} == {}


def names(tree):
    """Names that a cell uses but does not bind anywhere itself."""
    used = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    own = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    own |= {n.arg for n in ast.walk(tree) if isinstance(n, ast.arg)}
    own |= {n.name for n in ast.walk(tree) if isinstance(n, ast.ExceptHandler)}
    return used - own - assigned(tree) - set(dir(builtins))


def test_a_section_runs_after_the_first_two_cells_of_code(lesson):
    (_, setup), (_, parameters), *rest = code(lesson)
    common = assigned(setup) | assigned(parameters)
    headings = [i for i, cell in enumerate(lesson.cells)
                if cell.cell_type == "markdown" and re.search(r"^## ", cell.source, re.M)]
    known, section, asked = set(), -1, guesses(lesson).keys()
    for position, tree in rest:
        if (now := sum(heading < position for heading in headings)) != section:
            known, section = set(), now
        tags = lesson.cells[position].metadata.get("tags", [])
        guessed = names(tree) & asked
        if "verdict" not in tags:
            assert names(tree) - common - known - guessed - {"display"} == set(), f"cell {position}"
        known |= assigned(tree) | {n.id for n in ast.walk(tree)
                                   if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def symbols(text):
    """Greek, script and accented letters of the equations."""
    greek = "alpha beta gamma delta epsilon eta theta kappa lambda mu nu pi rho sigma tau phi chi psi omega"
    pattern = rf"\\(?i:{greek.replace(' ', '|')})(?![a-z])|\\(?:mathcal|bar|hat|tilde)[ {{]*[A-Za-z]"
    equations = " ".join(re.findall(r"\$\$?(.+?)\$\$?", text, re.S))
    return {re.sub(r"[ {]", "", found) for found in re.findall(pattern, equations)}


def test_the_glossary_has_the_symbols(lesson):
    glossary = (notebooks.NOTEBOOKS.parent / "docs" / "glossary.md").read_text(encoding="utf-8")
    assert symbols("\n\n".join(prose(lesson))) - symbols(glossary) == set()


def guesses(nb):
    """Where each guess is asked, by its name."""
    return {target.id: position for position, tree in code(nb) for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)
            and getattr(node.value.func, "id", "") == "guess"
            for target in node.targets if isinstance(target, ast.Name)}


def test_guesses_are_asked_before_they_are_answered_and_counted_at_the_end(lesson):
    asked, answered, ends = guesses(lesson), {}, []
    for position, tree in code(lesson):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "answer":
                answered[node.func.value.id] = position
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "calibration":
                ends.append({argument.id for argument in node.args})
    assert 2 <= len(asked) <= 5
    assert ends == [set(asked)], "calibration(...) takes every guess of the lesson, once"
    assert asked.keys() == answered.keys()
    for name, position in asked.items():
        assert answered[name] > position + 1, f"{name}: the answer is in sight of the question"


def plain_numbers(text):
    """Numbers that a reader meets: not of formulas, code, links, headings, tables, references and years."""
    for pattern in (r"<details>.*?</details>", r"\$\$.*?\$\$", r"\$.*?\$", r"`[^`]*`", r"\]\([^)]*\)",
                    r"https?://\S+", r"^#.*$", r"^\*\*Exercise[^*]*\*\*[^.]*\.", r"^\|.*\|$",
                    r"(?i)\b(?:lessons?|sections?|eqs?\.|equations?|figs?\.|tables?|algorithms?|articles?"
                    r"|labs?|step)\s*"
                    r"\d[\d.]*(?:(?:,| and| to|\u2013)\s*\d[\d.]*)*", r"\b(?:19|20)\d\d\b", r"\[\d+[^\]]*\]"):
        text = re.sub(pattern, " ", text, flags=re.S if "*?" in pattern else re.M)
    return typed(text)


def typed(text):
    """Numbers of a text, without signs and thousands separators."""
    return [found.replace(",", "") for found in TYPED.findall(text)]


def test_every_number_in_prose_is_computed_in_the_lesson_or_printed_by_the_paper(lesson):
    shown = []
    for cell in lesson.cells:
        if cell.cell_type == "code":
            shown.append(cell.source)
            for output in cell.get("outputs", ()):
                data = output.get("data", {})
                shown += [output.get("text", ""), data.get("text/plain", ""),
                          re.sub(r"<[^>]*>", " ", data.get("text/html", "")),
                          output.get("metadata", {}).get("image/png", {}).get("alt", "")]
    known = set(typed("\n".join(shown)))
    known |= {f"{round(float(n))}" for n in known if n} | paper_numbers()
    allowed = EVERYWHERE | EXCEPTIONS.get(lesson.metadata.stem, {})
    found = {number for text in prose(lesson)[1:] for number in plain_numbers(text)}
    assert found - known - allowed.keys() == set()


@functools.cache
def paper_numbers():
    """Every value that the paper's tables print, as it prints it."""
    tables = (paper.table(name) for name in ("results", "ablation", "fairness"))
    values = [value for table in tables for value in table.select_dtypes("number").to_numpy().flatten()]
    return {f"{value:{form}}" for value in values for form in (".0f", ".1f", ".2f", "g")}


def test_exceptions_are_used(lesson):
    text = "\n".join(prose(lesson))
    assert [n for n in EXCEPTIONS.get(lesson.metadata.stem, {}) if n not in text.replace(",", "")] == []
