"""What is to be made: lists of whom, by which model, with which settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recsys_ae.data.histories import Histories
from recsys_ae.errors import ConfigError
from recsys_ae.provenance import installed
from recsys_ae.recommender import Recommender
from recsys_ae.seals import checksum_of
from recsys_ae.serving import sizes
from recsys_ae.serving.audience import Audience, Fallback
from recsys_ae.serving.fallback import WithFallback
from recsys_ae.serving.lists import check_capable
from recsys_ae.serving.manifest import Manifest, totals_of
from recsys_ae.serving.plan import Plan
from recsys_ae.serving.rules import NO_RULES, Rules
from recsys_ae.serving.shards import Contents, Shard, described, shards_of

_PACKAGES = ("recsys-ae", "numpy", "scipy", "torch", "numba", "pyarrow")  # that decide the bytes of lists


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """Lists to be made.

    `recommender` scores the users of the `audience`, those without history too (see `WithFallback`). `plan`
    says what decides the lists, and its settings how they are made; `rules` are what these name.
    """

    recommender: Recommender
    audience: Audience
    plan: Plan
    rules: Rules = NO_RULES

    @property
    def settings(self) -> Mapping[str, Any]:
        return self.plan.settings

    def shards(self) -> list[Shard]:
        return shards_of(len(self.audience), self.settings["shard_users"])

    def manifest(self, folder: Path, plan: Plan, found: Mapping[Shard, Contents]) -> Manifest:
        """Of a folder with these shards."""
        ids, without_history = self.audience.ids(), self.audience.without_history()
        shards = [
            described(
                shard,
                contents,
                ids[shard.start : shard.stop],
                int(np.count_nonzero(without_history[shard.start : shard.stop])),
            )
            for shard, contents in found.items()
        ]
        read = self.audience.histories
        left_out = {
            "left_out_users": self.audience.n_left_out,
            "unknown_items": read.n_unknown_items,
            "dropped_ratings": read.n_dropped,
        }
        sums = {shard.name: contents.checksum for shard, contents in found.items()}
        return Manifest(folder, plan, shards, totals_of(shards, left_out), sums)


def job_of(
    recommender: Recommender,
    audience: Audience,
    *,
    model: Mapping[str, Any],
    histories: Histories,
    training: Histories,
    n: int,
    exclude_seen: bool = True,
    fallback: Fallback = "popular",
    rules: Rules = NO_RULES,
    shard_users: int | None = None,
    limit_memory: int | None = None,
) -> Job:
    """Lists of `n` items for the audience.

    `model`: its fingerprint, and what else a manifest says of it; JSON values. `histories`: what was read of
    all users. `training`: by which items are popular. `rules`: what else decides the lists, for the rows of
    the histories of the audience. `shard_users`: None makes shards of about a million rows. `limit_memory`:
    in bytes, see `sizes`.

    Raises ConfigError for a number below 1, and for a limit that is too low; CapabilityError for a model that
    does not rank, or cannot read users of the audience.
    """
    for name, value in (("n", n), ("shard_users", shard_users)):
        if value is not None and value < 1:
            raise ConfigError(f"{name} is {value}, but must be at least 1; give a positive number")
    has_history = ~audience.without_history()
    check_capable(recommender, audience.histories.positions[audience.rows[has_history]])
    n_items = len(recommender.items)
    popularity = None
    if fallback == "popular":
        answering = WithFallback.of(recommender, training)
        popularity = checksum_of(answering.popularity.astype("<f4").tobytes())
        recommender = answering
    plan = Plan(
        model=dict(model),
        histories={
            "fingerprint": histories.fingerprint(),
            "users": len(histories),
            "ratings": len(histories.matrix.data),
        },
        users={"fingerprint": audience.fingerprint(), "users": len(audience)},
        settings={
            "n": n,
            "exclude_seen": exclude_seen,
            "fallback": fallback,
            "popularity": popularity,
            "rules": dict(rules.asked) or None,
            "shard_users": shard_users or sizes.shard_users(min(n, n_items)),
            "block_users": sizes.block_users(n_items, limit_memory),
        },
        versions=installed(_PACKAGES),
    )
    return Job(recommender, audience, plan, rules)
