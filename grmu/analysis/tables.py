"""Result tables from rows of `grmu.run_all`: means with spread, the original model and gold standard named.

`summary`, `standing` and `signed_gaps` compute, `show` dresses for a notebook. The plain frames print well
on a terminal, and are LaTeX or Markdown by pandas' own `.style.to_latex()` and `.to_markdown()`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pandas as pd
from pandas.io.formats.style import Styler

from grmu import methods
from grmu.analysis.compare import average_gap, differences, distance_by_seed, tug_of_war, verdicts
from grmu.analysis.names import label
from grmu.analysis.results import select
from grmu.metrics import METRICS

GOLD = ("retrain", True)


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """A row per method and REWEIGHT, in the order of `rows`: "mean ± sd" over seeds, percent; avg. gap, ToW.

    Args:
        rows: as `grmu.run_all` gives, of one data set, ratio and choice of groups, with RETRAIN + REWEIGHT.

    Raises:
        ValueError: the rows mix data sets, ratios or groups, hold two runs of a method and seed (such as two
            settings of it), or lack the gold standard of a seed.
    """
    gold = gold_of(rows)
    table = []
    for (method, rw), part in rows.groupby(["method", "reweight"], sort=False):
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


def verdict(rows: pd.DataFrame) -> str:
    """One paragraph in plain words on what the table means, every number computed from `rows`.

    Points are differences of the whole percentages that the paragraph shows, so that it agrees with itself.
    """
    mean = (rows.groupby(["method", "reweight"])[["UA", "GA"]].mean() * 100).round()
    before, plain, gold = (mean.loc[key] for key in (("pretrain", False), ("retrain", False), GOLD))
    whose = "all samples alike" if rows.groups.iloc[0] == "uniform" else "one group"
    lost, back = before.GA - plain.GA, gold.GA - plain.GA
    text = f"Forgetting {100 * rows.ratio.iloc[0]:.3g} % of {whose} "
    change = f"(GA {before.GA:.0f} % to {plain.GA:.0f} %)"
    if lost > 0:
        all_of_it = f"all of them and {back - lost:.0f} more" if back > lost else "all of them"
        won = all_of_it if back >= lost else f"{back:.0f} of them" if back > 0 else "none of them"
        group = "that group" if whose == "one group" else "the group"
        text += f"cost {group} {lost:.0f} points of test accuracy {change}; REWEIGHT gave back {won}"
    else:
        text += f"cost the group no test accuracy {change}: there was no loss to win back"
    from_original = {name for name in methods.registry if methods.get(name)().init_from == "pretrain"}
    away = {key: distance_by_seed(part, gold_of(rows), ("UA", "GA")).mean()
            for key, part in rows.groupby(["method", "reweight"]) if key[0] in from_original}
    if away:
        best = mean.loc[nearest := min(away, key=away.__getitem__)]
        text += (f". Without retraining, {label(*nearest)} came closest to the gold standard, "
                 f"{label(*GOLD)}: UA {best.UA - gold.UA:+.0f}, GA {best.GA - gold.GA:+.0f} points")
    idle = 100 * average_gap(select(rows, method="pretrain"), gold_of(rows))
    n_seeds = rows.seed.nunique()
    basis = count_seeds(n_seeds) if n_seeds > 1 else "one seed only: no spread, no conclusion"
    return f"{text}. Doing nothing would have scored an avg. gap of {idle:.1f}. ({basis})"


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
        {"selector": "td", "props": "text-align: right; padding: 0.2em 0.8em"},
        {"selector": "caption", "props": "text-align: left; font-weight: bold"}])
