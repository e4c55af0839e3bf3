"""Every lesson runs through papermill, with one seed.

The runs are those of the default store, so that what nbval computes is not computed again. With one seed a verdict may
come out False: only that the lesson executes is asked here.
"""

import papermill
import pytest

from grmu import notebooks


@pytest.mark.parametrize("path", notebooks.lessons(), ids=lambda path: path.stem)
def test_lesson_runs_with_one_seed(path, tmp_path):
    known = papermill.inspect_notebook(str(path))
    small = {name: [0] for name in known if name.endswith("seeds")} | {name: True for name in known if name == "quick"}
    assert "seeds" in small
    executed = papermill.execute_notebook(str(path), str(tmp_path / path.name), small, kernel_name="python3",
                                          cwd=str(path.parent), progress_bar=False)
    injected = [cell for cell in executed.cells if "injected-parameters" in cell.metadata.get("tags", ())]
    assert len(injected) == 1
    assert "seeds = [0]" in injected[0].source
