"""Figures of models side by side: their values with intervals, and quality against time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from recsys_ae.reporting.axes import Figure, Point, both, bottom_axis, left_axis, value_range
from recsys_ae.reporting.svg import REFERENCE, Drawing, fitted, text_width

_ROW, _AXIS = 25, 34


@dataclass(frozen=True, slots=True)
class Mark:
    """One model in a figure: its value and interval (NaN: not known), and in `series` its colour on all of
    the page. `text`: the value as it is written beside it, or why there is none. `hollow`: it is not told
    apart from what it is held against. `far`: it lies beyond the axis, to which an arrow points."""

    name: str
    series: str
    value: float
    low: float
    high: float
    text: str
    hollow: bool = False
    far: bool = False


def marks_figure(
    title: str,
    marks: Sequence[Mark],
    *,
    axis: str,
    note: str,
    zero: str = "",
    ends: tuple[str, str] = ("", ""),
    most: float = math.inf,
) -> Figure:
    """A row for each model, in this order: its name, its value with its interval, and the number.

    `zero`: what stands at 0, which the axis then shows; else the interval of the reference is a band behind
    all rows. `ends`: what lies to the left and to the right. `most`: the highest value that there can be.
    """
    label = f"{title}. " + "; ".join(f"{mark.name} {mark.text}" for mark in marks)
    return both(title, lambda width: _marks(marks, width, axis, zero, ends, most), note=note, label=label)


def _marks(
    marks: Sequence[Mark], width: float, axis: str, zero: str, ends: tuple[str, str], most: float
) -> Drawing:
    names = min(max((text_width(mark.name) for mark in marks), default=0), 0.3 * width) + 10
    texts = max((text_width(mark.text) for mark in marks if not math.isnan(mark.value)), default=0) + 12
    top = 22 if any(ends) or zero else 6
    bottom = top + _ROW * len(marks)
    drawing = Drawing(width, bottom + _AXIS)
    left, right = names + 6, width - texts
    near = [v for m in marks if not m.far for v in (m.value, m.low, m.high)]
    low, high = value_range(near + ([0.0] if zero else []), most=most)

    def at(value: float) -> float:
        return left + (value - low) / (high - low) * (right - left)

    bottom_axis(drawing, at, low, high, left, right, top, bottom, axis)
    for mark in marks:
        if mark.series == REFERENCE and not zero and not math.isnan(mark.low):
            drawing.box(at(mark.low), top, max(at(mark.high) - at(mark.low), 1), bottom - top, "band")
    if zero:
        drawing.line(at(0), top - 4, at(0), bottom, "zero")
    for text, x, anchor in ((ends[0], at(0) - 8, "end"), (ends[1], at(0) + 8, "start")) if zero else ():
        room = at(0) - left if anchor == "end" else width - at(0)
        if text_width(text, 11) <= room - 4:
            drawing.text(x, top - 12, text, kind="muted", anchor=anchor, size=11)
    for place, mark in enumerate(marks):
        y = top + _ROW * (place + 0.5)
        drawing.text(0, y, fitted(mark.name, names - 8))
        if math.isnan(mark.value):
            drawing.text(left + 4, y, fitted(mark.text, width - left - 8), kind="muted")
            continue
        if mark.far:
            end, back = (right, -6) if mark.value > low else (left, 6)
            drawing.path([(end + back, y - 5), (end, y), (end + back, y + 5)], f"{mark.series} curve")
        else:
            _whisker(drawing, at, mark, y)
            drawing.marker(at(mark.value), y, mark.series, hollow=mark.hollow)
        drawing.text(width, y, mark.text, kind="number", anchor="end")
    return drawing


def _whisker(drawing: Drawing, at: Callable[[float], float], mark: Mark, y: float) -> None:
    if not math.isnan(mark.low):
        drawing.line(at(mark.low), y, at(mark.high), y, f"{mark.series} whisker")


def points_figure(
    title: str,
    points: Sequence[Point],
    *,
    axis: str,
    across: str,
    higher_is_better: bool,
    note: str,
    most: float = math.inf,
) -> Figure:
    """Quality against seconds on a logarithmic axis, each point named, with the front of those that nothing
    faster does better than. `most`: the highest value that there can be."""
    label = f"{title}. " + "; ".join(f"{p.name}: {p.y:.4g} in {_seconds(p.x)}" for p in points)
    return both(
        title,
        lambda width: _points(points, width, axis, across, higher_is_better, most),
        note=note,
        label=label,
    )


def _points(
    points: Sequence[Point], width: float, axis: str, across: str, higher_is_better: bool, most: float
) -> Drawing:
    height, top, bottom, left, right = 300.0, 28.0, 262.0, 50.0, width - 12
    drawing = Drawing(width, height)
    low, high = value_range([v for p in points for v in (p.y, p.low, p.high)], most=most)
    times = [math.log10(max(point.x, 1e-3)) for point in points]
    first, last = min(times) - 0.15, max(times) + 0.15
    if (missing := 1.5 - (last - first)) > 0:  # a short axis would make little of a difference look large
        first, last = first - missing / 2, last + missing / 2

    def across_at(log: float) -> float:
        return left + (log - first) / (last - first) * (right - left)

    def up_at(value: float) -> float:
        return bottom - (value - low) / (high - low) * (bottom - top)

    left_axis(drawing, up_at, low, high, left, right, axis)
    for decade in _decades(first, last):
        drawing.line(across_at(decade), top, across_at(decade), bottom, "grid")
        drawing.text(
            across_at(decade), bottom + 12, _seconds(10.0**decade), kind="muted", anchor="middle", size=11
        )
    drawing.line(left, bottom, right, bottom, "axis")
    drawing.text(right, bottom + 30, across, kind="muted", anchor="end", size=11)
    places = [(across_at(time), up_at(point.y)) for time, point in zip(times, points, strict=True)]
    drawing.path(_front(places, higher_is_better), "front")
    for point, (x, y) in zip(points, places, strict=True):
        if not math.isnan(point.low):
            drawing.line(x, up_at(point.low), x, up_at(point.high), f"{point.series} whisker")
        drawing.marker(x, y, point.series)
    bars = [
        (x - 3, up_at(point.high), x + 3, up_at(point.low))
        for point, (x, _) in zip(points, places, strict=True)
        if not math.isnan(point.low)
    ]
    _name_points(drawing, points, places, left, right, bars)
    return drawing


def _decades(first: float, last: float) -> list[float]:
    """Where round numbers of seconds stand on an axis of logarithms: 1 and 10, in between 2 and 5 where there
    is room."""
    steps = [0.0] if last - first > 2.5 else [0.0, math.log10(2), math.log10(5)]
    logs = [whole + step for whole in range(math.floor(first), math.ceil(last) + 1) for step in steps]
    return [log for log in logs if first <= log <= last]


def _front(places: Sequence[tuple[float, float]], higher_is_better: bool) -> list[tuple[float, float]]:
    """The corners of the steps below which nothing lies, from the fastest to the best."""
    steps: list[tuple[float, float]] = []
    for x, y in sorted(places, key=lambda place: (place[0], place[1] if higher_is_better else -place[1])):
        if not steps or (y < steps[-1][1] if higher_is_better else y > steps[-1][1]):
            steps += [(x, steps[-1][1])] if steps else []
            steps.append((x, y))
    return steps


def _name_points(
    drawing: Drawing,
    points: Sequence[Point],
    places: Sequence[tuple[float, float]],
    left: float,
    right: float,
    bars: Sequence[tuple[float, ...]],
) -> None:
    """Each name beside its point, where it covers neither a point nor another name, if there is room."""
    taken: list[tuple[float, ...]] = [(x - 6, y - 6, x + 6, y + 6) for x, y in places]
    taken += bars
    for point, (x, y) in zip(points, places, strict=True):
        name = fitted(point.name, 0.42 * (right - left))
        w = text_width(name)
        corners = [(x + 9, y), (x - 9 - w, y)]
        for down in (13, -13, 24, -24, 36, -36, 48, -48, 60, -60):
            corners += [(x + 12, y + down), (x - 7 - w, y + down), (x - w / 2, y + down)]
        inside = [(a, b) for a, b in corners if left <= a and a + w <= right + 12 and 16 < b < 258]
        boxes = [(a - 10 * (b != y), b - 7, a + w, b + 7) for a, b in inside] or [
            (left, y - 7, left + w, y + 7)
        ]
        best = min(boxes, key=lambda box: sum(_overlap(box, other) for other in taken))
        taken.append(best)
        middle = (best[1] + best[3]) / 2
        drawing.text(best[2] - w, middle, name, kind="name")
        if middle != y:  # not clearly beside its point
            drawing.marker(best[2] - w - 6, middle, point.series, radius=3)


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(width, 0.0) * max(height, 0.0)


def _seconds(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.2g} min" if seconds < 6000 else f"{seconds / 3600:.2g} h"
