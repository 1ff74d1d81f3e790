"""How sure a difference is: closed forms, slow loops, scipy; and how often equal models seem to differ."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from recsys_ae.evaluation.uncertainty import PairedSums, Uncertainty, uncertainty
from recsys_ae.metrics import NDCG, RMSE

MEAN = NDCG.at(10)


def of_lists(differences: np.ndarray) -> PairedSums:
    """A mean over users whose differences (n_users, n_seeds) are these."""
    return PairedSums(MEAN, differences, np.zeros_like(differences), np.ones_like(differences))


def of_ratings(rng: np.random.Generator, n_users: int, n_seeds: int) -> PairedSums:
    """Sums of squared errors, with users absent from some seeds."""
    counts = rng.poisson(2.0, (n_users, n_seeds)).astype(float)
    counts[:2] += 1  # nobody is alone in a seed
    counts = counts[counts.any(axis=1)]
    return PairedSums(RMSE, rng.gamma(2 * counts + 1e-9), 1.2 * rng.gamma(2 * counts + 1e-9), counts)


def test_one_seed_of_means_is_the_paired_t_test():
    rng = np.random.default_rng(0)
    ours, theirs = rng.gamma(2.0, size=40), rng.gamma(2.2, size=40)
    expected = stats.ttest_rel(ours, theirs)
    found = uncertainty(PairedSums(MEAN, ours[:, None], theirs[:, None], np.ones((40, 1))))
    interval = expected.confidence_interval(0.9)
    assert found.p_value(ours.mean() - theirs.mean()) == pytest.approx(expected.pvalue)
    assert found.half_width(0.1) == pytest.approx((interval.high - interval.low) / 2)


def test_a_users_change_is_found_by_leaving_the_user_out():
    paired = of_ratings(np.random.default_rng(1), 30, 3)
    found = paired.changes()
    for user in range(len(found)):
        others = np.arange(len(found)) != user
        for seed in range(3):
            n = paired.counts[others, seed].sum()
            ours, theirs = (part[others, seed].sum() for part in (paired.sums, paired.reference_sums))
            without = (ours / n) ** 0.5 - (theirs / n) ** 0.5
            assert found[user, seed] == pytest.approx(paired.differences()[seed] - without, abs=1e-12)


def test_the_only_user_with_errors_may_be_left_out():
    errors = np.array([[0.1], [0.2], [0.3]]) * np.array([[1.0], [0.0], [0.0]])
    errors[1:] = 1e-17  # lost in the sum
    found = PairedSums(RMSE, errors, np.zeros((3, 1)), np.ones((3, 1))).changes()
    assert found[0] == pytest.approx((0.1 / 3) ** 0.5)


def test_an_rmse_of_one_seed_agrees_with_the_bootstrap():
    rng = np.random.default_rng(2)
    counts = rng.integers(1, 20, 200).astype(float)
    a, b = rng.gamma(counts), 1.2 * rng.gamma(counts)

    def difference(a, b, n, axis=-1):
        return np.sqrt(a.sum(axis) / n.sum(axis)) - np.sqrt(b.sum(axis) / n.sum(axis))

    drawn = stats.bootstrap(
        (a, b, counts), difference, paired=True, n_resamples=8000, method="percentile", vectorized=True, rng=3
    )
    found = uncertainty(PairedSums(RMSE, a[:, None], b[:, None], counts[:, None]))
    assert found.of_users**0.5 == pytest.approx(drawn.standard_error, rel=0.05)
    width = drawn.confidence_interval.high - drawn.confidence_interval.low
    assert 2 * found.half_width(0.05) == pytest.approx(width, rel=0.05)


def test_several_seeds_are_the_mean_squares_of_users_crossed_with_seeds():
    rng = np.random.default_rng(4)
    table = 2 * rng.normal(size=(50, 1)) + 0.3 * rng.normal(size=(1, 4)) + rng.normal(size=(50, 4))
    of_user, of_seed, mean = table.mean(axis=1), table.mean(axis=0), table.mean()
    squares_users = 4 * sum((of_user[u] - mean) ** 2 for u in range(50)) / 49
    squares_seeds = 50 * sum((of_seed[s] - mean) ** 2 for s in range(4)) / 3
    squares_rest = sum(
        (table[u, s] - of_user[u] - of_seed[s] + mean) ** 2 for u in range(50) for s in range(4)
    ) / (49 * 3)
    found = uncertainty(of_lists(table))
    assert found.of_users == pytest.approx((squares_users - squares_rest) / 200)
    assert found.of_seeds == pytest.approx(squares_seeds / 200)
    assert (found.users_freedom, found.seeds_freedom) == (49, 3)

    users, seeds = found.of_users, found.of_seeds
    careful = (users * stats.t.ppf(0.975, 49) + seeds * stats.t.ppf(0.975, 3)) / (users + seeds)
    bold = stats.t.ppf(0.975, (users + seeds) ** 2 / (users**2 / 49 + seeds**2 / 3))
    assert found.half_width(0.05) == pytest.approx((careful + bold) / 2 * (users + seeds) ** 0.5)


def test_a_seed_given_twice_adds_no_certainty():
    single = of_ratings(np.random.default_rng(5), 60, 1)
    twice = PairedSums(
        RMSE, *(np.tile(part, 2) for part in (single.sums, single.reference_sums, single.counts))
    )
    assert uncertainty(twice).half_width(0.05) == pytest.approx(uncertainty(single).half_width(0.05))


def test_noise_of_the_fits_widens_the_interval():
    """All users' differences go up and down with the seed: no number of users makes that certain."""
    rng = np.random.default_rng(6)
    calm = rng.normal(size=(2000, 3)) * 0.1
    shaken = calm + np.array([0.3, -0.1, 0.2])
    assert uncertainty(of_lists(calm)).half_width(0.05) < 0.05
    low = stats.t.interval(0.95, 2, shaken.mean(), stats.sem(shaken.mean(axis=0)))[0]
    assert uncertainty(of_lists(shaken)).half_width(0.05) == pytest.approx(shaken.mean() - low, rel=0.05)


