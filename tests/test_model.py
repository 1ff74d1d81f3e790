"""The object that fitting gives: asked by ids, stored, loaded, and held to what its recommender says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from commands import succeed, write_ratings
from scipy.sparse import csr_array
from scipy.spatial.distance import cdist
from synthetic import checkerboard

import recsys_ae as ra
from recsys_ae.data.histories import UserBatch
from recsys_ae.errors import CapabilityError, ConfigError, DataError, StorageError, UnknownIdError
from recsys_ae.models.configs import ModelConfig
from recsys_ae.models.storage import load_model as read_model
from recsys_ae.settings.schema import branches

OLDER = sorted((Path(__file__).parent / "models").glob("format-*/*"))
FAST = {"hidden": [4], "training": {"epochs": 3}}


@pytest.fixture(scope="module")
def ratings(tmp_path_factory):
    return ra.load(write_ratings(tmp_path_factory.mktemp("data") / "ratings.csv"), scale=(1, 5))


@pytest.fixture(scope="module")
def split(ratings):
    return ra.split(ratings, seed=1)


@pytest.fixture(scope="module")
def model(split):
    return ra.fit("i-autorec", split, **FAST)


@pytest.fixture(scope="module")
def events(ratings):
    users, items = ratings.users.ids[ratings.rows()], ratings.items.ids[ratings.columns]
    return ra.split(ra.load(pd.DataFrame({"user": users, "item": items})), seed=1)


def scores(model: ra.Model) -> np.ndarray:
    histories = model.training.histories
    return model.score(histories.batch(np.arange(len(histories))))


def test_settings_beside_the_kind_are_those_of_a_mapping(split):
    beside = ra.fit("i-autorec", split, **FAST)
    mapping = ra.fit({"kind": "i-autorec", **FAST}, split)
    both = ra.fit({"kind": "i-autorec", **FAST, "hidden": [9]}, split, hidden=[4])
    for other in (mapping, both):
        np.testing.assert_array_equal(scores(beside), scores(other))
    with pytest.raises(ConfigError, match=r"^fit: no setting 'hiden'; did you mean 'hidden'"):
        ra.fit("i-autorec", split, hiden=[4])


def test_no_setting_of_a_model_is_called_like_an_option_of_fit():
    options = set(ra.fit.__annotations__) - {"model", "split", "settings", "return"}
    settings = {name for config in branches(ModelConfig) for name in config.model_fields}
    assert options >= {"seed", "validation", "refit", "device", "anyway", "progress"}
    assert not options & settings


def test_lists_are_those_of_the_split_that_the_model_came_from(model, split):
    assert model.recommend().equals(ra.recommend(model, split))
    some = ["u007", "u000"]
    assert model.recommend(some, n=3).equals(ra.recommend(model, split, users=some, n=3))
    assert model.recommend("u007", 3).equals(model.recommend(["u007"], n=3))
    seen = model.recommend("u007", n=25, exclude_seen=False)
    assert set(seen["item"]) == set(split.train.items.ids)


@pytest.mark.parametrize(
    "users",
    [
        np.array(["u007", "u000"]),
        pd.Series(["u007", "u000"]),
        pa.array(["u007", "u000"]),
        ("u007", "u000"),
        iter(["u007", "u000", "u007"]),
    ],
    ids=lambda users: type(users).__module__,
)
def test_ids_come_in_any_list_and_each_user_gets_one_list(model, users):
    assert model.recommend(users, n=2).user.tolist() == ["u007"] * 2 + ["u000"] * 2


def test_items_are_ids_of_either_kind_one_or_many(model):
    whole = model.recommend("u007", n=25)
    best, second = whole["item"][:2]
    for gone in (best, str(best), float(best), [best], np.array([best]), [best, "unknown"]):
        rest = whole[whole["item"] != best]
        assert model.recommend("u007", n=25, filter_items=gone)["item"].tolist() == rest["item"].tolist()
    assert model.recommend("u007", items=second)["item"].tolist() == [second]
    assert model.recommend("u007", items=[second, best])["item"].tolist() == [best, second]
    assert model.recommend("u007", items=[second, best], filter_items=best)["item"].tolist() == [second]
    assert model.recommend("u007", items=[]).empty
    assert model.recommend([]).empty


def test_predictions_are_clipped_scores_of_pairs(model, ratings):
    n = ratings.n_users * ratings.n_items
    rng = np.random.default_rng(0)
    rows, places = (rng.integers(0, size, n) for size in ratings.matrix.shape)
    found = model.predict(ratings.users.ids[rows], ratings.items.ids[places])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, scores(model)[rows, places].clip(1, 5), rtol=1e-5)
    one = model.predict("u003", ratings.items.ids)
    np.testing.assert_allclose(one, scores(model)[3].clip(1, 5), rtol=1e-5)
    everyone = model.predict(ratings.users.ids, 105)
    np.testing.assert_allclose(everyone, scores(model)[:, 5].clip(1, 5), rtol=1e-5)
    assert model.predict("u003", 105).tolist() == one[5:6].tolist()
    assert model.predict([], []).shape == (0,)


def test_predictions_of_many_blocks_are_in_the_order_of_the_pairs(model, ratings, monkeypatch):
    expected = model.predict(ratings.users.ids[::-1], ratings.items.ids[3])
    monkeypatch.setattr("recsys_ae.data.histories._CELLS_AT_ONCE", 7 * ratings.n_items)
    found = model.predict(ratings.users.ids[::-1], ratings.items.ids[3])
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("kind", ["u-autorec", "i-autorec", "biased-mf", "ease", "als"])
def test_someone_new_is_read_from_the_ratings_alone(split, kind):
    """The same ratings under another name give the list that a user held out whole gets."""
    model = ra.fit(kind, split, **(FAST if "autorec" in kind else {}))
    row = split.train.matrix[[5]]
    items, values = split.train.items.ids[row.indices], row.data
    expected = model.score(unseen(row))[0]
    order = np.argsort(-expected, kind="stable")
    order = order[~np.isin(order, row.indices)]
    for given in (
        {"item": items, "rating": values},
        pd.DataFrame({"item": items[::-1], "rating": values[::-1]}),
    ):
        found = model.recommend_for(given, n=25)
        assert list(found.columns) == ["rank", "item", "score"]
        assert found["item"].tolist() == split.train.items.ids[order].tolist()
        np.testing.assert_allclose(found.score, expected[order], rtol=1e-4, atol=1e-5)


def unseen(history):
    return UserBatch(np.full(history.shape[0], -1), history)


def test_several_new_people_have_names(model, caplog):
    given = {"user": ["b", "a", "b"], "item": ["103", 104, 105], "rating": [5, 1, 2]}
    found = model.recommend_for(pa.table(given | {"item": [103, 104, 105]}), n=2)
    assert found.user.tolist() == ["a", "a", "b", "b"]
    alone = model.recommend_for({"item": [105, 103], "rating": [2, 5]}, n=2)
    assert found[found.user == "b"]["item"].tolist() == alone["item"].tolist()
    known = model.recommend_for({"user": "u003", "item": 104, "rating": 1}, n=2)  # not the u003 of training
    assert known["item"].tolist() == found[found.user == "a"]["item"].tolist()
    with caplog.at_level("WARNING"):
        assert model.recommend_for(given | {"item": [103, 104, "zz"]}, n=2).user.nunique() == 2
    assert "1 of 3 items are unknown to the model and left out: 'zz'" in caplog.text


def test_nothing_known_of_someone_is_the_answer_for_an_empty_row(split):
    model = ra.fit("biases", split)
    found = model.recommend_for({"item": [], "rating": []}, n=4)
    assert found["item"].tolist() == model.items.ids[np.argsort(-model.recommender.biases.items)[:4]].tolist()


def test_events_need_no_ratings_and_an_empty_column_is_told(events):
    model = ra.fit("ease", events)
    assert model.feedback == "events"
    found = model.recommend_for({"item": [103, 104]}, n=3)
    assert found.equals(model.recommend_for({"item": [103, 104], "rating": [1, 1]}, n=3))
    with pytest.raises(CapabilityError, match="i-autorec predicts ratings, but these are events"):
        ra.fit("i-autorec", events)  # a frame without ratings
    with pytest.raises(CapabilityError, match=r"^ease ranks, and its scores are no ratings"):
        model.predict("u003", 103)


@pytest.mark.parametrize(
    "kind", ["i-autorec", "u-autorec", "mult-vae", "rbm", "biased-mf", "als", "item-knn", "pca"]
)
def test_a_saved_model_answers_as_before(split, kind, tmp_path):
    fast = {"training": {"epochs": 2}} if kind in ("i-autorec", "u-autorec", "mult-vae", "rbm") else {}
    model = ra.fit(kind, split, **fast)
    model.save(tmp_path / "model")
    loaded = ra.load_model(tmp_path / "model")
    assert repr(loaded) == repr(model)
    assert loaded.recommend(n=5).equals(model.recommend(n=5))
    new = {"item": [103, 110], "rating": [5, 1]}
    assert loaded.recommend_for(new).equals(model.recommend_for(new))
    assert ra.evaluate(loaded, split).metrics == ra.evaluate(model, split).metrics
    assert ra.evaluate(loaded, split).status == "clean"
    loaded.save(tmp_path / "model")  # over itself
    assert dict(ra.load_model(str(tmp_path / "model")).info) == dict(model.info)


def test_a_user_held_out_whole_stays_unseen_in_a_saved_model(ratings, tmp_path):
    split = ra.split(ratings, kind="users", seed=1)
    model = ra.fit("biased-mf", split, factors=2)
    model.save(tmp_path / "model")
    assert ra.load_model(tmp_path / "model").recommend().equals(ra.recommend(model, split))


def test_the_command_line_and_python_read_each_others_folders(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model.save("of-python")
    said = succeed("recommend", "of-python", "--users", "u003,u001", "-n", 3, "--json").document
    expected = model.recommend(["u003", "u001"], n=3)
    assert [row["item"] for row in said["rows"]] == expected["item"].tolist()
    np.testing.assert_allclose([row["score"] for row in said["rows"]], expected.score, rtol=1e-6)
    write_ratings(tmp_path / "ratings.csv")
    data = ("--set", "data.scale=[0,6]", "--no-tracking", "--out", "run")
    succeed("train", "--data", "ratings.csv", "--model", "biases", *data)
    trained = ra.load_model("run")  # the folder of the run or that of the model
    assert repr(trained) == "Model(biases of 40 users and 25 items)"
    succeed("recommend", "run/model", "--users", "all", "-n", 2, "--out", "recs.csv")
    written = pd.read_csv("recs.csv")
    assert written["item"].tolist() == trained.recommend(n=2)["item"].tolist()
    assert len(trained.recommend_for({"item": [103], "rating": [6]}))  # on the declared scale
    with pytest.raises(DataError, match=r"^item 103: the rating is 7, outside the scale 0 to 6"):
        trained.recommend_for({"item": [103], "rating": [7]})
    trained.save("copy")
    assert read_model(Path("copy")).info == read_model(Path("run/model")).info


@pytest.mark.parametrize("folder", OLDER, ids=lambda folder: f"{folder.parent.name}/{folder.name}")
def test_folders_of_older_formats_are_models_too(folder, tmp_path):
    model = ra.load_model(folder)
    assert repr(model).endswith(" of 12 users and 9 items)")
    lists = model.recommend(model.users.ids[:2], n=3)
    assert set(lists.user) <= set(model.users.ids[:2])
    model.save(tmp_path / "newer")
    assert ra.load_model(tmp_path / "newer").recommend(n=3).equals(model.recommend(n=3))


def test_folders_that_are_no_model_are_told(model, tmp_path):
    model.save(tmp_path / "model")
    for number, words in [
        (99, "upgrade recsys-ae"),
        (0, "has no format version"),
        (-1, "has no format version"),
    ]:
        (tmp_path / "model" / "model.json").write_text(json.dumps({"format": number}))
        with pytest.raises(StorageError, match=words):
            ra.load_model(tmp_path / "model")
    (tmp_path / "model" / "model.json").write_text(json.dumps({"format": 2, "kind": "factor"}))
    with pytest.raises(StorageError, match="does not describe a model"):
        ra.load_model(tmp_path / "model")
    with pytest.raises(StorageError, match="no such model folder"):
        ra.load_model(tmp_path / "absent")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "precious.csv").write_text("1")
    for place, words in {
        "data": "holds 'precious.csv', which is no",
        "data/precious.csv": "is a file",
    }.items():
        with pytest.raises(StorageError, match=words):
            model.save(tmp_path / place)
    assert (tmp_path / "data" / "precious.csv").read_text() == "1"


UNKNOWN = [
    (
        lambda m: m.recommend(["u001", "nobody"]),
        "1 of 2 users are unknown: 'nobody'; ask only for users with",
    ),
    (lambda m: m.recommend(7), "1 of 1 users are unknown: 7; ask only for users with ratings"),
    (lambda m: m.recommend("u001", items=[103, "zz"]), "1 of 2 items are unknown: 'zz'; ask only for items"),
    (lambda m: m.predict(["a", "b", "c", "d"], 103), "4 of 4 users are unknown: 'a', 'b', 'c', …; ask"),
    (lambda m: m.predict("u001", 7), "1 of 1 items are unknown: 7; ask only for items that the model knows"),
    (lambda m: m.recommend_for({"item": ["zz"], "rating": [3]}), "the model knows none of these items: 'zz'"),
]


def ratings_():
    return ra.load(pd.DataFrame({"user": [1, 1, 2, 2], "item": [1, 2, 1, 2], "rating": [1, 2, 3, 4]}))


def halves():
    return ra.split(ratings_(), test_share=0.5)


WRONG = [
    (lambda m: m.recommend([["u001"]]), r"\['u001'\] is no id of a user or an item: ids are integers"),
    (lambda m: m.recommend({"user": "u001"}), "users are asked for by their ids, and this is a dict"),
    (lambda m: m.recommend(pd.DataFrame({"user": ["u001"]})), "by their ids, and this is a DataFrame"),
    (lambda m: m.recommend([None]), "None is no id of a user or an item"),
    (lambda m: m.recommend([True]), "True is no id"),
    (lambda m: m.recommend([1.5]), r"1\.5 is no id"),
    (lambda m: m.recommend([float("nan")]), "nan is no id"),
    (lambda m: m.recommend([""]), "'' is no id"),
    (lambda m: m.recommend("u001", filter_items=[{}]), "{} is no id"),
    (lambda m: m.predict(["u001", "u002"], [103, 104, 105]), "2 users and 3 items are no pairs"),
    (lambda m: m.recommend_for({"item": [103]}), "the model was trained on ratings, and these items have"),
    (lambda m: m.recommend_for({"item": [103], "rating": [[1, 2]]}), "ratings have 2 dimensions"),
    (lambda m: m.recommend_for({"item": [103], "rating": ["x"]}), "ratings must be numbers"),
    (lambda m: m.recommend_for({"item": [103, "103"], "rating": [1, 2]}), "item '103' is there twice"),
    (lambda m: m.recommend_for({"item": [103, 104], "rating": [1]}), "^2 items and 1 ratings are not as"),
    (lambda m: m.recommend_for({"user": [1], "item": [103, 104], "rating": [1]}), "^1 users, 2 items and"),
    (lambda m: m.recommend_for({"item": [103], "stars": [1]}), "there is no place for 'stars'"),
    (lambda m: m.recommend_for([103]), r"known by what they rated, and this is \[103\]; give \{\"item\""),
    (lambda m: ra.load(pd.DataFrame({"user": [["a"]], "item": 1, "rating": 3})), "'user': holds list"),
    (lambda m: ra.load(pd.DataFrame({"user": [1, ["a"]], "item": 1, "rating": 3})), "'user': holds list"),
    (lambda m: ra.load(pd.DataFrame({"user": [], "item": [], "rating": []})), "holds no ratings"),
    (lambda m: ra.load([pd.DataFrame({"user": [1]})]), "load: a list of ratings is a list of paths"),
    (lambda m: ra.load(pd.Series([1, 2])), "a Series has no columns; give a table with users, items and"),
    (lambda m: ra.load(pd.DataFrame({"user": [1], "item": [1], "plays": [7]})),
     r'columns={"rating": "plays"} feedback="counts"'),
    (lambda m: ra.evaluate(3, None), "the split must come from ra.split, and this is a NoneType"),
    (lambda m: ra.recommend(3, halves()), "the model must come from ra.fit or ra.load_model, and this"),
    (lambda m: ra.evaluate("mf", halves()), "the model must come from ra.fit or ra.load_model"),
    (lambda m: ra.load_model(None), "load_model: give a folder or an address, and this is a NoneType"),
    (lambda m: ra.compare([1]), "compare: give the reports as a mapping"),
]  # fmt: skip


UNSETTLED = [
    (lambda m: m.recommend("u001", n=2.5), "n must be a whole number, and is 2.5"),
    (lambda m: m.recommend("u001", n="3"), "n must be a whole number, and is '3'"),
    (lambda m: m.recommend("u001", n=True), "n must be a whole number, and is True"),
    (lambda m: m.similar_items(103, n=None), "n must be a whole number, and is None"),
    (lambda m: m.explain("u001", 103, n=2.5), "n must be a whole number, and is 2.5"),
    (lambda m: m.recommend("u001", exclude_seen="no"), "exclude_seen must be True or False, and is 'no'"),
    (lambda m: m.save(None), "save: a model goes to a folder, and None is the name of none"),
    (lambda m: ra.split(ratings_(), seed="a"), "seed must be a whole number, and is 'a'"),
    (lambda m: ra.split(ratings_(), seed=-1), "seed is -1, but must be at least 0"),
    (lambda m: ra.fit("biases", halves(), seed="a"), "seed must be a whole number, and is 'a'"),
    (lambda m: ra.fit(3, halves()), "fit: 3 names no kind; give one, or a mapping"),
    (lambda m: ra.tune(None, halves(), {}), "tune: None names no kind; give one"),
    (lambda m: ra.benchmark(ratings_(), [3]), "benchmark: 3 names no kind; give one"),
    (lambda m: ra.fit("als", halves(), device="gpu"), "device 'gpu' is unknown; use auto, cpu"),
    (lambda m: m.as_implicit("names"), 'as_implicit: by is \'names\'; give "ids" or "positions"'),
    (lambda m: m.as_implicit("ids"), "needs ids that are numbers"),
]


@pytest.mark.parametrize(("ask", "sentence"), UNSETTLED)
def test_a_setting_that_does_not_hold_is_a_sentence(model, ask, sentence):
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        ask(model)


def test_one_number_is_a_list_of_it(model, split):
    assert (
        ra.evaluate(model, split, cutoffs=5).metrics.keys()
        == ra.evaluate(model, split, cutoffs=[5]).metrics.keys()
    )


def test_new_people_may_rate_as_nobody_of_the_training_did(model, caplog):
    """Where no scale is declared: the training may just hold no 9."""
    with pytest.raises(DataError, match="item 103: the rating is 9, outside the scale 1 to 5"):
        model.recommend_for({"item": [103], "rating": [9]})
    undeclared = ra.fit("biases", halves())
    with caplog.at_level("WARNING"):
        assert len(undeclared.recommend_for({"item": [1], "rating": [9]})) == 1
    assert "1 of 1 ratings lie outside those of the training" in caplog.text


def test_whom_nothing_is_known_of_gets_what_anybody_would_and_is_told(model, caplog):
    with caplog.at_level("WARNING"):
        assert len(model.recommend_for({"item": [], "rating": []}, n=3)) == 3
        assert model.recommend_for({"user": [], "item": [], "rating": []}).empty
    assert caplog.text.count("nothing is known of whom has rated nothing") == 1


def test_files_that_are_no_part_of_a_model_stay(model, tmp_path):
    model.save(tmp_path / "kept")
    (tmp_path / "kept" / "notes.txt").write_text("mine")
    with pytest.raises(StorageError, match=r"kept: holds 'notes.txt', which is no part of a model; choose"):
        model.save(tmp_path / "kept")
    assert (tmp_path / "kept" / "notes.txt").read_text() == "mine"
    (tmp_path / "kept" / "notes.txt").unlink()
    model.save(tmp_path / "kept")


@pytest.mark.parametrize(("ask", "sentence"), UNKNOWN)
def test_what_is_unknown_is_named_as_it_was_typed(model, ask, sentence):
    with pytest.raises(UnknownIdError, match=sentence):
        ask(model)


@pytest.mark.parametrize(("ask", "sentence"), WRONG)
def test_what_makes_no_sense_is_a_sentence(model, ask, sentence):
    with pytest.raises(DataError, match=sentence):
        ask(model)


def test_what_a_model_cannot_do_is_a_sentence(split):
    with pytest.raises(CapabilityError, match="does not rank items"):
        ra.fit("mean", split).recommend("u001")
    with pytest.raises(CapabilityError, match="this model does not fold them in"):
        ra.fit("bpr", split, anyway=True).recommend_for({"item": [103], "rating": [3]})
    with pytest.raises(ConfigError, match="n is 0, but must be at least 1"):
        ra.fit("biases", split).recommend("u001", n=0)


def test_values_have_a_short_face(model, split):
    assert repr(model).startswith("Model(i-autorec of 40 users and 25 items, validation rmse ")
    report = ra.evaluate(model, split)
    assert repr(report).startswith("Report(random, seed 1, clean: ")
    assert repr(model.users) == "IdMap(40 ids: 'u000', 'u001', 'u002', …)"
    assert repr(model.as_implicit()) == "LikeImplicit(40 users and 25 items by positions)"
    for value in (model, split, report, split.train):
        assert len(repr(value)) < 100


def test_everything_public_is_there_and_explains_itself():
    assert ra.__version__.count(".") >= 1
    for name in ra.__all__:
        value = getattr(ra, name)
        assert name == "__version__" or value.__doc__
    for name in ("recommend", "recommend_for", "predict", "similar_items", "explain", "save"):
        assert getattr(ra.Model, name).__doc__


KINDS = {
    "i-autorec": FAST, "u-autorec": FAST, "mult-vae": {"training": {"epochs": 3}},
    "implicit-autorec": {"hidden": [3], "training": {"epochs": 3}},
    "rbm": {"training": {"epochs": 3}}, "biased-mf": {"factors": 3},
    "als": {"factors": 3}, "item-knn": {}, "ease": {},
    "pca": {"factors": 3}, "pure-svd": {"factors": 3}, "biases": {},
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_contribution_is_what_the_score_falls_by_without_the_rating(split, kind, monkeypatch):
    model = ra.fit(kind, split, **KINDS[kind])
    items, row = split.train.items.ids, split.train.matrix[[5]]
    item = 107

    def score_of(kept: np.ndarray) -> float:
        given = {"item": items[row.indices[kept]], "rating": row.data[kept]}
        everything = model.recommend_for(given, n=25, exclude_seen=False)
        return float(everything.score[everything["item"] == item].iloc[0])

    everyone = np.ones(len(row.data), dtype=bool)
    expected = [
        score_of(everyone) - score_of(np.arange(len(everyone)) != left) for left in range(len(everyone))
    ]
    monkeypatch.setattr("recsys_ae.data.histories._CELLS_AT_ONCE", 3 * 25)  # several blocks
    found = model.explain(split.train.users.ids[5], item, n=100)
    by_item = dict(zip(items[row.indices], zip(row.data, expected, strict=True), strict=True))
    assert sorted(found["item"]) == sorted(by_item)
    assert found.rating.tolist() == [by_item[one][0] for one in found["item"]]
    np.testing.assert_allclose(found.contribution, [by_item[one][1] for one in found["item"]], atol=2e-5)
    assert found.contribution.is_monotonic_decreasing
    assert model.explain([split.train.users.ids[5]], [str(item)], n=2).equals(found[:2])


def test_what_explains_a_linear_autoencoder_is_its_weights(split):
    model = ra.fit("ease", split, positive=1)
    weights, row = model.recommender.item_weights, split.train.matrix[[5]]
    found = model.explain("u005", 107, n=100).set_index("item").contribution
    expected = weights[row.indices, 7]
    np.testing.assert_allclose(found[split.train.items.ids[row.indices]], expected, atol=1e-6)


def test_a_user_without_ratings_has_nothing_to_explain_by(ratings):
    few = ra.split(ratings.keep(ratings.rows() > 0))
    assert ra.fit("biases", few).explain("u000", 107).empty


OF_LIKES = {"mult-vae", "implicit-autorec", "als", "item-knn", "ease", "pure-svd"}


@pytest.mark.parametrize("kind", sorted({*OF_LIKES, "u-autorec", "rbm", "biased-mf", "pca"}))
def test_similar_items_are_those_that_the_same_people_want(kind):
    """Even users like even items and odd ones odd: no odd item is as like an even one as the even are."""
    split = ra.split(checkerboard(16, explicit=kind not in OF_LIKES), kind="all")
    settings = KINDS[kind] | ({"training": {"epochs": 60}} if "training" in KINDS[kind] else {})
    settings |= {"factors": 2 if kind in OF_LIKES else 1} if "factors" in settings else {}
    model = ra.fit(kind, split, validation=None, **settings)
    found = model.similar_items(model.items.ids, n=15)
    assert found.groupby("item").size().tolist() == [15] * 16
    assert (found["item"] != found.similar).all()
    assert found.score.between(-1, 1).all()
    is_alike = (found["item"] - found.similar) % 2 == 0
    assert found[is_alike]["rank"].max() == 7
    assert found[is_alike].score.min() > found[~is_alike].score.max()
    best, *rest = found[found["item"] == 3].similar[:3]
    assert model.similar_items(3, n=2, filter_items=best).similar.tolist() == rest


@pytest.mark.parametrize("kind", ["ease", "edlae", "dlae", "item-knn", "als", "pure-svd"])
def test_what_the_same_people_want_together_is_most_alike(kind):
    """Of twenty pairs of items within two tastes: who likes 2k likes 2k + 1, too. No model may lose the one
    weight by which it tells that."""
    rng = np.random.default_rng(0)
    wanted = [(u, k + 10 * (u % 2)) for u in range(400) for k in rng.choice(10, size=4, replace=False)]
    events = [(u, 2 * k + twin) for u, k in wanted for twin in (0, 1) if rng.random() < 0.97]
    table = pd.DataFrame(events, columns=["user", "item"])
    model = ra.fit(kind, ra.split(ra.load(table, feedback="events"), kind="all"), validation=None)
    found = model.similar_items(model.items.ids, n=1)
    assert found.similar.tolist() == [item ^ 1 for item in found["item"]]
    assert len(found) == 40


@pytest.mark.parametrize("kind", ["item-knn", "ease", "pca", "biased-mf"])
def test_similarity_is_the_cosine_of_what_was_learnt(split, kind):
    """Of a column of weights with its greatest in its own place, where it has none there."""
    model = ra.fit(kind, split, **KINDS[kind])
    own = model.recommender
    if kind in ("pca", "biased-mf"):
        vectors = own.item_factors
    else:
        vectors = csr_array(own.item_weights.T).toarray()
        np.fill_diagonal(vectors, np.abs(vectors).max(axis=1))
    found = model.similar_items([104, "104", 103], n=30)
    assert found["item"].unique().tolist() == [104, 103]
    for item, rows in found.groupby("item"):
        cosines = 1 - cdist(vectors[[item - 100]], vectors, "cosine")[0]
        np.testing.assert_allclose(rows.score, cosines[rows.similar - 100], atol=1e-5)
        assert len(rows) == 24
        assert rows.score.is_monotonic_decreasing


def test_an_item_that_nobody_rated_is_like_nothing(ratings, caplog):
    split = ra.split(ratings.keep(ratings.columns != 4), kind="all")
    for kind in ("biased-mf", "u-autorec", "i-autorec", "ease"):
        model = ra.fit(kind, split, validation=None, **KINDS[kind])
        caplog.clear()
        with caplog.at_level("WARNING"):
            found = model.similar_items([104, 103], n=30)
        assert found["item"].unique().tolist() == [103]
        assert 104 not in set(found.similar)
        assert "nothing was learnt of 1 of the items, such as 104" in caplog.text


def test_what_cannot_be_compared_or_explained_is_a_sentence(split):
    biases, bpr = ra.fit("biases", split), ra.fit("bpr", split)
    with pytest.raises(CapabilityError, match="this bias model has learnt nothing by which items could be"):
        biases.similar_items(103)
    with pytest.raises(CapabilityError, match="does not read histories, so that nothing in them explains"):
        bpr.explain("u003", 103)
    for ask, sentence in [
        (lambda: bpr.similar_items(103, n=0), "n is 0"),
        (lambda: biases.explain("u003", 103, n=0), "n is 0"),
    ]:
        with pytest.raises(ConfigError, match=sentence):
            ask()
    for ask, sentence in [
        (lambda: bpr.similar_items([103, "zz"]), "1 of 2 items are unknown: 'zz'"),
        (lambda: biases.explain("nobody", 103), "1 of 1 users are unknown: 'nobody'"),
        (lambda: biases.explain("u003", "zz"), "1 of 1 items are unknown: 'zz'"),
    ]:
        with pytest.raises(UnknownIdError, match=sentence):
            ask()
    for ask, sentence in [
        (lambda: biases.explain(["u003", "u004"], 103), "2 users and 1 items cannot be explained at once"),
        (lambda: biases.explain("u003", [[1]]), r"\[1\] is no id"),
    ]:
        with pytest.raises(DataError, match=sentence):
            ask()
