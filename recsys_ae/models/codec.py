"""Fitted recommenders taken apart into arrays and JSON values, and put together again: one codec for all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from recsys_ae.data.ids import IdMap
from recsys_ae.errors import StorageError
from recsys_ae.models.biases import Biases, BiasRecommender
from recsys_ae.models.folding import ConfidenceFoldIn, RidgeFoldIn, SampledFoldIn
from recsys_ae.models.levels import Levels
from recsys_ae.recommender import Recommender

CSR_PARTS = ("data", "indices", "indptr")


@dataclass(frozen=True, slots=True)
class State:
    """A recommender taken apart: `arrays` go to safetensors, `meta` (JSON values only) to model.json."""

    arrays: dict[str, np.ndarray]
    meta: dict[str, Any] = field(default_factory=dict)


def state_of(recommender: Recommender) -> State:
    """All fields of a recommender but its ids. Arrays are those of the recommender, not copies."""
    arrays: dict[str, np.ndarray] = {}
    named = {name: value for name, value in _fields_of(recommender).items() if name not in ("users", "items")}
    meta = {name: _encoded(value, name, arrays) for name, value in named.items()}
    return State(arrays, meta)


def fingerprint_of(recommender: Recommender) -> str:
    """32 hex digits of all that a recommender is: the same for one that was saved and read again."""
    state = state_of(recommender)
    digest = hashlib.blake2b(digest_size=16)
    ids = [recommender.users.ids.tolist(), recommender.items.ids.tolist()]
    digest.update(json.dumps([recommender.kind, state.meta, ids], sort_keys=True).encode())
    for name, array in sorted(state.arrays.items()):
        digest.update(json.dumps([name, str(array.dtype), array.shape]).encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def recommender_of(kind: str, users: IdMap, items: IdMap, state: State) -> Recommender:
    """Inverse of `state_of`. Raises StorageError for a kind that is not known here."""
    return _made(_class_of(kind), state.meta, state.arrays, users=users, items=items)


def is_network(kind: str) -> bool:
    """Whether a recommender of this kind scores with torch."""
    return kind not in ("bias", "factor", "linear")


def _fields_of(value: Any) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in fields(value)}


def _encoded(value: Any, path: str, arrays: dict[str, np.ndarray]) -> Any:
    """JSON values; what is no JSON value becomes a mapping that says what it is."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case tuple():
            return list(value)
        case np.ndarray():
            arrays[path] = value
            return {"is": "array", "name": path}
        case csr_array():
            arrays.update({f"{path}/{part}": getattr(value, part) for part in CSR_PARTS})
            return {"is": "csr", "name": path, "shape": list(value.shape)}
        case Biases() | RidgeFoldIn() | ConfidenceFoldIn() | SampledFoldIn() | Levels():
            inner = {
                name: _encoded(each, f"{path}/{name}", arrays) for name, each in _fields_of(value).items()
            }
            return {"is": value.kind, **inner}
        case _ if hasattr(value, "copied_parameters"):  # a network; torch need not be loaded here
            own, plan = value.copied_parameters(), value.architecture
            arrays.update({f"{path}/{name}": array for name, array in own.items()})
            known = plan and {name: _encoded(each, "", {}) for name, each in _fields_of(plan).items()}
            return {"is": "network", "name": path, "architecture": known}
        case _:
            raise TypeError(f"{path} is a {type(value).__name__}, which has no place in a stored model")


def decoded(value: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    """What a JSON value of a stored model stands for."""
    match value:
        case list():
            return tuple(value)
        case {"is": "array", "name": name}:
            return arrays[name]
        case {"is": "csr", "name": name, "shape": shape}:
            return csr_of({part: arrays[f"{name}/{part}"] for part in CSR_PARTS}, shape)
        case {"is": "network", "name": name, "architecture": architecture}:
            from recsys_ae.nn.autoencoder import Architecture, Autoencoder

            if architecture is None:
                raise StorageError("a network that was put together by hand cannot be read again")
            plan = _made(Architecture, architecture, arrays)
            return Autoencoder.from_parameters(plan, parameters_of(name, arrays))
        case {"is": kind}:
            return _made(_class_of(kind), value, arrays)
        case _:
            return value


def csr_of(parts: Mapping[str, np.ndarray], shape: Sequence[int]) -> csr_array:
    """The sparse matrix of these arrays. Raises ValueError unless every position in them lies inside it: code
    that is compiled reads wherever they lead."""
    matrix = csr_array(tuple(parts[part] for part in CSR_PARTS), shape=tuple(shape))
    matrix.check_format(full_check=True)
    return matrix


def parameters_of(name: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays of the network that is stored under `name`."""
    prefix = f"{name}/"
    return {key.removeprefix(prefix): a for key, a in arrays.items() if key.startswith(prefix)}


def _made(cls: Any, meta: Mapping[str, Any], arrays: Mapping[str, np.ndarray], **known: Any) -> Any:
    """All fields must be there, but for those that later programs added, whose default is None: a missing one
    is a KeyError."""
    added = {field.name for field in fields(cls) if field.default is None} - meta.keys()
    names = [field.name for field in fields(cls) if field.name not in known.keys() | added]
    return cls(**known, **{name: decoded(meta[name], arrays) for name in names})


def _class_of(kind: str) -> Any:
    """The one `match` over kinds of recommenders."""
    match kind:
        case "factor":
            from recsys_ae.models.factors import FactorRecommender

            return FactorRecommender
        case "bias":
            return BiasRecommender
        case "linear":
            from recsys_ae.models.linear import LinearRecommender

            return LinearRecommender
        case "network":
            from recsys_ae.models.network import NetworkRecommender

            return NetworkRecommender
        case "likes-network":
            from recsys_ae.models.network import LikesNetworkRecommender

            return LikesNetworkRecommender
        case "rbm":
            from recsys_ae.models.rbm import RBMRecommender

            return RBMRecommender
        case _:
            return _part_class_of(kind)


def _part_class_of(kind: str) -> Any:
    """The `match` over kinds of what recommenders are made of."""
    match kind:
        case "biases":
            return Biases
        case "levels":
            return Levels
        case "ridge":
            return RidgeFoldIn
        case "confidence":
            return ConfidenceFoldIn
        case "sampled":
            return SampledFoldIn
        case _:
            raise StorageError(
                f"a model with a part of the unknown kind {kind!r}: load it with the program that saved it"
            )
