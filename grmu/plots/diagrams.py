"""The diagrams of the lessons: boxes and arrows as SVG, which stays sharp and has alt text."""

from __future__ import annotations

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
    parts: list[str] = field(default_factory=list)

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
