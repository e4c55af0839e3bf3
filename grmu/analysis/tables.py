"""Make result tables from the rows of `grmu.run_all`: means with their spread, and distances.

`summary`, `standing` and `signed_gaps` compute tables; `show` formats one for a notebook. The tables are
plain data frames, so pandas prints them, and converts them to LaTeX (`.style.to_latex()`) or Markdown
(`.to_markdown()`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import pandas as pd
from pandas.io.formats.style import Styler

from grmu.analysis.compare import average_gap, differences, distance_by_seed, tug_of_war, verdicts
from grmu.analysis.names import label
from grmu.analysis.results import select
from grmu.data.checks import defaults, require
from grmu.metrics import METRICS
from grmu.models import Network

ORIGINAL, GOLD = ("pretrain", False), ("retrain", True)


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a row per method and REWEIGHT: "mean ± sd" over seeds in percent, avg. gap and ToW.

    The original model is first; the other rows are in the order of `rows`.

    Args:
        rows: Rows of `grmu.run_all` for one data set, ratio and choice of groups, including RETRAIN +
            REWEIGHT.

    Raises:
        ValueError: The rows mix data sets, ratios or groups, have two runs of one method and seed (for
            example with different settings), or lack the gold standard of a seed.
    """
    missing = sorted({"method", "reweight", "seed", "seconds", *METRICS} - set(rows))
    require(not missing, f"rows need the columns that grmu.run_all gives, but lack {', '.join(missing)}.")
    gold = gold_of(rows)
    table = []
    parts = rows.groupby(["method", "reweight"], sort=False)
    for (method, rw), part in sorted(parts, key=lambda found: found[0] != ORIGINAL):
        line = {"method": label(method, rw)}
        for metric in METRICS:
            mean, sd = part[metric].mean() * 100, part[metric].std() * 100
            line[metric] = f"{mean:.1f} ± {sd:.1f}" if len(part) > 1 else f"{mean:.1f}"
        is_gold = (method, rw) == GOLD
        line["avg. gap"] = "gold" if is_gold else f"{100 * average_gap(part, gold):.1f}"
        line["ToW"] = "gold" if is_gold else f"{100 * tug_of_war(part, gold):.1f}"
        line["seconds"] = f"{part.seconds.mean():.1f}"
        table.append(line)
    return pd.DataFrame(table).set_index("method")


