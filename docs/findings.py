"""Write the computed parts of docs/findings.md, its figures and the README's from the shipped results.

Run it with `python docs/findings.py`. It prints the alt text of the README's figure.
"""

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from textwrap import fill
from typing import NamedTuple

import matplotlib
import pandas as pd
from matplotlib.figure import Figure

from grmu import data, plots
from grmu.analysis import grids, results, tables
from grmu.analysis.compare import Interval, differences, interval, verdicts
from grmu.analysis.names import label
from grmu.course import audits

PAGE = Path(__file__).with_suffix(".md")
END = "<!-- End of what is computed -->"
PICTURES = ("groundwear", "groundwear-memorised")
PLACES = list(product((*PICTURES, "negation"), (0.5, 0.9)))
ARMS = {"original model": ("pretrain", False), "fine-tuning": ("finetune", True), "MIU": ("miu", True)}
DATASETS = {"groundwear": "standard training", "groundwear-memorised": "memorised",
            "groundwear-many": "63 groups"}
PANELS = {True: "augmented pictures", False: "not augmented"}


class Part(NamedTuple):
    """The computed part of a section: a figure, and a table with its title."""

    figure: Figure
    title: str
    table: str


def cell(row: pd.Series) -> str:
    """Return a mean with its interval, and a star if it is significant after the correction."""
    star = "*" * (row.verdict in ("higher", "lower"))
    return Interval(row["mean"], row.low, row.high, row.n).said() + star


def markdown(header: list[str], lines: list[list[str]]) -> str:
    """Return a table in Markdown; a line with one cell is the title of a section."""
    rows = [[" ", *header], ["---", *["---:"] * len(header)]]
    for line in lines:
        rows.append(line if len(line) > 1 else [f"**{line[0]}**", *[""] * len(header)])
    return "\n".join(f"|{'|'.join(row)}|" for row in rows)


# --- the benchmark ------------------------------------------------------------------------------------------


def methods_at(dataset: str, ratio: float) -> pd.DataFrame:
    """Return the runs of the original model, the gold standard and all unlearning methods."""
    rows = results.load(dataset=dataset, ratio=ratio, groups="default", overrides={})
    return rows[rows.seed.isin(grids.SEEDS) & rows.method.isin(("pretrain", "retrain", *grids.METHODS))]


def gaps_at(dataset: str, ratio: float) -> pd.DataFrame:
    """Return how far the GA of each model is from the gold standard's, with verdicts."""
    return tables.signed_gaps(methods_at(dataset, ratio), "GA", results.margins(dataset)["GA"])


def benchmark() -> Part:
    """Compare all methods with the gold standard, without and with REWEIGHT."""
    drawn = pd.concat([gaps_at("groundwear", ratio).assign(panel=f"ratio {ratio:g}") for ratio in (0.5, 0.9)])
    figure = plots.forest(drawn, results.margins("groundwear")["GA"],
                          "REWEIGHT brings the group's accuracy close to the gold standard's", "panel")
    lines = []
    for dataset, ratio in product((*DATASETS, "negation"), (0.5, 0.9)):
        lines.append([f"{dataset}, ratio {ratio:g}"])
        distance = tables.standing(methods_at(dataset, ratio)).distance
        for key, row in gaps_at(dataset, ratio).iterrows():
            lines.append([label(*key), cell(row), f"{100 - distance[label(*key)]:.1f}"])
    return Part(figure, "The table: all methods on four data sets, five seeds",
                markdown(["GA minus the gold standard's", "avg. gap"], lines))


# --- MIU ----------------------------------------------------------------------------------------------------


def compared(dataset: str, ratio: float) -> pd.DataFrame:
    """Return the runs that compare MIU with other methods, including the gold standard."""
    return results.load("text" if dataset == "negation" else "tuned_alike", dataset=dataset, ratio=ratio)


