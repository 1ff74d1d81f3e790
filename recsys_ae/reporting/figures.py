"""The figures of a page: intervals, quality against time, and lines, each for wide and for narrow windows.

No axis is shorter than what the intervals on it span, so that noise does not look like a finding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from recsys_ae.reporting.svg import (
    REFERENCE,
    Drawing,
    fitted,
    spread,
    text_width,
    tick_texts,
    ticks,
)

WIDE, NARROW = 600, 340  # pixels
_ROW, _AXIS = 25, 34
_LABEL_GAP = 14


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
class Mark:
    """One model in a figure: its value and interval (NaN: not known), and in `series` its colour on all of
    the page. `text`: the value as it is written beside it, or why there is none. `hollow`: it is not told
    apart from what it is held against."""

    name: str
    series: str
    value: float
    low: float
    high: float
    text: str
    hollow: bool = False


@dataclass(frozen=True, slots=True)
class Point:
    """One model in a plane: `x` with the rest as in `Mark`."""

    name: str
    series: str
    x: float
    y: float
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True, slots=True)
class Line:
    """One model's values along an axis; `best`: the place of the one to mark."""

    name: str
    series: str
    points: Sequence[Point]
    best: int | None = None


def _both(title: str, draw: Callable[[float], Drawing], *, note: str, label: str) -> Figure:
    wide, narrow = draw(WIDE).svg(label, "wide"), draw(NARROW).svg(label, "narrow")
    return Figure(title, wide, narrow, note, label)


def marks_figure(
    title: str,
    marks: Sequence[Mark],
    *,
    axis: str,
    note: str,
    zero: str = "",
    ends: tuple[str, str] = ("", ""),
) -> Figure:
    """A row for each model, in this order: its name, its value with its interval, and the number.

    `zero`: what stands at 0, which the axis then shows; else the interval of the reference is a band behind
    all rows. `ends`: what lies to the left and to the right.
    """
    label = f"{title}. " + "; ".join(f"{mark.name} {mark.text}" for mark in marks)
    return _both(title, lambda width: _marks(marks, width, axis, zero, ends), note=note, label=label)


def _marks(marks: Sequence[Mark], width: float, axis: str, zero: str, ends: tuple[str, str]) -> Drawing:
    names = min(max((text_width(mark.name) for mark in marks), default=0), 0.3 * width) + 10
    texts = max((text_width(mark.text) for mark in marks if not math.isnan(mark.value)), default=0) + 12
    top = 22 if any(ends) or zero else 6
    bottom = top + _ROW * len(marks)
    drawing = Drawing(width, bottom + _AXIS)
    left, right = names + 6, width - texts
    low, high = _range([v for m in marks for v in (m.value, m.low, m.high)] + ([0.0] if zero else []))

    def at(value: float) -> float:
        return left + (value - low) / (high - low) * (right - left)

    _bottom_axis(drawing, at, low, high, left, right, top, bottom, axis)
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
        _whisker(drawing, at, mark, y)
        drawing.marker(at(mark.value), y, mark.series, hollow=mark.hollow)
        drawing.text(width, y, mark.text, kind="number", anchor="end")
    return drawing


def _whisker(drawing: Drawing, at: Callable[[float], float], mark: Mark, y: float) -> None:
    if not math.isnan(mark.low):
        drawing.line(at(mark.low), y, at(mark.high), y, f"{mark.series} whisker")


def points_figure(
    title: str, points: Sequence[Point], *, axis: str, across: str, higher_is_better: bool, note: str
) -> Figure:
    """Quality against seconds on a logarithmic axis, each point named, with the front of those that nothing
    faster does better than."""
    label = f"{title}. " + "; ".join(f"{p.name}: {p.y:.4g} in {_seconds(p.x)}" for p in points)
    return _both(
        title, lambda width: _points(points, width, axis, across, higher_is_better), note=note, label=label
    )


