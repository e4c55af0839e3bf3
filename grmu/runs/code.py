"""The code that a run needs: some modules, what these import, and so on, read as syntax trees.

Comments, docstrings and layout do not count. Nor does what is listed in `NO_NUMBERS`, each with the reason.
Of what a notebook defines, the text is read.
"""

import ast
import hashlib
import inspect
from contextlib import suppress
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

NO_NUMBERS = {
    "grmu": "only says which names are public",
    "grmu.runs": "only says which names are public",
    "grmu.runs.code": "names runs",
    "grmu.runs.identity": "names runs",
    "grmu.runs.store": "keeps what was computed, and notices if it is no longer that",
    "grmu.runs.unlearning": "works on a network of the caller's, not on an experiment",
    "grmu.runs.parallel": "has runs done, under a progress bar",
    "grmu.data": "finds a data set by name; its own module, and what it holds, count",
    "grmu.data.files": "writes files",
    "grmu.data.own": "reads data of the caller's, not of an experiment",
    "grmu.data.originals": "holds no code",
    "grmu.methods": "finds a method by name; its own module counts",
}

DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def needed(*roots: str) -> list[str]:
    """These modules of the package and all that they import, also inside functions; sorted."""
    found: set[str] = set()
    left = set(roots)
    while left:
        found |= left
        left = {name for module in left for name in _imports(source(module))} - found - NO_NUMBERS.keys()
    return sorted(found - NO_NUMBERS.keys())


def digest(*roots: str) -> str:
    """SHA-256 of the trees of all modules that these need."""
    trees = "\n".join(f"{module} {_tree(source(module))}" for module in needed(*roots))
    return hashlib.sha256(trees.encode()).hexdigest()


def texts(thing: Any, seen: set[str]) -> list[str]:
    """The texts of a class or a function, and of what of its own module they call that was not seen yet."""
    if not inspect.isclass(thing):
        return [text(thing), *_called(_function(thing), seen)]
    parts = [value for name, value in sorted(vars(thing).items())
             if inspect.isfunction(value) or not name.startswith("__")]
    return [found for value in parts for found in texts(value, seen)]


def text(value: Any) -> str:
    """The text of a function, the value of a constant; "" for what @dataclass makes,
    whose fields are settings."""
    if isinstance(value, str | bool | int | float):
        return repr(value)
    with suppress(OSError, TypeError):
        return inspect.getsource(_function(value))
    return ""


@lru_cache
def source(module: str) -> str:
    """The text of a module."""
    spec = find_spec(module)
    return Path(spec.origin).read_text(encoding="utf-8") if spec and spec.origin else ""


@cache
def _tree(text: str) -> str:
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


@cache
def _imports(text: str) -> frozenset[str]:
    """The modules of this package that a module names in its imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {str(node.module)} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(n for n in names if n.split(".")[0] == "grmu" and _is_module(n))


def _is_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # a name in a module
        return False


def _called(function: Any, seen: set[str]) -> list[str]:
    found: list[str] = []
    for name in sorted(_names(getattr(function, "__code__", None))):
        other = getattr(function, "__globals__", {}).get(name)
        here = callable(other) and getattr(other, "__module__", None) == function.__module__
        if here and name not in seen:
            seen.add(name)
            found += texts(other, seen)
    return found


def _names(compiled: Any) -> set[str]:
    """The names that a function looks up outside, and those of functions within it."""
    inner = [_names(part) for part in getattr(compiled, "co_consts", ()) if inspect.iscode(part)]
    return set(getattr(compiled, "co_names", ())).union(*inner)


def _function(value: Any) -> Any:
    """What is behind a property, a class method, a decorator."""
    return inspect.unwrap(getattr(value, "fget", None) or getattr(value, "__func__", value))