def test_seeds_with_users_of_their_own_are_as_many_draws():
    """Each user is in one seed: what differs between the seeds is all that is known."""
    rng = np.random.default_rng(7)
    counts = np.kron(np.eye(4), np.ones((100, 1)))
    paired = PairedSums(MEAN, counts * rng.normal(size=(400, 4)), np.zeros((400, 4)), counts)
    found = uncertainty(paired)
    expected = stats.sem(paired.differences()) ** 2
    assert found.of_seeds == pytest.approx(expected)
    assert found.of_users < 0.02 * expected


def test_a_user_with_most_of_the_ratings_leaves_little_freedom():
    counts = np.ones((100, 1))
    counts[0] = 10_000
    rng = np.random.default_rng(8)
    found = uncertainty(PairedSums(RMSE, rng.gamma(counts), rng.gamma(counts), counts))
    assert found.users_freedom == 1
    assert uncertainty(of_lists(rng.normal(size=(100, 1)))).users_freedom == 99


@given(st.floats(1e-3, 1e3), st.integers(1, 3))
def test_the_unit_of_the_ratings_changes_no_p_value(factor, n_seeds):
    paired = of_ratings(np.random.default_rng(9), 40, n_seeds)
    other = PairedSums(RMSE, paired.sums * factor**2, paired.reference_sums * factor**2, paired.counts)
    found, again = uncertainty(paired), uncertainty(other)
    assert again.half_width(0.05) == pytest.approx(factor * found.half_width(0.05))
    p_values = [one.p_value(pair.differences().mean()) for one, pair in ((found, paired), (again, other))]
    assert p_values[0] == pytest.approx(p_values[1])


parts = st.one_of(st.just(0.0), st.floats(1e-6, 1e3))


@given(parts, parts, st.floats(1, 500), st.integers(1, 9), st.floats(-8, -0.01))
def test_a_difference_as_large_as_the_interval_has_its_p_value(users, seeds, users_freedom, n, exponent):
    assume(users + seeds > 0)
    found, p = Uncertainty(users, seeds, users_freedom, float(n)), 10**exponent
    assert found.p_value(found.half_width(p)) == pytest.approx(p, rel=1e-6)
    assert found.p_value(-found.half_width(p)) == pytest.approx(p, rel=1e-6)
    assert found.half_width(p) > found.half_width(min(1.0, 2 * p))


