"""Writes results into the pages of docs/ that have a half to be computed, and draws their figures.

All from the shipped rows: python docs/results.py
"""

import math
from pathlib import Path
from textwrap import wrap

import matplotlib
import pandas as pd
from scipy.stats import norm

from grmu.show import plots, plots_benchmark, plots_prior
from grmu.study import (
    causes,
    effects,
    features,
    grids,
    miu_map,
    names,
    paper,
    results,
    rivals,
    shift,
    shipped_tables,
    studies,
    tuning,
)
from grmu.study.compare import Interval, interval

DOCS = Path(__file__).parent
PICTURE, MAP, CAUSES = DOCS / "miu_factorial.png", DOCS / "miu_map.png", DOCS / "causes.png"
PREDICTED, MOVED = DOCS / "who_pays.png", DOCS / "moved.png"
BEGIN = "<!-- From here on, written by docs/results.py -->"
TITLES = {"gap": "How far from the gold standard", "1": "1. Nearer than fine-tuning, than doing nothing?",
          "2": "2. Does the unlearning term unlearn?", "3": "3. Does calibration keep the group's accuracy?",
          "4": "4. Are the forms one method?", "5": "5. Single departures, minus paper",
          "factorial": "Main effects of the factorial", "control": "Control: two gold standards of a split"}


def counted(found: pd.DataFrame) -> str:
    """How often each verdict stands there."""
    return ", ".join(f"{n} {word}" for word, n in found.verdict.value_counts().items())


def settings() -> pd.DataFrame:
    """What the search chose."""
    lines = [{"data": effects.SHORT[dataset], "arm": effects.NAMES[arm], **tuning.tuned(dataset, arm)}
             for dataset in tuning.DATASETS for arm in tuning.ARMS]
    return pd.DataFrame(lines).drop(columns="form").astype(object).fillna("")


def results_text() -> str:
    """The page's second half."""
    found, rule = effects.comparisons(), effects.default_form()
    said = (f"{len(found)} comparisons, one Holm correction: {counted(found)}. *Seen from*: the mean that "
            "would be found in 80 of 100 cases, alone. Learnt: `groundwear`, by heart: "
            "`groundwear-memorised`.")
    parts = [BEGIN, "", "# Results", "", "Settings that the search chose:", "",
             settings().to_markdown(index=False), "",
             *wrap(said, 108), "",
             "![Main effects of MIU's choices on UA and GA, and the interactions whose plain intervals",
             "lie outside 0.](miu_factorial.png)"]
    for question, title in TITLES.items():
        parts += ["", f"## {title}"]
        for (data, ratio), part in effects.shown(found[found.question == question]).groupby(
                ["data", "ratio"], sort=False):
            parts += ["", f"{data.capitalize()}, ratio {ratio:g}:", "",
                      part.drop(columns=["data", "ratio"]).to_markdown(index=False, tablefmt="github")]
    lines = [f"- {name}: {said}, {word}" for name, said, word in zip(
        rule.index, effects.intervals_of(rule), rule.verdict, strict=True)]
    parts += ["", "## The rule for the default form", "", "Distance on validation pictures, points:", "",
              *lines]
    return "\n".join(parts) + "\n"


def map_text() -> str:
    """Where MIU helps: the second half of its page."""
    found = miu_map.comparisons()
    said = (f"{found.n.max()} seeds, {len(found)} comparisons, one Holm correction: {counted(found)}. In "
            "points of distance to the gold standard: below 0 is nearer to it. The margin is "
            f"{found.margin.iloc[0]:.1f}. *By heart*: PRETRAIN's accuracy on who asks less that on new "
            "pictures of the group. *Seen from*: the mean that would be found in 80 of 100 cases, alone.")
    rows = shipped_tables.read("map")
    lost = rows[rows.UA.isna()]
    said += f" Diverged: {len(lost)} of {len(rows)} runs"
    said += "".join(f"; {arm}, {level}: {n}" for (level, arm), n in lost.value_counts(
        ["level", "arm"]).items()) + "."
    parts = [BEGIN, "", "# Results", "", *wrap(said, 108), "",
             "![Of each cell the mean difference, its interval and the verdict.](miu_map.png)"]
    away = miu_map.distances(rows)
    idle = (away["pretrain"] - away["finetune"]).groupby(["level", "seed"]).mean()
    said = [f"{level} {interval(idle[level]).said()}" for level in tuning.LEVELS]
    parts += ["", *wrap("Control, that a difference would be found: doing nothing minus fine-tuning, a mean "
                        f"over the nine cells of each seed, {'; '.join(said)}.", 108)]
    for question, part in found.groupby("question", sort=False):
        shown = pd.DataFrame({"level": part.level, "by heart": part.by_heart.round(1), "group": part.group,
                              "ratio": part.ratio, "mean [95 %]": effects.intervals_of(part),
                              "seen from": part.seen.round(1), "verdict": part.verdict})
        parts += ["", f"## {question}", "", shown.to_markdown(index=False, tablefmt="github")]
    return "\n".join(parts) + "\n"


