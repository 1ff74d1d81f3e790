"""What a choice leaves open is said, and nothing else."""

from __future__ import annotations

import math

import pytest

from recsys_ae.metrics import NDCG, RMSE
from recsys_ae.results.trials import Trial, Validation, best_of, edges_of


@pytest.mark.parametrize(
    ("values", "chosen", "edge"),
    [
        ([1, 2, 3], 1, "lowest"),
        ([1, 2, 3], 2, None),
        ([1, 2, 3], 3, "highest"),
        ([3, 1, 2], 3, "highest"),  # by value, not by place
        ([3, 1, 2], 2, None),
        ([0.5, -1.0, 2], -1.0, "lowest"),
        ([100, 200], 200, "highest"),  # two values enclose nothing
        ([100, 200], 100, "lowest"),
        ([7, 7], 7, None),
        ([7], 7, None),
        ([[250], [500], [1000]], [1000], "highest"),
        ([[250], [500], [1000]], [500], None),
        ([[250], [250, 50]], [250], None),
        ([None, 4], 4, None),
        ([1, 2, None], 1, None),
        ([True, False], True, None),
        (["adam", "sgd"], "adam", None),
        ([{"kind": "constant"}, {"kind": "cosine"}], {"kind": "cosine"}, None),
    ],
)
def test_edges_of_a_grid(values, chosen, edge):
    found = edges_of({"x": tuple(values), "y": (0,)}, {"x": chosen, "y": 0})
    assert found == ({} if edge is None else {"x": edge})


@pytest.mark.parametrize(
    ("scores", "lowest", "highest"),
    [
        ([], None, None),
        ([None, None], None, None),
        ([None, 2.0, 1.0, 3.0, 1.0, 3.0], 2, 3),  # the first of equal ones
        ([math.nan, 2.0], 1, 1),
        ([None, math.nan, math.nan], 1, 1),
    ],
)
def test_the_best_trial_is_one_that_came_to_its_end(scores, lowest, highest):
    trials = [Trial({}, score, 1.0) for score in scores]
    assert best_of(trials, RMSE) == lowest
    assert best_of(trials, NDCG.at(10)) == highest
    pruned = [Trial({}, score, 1.0, pruned=True) for score in (0.0, 9.0)]
    assert best_of(pruned, RMSE) is None
    assert best_of([*trials, *pruned], RMSE) == lowest


def validation(*trials: Trial, chosen: int = 0, **edges: str) -> Validation:
    return Validation("rmse", trials, chosen, edges)


def test_remarks_are_about_the_chosen_trial_alone():
    cut_off = Trial({"l2": 1}, 0.9, 1.0, 30, 30, at_last_epoch=True)
    done = Trial({"l2": 2}, 0.8, 2.0, 20, 15)
    assert validation(cut_off, done, chosen=1).remarks() == []
    assert validation(cut_off, done, chosen=1, l2="highest").remarks() == [
        "l2 2 is the highest that was tried"
    ]
    assert validation(cut_off, done).remarks() == [
        "training ended at the last allowed epoch, 30, and the best was 30"
    ]
    assert validation(cut_off, done).seconds == 3.0


def test_ties_say_nothing_about_an_edge():
    low, middle, other = (Trial({"l2": l2, "k": 1}, 0.9, 1.0) for l2 in (100, 300, 1000))
    same = "all 3 settings that were tried scored the same"
    assert validation(low, middle, other, l2="lowest").remarks() == [same]
    worse = Trial({"l2": 1000, "k": 2}, 1.0, 1.0)
    failed = Trial({"l2": 2000, "k": 1}, None, 1.0, error="it broke")
    assert validation(low, middle, worse, failed, l2="lowest").remarks() == []
    assert validation(low, middle, worse, l2="lowest", k="lowest").remarks() == [
        "k 1 is the lowest that was tried"
    ]
    assert validation(low, failed, l2="lowest").remarks() == ["l2 100 is the lowest that was tried"]


def test_a_model_that_training_did_not_improve_is_marked():
    """Not one that Ctrl-C stopped before its first epoch, and not one without epochs."""
    kept = validation(Trial({}, 0.9, 1.0, epochs_run=6, best_epoch=0), Trial({}, 1.0, 1.0, 6, 5))
    assert kept.remarks() == ["kept epoch 0: what training begins with"]
    for other in (Trial({}, 0.9, 1.0, 6, 1), Trial({}, 0.9, 1.0, 0, 0), Trial({}, 0.9, 1.0)):
        assert validation(other).remarks() == []
