"""Lessons through papermill: all have seeds to set, and one runs to its end with other parameters than its
own, with which nbval runs them all. A verdict may come out False then: only that it executes is asked here.
"""

import papermill
import pytest

from grmu.course import notebooks

LESSONS = notebooks.lessons()
OTHERS = {"seeds": [0], "ratio": 0.9, "epochs": 2}


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_every_lesson_has_seeds_to_set(path):
    assert "seeds" in papermill.inspect_notebook(str(path))


def test_a_lesson_runs_with_other_parameters(tmp_path):
    (path,) = (path for path in LESSONS if OTHERS.keys() <= papermill.inspect_notebook(str(path)).keys())
    executed = papermill.execute_notebook(str(path), str(tmp_path / path.name), OTHERS, kernel_name="python3",
                                          cwd=str(path.parent), progress_bar=False)
    (injected,) = (cell for cell in executed.cells if "injected-parameters" in cell.metadata.get("tags", ()))
    assert {f"{name} = {value}" for name, value in OTHERS.items()} <= set(injected.source.splitlines())
