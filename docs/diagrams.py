"""Draw the diagrams of the lessons as SVG.

    python docs/diagrams.py [notebooks/diagrams]

diagrams.yaml describes them. A lesson shows each as a Markdown image with a short alt text.
"""

import sys
from html import escape
from pathlib import Path

import yaml

from grmu.data.files import write_whole

FOLDER = Path(__file__).parents[1] / "notebooks" / "diagrams"
COLOURS = {"ink": "#222222", "white": "#ffffff", "grey": "#f4f4f4", "pale": "#fafafa", "dark grey": "#646464",
           "axis": "#777777", "red": "#D55E00", "pale red": "#fbe9e0", "blue": "#0072B2",
           "pale blue": "#e8f1f8", "purple": "#6A51A3", "pale purple": "#eeeaf5"}
HEAD = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {0} {1}" width="{0}" height="{1}" role="img"
  font-family="sans-serif" font-size="16">
<title>{2}</title><desc>{3}</desc>
<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">
<path d="M0 0 L10 5 L0 10 z" fill="#222222"/></marker></defs><rect width="100%" height="100%" fill="#ffffff"/>
"""


def text(x: float, y: float, words: str, ink: str = "ink", anchor: str = "middle") -> str:
    """Return a line of text."""
    hue = COLOURS.get(ink, ink)
    return f'<text x="{x:g}" y="{y:g}" fill="{hue}" text-anchor="{anchor}">{escape(words)}</text>\n'


def box(x: float, y: float, w: float, h: float, words: str, ink: str = "ink", fill: str = "grey") -> str:
    """Return a rounded box with centred lines of text."""
    lines = words.split("\n")
    top = y + h / 2 + 5 - 10 * (len(lines) - 1)
    return (f'<rect x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}" rx="8" fill="{COLOURS[fill]}" '
            f'stroke="{COLOURS[ink]}" stroke-width="1.5"/>\n'
            + "".join(text(x + w / 2, top + 20 * i, line) for i, line in enumerate(lines)))


def line(x: float, y: float, to_x: float, to_y: float, ink: str = "ink", end: str = "") -> str:
    """Return a straight line."""
    return (f'<line x1="{x:g}" y1="{y:g}" x2="{to_x:g}" y2="{to_y:g}" stroke="{COLOURS[ink]}" '
            f'stroke-width="2"{end}/>\n')


def arrow(x: float, y: float, to_x: float, to_y: float, ink: str = "ink") -> str:
    """Return an arrow."""
    return line(x, y, to_x, to_y, ink, ' marker-end="url(#head)"')


def dot(x: float, y: float, fill: str) -> str:
    """Return a red dot, filled or empty."""
    return f'<circle cx="{x:g}" cy="{y:g}" r="9" fill="{COLOURS[fill]}" stroke="#D55E00" stroke-width="2"/>\n'


def flow(steps: dict[str, str]) -> str:
    """Return steps from left to right, each with a note below it."""
    drawn, pitch, gap = "", 944 / max(len(steps), 1), 34
    for k, (words, note) in enumerate(steps.items()):
        x = 10 + k * pitch
        drawn += box(x, 10, pitch - gap, 84, words, "blue", "pale blue")
        drawn += arrow(x - gap, 52, x - 2, 52) if k else ""
        for row, words in enumerate(note.split("\n")):
            drawn += text(x + (pitch - gap) / 2, 120 + 20 * row, words)
    return drawn


def main(folder: Path) -> None:
    """Write all diagrams into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    kinds = {"text": text, "box": box, "line": line, "arrow": arrow, "dot": dot}
    for name, d in yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8")).items():
        drawn = HEAD.format(*d.get("size", (930, 180)), escape(d["title"]), escape(d["shows"]))
        drawn += "".join(kinds[kind](*how) for kind, *how in d.get("parts", ())) + flow(d.get("flow", {}))
        write_whole(folder / f"{name}.svg", drawn + "</svg>\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
