"""Models as older formats of their folders described them.

Until format 3 ratings were not standardised. A network read them with their mean still in: in today's words,
an entry's presence counted as much as a value of the mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from recsys_ae.data.ids import IdMap
from recsys_ae.errors import StorageError
from recsys_ae.models.biases import Biases, BiasRecommender
from recsys_ae.models.codec import CSR_PARTS, State, csr_of, decoded, parameters_of, recommender_of
from recsys_ae.models.factors import FactorRecommender
from recsys_ae.models.folding import ConfidenceFoldIn, FoldIn, RidgeFoldIn
from recsys_ae.models.linear import LinearRecommender
from recsys_ae.recommender import Recommender

_FACTOR_ARRAYS = ("user_factors", "item_factors", "user_biases", "item_biases")


def recommender_of_format_1(kind: str, users: IdMap, items: IdMap, state: State) -> Recommender:
    """The recommender that a folder of format 1 describes. Raises StorageError for an unknown kind."""
    meta, arrays = state.meta, state.arrays
    limits = meta.get("limits") and tuple(meta["limits"])
    able = {name: meta[name] for name in ("predicts_ratings", "ranks") if name in meta}
    match kind:
        case "factor":
            factors: dict[str, Any] = {name: arrays[name] for name in _FACTOR_ARRAYS}
            plain: dict[str, Any] = {name: meta[name] for name in ("mean", "output")}
            return FactorRecommender(
                users, items, **factors, **plain, **able, limits=limits, fold_in=_fold_in(meta)
            )
        case "bias":
            biases = Biases(meta["mean"], arrays["user_biases"], arrays["item_biases"], meta["user_damping"])
            return BiasRecommender(users, items, biases, limits, **able)
        case "linear":
            weights = arrays.get("item_weights")
            if weights is None:
                parts = {name: arrays[f"item_weights_{name}"] for name in CSR_PARTS}
                weights = csr_of(parts, (len(items), len(items)))
            return LinearRecommender(users, items, weights, meta["reads"], meta["positive"], **able)
        case "network":
            return _network(users, items, meta, arrays)
        case _:
            raise StorageError(
                f"a model of the unknown kind {kind!r}: load it with the program that saved it"
            )


def _fold_in(meta: Mapping[str, Any]) -> FoldIn | None:
    l2, how = meta["fold_in_l2"], meta["folding"]
    if l2 is None:
        return None
    if how["kind"] == "confidence":
        return ConfidenceFoldIn(l2, how["confidence"], how["positive"])
    return RidgeFoldIn(l2, l2 if how["bias_l2"] is None else how["bias_l2"], how["power"], how["power"])


def _network(
    users: IdMap, items: IdMap, meta: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
) -> Recommender:
    limits = meta["output_limits"] and tuple(meta["output_limits"])
    plan = {
        "n_columns": len(items),
        "encoder": tuple(meta["widths"]),
        "decoder": (),
        "activation": meta["activation"],
        "limits": limits,
    }
    new_names = {"first": "encoder.first", "hidden": "encoder.rest.layers", "last": "decoder.last"}
    parameters = {}
    for name, array in arrays.items():
        if name.startswith("network/"):
            layer, rest = name.removeprefix("network/").split(".", 1)
            parameters[f"{new_names[layer]}.{rest}"] = array
    biases = meta["biases"] and Biases(
        users=arrays["biases/users"], items=arrays["biases/items"], **meta["biases"]
    )
    return _reading_the_mean(users, items, plan, parameters, tuple(meta["limits"]), biases)


def recommender_of_format_2(kind: str, users: IdMap, items: IdMap, state: State) -> Recommender:
    """The recommender that a folder of format 2 describes. Raises StorageError for an unknown kind."""
    meta = {name: _with_new_fields(value) for name, value in state.meta.items()}
    if kind != "network":
        return recommender_of(kind, users, items, State(state.arrays, meta))
    biases = meta["biases"] and decoded(meta["biases"], state.arrays)
    parameters = parameters_of("network", state.arrays)
    plan = {name: decoded(value, {}) for name, value in meta["network"]["architecture"].items()}
    return _reading_the_mean(users, items, plan, parameters, tuple(meta["limits"]), biases)


def _with_new_fields(value: Any) -> Any:
    """A part of a model with the fields that it did not have."""
    match value:
        case {"is": "biases"}:
            return {**value, "deviation": 1.0}
        case {"is": "ridge"}:
            return {**value, "bias_power": value["power"]}
        case _:
            return value


def _reading_the_mean(
    users: IdMap,
    items: IdMap,
    plan: Mapping[str, Any],
    parameters: dict[str, np.ndarray],
    limits: tuple[float, float],
    biases: Biases | None,
) -> Recommender:
    """A network that read and gave ratings with their mean."""
    from recsys_ae.models.network import NetworkRecommender
    from recsys_ae.nn.autoencoder import Architecture, Autoencoder

    mean = 0.0 if biases is None else biases.mean
    last = "decoder.last.bias"
    centred = {**parameters, last: parameters[last] - np.float32(mean)}
    network = Autoencoder.from_parameters(Architecture(**plan, presence=mean), centred)
    if biases is None:
        biases = Biases(0.0, np.zeros(len(users), dtype=np.float32), np.zeros(len(items), dtype=np.float32))
    return NetworkRecommender(users, items, network, limits, biases)
