"""Lessons run through papermill, with one seed: three of them to their end, of all the parameters are known.

The runs are those of the default store, so that what nbval computes is not computed again. With one seed a
verdict may
come out False: only that the lesson executes is asked here.
"""

import papermill
import pytest

from grmu.teach import notebooks

LESSONS = notebooks.lessons()


def small_parameters(path):
    """One seed and few epochs, where the lesson has seeds and epochs."""
    known = papermill.inspect_notebook(str(path))
    small = {"quick": True, "epochs": 2}
    return {name: [0] for name in known if name.endswith("seeds")} | {
        k: v for k, v in small.items() if k in known
    }


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_every_lesson_has_seeds_to_set(path):
    assert "seeds" in small_parameters(path)


@pytest.mark.parametrize("path", [p for p in LESSONS if p.stem[:2] in ("00", "01", "02")],
                         ids=lambda path: path.stem)
def test_lesson_runs_with_one_seed(path, tmp_path):
    small = small_parameters(path)
    executed = papermill.execute_notebook(str(path), str(tmp_path / path.name), small, kernel_name="python3",
                                          cwd=str(path.parent), progress_bar=False)
    injected = [cell for cell in executed.cells if "injected-parameters" in cell.metadata.get("tags", ())]
    assert len(injected) == 1
    assert "seeds = [0]" in injected[0].source
