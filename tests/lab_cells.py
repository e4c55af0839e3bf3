"""A lab's cells, and what a changed answer changes: only the cells that it can reach are run, in this
process."""

from __future__ import annotations

import ast
import copy
import functools
import hashlib
import importlib.util
import linecache
import pickle
import re
import symtable
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
import pytest
import torch
from nbformat import NotebookNode, v4

from grmu import metrics
from grmu.course import asking, classes, labs
from grmu.course.own import EVERYONE, own
from grmu.mine import MINE, Estimator

REGION = re.compile(r"### BEGIN (SOLUTION|HIDDEN TESTS)\n(.*?)\n\s*### END \1", re.DOTALL)
ANSWER = re.compile(r"^([ \t]*)### BEGIN SOLUTION\n.*?### END SOLUTION", re.DOTALL | re.MULTILINE)


def known_answers(lab):
    """tests/labs/LAB.py as a module: wrong answers and what they cost, right ones in another style."""
    spec = importlib.util.spec_from_file_location(f"answers_{lab}",
                                                  Path(__file__).parent / "labs" / f"{lab}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def meta(cell):
    return cell.metadata.get("nbgrader", {})


def is_test(cell):
    return bool(meta(cell).get("grade") and cell.cell_type == "code" and not meta(cell).solution)


def graded(nb):
    """The points of the cells that are marked without a person."""
    return {meta(c).grade_id: float(meta(c).points) for c in nb.cells if is_test(c)}


def solutions(nb):
    return {meta(c).grade_id: c.source for c in nb.cells if meta(c).get("solution")}


def cell(new, name, source, **kind):
    """A cell of nbgrader's; `new`: of nbformat.v4."""
    made = new(source)
    made.id = f"cell-{name}"
    made.metadata["nbgrader"] = {"grade": False, "solution": False, "locked": False, "task": False,
                                 "schema_version": 3, "grade_id": name, "cell_type": made.cell_type} | kind
    return made


def written(folder, cells):
    """A notebook of these cells, as lab1.ipynb in a folder."""
    kernel = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}}
    folder.mkdir(parents=True, exist_ok=True)
    nbformat.write(v4.new_notebook(cells=cells, metadata=kernel), folder / "lab1.ipynb")


def with_sources(nb, sources):
    """A copy of a notebook in which the cells of those grade_ids say something else."""
    nb = copy.deepcopy(nb)
    cells = {meta(c).get("grade_id"): c for c in nb.cells}
    for name, source in sources.items():
        cells[name].source = source.strip()
    return nb


def stub(source):
    """An answer as it is handed out."""
    return ANSWER.sub(r"\1# YOUR CODE HERE\n\1raise NotImplementedError()", source)


# Which cells depend on which


def _of_statement(source: str) -> tuple[set[str], set[str]]:
    """The names of the notebook that a statement reads, in functions too, and those that it binds."""
    top = symtable.symtable(source, "<cell>", "exec")
    used, bound, tables = set(), set(), [top]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        for name in table.get_symbols():
            if table is top or name.is_global():
                used |= {name.get_name()} if name.is_referenced() else set()
                binds = name.is_assigned() or name.is_imported() or name.is_namespace()
                bound |= {name.get_name()} if binds else set()
    return used, bound


@functools.cache
def used_and_set(source: str) -> tuple[frozenset[str], frozenset[str]]:
    """The names that a cell reads before it binds them, and those that it binds."""
    used, bound = set(), set()
    for statement in ast.parse(source).body:
        reads, binds = _of_statement(ast.unparse(statement))
        used |= reads - bound - (binds if isinstance(statement, ast.For | ast.With) else set())
        bound |= binds
    return frozenset(used), frozenset(bound)


def before(cells, last, wanted=None):
    """The positions of the cells that cell `last` depends on, itself included; or, of the names `wanted`,
    those in cells before `last`. Nothing depends on a test."""
    needed = set() if wanted is not None else {last}
    wanted = set(used_and_set(cells[last].source)[0] if wanted is None else wanted)
    for i in reversed(range(last)):
        used, bound = used_and_set(cells[i].source)
        if bound & wanted and not is_test(cells[i]):
            needed.add(i)
            wanted |= used
    return needed


# Running them


class Lab:
    """A lab's notebook; the cells that no answer changes are run once, when something needs them."""

    def __init__(self, name: str, student: str = EVERYONE):
        self.name = name
        self.nb: NotebookNode = nbformat.read(labs.SOURCE / name / f"{name}.ipynb", as_version=4)
        self.mine = own(student, name) if classes.personal(self.nb, student) else None
        self.points = graded(self.nb)
        self.unchanged = Run(self)

    def exercises(self) -> dict[str, list[str]]:
        """The test cells of each answer: those between it and the next."""
        found: dict[str, list[str]] = {}
        for cell in self.nb.cells:
            if cell.cell_type != "code":
                continue
            if meta(cell).get("solution"):
                found[last := meta(cell).grade_id] = []
            elif is_test(cell):
                found[last].append(meta(cell).grade_id)
        return {answer: tests for answer, tests in found.items() if tests}