def gaps(dataset: str, ratio: float, rows: pd.DataFrame, method: str, reweight: bool) -> pd.DataFrame:
    """Return the signed gaps to the gold standard by seed, in points, and their mean size, the distance."""
    gold = results.select(compared(dataset, ratio), method="retrain", reweight=True)
    rows = results.select(rows, method=method, reweight=reweight)
    signed = 100 * differences(rows, gold, ("UA", "GA")).sort_index()
    return signed.assign(distance=signed.abs().mean(axis=1))


def arms(dataset: str, ratio: float) -> dict[str, pd.DataFrame]:
    """Return the gaps of the original model, fine-tuning and MIU, and how MIU differs from the other two."""
    found = {arm: gaps(dataset, ratio, compared(dataset, ratio), *which) for arm, which in ARMS.items()}
    return {f"{arm} - gold standard": values for arm, values in found.items()} | {
        f"MIU - {arm}": found["MIU"] - found[arm] for arm in ("fine-tuning", "original model")}


def changed(grid: str, dataset: str, ratio: float, setting: str, values: tuple[float, float],
            reweight: bool = True) -> pd.DataFrame:
    """Return how MIU's gaps differ between two values of a setting, with other settings as in the preset."""
    rows = results.load(grid, dataset=dataset, ratio=ratio, method="miu")
    others = [name for name in ("calibration", "unlearning", "retaining") if name in rows and name != setting]
    rows = rows[~rows[others].eq(False).any(axis=1)]
    parts = [rows[rows[setting].fillna(True) == value] for value in values]
    return gaps(dataset, ratio, parts[0], "miu", reweight) - gaps(dataset, ratio, parts[1], "miu", reweight)


def sections() -> Iterator[tuple[str, dict[str, pd.DataFrame]]]:
    """Yield each section of MIU's table: its title, and the values by seed of each row."""
    yield from ((f"{dataset}, ratio {ratio:g}", arms(dataset, ratio)) for dataset, ratio in PLACES)
    yield "MIU + REWEIGHT, ratio 0.5: with a term minus without it", {
        f"{term} term, {name}": changed("terms", name, 0.5, term, (True, False))
        for name in PICTURES for term in ("unlearning", "calibration")}
    yield "MIU without REWEIGHT, groundwear: with a term minus without it", {
        f"{term} term, ratio {ratio:g}": changed("ablation", PICTURES[0], ratio, term, (True, False), False)
        for ratio in (0.5, 0.9) for term in ("unlearning", "calibration", "retaining")}
    yield "MIU + REWEIGHT, groundwear: λ = 10 minus λ = 0", {
        f"ratio {r:g}": changed("calibration", PICTURES[0], r, "lam", (10, 0)) for r in (0.5, 0.9)}


def miu_table() -> pd.DataFrame:
    """Return one row per number, worded by `verdicts` with one correction for all gaps and differences."""
    values = {(title, row, measure): part[measure] for title, lines in sections()
              for row, part in lines.items() for measure in part}
    found = verdicts({key: v for key, v in values.items() if key[2] != "distance" or "gold" not in key[1]})
    means = pd.DataFrame({key: interval(v)._asdict() for key, v in values.items()}).T
    return means.join(found[["seen", "verdict"]]).rename_axis(["section", "row", "measure"])


def miu() -> Part:
    """Compare MIU with fine-tuning and with the original model."""
    found, lines = miu_table(), []
    for title, section in found.groupby("section", sort=False):
        lines.append([f"{title} ({section.n.iloc[0]:.0f} seeds)"])
        for row, part in section.groupby("row", sort=False):
            seen = "/".join(f"{points:.2g}" for points in part.seen.dropna())
            lines.append([str(row), *(cell(one) for _, one in part.iterrows()), seen])
    drawn = pd.DataFrame(
        {"model": f"{arm}, ratio {ratio:g}", "metric": measure, "data": dataset,
         **found.loc[f"{dataset}, ratio {ratio:g}", f"{arm} - gold standard", measure]}
        for dataset in PICTURES for ratio in (0.5, 0.9) for arm in ARMS for measure in ("UA", "GA"))
    figure = plots.intervals(drawn, "UA and GA minus the gold standard's (points)", "model", "metric", "data",
                             {"UA": plots.VERMILION, "GA": plots.GROUP_COLOURS[0]},
                             dict.fromkeys(PICTURES, 0.0), digits=1,
                             title="We detect no difference in distance between MIU and fine-tuning")
    return Part(figure, "The table: MIU, fine-tuning, the original model, and MIU's terms",
                markdown(["UA", "GA", "distance", "detectable"], lines))


