"""What was decided on a challenger, in words, in figures and as tags."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from recsys_ae.evaluation.promotion import Verdict, passes_by_luck
from recsys_ae.reporting.tables import Table, figure_text, interval_text
from recsys_ae.results.result import tracked
from recsys_ae.tracking.versions import Version

Outcome = Literal["first", "promoted", "forced", "kept", "same"]


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided, and why. `champion`: the one before, None where there was none. `verdict`: None where
    nothing was compared, and `problem` then says why in a forced promotion. `n_looks`: how many challengers,
    this one among them, were held against the test part of this split; `run_id`: of the run that records the
    decision, None where nothing was to be decided. `split`: the fingerprint of the split, "" where nothing
    was compared."""

    alias: str
    outcome: Outcome
    challenger: Version
    champion: Version | None
    verdict: Verdict | None = None
    problem: str = ""
    n_looks: int = 0
    split: str = ""
    run_id: str | None = None

    @property
    def is_promoted(self) -> bool:
        return self.outcome not in ("kept", "same")

    @property
    def sentence(self) -> str:
        ours, before = self.challenger.uri, "" if self.champion is None else self.champion.uri
        match self.outcome:
            case "first":
                return f"{ours} is the first {self.alias}: there was none to compare it with"
            case "same":
                return f"{ours} is {self.alias} already"
            case "kept":
                return f"{before} stays {self.alias}: {ours} is {self._why_not}; {self._figures}"
            case "promoted":
                return f"{ours} is {self.alias} now, in place of {before}: {self._figures}"
            case "forced":
                why = self.problem or f"it is {self._why_not}; {self._figures}"
                return f"{ours} is {self.alias} now, in place of {before}, by force: {why}"

    @property
    def notes(self) -> list[str]:
        """What to know of the comparison beside the sentence."""
        if self.verdict is None:
            return []
        lines = [
            f"{guard.metric}: {guard.challenger:.4f} against {guard.champion:.4f}, may get worse by "
            f"{guard.margin:g}: {'holds' if guard.holds else 'does not hold'}"
            for guard in self.verdict.guards
        ]
        if self.n_looks > 1:
            luck = f"{passes_by_luck(self.n_looks):.0%}"
            lines.append(
                f"{self.n_looks} challengers were held against the test part of this split; if none of them "
                f"were better, one or more would pass with a probability of up to {luck}"
            )
        return lines

    @property
    def _why_not(self) -> str:
        verdict = self.verdict
        assert verdict is not None
        if not verdict.is_better:
            return "worse" if verdict.is_worse else "not better by more than luck"
        return f"worse in {', '.join(guard.metric for guard in verdict.broken)} than its guard allows"

    @property
    def _figures(self) -> str:
        verdict = self.verdict
        assert verdict is not None
        name, found = verdict.metric.key, verdict.difference
        values = [figure_text(name, value) for value in (verdict.challenger, verdict.champion)]
        interval = f"95 % interval [{found.low:+.4g}, {found.high:+.4g}] over {found.n_users:,} users"
        sure = found.note or f"difference {found.difference:+.4g}, {interval}"
        return f"{verdict.metric.label} {values[0]} against {values[1]}, {sure}"

    def to_json(self) -> dict[str, Any]:
        verdict = self.verdict
        compared = {} if verdict is None else {
            "metric": verdict.metric.key,
            "challenger_value": verdict.challenger,
            "champion_value": verdict.champion,
            "difference": verdict.difference.to_json(),
            "guards": [guard.to_json() for guard in verdict.guards],
        }  # fmt: skip
        return {
            "name": self.challenger.name,
            "alias": self.alias,
            "outcome": self.outcome,
            "promoted": self.is_promoted,
            "challenger": self.challenger.uri,
            "champion_before": None if self.champion is None else self.champion.uri,
            "comparison": compared or None,
            "problem": self.problem or None,
            "looks": self.n_looks,
            "run_id": self.run_id,
            "sentence": self.sentence,
        }


def figures(verdict: Verdict) -> dict[str, float]:
    """What a tracker is told, under the names that test metrics have everywhere."""
    found = verdict.difference
    values = {"difference": found.difference, "difference_low": found.low, "difference_high": found.high}
    pairs = [(verdict.metric.key, verdict.challenger, verdict.champion)]
    pairs += [(guard.metric, guard.challenger, guard.champion) for guard in verdict.guards]
    for key, ours, theirs in pairs:
        (name,) = tracked({key: 0.0})
        values |= {f"challenger/{name}": ours, f"champion/{name}": theirs}
    return {name: value for name, value in values.items() if math.isfinite(value)}


def description(found: Decision) -> str:
    """The sentence, the table and the notes, in Markdown."""
    verdict, parts = found.verdict, [f"{found.sentence[:1].upper()}{found.sentence[1:]}."]
    if verdict is not None:
        difference = interval_text(verdict.difference)
        rows: list[tuple[Any, ...]] = [
            (verdict.metric.key, verdict.challenger, verdict.champion, difference, None)
        ]
        for guard in verdict.guards:
            margin = f"{guard.margin:g}: {'holds' if guard.holds else 'does not hold'}"
            change = f"{guard.challenger - guard.champion:+.4f}"
            rows.append((guard.metric, guard.challenger, guard.champion, change, margin))
        columns = ("metric", "challenger", "champion", "difference", "may get worse by")
        parts.append(Table(columns, tuple(rows)).markdown().strip())
    notes = "\n".join(f"- {note}" for note in found.notes)
    return "\n\n".join(filter(None, [*parts, notes])) + "\n"


def tags_of_version(found: Decision) -> dict[str, str]:
    """What the version says of the comparison: true wherever the alias points."""
    verdict = found.verdict
    compared = {} if verdict is None else {
        "promotion.metric": verdict.metric.key,
        "promotion.difference": interval_text(verdict.difference),
    }  # fmt: skip
    against = {} if found.champion is None else {"promotion.against": found.champion.uri}
    return {"promotion.outcome": found.outcome, "promotion.run": found.run_id or "", **against, **compared}
