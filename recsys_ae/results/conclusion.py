"""What a benchmark shows, in a sentence for predicted ratings and one for lists: which model, by how much,
and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from recsys_ae.evaluation.comparison import Difference, compare, holm
from recsys_ae.metrics import Metric, find_metric, is_ranking_metric, is_rating_metric, main_metrics
from recsys_ae.reporting.tables import DECIMALS, error_decimals
from recsys_ae.results.benchmark import BenchmarkResult, Entry, stopped_note
from recsys_ae.results.choice import first_of, validation_scores
from recsys_ae.results.readable import listed
from recsys_ae.results.result import json_values

_LEVEL = 0.05  # of the p-value by Holm's method, below which two models are told apart
_MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Conclusion:
    """About one metric. `model`: the first by validation scores, which the test part has no say in; None
    where the models have no such scores that can be compared. `against`: of every other model, its difference
    to `model`. p-values are by Holm's method: of the pair with the benchmark's reference over the differences
    of its table, of all other pairs over those of both conclusions."""

    metric: Metric
    model: str | None
    sentence: str
    against: tuple[Difference, ...] = ()

    def to_json(self) -> dict[str, Any]:
        found = {other.name: other.to_json() for other in self.against}
        return {"metric": self.metric.key, "model": self.model, "sentence": self.sentence, "others": found}


def conclusions(result: BenchmarkResult) -> list[Conclusion]:
    """One for each main metric that any model has, made once for a result."""
    if "conclusions" not in result.derived:
        result.derived["conclusions"] = _conclusions(result)
    return list(result.derived["conclusions"])


def _conclusions(result: BenchmarkResult) -> list[Conclusion]:
    firsts = {metric: _scores(result, metric) for metric in _metrics(result)}
    against = _against(result, {metric: first_of(scores) for metric, scores in firsts.items()})
    return [_conclude(result, metric, scores, against.get(metric, ())) for metric, scores in firsts.items()]


def document_of(result: BenchmarkResult) -> dict[str, Any]:
    """The benchmark's JSON document, with its conclusions."""
    found = [one.to_json() for one in conclusions(result)]
    return json_values({**result.to_json(), "conclusions": found})


def conclusion_lines(result: BenchmarkResult) -> list[str]:
    """What was not run, the sentences, then what `conclusion_notes` says of them."""
    found = conclusions(result)
    sentences = [stopped_note(result), *([one.sentence for one in found] or [nothing(result)])]
    return list(filter(None, sentences)) + conclusion_notes(result, found)


def nothing(result: BenchmarkResult) -> str:
    """Why there is no conclusion."""
    if all(entry.error is not None for entry in result.entries):
        return "No model has a result, and there is nothing to conclude."
    return "The split holds nothing out that a model could be tested on, and there is nothing to conclude."


def conclusion_notes(result: BenchmarkResult, found: Sequence[Conclusion]) -> list[str]:
    """How the figures of the sentences are read, and which models are in none of them."""
    lines = []
    tested = [other for one in found for other in one.against if not other.note]
    if tested:
        n_seeds = max(other.n_seeds for other in tested)
        reach = "of one split and fit" if n_seeds == 1 else f"and {n_seeds} seeds"
        lines.append(f"± is half of a 95 % interval over users {reach}; p is corrected by Holm's method.")
    if failed := [entry.config.name for entry in result.entries if entry.has_failed]:
        lines.append(f"Without a result: {listed(failed)}.")
    return lines


def _metrics(result: BenchmarkResult) -> list[Metric]:
    wanted = main_metrics(result.config.evaluation.cutoffs[0])
    return [metric for metric in wanted if any(_has(entry, metric) for entry in result.entries)]


def _has(entry: Entry, metric: Metric) -> bool:
    return entry.error is None and metric.key in entry.means()


