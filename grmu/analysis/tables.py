"""Result tables from rows of `grmu.run_all`: means with spread, the original model and gold standard named.

`summary`, `standing` and `signed_gaps` compute, `show` dresses for a notebook. The plain frames print well
on a terminal, and are LaTeX or Markdown by pandas' own `.style.to_latex()` and `.to_markdown()`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import pandas as pd
from pandas.io.formats.style import Styler

from grmu.analysis.compare import average_gap, differences, distance_by_seed, tug_of_war, verdicts
from grmu.analysis.names import label
from grmu.analysis.results import select
from grmu.data.checks import defaults
from grmu.metrics import METRICS
from grmu.models import Network

ORIGINAL, GOLD = ("pretrain", False), ("retrain", True)


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """A row per method and REWEIGHT: "mean ± sd" over seeds, percent; avg. gap, ToW.

    The original model is first; the others are in the order of `rows`.

    Args:
        rows: as `grmu.run_all` gives, of one data set, ratio and choice of groups, with RETRAIN + REWEIGHT.

    Raises:
        ValueError: the rows mix data sets, ratios or groups, hold two runs of a method and seed (such as two
            settings of it), or lack the gold standard of a seed.
    """
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
    """The rows of the gold standard, RETRAIN + REWEIGHT, one a seed.

    Raises:
        ValueError: these rows do not belong into one table.
    """
    for column in ("dataset", "ratio", "groups"):
        if rows[column].nunique() > 1:
            raise ValueError(f"one table compares runs of one {column}, "
                             f"but has {sorted(rows[column].unique())}.")
    if (twice := rows[rows.duplicated(["method", "reweight", "seed"])]).size:
        raise ValueError(f"{label(twice.method.iloc[0], twice.reweight.iloc[0])} has several runs of seed "
                         f"{twice.seed.iloc[0]}: choose the rows of one setting.")
    return select(rows, method=GOLD[0], reweight=GOLD[1])


def standing(rows: pd.DataFrame, metrics: Sequence[str] = METRICS) -> pd.DataFrame:
    """Return who is nearest to the gold standard: a row a method, nearest first.

    Args:
        rows: As of `summary`. PRETRAIN competes.
        metrics: Those whose mean |difference| from the gold standard of the same seed is a seed's distance.

    Returns:
        distance: the mean over seeds, in points.  place: "tied" for those that `compare.verdicts`, with Holm
        over the table, does not call farther than the first, and for that first; "best" for a first that no
        other is tied with.
    """
    gold = gold_of(rows)
    by_seed = {key: 100 * distance_by_seed(part, gold, metrics)
               for key, part in rows.groupby(["method", "reweight"], sort=False) if key != GOLD}
    first, *others = sorted(by_seed, key=lambda key: by_seed[key].mean())
    behind = {str(key): (by_seed[key] - by_seed[first]).dropna() for key in others}  # over seeds both have
    words = verdicts({name: values for name, values in behind.items() if len(values) > 1}).verdict
    places = ["" if words.get(str(key)) == "higher" else "tied" for key in others]
    return pd.DataFrame({"distance": [by_seed[key].mean() for key in (first, *others)],
                         "place": ["tied" if any(places) else "best", *places]},
                        index=pd.Index([label(*key) for key in (first, *others)], name="method"))


def signed_gaps(rows: pd.DataFrame, metric: str = "GA", margin: float | None = None) -> pd.DataFrame:
    """Method minus gold standard of the same seed in one metric, in points, worded by `compare.verdicts`.

    A row per method and REWEIGHT, in the order of `rows`; `margin`, in points: what is surely less is equal.
    """
    gold = gold_of(rows)
    gaps = {key: 100 * differences(part, gold, [metric])[metric]
             for key, part in rows.groupby(["method", "reweight"], sort=False) if key != GOLD}
    worded = verdicts(gaps, None if margin is None else dict.fromkeys(gaps, margin))
    return worded.set_axis(pd.MultiIndex.from_tuples(list(gaps), names=["method", "reweight"]))


def count_seeds(n: int) -> str:
    """"1 seed", "3 seeds"."""
    return f"{n} seed{'s' * (n != 1)}"


def changed(overrides: Mapping[str, object]) -> str:
    """Return what a title says of changed settings: a network's hold for all rows, others for methods only.

    Such as ", model=cnn; methods with epochs=1 (references: the preset's)".
    """
    network = defaults(Network)
    shared = "".join(f", {name}={value}" for name, value in overrides.items() if name in network)
    own = ", ".join(f"{name}={value}" for name, value in overrides.items() if name not in network)
    return shared + (f"; methods with {own} (references: the preset's)" if own else "")


def verdict(rows: pd.DataFrame) -> str:
    """Return one paragraph in plain words on what the table means, every number computed from `rows`.

    Points are differences of the whole percentages that the paragraph shows, so that it agrees with itself.
    The closest is chosen among all rows, by the avg. gap that the table shows.
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
    """Say which rows have the highest avg. gap as shown, and that of the original model, or of the next."""
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
    """Return the table for a notebook: the original model in grey, the gold standard in italics, a sole best
    in bold."""

    def dress(row: pd.Series) -> list[str]:
        css = "color: #707070" if row.name == label("pretrain") else ""
        css += "font-style: italic" * ("gold" in row.values) + "font-weight: bold" * ("best" in row.values)
        return [css] * len(row)

    # a name of its own, for the tables of a page share their styles
    uuid = hashlib.sha256(f"{caption}{table.to_csv()}".encode()).hexdigest()[:8]
    styler = table.rename_axis(None).style.format(precision=1).apply(dress, axis=1)
    return styler.set_caption(caption).set_uuid(uuid).set_table_styles([
        {"selector": "th", "props": "text-align: left"},
        {"selector": "td, th.col_heading", "props": "text-align: right; padding: 0.2em 0.8em"},
        {"selector": "caption", "props": "text-align: left; font-weight: bold"}])
