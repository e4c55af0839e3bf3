"""Run the project's main experiment on the embedded data (`make run`), and print a table and a conclusion."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pandas as pd

from grmu.analysis import tables
from grmu.batch.entry import Parameters, order, outcome
from grmu.data.files import FOLDER, PACKAGE
from grmu.experiments import load_split, map_experiments, run
from grmu.experiments.store import Store

NAME = "run_experiment.ipynb"
NOTEBOOK = FOLDER / NAME if (FOLDER / NAME).is_file() else PACKAGE.parent / "notebooks" / NAME
OPENING = """\
A network classifies pictures of shoes on grass or brick as boots or sneakers. In one small group, {group},
{n} of {n_group} training pictures ({ratio:.3g} %) are forgotten. The other groups keep their {n_others:,}.

The demo compares five models, with {seeds} each: PRETRAIN, the original model (no unlearning); RETRAIN, a
new model trained without the forgotten pictures; RETRAIN + REWEIGHT, the gold standard, which also samples
the rest of the group more often; MIU, which changes the original model for a few epochs; and MIU + REWEIGHT.
These are {n_runs} runs of a few seconds each, {jobs} at a time. Finished runs are kept.
"""
LEGEND = """
Percentages: mean \N{PLUS-MINUS SIGN} standard deviation over seeds. Closer to the gold standard is better.
RA, UA, TA: accuracy on the retained, the forgotten and the test pictures. MIA: share of the forgotten
pictures that an attacker classifies as never seen. EO: equalized-odds difference. GA: accuracy on the
group's test pictures. avg. gap: 100 minus the mean distance from the gold standard.
ToW: the product of 1 - distance over UA, RA and TA. seconds: training time.
"""


def demo(ratio: float, seeds: int, jobs: int) -> int:
    """Run PRETRAIN, RETRAIN and MIU, with and without REWEIGHT; print a table and its conclusion.

    Args:
        ratio: Share of the group to forget, in (0, 1].
        seeds: Number of seeds.
        jobs: Number of processes.
    """
    folder = Store().root.resolve() / "demo"
    parameters = Parameters(ratio=ratio, n_seeds=seeds, output=str(folder))
    print(opening(parameters, jobs), flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    experiments = sorted(parameters.experiments(), key=lambda e: order(e.method))
    for i, result in enumerate(map_experiments(run, experiments, jobs, progress=False), 1):
        print(f"[{i}/{len(experiments)}] {outcome(result)}", flush=True)
    print("\nWriting the notebook, the web page and the figure ...", flush=True)
    files = {"notebook": folder / NAME, "page": folder / "run_experiment.html",
             "figure": folder / "comparison.png", "numbers": folder / "metrics.json"}
    execute(parameters, files["notebook"], files["page"])
    rows = pd.DataFrame(json.loads(files["numbers"].read_text())["runs"])
    print(LEGEND)
    print(tables.summary(rows).rename_axis(None).to_string())
    print(f"\n{tables.verdict(rows)}\n")
    for what, path in files.items():
        print(f"{what + ':':10}{path}")
    return 0


def opening(parameters: Parameters, jobs: int) -> str:
    """Return a description of what the demo will do.

    Raises:
        ValueError: A parameter is not allowed.
    """
    splits, split, (group,) = load_split(parameters.experiments()[0])
    g, seeds = splits.train.group_id(group), tables.count_seeds(parameters.n_seeds)
    n_group = int(splits.train.group_counts()[g])
    return OPENING.format(
        ratio=100 * parameters.ratio, group=splits.train.group_names[g], n=len(split.forget), n_group=n_group,
        n_others=len(splits.train) - n_group, n_runs=len(parameters.experiments()), jobs=jobs, seeds=seeds)


def execute(parameters: Parameters, notebook: Path, page: Path) -> None:
    """Execute run_experiment.ipynb, which loads the runs from the store, and also save it as a web page."""
    import papermill
    from nbconvert import HTMLExporter

    os.environ.pop("MPLBACKEND", None)  # so that the kernel uses the inline backend
    settings = {"ratio": parameters.ratio, "n_seeds": parameters.n_seeds, "output": parameters.output}
    try:
        papermill.execute_notebook(NOTEBOOK, notebook, settings, progress_bar=False, kernel_name="python3",
                                   extra_arguments=["--log-level=CRITICAL"])
    except papermill.PapermillExecutionError as error:
        if error.ename == "KeyboardInterrupt":
            raise KeyboardInterrupt from error
        raise
    page.write_text(HTMLExporter().from_filename(str(notebook))[0], encoding="utf-8")
