"""Figures of lines: along epochs, or over groups of users or items."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from recsys_ae.reporting.axes import WIDE, Figure, Point, both, left_axis, value_range
from recsys_ae.reporting.svg import Drawing, fitted, spread, text_width, ticks

_LABEL_GAP = 14


@dataclass(frozen=True, slots=True)
class Line:
    """One model's values along an axis; `best`: the place of the one to mark."""

    name: str
    series: str
    points: Sequence[Point]
    best: int | None = None


def lines_figure(
    title: str,
    lines: Sequence[Line],
    *,
    axis: str,
    across: str,
    note: str,
    groups: Sequence[tuple[str, str]] = (),
    span: float = 0.0,
    zero: str = "",
    most: float = math.inf,
) -> Figure:
    """Values along epochs, or over `groups` (a label and a second line for each; x is then their place).
    Intervals are drawn where points have some; a value of NaN leaves a gap. `span`: what the axis
    shows at least, `most`: the highest value that there can be. `zero`: what stands at 0, which the axis then
    shows."""
    label = f"{title}. " + "; ".join(
        f"{line.name}: " + ", ".join(f"{p.y:.4g}" for p in _few(line.points)) for line in lines
    )
    return both(
        title,
        lambda width: _lines(lines, width, axis, across, groups, span, zero, most),
        note=note,
        label=label,
    )


def _lines(
    lines: Sequence[Line],
    width: float,
    axis: str,
    across: str,
    groups: Sequence[tuple[str, str]],
    span: float,
    zero: str,
    most: float,
) -> Drawing:
    names = min(max((text_width(line.name, 11) for line in lines), default=0), 0.27 * width) + 20
    top, bottom, left, right = 28.0, 250.0, 50.0 if width >= WIDE else 42.0, width - names
    drawing = Drawing(width, bottom + (58 if groups else 44))
    values = [v for line in lines for p in line.points for v in (p.y, p.low, p.high)]
    low, high = value_range(values + ([0.0] if zero else []), span, most)
    xs = [p.x for line in lines for p in line.points]
    first, last = (-0.5, len(groups) - 0.5) if groups else (min(xs), max(max(xs), min(xs) + 1))

    def x_of(x: float) -> float:
        return left + (x - first) / (last - first) * (right - left)

    def y_of(value: float) -> float:
        return bottom - (value - low) / (high - low) * (bottom - top)

    left_axis(drawing, y_of, low, high, left, right, axis)
    if groups:
        for place, (name, more) in enumerate(groups):
            size = 11 if width >= WIDE else 10
            for below, text in ((12, name), (26, more)):
                drawing.text(x_of(place), bottom + below, text, kind="muted", anchor="middle", size=size)
        drawing.text(left, bottom + 46, fitted(across, width - left, 11), kind="muted", size=11)
    else:
        for value in ticks(first, last, 5 if width < WIDE else 8):
            if value == int(value):
                drawing.text(
                    x_of(value), bottom + 12, f"{value:,.0f}", kind="muted", anchor="middle", size=11
                )
        drawing.text(right, bottom + 30, across, kind="muted", anchor="end", size=11)
    drawing.line(left, bottom, right, bottom, "axis")
    if zero:
        drawing.line(left, y_of(0), right, y_of(0), "zero")
    _draw_lines(drawing, lines, x_of, y_of, 1.0 if groups else 0.0)
    _name_lines(drawing, lines, x_of, y_of, (top, bottom), right + 10, width)
    return drawing


def _few(points: Sequence[Point]) -> list[Point]:
    """What is told of a line in words: a long one's ends."""
    known = [point for point in points if not math.isnan(point.y)]
    return known if len(known) <= 6 else [known[0], known[-1]]


def _draw_lines(
    drawing: Drawing,
    lines: Sequence[Line],
    x_of: Callable[[float], float],
    y_of: Callable[[float], float],
    apart: float,
) -> None:
    """`apart`: how far the lines are moved aside, so that their intervals do not cover each other."""
    for place, line in enumerate(lines):
        shift = apart * (place - (len(lines) - 1) / 2) * min(6.0, 40.0 / max(len(lines), 1))
        spots = [(x_of(p.x) + shift, y_of(p.y)) for p in line.points]
        drawing.path(spots, f"{line.series} curve")
        for (x, y), point in zip(spots, line.points, strict=True):
            if not math.isnan(point.low):
                drawing.line(x, y_of(point.low), x, y_of(point.high), f"{line.series} whisker thin")
            if (apart or len(line.points) == 1) and not math.isnan(y):
                drawing.marker(x, y, line.series, radius=3.5)
        if line.best is not None:
            drawing.marker(*spots[line.best], line.series)


def _name_lines(
    drawing: Drawing,
    lines: Sequence[Line],
    x_of: Callable[[float], float],
    y_of: Callable[[float], float],
    reach: tuple[float, float],
    left: float,
    width: float,
) -> None:
    """Each name at the height of its line's last value, moved apart, with a stroke in its colour."""
    ends = [next((p for p in reversed(line.points) if not math.isnan(p.y)), None) for line in lines]
    named = [(line, end) for line, end in zip(lines, ends, strict=True) if end is not None]
    heights = spread([y_of(end.y) for _, end in named], _LABEL_GAP, *reach)
    for (line, end), y in zip(named, heights, strict=True):
        drawing.path([(min(x_of(end.x), left - 8), y_of(end.y)), (left - 4, y)], f"{line.series} leader")
        drawing.marker(left - 1, y, line.series, radius=3)
        drawing.text(left + 6, y, fitted(line.name, width - left - 6, 11), size=11)
