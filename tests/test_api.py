"""The calls from Python."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from commands import write_ratings

import recsys_ae as ra
from recsys_ae.errors import CapabilityError, ConfigError, DataError, UnknownIdError
from recsys_ae.recommender import Recommender
from recsys_ae.splitting.make import validation_split


@pytest.fixture(scope="module")
def ratings(tmp_path_factory):
    return ra.load(write_ratings(tmp_path_factory.mktemp("data") / "ratings.csv"), scale=(1, 5))


def test_package_loads_nothing_heavy_before_it_is_used():
    code = (
        "import sys, recsys_ae; assert 'fit' in dir(recsys_ae); "
        "print([m for m in ('torch', 'mlflow', 'numpy', 'pandas', 'pydantic') if m in sys.modules])"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"


def test_lists_leave_out_training_ratings(ratings):
    split = ra.split(ratings, seed=1)
    lists = ra.recommend(ra.fit("biases", split), split, n=3, users=["u001", "u000"])
    assert lists.user.tolist() == ["u001"] * 3 + ["u000"] * 3
    assert lists["rank"].tolist() == [1, 2, 3] * 2
    rows, columns = ratings.users.positions(lists.user), ratings.items.positions(lists.item)
    train = split.train.matrix
    seen = {
        (r, c) for r in range(train.shape[0]) for c in train.indices[train.indptr[r] : train.indptr[r + 1]]
    }
    assert not seen & set(zip(rows.tolist(), columns.tolist(), strict=True))


def test_lists_of_everybody_go_to_a_folder(ratings, tmp_path):
    model = ra.fit("biases", ra.split(ratings, seed=1))
    made = ra.recommend_all(model, tmp_path / "lists", n=3, shard_users=15, threads=2, limit_memory="100GB")
    assert repr(made) == f"Manifest({tmp_path / 'lists'}: 120 rows, top 3 of 40 users)"
    assert [path.name for path in made.files] == [f"part-0000{number}.parquet" for number in range(3)]
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "lists"), model.recommend(n=3, progress=False))
    assert made.plan.model["asked"] is None

    model.save(tmp_path / "model")
    again = ra.recommend_all(tmp_path / "model", tmp_path / "lists", n=3, shard_users=15)
    assert (again.totals, again.checksums) == (made.totals, made.checksums)
    everybody = ra.recommend_all(model, tmp_path / "all", "all", n=3, shard_users=15)
    assert everybody.checksums == made.checksums
    some = ra.recommend_all(model, tmp_path / "some", ["u003", "nobody"], n=2, exclude_seen=False)
    assert (some.users, some.totals["fallback_users"]) == (2, 1)
    assert ra.recommend_all(model, tmp_path / "one", "nobody", fallback="none").totals["left_out_users"] == 1
    for wrong, sentence in (
        ({"fallback": "mean"}, "fallback is 'mean', but must be 'popular' or 'none'"),
        ({"threads": 0}, "threads is 0, but must be at least 1"),
        ({"limit_memory": "lots"}, "is no size"),
        ({"n": 0}, "n is 0, but must be at least 1"),
    ):
        with pytest.raises(ConfigError, match=sentence):
            ra.recommend_all(model, tmp_path / "other", **wrong)
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("nobody", [[], (), np.array([], dtype=object)], ids=repr)
def test_nobody_gets_an_empty_frame_of_the_same_columns(ratings, nobody):
    split = ra.split(ratings, seed=1)
    model = ra.fit("biases", split)
    lists = ra.recommend(model, split, users=nobody)
    assert len(lists) == 0
    assert list(lists.columns) == ["user", "rank", "item", "score"]


def test_held_out_users_are_read_from_their_fold_in_ratings(ratings):
    split = ra.split(ratings, kind={"kind": "users", "test_share": 0.3})
    model = ra.fit({"kind": "item-knn", "neighbours": 10}, split)
    lists = ra.recommend(model, split, n=25, exclude_seen=True)
    assert set(lists.user) == set(ratings.users.ids)
    held_out = ratings.users.ids[split.evaluated_users[0]]
    position = split.evaluated_users[0]
    n_read = int(np.diff(split.fold_in.matrix.indptr)[position])
    assert (lists.user == held_out).sum() == 25 - n_read


@pytest.mark.parametrize("model", [{"kind": "biased-mf", "factors": 2}, {"kind": "i-autorec", "hidden": [3]}])
@pytest.mark.parametrize("kind", [{"kind": "users", "test_share": 0.3}, {"kind": "random"}])
def test_users_who_chose_the_epoch_get_lists_of_their_own(ratings, model, kind):
    """Fitting held them out whole, so they are read from their histories."""
    split = ra.split(ratings, kind=kind, seed=2)
    lists = ra.recommend(ra.fit(model, split, validation=0.4), split, n=5)
    scores = lists.groupby("user").score.apply(tuple)
    assert scores.nunique() == len(scores) == ratings.n_users


def test_fit_takes_a_kind_settings_or_a_config(ratings):
    from recsys_ae.models.configs import BiasesConfig

    split = ra.split(ratings)
    reports = [ra.evaluate(ra.fit(model, split), split)
               for model in ("biases", {"kind": "biases"}, BiasesConfig())]  # fmt: skip
    assert len({report.metrics["rmse"] for report in reports}) == 1


def test_a_model_is_not_tested_on_what_it_was_fitted_to(ratings):
    first, second = (ra.split(ratings, seed=seed) for seed in (0, 1))
    model = ra.fit("biases", first)
    assert ra.evaluate(model, first).status == "clean"
    shared = set(cells(first.train)) & set(cells(second.holdout))
    with pytest.raises(DataError, match=f"^{len(shared)} of {second.holdout.n_observed} holdout ratings"):
        ra.evaluate(model, second)
    report = ra.evaluate(model, second, anyway=True)
    assert (report.status, report.counts["holdout_in_training"]) == ("contaminated", len(shared))
    bare = ra.evaluate(model.recommender, second)  # of which nobody knows what it was fitted to
    assert (bare.status, bare.metrics) == (None, report.metrics)


def test_validation_ratings_are_what_a_model_was_fitted_to(ratings):
    """They chose it, so they do not test it."""
    split = ra.split(ratings, seed=0)
    model = ra.fit({"kind": "biased-mf", "factors": 2}, split, validation=0.3)
    part = validation_split(split, share=0.3)
    with pytest.raises(DataError, match=f"^{part.holdout.n_observed} of {part.holdout.n_observed} holdout"):
        ra.evaluate(model, part)
    assert model.validation == pytest.approx(ra.evaluate(model, part, anyway=True).metrics["rmse"])


def test_a_refit_gives_the_validation_ratings_back(ratings):
    split = ra.split(ratings, seed=0)
    settings = {"kind": "biased-mf", "factors": 2}
    early, refitted = (ra.fit(settings, split, validation=0.3, refit=refit) for refit in (False, True))
    assert early.validation == refitted.validation
    assert ra.evaluate(early, split).metrics["rmse"] != ra.evaluate(refitted, split).metrics["rmse"]


def test_a_fitted_model_is_a_recommender(ratings):
    split = ra.split(ratings)
    model = ra.fit("popularity", split)
    assert isinstance(model, Recommender)
    own = model.recommender
    assert (model.kind, model.users, model.items) == (own.kind, own.users, own.items)
    assert (model.folds_in, model.predicts_ratings, model.ranks) == (True, False, True)
    batch = split.histories().batch(np.array([3, 1]))
    np.testing.assert_array_equal(model.score(batch), own.score(batch))
    rows, items = np.array([0, 1, 1]), np.array([4, 0, 2])
    np.testing.assert_array_equal(model.score_pairs(batch, rows, items), own.score_pairs(batch, rows, items))
    assert ra.recommend(model, split).equals(ra.recommend(own, split))


def cells(part) -> list[tuple]:
    return list(zip(part.rows().tolist(), part.columns.tolist(), strict=True))


def test_mistakes_are_told_in_one_sentence(ratings):
    split = ra.split(ratings)
    with pytest.raises(ConfigError, match=r"^fit: 'kind' is 'autorek', which is unknown; did you mean"):
        ra.fit("autorek", split)
    with pytest.raises(ConfigError, match=r"^fit: no setting 'hiden'; did you mean 'hidden'\?"):
        ra.fit("i-autorec", split, hiden=[3])
    with pytest.raises(ConfigError, match=r"^fit: no setting 'training\.epoch'; did you mean 'epochs'\?"):
        ra.fit("i-autorec", split, training={"epoch": 3})
    with pytest.raises(DataError, match=r"^the table: has no columns; give a table of users, items and"):
        ra.load(pd.DataFrame())
    with pytest.raises(ConfigError, match=r"^split: no setting 'share'; did you mean 'test_share'"):
        ra.split(ratings, kind={"kind": "random", "share": 0.1})
    with pytest.raises(ConfigError, match=r"^load: 'duplicates' is 'some', which is unknown"):
        ra.load("movietweetings-100k", duplicates="some")
    with pytest.raises(UnknownIdError):
        ra.recommend(ra.fit("biases", split), split, users=["nobody"])
    with pytest.raises(AttributeError, match="no attribute 'train'"):
        _ = ra.train


def test_values_say_in_a_line_what_they_are(ratings):
    split = ra.split(ratings, seed=3)
    n = ratings.n_observed
    assert (
        repr(ratings) == f"Ratings({n} ratings of 1 to 5: {ratings.n_users} users, {ratings.n_items} items)"
    )
    left = split.holdout.n_observed
    assert repr(split) == f"Split(random, seed 3: train {n - left}, holdout {left} ratings)"
    assert repr(ra.fit("biases", split)).startswith(f"Model(biases of {ratings.n_users} users and ")
    assert len(repr(ra.fit({"kind": "biased-mf", "iterations": 1}, split))) < 80


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda other: ra.split(other), "split: the ratings must come from ra.load"),
        (lambda other: ra.fit("biases", other), "fit: the split must come from ra.split"),
        (lambda other: ra.evaluate(None, other), "evaluate: the split must come from ra.split"),
        (lambda other: ra.recommend(None, other), "recommend: the split must come from ra.split"),
    ],
)
def test_a_table_in_place_of_a_split_is_told_in_a_sentence(call, sentence):
    with pytest.raises(DataError, match=f"{sentence}, and this is a DataFrame"):
        call(pd.DataFrame({"user": [1], "item": [1], "rating": [3]}))


def test_frame_has_plain_columns(ratings):
    split = ra.split(ratings)
    lists = ra.recommend(ra.fit("popularity", split), split, n=2)
    assert isinstance(lists, pd.DataFrame)
    assert lists.score.dtype == np.float32
    assert lists["rank"].max() == 2


def test_users_are_made_up_and_walked_between(ratings):
    """By what the split lets a variational autoencoder read; other models say that they cannot."""
    split = ra.split(ratings, seed=1)
    bottleneck = {"kind": "gaussian", "code": 3}
    kind = {"kind": "u-autorec", "hidden": [6], "bottleneck": bottleneck, "training": {"epochs": 3}}
    model = ra.fit(kind, split)
    rows = ra.sample(model, 4, top=25, seed=2)
    assert list(rows.columns) == ["sample", "rank", "item", "rating"]
    assert rows.groupby("sample").item.apply(set).map(len).tolist() == [25] * 4
    assert set(rows.item) == set(ratings.items.ids)
    assert rows.equals(ra.sample(model.recommender, 4, top=25, seed=2))
    walked = ra.walk(model, split, "u003", "u008", steps=3, top=2)
    assert list(walked.columns) == ["step", "rank", "item", "rating"]
    assert walked.step.tolist() == [1, 1, 2, 2, 3, 3]
    ends = ra.recommend(model, split, users=["u003", "u008"], n=2, exclude_seen=False)
    assert walked[walked.step != 2].item.tolist() == ends.item.tolist()
    with pytest.raises(UnknownIdError, match="'nobody' is unknown"):
        ra.walk(model, split, "u003", "nobody")
    with pytest.raises(CapabilityError, match="draws no codes"):
        ra.sample(ra.fit("biases", split), 3)
    with pytest.raises(DataError, match=r"walk: the split must come from ra\.split"):
        ra.walk(model, ratings, "u003", "u008")


def test_settings_that_were_searched_fit_to_the_very_score(ratings, tmp_path):
    split = ra.split(ratings, seed=1)
    kind = {"kind": "u-autorec", "hidden": [4], "training": {"epochs": 3, "batch_size": 16}}
    space = {"l2": {"low": 1, "high": 100, "log": True}, "hidden": {"values": [[4], [8]]}}
    found = ra.tune(kind, split, space, trials=4, study=tmp_path / "s.db")
    assert len(found.validation.trials) == 4
    assert re.fullmatch(
        r"Tuned\(u-autorec, l2 [\d.]+, hidden \[\d\]: validation rmse [\d.]+, best of 4 trials\)", repr(found)
    )
    assert ra.fit(found.model, split).validation == found.validation.score
    more = ra.tune(kind, split, space, trials=5, study=tmp_path / "s.db")
    assert more.validation.trials[:4] == found.validation.trials  # times too: nothing was fitted again
    with pytest.raises(ConfigError, match=r"tune: space\.l2: 'low' is 5 and 'high' is 1"):
        ra.tune(kind, split, {"l2": {"low": 5, "high": 1}})
    with pytest.raises(ConfigError, match="the space of model 'u-autorec': no setting 'l3' there"):
        ra.tune(kind, split, {"l3": {"low": 1, "high": 5}})
    with pytest.raises(DataError, match=r"tune: the split must come from ra\.split"):
        ra.tune(kind, ratings, space)