def released_text() -> str:
    """What the other methods' variants change."""
    lines = []
    for (method, variant), part in studies.load("released").groupby(["method", "variant"], sort=False):
        line = {"method": names.label(method, True), "theirs": variant}
        for metric in ("UA", "GA"):
            gained = interval(100 * (part[f"{metric}, variant"] - part[metric]))
            line[f"{metric}, theirs - ours"] = gained.said()
        lines.append(line)
    return f"{BEGIN}\n\n{pd.DataFrame(lines).to_markdown(index=False)}\n"


def who_pays_text() -> str:
    """What the shifted prior predicts, and how far each method lies from it."""
    rows = studies.load("shift").replace({"dataset": {**effects.SHORT, "groundwear-many": "many"}})
    twins = rows.dropna(subset=["twin"])
    missed = {by: shift.misses(rows, by) for by in ("visible", "calibrated", "head")}
    gaps = missed["head"][[]].reset_index().rename(columns={"asking": "ask", "asks": "first"})
    for by, found in missed.items():
        gaps[by] = [Interval(*row).said() for row in found.itertuples(index=False)]
    n, twice = rows.seed.nunique(), twins.seed.nunique()
    said = (f"{n} seeds, of which {twice} have another RETRAIN of the same split, the ceiling. R² over "
            "groups, ratios and seeds. *Visibility*: how often the head finds the attribute of held-out "
            "pictures.")
    parts = [BEGIN, "", "# Results", "", *wrap(said, 108), ""]
    for what, of in (("R2", "RETRAIN's accuracies"), ("R2 of changes", "their changes since PRETRAIN")):
        parts += [f"Of {of}:", "", explained(twins, what).to_markdown(index=False), ""]
    parts += ["![Predicted and found accuracies of every group, and the line of identity.](who_pays.png)", "",
             f"Predicted minus found on who asks, in points, with 95 % intervals over {n} seeds:", "",
             gaps.to_markdown(index=False), "", *wrap(swings(), 108), "",
             "## The paper's own tables", "", *wrap(PRINTED, 108), "",
             printed().to_markdown(index=False, floatfmt=".1f"), "",
             "## What methods do", "", *wrap(MOVES, 108), ""]
    for (dataset, ratio), part in studies.load("moved").groupby(["dataset", "ratio"], sort=False):
        parts += [f"{effects.SHORT[dataset].capitalize()}, ratio {ratio:g}:", "",
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
            said = norm.cdf(quantile[r, "pretrain"] + slope * math.log(1 - r))
            lines.append({"dataset": dataset, "ratio": r, "PRETRAIN": 100 * ga[r]["pretrain", False],
                          "predicted": 100 * said, "RETRAIN": 100 * ga[r]["retrain", False]})
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
    said = []
    for dataset, grid in (("Negation", "text"), ("Groundwear", "references")):
        rows = results.load(grid)
        rows = rows[(rows.method == "retrain") & ~rows.reweight & (rows.groups == "default")]
        for ratio in (0.5, 0.9):
            ga = 100 * rows[rows.ratio == ratio].GA
            said.append(f"{dataset}, ratio {ratio:g}: {ga.min():.0f} to {ga.max():.0f} ({len(ga)} seeds)")
    return "RETRAIN's GA from seed to seed, in percent. " + "; ".join(said) + "."


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
            lines.append({"data": effects.SHORT[dataset], "ratio": ratio, "moved": f"{one} - {other}",
                          "nats [95 %]": f"{i.mean:+.2f} [{i.low:+.2f}, {i.high:+.2f}]"})
    return pd.DataFrame(lines)


def moves(part: pd.DataFrame) -> pd.DataFrame:
    """A row an arm and ground."""
    lines = []
    for (arm, ground), own in part.groupby(["arm", "attribute"], sort=False):
        found = interval(own.moved)
        lines.append({"method": arm, "ground": ground, "theory": f"{own.theory.mean():+.2f}",
                      "moved [95 %]": f"{found.mean:+.2f} [{found.low:+.2f}, {found.high:+.2f}]",
                      "apart": f"{100 * own.apart.mean():.1f} → {100 * own.left.mean():.1f}"})
    return pd.DataFrame(lines)


def causes_cells() -> dict[str, pd.DataFrame]:
    """What the figure of docs/causes.md draws, by panel."""
    rows = studies.load("causes")
    return {how: causes.drawn(rows, how == "augmented") for how in ("augmented", "not augmented")}


def causes_text() -> str:
    """Causes, told apart: the second half of its page."""
    found, nats = causes.comparisons(), features.comparisons()
    said = (f"{len(found)} comparisons of accuracies, one Holm correction: {counted(found)}. The margin is "
            f"{found.margin.iloc[0]:.1f} points. *Seen from*: the mean that would be found in 80 of 100 "
            "cases, alone.")
    parts = [BEGIN, "", "# Results", "", *wrap(said, 108), "",
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
    for question, part in found.groupby("question", sort=False):
        shown = pd.DataFrame({"what": part.what, "augmented": part.augmented,
                              "points [95 %]": effects.intervals_of(part),
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
    found = rivals.comparisons()
    said = (f"Minus the gold standard of the same seed, in points, {found.n.max()} seeds; an interval is of "
            "its own row alone. *Both*: each seed's mean over ratios 0.5 and 0.9, which is what is judged, "
            f"in {len(found)} comparisons with one Holm correction: {counted(found)}. *Seen from*: the "
            "mean that would be found in 80 of 100 cases, alone. No margin was stated, so nothing is "
            "called equal.")
    parts = [BEGIN, "", "# Results", ""]
    for (dataset, measure, word), part in found.groupby(["dataset", "measure", "verdict"], sort=False):
        line = f"- {effects.SHORT[dataset].capitalize()}, {measure} *{word}*: {'; '.join(part.what)}."
        parts += wrap(line, 108, subsequent_indent="  ", break_on_hyphens=False)
    parts += ["", *wrap(said, 108)]
    titles = {"GA": "accuracy of those who stay", "UA": "accuracy on those who left"}
    for (dataset, measure), part in found.groupby(["dataset", "measure"], sort=False):
        shown = part.filter(regex="^what$").join(part.filter(regex="^ratio").map(lambda s: s.split(" ")[0]))
        shown = shown.assign(both=effects.intervals_of(part), **{"seen from": part.seen.round(1)})
        shown = shown.loc[:, (shown != "").any()].rename(columns={"what": f"{measure} - gold standard"})
        shown.columns = shown.columns.str.replace("ratio ", "r = ")
        parts += ["", f"## {effects.SHORT[dataset].capitalize()}: {titles[measure]}", "",
                  shown.to_markdown(index=False, tablefmt="github", disable_numparse=True)]
    back = rivals.brought_back("groundwear-memorised")
    said = (f"Asked after the rest was known: what UA rises by beyond GA, both ratios, {len(back)} "
            "comparisons with one Holm correction. PRETRAIN, which knows those who left, is the control.")
    shown = pd.DataFrame({"UA - GA, each minus the gold standard": back.index, "verdict": back.verdict,
                          "points [95 %]": effects.intervals_of(back), "seen from": back.seen.round(1)})
    parts += ["", "## By heart: are those who left brought back?", "", *wrap(said, 108), "",
              shown.to_markdown(index=False, tablefmt="github")]
    return "\n".join(parts) + "\n"


def pages() -> dict[Path, str]:
    """The pages as they should be: what was written by hand, then what is computed."""
    found = {}
    for name, text in (("miu_factorial", results_text()), ("miu_map", map_text()),
                       ("released", released_text()), ("who_pays", who_pays_text()),
                       ("causes", causes_text()), ("rivals", rivals_text())):
        path = DOCS / f"{name}.md"
        by_hand = path.read_text(encoding="utf-8").split(BEGIN)[0].rstrip()
        found[path] = f"{by_hand}\n\n{text}"
    return found


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
    matplotlib.use("agg")
    plots.use_style()
    picture = plots_benchmark.choices({(effects.SHORT[dataset], measure): effects.drawn(dataset, measure)
                                       for dataset in tuning.DATASETS for measure in ("UA", "GA")},
                                      {effects.SHORT[d]: effects.margins(d) for d in tuning.DATASETS},
                                      "MIU's choices; grey: what two gold standards of a split differ by")
    plots.save(picture, PICTURE)
    picture = plots_benchmark.cells(miu_map.comparisons(), "Where is MIU nearer to the gold standard?")
    plots.save(picture, MAP)
    rows = studies.load("shift")
    heart, many = (rows[rows.dataset == f"groundwear-{name}"] for name in ("memorised", "many"))
    panels = {"learnt": (rows[rows.dataset == "groundwear"], "visible"), "by heart": (heart, "visible"),
              "by heart, calibrated": (heart, "calibrated"), "many groups": (many, "visible"),
              "many groups, head": (many, "head")}
    parts = {name: part.assign(said=part[by]) for name, (part, by) in panels.items()}
    picture = plots_prior.predicted(parts, "RETRAIN's accuracy by group, predicted from PRETRAIN alone")
    plots.save(picture, PREDICTED)
    rows = studies.load("moved").replace({"dataset": effects.SHORT})
    picture = plots_prior.moved(rows, 0.9,
                                "Ratio 0.9: how far each method moved the margins; bars: the theory")
    plots.save(picture, MOVED)
    picture = plots.shares(causes_cells(), 500, "The share, or the number? Dashed: the share alone")
    plots.save(picture, CAUSES)
