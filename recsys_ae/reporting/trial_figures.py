"""Figures of a search: scores one after the other, against each setting, and what mattered."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from recsys_ae.reporting.axes import WIDE, Figure, both, left_axis, value_range
from recsys_ae.reporting.svg import Drawing, fitted, text_width, tick_texts, ticks

_TOP, _BOTTOM = 28.0, 230.0
_BEST, _OTHER = "s1", "s0"


@dataclass(frozen=True, slots=True)
class Scored:
    """One trial: its score, whether it is the best, and whether it ended early."""

    number: int
    score: float
    best: bool = False
    pruned: bool = False


def trials_figure(
    title: str, trials: Sequence[Scored], *, axis: str, higher_is_better: bool, note: str
) -> Figure:
    """The score of each trial, and the line of the best so far."""
    best = next((trial for trial in trials if trial.best), None)
    label = f"{title}. {len(trials)} trials" + (
        f"; best: trial {best.number}, {best.score:.4g}" if best else ""
    )
    return both(title, lambda width: _trials(trials, width, axis, higher_is_better), note=note, label=label)


def _trials(trials: Sequence[Scored], width: float, axis: str, higher_is_better: bool) -> Drawing:
    last = max((trial.number for trial in trials), default=1)
    first, end = 0.5, last + 0.5
    scored = [(trial.number, trial) for trial in trials]
    drawing, x_of, y_of = _plane(scored, width, axis, (first, end), higher_is_better)
    for value in ticks(1, max(last, 2), 5 if width < WIDE else 8):
        if value == int(value) and value <= last:
            drawing.text(x_of(value), _BOTTOM + 12, f"{value:,.0f}", kind="muted", anchor="middle", size=11)
    drawing.text(width - 12, _BOTTOM + 30, "trial", kind="muted", anchor="end", size=11)
    steps, so_far = [], math.nan
    for trial in sorted(trials, key=lambda trial: trial.number):
        is_better = math.isnan(so_far) or (trial.score > so_far if higher_is_better else trial.score < so_far)
        if is_better and not math.isnan(so_far):
            steps.append((x_of(trial.number), y_of(so_far)))
        so_far = trial.score if is_better else so_far
        steps.append((x_of(trial.number), y_of(so_far)))
    drawing.path(steps, "front")
    _dots(drawing, scored, x_of, y_of)
    return drawing


def setting_figure(
    name: str,
    found: Sequence[tuple[float, Scored]],
    *,
    axis: str,
    reach: tuple[float, float],
    higher_is_better: bool,
    log: bool = False,
    names: Sequence[str] = (),
) -> Figure:
    """Scores against the values of one setting: numbers from `reach`, or places among the `names`."""
    label = f"{name}: {axis} of {len(found)} trials by its value"
    return both(
        name,
        lambda width: _setting(found, width, axis, reach, higher_is_better, log, names),
        note="",
        label=label,
    )


def _setting(
    found: Sequence[tuple[float, Scored]],
    width: float,
    axis: str,
    reach: tuple[float, float],
    higher_is_better: bool,
    log: bool,
    names: Sequence[str],
) -> Drawing:
    if log:
        found = [(math.log10(value), trial) for value, trial in found]
        reach = math.log10(reach[0]), math.log10(reach[1])
    room = 0.04 * (reach[1] - reach[0]) or 0.5
    ends = (-0.5, len(names) - 0.5) if names else (reach[0] - room, reach[1] + room)
    drawing, x_of, y_of = _plane(found, width, axis, ends, higher_is_better)
    for place, text in _marks_across(reach, log, names, 4 if width < WIDE else 7):
        shown = fitted(text, (width - 62) / max(len(names), 1) - 4, 11) if names else text
        drawing.text(x_of(place), _BOTTOM + 12, shown, kind="muted", anchor="middle", size=11)
    _dots(drawing, found, x_of, y_of)
    return drawing


def _marks_across(
    reach: tuple[float, float], log: bool, names: Sequence[str], most: int
) -> list[tuple[float, str]]:
    """(place, text) below the axis."""
    if names:
        return list(enumerate(names))
    if not log:
        values = ticks(*reach, most)
        return list(zip(values, tick_texts(values), strict=True))
    whole = [float(n) for n in range(math.ceil(reach[0] - 1e-9), math.floor(reach[1] + 1e-9) + 1)]
    places = whole[:: max(1, -(-len(whole) // most))] if len(whole) > 1 else [reach[0], reach[1]]
    return [(place, f"{10.0**place:,.6g}") for place in places]


def shares_figure(title: str, shares: Mapping[str, float], *, note: str) -> Figure:
    """A bar for each setting, the longest first."""
    rows = sorted(shares.items(), key=lambda row: -row[1])
    label = f"{title}. " + "; ".join(f"{name} {share:.0%}" for name, share in rows)
    return both(title, lambda width: _shares(rows, width), note=note, label=label)


def _shares(rows: Sequence[tuple[str, float]], width: float) -> Drawing:
    left = min(max((text_width(name) for name, _ in rows), default=0.0), 0.4 * width) + 10
    drawing = Drawing(width, 8 + 26 * len(rows))
    for place, (name, share) in enumerate(rows):
        y = 6 + 26 * place
        drawing.text(0, y + 8, fitted(name, left - 8))
        drawing.box(left, y, max(share * (width - left - 46), 1), 16, f"{_OTHER} dot")
        drawing.text(width, y + 8, f"{share:.0%}", kind="number", anchor="end")
    return drawing


def _plane(
    found: Sequence[tuple[float, Scored]],
    width: float,
    axis: str,
    ends: tuple[float, float],
    higher_is_better: bool,
) -> tuple[Drawing, Callable[[float], float], Callable[[float], float]]:
    """An empty plane, with where values stand in it. What is far worse than the usual stands at its edge."""
    drawing, left, right = Drawing(width, _BOTTOM + 44), 52.0, width - 12
    sign = -1.0 if higher_is_better else 1.0
    losses = sorted(sign * trial.score for _, trial in found)
    limit = losses[0] + 4 * (losses[len(losses) // 2] - losses[0]) if losses else 0.0
    low, high = value_range(sign * loss for loss in losses if loss <= limit or len(losses) < 4)

    def x_of(x: float) -> float:
        return left + (x - ends[0]) / (ends[1] - ends[0]) * (right - left)

    def y_of(value: float) -> float:
        return _BOTTOM - (min(max(value, low), high) - low) / (high - low) * (_BOTTOM - _TOP)

    left_axis(drawing, y_of, low, high, left, right, axis)
    drawing.line(left, _BOTTOM, right, _BOTTOM, "axis")
    return drawing, x_of, y_of


def _dots(
    drawing: Drawing,
    found: Sequence[tuple[float, Scored]],
    x_of: Callable[[float], float],
    y_of: Callable[[float], float],
) -> None:
    """Those that ended early hollow, the best one last and larger."""
    for x, trial in sorted(found, key=lambda each: each[1].best):
        series, radius = (_BEST, 6.0) if trial.best else (_OTHER, 4.0)
        drawing.marker(x_of(x), y_of(trial.score), series, radius=radius, hollow=trial.pruned)
