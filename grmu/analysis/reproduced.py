"""Build tables and figures of the paper from any rows, with our values beside the printed ones.

    item = ITEMS["table1"]
    rows, missing = shipped(item, on="embedded")
    table = cells(item, rows)
    layout(item, table).to_markdown()

`cells` returns one row per cell, and `layout` arranges the cells as the paper does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from grmu import data
from grmu.analysis import grids, paper, results
from grmu.analysis.compare import differences
from grmu.analysis.printed import ITEMS, N_GROUPS, TITLES, Item, Row
from grmu.analysis.released import equalized_odds
from grmu.experiments import Experiment
from grmu.metrics import METRICS

Rows = Mapping[Row, pd.DataFrame]
AXES = {"ratio": "ratio", "groups": "number of forget groups", "lam": "λ"}
OVERHEAD = {"celeba": 1.03, "waterbirds": 1.8, "fairface": 1.03}  # approximate, from Sec. 3.4


def shipped(item: Item, on: str = "embedded", seeds: Iterable[int] = range(5),
            metrics: str = "ours") -> tuple[Rows, dict[Row, int]]:
    """Return an item's rows from the shipped results, and how many runs of each row are missing.

    Args:
        item: A table or a figure.
        on: "embedded", or an embedded data set.
        seeds: The seeds.
        metrics: "paper" replaces MIA and EO by the values of the released code.

    Raises:
        ValueError: The data set is unknown, or it lacks the groups.
    """
    return gather(item.runs(seeds, on), results.find, metrics)


def gather(of_row: Mapping[Row, list[Experiment]], find: Callable[[list[Experiment]], pd.DataFrame],
           metrics: str = "ours") -> tuple[Rows, dict[Row, int]]:
    """Return the available runs of each row, and how many runs each row lacks.

    Args:
        of_row: The experiments of each row.
        find: Returns the available rows of a list of experiments.
        metrics: As in `shipped`.

    Raises:
        ValueError: As in `check`.
    """
    rows, missing = {}, {}
    for row, experiments in of_row.items():
        there = find(experiments)
        if len(there) and metrics == "paper":
            there = as_released(there, experiments[0])
        if len(there):
            rows[row] = check(there)
        if len(there) < len(experiments):
            missing[row] = len(experiments) - len(there)
    return rows, missing


def check(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows, after checking that they can share one table.

    Raises:
        ValueError: The rows mix protocols or definitions of MIA and EO.
    """
    for name in ("protocol", "metrics"):
        if name in rows and rows[name].nunique(dropna=False) > 1:
            values = ", ".join(sorted(map(str, rows[name].unique())))
            raise ValueError(f"one table needs rows of one {name}, got {values}: select the rows of one.")
    return rows


def as_released(rows: pd.DataFrame, example: Experiment) -> pd.DataFrame:
    """Return the rows with MIA and EO as the released code computes them, without rows that lack this MIA.

    Args:
        rows: Rows with a column "MIA_released", as `results.find` and the command `paper` return them.
        example: One of these runs, which gives the test set and the forget groups.
    """
    splits = example.load()
    groups = (splits.forget_group,) if isinstance(example.groups, str) else example.groups
    odds = [equalized_odds(by_group, splits.test, groups) for by_group in rows.by_group]
    return rows.assign(EO=odds, MIA=rows.MIA_released, metrics="paper").dropna(subset="MIA")


def cells(item: Item, rows: Rows) -> pd.DataFrame:
    """Return the cells of an item, in percent (times are ratios).

    Args:
        item: A table or a figure.
        rows: The available runs of each row.

    Returns:
        One row per cell. dataset: the paper's data set. method, reweight, name, ratio, forget: as in the
            `Row`. x, panel, style, metric: where a figure shows the cell. ours, sd, n: mean, standard
            deviation and number of seeds. delta: mean distance from the gold standard of the same seed.
            paper, paper_sd, paper_delta: as printed, NaN if the paper does not print them.
    """
    make = {"results": _against_gold, "ablation": _against_gold, "gap": _against_gold, "ratio": _by_group,
            "fairness": _against_original, "robust": _against_original, "overhead": _overhead}[item.kind]
    made = [cell for row, part in rows.items() if row.printed for cell in make(item, row, part, rows)]
    columns = ["dataset", "method", "reweight", "name", "ratio", "forget", "x", "panel", "style", "metric",
               "ours", "sd", "n", "delta", "paper", "paper_sd", "paper_delta"]
    return pd.DataFrame(made, columns=columns)


