"""Ways to find the vectors of unseen users: what they are made of must fit."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from recsys_ae.models.folding import SampledFoldIn

DRAWS, ITEMS, K = 2, 5, 3
FOLD_IN = SampledFoldIn(
    mean=0.0,
    deviation=1.0,
    noise_precisions=np.ones(DRAWS),
    prior_means=np.zeros((DRAWS, K + 1)),
    prior_precisions=np.ones((DRAWS, K + 1, K + 1)),
    average_users=np.zeros((DRAWS, K + 1)),
    average_items=np.zeros((DRAWS, K + 1)),
    item_biases=np.zeros((DRAWS, ITEMS), dtype=np.float32),
    effects=np.zeros((DRAWS, ITEMS, K + 1), dtype=np.float32),
)


def test_draws_must_fit_items_and_factors():
    """Compiled code reads as many as there should be."""
    FOLD_IN.check_fits(ITEMS, DRAWS * K)
    replace(FOLD_IN, effects=None).check_fits(ITEMS, DRAWS * K)
    for wrong in ((ITEMS + 1, DRAWS * K), (ITEMS, DRAWS * K + 1), (ITEMS, DRAWS * (K + 1))):
        with pytest.raises(ValueError, match="draws do not fit"):
            FOLD_IN.check_fits(*wrong)
    for name in (field.name for field in fields(FOLD_IN) if field.name not in ("mean", "deviation")):
        short = replace(FOLD_IN, **{name: getattr(FOLD_IN, name)[..., :-1]})
        with pytest.raises(ValueError, match="draws do not fit"):
            short.check_fits(ITEMS, DRAWS * K)
