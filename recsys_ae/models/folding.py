"""Ways to find the factors of a user who was not there in training, the item side being fixed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from recsys_ae.errors import StorageError
from recsys_ae.types import FloatMatrix, FloatVector


@dataclass(frozen=True, slots=True)
class RidgeFolding:
    """Least squares on the observed entries alone, as in explicit matrix factorisation.

    The penalty is l2 · n^power on each squared factor and `bias_l2` (None: l2) · n^power on the squared
    bias, n being the length of the history.
    """

    bias_l2: float | None = None
    power: float = 0.0

    kind: ClassVar[str] = "ridge"

    def solve(self, factors: FloatMatrix, targets: FloatVector, l2: float) -> tuple[FloatVector, float]:
        """(k,) factors and the bias of one user. `factors`: (n, k) of the rated items; `targets`: (n,)
        ratings less everything that is not the user's. A user without history gets zeros."""
        n, k = factors.shape
        if n == 0:
            return np.zeros(k), 0.0
        design = np.column_stack([factors, np.ones(n)]).astype(np.float64)
        penalties = np.full(k + 1, l2)
        penalties[-1] = l2 if self.bias_l2 is None else self.bias_l2
        solution = _ridge(design, np.asarray(targets, dtype=np.float64), penalties * n**self.power)
        return solution[:-1], float(solution[-1])


@dataclass(frozen=True, slots=True)
class ConfidenceFolding:
    """Weighted least squares on all items, as in implicit-feedback ALS (Hu, Koren, Volinsky 2008, eq. 4):
    liked items are 1 with `confidence`, all others 0 with confidence 1. `positive`: lowest rating that
    counts as liked; None: every observed entry. There are no biases."""

    confidence: float
    positive: float | None = None

    kind: ClassVar[str] = "confidence"

    def solve(self, factors: FloatMatrix, gram: FloatMatrix, l2: float) -> FloatVector:
        """(k,) factors of one user. `factors`: (n, k) of the liked items; `gram`: (k, k), QᵀQ of all."""
        chosen = factors.astype(np.float64)
        system = gram + (self.confidence - 1.0) * (chosen.T @ chosen) + l2 * np.eye(len(gram))
        return np.linalg.solve(system, self.confidence * chosen.sum(axis=0))


Folding = RidgeFolding | ConfidenceFolding


def folding_to_meta(folding: Folding) -> dict[str, Any]:
    """The same as a JSON value."""
    return {"kind": folding.kind, **asdict(folding)}


def folding_from_meta(meta: dict[str, Any]) -> Folding:
    """Inverse of `folding_to_meta`; StorageError for a kind that is not known here."""
    fields = {name: value for name, value in meta.items() if name != "kind"}
    match meta["kind"]:
        case "ridge":
            return RidgeFolding(**fields)
        case "confidence":
            return ConfidenceFolding(**fields)
        case other:
            raise StorageError(f"a model that folds users in by {other!r} needs a newer recsys-ae")


def _ridge(design: FloatMatrix, targets: FloatVector, penalties: FloatVector) -> FloatVector:
    """Minimiser of |y - Xw|² + Σ penalties · w²; penalties > 0. Solves the smaller of the two systems."""
    n, k = design.shape
    if n >= k:
        return cho_solve(cho_factor(design.T @ design + np.diag(penalties)), design.T @ targets)
    scaled = design / penalties  # w = D⁻¹Xᵀ (X D⁻¹ Xᵀ + I)⁻¹ y
    return scaled.T @ cho_solve(cho_factor(scaled @ design.T + np.eye(n)), targets)
