"""Writes the results into docs/miu_factorial.md, miu_map.md, released.md and causes.md, and draws three
figures.

All from the shipped rows: python docs/results.py
"""

from pathlib import Path
from textwrap import wrap

import matplotlib
import pandas as pd

from grmu.show import plots, plots_benchmark
from grmu.study import causes, effects, features, miu_map, names, shipped_tables, studies, tuning
from grmu.study.compare import interval

DOCS = Path(__file__).parent
PICTURE, MAP, CAUSES = DOCS / "miu_factorial.png", DOCS / "miu_map.png", DOCS / "causes.png"
BEGIN = "<!-- From here on, written by docs/results.py -->"
TITLES = {"gap": "How far from the gold standard", "1": "1. Nearer than fine-tuning, than doing nothing?",
          "2": "2. Does the unlearning term unlearn?", "3": "3. Does calibration keep the group's accuracy?",
          "4": "4. Are the forms one method?", "5": "5. Single departures, minus paper",
          "factorial": "Main effects of the factorial", "control": "Control: two gold standards of a split"}


def settings() -> pd.DataFrame:
    """What the search chose."""
    lines = [{"data": effects.SHORT[dataset], "arm": effects.NAMES[arm], **tuning.tuned(dataset, arm)}
             for dataset in tuning.DATASETS for arm in tuning.ARMS]
    return pd.DataFrame(lines).drop(columns="form").astype(object).fillna("")


def results_text() -> str:
    """The page's second half."""
    found, rule = effects.comparisons(), effects.default_form()
    counts = ", ".join(f"{n} {word}" for word, n in found.verdict.value_counts().items())
    said = (f"{len(found)} comparisons, one Holm correction: {counts}. *Seen from*: the mean that would be "
            "found in 80 of 100 cases, alone. Learnt: `groundwear`, by heart: `groundwear-memorised`.")
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
    counts = ", ".join(f"{n} {word}" for word, n in found.verdict.value_counts().items())
    said = (f"{found.n.max()} seeds, {len(found)} comparisons, one Holm correction: {counts}. In points of "
            "distance to the gold standard: below 0 is nearer to it. The margin is "
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


def causes_cells() -> dict[str, pd.DataFrame]:
    """What the figure of docs/causes.md draws, by panel."""
    rows = studies.load("causes")
    return {how: causes.drawn(rows, how == "augmented") for how in ("augmented", "not augmented")}


def causes_text() -> str:
    """Causes, told apart: the second half of its page."""
    found, nats = causes.comparisons(), features.comparisons()
    counts = ", ".join(f"{n} {word}" for word, n in found.verdict.value_counts().items())
    said = (f"{len(found)} comparisons of accuracies, one Holm correction: {counts}. The margin is "
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


def pages() -> dict[Path, str]:
    """The pages as they should be: what was written by hand, then what is computed."""
    found = {}
    for name, text in (("miu_factorial", results_text()), ("miu_map", map_text()),
                       ("released", released_text()), ("causes", causes_text())):
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
    picture.savefig(PICTURE, dpi=110, metadata={"Software": None}, bbox_inches="tight")
    picture = plots_benchmark.cells(miu_map.comparisons(), "Where is MIU nearer to the gold standard?")
    picture.savefig(MAP, dpi=110, metadata={"Software": None}, bbox_inches="tight")
    picture = plots.shares(causes_cells(), 500, "The share, or the number? Dashed: the share alone")
    picture.savefig(CAUSES, dpi=110, metadata={"Software": None}, bbox_inches="tight")
