"""The observed entries of some rows, as tensors."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

with warnings.catch_warnings():  # torch says once, at the first such tensor, that they are in beta
    warnings.simplefilter("ignore")
    torch.zeros(1, 1).to_sparse_csr()


@dataclass(frozen=True, slots=True)
class RowBatch:
    """Observed entries of b rows, by row and, for gradients, by column.

    `starts`: (b + 1,) int32, `columns`: (m,) int32, `values`: (m,) float32 as in CSR.
    `column_starts`: (n_columns + 1,) int32, `rows`: (m,) int32, `order`: (m,) int64: the same entries sorted
    by column; entry j of that order is entry order[j] of this one.
    `presence`: (m,) float32, how much a network sees of the fact that an entry is observed; None: 1 for each.
    `corrupted`: (m,) bool, the entries whose input was made worse; None: not one.
    """

    starts: Tensor
    columns: Tensor
    values: Tensor
    column_starts: Tensor
    rows: Tensor
    order: Tensor
    n_columns: int
    presence: Tensor | None = None
    corrupted: Tensor | None = None

    @classmethod
    def of(cls, matrix: csr_array, *, device: str | torch.device = "cpu") -> RowBatch:
        """All entries stored in `matrix` (b, n_columns), zeros included."""
        numbered = csr_array((np.arange(len(matrix.data)), matrix.indices, matrix.indptr), shape=matrix.shape)
        by_column = numbered.tocsc()

        def tensor(array: np.ndarray, dtype: type) -> Tensor:
            return torch.from_numpy(array.astype(dtype, copy=False)).to(device)

        return cls(
            tensor(matrix.indptr, np.int32),
            tensor(matrix.indices, np.int32),
            tensor(matrix.data, np.float32),
            tensor(by_column.indptr, np.int32),
            tensor(by_column.indices, np.int32),
            tensor(by_column.data, np.int64),
            matrix.shape[1],
        )

    @classmethod
    def of_dense(cls, values: Tensor) -> RowBatch:
        """Rows (b, n_columns) all of whose entries are observed, on the device of the values."""
        n_rows, n_columns = values.shape

        def numbers(end: int, dtype: torch.dtype = torch.int32) -> Tensor:
            return torch.arange(end, dtype=dtype, device=values.device)

        n = n_rows * n_columns
        return cls(
            n_columns * numbers(n_rows + 1),
            numbers(n_columns).repeat(n_rows),
            values.reshape(-1),
            n_rows * numbers(n_columns + 1),
            numbers(n_rows).repeat(n_columns),
            numbers(n, dtype=torch.int64).view(n_rows, n_columns).T.reshape(-1),
            n_columns,
        )

    @property
    def n_rows(self) -> int:
        return len(self.starts) - 1

    def with_values(self, values: Tensor) -> RowBatch:
        """The same entries with other values (m,)."""
        return replace(self, values=values)

    def weighted(self, weights: Tensor) -> RowBatch:
        """The same entries, of which values and presence are seen `weights` (m,) times as strongly."""
        presence = weights if self.presence is None else self.presence * weights
        return replace(self, values=self.values * weights, presence=presence)

    def marked(self, corrupted: Tensor | None) -> RowBatch:
        """The same entries, of which these (m,) were made worse."""
        return replace(self, corrupted=corrupted)

    def part(self, first: int, end: int) -> RowBatch:
        """Rows `first` to `end` (exclusive) alone."""
        inside = slice(int(self.starts[first]), int(self.starts[end]))
        starts, columns = self.starts[first : end + 1] - self.starts[first], self.columns[inside]
        order = torch.argsort(columns, stable=True)
        ends = torch.bincount(columns, minlength=self.n_columns).cumsum(0)
        rows = torch.repeat_interleave(torch.arange(end - first, device=starts.device), starts.diff())
        return RowBatch(
            starts,
            columns,
            self.values[inside],
            torch.cat([ends.new_zeros(1), ends]).int(),
            rows[order].int(),
            order,
            self.n_columns,
            None if self.presence is None else self.presence[inside],
            None if self.corrupted is None else self.corrupted[inside],
        )

    def sparse(self, values: Tensor) -> Tensor:
        """(b, n_columns) sparse CSR tensor with `values` (m,) at the observed entries."""
        return torch.sparse_csr_tensor(
            self.starts, self.columns, values, (self.n_rows, self.n_columns), check_invariants=False
        )

    def sparse_transposed(self, values: Tensor) -> Tensor:
        """(n_columns, b) transpose of `sparse(values)`."""
        return torch.sparse_csr_tensor(
            self.column_starts,
            self.rows,
            values[self.order],
            (self.n_columns, self.n_rows),
            check_invariants=False,
        )
