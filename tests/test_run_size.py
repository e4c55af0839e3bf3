"""Test that a run uses few files, few lines of code and few hooks."""

import ast
import inspect
import io
import tokenize
from pathlib import Path

import pytest
from conftest import start_python

from grmu.methods import MIU, MIUReleased
from grmu.training import Method

EMPTY = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING,
         tokenize.ENDMARKER}
RUN = """
import sys
from grmu import Experiment, run
run(Experiment(dataset="groundwear", method="miu", tiny=True), sys.argv[1])
modules = [module for name, module in sys.modules.items() if name.split(".")[0] == "grmu"]
print(*sorted({module.__file__ for module in modules}), sep="\\n")
"""


def code_lines(text: str) -> int:
    """Return the lines with code, without blank lines, comments and docstrings."""
    texts = [node for node in ast.walk(ast.parse(text))
             if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
             and isinstance(node.value.value, str)]
    documentation = {line for node in texts for line in range(node.lineno, node.end_lineno + 1)}
    tokens = [t for t in tokenize.generate_tokens(io.StringIO(text).readline) if t.type not in EMPTY]
    return len({line for t in tokens for line in range(t.start[0], t.end[0] + 1)} - documentation)


def test_a_run_reads_at_most_20_files_with_at_most_1425_lines_of_code(tmp_path):
    process = start_python(RUN, tmp_path, prelude="")
    out, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors[-1000:]
    lines = {path: code_lines(Path(path).read_text()) for path in out.split("\n") if path}
    assert any(path.endswith("miu.py") for path in lines)
    assert len(lines) <= 20, sorted(lines)
    assert sum(lines.values()) <= 1425, lines


def test_a_method_has_at_most_10_hooks_and_flags():
    names = {name for name in (*vars(Method), *Method.__annotations__) if not name.startswith("_")}
    assert len(names) <= 10, names


@pytest.mark.parametrize(("method", "most"), [(MIU, 80), (MIUReleased, 50)])
def test_miu_is_short(method, most):
    assert code_lines(Path(inspect.getsourcefile(method)).read_text()) <= most


