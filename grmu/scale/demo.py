"""`make run`: the project's main job on the embedded data, ending in a table and a sentence.

The runs are trained as many at once as there are cores. Papermill executes run_experiment.ipynb, which finds
them in the store; its kernel starts while the last runs are still in training.
"""

from __future__ import annotations

import json
import os
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd

from grmu.analysis import tables
from grmu.data.arguments import Parser
from grmu.data.files import FOLDER, PACKAGE, naming
from grmu.data.originals.cache import cores
from grmu.experiments import Experiment, load_split, map_experiments, run
from grmu.experiments.run import run_keys
from grmu.experiments.store import Store
from grmu.scale.batch import Parameters, outcome, rank
from grmu.show.kernels import NOTEBOOKS

NAME = "run_experiment.ipynb"
NOTEBOOK = FOLDER / NAME if (FOLDER / NAME).is_file() else NOTEBOOKS / NAME
OPENING = """\
The data: photographs of shoes, on grass or on brick; the task: boot or sneaker?
One small group, {group}, wants to leave: {n} of its {n_group} training pictures ask to be forgotten,
{ratio:.3g} %. The other groups keep their {n_others:,}. Five answers to that request, {seeds} each:

  PRETRAIN             the original model, which has seen them
  RETRAIN              train anew without them
  RETRAIN + REWEIGHT   the same, what is left of the group weighted up to its old share: the gold standard
  MIU                  change the model that is there, for a few epochs
  MIU + REWEIGHT       the same, with that weighting

{n_runs} runs, {jobs} at a time, a few seconds each; finished runs are kept and not done again.
"""
LEGEND = """
Percent{spread}. The nearer to the gold standard the better, in every column.
RA, UA, TA: accuracy on the retained, the forgotten and the test pictures. MIA: share of the forgotten that
an attacker takes for never seen. EO: equalized-odds difference, a measure of unfairness. GA: accuracy on the
group's test pictures. avg. gap: 100 minus the mean distance from the gold standard. ToW: the product of
1 - distance in UA, RA and TA. seconds: training time.
"""


def main(argv: list[str]) -> int:
    """Run PRETRAIN, RETRAIN and MIU, with and without REWEIGHT, and say what came of it."""
    parser = Parser(prog="python -m grmu demo", description=main.__doc__)
    parser.add_argument("--ratio", type=float, default=0.5,
                        help="share of the group that is forgotten, in (0, 1]")
    parser.add_argument("--seeds", type=int, default=3,
                        help="how many times, each with another forget set and training")
    options = parser.parse_args(argv)
    parameters = {"ratio": options.ratio, "n_seeds": options.seeds}
    asked = Parameters(**parameters)
    print(opening(asked), flush=True)
    folder = Store().root.resolve() / "demo"
    folder.mkdir(exist_ok=True)
    parameters["output"] = str(folder)
    executed, page = folder / "run_experiment.ipynb", folder / "run_experiment.html"
    with naming(folder), ThreadPoolExecutor(1) as beside:
        notebook = None
        for left in train(asked.experiments()):
            if notebook is None and left <= cores():  # all runs that are left have begun
                for library in ("papermill", "nbconvert"):  # two threads may not import them at once
                    import_module(library)
                notebook = beside.submit(execute, parameters, executed)
        print("\nNow the notebook, its page and the figure ...", flush=True)
        notebook = notebook or beside.submit(execute, parameters, executed)
        notebook.result()
        write_page(executed, page)
    rows = pd.DataFrame(json.loads((folder / "metrics.json").read_text())["runs"])
    spread = ", mean \N{PLUS-MINUS SIGN} standard deviation over seeds"
    print(LEGEND.format(spread=spread * (options.seeds > 1)))
    print(tables.summary(rows).rename_axis(None).to_string())
    print(f"\n{textwrap.fill(tables.verdict(rows), 118)}\n")
    files = {"notebook": executed, "page": page, "figure": folder / "comparison.png",
             "numbers": folder / "metrics.json"}
    for what, path in files.items():
        print(f"{what + ':':10}{path}")
    return 0


def opening(parameters: Parameters) -> str:
    """What is about to be done, in plain words; ValueError if it cannot be."""
    experiments = parameters.experiments()
    splits, split, (group,) = load_split(experiments[0])
    g = splits.train.group_id(group)
    n_group = int(splits.train.group_counts()[g])
    return OPENING.format(ratio=100 * parameters.ratio, group=splits.train.group_names[g],
                          n=len(split.forget),
                          n_group=n_group, n_others=len(splits.train) - n_group, n_runs=len(experiments),
                          jobs=min(cores(), len(experiments)), seeds=tables.count_seeds(parameters.n_seeds))


def train(experiments: Iterable[Experiment]) -> Iterator[int]:
    """Do the runs that the store lacks, as many at once as there are cores; print a line on each.

    All PRETRAINs come first, since MIU starts from them, and MIU last, since its runs are the shortest.

    Yields:
        After each run, how many are left.
    """
    ordered, store = sorted(experiments, key=lambda e: rank(e.method)), Store()
    missing = [e for e in ordered if store.read("results", run_keys(e).result) is None]
    results = map_experiments(run, missing, max(1, min(cores(), len(missing))), progress=False)
    for i, result in enumerate(results, 1):
        print(f"[{i}/{len(missing)}] {outcome(result)}", flush=True)
        yield len(missing) - i


def execute(parameters: Mapping[str, Any], path: Path) -> None:
    """Execute run_experiment.ipynb with these parameters into `path`.

    Raises:
        KeyboardInterrupt: It was stopped.
        PapermillExecutionError: A cell failed.
    """
    import papermill

    if not NOTEBOOK.is_file():
        raise FileNotFoundError(f"{NOTEBOOK} is not there: restore it with `git checkout notebooks`, "
                                "or install grmu anew.")
    try:
        with _environment():
            papermill.execute_notebook(
                NOTEBOOK, path, dict(parameters), progress_bar=False, kernel_name="python3",
                cwd=str(path.parent),  # the folder of an installed notebook may be read-only
                extra_arguments=["--log-level=CRITICAL"])  # else it warns of its own transport
    except papermill.PapermillExecutionError as error:
        if error.ename == "KeyboardInterrupt":
            raise KeyboardInterrupt from error
        raise


@contextmanager
def _environment() -> Iterator[None]:
    """Inside, a kernel in another folder finds the same package and store, and draws into the notebook."""
    before = dict(os.environ)
    os.environ["GRMU_STORE"] = str(Store().root.resolve())
    inherited = filter(None, [before.get("PYTHONPATH")])
    os.environ["PYTHONPATH"] = os.pathsep.join([str(PACKAGE.parent), *inherited])
    os.environ.pop("MPLBACKEND", None)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def write_page(notebook: Path, page: Path) -> None:
    """The executed notebook as one HTML file."""
    from nbconvert import HTMLExporter

    page.write_text(HTMLExporter().from_filename(str(notebook))[0], encoding="utf-8")
