"""Fitted models on disk: a folder of JSON, safetensors and parquet; nothing in it can run code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from scipy.sparse import csr_array

from recsys_ae.data.ids import IdMap
from recsys_ae.errors import RecsysError, StorageError
from recsys_ae.files import replaced
from recsys_ae.recommender import Recommender, State

FORMAT = 1  # raised when older programs could no longer read what newer ones write
_PACKAGES = ("recsys-ae", "numpy", "scipy", "torch", "implicit", "numba")
_HISTORY = ("data", "indices", "indptr")


@dataclass(frozen=True, slots=True, eq=False)
class StoredModel:
    """What a model folder holds.

    `history`: (n_users, n_items) csr_array float32, the training part: what to read and to exclude when
    recommending to known users. `info`: what the saver wrote beside it (config, fingerprints, metrics).
    """

    recommender: Recommender
    history: csr_array
    info: dict[str, Any]


def save_model(
    folder: Path, recommender: Recommender, *, history: csr_array, info: Mapping[str, Any]
) -> None:
    """Write a model folder, whole or not at all; one of that name is replaced. `info`: JSON values.

    Raises StorageError where the folder cannot be written.
    """
    state = recommender.state()
    parts = {name: getattr(history, name) for name in _HISTORY}
    document = {
        "format": FORMAT,
        "kind": recommender.kind,
        "n_users": len(recommender.users),
        "n_items": len(recommender.items),
        "arrays": _shapes(state.arrays),
        "history": _shapes(parts),
        "meta": state.meta,
        "info": dict(info),
        "versions": _versions(),
    }
    with replaced(folder) as temporary:
        temporary.mkdir()
        (temporary / "model.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        save_file(_contiguous(state.arrays), temporary / "arrays.safetensors")
        save_file(_contiguous(parts), temporary / "history.safetensors")
        _write_ids(temporary / "users.parquet", recommender.users)
        _write_ids(temporary / "items.parquet", recommender.items)


def load_model(folder: Path) -> StoredModel:
    """Read a model folder; scores are those of the saved model, bit for bit.

    Raises StorageError, naming the file, where something is missing, broken, or newer than this program.
    """
    document = _read_document(folder)
    try:
        users = _read_ids(folder / "users.parquet", document["n_users"])
        items = _read_ids(folder / "items.parquet", document["n_items"])
        arrays = _read_arrays(folder / "arrays.safetensors", document["arrays"])
        parts = _read_arrays(folder / "history.safetensors", document["history"])
        recommender = _restore(document["kind"], users, items, State(arrays, document["meta"]))
        info = document["info"]
    except RecsysError:
        raise
    except (KeyError, TypeError, IndexError, ValueError, RuntimeError) as error:
        raise StorageError(
            f"{folder / 'model.json'}: does not describe a model ({type(error).__name__}: {error}); "
            "save the model again"
        ) from error
    history = csr_array(tuple(parts[name] for name in _HISTORY), shape=(len(users), len(items)))
    return StoredModel(recommender, history, info)


def _restore(kind: str, users: IdMap, items: IdMap, state: State) -> Recommender:
    """The one `match` over kinds."""
    match kind:
        case "factor":
            from recsys_ae.models.factors import FactorRecommender

            return FactorRecommender.from_state(users, items, state)
        case "bias":
            from recsys_ae.models.baselines import BiasRecommender

            return BiasRecommender.from_state(users, items, state)
        case "linear":
            from recsys_ae.models.linear import LinearRecommender

            return LinearRecommender.from_state(users, items, state)
        case "network":
            from recsys_ae.models.network import NetworkRecommender

            return NetworkRecommender.from_state(users, items, state)
        case _:
            raise StorageError(
                f"a model of the unknown kind {kind!r}: load it with the program that saved it"
            )


def _read_document(folder: Path) -> dict[str, Any]:
    path = folder / "model.json"
    if not folder.is_dir():
        raise StorageError(f"{folder}: no such model folder")
    if not path.is_file():
        raise StorageError(f"{folder}: holds no model.json, so it is not a model folder")
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StorageError(f"{path}: cannot be read as JSON ({error}); save the model again") from error
    if not isinstance(document, dict) or not isinstance(document.get("format"), int):
        raise StorageError(f"{path}: has no format version, so it does not describe a model")
    if document["format"] > FORMAT:
        raise StorageError(
            f"{path}: has format {document['format']}, and this program reads up to {FORMAT}; "
            "upgrade recsys-ae to load it"
        )
    return document


def _read_arrays(path: Path, expected: Mapping[str, Mapping[str, Any]]) -> dict[str, np.ndarray]:
    try:
        arrays = load_file(path)
    except (OSError, SafetensorError) as error:
        raise StorageError(f"{path}: cannot be read ({error}); save the model again") from error
    for name, described in expected.items():
        if name not in arrays:
            raise StorageError(f"{path}: holds no array {name!r}; save the model again")
        found = _shapes({name: arrays[name]})[name]
        if found != described:
            raise StorageError(
                f"{path}: array {name!r} has shape {found['shape']} of {found['dtype']}, but model.json says "
                f"{described['shape']} of {described['dtype']}; save the model again"
            )
    return arrays


def _shapes(arrays: Mapping[str, np.ndarray]) -> dict[str, dict[str, Any]]:
    return {name: {"shape": list(array.shape), "dtype": str(array.dtype)} for name, array in arrays.items()}


def _contiguous(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """safetensors writes memory as it lies: transposed views would come back scrambled."""
    return {name: np.asarray(array, order="C") for name, array in arrays.items()}


def _write_ids(path: Path, ids: IdMap) -> None:
    kind = pa.int64() if ids.ids.dtype == np.int64 else pa.string()
    pq.write_table(pa.table({"id": pa.array(ids.ids.tolist(), type=kind)}), path)


def _read_ids(path: Path, n: int) -> IdMap:
    """int64 or str, as they were saved."""
    try:
        column = pq.read_table(path, columns=["id"]).column("id")
    except (OSError, pa.ArrowException) as error:
        raise StorageError(f"{path}: cannot be read ({error}); save the model again") from error
    if len(column) != n:
        raise StorageError(f"{path}: holds {len(column)} ids, but model.json says {n}; save the model again")
    dtype = np.int64 if pa.types.is_integer(column.type) else object
    return IdMap(np.array(column.to_pylist(), dtype=dtype))


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # e.g. run from a folder, not installed
            continue
    return found
