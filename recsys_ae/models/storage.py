"""Fitted models on disk: a folder of JSON, safetensors and parquet; nothing in it can run code."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import SafetensorError
from safetensors.numpy import load_file

from recsys_ae.data.histories import Histories
from recsys_ae.data.ids import IdMap
from recsys_ae.data.ratings import Ratings
from recsys_ae.data.schema import outside
from recsys_ae.errors import DataError, RecsysError, StorageError, counted
from recsys_ae.files import recover, replaced_folder
from recsys_ae.models.codec import (
    CSR_PARTS,
    State,
    csr_of,
    fingerprint_of,
    is_network,
    recommender_of,
    state_of,
)
from recsys_ae.models.older import recommender_of_format_1, recommender_of_format_2
from recsys_ae.provenance import installed
from recsys_ae.recommender import Recommender
from recsys_ae.seals import FILES, check_files, checksums, read_sealed, write_arrays, write_sealed

log = logging.getLogger(__name__)

FORMAT = 3  # raised when older programs could no longer read what newer ones write
_OLDER = {1: recommender_of_format_1, 2: recommender_of_format_2}
_PACKAGES = ("recsys-ae", "numpy", "scipy", "torch", "implicit", "numba")


@dataclass(frozen=True, slots=True, eq=False)
class StoredModel:
    """What a model folder holds.

    `histories`: what may be read of each of the model's users, in the order of its user map. `info`: what the
    saver wrote beside it (config, fingerprints, metrics).
    """

    recommender: Recommender
    histories: Histories
    info: dict[str, Any]

    def reading(self, ratings: Ratings) -> Histories:
        """The histories that newer `ratings` are for this model. A user whom the training held out stays
        unseen, although the model's user map has a place for that user. Warnings count what is left out
        because the model does not know the item. Raises DataError where ratings without a declared scale
        leave the range of those of the training."""
        known = Histories.of(ratings, users=self.recommender.users, items=self.recommender.items)
        if known.n_unknown_items:
            log.warning(
                "left out: %s unknown to the model, with %s",
                counted(known.n_unknown_items, "item"),
                counted(known.n_dropped, "rating"),
            )
        known_values = self.histories.matrix.data
        if ratings.feedback == "ratings" and ratings.scale is None and len(known_values):
            limits = float(known_values.min()), float(known_values.max())
            if n_off := np.count_nonzero(outside(ratings.values, limits)):
                raise DataError(
                    f"{n_off} of {ratings.n_observed} ratings lie outside the range of the training, "
                    f"{limits[0]:g} to {limits[1]:g}; see that they are on the same scale, or train with the "
                    "scale declared (data.scale)"
                )
        seen = np.append(self.histories.positions, -1)  # the last place is that of unknown users
        return replace(known, positions=seen[known.positions])


_FILES = ("arrays.safetensors", "history.safetensors", "items.parquet", "model.json", "users.parquet")


def strange_files(folder: Path) -> list[str]:
    """Names in a folder that are of no model's files."""
    return sorted(path.name for path in folder.iterdir() if path.name not in _FILES)


def save_model(
    folder: Path, recommender: Recommender, *, histories: Histories, info: Mapping[str, Any]
) -> None:
    """Write a model folder, whole or not at all; one of that name is replaced.

    `histories`: of the model's users, in the order of its user map. `info`: JSON values.
    Raises DataError for histories of other users or items, StorageError where the folder cannot be written.
    """
    state = state_of(recommender)
    parts = _history_arrays(recommender, histories)
    document = {
        "format": FORMAT,
        "kind": recommender.kind,
        "n_users": len(recommender.users),
        "n_items": len(recommender.items),
        "arrays": _shapes(state.arrays),
        "history": _shapes(parts),
        "meta": state.meta,
        "info": dict(info),
        "versions": installed(_PACKAGES),
    }
    with replaced_folder(folder) as temporary:
        write_arrays(temporary / "arrays.safetensors", state.arrays)
        write_arrays(temporary / "history.safetensors", parts)
        _write_ids(temporary / "users.parquet", recommender.users)
        _write_ids(temporary / "items.parquet", recommender.items)
        write_sealed(temporary / "model.json", {**document, FILES: checksums(temporary)})


