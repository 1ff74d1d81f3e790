"""Slow twins of fast code: plain loops that read like the definitions."""

from __future__ import annotations

import math

import numpy as np

# Metrics of one user's ranked list `items` (no padding) against the set `relevant`, as the definitions read.
# None where a metric is not defined.


def slow_precision(items, relevant, cutoff):
    return sum(item in relevant for item in items[:cutoff]) / cutoff if relevant else None


def slow_recall(items, relevant, cutoff):
    return len(relevant.intersection(items[:cutoff])) / len(relevant) if relevant else None


def slow_hit_rate(items, relevant, cutoff):
    return float(not relevant.isdisjoint(items[:cutoff])) if relevant else None


def slow_average_precision(items, relevant, cutoff):
    if not relevant:
        return None
    total = 0.0
    for place, item in enumerate(items[:cutoff], start=1):
        if item in relevant:
            total += sum(earlier in relevant for earlier in items[:place]) / place
    return total / min(len(relevant), cutoff)


def slow_reciprocal_rank(items, relevant, cutoff):
    if not relevant:
        return None
    for place, item in enumerate(items[:cutoff], start=1):
        if item in relevant:
            return 1 / place
    return 0.0


def slow_ndcg(items, relevant, cutoff):
    if not relevant:
        return None
    found = sum(1 / math.log2(1 + place) for place, item in enumerate(items[:cutoff], 1) if item in relevant)
    ideal = sum(1 / math.log2(1 + place) for place in range(1, min(cutoff, len(relevant)) + 1))
    return found / ideal


SLOW_RANKING = {
    "precision": slow_precision,
    "recall": slow_recall,
    "hit_rate": slow_hit_rate,
    "map": slow_average_precision,
    "mrr": slow_reciprocal_rank,
    "ndcg": slow_ndcg,
}


def slow_novelty(items, raters, n_training_users, cutoff):
    """`raters`: item -> number of training users who rated it."""
    listed = items[:cutoff]
    bits = [-math.log2(max(raters[item], 1) / n_training_users) for item in listed]
    return sum(bits) / len(bits) if bits else None


def slow_gini(counts):
    """Mean absolute difference of all pairs of different items, over twice the mean count."""
    n, total = len(counts), sum(counts)
    if n < 2 or total == 0:
        return None
    pairs = sum(abs(a - b) for a in counts for b in counts) / (n * (n - 1))
    return pairs / (2 * total / n)


def slow_delta_gap(lists, histories, raters, n_training_users, cutoff):
    """ΔGAP of Abdollahpouri et al. 2019 over the users who have both a list and a history."""

    def mean_popularity(items):
        return sum(raters[item] / n_training_users for item in items) / len(items)

    users = [u for u, history in histories.items() if history and lists[u][:cutoff]]
    recommended = sum(mean_popularity(lists[u][:cutoff]) for u in users) / len(users)
    usual = sum(mean_popularity(histories[u]) for u in users) / len(users)
    return (recommended - usual) / usual


def slow_list(scores, excluded, n):
    """The `n` best positions of a row of scores: excluded ones left out, ties to the lower position."""
    allowed = [item for item in range(len(scores)) if item not in excluded]
    return sorted(allowed, key=lambda item: (-scores[item], item))[:n]


# Splits and top-N lists.


def observed(ratings):
    """{(user id, item id): (value, timestamp or None)} of all stored cells."""
    cells = {}
    for user in range(ratings.n_users):
        for place in range(ratings.matrix.indptr[user], ratings.matrix.indptr[user + 1]):
            key = (ratings.users.ids[user], ratings.items.ids[ratings.matrix.indices[place]])
            time = None if ratings.timestamps is None else int(ratings.timestamps[place])
            cells[key] = (float(ratings.matrix.data[place]), time)
    return cells


def slow_last_of_rows(ratings, counts, sort_keys):
    """Places of the `counts[user]` entries of each user that come last by `sort_keys[place]`."""
    held_out = set()
    for user in range(ratings.n_users):
        row = range(ratings.matrix.indptr[user], ratings.matrix.indptr[user + 1])
        ordered = sorted(row, key=lambda place: sort_keys[place])
        held_out.update(ordered[len(ordered) - counts[user] :])
    return held_out


