"""Build the explorer as one page that works from a file, without a kernel and without a network.

    python docs/build_explorer.py [--to build/explorer.html]    # build the page from the committed module
    python docs/build_explorer.py --build                       # first build the module with npm

The module holds the shipped runs as JSON and the last layer's features as bytes, deflated and in base64;
docs/explorer/src/data.js unpacks them. The browser computes all averages.
"""

import argparse
import json
import shutil
import subprocess
import sys
import zlib
from base64 import b64encode
from collections.abc import Iterator
from html import escape
from itertools import zip_longest
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy import stats

from grmu import data
from grmu.analysis import grids, results
from grmu.analysis.compare import LEAST_SEEDS
from grmu.analysis.names import label
from grmu.data.files import write_whole
from grmu.metrics import METRICS
from grmu.plots import COLOURS, GROUP_COLOURS, VERMILION
from grmu.widgets.explorer import on_paper
from grmu.widgets.live import MODULE
from grmu.widgets.settings import WHO, Choice, by_row, group_rows, measured_on, rows_of

SOURCES = Path(__file__).parent / "explorer"
LAYER = results.FOLDER / "last_layer.npz"
VERSION = 2  # of the links that store a setting: increase it when a name or its meaning changes
DATASETS = {"groundwear": "groundwear, 4 groups", "groundwear-memorised": "groundwear, memorised",
            grids.MANY: "groundwear, 63 groups", "negation": "negation, pairs of sentences"}
FINE = 100_000  # fractions become integers with the precision of the table
SETTINGS = ("who", "method", "reweight", "lam", "ratio", "seed")
PICTURED, SHADES = 60, 16  # test pictures per group, and their shades of grey
TOO_OLD = ("This browser is too old for the explorer, which needs Chrome or Edge 111, Firefox 113, "
           "Safari 16.4, or a newer one.")


def fine(value: float) -> int | None:
    """Return a fraction as an integer; None for NaN."""
    return None if pd.isna(value) else round(float(value) * FINE)


def runs() -> Iterator[dict[str, Any]]:
    """Yield one row per run: `SETTINGS`, metrics, and the accuracies of the panel's rows."""
    for who in WHO:
        for row in rows_of(who).to_dict("records"):
            yield ({name: row[name] for name in ("method", "lam", "ratio", "seed")}
                   | {"who": who, "reweight": int(row["reweight"]),
                      "groups": [fine(v) for v in by_row(who, row["by_group"])]}
                   | {metric: fine(row[metric]) for metric in METRICS})


def theory() -> Iterator[dict[str, Any]]:
    """Yield what a shifted prior predicts for RETRAIN, which are accuracies of groups only."""
    table = results.load("shift")
    for who, (_, dataset, which) in WHO.items():
        if which == "uniform":
            continue
        pairs = which if not isinstance(which, str) else (data.load(dataset).forget_group,)
        asks = data.load(dataset).train.group_id(pairs[0])
        of = table[(table.dataset == dataset) & (table.asking == len(pairs)) & (table.asks == asks)]
        for (ratio, seed), part in of.groupby(["ratio", "seed"]):
            by_group = part.sort_values("group").visible.to_numpy()
            yield {"who": who, "method": "theory", "reweight": 0, "lam": np.nan, "ratio": ratio,
                   "seed": seed, "groups": [fine(v) for v in by_row(who, by_group)]}


def table() -> pd.DataFrame:
    """Return `runs` and `theory`, in an order that compresses well."""
    every = pd.DataFrame([*runs(), *theory()])
    order = {"method": list(dict.fromkeys(every.method)), "who": list(WHO)}
    return every.sort_values(["who", "method", "reweight", "lam", "ratio", "seed"], kind="stable",
                             key=lambda c: c.map(order[c.name].index) if c.name in order else c,
                             ignore_index=True)


def askers() -> list[dict[str, Any]]:
    """Return the possible forget sets: data set, name, the panel's rows, and an `Experiment`'s value."""
    found = []
    for key, (name, dataset, which) in WHO.items():
        names, _, asked = zip(*group_rows(key), strict=True)
        found.append({"key": key, "name": name, "dataset": dataset, "groups": repr(which), "panel": names,
                      "asked": asked, "things": "sentences" if dataset == "negation" else "pictures",
                      "whom": measured_on(key)})
    return found


def curves() -> list[dict[str, Any]]:
    """Return the mean UA and GA over five seeds after each epoch, for the smallest group."""
    epochs = results.load("trajectories").sort_values("epoch")
    return [{"method": method, "reweight": int(reweight), "ratio": ratio}
            | {metric: [fine(round(v, 3)) for v in part[metric]] for metric in ("UA", "GA")}
            for (method, reweight, ratio), part in epochs.groupby(["method", "reweight", "ratio"])]


