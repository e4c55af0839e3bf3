"""Writes results into the pages of docs/ that have a half to be computed, and draws their figures.

All from the shipped rows: python docs/results.py
"""

import math
from pathlib import Path
from textwrap import wrap

import matplotlib
import pandas as pd
from scipy.stats import norm

from grmu.analysis import causes, features, grids, paper, results, rivals, shift, studies
from grmu.analysis.compare import Interval, interval, intervals_of
from grmu.analysis.names import SHORT
from grmu.show import plots, plots_prior

DOCS = Path(__file__).parent
CAUSES, PREDICTED, MOVED = DOCS / "causes.png", DOCS / "who_pays.png", DOCS / "moved.png"
BEGIN = "<!-- From here on, written by docs/results.py -->"


def counted(rows: pd.DataFrame) -> str:
    """How often each verdict stands there."""
    return ", ".join(f"{n} {word}" for word, n in rows.verdict.value_counts().items())


def who_pays_text() -> str:
    """What the shifted prior predicts, and how far each method lies from it."""
    rows = studies.load("shift").replace({"dataset": {**SHORT, "groundwear-many": "many"}})
    twins = rows.dropna(subset=["twin"])
    missed = {by: shift.misses(rows, by) for by in ("visible", "calibrated", "head")}
    gaps = missed["head"][[]].reset_index().rename(columns={"asking": "ask", "asks": "first"})
    for by, rows_by in missed.items():
        gaps[by] = [Interval(*row).said() for row in rows_by.itertuples(index=False)]
    n, twice = rows.seed.nunique(), twins.seed.nunique()
    about = (f"{n} seeds, of which {twice} have another RETRAIN of the same split, the ceiling. R² over "
             "groups, ratios and seeds. *Visibility*: how often the head finds the attribute of held-out "
             "pictures.")
    parts = [BEGIN, "", "# Results", "", *wrap(about, 108), ""]
    for what, of in (("R2", "RETRAIN's accuracies"), ("R2 of changes", "their changes since PRETRAIN")):
        parts += [f"Of {of}:", "", explained(twins, what).to_markdown(index=False), ""]
    parts += ["![Predicted and found accuracies of every group, and the line of identity.](who_pays.png)", "",
             f"Predicted minus found on who asks, in points, with 95 % intervals over {n} seeds:", "",
             gaps.to_markdown(index=False), "", *wrap(swings(), 108), "",
             "## The paper's own tables", "", *wrap(PRINTED, 108), "",
             printed().to_markdown(index=False, floatfmt=".1f"), "",
             "## What methods do", "", *wrap(MOVES, 108), ""]
    for (dataset, ratio), part in studies.load("moved").groupby(["dataset", "ratio"], sort=False):
        parts += [f"{SHORT[dataset].capitalize()}, ratio {ratio:g}:", "",
                  moves(part).to_markdown(index=False), ""]
    parts += ["By seed, on the ground of the group that asks:", "",
              paired(studies.load("moved")).to_markdown(index=False), ""]
    return "\n".join(parts) + "![How far each method moved the margins, beside the theory.](moved.png)\n"


PRINTED = ("They print no logits, but if the margins of a group are normally distributed, the normal "
           "quantile of GA falls in proportion to -log(1 - r). The slope is taken from ratio 0.5, and "
           "predicts 0.1 and 0.9 (GA in percent, means of three runs, Tables 1 to 3 and 5 to 13). "
           "At 0.9 all three lose less.")


def printed() -> pd.DataFrame:
    """GA in the paper's tables, predicted from those at ratio 0.5."""
    lines = []
    for dataset in ("celeba", "waterbirds", "fairface"):
        ga = {r: paper.results(dataset, r).GA / 100 for r in grids.PAPER_RATIOS}
        quantile = {(r, m): norm.ppf(ga[r][m, False]) for r in ga for m in ("pretrain", "retrain")}
        slope = (quantile[0.5, "retrain"] - quantile[0.5, "pretrain"]) / math.log(0.5)
        for r in (0.1, 0.9):
            predicted = norm.cdf(quantile[r, "pretrain"] + slope * math.log(1 - r))
            lines.append({"dataset": dataset, "ratio": r, "PRETRAIN": 100 * ga[r]["pretrain", False],
                          "predicted": 100 * predicted, "RETRAIN": 100 * ga[r]["retrain", False]})
    return pd.DataFrame(lines)


def explained(rows: pd.DataFrame, what: str) -> pd.DataFrame:
    """R² by data set and number of groups that ask, a column a prediction."""
    columns = {"visible": "visible", "head": "head", "calibrated": "calibrated", "ceiling": "twin"}
    table = pd.DataFrame({name: shift.explained(rows, by)[what].round(2) for name, by in columns.items()})
    table["visibility"] = rows.groupby(["dataset", "asking"], sort=False).visibility.mean().round(2)
    return table.reset_index().rename(columns={"asking": "groups that ask"})