def slow_top_n(scores, n, exclude=None):
    """(items, scores): nested lists, as long as the catalogue at most, padded with -1 and -inf."""
    n = min(n, scores.shape[1])
    all_items, all_scores = [], []
    for row, values in enumerate(scores):
        hidden = [] if exclude is None else exclude.indices[exclude.indptr[row] : exclude.indptr[row + 1]]
        allowed = [item for item, value in enumerate(values) if item not in hidden and value > -math.inf]
        best = sorted(allowed, key=lambda item: (-values[item], item))[:n]
        all_items.append(best + [-1] * (n - len(best)))
        all_scores.append([values[item] for item in best] + [-math.inf] * (n - len(best)))
    return all_items, all_scores


# Gibbs draws, one row after the other; by the covariance of the ratings where the kernels go by precisions.


def slow_row_draws(ratings, design, noise_precision, centres, precision, normals):
    """A draw of each row's vector: posterior mean plus the inverse root of the posterior precision times
    standard normals. `ratings`: a list of (columns, targets) for each row."""
    draws = []
    for (columns, targets), centre, normal in zip(ratings, centres, normals, strict=True):
        x = design[columns]
        posterior = precision + noise_precision * x.T @ x
        mean = np.linalg.solve(posterior, precision @ centre + noise_precision * x.T @ targets)
        draws.append(mean + np.linalg.solve(np.linalg.cholesky(posterior).T, normal))
    return np.array(draws)


def slow_effect_draws(ratings, design, noise_precision, row_prior, effects, effect_prior, normals):
    """New effects of all columns, each drawn given all others, from ratings whose row vectors are integrated
    out: t ~ N(X · centre, 1/noise + X · cov(row vector) · Xᵀ). Priors: (mean, precision)."""
    effects = effects.copy()
    mean, precision = effect_prior
    for column in range(len(effects)):
        total, slope = precision.copy(), precision @ mean
        for columns, targets in ratings:
            if column not in columns:
                continue
            x, root = design[columns], math.sqrt(len(columns))
            covariance = np.eye(len(columns)) / noise_precision + x @ np.linalg.inv(row_prior[1]) @ x.T
            others = row_prior[0] + (effects[columns].sum(axis=0) - effects[column]) / root
            total = total + x.T @ np.linalg.solve(covariance, x) / root**2
            slope = slope + x.T @ np.linalg.solve(covariance, targets - x @ others) / root
        noise = np.linalg.solve(np.linalg.cholesky(total).T, normals[column])
        effects[column] = np.linalg.solve(total, slope) + noise
    return effects


# Lists in another order than that of the scores.


def slow_within(order, categories, most, n):
    """The first `n` of these items, passing over those of a category (None: of none) that is there `most`
    times."""
    kept = []
    for item in order:
        category = categories[item]
        full = category is not None and sum(categories[other] == category for other in kept) == most
        if len(kept) < n and not full:
            kept.append(item)
    return kept


def slow_standard(values):
    """Values less their mean, divided by their standard deviation; 0 where all are the same."""
    if len(set(values)) < 2:
        return [0.0] * len(values)
    mean = sum(values) / len(values)
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))
    return [(value - mean) / deviation for value in values]


def slow_marginal(candidates, scores, vectors, weight, n):
    """Maximal marginal relevance among candidates, best first: each with the values that it was chosen by."""
    low, high = min(scores), max(scores)
    relevance = {
        item: 1.0 if low == high else (score - low) / (high - low)
        for item, score in zip(candidates, scores, strict=True)
    }

    def cosine(one, other):
        lengths = math.hypot(*vectors[one]) * math.hypot(*vectors[other])
        return (
            sum(a * b for a, b in zip(vectors[one], vectors[other], strict=True)) / lengths
            if lengths
            else 0.0
        )

    chosen = []
    while len(chosen) < min(n, len(candidates)):
        left = [item for item in candidates if item not in [other for other, _ in chosen]]
        values = {
            item: (1 - weight) * relevance[item]
            - weight * max((cosine(item, other) for other, _ in chosen), default=0.0)
            for item in left
        }
        chosen.append((max(left, key=lambda item: values[item]), values))  # of equals the first
    return chosen