class Run:
    """A submission's names, made cell by cell as something asks for them."""

    def __init__(self, lab: Lab, answers: Mapping[str, str] | None = None,
                 patch: Callable[[dict], None] | None = None, patched: str | None = None):
        """Args: answers: sources by grade_id.  patch: is called with the names, after the cell `patched`."""
        self.lab, self.patch, self.patched = lab, patch, patched
        answers = answers or {}
        changed_ids = answers.keys() | ({patched} if patched else set())
        self.cells = [c for c in with_sources(lab.nb, answers).cells if c.cell_type == "code"]
        self.place = {meta(c).get("grade_id"): i for i, c in enumerate(self.cells)}
        self.changed = {self.place[name] for name in changed_ids}
        self.done: set[int] = set()
        module = types.ModuleType("submission")
        sys.modules["submission"] = module  # dataclasses look there
        self.names = module.__dict__

    def ask(self, code: str, /, **given):
        """As `asking.in_process`, once the cells are run whose names the code reads."""
        wanted = used_and_set(code)[0] - given.keys()
        self._run_all(before(self.cells, len(self.cells), wanted))
        return asking.in_process(self.names)(code, **given)

    def reached(self, code: str, given) -> set[str]:
        """The answers that a question depends on."""
        wanted = used_and_set(code)[0] - given.keys()
        return {meta(self.cells[i]).grade_id for i in before(self.cells, len(self.cells), wanted)
                if meta(self.cells[i]).get("solution")}

    def need(self, place: int) -> None:
        """Run a cell, and those that it depends on, unless they were."""
        self._run_all(before(self.cells, place))

    def passes(self, test: str) -> bool:
        """Whether what a student can see of a test passes."""
        place = self.place[test]
        self._run_all(before(self.cells, place) - {place})
        try:
            exec(self._compiled(place), dict(self.names))
        except Exception:
            return False
        return True

    def _run_all(self, places: set[int]) -> None:
        for i in sorted(places - self.done):
            self.done.add(i)
            shared = self.lab.unchanged if self.changed else self
            if shared is not self and not before(self.cells, i) & self.changed:
                shared._run_all({i})
                bound = used_and_set(self.cells[i].source)[1]
                self.names.update({name: shared.names[name] for name in bound if name in shared.names})
                continue
            try:
                exec(self._compiled(i), self.names)
            except Exception:
                if not self.changed:
                    raise
            if self.patch and meta(self.cells[i]).get("grade_id") == self.patched:
                self.patch(self.names)

    def _compiled(self, place: int) -> types.CodeType:
        source = self.cells[place].source
        name = f"<{self.lab.name}, code cell {place}: {abs(hash(source))}>"
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        return compile(source, name, "exec")


# Fits that all mutants of an answer share


def _bytes(value: Any) -> Any:
    """Tensors as what can be compared: their type, shape and bytes."""
    if isinstance(value, torch.Tensor):
        return str(value.dtype), tuple(value.shape), value.detach().numpy().tobytes()
    if isinstance(value, Mapping):
        return [(key, _bytes(part)) for key, part in value.items()]
    return [_bytes(part) for part in value] if isinstance(value, list | tuple) else value


def _digest(*values: Any) -> bytes:
    return hashlib.sha256(pickle.dumps(_bytes(values))).digest()


@contextmanager
def fitted_once() -> Iterator[None]:
    """Mutants are asked the same as the right answer, and most fit the same estimator or forest on the way:
    a fit that begins with the same bits, all of them, is taken from the first that did."""
    fit, forest, estimators, forests = Estimator.fit, metrics.membership_forest, {}, {}

    def fit_once(self, z, group, steps):
        parts = {"network", "optimizer", "rng"}
        plain = all(isinstance(v, torch.Tensor) and not v.requires_grad for v in (z, group))
        if not plain or type(self.network) is not MINE:
            return fit(self, z, group, steps)
        key = _digest({name: value for name, value in vars(self).items() if name not in parts},
                      type(self.optimizer).__name__, self.network.state_dict(), self.optimizer.state_dict(),
                      self.rng.get_state(), z, group, steps)
        if key not in estimators:
            bounds = fit(self, z, group, steps)
            estimators[key] = copy.deepcopy(
                (bounds, self.network.state_dict(), self.optimizer.state_dict(), self.rng.get_state()))
            return bounds
        bounds, mine, optimizer, rng = copy.deepcopy(estimators[key])
        self.network.load_state_dict(mine)
        self.optimizer.load_state_dict(optimizer)
        self.rng.set_state(rng)
        self.network.requires_grad_(False)
        return bounds

    def forest_once(*given):
        key = _digest(given)
        if key not in forests:
            forests[key] = forest(*given)
        return forests[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Estimator, "fit", fit_once)
        patch.setattr(metrics, "membership_forest", forest_once)
        yield


# Wrong answers that can be made of any right one


def _methods(value: type) -> list[str]:
    """Those that a cell defines."""
    return [name for name, part in vars(value).items()
            if isinstance(part, types.FunctionType) and "code cell" in part.__code__.co_filename]


def nothing(names: dict, bound: frozenset[str]) -> None:
    """Every function and method of an answer returns None, every other value is None."""
    for name in bound & names.keys():
        value = names[name]
        if isinstance(value, type):
            for method in _methods(value):
                setattr(value, method, lambda *_, **__: None)
        elif not isinstance(value, types.ModuleType):
            names[name] = (lambda *_, **__: None) if callable(value) else None


def _constant(function):
    said = []

    @functools.wraps(function)
    def constant(*args, **given):
        if not said:
            said.append(function(*args, **given))
        return said[0]
    return constant


def constant(names: dict, bound: frozenset[str], values: Mapping) -> None:
    """Every function and method of an answer returns for ever what it returned first; other values are
    those of `values`."""
    for name in bound & names.keys():
        value = names[name]
        if isinstance(value, type):
            for method in _methods(value):
                setattr(value, method, _constant(getattr(value, method)))
        elif callable(value):
            names[name] = _constant(value)
        elif name in values:
            names[name] = values[name]
