"""For whom and for what models do well: figures by activity of users and by popularity of items."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from recsys_ae.evaluation.intervals import Estimate, Units, bounds, by_activity, of_items
from recsys_ae.metrics import RECALL, Metric
from recsys_ae.reporting.axes import Figure, Point
from recsys_ae.reporting.lines import Line, lines_figure
from recsys_ae.results.benchmark import BenchmarkResult, Entry
from recsys_ae.results.benchmark_figures import Measured

_MOST_LINES = 6  # that can be told apart
_ALONE = "Bars: 95 % intervals of each model alone, over {word}. No group has fewer than 30."
_PAIRED = (
    "Bars: 95 % intervals of the paired difference, over {word}; not corrected for how many groups there are."
)


def group_figures(of: Measured, series: Mapping[str, str], result: BenchmarkResult) -> Iterator[Figure]:
    """The metric, and the differences to the reference, by how much users have rated and by how often items
    were rated. Lists are judged item by item by which of the held-out ratings they found."""
    shown = _few(of, result.config.reference)
    users = {entry.config.name: of.units.get(entry.config.name) for entry in shown}
    read = history_words(result.config.split.kind)
    yield from _groups(of.metric, users, series, result.config.reference, "users", read)
    metric = of.metric if of.metric.family == "rating" else RECALL.at(of.metric.cutoff or 1)
    items = {e.config.name: of_items([run.report for run in e.runs], metric) for e in shown}
    yield from _groups(metric, items, series, result.config.reference, "items", history_words(""))


def history_words(split: str) -> str:
    """What a model may read of a user whom it is tested on, by the kind of the split."""
    return "fold-in ratings" if split == "users" else "training ratings"


def _few(of: Measured, reference: str) -> list[Entry]:
    """The best models that are not far off, and the reference."""
    others = [entry for entry in of.near if entry.config.name != reference]
    kept = others[: _MOST_LINES - 1]
    return [entry for entry in of.entries if entry in kept or entry.config.name == reference]


def _groups(
    metric: Metric,
    units: Mapping[str, Units | None],
    series: Mapping[str, str],
    reference: str,
    word: Literal["users", "items"],
    read: str,
) -> Iterator[Figure]:
    known = {name: of for name, of in units.items() if of is not None}
    groups = bounds(next(iter(known.values()))) if known else []
    if len(groups) < 2:
        return
    what = "activity of users" if word == "users" else "popularity of items"
    unit, across = f"({metric.unit})", f"{read}; below, how many {word}"
    alone = {name: by_activity(of, metric, groups) for name, of in known.items()}
    if len({of.value for row in alone.values() for of in row if not math.isnan(of.value)}) < 2:
        return  # such as lists that hold the whole catalogue
    yield _figure(
        f"{metric.label} by {what}",
        alone,
        groups,
        series,
        across,
        axis=f"{metric.label} {unit}, {metric.direction}",
        note=f"{_of_groups(metric, word, read)} {_ALONE.format(word=word)}",
        most=metric.most,
    )
    base = known.pop(reference, None)
    if base is not None and known:
        better = "above 0 is better" if metric.higher_is_better else "below 0 is better"
        yield _figure(
            f"Difference in {metric.label} to {reference}, by {what}",
            {name: by_activity(of.against(base), metric, groups) for name, of in known.items()},
            groups,
            series,
            across,
            axis=f"difference in {metric.label}, {better}",
            note=_PAIRED.format(word=word),
            zero=reference,
        )


def _figure(
    title: str,
    found: Mapping[str, Sequence[Estimate]],
    groups: Sequence[tuple[int, int]],
    series: Mapping[str, str],
    across: str,
    *,
    axis: str,
    note: str,
    zero: str = "",
    most: float = math.inf,
) -> Figure:
    lines = [
        Line(name, series[name], [Point(name, "", x, of.value, of.low, of.high) for x, of in enumerate(row)])
        for name, row in found.items()
    ]
    counts = [max(row[place].n for row in found.values()) for place in range(len(groups))]
    labels = [f"{least:,}" if least == most else f"{least:,}\N{EN DASH}{most:,}" for least, most in groups]
    return lines_figure(
        title,
        [line for line in lines if not all(math.isnan(point.y) for point in line.points)],
        axis=axis,
        across=across,
        groups=[(label, f"{n:,}") for label, n in zip(labels, counts, strict=True)],
        note=note,
        zero=zero,
        most=most,
    )


def _of_groups(metric: Metric, word: str, read: str) -> str:
    if word == "users":
        return f"Users in groups by how many {read} they have."
    if metric.family == "rating":
        return "Items in groups by how many training ratings they have, with as many test ratings in each."
    return "Of the held-out ratings that count as hits, the share that stands in the list of its user."
