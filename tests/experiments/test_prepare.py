"""What is said before fitting."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from commands import call, succeed

from recsys_ae.data.configs import DataConfig
from recsys_ae.data.ratings import Ratings
from recsys_ae.errors import CapabilityError
from recsys_ae.experiments.prepare import check_feedback, prepare
from recsys_ae.models import configs as c
from recsys_ae.splitting.configs import PredefinedSplitConfig

USERS, ITEMS = np.array([1, 1, 2]), np.array([7, 8, 7])
STARS = Ratings.from_triples(USERS, ITEMS, np.array([4.0, 5.0, 4.0]), scale=(1, 5))
EVENTS = Ratings.from_triples(USERS, ITEMS, np.ones(3), feedback="events")
COUNTS = Ratings.from_triples(USERS, ITEMS, np.array([1.0, 30.0, 2.0]), feedback="counts")
SAME_STARS = Ratings.from_triples(USERS, ITEMS, np.full(3, 4.0), scale=(1, 5))
MEMBERS = get_args(get_args(c.ModelConfig)[0])


@pytest.mark.parametrize("ratings", [EVENTS, COUNTS], ids=["events", "counts"])
@pytest.mark.parametrize("member", MEMBERS)
def test_models_of_ratings_stop_at_counts_and_events(member, ratings, caplog):
    if not member.predicts_ratings:
        check_feedback(member(), ratings)
        assert caplog.text == ""
        return
    with pytest.raises(
        CapabilityError, match=f"^{member().kind} predicts ratings, but these are {ratings.feedback}"
    ):
        check_feedback(member(), ratings)
    check_feedback(member(), ratings, anyway=True)
    (record,) = caplog.records
    assert f"these are {ratings.feedback}" in record.getMessage()


@pytest.mark.parametrize("member", MEMBERS)
def test_ratings_that_are_all_equal_are_worth_a_word(member, caplog):
    check_feedback(member(), STARS)
    assert caplog.text == ""
    check_feedback(member(), SAME_STARS)
    assert ("all training ratings are 4" in caplog.text) == member.predicts_ratings


def test_all_models_for_counts_and_events_are_named():
    with pytest.raises(CapabilityError) as raised:
        check_feedback(c.BiasesConfig(), EVENTS)
    kinds = [member().kind for member in MEMBERS if not member.predicts_ratings]
    assert all(kind in str(raised.value) for kind in kinds)


def test_nothing_to_train_on_is_no_event(caplog):
    check_feedback(c.BiasesConfig(), EVENTS.keep(np.zeros(3, dtype=bool)))
    assert caplog.text == ""


def test_holdout_ratings_outside_the_range_of_the_training_part_are_counted(tmp_path, caplog):
    rows = [(user, item, 1 + (user + item) % 3) for user in range(10) for item in range(10)]
    for name, part in (("train", rows), ("test", [(3, 77, 5), (4, 77, 0.5), (5, 77, 2)])):
        lines = ["user,item,rating", *(f"{u},{i},{r}" for u, i, r in part)]
        (tmp_path / f"{name}.csv").write_text("\n".join(lines) + "\n")
    config = PredefinedSplitConfig(train="train.csv", test="test.csv")
    split = prepare(DataConfig(source=str(tmp_path)), config, 0)
    assert split.train.scale is None
    assert split.train.limits() == (1.0, 3.0)  # and not those of the test part
    assert split.outside_scale == 2
    assert "2 of 3 holdout ratings lie outside the range of the training part, 1 to 3" in caplog.text
    declared = prepare(DataConfig(source=str(tmp_path), scale=(0.5, 5)), config, 0)
    assert declared.outside_scale == 0
    assert declared.fingerprint() != split.fingerprint()


def test_training_stops_at_events_unless_told_otherwise(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = [
        "user,item",
        *(f"u{user},i{item}" for user in range(20) for item in range(10) if (user + item) % 3),
    ]
    (tmp_path / "ones.csv").write_text("\n".join(lines) + "\n")
    words = ("train", "--data", "ones.csv", "--no-tracking", "--json", "--out")
    refused = call(*words, "one", "--model", "biased-mf")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.count("the models for such data are mult-dae, mult-vae") == 1
    assert not Path("one").exists()
    said = succeed(*words, "one", "--model", "biased-mf", "--anyway").err
    assert said.count("the models for such data are mult-dae, mult-vae") == 1
    assert "predicts" not in succeed(*words, "two", "--model", "popularity").err


def test_a_benchmark_stops_before_anything_is_fitted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = [
        "user,item",
        *(f"u{user},i{item}" for user in range(12) for item in range(8) if (user + item) % 3),
    ]
    Path("ones.csv").write_text("\n".join(lines) + "\n")
    Path("b.yaml").write_text(
        "name: b\ndata: {source: ones.csv}\nreference: popularity\nmodels:\n"
        "- {name: popularity, model: {kind: popularity}}\n- {name: biases, model: {kind: biases}}\n"
    )
    words = ("benchmark", "b.yaml", "--no-tracking", "--json", "--out")
    refused = call(*words, "out")
    assert (refused.code, refused.out) == (2, "")
    assert "biases predicts ratings, but these are events" in refused.err
    assert not Path("out").exists()
    assert succeed(*words, "out", "--anyway").err.count("biases predicts ratings") == 1