def _points(points: Sequence[Point], width: float, axis: str, across: str, higher_is_better: bool) -> Drawing:
    height, top, bottom, left, right = 300.0, 28.0, 262.0, 50.0, width - 12
    drawing = Drawing(width, height)
    low, high = _range([v for p in points for v in (p.y, p.low, p.high)])
    times = [math.log10(max(point.x, 1e-3)) for point in points]
    first, last = min(times) - 0.15, max(times) + 0.15
    if (missing := 1.5 - (last - first)) > 0:  # a short axis would make little of a difference look large
        first, last = first - missing / 2, last + missing / 2

    def across_at(log: float) -> float:
        return left + (log - first) / (last - first) * (right - left)

    def up_at(value: float) -> float:
        return bottom - (value - low) / (high - low) * (bottom - top)

    _left_axis(drawing, up_at, low, high, left, right, axis)
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
        for down in (13, -13, 24, -24, 36, -36, 48, -48):
            corners += [(x + 12, y + down), (x - 7 - w, y + down), (x - w / 2, y + down)]
        inside = [(a, b) for a, b in corners if left <= a and a + w <= right + 12 and 16 < b < 258]
        boxes = [(a, b - 7, a + w, b + 7) for a, b in inside] or [(left, y - 7, left + w, y + 7)]
        best = min(boxes, key=lambda box: sum(_overlap(box, other) for other in taken))
        taken.append(best)
        middle = (best[1] + best[3]) / 2
        drawing.text(best[0], middle, name, kind="name")
        if middle != y:  # not clearly beside its point
            drawing.marker(best[0] - 6, middle, point.series, radius=3)


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(width, 0.0) * max(height, 0.0)


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
) -> Figure:
    """Values along epochs, or over `groups` (a label and a second line for each; x is then their place).
    Intervals are drawn where points have some; a value of NaN leaves a gap. `span`: what the axis
    shows at least. `zero`: what stands at 0, which the axis then shows."""
    label = f"{title}. " + "; ".join(
        f"{line.name}: " + ", ".join(f"{p.y:.4g}" for p in _few(line.points)) for line in lines
    )
    return _both(
        title, lambda width: _lines(lines, width, axis, across, groups, span, zero), note=note, label=label
    )


def _lines(
    lines: Sequence[Line],
    width: float,
    axis: str,
    across: str,
    groups: Sequence[tuple[str, str]],
    span: float,
    zero: str,
) -> Drawing:
    names = min(max((text_width(line.name, 11) for line in lines), default=0), 0.27 * width) + 16
    top, bottom, left, right = 28.0, 250.0, 50.0 if width >= WIDE else 42.0, width - names
    drawing = Drawing(width, bottom + (58 if groups else 44))
    values = [v for line in lines for p in line.points for v in (p.y, p.low, p.high)]
    low, high = _range(values + ([0.0] if zero else []), span)
    xs = [p.x for line in lines for p in line.points]
    first, last = (-0.5, len(groups) - 0.5) if groups else (min(xs), max(max(xs), min(xs) + 1))

    def x_of(x: float) -> float:
        return left + (x - first) / (last - first) * (right - left)

    def y_of(value: float) -> float:
        return bottom - (value - low) / (high - low) * (bottom - top)

    _left_axis(drawing, y_of, low, high, left, right, axis)
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


def _left_axis(
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


def _bottom_axis(
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


def _range(values: Iterable[float], span: float = 0.0) -> tuple[float, float]:
    """From the lowest to the highest number, at least `span`, with a little room on both sides."""
    known = [value for value in values if math.isfinite(value)]
    low, high = min(known, default=0.0), max(known, default=1.0)
    if (missing := span - (high - low)) > 0:
        low, high = low - missing / 2, high + missing / 2
    room = 0.06 * (high - low) or 0.05 * abs(high) or 0.5
    return low - room, high + room


def _seconds(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.2g} min" if seconds < 6000 else f"{seconds / 3600:.2g} h"
