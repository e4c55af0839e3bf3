"""Test that the project stays small: lines of code (no blank lines, comments or docstrings) and words."""

import ast
import io
import re
import tokenize

import pytest
from conftest import REPOSITORY

LINES = {"grmu": 7320, "grmu/data": 1215, "the core": 1375, "grmu/experiments": 405, "grmu/analysis": 1515,
         "grmu/plots grmu/widgets": 1020, "grmu/course": 1180, "grmu/batch grmu/__main__.py": 705,
         "docs data workflow": 2150, "notebooks/labs": 1800, "tests": 8975}
CORE = "grmu/methods " + " ".join(f"grmu/{path.name}" for path in (REPOSITORY / "grmu").glob("*.py")
                                  if path.name != "__main__.py")
WORDS = 15_000
SKIPPED = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
           tokenize.ENDMARKER}
GENERATED = (r"(?s)<!-- Computed by .*?<!-- End of what is computed -->",
             r"(?s)<!-- From here on, written by .*", r"(?m)^\|.*\|$")


def code_lines(path):
    """Return the lines of a file that contain code."""
    text, docs = path.read_text(encoding="utf-8"), set()
    for node in ast.walk(ast.parse(text)):
        value = node.value if isinstance(node, ast.Expr) else None
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            docs |= set(range(node.lineno, node.end_lineno + 1))
    lines = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in SKIPPED:
            lines |= set(range(token.start[0], token.end[0] + 1))
    return len(lines - docs)


def kept(folder, pattern):
    """Return the project's own files, which excludes installed, computed and built ones."""
    for path in folder.rglob(pattern):
        parts = path.relative_to(REPOSITORY).parts
        if not any(part.startswith(".") or part in {"runs", "build", "node_modules"} for part in parts):
            yield path


@pytest.mark.parametrize("part", LINES)
def test_code_stays_within_its_budget(part):
    names = (CORE if part == "the core" else part).split()
    files = [file for path in map(REPOSITORY.joinpath, names)
             for file in ([path] if path.is_file() else kept(path, "*.py"))]
    assert files
    assert sum(map(code_lines, files)) <= LINES[part]


def test_prose_outside_lessons_and_labs_stays_within_its_budget():
    words = 0
    for path in kept(REPOSITORY, "*.md"):
        if "notebooks" in path.parts or "grmu" in path.relative_to(REPOSITORY).parts:
            continue
        text = path.read_text(encoding="utf-8")
        for pattern in GENERATED:
            text = re.sub(pattern, "", text)
        words += len(text.split())
    assert words <= WORDS
