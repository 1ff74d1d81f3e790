"""What all figures of a page have in common: two widths, and axes that do not make much of noise.

No axis is shorter than what the values and intervals on it span.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from recsys_ae.reporting.svg import Drawing, fitted, tick_texts, ticks

WIDE, NARROW = 600, 340  # pixels


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawing in two widths, of which a page shows the one that fits. `title` stands above it, `note`
    below, `label` in place of it for those who do not see it."""

    title: str
    wide: str
    narrow: str
    note: str = ""
    label: str = ""


@dataclass(frozen=True, slots=True)
class Point:
    """One model in a plane: `x` with the rest as in `Mark`."""

    name: str
    series: str
    x: float
    y: float
    low: float = math.nan
    high: float = math.nan


def both(title: str, draw: Callable[[float], Drawing], *, note: str, label: str) -> Figure:
    wide, narrow = draw(WIDE).svg(label, "wide"), draw(NARROW).svg(label, "narrow")
    return Figure(title, wide, narrow, note, label)


def left_axis(
    drawing: Drawing,
    at: Callable[[float], float],
    low: float,
    high: float,
    left: float,
    right: float,
    title: str,
) -> None:
    drawing.text(0, 8, fitted(title, drawing.width, 11), kind="muted", size=11)
    values = ticks(low, high, 6)
    for value, text in zip(values, tick_texts(values), strict=True):
        drawing.line(left, at(value), right, at(value), "grid")
        drawing.text(left - 6, at(value), text, kind="muted", anchor="end", size=11)


def bottom_axis(
    drawing: Drawing,
    at: Callable[[float], float],
    low: float,
    high: float,
    left: float,
    right: float,
    top: float,
    bottom: float,
    title: str,
) -> None:
    values = ticks(low, high, 4 if drawing.width < WIDE else 6)
    for value, text in zip(values, tick_texts(values), strict=True):
        drawing.line(at(value), top, at(value), bottom, "grid")
        drawing.text(at(value), bottom + 11, text, kind="muted", anchor="middle", size=11)
    drawing.text((left + right) / 2, bottom + 26, title, kind="muted", anchor="middle", size=11)


def value_range(values: Iterable[float], span: float = 0.0, most: float = math.inf) -> tuple[float, float]:
    """From the lowest to the highest number, at least `span`, with a little room on both sides, but none
    above `most`, the highest value that there can be."""
    known = [value for value in values if math.isfinite(value)]
    low, high = min(known, default=0.0), max(known, default=1.0)
    if (missing := span - (high - low)) > 0:
        low, high = low - missing / 2, high + missing / 2
    room = 0.06 * (high - low) or 0.05 * abs(high) or 0.5
    return low - room, max(high, min(high + room, most))
