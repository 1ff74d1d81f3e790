"""Independent random streams from one seed: each purpose gets its own, so that a draw added to one
purpose changes nothing in another. The only place where generators are made."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch


def derived_seed(seed: int, *words: str | int) -> int:
    """64-bit seed of the stream that `words` name, the same on every machine."""
    text = "\x1f".join([str(seed), *map(str, words)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def numpy_generator(seed: int, *words: str | int) -> np.random.Generator:
    """Generator of the stream that `words` name."""
    return np.random.Generator(np.random.PCG64(derived_seed(seed, *words)))


def random_keys(n: int, seed: int, *words: str | int) -> NDArray[np.uint64]:
    """(n,) raw 64-bit draws. NumPy keeps the raw streams of its bit generators stable over versions and
    platforms, which it does not promise of `permutation`: splits sort these keys."""
    return np.random.PCG64(derived_seed(seed, *words)).random_raw(n)


def torch_generator(seed: int, *words: str | int, device: str = "cpu") -> torch.Generator:
    """Generator of the stream that `words` name, on a device."""
    import torch

    return torch.Generator(device=device).manual_seed(torch_seed(seed, *words))


def torch_seed(seed: int, *words: str | int) -> int:
    """Seed of the stream that `words` name, in the range that torch takes."""
    return derived_seed(seed, *words) & 0x7FFF_FFFF_FFFF_FFFF
