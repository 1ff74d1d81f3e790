"""Drawings for pages: SVG whose colours are those of the page's style sheet, in light and in dark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from itertools import pairwise

from rich.cells import cell_len

TEXT = 12  # pixels, the size of all texts unless they say another
_EM = 0.57  # the mean width of a letter, in its size, of wide system fonts
SERIES = 7  # colours and shapes that the style sheet tells apart; REFERENCE and OTHER are two more
REFERENCE, OTHER = "reference", "other"
_SHAPES = ("circle", "square", "diamond", "up", "down", "cross", "pentagon")
_CORNERS = {
    "square": ((-1, -1), (1, -1), (1, 1), (-1, 1)),
    "diamond": ((0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)),
    "up": ((0, -1.2), (1.2, 0.95), (-1.2, 0.95)),
    "down": ((0, 1.2), (1.2, -0.95), (-1.2, -0.95)),
    "cross": (
        (-0.4, -1.2), (0.4, -1.2), (0.4, -0.4), (1.2, -0.4), (1.2, 0.4), (0.4, 0.4),
        (0.4, 1.2), (-0.4, 1.2), (-0.4, 0.4), (-1.2, 0.4), (-1.2, -0.4), (-0.4, -0.4),
    ),
    "pentagon": ((0, -1.2), (1.2, -0.3), (0.75, 1.1), (-0.75, 1.1), (-1.2, -0.3)),
}  # fmt: skip


class Drawing:
    """One SVG, `width` pixels wide. Elements are drawn in the order of the calls."""

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self._parts: list[str] = []

    def text(
        self, x: float, y: float, text: str, *, kind: str = "", anchor: str = "start", size: int = TEXT
    ) -> None:
        """`y`: of the middle of the letters; `kind`: a class of the style sheet."""
        more = f' class="{kind}"' if kind else ""
        self._parts.append(
            f'<text x="{x:.1f}" y="{y + 0.35 * size:.1f}" text-anchor="{anchor}" font-size="{size}"{more}>'
            f"{escape(text)}</text>"
        )

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
        self._parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>')

    def box(self, x: float, y: float, width: float, height: float, kind: str) -> None:
        self._parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" class="{kind}"/>'
        )

    def path(self, points: Sequence[tuple[float, float]], kind: str) -> None:
        """A line through all points; one with NaN in it breaks the line."""
        words = []
        pen = "M"
        for x, y in points:
            if math.isnan(x) or math.isnan(y):
                pen = "M"
                continue
            words.append(f"{pen}{x:.1f} {y:.1f}")
            pen = "L"
        self._parts.append(f'<path d="{" ".join(words)}" class="{kind}"/>')

    def marker(self, x: float, y: float, series: str, *, radius: float = 4.5, hollow: bool = False) -> None:
        """The shape of a series, filled or in outline."""
        kind = f"{series} {'hollow' if hollow else 'dot'}"
        shape = _SHAPES[int(series[1:])] if series not in (REFERENCE, OTHER) else "circle"
        if shape == "circle":
            self._parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" class="{kind}"/>')
            return
        corners = " ".join(f"{x + dx * radius:.1f},{y + dy * radius:.1f}" for dx, dy in _CORNERS[shape])
        self._parts.append(f'<polygon points="{corners}" class="{kind}"/>')

    def svg(self, label: str, kind: str) -> str:
        """The element, named `label` for those who do not see it."""
        size = f"0 0 {self.width:g} {self.height:g}"
        return (
            f'<svg role="img" aria-label="{escape(label)}" class="{kind}" viewBox="{size}" '
            f'width="{self.width:g}" height="{self.height:g}">\n' + "\n".join(self._parts) + "\n</svg>"
        )


def series_of(place: int) -> str:
    """The class of the colour in this place; those beyond the last share one."""
    return f"s{place}" if place < SERIES else OTHER


def text_width(text: str, size: float = TEXT) -> float:
    """About how many pixels a text takes: system fonts differ."""
    return _EM * size * cell_len(text)


def fitted(text: str, width: float, size: float = TEXT) -> str:
    """The text, cut in its middle where it is wider."""
    if text_width(text, size) <= width:
        return text
    kept = max(3, int(width / (_EM * size)) - 1)
    return f"{text[: (kept + 1) // 2]}…{text[len(text) - kept // 2 :]}"


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers within [low, high], at most `most` of them and at least one."""
    if not high > low:
        return [low]
    for exponent in range(math.floor(math.log10((high - low) / most)), 400):
        for factor in (1.0, 2.0, 2.5, 5.0):
            step = factor * 10.0**exponent
            first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
            if last - first < most:
                return [n * step for n in range(first, last + 1)] or [low]
    return [low]


def tick_texts(values: Sequence[float]) -> list[str]:
    """The numbers with as many decimals as tell them apart."""
    step = min((b - a for a, b in pairwise(values)), default=abs(values[0]) if values else 1.0) or 1.0
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    if round(step * 10**decimals) != step * 10**decimals and not math.isclose(
        step * 10**decimals, round(step * 10**decimals), rel_tol=1e-6
    ):
        decimals += 1
    return [f"{value + 0.0:,.{decimals}f}".replace("-", "\N{MINUS SIGN}") for value in values]


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places as near as possible to those wanted, in their order, `gap` apart and within [low, high] where
    there is room."""
    order = sorted(range(len(wanted)), key=wanted.__getitem__)
    places = [0.0] * len(wanted)
    floor = low
    for row in order:
        places[row] = floor = max(wanted[row], floor)
        floor += gap
    ceiling = high
    for row in reversed(order):
        places[row] = ceiling = min(places[row], ceiling)
        ceiling -= gap
    return places
