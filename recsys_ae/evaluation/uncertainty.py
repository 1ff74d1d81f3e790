"""How much of a difference between two models may be luck: with the users, and with the seeds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import stdtrit

from recsys_ae.metrics import Metric
from recsys_ae.types import FloatMatrix, FloatVector

_LEAST_P = 1e-15  # a smaller p-value is given as this one


@dataclass(frozen=True, slots=True, eq=False)
class PairedSums:
    """Two models' sums (n_users, n_seeds) over the same counts: the figure of seed s is
    `metric.figure(sums[:, s].sum(), counts[:, s].sum())`. A user without a value in a seed has count 0."""

    metric: Metric
    sums: FloatMatrix
    reference_sums: FloatMatrix
    counts: FloatMatrix

    def differences(self) -> FloatVector:
        """(n_seeds,) difference of the figures."""
        return self._difference(*(part.sum(axis=0) for part in self._parts))

    def changes(self) -> FloatMatrix:
        """(n_users, n_seeds) what each user adds to the difference: that of all users, less that without this
        one. 0 in a seed where there is no other user."""
        sums, reference_sums, counts = (part.sum(axis=0) - part for part in self._parts)
        if self.metric.rooted:  # what is left of the only errors may be below 0 by rounding
            sums, reference_sums = np.maximum(sums, 0.0), np.maximum(reference_sums, 0.0)
        others = counts > 0
        without = self._difference(sums, reference_sums, np.where(others, counts, 1.0))
        return np.where(others, self.differences() - without, 0.0)

    @property
    def _parts(self) -> tuple[FloatMatrix, FloatMatrix, FloatMatrix]:
        return self.sums, self.reference_sums, self.counts

    def _difference(
        self, sums: FloatVector | FloatMatrix, reference_sums: FloatVector | FloatMatrix, counts: FloatVector
    ) -> FloatVector | FloatMatrix:
        return self.metric.figure(sums, counts) - self.metric.figure(reference_sums, counts)


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """The variance of a difference that is a mean over seeds, in two parts: `of_users`, what other users
    would change in it whatever the seed, and `of_seeds`, what other splits and fits would. Each with the
    degrees of freedom of its estimate."""

    of_users: float
    of_seeds: float
    users_freedom: float
    seeds_freedom: float

    def half_width(self, p: float) -> float:
        """The size of a difference that has the two-sided p-value `p`; half of the interval of confidence
        1 − p.

        The critical value lies midway between two of t: Cochran's, the quantiles of the parts averaged with
        their variances as weights (Cochran and Cox, "Experimental designs", 1957, section 4.14), which is
        careful where a part has few degrees of freedom, and Satterthwaite's, one quantile for the degrees of
        freedom of the sum (Biometrics Bulletin 2, 1946), which is bold there. Simulated at 5 % for three
        seeds, equal models differ in 2.5 to 5 % of the comparisons by the first, in 5 to 8 % by the second,
        and in 3 to 6 % midway; for two seeds in up to 6, 14 and 9 %, so that Cochran's alone is taken there.
        """
        variance = self.of_users + self.of_seeds
        if variance == 0:
            return 0.0
        parts, freedom = np.array([self.of_users, self.of_seeds]), [self.users_freedom, self.seeds_freedom]
        shares = parts / variance
        cochran = shares @ -stdtrit(freedom, p / 2)
        satterthwaite = -stdtrit(1 / (shares**2 / freedom).sum(), p / 2)
        critical = cochran if self.seeds_freedom == 1 else (cochran + satterthwaite) / 2
        return float(critical * variance**0.5)

    def p_value(self, difference: float) -> float:
        """Two-sided, of no difference: the interval of confidence 1 − p ends at 0. Never below 1e-15."""
        size = abs(difference)
        if size == 0:
            return 1.0
        if self.half_width(_LEAST_P) <= size:
            return _LEAST_P
        return float(
            np.exp(brentq(lambda log_p: self.half_width(np.exp(log_p)) - size, np.log(_LEAST_P), 0.0))
        )


def uncertainty(paired: PairedSums) -> Uncertainty:
    """Of the mean over seeds of the differences, from at least two users.

    Users and seeds are crossed, both are drawn from many, and what a user adds differs from seed to seed: the
    design of studies in which several readers judge the same cases. The variance is estimated as there, with
    mean squares MS of the users' contributions over U users and S seeds:
    (MS_seeds + max(MS_users − MS_rest, 0)) / (U S) (Obuchowski and Rockette, Communications in Statistics 24,
    1995; Hillis, Statistics in Medicine 26, 2007). A user's contribution is the change where the user is left
    out (the jackknife by clusters, which is careful where they are of unequal size: MacKinnon, Nielsen and
    Webb, Journal of Applied Econometrics 38, 2023), so that an rmse needs no formula of its own.

    The users' part has (Σ n)² / Σ n² − 1 degrees of freedom for users with n values, which is their number
    less one where all have as many; that of the seeds has S − 1. One seed says nothing of other splits and
    fits: their part is 0 then, and the uncertainty is that of these two fitted models. The splits of all
    seeds are of the same ratings: what other ratings to train on would change is in no part.
    """
    changes = paired.changes()
    n_users, n_seeds = changes.shape
    jackknife = (n_users - 1) / n_users
    changes = changes - changes.mean(axis=0)
    of_users = changes.mean(axis=1)
    users = jackknife * (of_users**2).sum()
    counts = paired.counts.sum(axis=1)
    freedom = max(float(counts.sum() ** 2 / (counts**2).sum()) - 1.0, 1.0)
    if n_seeds == 1:
        return Uncertainty(float(users), 0.0, freedom, 1.0)
    rest = jackknife * ((changes - of_users[:, None]) ** 2).sum() / (n_seeds * (n_seeds - 1))
    seeds = paired.differences().var(ddof=1) / n_seeds
    return Uncertainty(max(float(users - rest), 0.0), float(seeds), freedom, n_seeds - 1.0)
