"""What ratings a file holds, in two short words: neither the order of its rows nor its format matters."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np

from recsys_ae.data.ids import IdColumn
from recsys_ae.data.schema import Triples


def content_of(triples: Triples) -> tuple[str, str | None]:
    """The content of the pairs, and that of the pairs with their ratings, None where none are read: sums,
    modulo 2^64, of a mixture of the hashes of each row's ids, as text, and its rating as a float64. They find
    what was changed by mistake, not what was made to deceive."""
    pairs = _mixed(_hashes(triples.users, b"user") + _mixed(_hashes(triples.items, b"item")))
    if triples.values is None:
        return _sum(pairs), None
    bits = (np.asarray(triples.values, dtype=np.float64) + 0.0).view(np.uint64)  # minus zero is zero
    return _sum(pairs), _sum(_mixed(pairs + _mixed(bits)))


def _hashes(ids: IdColumn, role: bytes) -> np.ndarray:
    """(n,) uint64, from one hash for each distinct id; that of an empty one is 0."""
    digests = b"".join(blake2b(str(id).encode(), digest_size=8, person=role).digest() for id in ids.labels)
    return np.append(np.frombuffer(digests, dtype="<u8").astype(np.uint64), np.uint64(0))[ids.codes]


def _mixed(words: np.ndarray) -> np.ndarray:
    """(n,) uint64: each bit depends on all bits of its word (the finaliser of splitmix64)."""
    words = words + np.uint64(0x9E3779B97F4A7C15)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def _sum(words: np.ndarray) -> str:
    return f"{int(words.sum(dtype=np.uint64)):016x}"
