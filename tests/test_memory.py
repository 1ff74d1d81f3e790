"""Nothing is densified: what training allocates grows with the number of ratings, not with users × items."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array
from test_contract import CONFIGS
from torch.profiler import ProfilerActivity, profile

from recsys_ae.data.ids import IdMap
from recsys_ae.data.ratings import Ratings
from recsys_ae.models import configs as c
from recsys_ae.models.fit import fit
from recsys_ae.rng import numpy_generator

N_USERS, N_ITEMS = 1500, 2500
FLOAT = 4  # bytes
SPARSE = [
    name
    for name, config in CONFIGS.items()
    if isinstance(config, c.AutoRecConfig | c.ImplicitAutoRecConfig | c.RBMConfig)
    if not config.training.refeed  # whose inputs are dense on purpose, some rows at a time
]


def ratings_of(density: float) -> Ratings:
    rng = numpy_generator(0, "test")
    cells = np.sort(rng.choice(N_USERS * N_ITEMS, size=int(density * N_USERS * N_ITEMS), replace=False))
    users, items = np.divmod(cells, N_ITEMS)
    starts = np.searchsorted(users, np.arange(N_USERS + 1))
    values = rng.integers(1, 6, len(cells)).astype(np.float32)
    matrix = csr_array((values, items, starts), shape=(N_USERS, N_ITEMS))
    return Ratings(matrix, IdMap(np.arange(N_USERS)), IdMap(np.arange(N_ITEMS)), scale=(1.0, 5.0))


def allocations(config: c.ModelConfig, density: float) -> list[int]:
    """Bytes that each operation of the first epoch takes, one step for all rows."""
    assert isinstance(config, c.AutoRecConfig | c.ImplicitAutoRecConfig | c.RBMConfig)
    whole = {"batch_size": N_ITEMS, "min_steps": 1, "epochs": 1, "iterations_per_epoch": 1}
    short: dict = {"training": config.training.model_copy(update=whole)}
    if isinstance(config, c.AutoRecConfig) and config.pretraining is not None:
        short["pretraining"] = c.PretrainingConfig(epochs=1)
    ratings = ratings_of(density)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        fit(config.model_copy(update=short), ratings)
    return [max(event.self_cpu_memory_usage, 0) for event in profiler.events()]


@pytest.mark.parametrize("name", SPARSE)
def test_allocations_fall_with_the_density(name):
    sparse, denser = allocations(CONFIGS[name], 0.002), allocations(CONFIGS[name], 0.02)
    dense = FLOAT * N_USERS * N_ITEMS  # bytes of a single value for each user and item
    assert max(denser) < 0.5 * dense
    assert sum(sparse) < dense  # of all operations together, parameters, codes and their gradients included
    assert sum(denser) > 1.5 * sum(sparse)
