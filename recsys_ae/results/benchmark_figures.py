"""The figures on the page of a benchmark, from its values."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from recsys_ae.evaluation.intervals import Estimate, Units, of_users
from recsys_ae.metrics import Metric, find_metric, main_metrics, sort_key
from recsys_ae.reporting.axes import Figure, Point
from recsys_ae.reporting.figures import Mark, marks_figure, points_figure
from recsys_ae.reporting.lines import Line, lines_figure
from recsys_ae.reporting.svg import REFERENCE, series_of
from recsys_ae.reporting.tables import DECIMALS
from recsys_ae.results.benchmark import BenchmarkResult, Entry, rating_decimals
from recsys_ae.results.folder import read_epochs
from recsys_ae.results.result import VALIDATION

_TOLD = 0.05


@dataclass(frozen=True, slots=True)
class Measured:
    """One main metric: its models, best first, with the intervals of their figures. `far`: the models so much
    worse that an axis which shows them shows nothing of the others."""

    metric: Metric
    entries: tuple[Entry, ...]
    estimates: Mapping[str, Estimate]
    units: Mapping[str, Units]
    far: frozenset[str]

    @property
    def axis(self) -> str:
        return f"{self.metric.label} ({self.metric.unit}), {self.metric.direction}"

    @property
    def near(self) -> list[Entry]:
        """The models that are not far."""
        return [entry for entry in self.entries if entry.config.name not in self.far]

    @property
    def left_out(self) -> str:
        """Which models a figure lacks, in a sentence with a space before it; "" where it has all."""
        names = [entry.config.name for entry in self.entries if entry.config.name in self.far]
        return f" Far off and not shown: {', '.join(names)}." if names else ""


def measured(result: BenchmarkResult) -> list[Measured]:
    """The main metrics that any model has."""
    found = []
    for metric in main_metrics(result.config.evaluation.cutoffs[0]):
        entries = [e for e in result.entries if e.error is None and metric.key in e.means()]
        units = {e.config.name: of_users([run.report for run in e.runs], metric) for e in entries}
        known = {name: of for name, of in units.items() if of is not None}
        estimates = {name: of.estimate(metric) for name, of in known.items()}
        entries.sort(key=lambda e: _rank(e, metric))
        if entries:
            far = _far(entries, metric, estimates, result.config.reference)
            found.append(Measured(metric, tuple(entries), estimates, known, far))
    return found


def _far(
    entries: Sequence[Entry], metric: Metric, estimates: Mapping[str, Estimate], reference: str
) -> frozenset[str]:
    """The last of the models, if they are five times as far from the best as what all before them span; never
    one of the first three, nor the reference."""
    names = [entry.config.name for entry in entries]
    values = [entry.means()[metric.key] for entry in entries]
    for place in range(max(3, names.index(reference) + 1 if reference in names else 0), len(names)):
        reach = [v for name in names[:place] for v in (estimates[name].low, estimates[name].high)]
        near = [v for v in (*reach, *values[:place]) if math.isfinite(v)]
        if abs(values[place] - values[0]) > 5 * (max(near) - min(near)):
            return frozenset(names[place:])
    return frozenset()


def _rank(entry: Entry, metric: Metric) -> float:
    return sort_key(entry.means()[metric.key], higher_is_better=metric.higher_is_better)


def colours(result: BenchmarkResult, found: Sequence[Measured]) -> dict[str, str]:
    """Name -> series, one on the whole page: the first of each metric get colours of their own first."""
    order = [
        e.config.name for place in range(len(result.entries)) for of in found for e in of.entries[place:][:1]
    ]
    others = [name for name in dict.fromkeys(order) if name != result.config.reference]
    series = {name: series_of(place) for place, name in enumerate(others)}
    return {**series, result.config.reference: REFERENCE}


def value_figures(result: BenchmarkResult, of: Measured, series: Mapping[str, str]) -> Iterator[Figure]:
    """What each model reaches, and its differences to the reference."""
    metric, decimals = of.metric, _decimals(result, of.metric)
    marks = []
    for entry in of.entries:
        name, value = entry.config.name, entry.means()[metric.key]
        interval = of.estimates.get(name, Estimate(value, math.nan, math.nan, 0))
        text, is_far = f"{value:.{decimals}f}", name in of.far
        marks.append(Mark(name, series[name], value, interval.low, interval.high, text, far=is_far))
    marks += [
        Mark(e.config.name, series.get(e.config.name, REFERENCE), math.nan, math.nan, math.nan, "no result")
        for e in result.entries
        if e.error is not None
    ]
    seeds = len(result.config.seeds)
    over = (
        "other users would change"
        if seeds == 1
        else f"other users and other seeds ({seeds} here) would change"
    )
    alone = (
        f"Bars: 95 % intervals of each model alone, for what {over}. All models meet the same users, so that "
        "two of them may differ although their bars overlap."
        + (" Grey band: the reference." if result.config.reference in of.estimates else "")
        + (" Arrow: beyond the axis." if of.far else "")
    )
    yield marks_figure(f"{metric.label} on the test part", marks, axis=of.axis, note=alone, most=metric.most)
    yield from _difference_figure(result, of, series)


def _difference_figure(result: BenchmarkResult, of: Measured, series: Mapping[str, str]) -> Iterator[Figure]:
    """Nothing where the reference is the only model, or failed."""
    metric, decimals = of.metric, _decimals(result, of.metric)
    compared = [d for d in result.differences if d.metric == metric.key]
    compared.sort(key=lambda d: sort_key(d.difference, higher_is_better=metric.higher_is_better))
    if compared:
        yield marks_figure(
            f"Difference in {metric.label} to {result.config.reference}",
            [
                Mark(
                    d.name,
                    series[d.name],
                    d.difference,
                    d.low,
                    d.high,
                    f"{d.difference:+.{decimals}f}".replace("-", "−"),
                    hollow=bool(d.note) or d.p_adjusted >= _TOLD,
                    far=d.name in of.far,
                )
                for d in compared
            ],
            axis=f"difference in {metric.label} ({metric.unit})",
            zero=result.config.reference,
            ends=("← worse", "better →") if metric.higher_is_better else ("← better", "worse →"),
            note="Bars: 95 % intervals of the paired difference. Hollow: not told apart from the reference "
            "(p of 0.05 or more by Holm's method, or too few users).",
        )  # fmt: skip


def time_figure(of: Measured, series: Mapping[str, str]) -> Figure:
    """Quality against the seconds of a fit."""
    points = []
    for entry in of.near:
        name = entry.config.name
        interval = of.estimates.get(name)
        reach = (interval.low, interval.high) if interval else (math.nan, math.nan)
        seconds = entry.costs()["fit_seconds"]
        points.append(Point(name, series[name], seconds, entry.means()[of.metric.key], *reach))
    return points_figure(
        f"{of.metric.label} against the time of a fit",
        points,
        axis=of.axis,
        across="time of a fit, logarithmic",
        higher_is_better=of.metric.higher_is_better,
        most=of.metric.most,
        note="Dashed: the best for the time. Bars as above. The choice of settings is not in the time."
        + of.left_out,
    )


def curve_figures(
    result: BenchmarkResult, found: Sequence[Measured], series: Mapping[str, str]
) -> Iterator[Figure]:
    """Validation scores by epoch, of the first seed; a figure for each metric that epochs were chosen by."""
    curves: dict[str, list[Line]] = {}
    for entry in result.entries:
        if entry.error is not None:
            continue
        run = entry.runs[0]
        name = f"{VALIDATION}{run.fit.metric}"
        scores = {number: values[name] for number, values in read_epochs(run.folder) if name in values}
        if run.fit.metric is None or len(scores) < 2:
            continue
        best = list(scores).index(run.fit.best_epoch) if run.fit.best_epoch in scores else None
        points = [Point("", "", float(number), score) for number, score in scores.items()]
        curves.setdefault(run.fit.metric, []).append(
            Line(entry.config.name, series[entry.config.name], points, best)
        )
    for key, lines in curves.items():
        metric = find_metric(key)
        if metric is None:
            continue
        span = _paired_span(result, key)
        cut, was_cut = _without_starts(lines, metric, span)
        yield lines_figure(
            f"{metric.label} on validation ratings, epoch by epoch",
            cut,
            axis=f"{metric.label} ({metric.unit}), {metric.direction}",
            across="epoch",
            span=span,
            most=metric.most,
            note="Marked: the epoch that was kept; epoch 0 is what training begins with. First seed, chosen "
            "settings." + (" Starts far from all ends are cut off." if was_cut else ""),
        )


def _paired_span(result: BenchmarkResult, key: str) -> float:
    """The usual width of the interval of a difference on the test part: what differs by less may be noise. 0
    where none is known."""
    widths = [found.high - found.low for found in result.differences if found.metric == key]
    known = sorted(width for width in widths if math.isfinite(width))
    return known[len(known) // 2] if known else 0.0


def _without_starts(lines: Sequence[Line], metric: Metric, span: float) -> tuple[list[Line], bool]:
    """The lines without values far beyond the worst of their best ones, which would flatten all else."""
    sign = -1.0 if metric.higher_is_better else 1.0
    bests = [min(sign * p.y for p in line.points) for line in lines]
    limit = max(bests) + max(2 * (max(bests) - min(bests)), 2 * span, 0.05 * abs(max(bests)))
    cut = []
    for line in lines:
        points = [p if sign * p.y <= limit else Point("", "", p.x, math.nan) for p in line.points]
        cut.append(Line(line.name, line.series, points, line.best))
    return cut, any(math.isnan(p.y) for line in cut for p in line.points)


def _decimals(result: BenchmarkResult, metric: Metric) -> int:
    return rating_decimals(result) if metric.family == "rating" else DECIMALS