def _cell(row: Row, part: pd.DataFrame, metric: str, values: pd.Series, **more: object) -> dict[str, object]:
    on = part.dataset.iloc[0]
    role = "" if on == row.dataset else f" (for {TITLES[row.dataset]})"
    same = {name: getattr(row, name) for name in ("dataset", "method", "reweight", "name", "ratio", "forget")}
    return {**same, "panel": TITLES[on] + role, "style": "", "metric": metric, "ours": values.mean(),
            "sd": values.std(), "n": values.count(), **more}


def _against_gold(item: Item, row: Row, part: pd.DataFrame, rows: Rows) -> list[dict[str, object]]:
    gold = rows.get(row.gold, part[:0])
    away = differences(part[part.seed.isin(gold.seed)], gold).abs()
    x = {"ratio": row.ratio, "groups": row.n_groups, "lam": dict(row.overrides).get("lam")}
    made = []
    for metric in item.columns:
        values = 100 - 100 * away.mean(axis=1) if metric == "avg_gap" else 100 * part[metric]
        delta = 100 * away.mean().get(metric, np.nan)
        printed = paper.published(row, metric, item)
        if metric != "avg_gap" or row != row.gold:
            made.append(_cell(row, part, metric, values, delta=delta, x=x.get(item.x), **printed))
    return made


def _against_original(item: Item, row: Row, part: pd.DataFrame, rows: Rows) -> list[dict[str, object]]:
    original = rows.get(row.original)
    made = []
    for metric in item.columns:
        values = 100 * part.set_index("seed")[metric]
        printed = paper.published(row, metric, item)
        change = np.nan
        if original is not None and row.method != "pretrain":
            change = (values - 100 * original.set_index("seed")[metric]).dropna()
            if item.kind == "robust":  # the figure shows the agreement with the original model
                before = paper.published(row.original, metric, item)["paper"]
                printed = {"paper": 100 - abs(printed["paper"] - before)}
                values = 100 - change.abs()
            change = change.mean()
        elif item.kind == "robust":
            continue
        made.append(_cell(row, part, metric, values, delta=change, x=metric, **printed))
    return made


def _by_group(item: Item, row: Row, part: pd.DataFrame, rows: Rows) -> list[dict[str, object]]:
    dataset = part.dataset.iloc[0]
    groups = row.groups(dataset)
    printed = paper.published(replace(row, forget="default"), "GA", item) if groups == "default" else {}
    groups = (grids.FORGET_GROUPS[dataset],) if isinstance(groups, str) else groups
    x = 0.0 if row.method == "pretrain" else row.ratio
    names, n_attributes = _groups(dataset)
    ids = [y * n_attributes + a for y, a in groups]
    together = " and ".join(names[index] for index in ids)
    return [_cell(row, part, "accuracy", 100 * part.by_group.str[index], x=x, style=together,
                  panel=f"{TITLES[dataset]}: {names[index]}", **printed) for index in ids]


@lru_cache
def _groups(dataset: str) -> tuple[list[str], int]:
    """Return the names of a data set's groups, and the number of attribute values."""
    if dataset in data.EMBEDDED:
        train = data.load(dataset).train
        return train.group_names, train.n_attributes
    from grmu.data.originals.registry import ORIGINALS

    y, a = ORIGINALS[dataset].class_names, ORIGINALS[dataset].attribute_names
    return [", ".join(pair) for pair in product(y, a)], len(a)


def _overhead(item: Item, row: Row, part: pd.DataFrame, rows: Rows) -> list[dict[str, object]]:
    miu = rows.get(Row(row.dataset, "miu", True))
    if miu is None or row.method == "miu":
        return []
    ratio = (miu.set_index("seed").seconds / part.set_index("seed").seconds).dropna()
    return [_cell(row, part, "seconds", ratio, paper=OVERHEAD.get(row.dataset, np.nan))]