def test_no_difference_is_certain_and_no_p_value_is_zero():
    same = Uncertainty(0.0, 0.0, 9.0, 1.0)
    assert (same.half_width(0.05), same.p_value(0.0), same.p_value(-0.1)) == (0, 1, 1e-15)
    assert Uncertainty(1.0, 0.0, 900.0, 1.0).p_value(1e6) == 1e-15


def equal_models(
    rng: np.random.Generator, metric, n_users: int, n_seeds: int, *, fit_noise: float
) -> PairedSums:
    """Two models of the same quality, as they differ on MovieLens 100K: users' differences skewed, with heavy
    tails, and less alike from seed to seed than between users; a random number of ratings, of which some have
    many and some none; and, with several seeds, noise of split and fit that all users share."""
    of_user = (1.2 * rng.exponential(size=n_users) - 0.7 * rng.exponential(size=n_users) - 0.5) / 1.39
    of_fit = fit_noise * rng.normal(size=n_seeds) * (n_seeds > 1)
    of_both = rng.standard_t(4, (n_users, n_seeds)) / 2**0.5
    if metric is RMSE:
        counts = rng.poisson(rng.lognormal(1.5, 0.8, n_users)[:, None], (n_users, n_seeds)).astype(float)
        difference = 0.25 * (0.7 * of_user[:, None] + of_fit + 2 * of_both / np.maximum(counts, 1) ** 0.5)
        level = np.maximum(rng.gamma(4, 0.25, (n_users, 1)), abs(difference))
    else:
        counts = (rng.random((n_users, n_seeds)) < 0.9).astype(float)
        difference, level = 0.1 * (0.7 * of_user[:, None] + of_fit + of_both), 1.0
    kept = counts.any(axis=1)
    sums, reference_sums = counts * (level + difference / 2), counts * (level - difference / 2)
    return PairedSums(metric, sums[kept], reference_sums[kept], counts[kept])


def share_found_different(metric, n_users: int, n_seeds: int, *, fit_noise: float, trials: int) -> float:
    rng, found = np.random.default_rng(n_users * 10 + n_seeds), 0
    for _ in range(trials):
        paired = equal_models(rng, metric, n_users, n_seeds, fit_noise=fit_noise)
        found += abs(paired.differences().mean()) > uncertainty(paired).half_width(0.05)
    return found / trials


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n_seeds", "fit_noise"), [(1, 0.0), *((n, noise) for n in (2, 3, 5) for noise in (0.0, 0.08, 0.25))]
)
@pytest.mark.parametrize("n_users", [30, 300, 900])
@pytest.mark.parametrize("metric", [RMSE, MEAN], ids=["rmse", "ndcg"])
def test_equal_models_are_found_to_differ_about_as_often_as_promised(metric, n_users, n_seeds, fit_noise):
    """Where there is one seed, the noise of the fit is not part of what is asked, so there is none.

    With a noise of 0.08 the seeds of 900 users differ a little more than on MovieLens 100K. Two seeds without
    noise are told from noisy ones so badly that fewer differences are found than promised.
    """
    share = share_found_different(metric, n_users, n_seeds, fit_noise=fit_noise, trials=3000)
    assert (0.015 if n_seeds == 2 else 0.03) < share < 0.07


@pytest.mark.slow
def test_noise_of_the_fits_that_is_not_looked_at_would_be_found_to_be_a_difference():
    """What the part of the seeds is for: users alone, as if the seeds were not drawn, err far more often."""
    rng, found = np.random.default_rng(0), 0
    for _ in range(1000):
        paired = equal_models(rng, RMSE, 900, 3, fit_noise=0.25)
        changes = paired.changes().mean(axis=1)
        found += abs(paired.differences().mean()) > 1.96 * ((changes - changes.mean()) ** 2).sum() ** 0.5
    assert found / 1000 > 0.3
