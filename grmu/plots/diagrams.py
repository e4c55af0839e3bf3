"""The diagrams of the lessons: boxes and arrows as SVG, which stays sharp and has alt text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

INK, PAPER = "#222222", "#ffffff"


@dataclass
class Diagram:
    """An SVG drawing; a notebook shows the last value of a cell.

    Args:
        width, height: In pixels, at a font size of 16.
        alt: What the diagram shows, in a sentence.
    """

    width: int
    height: int
    alt: str
    parts: list[str] = field(default_factory=list, repr=False)

    def box(self, x: float, y: float, w: float, h: float, text: str, fill: str = "#f4f4f4",
            ink: str = INK) -> None:
        """Draw a rounded box, its lines of text centred."""
        self.parts.append(f'<rect x="{x}" y="{y}" width="{w}" height="{h}" rx="8" fill="{fill}" '
                          f'stroke="{ink}" stroke-width="1.5"/>')
        lines = text.split("\n")
        for i, line in enumerate(lines):
            self.text(x + w / 2, y + h / 2 + 5 + 20 * (i - (len(lines) - 1) / 2), line)

    def text(self, x: float, y: float, text: str, ink: str = INK, anchor: str = "middle") -> None:
        """Write one line of text."""
        self.parts.append(f'<text x="{x}" y="{y}" fill="{ink}" text-anchor="{anchor}">{escape(text)}</text>')

    def arrow(self, x: float, y: float, to_x: float, to_y: float, ink: str = INK,
              dashed: bool = False) -> None:
        """Draw an arrow from one point to another."""
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        self.parts.append(f'<line x1="{x}" y1="{y}" x2="{to_x}" y2="{to_y}" stroke="{ink}" stroke-width="2"'
                          f'{dash} marker-end="url(#head)"/>')

    def _repr_svg_(self) -> str:
        head = ('<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" '
                f'markerHeight="7" orient="auto"><path d="M0 0 L10 5 L0 10 z" fill="{INK}"/></marker></defs>')
        return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" '
                f'style="max-width: {self.width}px; width: 100%; background: {PAPER}" role="img" '
                f'font-family="sans-serif" font-size="16"><title>{escape(self.alt)}</title>{head}'
                f'<rect width="100%" height="100%" fill="{PAPER}"/>{"".join(self.parts)}</svg>')


def mine() -> Diagram:
    """Draw how MINE is fitted to features and groups, and what an unlearning term does with it."""
    d = Diagram(930, 300, "A backbone with weights theta turns a picture x into features z. A small network "
                "T with weights psi rates real pairs of features and group, and mismatched pairs. M is the "
                "mean of T over real pairs minus the log of the mean of exp T over mismatched pairs. MINE "
                "changes psi to raise M; the unlearning term changes theta to lower M.")
    purple, red = "#6A51A3", "#D55E00"
    d.box(10, 80, 90, 60, "picture\nx")
    d.box(130, 80, 110, 60, "backbone\nweights θ", ink=red)
    d.box(270, 80, 90, 60, "features\nz")
    d.box(400, 20, 160, 60, "real pair (z, g)\nits own group", "#e8f1f8")
    d.box(400, 140, 160, 60, "mismatched (z, ḡ)\na random group", "#e8f1f8")
    d.box(600, 80, 110, 60, "network T\nweights ψ", ink=purple)
    d.box(750, 80, 170, 60, "M = mean T(z, g)\n- log mean exp T(z, ḡ)")
    for x, y, to_x, to_y in ((100, 110, 128, 110), (240, 110, 268, 110), (360, 100, 398, 55),
                             (360, 120, 398, 165), (560, 55, 598, 100), (560, 165, 598, 120),
                             (710, 110, 748, 110)):
        d.arrow(x, y, to_x, to_y)
    d.box(30, 240, 310, 50, "unlearning term: change θ to lower M", "#fbe9e0", red)
    d.box(540, 240, 230, 50, "MINE: change ψ to raise M", "#eeeaf5", purple)
    d.arrow(185, 240, 185, 143, red)
    d.arrow(655, 240, 655, 143, purple)
    return d


def proposition() -> Diagram:
    """Draw the two steps that relate the cross-entropy of a group classifier to mutual information."""
    d = Diagram(800, 285, "The uncertainty about the group, H(G), splits into the mutual information I(Z; G) "
                "and the uncertainty that remains, H(G | Z). The cross-entropy of a group classifier is "
                "H(G | Z) plus the classifier's own error, KL. Step 1 fits the classifier, so KL shrinks to zero. "
                "Step 2 freezes it and changes the features, so H(G | Z) grows and I(Z; G) shrinks.")
    purple, red = "#6A51A3", "#D55E00"
    d.text(10, 24, "uncertainty about the group, H(G): fixed by the data", anchor="start")
    d.box(10, 36, 300, 56, "I(Z; G)\nrevealed by the features", "#fbe9e0", red)
    d.box(310, 36, 300, 56, "H(G | Z)\nremains uncertain", "#e8f1f8")
    d.box(310, 140, 300, 56, "H(G | Z)", "#e8f1f8")
    d.box(610, 140, 170, 56, "KL\nclassifier's own error", "#eeeaf5", purple)
    d.text(300, 173, "cross-entropy of a group classifier:", anchor="end")
    d.arrow(775, 218, 625, 218, purple)
    d.text(610, 248, "step 1: fit the classifier,", purple, "start")
    d.text(610, 270, "and KL shrinks to 0", purple, "start")
    d.arrow(310, 218, 160, 218, red)
    d.text(10, 248, "step 2: freeze it and change the features to raise the", red, "start")
    d.text(10, 270, "cross-entropy; H(G | Z) grows, and I(Z; G) shrinks", red, "start")
    return d


def reweight(before: Sequence[int], left: Sequence[int], hues: dict[str, str]) -> Diagram:
    """Draw REWEIGHT's pipeline: training set, forget set and retain set, weights, and what the sampler draws.

    Args:
        before: (n_groups,) samples per group in the training set.
        left: (n_groups,) samples per group in the retain set.
        hues: the colour of each group by its name.
    """
    n, m, gone = sum(before), sum(left), sum(before) - sum(left)
    columns = (("training set", 10, 310, [f"{k:,} ({100 * k / n:.1f} %)" for k in before]),
               ("retain set", 370, 140, [f"{k:,} ({100 * k / m:.1f} %)" for k in left]),
               ("weight α", 560, 100, [f"{k / max(j, 1):g}" for k, j in zip(before, left, strict=True)]),
               ("sampler: one epoch", 710, 200, [f"{100 * k / n:.1f} % of the draws" for k in before]))
    d = Diagram(930, 120 + 30 * len(hues), f"The training set is split into a forget set of {gone} and a "
                "retain set. Each retained sample gets the weight α, its group's size before divided by its "
                f"size after: {', '.join(columns[2][3])}. A sampler draws an epoch with these weights, so "
                f"each group has its original share again: {', '.join(columns[3][3])}.")
    d.box(350, 6, 150, 40, f"forget set: {gone:,}", "#fbe9e0", "#D55E00")
    d.arrow(310, 78, 348, 38, "#D55E00")
    for title, x, width, values in columns:
        d.text(x + width / 2, 82, title)
        d.box(x, 94, width, 30 * len(hues) + 14, "", "#fafafa")
        for row, (name, hue) in enumerate(hues.items()):
            d.text(x + width - 12, 122 + 30 * row, values[row], anchor="end")
            if x == 10:
                d.text(x + 12, 122 + 30 * row, "■", hue, "start")
                d.text(x + 34, 122 + 30 * row, name, anchor="start")
    for start, end in ((320, 368), (510, 558), (660, 708)):
        d.arrow(start, 160, end, 160)
    return d


def miu() -> Diagram:
    """Draw the three steps of an epoch of MIU: their data, their losses, and the weights that they change."""
    d = Diagram(930, 380, "MIU copies the original model once and then repeats 3 steps in every epoch. Step 1"
                " tunes MINE on the training set: it raises M by changing psi, MINE's weights. Step"
                " 2, the forget pass of the first epochs, lowers M on the forget set by changing "
                "theta, the backbone's weights. Step 3, the retain pass, draws the retain set with "
                "REWEIGHT and lowers the cross-entropy plus lambda times the squared difference "
                "between M and the original model's M, by changing theta and the head.")
    d.box(10, 10, 190, 50, "original model\n(frozen)", ink="#646464")
    d.arrow(200, 35, 268, 35)
    d.box(270, 10, 200, 50, "unlearned model:\nbackbone θ and head")
    d.text(235, 24, "copy")
    d.text(500, 40, "Repeat steps 1 to 3 in every epoch:", anchor="start")
    steps = (("1  Tune MINE", "training set", "raise M (Eq. 2)", "ψ: the weights\nof MINE",
              "#6A51A3", "#eeeaf5"),
             ("2  Forget pass (first epochs only)", "forget set", "lower M (Eq. 3)", "θ: the weights\n"
              "of the backbone", "#D55E00", "#fbe9e0"),
             ("3  Retain pass", "retain set, drawn\nwith REWEIGHT", "lower the cross-entropy (Eq. 7)\n"
              "+ λ (M \u2212 M of the original)² (Eq. 6)", "θ and the weights\nof the head",
              "#0072B2", "#e8f1f8"))
    for k, (title, data, loss, weights, ink, fill) in enumerate(steps):
        y = 104 + 104 * k
        d.text(10, y - 10, title, ink, "start")
        for x, w, words in ((10, 150, data), (210, 110, "features z"), (370, 300, loss), (760, 160, weights)):
            d.box(x, y, w, 56, words, fill, ink)
        for x, to_x in ((160, 208), (320, 368), (670, 758)):
            d.arrow(x, y + 28, to_x, y + 28, ink)
        d.text(714, y + 20, "changes", ink)
    return d


def two_forget_sets(n: int, n_forgotten: int, group: str) -> Diagram:
    """Draw uneven forgetting and its control: two forget sets of one size, a model trained without each.

    Args:
        n: samples in the training set.
        n_forgotten: samples in each forget set.
        group: the group that requests deletion.
    """
    d = Diagram(930, 250, f"Two ways to forget {n_forgotten} of {n:,} training pictures. Uneven: all of "
                f"them show {group}. Even, the control: they are drawn at random from everyone. After each, "
                f"a model is trained from scratch on the retain set and tested on new pictures of {group}.")
    d.box(10, 95, 140, 60, f"training set\n{n:,} pictures")
    for y, ink, fill, how in (
            (40, "#D55E00", "#fbe9e0", f"uneven: forget {n_forgotten}\n{group}"),
            (150, INK, "#f4f4f4", f"even (control): forget {n_forgotten}\nat random from everyone")):
        d.box(200, y, 230, 60, how, fill, ink)
        d.box(480, y, 190, 60, f"train from scratch on\nthe other {n - n_forgotten:,}", ink=ink)
        d.box(720, y, 200, 60, f"accuracy on new\n{group}?", ink=ink)
        d.arrow(150, 125, 198, y + 30, ink)
        d.arrow(430, y + 30, 478, y + 30, ink)
        d.arrow(670, y + 30, 718, y + 30, ink)
    return d


def prior_shift(r: float = 0.5) -> Diagram:
    """Draw margins before and after the share r of a group is forgotten: all fall, and some change sides."""
    margins, fall = (-0.9, -0.4, 0.25, 0.5, 0.9, 1.4, 1.9, 2.6), math.log(1 / (1 - r))
    crossed = sum(0 < margin <= fall for margin in margins)
    d = Diagram(860, 250, f"{len(margins)} pictures of sneakers on brick as points on an axis, their margin. "
                "Points right of 0 are classified as sneakers. After a share of "
                f"{r:g} of the group is forgotten, every margin falls by log 1/(1 - r) = {fall:.2f}, and "
                f"{crossed} pictures cross 0.")
    for y, words, shift in ((100, "original model", 0.0), (180, f"predicted, {100 * r:g} % forgotten", fall)):
        d.arrow(220, y, 850, y, "#777777")
        d.text(205, y + 5, words, anchor="end")
        for margin in margins:
            hue = "#D55E00" if 0 < margin <= fall else "#ffffff"
            d.parts.append(f'<circle cx="{460 + 140 * (margin - shift):.0f}" cy="{y}" r="9" fill="{hue}" '
                           'stroke="#D55E00" stroke-width="2"/>')
    d.parts.append(f'<line x1="460" y1="55" x2="460" y2="205" stroke="{INK}" stroke-width="2"/>')
    d.text(448, 45, "classified as boots", anchor="end")
    d.text(472, 45, "classified as sneakers", anchor="start")
    d.text(460, 232, "margin: sneaker logit minus boot logit, 0 at the line; filled points change sides")
    return d


def flow(steps: Mapping[str, str], alt: str) -> Diagram:
    """Draw steps from left to right, each with a note below it.

    Args:
        steps: the note by the text of the box; both may have several lines.
        alt: what the diagram shows.
    """
    d, width, gap = Diagram(930, 180, alt), 944 / len(steps), 34
    for k, (words, note) in enumerate(steps.items()):
        x = 10 + k * width
        d.box(x, 10, width - gap, 84, words, "#e8f1f8", "#0072B2")
        if k:
            d.arrow(x - gap, 52, x - 2, 52)
        for row, line in enumerate(note.split("\n")):
            d.text(x + (width - gap) / 2, 120 + 20 * row, line)
    return d
