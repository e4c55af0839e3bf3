"""`make run`: the project's main job on the embedded data, through papermill, ending in a table and a sentence."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import pandas as pd

from grmu import tables
from grmu.store import default_folder

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "run_experiment.ipynb"


def main(argv: list[str]) -> int:
    """Run PRETRAIN, RETRAIN and MIU, with and without REWEIGHT, and say what came of it."""
    parser = argparse.ArgumentParser(prog="grmu demo", description=__doc__)
    parser.add_argument("--ratio", type=float, default=0.5)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args(argv)
    folder = default_folder() / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    executed, page = folder / "run_experiment.ipynb", folder / "run_experiment.html"

    import papermill

    print(f"Forgetting {100 * options.ratio:.0f} % of one group, {options.seeds} seeds: about 20 s a seed on two cores, less "
          "if it was done before.")
    papermill.execute_notebook(
        NOTEBOOK, executed, {"ratio": options.ratio, "n_seeds": options.seeds, "output": str(folder)},
        progress_bar=False, stdout_file=sys.stdout, kernel_name="python3", cwd=str(NOTEBOOK.parent))
    write_page(executed, page)
    rows = pd.DataFrame(json.loads((folder / "metrics.json").read_text())["runs"])
    print("\nPercent, mean ± standard deviation over seeds. RA, UA, TA: accuracy on retained, forgotten, test samples; "
          "GA: on\ntest samples of the group that asked to be forgotten; MIA: share of forgotten samples an attacker "
          "takes for unseen;\nEO: equalized-odds difference. Closest to the gold standard is best.\n")
    print(tables.summary(rows).to_string())
    print(f"\n{tables.verdict(rows)}\n")
    for what, path in (("notebook", executed), ("page", page), ("figure", folder / "comparison.png")):
        print(f"{what + ':':10}{path}")
    return 0


def write_page(notebook: Path, page: Path) -> None:
    """The executed notebook as one HTML file."""
    from nbconvert import HTMLExporter

    page.write_text(HTMLExporter().from_filename(str(notebook))[0], encoding="utf-8")