# --- why the group loses ------------------------------------------------------------------------------------


def why() -> Part:
    """Compare the causes of the loss."""
    cells, rows = results.load("causes_cells"), results.load("causes_compared")
    figure = plots.shares(cells.assign(panel=cells.augment.map(PANELS)),
                          "The group's share matters more than its number of pictures")
    lines = []
    for question, part in rows.groupby("question", sort=False):
        lines.append([str(question)])
        for _, row in part.iterrows():
            how = {"yes": "", "no": ", not augmented"}.get(row.augmented, ", not augmented minus augmented")
            lines.append([row.what + how, cell(row), row.verdict])
    return Part(figure, f"The table: {len(rows)} comparisons, {rows.n.iloc[0]} seeds",
                markdown(["points of GA [95 %]", "finding"], lines))


# --- the audit ----------------------------------------------------------------------------------------------


def audit() -> Part:
    """Report what attacks on unlearned pictures find, beside their controls."""
    panels = {DATASETS[name]: audits.rows("audit", name) for name in PICTURES}
    figure = plots.attacks(panels, "MIU passes the audit on memorised data; for SCRUB, a control fails")
    lines = []
    for name in PICTURES:
        lines.append([DATASETS[name]])
        privacy = audits.rows("audit", name, attack="U-LiRA", who="unlearned")
        efficacy = audits.rows("efficacy", name, who="unlearned")
        for one, two in zip(privacy.to_dict("records"), efficacy.to_dict("records"), strict=True):
            auc = "{AUC:.2f} [{AUC low:.2f}, {AUC high:.2f}]".format(**one)
            excess = "{excess:+.2f} [{excess low:+.2f}, {excess high:+.2f}]".format(**two)
            lines.append([label(one["method"], one["reweight"]), auc, one["verdict"], excess, two["verdict"]])
    table = markdown(["privacy: AUC", "verdict", "efficacy: excess", "verdict"], lines)
    table = table.replace("not detected, though the control is", "not detected")
    return Part(figure, "The table: U-LiRA on 64 models of each method",
                table.replace("cannot tell", "inconclusive"))


SECTIONS = {"benchmark": benchmark, "miu": miu, "why": why, "audit": audit}


def effect() -> Figure:
    """Draw the main effect for the README."""
    runs = pd.concat([results.load("references"), results.load("unlearning")])
    return plots.hero(results.load("pictures"), runs, data.load("groundwear"))


def page(parts: dict[str, Part]) -> str:
    """Return the updated page, with a figure, its alt text and a table in each section."""
    text = PAGE.read_text(encoding="utf-8")
    for name, part in parts.items():
        begin = f"<!-- Computed by docs/findings.py: {name} -->"
        picture = fill(f"![{plots.caption_of(part.figure)}]({name}.png)", 108, break_on_hyphens=False)
        title = f"<details>\n<summary>{part.title}</summary>"
        blocks = [begin, picture, title, part.table, "</details>", END]
        before, rest = text.split(begin)
        text = before + "\n\n".join(blocks) + rest.partition(END)[2]
    return text


if __name__ == "__main__":
    matplotlib.use("agg")
    plots.use_style()
    made = {name: compute() for name, compute in SECTIONS.items()}
    PAGE.write_text(page(made), encoding="utf-8")
    for name, part in made.items():
        plots.save(part.figure, PAGE.with_name(f"{name}.png"))
    shown = effect()
    plots.save(shown, PAGE.with_name("effect.png"))
    print(plots.caption_of(shown))
