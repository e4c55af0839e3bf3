"""What the explorer in a browser knows: shipped runs, the theory, curves and pictures, packed as text.

One JSON, deflated, as base64: `grmu/show/js/src/data.js` reads it. Nothing is averaged here: the browser does
that, as `grmu.show.explorer` does, and a test compares the two.
"""

from __future__ import annotations

import json
import zlib
from base64 import b64encode
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy import stats

from grmu import data
from grmu.analysis import grids, results
from grmu.analysis.compare import LEAST_SEEDS
from grmu.analysis.names import label
from grmu.metrics import METRICS
from grmu.show import explorer
from grmu.show.plots import COLOURS, GROUP_COLOURS, VERMILION

VERSION = 2  # of the link that holds a setting: a change of names or meanings makes it another
WHO = dict(zip(("smallest", "largest", "alike", "nine", "twenty-five", "one", "memorised", "sentences"),
               explorer.FORGET_GROUPS, strict=True))  # what a link calls them
DATASETS = {"groundwear": "groundwear, 4 groups", "groundwear-memorised": "groundwear, memorised",
            grids.MANY: "groundwear, 63 groups", "negation": "negation, pairs of sentences"}
FINE = 100_000  # as fine as the table has fractions
SETTINGS = ("who", "method", "reweight", "lam", "ratio", "seed")
PICTURED, SHADES = 24, 16  # test pictures of a group, the first; shades of grey


def fine(value: float) -> int | None:
    """A fraction as an integer; None for NaN."""
    return None if pd.isna(value) else round(float(value) * FINE)


def runs() -> Iterator[dict[str, Any]]:
    """A row a run: `SETTINGS`, metrics, accuracies of the panel's rows."""
    for who, groups in WHO.items():
        for row in explorer.rows_of(groups).to_dict("records"):
            yield ({name: row[name] for name in ("method", "lam", "ratio", "seed")}
                   | {"who": who, "reweight": int(row["reweight"]),
                      "groups": [fine(v) for v in explorer.by_row(groups, row["by_group"])]}
                   | {metric: fine(row[metric]) for metric in METRICS})


def theory() -> Iterator[dict[str, Any]]:
    """What a shifted prior predicts of RETRAIN (data/results/shift.py): groups' accuracies alone."""
    table = results.load("shift")
    for who, groups in WHO.items():
        dataset, which = explorer.FORGET_GROUPS[groups]
        if which == "uniform":
            continue
        train = data.load(dataset).train
        pairs = which if not isinstance(which, str) else (data.load(dataset).forget_group,)
        of = table[(table.dataset == dataset) & (table.asking == len(pairs))
                   & (table.asks == train.group_id(pairs[0]))]
        for (ratio, seed), part in of.groupby(["ratio", "seed"]):
            by_group = part.sort_values("group").visible
            yield {"who": who, "method": "theory", "reweight": 0, "lam": np.nan, "ratio": ratio,
                   "seed": seed,
                   "groups": [fine(v) for v in explorer.by_row(groups, by_group.to_numpy())]}


def rows() -> pd.DataFrame:
    """`runs` and `theory`, in an order that packs well."""
    table = pd.DataFrame([*runs(), *theory()])
    order = list(dict.fromkeys(table.method))
    return table.sort_values(["who", "method", "reweight", "lam", "ratio", "seed"], kind="stable",
                             key=lambda c: c.map(order.index) if c.name == "method" else
                             c.map(list(WHO).index) if c.name == "who" else c, ignore_index=True)


def who() -> list[dict[str, Any]]:
    """Who can ask: data set, name, the panel's rows, and what an `Experiment` takes for it."""
    askers = []
    for key, name in WHO.items():
        dataset, which = explorer.FORGET_GROUPS[name]
        names, _, asked = zip(*explorer.group_rows(name), strict=True)
        whom, goes = explorer.measured_on(name)
        askers.append({"key": key, "name": name, "dataset": dataset, "groups": repr(which), "panel": names,
                       "asked": asked, "things": "sentences" if dataset == "negation" else "pictures",
                       "whom": whom, "goes": goes})
    return askers


def curves() -> list[dict[str, Any]]:
    """Epoch by epoch, of the smallest group: means of UA and GA over five seeds."""
    table = results.load("trajectories").sort_values("epoch")
    return [{"method": method, "reweight": int(reweight), "ratio": ratio}
            | {metric: [fine(round(v, 3)) for v in part[metric]] for metric in ("UA", "GA")}
            for (method, reweight, ratio), part in table.groupby(["method", "reweight", "ratio"])]


def pictures() -> dict[str, Any]:
    """The first test pictures of every group as hex digits, a shade a pixel; what was right."""
    test = data.load("groundwear").test
    x = torch.as_tensor(test.x[:])
    shown = [(test.group == g).nonzero()[:PICTURED, 0] for g in range(test.n_groups)]
    shades = [(x[index, 0].numpy() // (256 // SHADES)).ravel() for index in shown]
    table = results.load("pictures")
    right = {"/".join(map(str, (method, int(reweight), ratio, seed))): list(part.sort_values("group").right)
             for (method, reweight, ratio, seed), part in table.groupby(
                 ["method", "reweight", "ratio", "seed"])}
    return {"size": x.shape[-1], "shades": ["".join(f"{v:x}" for v in group) for group in shades],
            "right": right}


def contents() -> dict[str, Any]:
    """All of it."""
    table = rows()
    columns = {name: [None if pd.isna(v) else v for v in table[name]] for name in (*SETTINGS, *METRICS)}
    columns["groups"] = list(zip_longest(*table.groups))
    methods = [m for m in dict.fromkeys(table.method) if m != "theory"]
    return {"version": VERSION, "fine": FINE, "who": who(), "datasets": DATASETS, "seeds": grids.SEEDS,
            "methods": {m: {"name": label(m), "colour": COLOURS[m]} for m in methods},
            "asks": VERMILION, "colours": GROUP_COLOURS, "metrics": METRICS, "least": LEAST_SEEDS,
            "t": {n: stats.t.ppf(0.975, n - 1) for n in range(2, 11)}, "alike": [102, 5692],
            "rows": columns, "curves": curves(), "pictures": pictures()}


def plain(value: Any) -> Any:
    """What JSON has no word for."""
    return value.item() if isinstance(value, np.generic) else list(value)


def packed(content: dict[str, Any]) -> str:
    """`contents` as the module holds it."""
    text = json.dumps(content, default=plain, ensure_ascii=False, separators=(",", ":"))
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    return b64encode(deflate.compress(text.encode()) + deflate.flush()).decode()