MOVES = ("Moved: what has to be added to PRETRAIN's calibrated margins of sneaker against boot, in nats, "
         "with 95 % intervals over seeds. Apart: on how many pictures (%) the method and PRETRAIN disagree, "
         "before and after it was added.")


def swings() -> str:
    """Why sentences are left out: RETRAIN's GA from seed to seed, there and on `groundwear`."""
    ranges = []
    for dataset, grid in (("Negation", "text"), ("Groundwear", "references")):
        rows = results.load(grid)
        rows = rows[(rows.method == "retrain") & ~rows.reweight & (rows.groups == "default")]
        for ratio in (0.5, 0.9):
            ga = 100 * rows[rows.ratio == ratio].GA
            ranges.append(f"{dataset}, ratio {ratio:g}: {ga.min():.0f} to {ga.max():.0f} ({len(ga)} seeds)")
    return "RETRAIN's GA from seed to seed, in percent. " + "; ".join(ranges) + "."


PAIRS = (("RETRAIN, adjusted", "RETRAIN + REWEIGHT"), ("MIU", "fine-tuning"),
         ("MIU + REWEIGHT", "fine-tuning + REWEIGHT"))


def paired(rows: pd.DataFrame) -> pd.DataFrame:
    """Differences by seed of how far two methods moved the margin on the ground of the group that asks."""
    asked = rows[rows.attribute == rows.dataset.map({"groundwear": "on brick", "groundwear-memorised":
                                                     "on grass"})]
    lines = []
    for (dataset, ratio), part in asked.groupby(["dataset", "ratio"], sort=False):
        by_seed = part.pivot(index="seed", columns="arm", values="moved")
        for one, other in PAIRS if set(sum(PAIRS, ())) <= set(by_seed) else ():
            i = interval(by_seed[one] - by_seed[other])
            lines.append({"data": SHORT[dataset], "ratio": ratio, "moved": f"{one} - {other}",
                          "nats [95 %]": f"{i.mean:+.2f} [{i.low:+.2f}, {i.high:+.2f}]"})
    return pd.DataFrame(lines)


def moves(part: pd.DataFrame) -> pd.DataFrame:
    """A row an arm and ground."""
    lines = []
    for (arm, ground), own in part.groupby(["arm", "attribute"], sort=False):
        mean = interval(own.moved)
        lines.append({"method": arm, "ground": ground, "theory": f"{own.theory.mean():+.2f}",
                      "moved [95 %]": f"{mean.mean:+.2f} [{mean.low:+.2f}, {mean.high:+.2f}]",
                      "apart": f"{100 * own.apart.mean():.1f} → {100 * own.left.mean():.1f}"})
    return pd.DataFrame(lines)


def causes_cells() -> dict[str, pd.DataFrame]:
    """What the figure of docs/causes.md draws, by panel."""
    rows = studies.load("causes")
    return {how: causes.drawn(rows, how == "augmented") for how in ("augmented", "not augmented")}


def causes_text() -> str:
    """Causes, told apart: the second half of its page."""
    judged, nats = causes.comparisons(), features.comparisons()
    about = (f"{len(judged)} comparisons of accuracies, one Holm correction: {counted(judged)}. The margin "
             f"is {judged.margin.iloc[0]:.1f} points. *Seen from*: the mean that would be found in 80 of 100 "
             "cases, alone.")
    parts = [BEGIN, "", "# Results", "", *wrap(about, 108), "",
             "![Accuracy against the share of the retain set, a line a number left, and what the shifted",
             "prior predicts.](causes.png)"]
    for how, cells in causes_cells().items():
        shown = pd.DataFrame({"left": cells.left, "share (%)": cells.share.map("{:.2f}".format),
                              "GA (%) [95 %]": [f"{row.mean:.1f} [{row.low:.1f}, {row.high:.1f}]"
                                                for row in cells.itertuples()],
                              "predicted": cells.visible.map("{:.1f}".format),
                              "calibrated": cells.calibrated.map("{:.1f}".format)})
        parts += ["", f"{how.capitalize()}, {cells.n.max()} seeds:", "",
                  shown.to_markdown(index=False, tablefmt="github", disable_numparse=True)]
    for question, part in judged.groupby("question", sort=False):
        shown = pd.DataFrame({"what": part.what, "augmented": part.augmented,
                              "points [95 %]": intervals_of(part),
                              "seen from": part.seen.round(1), "verdict": part.verdict})
        parts += ["", f"## {question}", "", f"{part.n.max()} seeds:", "",
                  shown.to_markdown(index=False, tablefmt="github")]
    shown = pd.DataFrame({"what": nats.index, "verdict": nats.verdict, "nats [95 %]": [
        f"{row.mean:+.2f} [{row.low:+.2f}, {row.high:+.2f}]" for row in nats.itertuples()]})
    parts += ["", "## What MINE finds", "", f"{nats.n.max()} seeds, a margin of {features.MARGIN} nats:", "",
              shown.to_markdown(index=False, tablefmt="github")]
    means = studies.load("features").groupby("features", sort=False).nats.mean()
    parts += ["", *wrap("Means, in nats: " + "; ".join(f"{name} {value:.2f}" for name, value in means.items())
                        + ".", 108)]
    return "\n".join(parts) + "\n"


