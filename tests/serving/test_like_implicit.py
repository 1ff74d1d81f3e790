"""A model asked as implicit's are: its own evaluation code runs, and says what ours says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from implicit import evaluation as theirs
from implicit.als import AlternatingLeastSquares
from scipy.sparse import csr_array, csr_matrix
from synthetic import low_rank

import recsys_ae as ra
from recsys_ae.errors import CapabilityError, ConfigError, DataError, UnknownIdError
from recsys_ae.serving.like_implicit import NO_SCORE

K = 5


@pytest.fixture(scope="module")
def split():
    return ra.split(low_rank(80, 30, density=0.3, seed=3), seed=2, test_share=0.3)


@pytest.fixture(scope="module")
def model(split):
    return ra.fit("ease", split)


def matrices(split) -> tuple[csr_matrix, csr_matrix]:
    return csr_matrix(split.train.matrix), csr_matrix(split.holdout.matrix)


@pytest.mark.parametrize(
    "kind", ["i-autorec", "u-autorec", "mult-vae", "biased-mf", "ease", "als", "popularity"]
)
def test_implicits_evaluation_runs_on_our_models_and_agrees_with_ours(split, kind):
    fast = {"training": {"epochs": 3}} if "auto" in kind or "vae" in kind else {}
    model = ra.fit(kind, split, **fast)
    found = theirs.ranking_metrics_at_k(model.as_implicit(), *matrices(split), K=K, show_progress=False)
    report = ra.evaluate(model, split, cutoffs=[K], relevant="all")
    assert found["ndcg"] == pytest.approx(report.metrics[f"ndcg_at_{K}"], rel=1e-5)
    assert found["map"] == pytest.approx(report.metrics[f"map_at_{K}"], rel=1e-5)
    n_held = np.diff(split.holdout.matrix.indptr)[split.evaluated_users]
    hits = np.round(
        report.per_user[f"precision_at_{K}"] * K
    )  # theirs is over all users, and of what is possible
    assert found["precision"] == pytest.approx(hits.sum() / np.minimum(n_held, K).sum(), rel=1e-6)
    assert 0 < theirs.AUC_at_k(model.as_implicit(), *matrices(split), K=K, show_progress=False) < 1
    for function, name in [(theirs.ndcg_at_k, "ndcg"), (theirs.mean_average_precision_at_k, "map")]:
        assert function(model.as_implicit(), *matrices(split), K=K, show_progress=False) == found[name]


def test_the_same_factors_answer_as_implicits_own(split):
    """Factors of ours in implicit's class: its lists, with each of its options, are the adapter's."""
    train = matrices(split)[0]
    rng = np.random.default_rng(0)
    users, items = (rng.normal(size=(n, 4)).astype(np.float32) for n in (80, 30))
    fitted = ra.fit("als", split, factors=4)
    model = replace(fitted, recommender=replace(fitted.recommender, user_factors=users, item_factors=items))
    own = AlternatingLeastSquares(factors=4, num_threads=1)
    own.user_factors, own.item_factors = users, items
    asked = np.array([3, 1, 70])
    for options in (
        {},
        {"N": 3},
        {"filter_already_liked_items": False},
        {"filter_items": [2, 5, 9]},
        {"items": np.array([8, 1, 4]), "N": 2},
        {"items": np.array([8, 1, 4])},
        {"N": 40},
    ):
        found = model.as_implicit().recommend(asked, train[asked], **options)
        expected = own.recommend(asked, train[asked], **options)
        shown = found[0] >= 0
        assert [part.shape for part in found] == [part.shape for part in expected]
        np.testing.assert_array_equal(found[0][shown], expected[0][shown])
        np.testing.assert_allclose(found[1][shown], expected[1][shown], rtol=1e-4)
        one = model.as_implicit().recommend(1, train[1], **options)
        assert one[0].tolist() == found[0][1].tolist()
        np.testing.assert_allclose(one[1], found[1][1], rtol=1e-4)
    ids, scores = model.as_implicit().similar_items(np.array([4, 7, 4]), N=6)
    theirs_ids, theirs_scores = own.similar_items(np.array([4, 7, 4]), N=6)
    np.testing.assert_array_equal(ids, theirs_ids)
    np.testing.assert_allclose(scores, theirs_scores, atol=1e-5)
    assert ids[:, 0].tolist() == [4, 7, 4]
    assert model.as_implicit().similar_items(7, N=6)[0].tolist() == ids[1].tolist()


def test_the_adapter_answers_as_the_model(model):
    ids, scores = model.as_implicit().recommend([5, 2], N=4)
    lists = model.recommend(model.users.ids[[5, 2]], n=4)
    assert model.items.ids[ids.ravel()].tolist() == lists["item"].tolist()
    np.testing.assert_allclose(scores.ravel(), lists.score)
    assert (ids.shape, ids.dtype, scores.dtype) == ((2, 4), np.int32, np.float32)


def with_gaps() -> csr_matrix:
    """Rows 0 and 7 and columns 0 and 5 are empty, as those of one half of a split may be."""
    matrix = matrices(ra.split(low_rank(40, 20, density=0.4, seed=5), kind="all"))[0].tolil()
    matrix[[0, 7]] = 0
    matrix[:, [0, 5]] = 0
    found = matrix.tocsr()
    found.eliminate_zeros()
    return found


@pytest.mark.parametrize("kind", ["als", "item-knn"])
def test_by_ids_the_rows_and_columns_are_those_of_the_matrix(kind):
    """What is empty is nobody: the answers are those of the same model of the matrix without the gaps."""
    matrix = with_gaps()
    users, items = np.delete(np.arange(40), [0, 7]), np.delete(np.arange(20), [0, 5])
    settings = {"factors": 4, "l2": 0.1} if kind == "als" else {}
    model = ra.fit(kind, ra.split(ra.load(matrix), kind="all"), **settings)
    dense = ra.fit(kind, ra.split(ra.load(matrix[users][:, items]), kind="all"), **settings).as_implicit()
    adapter = model.as_implicit(by="ids")
    assert repr(adapter) == "LikeImplicit(38 users and 18 items by ids)"
    ids, scores = adapter.recommend(users, matrix[users], N=6)
    expected, theirs_scores = dense.recommend(np.arange(38), matrix[users][:, items], N=6)
    np.testing.assert_array_equal(ids, np.append(items, -1)[expected])
    np.testing.assert_allclose(scores, theirs_scores)
    assert adapter.recommend(39, items=[9, 4, 1], N=1)[0].tolist() == ids_of(model, 39, [4, 9, 1], 1)
    assert adapter.recommend(39, filter_items=[0, 4, 1_000])[0].tolist().count(4) == 0
    assert adapter.similar_items(6, N=3)[0][0] == 6
    nobody = adapter.recommend([0, 39], matrix[[0, 39]], N=6)  # folded in with an empty history
    assert nobody[0][1].tolist() == adapter.recommend(39, matrix[39], N=6)[0].tolist()
    wider = csr_matrix((np.ones(2), ([0, 0], [4, 99])), shape=(1, 100))  # 99: what the model does not know
    narrow = csr_matrix((np.ones(1), ([0], [4])), shape=(1, 20))
    one, other = (adapter.recommend(39, row, N=6, recalculate_user=True) for row in (wider, narrow))
    assert one[0].tolist() == other[0].tolist()
    found = theirs.ranking_metrics_at_k(adapter, matrix, matrices_of_test(), K=K, show_progress=False)
    assert 0 <= found["precision"] <= 1


def ids_of(model, user, items, n):
    return model.recommend(user, n=n, items=items)["item"].tolist()


def matrices_of_test() -> csr_matrix:
    rng = np.random.default_rng(0)
    return csr_matrix((rng.random((40, 20)) < 0.2).astype(np.float32))


def test_ids_that_may_be_places_or_not_are_asked_for():
    model = ra.fit("als", ra.split(ra.load(with_gaps()), kind="all"), factors=2)
    with pytest.raises(ConfigError, match='by="ids", or their places in users'):
        model.as_implicit()
    places = model.as_implicit(by="positions").recommend(0, N=3)
    assert model.items.ids[places[0]].tolist() == model.recommend(1, n=3)["item"].tolist()
    by_ids = model.as_implicit(by="ids")
    with pytest.raises(UnknownIdError, match="there is no user 7: the model was trained without it"):
        by_ids.recommend(7)
    with pytest.raises(UnknownIdError, match="there is no item 5: the model was trained without it"):
        by_ids.similar_items(5)


def test_anybody_may_be_recalculated(split):
    """As in implicit: `userid` says only how many there are."""
    train = matrices(split)[0]
    new = csr_matrix((np.random.default_rng(0).random((200, 30)) < 0.2).astype(np.float32))
    adapter = ra.fit("als", split, factors=4, positive=None).as_implicit()
    own = AlternatingLeastSquares(factors=4, num_threads=1)
    own.fit(train, show_progress=False)
    found = adapter.recommend(np.arange(200), new, N=3, recalculate_user=True)
    assert found[0].shape == own.recommend(np.arange(200), new, N=3, recalculate_user=True)[0].shape
    assert (
        found[0][:5].tolist()
        == adapter.recommend(np.arange(5), new[:5], N=3, recalculate_user=True)[0].tolist()
    )


def test_what_may_be_read_is_the_matrix_that_is_given(split):
    train = matrices(split)[0]
    model = ra.fit("biased-mf", split, factors=2)
    adapter = model.as_implicit()
    other = train[[9]]
    stored = adapter.recommend(3, other, N=30, filter_already_liked_items=False)
    assert stored[0].tolist() == adapter.recommend(3, N=30, filter_already_liked_items=False)[0].tolist()
    again = adapter.recommend(3, other, N=30, recalculate_user=True)
    given = {"item": model.items.ids[other.indices], "rating": other.data}
    listed = model.recommend_for(given, n=30)["item"]
    assert model.items.ids[again[0][: len(listed)]].tolist() == listed.tolist()
    assert (again[0][len(listed) :] == -1).all()
    assert (again[1][len(listed) :] == NO_SCORE).all()
    assert len(again[0]) == 30


def test_a_stored_zero_is_something_liked_already(model):
    history = csr_array(([0.0, 1.0], [4, 6], [0, 2]), shape=(1, 30))
    ids = model.as_implicit().recommend(0, history, N=30)[0]
    assert not {4, 6} & set(ids.tolist())
    assert (ids >= 0).sum() == 28


def test_items_that_were_not_learnt_end_the_lists(split):
    train = split.train.keep(split.train.columns != 4)
    model = ra.fit("ease", ra.split(train, kind="all"))
    ids, scores = model.as_implicit().similar_items([4, 3], N=30)
    assert (ids[0] == -1).all()
    assert (scores[0] == NO_SCORE).all()
    assert sorted(ids[1].tolist()) == sorted([-1, *(i for i in range(30) if i != 4)])


def test_positions_that_are_not_there_are_a_sentence(model):
    adapter = model.as_implicit()
    with pytest.raises(UnknownIdError, match="there is no user 80: positions of users go from 0 to 79"):
        adapter.recommend([1, 80])
    for ask in (
        lambda: adapter.recommend(0, items=[30]),
        lambda: adapter.recommend(0, filter_items=[1, 30]),
        lambda: adapter.similar_items(30),
    ):
        with pytest.raises(UnknownIdError, match="there is no item 30: positions of items go from 0 to 29"):
            ask()
    for ask, sentence in [
        (lambda: adapter.recommend("u1"), "'u1' is no position of a user"),
        (
            lambda: adapter.recommend(0, csr_array((2, 30))),
            r"has shape \(2, 30\); give a sparse matrix of \(1, 30\)",
        ),
        (lambda: adapter.recommend(0, [1, 2]), "user_items is "),
        (lambda: adapter.similar_items(0, recalculate_item=True), "leave out recalculate_item"),
    ]:
        with pytest.raises(DataError, match=sentence):
            ask()


def test_what_a_model_cannot_do_is_a_sentence(split):
    train = matrices(split)[0]
    bpr = ra.fit("bpr", split, factors=2).as_implicit()
    with pytest.raises(CapabilityError, match="does not fold them in"):
        bpr.recommend(0, train[0], recalculate_user=True)
    with pytest.raises(CapabilityError, match="could be compared"):
        ra.fit("popularity", split).as_implicit().similar_items(0)