def _scores(result: BenchmarkResult, metric: Metric) -> dict[str, tuple[str, float]]:
    """Name -> a metric and its mean validation score, of the models that have `metric` and validation scores
    by one of its family."""
    rows = [
        {
            "name": entry.config.name,
            "error": entry.error,
            "validation": [
                {"metric": v.metric, "score": _number(v.score), "also": v.also} for v in entry.validations()
            ],
        }
        for entry in result.entries
        if _has(entry, metric)
    ]
    return validation_scores(rows, is_rating_metric if metric.family == "rating" else is_ranking_metric)


def _number(score: float | None) -> float | None:
    return score if score is not None and math.isfinite(score) else None


def _against(
    result: BenchmarkResult, firsts: Mapping[Metric, str | None]
) -> dict[Metric, tuple[Difference, ...]]:
    """Of every other model its difference to the first by each metric."""
    found = {metric: _differences(result, metric, first) for metric, first in firsts.items() if first}
    apart = [
        (metric, place)
        for metric, ones in found.items()
        for place, one in enumerate(ones)
        if not one.note and result.config.reference not in (one.name, firsts[metric])
    ]
    adjusted = holm(np.array([found[metric][place].p_value for metric, place in apart]))
    for (metric, place), p in zip(apart, adjusted, strict=True):
        found[metric][place] = replace(found[metric][place], p_adjusted=float(p))
    return {metric: tuple(ones) for metric, ones in found.items()}


def _differences(result: BenchmarkResult, metric: Metric, first: str) -> list[Difference]:
    """Those of the table where it has them, the signs turned where the first is not its reference."""
    reports = {e.config.name: [run.report for run in e.runs] for e in result.entries if _has(e, metric)}
    reference = result.config.reference
    known = {(found.name, found.metric): found for found in result.differences}
    ones = compare(reports, reference=first, metrics=[metric])
    for place, one in enumerate(ones):
        if first == reference:
            ones[place] = known.get((one.name, metric.key), one)
        elif one.name == reference and (first, metric.key) in known:
            ones[place] = replace(one, p_adjusted=known[first, metric.key].p_adjusted)
    return ones


def _conclude(
    result: BenchmarkResult,
    metric: Metric,
    scores: Mapping[str, tuple[str, float]],
    against: tuple[Difference, ...],
) -> Conclusion:
    first = first_of(scores)
    values = {e.config.name: e.means()[metric.key] for e in result.entries if _has(e, metric)}
    words = _Words(metric, values, result.config.reference)
    if first is None:
        return Conclusion(metric, None, words.without_choice(scores))
    return Conclusion(metric, first, words.sentence(first, scores, against), against)