def layout(item: Item, table: pd.DataFrame) -> pd.DataFrame:
    """Return cells in the paper's layout, as text "ours ± sd (Δ) | paper".

    The best cell of each column is bold. A final row repeats the original model with its Δ and avg. gap,
    which the paper leaves out.
    """
    if table.empty:
        return pd.DataFrame()
    keys = {"ratio": ["panel", "style", "name", "x"], "gap": ["panel", "name", "x"]}
    bold = nearest(item, table)
    texts = [_text(item, cell, cell.Index in bold) for cell in table.itertuples()]
    shown = table.assign(text=texts)
    if item.kind == "results":
        shown = _with_competitor(item, table, shown)
    wide = shown.pivot_table("text", keys.get(item.kind, ["panel", "name"]), "metric", "first", sort=False)
    wide = wide[[column for column in item.columns if column in wide]].fillna("").reset_index()
    wide = wide.drop(columns="panel") if wide.panel.nunique() == 1 else wide
    names = {"panel": "data", "name": "method", "style": "forget set", "x": AXES.get(item.x, ""),
             "avg_gap": "avg. gap",
             "seconds": "time of MIU / of this method", "accuracy": "accuracy of the group"}
    return wide.rename(columns=names).rename_axis(None, axis=1)


def _with_competitor(item: Item, table: pd.DataFrame, shown: pd.DataFrame) -> pd.DataFrame:
    """Return the cells with PRETRAIN as the paper shows it, and again as a competitor in a final row."""
    before = shown[shown.method == "pretrain"]
    plain = [_text(item, cell._replace(delta=np.nan), False) for cell in before.itertuples()]
    plain = ["" if metric == "avg_gap" else text for metric, text in zip(before.metric, plain, strict=True)]
    printed = paper.results(table.dataset.iloc[0], table.ratio.iloc[0], N_GROUPS[table.forget.iloc[0]])
    distance = (printed.loc[("pretrain", False)] - printed.loc[("retrain", True)])[list(METRICS)].abs().mean()
    again = before.assign(name="original model as a competitor")
    gap = again.metric == "avg_gap"
    again.loc[gap, "text"] = again.text[gap].str.replace("| -", f"| ≈ {100 - distance:.1f}")
    shown.loc[before.index, "text"] = plain
    return pd.concat([shown, before.assign(name="---", text=""), again])


def nearest(item: Item, table: pd.DataFrame) -> set[int]:
    """Return the cells nearest to the gold standard in their column, not counting the gold standard's own."""
    if item.kind not in ("results", "ablation"):
        return set()
    best = set()
    rivals = table[~((table.method == "retrain") | (table.method == "group_dro"))]
    for (_, metric), column in rivals.groupby(["dataset", "metric"]):
        distance = (100 - column.ours if metric == "avg_gap" else column.delta).round(1).dropna()
        best |= set(distance.index[distance == distance.min()])
    return best


def _text(item: Item, cell: Any, bold: bool) -> str:
    digits = 2 if item.kind == "overhead" else 1
    value = f"{cell.ours:.{digits}f}" + (f" ± {cell.sd:.{digits}f}" if cell.n > 1 else "")
    value = f"**{value}**" if bold else value
    sign = "+" if item.kind == "fairness" else ""
    delta = f" ({cell.delta:{sign}.1f})" if cell.delta == cell.delta else ""
    theirs = f"{cell.paper:.{digits}f}" if cell.paper == cell.paper else "-"
    return f"{value}{delta} | {theirs}"


def beside_paper(rows: pd.DataFrame) -> pd.DataFrame:
    """Return runs in the layout of the paper's table for the same data set, ratio and groups.

    Args:
        rows: Runs of one split, as `grmu.run_all` returns them.

    Returns:
        The table, empty if the paper has none for this split.
    """
    dataset, ratio, groups = rows[["dataset", "ratio", "groups"]].iloc[0]
    runs = dict(list(rows.groupby(["method", "reweight"])))
    for item in ITEMS.values():
        first = item.rows[0]
        place = first.dataset, first.ratio, str(first.groups(first.dataset))
        if item.kind == "results" and place == (dataset, round(ratio, 5), groups):
            of_row = {row: runs.get((row.method, row.reweight)) for row in item.rows}
            return layout(item, cells(item, {row: part for row, part in of_row.items() if part is not None}))
    return pd.DataFrame()


def names_of(missing: Mapping[Row, int]) -> list[str]:
    """Return a description of each missing cell."""
    return [f"{TITLES[row.dataset]}, {row.name}, ratio {row.ratio:g}" +
            "".join(f", {name} {value:g}" for name, value in row.overrides if value is not False) +
            f": {n} run{'s' * (n > 1)}" for row, n in missing.items()]
