"""What a search proposes, and what it says of its settings."""

from __future__ import annotations

import numpy as np
import pytest

from recsys_ae.experiments.study import Study
from recsys_ae.models.configs import UserAutoRecConfig
from recsys_ae.results.trials import Trial
from recsys_ae.settings.configs import SearchConfig
from recsys_ae.settings.spaces import axes_of
from recsys_ae.types import Epoch

SPACE = {
    "l2": {"low": 0.01, "high": 100, "log": True},
    "hidden": {"low": 2, "high": 64},
    "hidden_dropout": {"low": 0, "high": 0.9},
    "activation": {"values": ["sigmoid", "elu", "tanh"]},
}


def study(space: dict = SPACE, n_trials: int = 40, seed: int = 0, *, high: bool = False) -> Study:
    document = {"name": "s", "data": {"source": "x"}, "model": {"kind": "u-autorec"}, "space": space}
    config = SearchConfig.model_validate(document)
    axes = axes_of(config.model, config.space, where="space")
    return Study(axes, n_trials, seed, high)


def tried(study: Study, score) -> list[Trial]:
    """All its trials, each of the score that a function of its settings says."""
    while (settings := study.propose()) is not None:
        study.keep(Trial(settings, score(settings), 1.0))
    return study.trials


def of_l2(settings) -> float:
    return (np.log10(settings["l2"]) - 1) ** 2


def test_proposals_lie_in_their_ranges_and_are_of_their_kind():
    trials = tried(study(), of_l2)
    assert len(trials) == 40
    for settings in (trial.settings for trial in trials):
        assert list(settings) == list(SPACE)
        assert 0.01 <= settings["l2"] <= 100
        assert float(f"{settings['l2']:.4g}") == settings["l2"]
        (width,) = settings["hidden"]
        assert isinstance(width, int)
        assert 2 <= width <= 64
        assert 0 <= settings["hidden_dropout"] <= 0.9
        assert settings["activation"] in ("sigmoid", "elu", "tanh")
        UserAutoRecConfig(**settings)
    assert {trial.settings["activation"] for trial in trials} == {"sigmoid", "elu", "tanh"}
    logs = np.log10([trial.settings["l2"] for trial in trials[:10]])  # drawn at random, by ratios
    assert np.ptp(logs) > 2


@pytest.mark.parametrize("high", [False, True])
def test_later_trials_are_better_than_random_ones(high):
    sign = -1 if high else 1
    scores = [trial.score * sign for trial in tried(study(high=high), lambda s: sign * of_l2(s))]
    assert np.median(scores[20:]) < np.median(scores[:10]) / 4


def test_the_setting_that_decides_is_said_to_matter():
    found = study()
    tried(found, of_l2)
    shares = found.importances()
    assert shares.keys() == SPACE.keys()
    assert sum(shares.values()) == pytest.approx(1)
    assert next(iter(shares)) == "l2"
    assert shares["l2"] > 0.5
    few = study(n_trials=5)
    tried(few, of_l2)
    assert few.importances() == {}


def test_a_choice_near_the_end_of_its_range_is_marked():
    edges = study().edges
    middle = {"l2": 1.0, "hidden": [30], "hidden_dropout": 0.5, "activation": "elu"}
    assert edges(middle) == {}
    assert edges({**middle, "l2": 65.0}) == {
        "l2": "high end"
    }  # 95 % of the way by ratios, 65 % by differences
    assert edges({**middle, "l2": 60.0}) == {}
    assert edges({**middle, "l2": 5.0}) == {}
    assert edges({**middle, "l2": 0.0158}) == {"l2": "low end"}
    assert edges({**middle, "hidden": [2], "hidden_dropout": 0.9}) == {
        "hidden": "low end",
        "hidden_dropout": "high end",
    }
    listed = study({"l2": {"values": [1, 2, 3]}}).edges
    assert [listed({"l2": value}) for value in (1, 2, 3)] == [{"l2": "lowest"}, {}, {"l2": "highest"}]


def test_nothing_is_tried_twice_where_something_else_is_left():
    trials = tried(study({"hidden": {"low": 1, "high": 30}}, n_trials=25), lambda s: abs(s["hidden"][0] - 7))
    assert len({trial.settings["hidden"][0] for trial in trials}) == 25
    all_of_them = tried(study({"hidden": {"low": 1, "high": 6}}, n_trials=25), lambda s: 0.0)
    assert [trial.settings["hidden"] for trial in all_of_them] == [[n] for n in range(1, 7)]


@pytest.mark.parametrize("first", range(1, 7))
def test_a_search_with_more_trials_tries_what_is_left(first):
    """Of six combinations, one by one or by leaps, each is tried once."""
    space = {"l2": {"values": [1, 3, 10]}, "hidden": {"low": 2, "high": 3}}
    grown = study(space, n_trials=first, seed=first)
    while len(tried(grown, of_l2)) < 6:
        grown.n_trials += 1 + first % 2
    found = [(trial.settings["l2"], *trial.settings["hidden"]) for trial in grown.trials]
    assert sorted(found) == [(l2, width) for l2 in (1, 3, 10) for width in (2, 3)]
    grown.n_trials = 30
    assert grown.propose() is None


def test_values_that_are_tuples_are_recognised():
    """From Python a list of widths may be one; kept on disk it is a list."""
    trials = tried(study({"hidden": {"values": [(n,) for n in range(2, 14)]}}, n_trials=11), lambda s: 0.0)
    assert len({tuple(trial.settings["hidden"]) for trial in trials}) == 11


def test_a_trial_that_fails_late_is_worse_to_the_sampler_than_a_pruned_one():
    """Asked of it itself: it ranks trials that did not finish by the last value of their curves."""
    sampler = pytest.importorskip("optuna.samplers._tpe.sampler")
    found = study()
    for n_epochs, score, pruned in ((5, 0.9, True), (15, None, False), (0, None, False), (15, np.nan, False)):
        settings = found.propose()
        for number in range(n_epochs):
            found.is_hopeless(Epoch(number, {}, 0.0, 0.0, 1, score=1 - 0.01 * number))
        found.keep(Trial(settings, score, 1.0, n_epochs, pruned=pruned))
    theirs = found._study(found._finished, 0)
    scores = [sampler._get_pruned_trial_score(trial, theirs) for trial in theirs.trials]
    assert scores[0] == (-4, pytest.approx(0.96))
    assert scores[1:] == [(1, 0.0)] * 3


def test_settings_without_a_score_are_avoided():
    """All above 1 fail; the search learns that."""
    trials = tried(study(), lambda s: None if s["l2"] > 1 else of_l2(s))
    above = [trial.settings["l2"] > 1 for trial in trials]
    assert any(above)
    assert sum(above[20:]) < 10
