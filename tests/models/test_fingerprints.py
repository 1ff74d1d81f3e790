"""The fingerprint of a model tells it from every other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from strategies import grid
from toys import fit

from recsys_ae.data.ids import IdMap
from recsys_ae.models import configs as c
from recsys_ae.models.codec import fingerprint_of, state_of


def test_whatever_of_a_model_changes_its_fingerprint_does():
    ratings = grid()
    model = fit(c.BiasedMFConfig(factors=2, iterations=2), ratings)
    others = [
        replace(model, mean=model.mean + 1),
        replace(model, items=IdMap(model.items.ids + 1)),
        replace(model, users=IdMap(model.users.ids.astype(str).astype(object))),
        replace(model, fold_in=None),
        replace(model, output="scaled"),
    ]
    for name in ("user_factors", "item_factors", "user_biases", "item_biases"):
        changed = getattr(model, name).copy()
        changed.flat[-1] = np.nextafter(changed.flat[-1], np.float32(np.inf))
        others.append(replace(model, **{name: changed}))
    found = {fingerprint_of(each) for each in (model, *others)}
    assert len(found) == 1 + len(others)
    assert fingerprint_of(replace(model)) == fingerprint_of(model)
    assert len(state_of(model).arrays) == 4