def pictures() -> dict[str, Any]:
    """Return the first test pictures of each group, one hex digit per pixel, and which of them were right."""
    test = data.load("groundwear").test
    x = torch.as_tensor(test.x[:])
    shown = [(test.group == g).nonzero()[:PICTURED, 0] for g in range(test.n_groups)]
    shades = [(x[index, 0].numpy() // (256 // SHADES)).ravel() for index in shown]
    keys = ["method", "reweight", "ratio", "seed"]
    right = {"/".join(map(str, (method, int(reweight), ratio, seed))): list(part.sort_values("group").right)
             for (method, reweight, ratio, seed), part in results.load("pictures").groupby(keys)}
    return {"size": x.shape[-1], "shown": PICTURED, "right": right,
            "shades": ["".join(f"{v:x}" for v in group) for group in shades]}


def layer() -> dict[str, Any]:
    """Return the data of the view that retrains the last layer, besides `samples`.

    `seeds` has the number of test pictures that are classified correctly.
    """
    features, table = np.load(LAYER), results.load("last_layer")
    tested = len(features["test"]) // len(features["counts"])
    right = (table.accuracy * tested).round().astype(int).to_numpy()
    shape = [table[name].nunique() for name in ("seed", "asks", "ratio", "reweight", "group")]
    by_ask = right.reshape(shape).transpose(1, 3, 2, 0, 4)  # forget group, REWEIGHT, ratio, seed, group
    return {"counts": features["counts"].tolist(), "scale": features["scale"].tolist(), "tested": tested,
            "seeds": by_ask.tolist()}


def samples() -> bytes:
    """Features of the training and test samples, and p(on brick | x, y) of the test samples."""
    features = np.load(LAYER)
    return b"".join(features[name].tobytes() for name in ("train", "test", "brick"))


def contents() -> dict[str, Any]:
    """Return the complete content of the module."""
    every = table()
    columns = {name: [None if pd.isna(v) else v for v in every[name]] for name in (*SETTINGS, *METRICS)}
    columns["groups"] = list(zip_longest(*every.groups))
    methods = [m for m in dict.fromkeys(every.method) if m != "theory"]
    return {"version": VERSION, "fine": FINE, "who": askers(), "datasets": DATASETS, "seeds": grids.SEEDS,
            "methods": {m: {"name": label(m), "colour": COLOURS[m]} for m in methods},
            "asks": VERMILION, "colours": GROUP_COLOURS, "metrics": METRICS, "least": LEAST_SEEDS,
            "t": {n: stats.t.ppf(0.975, n - 1) for n in range(2, 11)}, "alike": [102, 5692],
            "rows": columns, "curves": curves(), "pictures": pictures(), "layer": layer()}


def plain(value: Any) -> Any:
    """Return a value that JSON can hold."""
    return value.item() if isinstance(value, np.generic) else list(value)


def packed(content: dict[str, Any]) -> str:
    """Return `contents`, a line of JSON, and `samples` in the form that the module contains."""
    text = json.dumps(content, default=plain, ensure_ascii=False, separators=(",", ":")) + "\n"
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    return b64encode(deflate.compress(text.encode() + samples()) + deflate.flush()).decode()


def build(folder: Path, shipped: str, offline: bool = False) -> str:
    """Build the module in a folder from the sources, the packed data and npm's lock file, and return it.

    Raises:
        FileNotFoundError: npm is not installed.
        RuntimeError: npm failed. The message has its output.
    """
    if (npm := shutil.which("npm")) is None:
        raise FileNotFoundError("npm is missing: install Node.js 20 or newer, or use explorer.js as it is.")
    shutil.copytree(SOURCES, folder, dirs_exist_ok=True)
    (folder / "src" / "shipped.txt").write_text(shipped)
    for command in (["ci", "--no-audit", "--no-fund", *(["--offline"] if offline else [])], ["run", "build"]):
        done = subprocess.run([npm, *command], cwd=folder, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"npm {command[0]} failed:\n{done.stdout}{done.stderr}")
    return (folder / "explorer.js").read_text()


def page(module: str) -> str:
    """Return explorer.html with the module inside, and a figure and a table for browsers without scripts."""
    if "</script" in module.lower():
        raise ValueError("explorer.js contains </script, which ends a script: write it differently.")
    shown, metadata = on_paper(Choice(method="retrain", reweight=False))  # the module's initial state
    return Template((SOURCES / "page.html").read_text()).substitute(
        module=module, too_old=TOO_OLD, sentence=f"{escape(shown['text/plain'])}, means of five seeds.",
        picture=shown["image/png"].strip(), words=escape(metadata["image/png"]["alt"]),
        table=shown["text/html"])


def main() -> int:
    """Write the page, and the module if requested."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--to", type=Path, default=Path("build/explorer.html"), help="path of the page")
    parser.add_argument("--build", action="store_true", help="first build explorer.js, with npm")
    options = parser.parse_args()
    if options.build:
        write_whole(MODULE, build(options.to.parent / "explorer", packed(contents())))
    write_whole(options.to, page(MODULE.read_text()))
    print(f"Wrote {options.to} ({options.to.stat().st_size / 1000:.0f} kB); it works in a browser offline.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
