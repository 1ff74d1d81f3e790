"""What is said before fitting."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from commands import succeed

from recsys_ae.data.ratings import Ratings
from recsys_ae.experiments.prepare import warn_of_implicit
from recsys_ae.models import configs as c

USERS, ITEMS = np.array([1, 1, 2]), np.array([7, 8, 7])
STARS = Ratings.from_triples(USERS, ITEMS, np.array([4.0, 5.0, 4.0]), scale=(1, 5))
ONES = Ratings.from_triples(USERS, ITEMS, np.ones(3))
COUNTS = Ratings.from_triples(USERS, ITEMS, np.array([1.0, 30.0, 2.0]))
SAME_STARS = Ratings.from_triples(USERS, ITEMS, np.full(3, 4.0), scale=(1, 5))


@pytest.mark.parametrize(
    ("ratings", "said"),
    [(STARS, None), (ONES, "are 1:"), (COUNTS, "without a rating scale"), (SAME_STARS, "are 4:")],
)
@pytest.mark.parametrize("member", get_args(get_args(c.ModelConfig)[0]))
def test_only_models_that_predict_ratings_are_warned_of_implicit_feedback(member, ratings, said, caplog):
    warn_of_implicit(member(), ratings)
    if said is None or not member.predicts_ratings:
        assert caplog.text == ""
    else:
        (record,) = caplog.records
        assert said in record.getMessage()


def test_all_models_for_implicit_feedback_are_named(caplog):
    warn_of_implicit(c.BiasesConfig(), ONES)
    members = get_args(get_args(c.ModelConfig)[0])
    kinds = [member().kind for member in members if not member.predicts_ratings]
    assert all(kind in caplog.text for kind in kinds)


def test_nothing_to_train_on_is_no_implicit_feedback(caplog):
    warn_of_implicit(c.BiasesConfig(), ONES.keep(np.zeros(3, dtype=bool)))
    assert caplog.text == ""


def test_training_says_it_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = [
        "user,item",
        *(f"u{user},i{item}" for user in range(20) for item in range(10) if (user + item) % 3),
    ]
    (tmp_path / "ones.csv").write_text("\n".join(lines) + "\n")
    words = ("--data", "ones.csv", "--no-tracking", "--json", "--out")
    said = succeed("train", *words, "one", "--model", "biased-mf").err
    assert said.count("als, bpr, item-knn and popularity") == 1
    assert "popularity" not in succeed("train", *words, "two", "--model", "popularity").err
