"""Write the table and the figure of docs/miu.md from the shipped runs: python docs/miu.py"""

from collections.abc import Iterator
from pathlib import Path
from textwrap import fill

import matplotlib
import pandas as pd
from matplotlib.figure import Figure

from grmu import plots
from grmu.analysis import results
from grmu.analysis.compare import Interval, differences, interval, verdicts

PAGE = Path(__file__).with_suffix(".md")
BEGIN, END = "<!-- Computed by docs/miu.py -->", "<!-- End of what is computed -->"
ARMS = {"original model": ("pretrain", False), "fine-tuning": ("finetune", True), "MIU": ("miu", True)}
PICTURES = ("groundwear", "groundwear-memorised")
PLACES = [(name, ratio) for ratio in (0.5, 0.9) for name in PICTURES] + [("negation", 0.5), ("negation", 0.9)]
HEADER = "| | UA | GA | distance | detectable |\n|---|---:|---:|---:|---:|"


def compared(dataset: str, ratio: float) -> pd.DataFrame:
    """Return the runs that compare MIU with the others, the gold standard among them."""
    return results.load("text" if dataset == "negation" else "tuned_alike", dataset=dataset, ratio=ratio)


def gaps(dataset: str, ratio: float, rows: pd.DataFrame, method: str, reweight: bool) -> pd.DataFrame:
    """Return by seed the signed gaps to the gold standard, in points, and their mean size, the distance."""
    gold = results.select(compared(dataset, ratio), method="retrain", reweight=True)
    rows = results.select(rows, method=method, reweight=reweight)
    signed = 100 * differences(rows, gold, ("UA", "GA")).sort_index()
    return signed.assign(distance=signed.abs().mean(axis=1))


def arms(dataset: str, ratio: float) -> dict[str, pd.DataFrame]:
    """Return the gaps of the original model, fine-tuning and MIU, and how MIU differs from the others."""
    found = {arm: gaps(dataset, ratio, compared(dataset, ratio), *which) for arm, which in ARMS.items()}
    return {f"{arm} - gold standard": values for arm, values in found.items()} | {
        f"MIU - {arm}": found["MIU"] - found[arm] for arm in ("fine-tuning", "original model")}


def changed(grid: str, dataset: str, ratio: float, setting: str, values: tuple[float, float],
            reweight: bool = True) -> pd.DataFrame:
    """Return how MIU's gaps differ between two values of a setting; other settings as in the preset."""
    rows = results.load(grid, dataset=dataset, ratio=ratio, method="miu")
    others = [name for name in ("calibration", "unlearning", "retaining") if name in rows and name != setting]
    rows = rows[~rows[others].eq(False).any(axis=1)]
    parts = [rows[rows[setting].fillna(True) == value] for value in values]
    return gaps(dataset, ratio, parts[0], "miu", reweight) - gaps(dataset, ratio, parts[1], "miu", reweight)


def sections() -> Iterator[tuple[str, dict[str, pd.DataFrame]]]:
    """Yield each section of the table: its title, and the values by seed of each row."""
    yield from ((f"{dataset}, ratio {ratio:g}", arms(dataset, ratio)) for dataset, ratio in PLACES)
    yield "MIU + REWEIGHT, ratio 0.5: with a term minus without it", {
        f"{term} term, {name}": changed("terms", name, 0.5, term, (True, False))
        for name in PICTURES for term in ("unlearning", "calibration")}
    yield "MIU without REWEIGHT, groundwear: with a term minus without it", {
        f"{term} term, ratio {ratio:g}": changed("ablation", PICTURES[0], ratio, term, (True, False), False)
        for ratio in (0.5, 0.9) for term in ("unlearning", "calibration", "retaining")}
    yield "MIU + REWEIGHT, groundwear: λ = 10 minus λ = 0", {
        f"ratio {r:g}": changed("calibration", PICTURES[0], r, "lam", (10, 0)) for r in (0.5, 0.9)}


def table() -> pd.DataFrame:
    """Return a row per number, worded by `verdicts` with one correction for all gaps and differences."""
    values = {(title, row, measure): part[measure] for title, lines in sections()
              for row, part in lines.items() for measure in part}
    found = verdicts({key: v for key, v in values.items() if key[2] != "distance" or "gold" not in key[1]})
    means = pd.DataFrame({key: interval(v)._asdict() for key, v in values.items()}).T
    return means.join(found[["seen", "verdict"]]).rename_axis(["section", "row", "measure"])


def markdown(found: pd.DataFrame) -> str:
    """Return the table as the page shows it; a star marks what is significant after the correction."""
    lines = [HEADER]
    for title, section in found.groupby("section", sort=False):
        lines.append(f"|**{title}**, {section.n.iloc[0]:.0f} seeds|||||")
        for row, part in section.groupby("row", sort=False):
            cells = [Interval(*cell[["mean", "low", "high", "n"]]).said()
                     + "*" * (cell.verdict in ("higher", "lower")) for _, cell in part.iterrows()]
            seen = "/".join(f"{points:.2g}" for points in part.seen.dropna())
            lines.append(f"|{row}|{'|'.join(cells)}|{seen}|")
    return "\n".join(lines)


def draw(found: pd.DataFrame) -> Figure:
    """Draw the gaps of the original model, fine-tuning and MIU on the two data sets of pictures."""
    rows = [{"model": f"{arm}, ratio {ratio:g}", "metric": measure, "data": dataset,
             **found.loc[f"{dataset}, ratio {ratio:g}", f"{arm} - gold standard", measure]}
            for dataset in PICTURES for ratio in (0.5, 0.9) for arm in ARMS for measure in ("UA", "GA")]
    return plots.intervals(pd.DataFrame(rows), "minus the gold standard (points)", "model", "metric", "data",
                           {"UA": plots.VERMILION, "GA": plots.GROUP_COLOURS[0]},
                           dict.fromkeys(PICTURES, 0.0), digits=1,
                           title="We detect no difference in distance between MIU and fine-tuning")


def page(found: pd.DataFrame, figure: Figure) -> str:
    """Return the page as it should be, with the figure, its alt text and the table between the markers."""
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    alt = fill(f"![{plots.caption_of(figure)}](miu.png)", 108, break_on_hyphens=False)
    return (f"{before}{BEGIN}\n\n{alt}\n\n"
            f"<details>\n<summary>The table</summary>\n\n{markdown(found)}\n\n</details>\n\n"
            f"{END}{rest.split(END)[1]}")


if __name__ == "__main__":
    matplotlib.use("agg")
    plots.use_style()
    shown = table()
    drawn = draw(shown)
    PAGE.write_text(page(shown, drawn), encoding="utf-8")
    plots.save(drawn, PAGE.with_suffix(".png"))
