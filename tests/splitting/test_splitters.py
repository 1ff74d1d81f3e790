"""Every splitter: conservation, sizes, reproducibility, and the plain loops that say the same."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from hashlib import blake2b

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import observed, slow_last_of_rows
from strategies import grid, ratings_of, small_ratings

from recsys_ae.data.ids import IdMap
from recsys_ae.data.ratings import Ratings
from recsys_ae.errors import ConfigError, DataError
from recsys_ae.rng import random_keys
from recsys_ae.splitting.configs import (
    AllSplitConfig,
    KFoldSplitConfig,
    LeaveLastSplitConfig,
    PerUserSplitConfig,
    PredefinedSplitConfig,
    RandomSplitConfig,
    TemporalSplitConfig,
    UsersSplitConfig,
)
from recsys_ae.splitting.make import make_split, predefined

CONFIGS = [
    RandomSplitConfig(test_share=0.3),
    KFoldSplitConfig(folds=3, fold=1),
    PerUserSplitConfig(test_share=0.4),
    TemporalSplitConfig(test_share=0.3),
    LeaveLastSplitConfig(n=1),
    UsersSplitConfig(test_share=0.4, fold_in_share=0.5),
    AllSplitConfig(),
]
PARTS = PredefinedSplitConfig(train="u1.base", test="u1.test")
shares = st.sampled_from([0.05, 0.1, 0.29, 0.5, 0.7, 0.9])
seeds = st.integers(0, 3)
timed = small_ratings(min_observed=1, timestamps=True)


def split_or_none(config, ratings, seed):
    try:
        return make_split(config, ratings, seed)
    except DataError:
        return None


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.kind)
@given(ratings=timed, seed=seeds)
def test_conserves_every_rating(config, ratings, seed):
    split = split_or_none(config, ratings, seed)
    if split is None:
        return
    parts = [split.train, split.holdout] + ([split.fold_in] if split.of_users else [])
    together = {key: value for part in parts for key, value in observed(part).items()}
    assert together == observed(ratings)  # zeros, negative values and the timestamp of each rating
    assert sum(part.n_observed for part in parts) == ratings.n_observed
    assert split.train.n_observed > 0
    assert (split.holdout.n_observed > 0) == (config.kind != "all")
    assert split.config == config
    assert split.data_fingerprint == ratings.fingerprint()
    assert all(part.scale == ratings.scale and part.matrix.shape == ratings.matrix.shape for part in parts)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.kind)
def test_same_seed_same_split(config):
    ratings = grid()
    first = make_split(config, ratings, 3)
    random_keys(1000, 3, "another purpose")
    assert make_split(config, ratings, 3).fingerprint() == first.fingerprint()
    if config.kind in ("random", "k-fold", "per-user", "users"):
        assert make_split(config, ratings, 4).fingerprint() != first.fingerprint()


PINNED = {
    "random": "d33684f7238c9016",
    "k-fold": "df0aa930ae9b339b",
    "per-user": "667bee472208da7e",
    "temporal": "b8ed34ab91a6c918",
    "leave-last": "310c98f90edb82b8",
    "users": "1a1280c23c018de8",
    "all": "9c24dde9e49eaa86",
}


def parts_digest(split) -> str:
    """Of the cells of the three parts, whatever a fingerprint is made of."""
    parts = (split.train, split.fold_in, split.holdout)
    cells = [(part.rows() * part.n_items + part.columns).astype("<i8").tobytes() for part in parts]
    return blake2b(b"|".join(cells), digest_size=8).hexdigest()


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.kind)
def test_parts_are_known(config):
    """What one machine splits, every other must split the same: results of years apart stay comparable."""
    assert parts_digest(make_split(config, grid(), 7)) == PINNED[config.kind]


def test_fingerprint_is_known():
    """Published with results: a change makes all of them incomparable."""
    assert make_split(RandomSplitConfig(), grid(), 7).fingerprint() == "bd05e459e3740cd759dc09d58698d1dd"
    mask = np.arange(grid().n_observed) % 5 == 0
    assert predefined(grid(), mask, config=PARTS).fingerprint() == "4e4a8f484c77815a5c545b9df8ff1056"


@given(ratings=small_ratings(), share=shares, seed=seeds)
def test_random_holdout_is_the_smallest_draws(ratings, share, seed):
    n_held_out = int(Fraction(str(share)) * ratings.n_observed + Fraction(1, 2))
    if n_held_out in (0, ratings.n_observed):
        with pytest.raises(DataError, match="hold out"):
            make_split(RandomSplitConfig(test_share=share), ratings, seed)
        return
    split = make_split(RandomSplitConfig(test_share=share), ratings, seed)
    keys = random_keys(ratings.n_observed, seed, "split", "random")
    chosen = sorted(range(ratings.n_observed), key=lambda place: keys[place])[:n_held_out]
    mask = np.isin(np.arange(ratings.n_observed), chosen)
    assert observed(split.holdout) == observed(ratings.keep(mask))


@pytest.mark.parametrize(
    ("n", "share"), [(50, "0.29"), (25, "0.58"), (45, "0.7"), (3000, "0.1"), (3000, "0.9")]
)
def test_a_share_is_that_of_its_decimals(n, share):
    """0.29 * 50 is a little less than 14.5 in floating point. Of thousands of draws the smallest are found
    without sorting them all."""
    ratings = ratings_of(np.arange(n) // 25, np.arange(n) % 25, np.ones(n))
    split = make_split(RandomSplitConfig(test_share=float(share)), ratings, 5)
    n_held_out = int(Fraction(share) * n + Fraction(1, 2))
    smallest = np.sort(np.argsort(random_keys(n, 5, "split", "random"), kind="stable")[:n_held_out])
    assert (split.holdout.rows() * 25 + split.holdout.columns).tolist() == smallest.tolist()


@given(ratings=small_ratings(), folds=st.integers(2, 6), seed=seeds)
def test_folds_are_a_partition(ratings, folds, seed):
    if ratings.n_observed < folds:
        with pytest.raises(DataError, match="fewer folds"):
            make_split(KFoldSplitConfig(folds=folds), ratings, seed)
        return
    splits = [make_split(KFoldSplitConfig(folds=folds, fold=fold), ratings, seed) for fold in range(folds)]
    cells = Counter(cell for split in splits for cell in observed(split.holdout))
    assert cells == Counter(observed(ratings).keys())
    sizes = [split.holdout.n_observed for split in splits]
    assert max(sizes) - min(sizes) <= 1


@given(ratings=small_ratings(), share=shares, min_train=st.integers(1, 4), seed=seeds)
def test_per_user_holdout_equals_the_loop(ratings, share, min_train, seed):
    config = PerUserSplitConfig(test_share=share, min_train=min_train)
    totals = np.diff(ratings.matrix.indptr).tolist()
    counts = [min(max(int(Fraction(str(share)) * n), 1), max(n - min_train, 0)) for n in totals]
    if sum(counts) == 0:
        with pytest.raises(DataError, match="holds out none"):
            make_split(config, ratings, seed)
        return
    split = make_split(config, ratings, seed)
    places = slow_last_of_rows(ratings, counts, random_keys(ratings.n_observed, seed, "split", "per-user"))
    mask = np.isin(np.arange(ratings.n_observed), list(places))
    assert observed(split.holdout) == observed(ratings.keep(mask))


@given(ratings=timed, n=st.integers(1, 3), seed=seeds, wide=st.booleans())
def test_leave_last_equals_the_loop(ratings, n, seed, wide):
    if wide:  # times so far apart that they must be ranked, and that their distance may not fit into 64 bits
        times = (ratings.timestamps - 1_000_000_002) * 2**61
        ratings = Ratings(ratings.matrix, ratings.users, ratings.items, times, ratings.scale)
    counts = [n if total > n else 0 for total in np.diff(ratings.matrix.indptr)]
    if sum(counts) == 0:
        with pytest.raises(DataError, match="holds out none"):
            make_split(LeaveLastSplitConfig(n=n), ratings, seed)
        return
    split = make_split(LeaveLastSplitConfig(n=n), ratings, seed)
    draws = random_keys(ratings.n_observed, seed, "split", "leave-last")
    places = slow_last_of_rows(ratings, counts, list(zip(ratings.timestamps, draws, strict=True)))
    mask = np.isin(np.arange(ratings.n_observed), list(places))
    assert observed(split.holdout) == observed(ratings.keep(mask))


def test_leave_last_favours_no_item_among_equal_times():
    n_users, n_items = 400, 5
    cells = np.arange(n_users * n_items)
    ratings = ratings_of(cells // n_items, cells % n_items, np.ones(len(cells)),
                                   timestamps=np.full(len(cells), 5))  # fmt: skip
    per_item = np.bincount(make_split(LeaveLastSplitConfig(), ratings, 0).holdout.columns, minlength=n_items)
    assert per_item.min() > 40  # 80 expected, standard deviation 8


@given(ratings=timed, share=shares)
def test_temporal_cut_has_no_future_in_training(ratings, share):
    split = split_or_none(TemporalSplitConfig(test_share=share), ratings, 0)
    wanted = int(Fraction(str(share)) * ratings.n_observed + Fraction(1, 2))
    times = ratings.timestamps
    possible = [n for n in (np.count_nonzero(times >= t) for t in np.unique(times)) if n < len(times)]
    if split is None:
        assert wanted in (0, len(times)) or not possible
        return
    assert split.train.timestamps.max() < split.holdout.timestamps.min()
    assert abs(split.holdout.n_observed - wanted) == min(abs(n - wanted) for n in possible)


def test_temporal_cut_is_exact_where_times_differ_and_takes_a_given_moment():
    ratings = grid()
    distinct = Ratings(
        ratings.matrix, ratings.users, ratings.items, np.arange(ratings.n_observed)[::-1].copy()
    )
    assert make_split(TemporalSplitConfig(test_share=0.1), distinct, 0).holdout.n_observed == round(
        0.1 * ratings.n_observed
    )
    split = make_split(TemporalSplitConfig(cut=1_000_000_050), ratings, 0)
    assert split.holdout.n_observed == np.count_nonzero(ratings.timestamps >= 1_000_000_050)
    assert split.holdout.timestamps.min() == 1_000_000_050


@given(ratings=small_ratings(max_users=10), share=shares, fold_in_share=shares, seed=seeds)
def test_held_out_users_are_unseen_and_partly_read(ratings, share, fold_in_share, seed):
    totals = np.diff(ratings.matrix.indptr)
    n_users = int(Fraction(str(share)) * int((totals >= 2).sum()) + Fraction(1, 2))
    config = UsersSplitConfig(test_share=share, fold_in_share=fold_in_share)
    split = split_or_none(config, ratings, seed)
    if split is None:
        assert n_users == 0 or n_users == int((totals > 0).sum())
        return
    users = split.evaluated_users
    assert len(users) == n_users
    assert split.of_users
    assert split.cold_users == 0
    assert split.train.matrix[users].nnz == 0
    held_out = np.diff(split.holdout.matrix.indptr)[users]
    expected = [max(int((1 - Fraction(str(fold_in_share))) * int(n)), 1) for n in totals[users]]
    assert held_out.tolist() == expected
    assert (np.diff(split.fold_in.matrix.indptr)[users] == totals[users] - expected).all()
    assert split.fold_in.n_observed + split.holdout.n_observed == totals[users].sum()


@given(data=st.data(), ratings=small_ratings(min_observed=2))
def test_predefined_holds_out_the_mask(data, ratings):
    mask = np.array(
        data.draw(st.lists(st.booleans(), min_size=ratings.n_observed, max_size=ratings.n_observed))
    )
    if mask.all() or not mask.any():
        with pytest.raises(DataError, match="predefined"):
            predefined(ratings, mask, config=PARTS)
        return
    split = predefined(ratings, mask, config=PARTS)
    assert observed(split.holdout) == observed(ratings.keep(mask))
    assert observed(split.train) == observed(ratings.keep(~mask))


def test_predefined_refuses_a_mask_of_another_size_or_kind():
    ratings = grid()
    for mask in (np.ones(3, dtype=bool), np.ones(ratings.n_observed)):
        with pytest.raises(DataError, match="one true or false for each of"):
            predefined(ratings, mask, config=PARTS)
    with pytest.raises(ConfigError, match="two files"):
        make_split(PARTS, ratings, 0)


@pytest.mark.parametrize("config", [TemporalSplitConfig(), LeaveLastSplitConfig()], ids=lambda c: c.kind)
def test_time_splits_need_timestamps(config):
    ratings = grid()
    timeless = Ratings(ratings.matrix, ratings.users, ratings.items)
    with pytest.raises(DataError, match=f"split '{config.kind}' needs timestamps.*choose a split"):
        make_split(config, timeless, 0)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.kind)
def test_nothing_to_split(config):
    ratings = grid().keep(np.zeros(grid().n_observed, dtype=bool))
    with pytest.raises(DataError, match=config.kind):
        make_split(config, ratings, 0)


def test_order_of_the_file_decides_nothing():
    ratings = grid()
    triples = [ratings.users.ids[ratings.rows()], ratings.items.ids[ratings.columns], ratings.values]
    order = np.random.default_rng(0).permutation(ratings.n_observed)
    shuffled = ratings_of(*(part[order] for part in triples), timestamps=ratings.timestamps[order])
    for config in CONFIGS:
        assert make_split(config, shuffled, 1).fingerprint() == make_split(config, ratings, 1).fingerprint()


def test_cold_users_and_items_are_counted_not_dropped():
    users, items = [1, 1, 2, 3], ["a", "b", "a", "c"]
    ratings = ratings_of(users, items, [1.0, 0.0, 2.0, 3.0], timestamps=[1, 2, 3, 4])
    split = make_split(TemporalSplitConfig(cut=3), ratings, 0)
    assert split.cold_users == 2  # users 2 and 3
    assert split.cold_items == 1  # item c
    assert split.holdout.n_observed == 2
    assert len(split.evaluated_users) == 2


def test_keep_all_holds_out_nothing():
    ratings = grid()
    split = make_split(AllSplitConfig(), ratings, 0)
    assert split.train is ratings
    assert split.holdout.n_observed == 0
    assert len(split.evaluated_users) == split.cold_users == split.cold_items == 0
    assert len(IdMap.of(split.holdout.users.ids)) == ratings.n_users
