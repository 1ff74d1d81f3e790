"""Model folders of older formats, as the programs of their time wrote them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recsys_ae.data.histories import UserBatch
from recsys_ae.errors import StorageError
from recsys_ae.models.codec import State
from recsys_ae.models.older import recommender_of_format_1
from recsys_ae.models.storage import load_model

FOLDERS = sorted(Path(__file__).parent.glob("format-*/*"))


@pytest.mark.parametrize("number", [1, 2])
def test_all_kinds_of_recommenders_are_here(number):
    folders = [folder for folder in FOLDERS if folder.parent.name == f"format-{number}"]
    assert {load_model(folder).recommender.kind for folder in folders} == {
        "network", "factor", "linear", "bias",
    }  # fmt: skip


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: f"{folder.parent.name}/{folder.name}")
def test_scores_are_those_of_its_time(folder):
    """`scores.npz`: of all users from their stored histories, as they are and as if they were unseen."""
    stored, expected = load_model(folder), np.load(folder / "scores.npz")
    history = stored.histories.matrix
    assert stored.histories.positions.tolist() == list(range(12))
    known = stored.recommender.score(UserBatch(stored.histories.positions, history))
    np.testing.assert_allclose(known, expected["known"], rtol=1e-5, atol=1e-6)
    assert stored.recommender.folds_in == ("unseen" in expected)
    if stored.recommender.folds_in:
        unseen = stored.recommender.score(UserBatch(np.full(12, -1), history))
        np.testing.assert_allclose(unseen, expected["unseen"], rtol=1e-4, atol=1e-5)


def test_an_unknown_kind_is_refused():
    users = load_model(FOLDERS[0]).recommender.users
    with pytest.raises(StorageError, match="unknown kind 'oracle': load it with"):
        recommender_of_format_1("oracle", users, users, State({}, {}))
