"""Pictures of runs, drawn on canvases of their own: no window, no global figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from recsys_ae.errors import ConfigError
from recsys_ae.files import replaced
from recsys_ae.metrics import Metric, sort_key
from recsys_ae.types import Epoch, FloatVector

# Okabe and Ito's palette, told apart with every kind of colour vision
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
INK, MUTED, GRID = "#22262b", "#6b7280", "#e5e7eb"

_MOST_LEVELS = 25
_METADATA = {"svg": {"Date": None, "Creator": None, "Format": None, "Type": None}, "png": {"Software": None}}


def plot_curves(epochs: Sequence[Epoch], path: Path, *, metric: Metric | None = None) -> None:
    """Loss by epoch, each term labelled; below it the validation score, with the best epoch marked.

    `metric`: what the scores are figures of. Without it, or without scores, there is no lower panel.
    """
    scored = [] if metric is None else [epoch for epoch in epochs if epoch.score is not None]
    figure = _figure(7.2, 5.0 if scored else 3.2)
    panels = figure.subplots(2 if scored else 1, 1, sharex=True, squeeze=False)[:, 0]
    _draw_loss(panels[0], [epoch for epoch in epochs if epoch.terms])  # epoch 0 has a score alone
    if metric is not None and scored:
        best = _draw_score(panels[1], scored, metric)
        for panel in panels:
            panel.axvline(best, color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    panels[-1].set_xlabel("epoch", color=INK)
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    _save(figure, path)


def plot_predictions(actual: FloatVector, predicted: FloatVector, path: Path) -> None:
    """For each actual rating, where the predictions fall: median, middle half and middle nine tenths, against
    the line of perfect predictions; above it, how many ratings there are of each.

    `actual`, `predicted`: (m,) in rating units. More than 25 different ratings are grouped.
    """
    actual, predicted = np.asarray(actual, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    levels, which, width = _levels(actual)
    figure = _figure(7.2, 5.0)
    counts, panel = figure.subplots(2, 1, sharex=True, height_ratios=(1, 3.6))
    _tidy(counts)
    _tidy(panel)
    counts.bar(
        levels, np.bincount(which, minlength=len(levels)), width=0.62 * width, color="#c3c9d1", zorder=2
    )
    counts.set_ylabel("ratings", color=INK)
    counts.yaxis.set_major_formatter(lambda count, place: f"{count:,.0f}")
    counts.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    quantiles = np.array([_quantiles(predicted[which == level]) for level in range(len(levels))])
    _draw_boxes(panel, levels, quantiles.reshape(-1, 5), width)
    panel.set_xlabel("actual rating", color=INK)
    panel.set_ylabel("predicted rating", color=INK)
    if len(levels) <= 12:
        panel.set_xticks(levels)
    _save(figure, path)


def plot_metric_bars(
    names: Sequence[str],
    values: Sequence[float],
    errors: Sequence[float] | None,
    *,
    metric: Metric,
    path: Path,
) -> None:
    """One line per model, best on top: its value and, where known, its confidence interval.

    `errors`: half-widths of the intervals, NaN or None for those unknown. Models without a value (NaN) stay
    in the picture as failed. Points, not bars: a bar must start at 0, where differences cannot be seen.
    """
    widths = np.full(len(names), np.nan) if errors is None else np.array(errors, dtype=np.float64)
    numbers = np.array(values, dtype=np.float64)
    keys = [sort_key(number, higher_is_better=metric.higher_is_better) for number in numbers]
    order = np.argsort(keys, kind="stable")
    figure = _figure(7.2, 1.1 + 0.36 * len(names))
    panel = figure.subplots()
    _tidy(panel, grid="x")
    for place, row in enumerate(order):
        _draw_estimate(panel, place, float(numbers[row]), float(widths[row]), first=place == 0)
    panel.set_yticks(range(len(names)), [names[row] for row in order], color=INK)
    panel.set_ylim(max(len(names), 1) - 0.5, -0.5)
    panel.margins(x=0.16)
    panel.set_xlabel(f"{metric.key}, {metric.unit}  ({metric.direction})", color=INK)
    _save(figure, path)


def _draw_loss(panel: Axes, epochs: Sequence[Epoch]) -> None:
    numbers = [epoch.number for epoch in epochs]
    names = list(dict.fromkeys(name for epoch in epochs for name in epoch.terms))  # phases have their own
    curves = {name: [epoch.terms.get(name, np.nan) for epoch in epochs] for name in names}
    totals = [epoch.total for epoch in epochs if epoch.total is not None]
    in_phases = any(set(epoch.terms) != set(names) for epoch in epochs)  # whose totals are no one curve
    if epochs and len(names) != 1 and len(totals) == len(epochs) and not in_phases:
        curves = {"total": totals, **curves}
    _tidy(panel)
    colours = dict(zip(curves, COLOURS * len(curves), strict=False))
    for name, values in curves.items():
        _draw_line(panel, numbers, values, colours[name])
    if totals and max(totals) > 20 * min(totals) and all(np.nanmin(values) > 0 for values in curves.values()):
        panel.set_yscale("log")
        panel.minorticks_off()
    if epochs:
        last = {name: values[-1] for name, values in curves.items() if name in {"total", *epochs[-1].terms}}
        _label_ends(panel, numbers[-1], last, colours)
        _label_phases(panel, {name: _first(epochs, name) for name in curves.keys() - last.keys()}, colours)
    panel.set_ylabel("training loss", color=INK)


def _draw_score(panel: Axes, scored: Sequence[Epoch], metric: Metric) -> int:
    """Draw the curve; the answer is the best epoch."""
    numbers = [epoch.number for epoch in scored]
    values = np.array([epoch.score for epoch in scored], dtype=np.float64)
    best = metric.best(values.tolist()) or 0
    _tidy(panel)
    _draw_line(panel, numbers, values, COLOURS[2])
    panel.plot(numbers[best], values[best], "o", color=COLOURS[1], markersize=6, zorder=4)
    late = numbers[best] > (numbers[0] + numbers[-1]) / 2
    panel.annotate(
        f"best: {values[best]:.4f} in epoch {numbers[best]}", (numbers[best], values[best]),
        xytext=(-10 if late else 10, 12 if metric.higher_is_better else -12), textcoords="offset points",
        ha="right" if late else "left", va="center", color=COLOURS[1], fontsize=9,
    )  # fmt: skip
    panel.margins(y=0.22)  # room for the words beyond the best point
    panel.set_ylabel(f"validation {metric.key}", color=INK)
    return numbers[best]


def _draw_line(panel: Axes, x: Sequence[float], y: Sequence[float] | FloatVector, colour: str) -> None:
    panel.plot(x, y, color=colour, linewidth=1.8, marker="o" if len(x) == 1 else None, markersize=4, zorder=3)


def _first(epochs: Sequence[Epoch], name: str) -> int:
    """The number of the first epoch with such a term."""
    return next(epoch.number for epoch in epochs if name in epoch.terms)


def _label_phases(panel: Axes, firsts: dict[str, int], colours: Mapping[str, str]) -> None:
    """The names of curves that end before the last epoch, each above its first epoch, a line each."""
    for row, name in enumerate(sorted(firsts, key=firsts.__getitem__, reverse=True)):
        panel.annotate(name, (firsts[name], 1.0), xycoords=("data", "axes fraction"), color=colours[name],
                       xytext=(0, 6 + 12 * row), textcoords="offset points", fontsize=9)  # fmt: skip


def _label_ends(panel: Axes, x: float, ends: dict[str, float], colours: Mapping[str, str]) -> None:
    """The name of each curve beside its end, moved apart where curves end close together."""
    panel.get_ylim()  # settles the limits, which the transform would else not know yet
    to_share = panel.transData + panel.transAxes.inverted()
    shares = to_share.transform([(x, end) for end in ends.values()])[:, 1]
    floor = -np.inf
    for row in np.argsort(shares):
        floor = max(float(shares[row]), floor + 0.08)
        panel.annotate(list(ends)[row], (x, floor), xycoords=("data", "axes fraction"), xytext=(6, 0),
                       textcoords="offset points", va="center", color=colours[list(ends)[row]], fontsize=9,
                       annotation_clip=False)  # fmt: skip


def _draw_boxes(panel: Axes, levels: FloatVector, quantiles: FloatVector, width: float) -> None:
    """`quantiles`: (n_levels, 5) at 5, 25, 50, 75 and 95 %."""
    low, lower, middle, upper, high = quantiles.T
    panel.vlines(levels, low, high, color=COLOURS[0], linewidth=1.3, zorder=2, label="90 % of predictions")
    panel.bar(levels, upper - lower, bottom=lower, width=0.5 * width, color="#9cc9e6", edgecolor=COLOURS[0],
              linewidth=0.8, zorder=3, label="50 %")  # fmt: skip
    panel.plot(levels, middle, "o", color=COLOURS[0], markersize=5, zorder=4, label="median")
    if len(levels):
        ends = [levels[0], levels[-1]]
        panel.plot(
            ends, ends, color=COLOURS[1], linewidth=1.2, linestyle=(0, (4, 3)), zorder=3.5, label="perfect"
        )
        panel.legend(frameon=False, fontsize=9, loc="upper left", labelcolor=INK)


def _draw_estimate(panel: Axes, place: int, value: float, width: float, *, first: bool) -> None:
    if np.isnan(value):
        panel.annotate("failed", (0.02, place), xycoords=("axes fraction", "data"), va="center", color=MUTED)
        return
    colour = COLOURS[0] if first else "#5b6672"
    if not np.isnan(width):
        panel.hlines(place, value - width, value + width, color=colour, linewidth=2.2, zorder=2)
    panel.plot(value, place, "o", color=colour, markersize=7, zorder=3)
    reach = value if np.isnan(width) else value + width
    label = f"{value:.4f}" if abs(value) < 10 else f"{value:,.4g}"
    panel.annotate(label, (reach, place), xytext=(8, 0), textcoords="offset points", va="center", color=INK,
                   fontsize=9)  # fmt: skip


def _levels(actual: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Positions on the axis, the level of each rating, and the distance between levels."""
    levels, which = np.unique(actual, return_inverse=True)
    if len(levels) > _MOST_LEVELS:
        edges = np.linspace(levels[0], levels[-1], _MOST_LEVELS + 1)
        which = np.clip(np.searchsorted(edges, actual, side="right") - 1, 0, _MOST_LEVELS - 1)
        levels = (edges[:-1] + edges[1:]) / 2
    width = float(np.diff(levels).min()) if len(levels) > 1 else 1.0
    return levels, which, width


def _quantiles(values: np.ndarray) -> np.ndarray:
    return np.quantile(values, (0.05, 0.25, 0.5, 0.75, 0.95)) if len(values) else np.full(5, np.nan)


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _tidy(panel: Axes, *, grid: Literal["x", "y"] = "y") -> None:
    panel.spines[["top", "right", "left" if grid == "y" else "bottom"]].set_visible(False)
    panel.spines[["left", "bottom"]].set_color(MUTED)
    panel.grid(axis=grid, color=GRID, linewidth=0.8)
    panel.set_axisbelow(True)
    panel.tick_params(colors=MUTED, labelsize=9, length=0)


def _save(figure: Figure, path: Path) -> None:
    """Write an SVG or PNG by the suffix; the same picture gives the same bytes. ConfigError for others."""
    kind = path.suffix.lstrip(".").lower()
    if kind not in _METADATA:
        raise ConfigError(f"{path}: plots are written as .svg or .png; choose one of these suffixes")
    with replaced(path) as temporary, mpl.rc_context({"svg.hashsalt": "recsys_ae"}):
        figure.savefig(temporary, format=kind, dpi=150, metadata=_METADATA[kind])
