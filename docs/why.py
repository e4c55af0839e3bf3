"""Write the figure and the table of docs/why.md from the shipped results: python docs/why.py"""

from pathlib import Path
from textwrap import fill

import matplotlib
import pandas as pd
from matplotlib.figure import Figure
from sklearn.metrics import r2_score

from grmu import plots
from grmu.analysis import results
from grmu.analysis.compare import Interval

PAGE = Path(__file__).with_suffix(".md")
BEGIN, END = "<!-- Computed by docs/why.py -->", "<!-- End of what is computed -->"
DATASETS = {"groundwear": "standard training", "groundwear-memorised": "memorised",
            "groundwear-many": "63 groups"}
PANELS = {True: "augmented pictures", False: "not augmented"}
TITLE = "The group loses accuracy because its share falls, more than because it has fewer pictures"
HEADER = "| | points of GA [95 %] | finding |\n|---|---:|---|"


def draw() -> Figure:
    """Draw GA against the group's share of the retain set."""
    cells = results.load("causes_cells")
    return plots.shares(cells.assign(panel=cells.augment.map(PANELS)), TITLE)


def table(rows: pd.DataFrame) -> str:
    """Return the comparisons as the page shows them, a section a question."""
    lines = [HEADER]
    for question, part in rows.groupby("question", sort=False):
        lines.append(f"|**{question}**|||")
        for row in part.itertuples():
            how = {"yes": "", "no": ", not augmented"}.get(row.augmented, ", not augmented minus augmented")
            points = Interval(row.mean, row.low, row.high, row.n).said()
            lines.append(f"|{row.what}{how}|{points}|{row.verdict}|")
    return "\n".join(lines)


def predicted(rows: pd.DataFrame) -> str:
    """Return how much of RETRAIN's changes the shifted prior predicts, and another RETRAIN of the split."""
    parts, rows = [], rows[rows.asking == 1].dropna(subset=["before", "after"])
    for dataset, name in DATASETS.items():
        shares = []
        for by in ("visible", "twin"):
            known = rows[rows.dataset == dataset].dropna(subset=by)
            shares.append(r2_score(known.after - known.before, known[by] - known.before))
        parts.append("{}: {:.2f} ({:.2f})".format(name, *shares))
    return ("R² of RETRAIN's changes in accuracy, as predicted from the original model (in brackets, from "
            f"another RETRAIN of the same split). {'; '.join(parts)}.")


def page(figure: Figure) -> str:
    """Return the page as it should be, with figure, R² and table between the markers."""
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    compared = results.load("causes_compared")
    summary = f"The table: {len(compared)} comparisons, {compared.n.iloc[0]} seeds, one Holm correction"
    alt, explained = f"![{plots.caption_of(figure)}](why.png)", predicted(results.load("shift"))
    parts = [BEGIN, *(fill(text, 108, break_on_hyphens=False) for text in (alt, explained)),
             f"<details>\n<summary>{summary}</summary>", table(compared), "</details>", END]
    return before + "\n\n".join(parts) + rest.split(END)[1]


if __name__ == "__main__":
    matplotlib.use("agg")
    plots.use_style()
    drawn = draw()
    PAGE.write_text(page(drawn), encoding="utf-8")
    plots.save(drawn, PAGE.with_suffix(".png"))