def rivals_text() -> str:
    """Is a last-layer fix after unlearning enough? The second half of its page."""
    judged = rivals.comparisons()
    about = (f"Minus the gold standard of the same seed, in points, {judged.n.max()} seeds; an interval is "
             "of its own row alone. *Both*: each seed's mean over ratios 0.5 and 0.9, which is judged, "
             f"in {len(judged)} comparisons with one Holm correction: {counted(judged)}. *Seen from*: the "
             "mean that would be found in 80 of 100 cases, alone. No margin was stated, so nothing is "
             "called equal.")
    parts = [BEGIN, "", "# Results", ""]
    for (dataset, measure, word), part in judged.groupby(["dataset", "measure", "verdict"], sort=False):
        line = f"- {SHORT[dataset].capitalize()}, {measure} *{word}*: {'; '.join(part.what)}."
        parts += wrap(line, 108, subsequent_indent="  ", break_on_hyphens=False)
    parts += ["", *wrap(about, 108)]
    titles = {"GA": "accuracy of those who stay", "UA": "accuracy on those who left"}
    for (dataset, measure), part in judged.groupby(["dataset", "measure"], sort=False):
        shown = part.filter(regex="^what$").join(part.filter(regex="^ratio").map(lambda s: s.split(" ")[0]))
        shown = shown.assign(both=intervals_of(part), **{"seen from": part.seen.round(1)})
        shown = shown.loc[:, (shown != "").any()].rename(columns={"what": f"{measure} - gold standard"})
        shown.columns = shown.columns.str.replace("ratio ", "r = ")
        parts += ["", f"## {SHORT[dataset].capitalize()}: {titles[measure]}", "",
                  shown.to_markdown(index=False, tablefmt="github", disable_numparse=True)]
    back = rivals.brought_back("groundwear-memorised")
    about = (f"Asked after the rest was known: what UA rises by beyond GA, both ratios, {len(back)} "
             "comparisons with one Holm correction. PRETRAIN, which knows those who left, is the control.")
    shown = pd.DataFrame({"UA - GA, each minus the gold standard": back.index, "verdict": back.verdict,
                          "points [95 %]": intervals_of(back), "seen from": back.seen.round(1)})
    parts += ["", "## By heart: are those who left brought back?", "", *wrap(about, 108), "",
              shown.to_markdown(index=False, tablefmt="github")]
    return "\n".join(parts) + "\n"


def pages() -> dict[Path, str]:
    """The pages as they should be: what was written by hand, then what is computed."""
    texts = {}
    for name, text in (("who_pays", who_pays_text()), ("causes", causes_text()), ("rivals", rivals_text())):
        path = DOCS / f"{name}.md"
        by_hand = path.read_text(encoding="utf-8").split(BEGIN)[0].rstrip()
        texts[path] = f"{by_hand}\n\n{text}"
    return texts


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
    matplotlib.use("agg")
    plots.use_style()
    rows = studies.load("shift")
    heart, many = (rows[rows.dataset == f"groundwear-{name}"] for name in ("memorised", "many"))
    panels = {"learnt": (rows[rows.dataset == "groundwear"], "visible"), "by heart": (heart, "visible"),
              "by heart, calibrated": (heart, "calibrated"), "many groups": (many, "visible"),
              "many groups, head": (many, "head")}
    parts = {name: part.assign(predicted=part[by]) for name, (part, by) in panels.items()}
    picture = plots_prior.predicted(parts, "RETRAIN's accuracy by group, predicted from PRETRAIN alone")
    plots.save(picture, PREDICTED)
    rows = studies.load("moved").replace({"dataset": SHORT})
    picture = plots_prior.moved(rows, 0.9,
                                "Ratio 0.9: how far each method moved the margins; bars: the theory")
    plots.save(picture, MOVED)
    picture = plots.shares(causes_cells(), 500, "The share, or the number? Dashed: the share alone")
    plots.save(picture, CAUSES)