def load_model(folder: Path) -> StoredModel:
    """Read a model folder; scores are those of the saved model, bit for bit.

    Folders of format 1 have neither positions nor timestamps: all their users were seen in training.
    Raises StorageError, naming the file, where something is missing, broken, or newer than this program.
    """
    document = _read_document(folder)
    try:
        check_files(folder, document.get(FILES, {}), advice="save the model again")
        users = _read_ids(folder / "users.parquet", document["n_users"])
        items = _read_ids(folder / "items.parquet", document["n_items"])
        arrays = _read_arrays(folder / "arrays.safetensors", document["arrays"])
        state = State(arrays, document["meta"])
        put_together = _OLDER.get(document["format"], recommender_of)
        recommender = put_together(document["kind"], users, items, state)
        histories = _read_histories(folder / "history.safetensors", document, users, items)
        return StoredModel(recommender, histories, document["info"])
    except RecsysError:
        raise
    except (KeyError, TypeError, AttributeError, IndexError, ValueError, RuntimeError) as error:
        raise StorageError(
            f"{folder / 'model.json'}: does not describe a model ({type(error).__name__}: {error}); "
            "save the model again"
        ) from error


def model_facts(
    recommender: Recommender, info: Mapping[str, Any], *, asked: str | None, uri: str | None
) -> dict[str, Any]:
    """What outputs say of the model that made them: what it was called, the address that this meant, the kind
    that its settings (`info`) name, or that of storage, and its fingerprint. JSON values."""
    settings = info.get("model") or info.get("config", {}).get("model", {})
    return {
        "asked": asked,
        "uri": uri,
        "kind": settings.get("kind", recommender.kind),
        "fingerprint": fingerprint_of(recommender),
    }


def needs_torch(folder: Path) -> bool:
    """Whether the model of a folder scores with torch. Raises StorageError where it cannot be read."""
    return is_network(str(_read_document(folder).get("kind")))


def _history_arrays(recommender: Recommender, histories: Histories) -> dict[str, np.ndarray]:
    users, shape = recommender.users, (len(recommender.users), len(recommender.items))
    if histories.users is not users and not np.array_equal(histories.users.ids, users.ids):
        raise DataError("histories of other users than the model's; keep those that it was trained with")
    if histories.matrix.shape != shape:
        raise DataError(f"histories of shape {histories.matrix.shape} for a model of {shape}; align them")
    parts = {name: getattr(histories.matrix, name) for name in CSR_PARTS} | {"positions": histories.positions}
    return parts if histories.timestamps is None else parts | {"timestamps": histories.timestamps}


def _read_histories(path: Path, document: Mapping[str, Any], users: IdMap, items: IdMap) -> Histories:
    parts = _read_arrays(path, document["history"])
    positions = np.arange(len(users)) if document["format"] == 1 else parts["positions"]
    try:
        matrix = csr_of(parts, (len(users), len(items)))
        if len(positions) and not -1 <= positions.min() <= positions.max() < len(users):
            raise ValueError("a position is that of no user")
        return Histories(users, positions, matrix, parts.get("timestamps"))
    except (ValueError, DataError) as error:
        raise StorageError(f"{path}: does not hold histories ({error}); save the model again") from error


def _read_document(folder: Path) -> dict[str, Any]:
    path = folder / "model.json"
    with suppress(OSError):  # a place that cannot be written to has nothing to recover either
        recover(folder)
    if not folder.is_dir():
        raise StorageError(f"{folder}: no such model folder")
    if not path.is_file():
        raise StorageError(f"{folder}: holds no model.json, so it is not a model folder")
    try:
        document = read_sealed(path, advice="save the model again")
    except (OSError, ValueError, RecursionError) as error:
        raise StorageError(f"{path}: cannot be read ({error}); save the model again") from error
    number = document.get("format") if isinstance(document, dict) else None
    if not isinstance(number, int) or number < 1:
        raise StorageError(f"{path}: has no format version, so it does not describe a model")
    if number > FORMAT:
        raise StorageError(
            f"{path}: has format {number}, and this program reads up to {FORMAT}; "
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


def _write_ids(path: Path, ids: IdMap) -> None:
    kind = pa.int64() if ids.ids.dtype == np.int64 else pa.string()
    with path.open("wb") as file:  # Arrow would complain once more of a full disk when it closes its own
        pq.write_table(pa.table({"id": pa.array(ids.ids.tolist(), type=kind)}), file)


def _read_ids(path: Path, n: int) -> IdMap:
    """int64 or str, as they were saved."""
    try:
        column = pq.read_table(path, columns=["id"]).column("id")
    except MemoryError:  # Arrow's own is an ArrowException, too
        raise
    except (OSError, pa.ArrowException) as error:
        raise StorageError(f"{path}: cannot be read ({error}); save the model again") from error
    if len(column) != n:
        raise StorageError(f"{path}: holds {len(column)} ids, but model.json says {n}; save the model again")
    dtype = np.int64 if pa.types.is_integer(column.type) else object
    return IdMap(np.array(column.to_pylist(), dtype=dtype))