@dataclass(frozen=True, slots=True)
class _Words:
    """The words for one metric. `values`: name -> figure of the test part."""

    metric: Metric
    values: Mapping[str, float]
    reference: str

    def sentence(
        self, first: str, scores: Mapping[str, tuple[str, float]], against: Sequence[Difference]
    ) -> str:
        figure = f"{self.metric.label} {self._figure(self.values[first])} on the test part"
        subject = f"{first}{self._standing(first, scores)}"
        if not against:
            return f"{first}: {figure}; there is no other model to compare it with."
        does = f"is the choice for {'predicted ratings' if self.metric.family == 'rating' else 'lists'}"
        worse, alike, better, untested = self._sorted(against)
        if len(worse) == len(against):
            best = "predicts ratings best" if self.metric.family == "rating" else "makes the best lists"
            return f"{subject} {best}: {figure}, {self._gaps(worse)}."
        parts = [f"{subject} {does}: {figure}"]
        if worse:
            parts[0] += f", {self._gaps(worse, is_next=False)}"
        if alike:
            parts.append(f"not told apart from {self._list(alike)}")
        if better:
            parts.append(f"{self._list(better)} {'does' if len(better) == 1 else 'do'} better there")
        if untested:
            (note,) = {found.note for found in untested[:1]}
            parts.append(f"against {self._list(untested)}: {note}")
        return "; ".join(parts) + "."

    def without_choice(self, scores: Mapping[str, tuple[str, float]]) -> str:
        """Where no model is first by validation: the test part may be looked at, and chooses nothing."""
        what = "a metric of predicted ratings" if self.metric.family == "rating" else "a metric of lists"
        keys = sorted({key for key, _ in scores.values()})
        why = f"Models were chosen by {listed(keys)}" if keys else f"No model was chosen by {what}"
        values = list(self.values.values())
        best = values[self.metric.best(values) or 0]
        names = [name for name, value in self.values.items() if value == best]
        end = "highest" if self.metric.higher_is_better else "lowest"
        return (
            f"{why}, and none is named as the best: {self.metric.label} is {self._figure(best)} for "
            f"{listed(names)}, the {end} on the test part."
        )

    def _standing(self, first: str, scores: Mapping[str, tuple[str, float]]) -> str:
        """How the model came to be named, between commas."""
        key, score = scores[first]
        chosen_by = find_metric(key)
        by = f" by {chosen_by.label}" if chosen_by is not None and key != self.metric.key else ""
        role = " the reference and" if first == self.reference else ""
        if len(scores) == 1:
            return (
                ", the only one whose lists were scored on validation ratings,"
                if is_ranking_metric(key)
                else ""
            )
        if equal := [name for name, other in scores.items() if name != first and other[1] == score]:
            return f",{role} as good{by} as {listed(equal)} on validation ratings,"
        return f",{role} first{by} on validation ratings,"

    def _sorted(self, against: Sequence[Difference]) -> Iterator[list[Difference]]:
        """Worse than the first, not told apart, better, and not tested: in each, the reference is the first,
        the others follow best first."""
        order = sorted(against, key=lambda one: (one.name != self.reference, self._loss(one)))
        untested = [one for one in order if one.note]
        told = [one for one in order if not one.note and one.p_adjusted < _LEVEL]
        yield [one for one in told if self._loss(one) > 0]
        yield [one for one in order if not one.note and one not in told]
        yield [one for one in told if self._loss(one) <= 0]
        yield untested

    def _loss(self, one: Difference) -> float:
        """By how much the other model is worse."""
        return -one.difference if self.metric.higher_is_better else one.difference

    def _gaps(self, worse: Sequence[Difference], *, is_next: bool = True) -> str:
        """By how much it is better: than the reference, and than the best of those that are worse, which
        comes next after it unless others are not worse."""
        beyond = "above" if self.metric.higher_is_better else "below"
        runner_up = min(worse, key=self._loss)
        parts = []
        for one in dict.fromkeys((worse[0], runner_up)):
            roles = ["the reference"] if one.name == self.reference else []
            roles += ["the next best"] if is_next and one == runner_up and len(worse) > 1 else []
            role = f", {' and '.join(roles)}" if roles else ""
            parts.append(f"{self._gap(one)} {beyond} {one.name}{role} ({_p_text(one)})")
        return ", and ".join(parts)

    def _gap(self, one: Difference) -> str:
        decimals = self._decimals
        return f"{abs(one.difference):.{decimals}f} ± {(one.high - one.low) / 2:.{decimals}f}"

    def _list(self, others: Sequence[Difference]) -> str:
        """Names with their figures."""
        texts = []
        for one in others[:_MOST_NAMED]:
            role = "the reference, " if one.name == self.reference else ""
            sure = "" if one.note else f", difference {self._gap(one)}, {_p_text(one)}"
            texts.append(f"{one.name} ({role}{self._figure(self.values[one.name])}{sure})")
        more = len(others) - len(texts)
        return listed(texts + ([f"{more} more"] if more > 0 else []))

    def _figure(self, value: float) -> str:
        return f"{value:.{self._decimals}f}"

    @property
    def _decimals(self) -> int:
        return error_decimals(self.values.values()) if self.metric.family == "rating" else DECIMALS


def _p_text(one: Difference) -> str:
    return "p < 0.001" if one.p_adjusted < 0.0005 else f"p = {one.p_adjusted:.3f}"
