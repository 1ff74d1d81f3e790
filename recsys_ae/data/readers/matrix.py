"""Sparse matrices saved by SciPy."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np
from scipy import sparse

from recsys_ae.data.ids import IdColumn
from recsys_ae.data.schema import Triples
from recsys_ae.errors import DataError

DAMAGED = (ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile, zlib.error, EOFError)
KEEP_ZEROS = ("csr", "csc", "coo")  # the others store cells that nobody rated, or drop zeros


def read_npz(path: Path) -> Triples:
    """Users are the rows, items the columns; their numbers are the ids, and a stored zero is a rating. Empty
    rows and columns are no users and items. Raises DataError where the file holds no such matrix."""
    try:
        matrix = sparse.load_npz(path)
        if matrix.format in ("csr", "csc"):
            matrix.check_format(full_check=True)  # positions outside the shape would read foreign memory
    except DAMAGED as error:
        raise DataError(
            f"{path}: is no sparse matrix saved by scipy.sparse.save_npz "
            f"({type(error).__name__}); make it again"
        ) from error
    if matrix.format not in KEEP_ZEROS:
        raise DataError(f"{path}: holds a {matrix.format} matrix; save a csr, csc or coo matrix")
    if matrix.dtype.kind not in "iufb":
        raise DataError(f"{path}: holds values of type {matrix.dtype}; ratings must be numbers")
    cells = matrix.tocoo(copy=False)
    return Triples(
        IdColumn.of(cells.row),
        IdColumn.of(cells.col),
        np.asarray(cells.data, dtype=np.float64),
        None,
        lambda index: f"{path}, row {cells.row[index]}, column {cells.col[index]}",
    )