def gold_of(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the gold standard, RETRAIN + REWEIGHT, one per seed.

    Raises:
        ValueError: The rows cannot share one table.
    """
    for column in rows.columns.intersection(["dataset", "ratio", "groups"]):
        if rows[column].nunique() > 1:
            raise ValueError(f"one table compares runs of one {column}, "
                             f"but has {sorted(rows[column].unique())}.")
    if (twice := rows[rows.duplicated(["method", "reweight", "seed"])]).size:
        raise ValueError(f"{label(twice.method.iloc[0], twice.reweight.iloc[0])} has several runs of seed "
                         f"{twice.seed.iloc[0]}: choose the rows of one setting.")
    return select(rows, method=GOLD[0], reweight=GOLD[1])


def standing(rows: pd.DataFrame, metrics: Sequence[str] = METRICS) -> pd.DataFrame:
    """Return how near the methods are to the gold standard: one row per method, nearest first.

    Args:
        rows: As in `summary`. PRETRAIN takes part.
        metrics: The distance of a seed is the mean of |method - gold standard| over these metrics.

    Returns:
        distance: the mean over seeds, in points. place: "best" for the first method if no other method ties
            with it, otherwise "tied" for the first and for each method that `compare.verdicts`, with Holm's
            correction over the table, does not find significantly farther away.
    """
    gold = gold_of(rows)
    by_seed = {key: 100 * distance_by_seed(part, gold, metrics)
               for key, part in rows.groupby(["method", "reweight"], sort=False) if key != GOLD}
    first, *others = sorted(by_seed, key=lambda key: by_seed[key].mean())
    behind = {str(key): (by_seed[key] - by_seed[first]).dropna() for key in others}  # over common seeds
    words = verdicts({name: values for name, values in behind.items() if len(values) > 1}).verdict
    places = ["" if words.get(str(key)) == "higher" else "tied" for key in others]
    return pd.DataFrame({"distance": [by_seed[key].mean() for key in (first, *others)],
                         "place": ["tied" if any(places) else "best", *places]},
                        index=pd.Index([label(*key) for key in (first, *others)], name="method"))


def signed_gaps(rows: pd.DataFrame, metric: str = "GA", margin: float | None = None) -> pd.DataFrame:
    """Return method minus gold standard of the same seed in one metric, in points, with verdicts.

    Args:
        rows: As in `summary`.
        metric: The metric.
        margin: The largest difference that does not matter, in points; None if there is none.

    Returns:
        The table of `compare.verdicts`, with one row per method and REWEIGHT in the order of `rows`.
    """
    gold = gold_of(rows)
    gaps = {key: 100 * differences(part, gold, [metric])[metric]
             for key, part in rows.groupby(["method", "reweight"], sort=False) if key != GOLD}
    worded = verdicts(gaps, None if margin is None else dict.fromkeys(gaps, margin))
    return worded.set_axis(pd.MultiIndex.from_tuples(list(gaps), names=["method", "reweight"]))


def count_seeds(n: int) -> str:
    """Return "1 seed" or, for example, "3 seeds"."""
    return f"{n} seed{'s' * (n != 1)}"


def changed(overrides: Mapping[str, object]) -> str:
    """Return how the title of a table describes changed settings.

    Settings of the network hold for all rows, and other settings only for methods. An example is ",
    model=cnn; methods with epochs=1 (references: the preset's)".
    """
    network = defaults(Network)
    shared = "".join(f", {name}={value}" for name, value in overrides.items() if name in network)
    own = ", ".join(f"{name}={value}" for name, value in overrides.items() if name not in network)
    return shared + (f"; methods with {own} (references: the preset's)" if own else "")


def verdict(rows: pd.DataFrame) -> str:
    """Return one paragraph on what the table means, whose numbers are all computed from `rows`.

    Differences in points are computed from the rounded percentages that the paragraph shows, so they agree
    with them. The closest method is chosen among all rows by the avg. gap that the table shows.
    """
    mean = (rows.groupby(["method", "reweight"])[["UA", "GA"]].mean() * 100).round()
    before, plain, gold = (mean.loc[key] for key in (ORIGINAL, ("retrain", False), GOLD))
    whose = "all samples alike" if rows.groups.iloc[0] == "uniform" else "one group"
    lost, back = before.GA - plain.GA, gold.GA - plain.GA
    text = f"Forgetting {100 * rows.ratio.iloc[0]:.3g} % of {whose} "
    change = f"(GA {before.GA:.0f} % to {plain.GA:.0f} %)"
    if lost > 0:
        above = f", and GA ended {_points(back - lost)} above the original model's" if back > lost else ""
        won = f"all of it{above}" if back >= lost else f"{_points(back)} of it" if back > 0 else "none of it"
        group = "that group" if whose == "one group" else "the group"
        text += f"cost {group} {_points(lost)} of test accuracy {change}; REWEIGHT recovered {won}."
    else:
        text += f"cost the group no test accuracy {change}, so there was no loss to recover."
    n_seeds = rows.seed.nunique()
    basis = count_seeds(n_seeds) if n_seeds > 1 else "one seed only: no spread, no conclusion"
    return f"{text} {_closest(rows, mean)} ({basis})"


def _closest(rows: pd.DataFrame, mean: pd.DataFrame) -> str:
    """Return a sentence on which rows are closest to the gold standard by their avg. gap."""
    standard, parts = gold_of(rows), rows.groupby(["method", "reweight"])
    gaps = {key: round(100 * average_gap(part, standard), 1) for key, part in parts if key != GOLD}
    names = {key: label(*key) for key in gaps} | {ORIGINAL: "the original model"}
    first, second, *_ = sorted(gaps, key=lambda key: (-gaps[key], key != ORIGINAL))
    tied = [names[key] for key in gaps if gaps[key] == gaps[first]]
    near, gap = mean.loc[first] - mean.loc[GOLD], f"avg. gap {gaps[first]:.1f}"
    if len(tied) > 1:
        text = f"are {', '.join(tied[:-1])} and {tied[-1]}: {gap} each"
    else:
        text = f"is {names[first]}: {gap} (UA {near.UA:+.0f}, GA {near.GA:+.0f} points)"
    if first != ORIGINAL:
        text += f"; the original model has {gaps[ORIGINAL]:.1f}"
    elif len(tied) == 1:
        text += f"; next is {names[second]} with {gaps[second]:.1f}"
    return f"Closest to the gold standard, {label(*GOLD)}, {text}."


def _points(n: float) -> str:
    return "1 point" if n == 1 else f"{n:.0f} points"


def show(table: pd.DataFrame, caption: str = "") -> Styler:
    """Return the table as a notebook shows it.

    The original model is grey, the gold standard is italic, and a method that is best alone is bold.
    """

    def dress(row: pd.Series) -> list[str]:
        css = "color: #707070" if row.name == label("pretrain") else ""
        css += "font-style: italic" * ("gold" in row.values) + "font-weight: bold" * ("best" in row.values)
        return [css] * len(row)

    # each table needs its own id, because all tables of a page share their styles
    uuid = hashlib.sha256(f"{caption}{table.to_csv()}".encode()).hexdigest()[:8]
    styler = table.rename_axis(None).style.format(precision=1).apply(dress, axis=1)
    return styler.set_caption(caption).set_uuid(uuid).set_table_styles([
        {"selector": "th", "props": "text-align: left"},
        {"selector": "td, th.col_heading", "props": "text-align: right; padding: 0.2em 0.8em"},
        {"selector": "caption", "props": "text-align: left; font-weight: bold"}])
