"""Sparse matrices, in memory and saved by SciPy."""

from __future__ import annotations

import math
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import read_array_header_1_0, read_array_header_2_0, read_magic
from scipy import sparse

from recsys_ae.data.columns import Reading, check_decided
from recsys_ae.data.configs import Feedback
from recsys_ae.data.ids import IdColumn
from recsys_ae.data.readers.counting import check_rows
from recsys_ae.data.readers.unpacked import check_unpacked
from recsys_ae.data.schema import Triples
from recsys_ae.errors import DataError

DAMAGED = (ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile, zlib.error, EOFError)
KEEP_ZEROS = ("csr", "csc", "coo")  # the others store cells that nobody rated, or drop zeros


def read_npz(path: Path, feedback: Feedback | None) -> Triples:
    """The matrix of a file, see `read_matrix`. Raises DataError where the file holds none."""
    try:
        n_cells = _check_sizes(path)
        matrix = sparse.load_npz(path)
        if matrix.format in ("csr", "csc"):
            matrix.check_format(full_check=True)  # positions outside the shape would read foreign memory
    except DAMAGED as error:
        raise DataError(
            f"{path}: is no sparse matrix saved by scipy.sparse.save_npz "
            f"({type(error).__name__}); make it again"
        ) from error
    check_rows(path, matrix.nnz, n_cells)
    return read_matrix(matrix, feedback, path)


def _check_sizes(path: Path) -> int:
    """How many values the file holds. Raises ValueError where an array says that it is larger or smaller
    than what is there, before room is made for it; DataError where what is there is too large."""
    n_cells = 0
    with zipfile.ZipFile(path) as archive:
        check_unpacked(path, sum(member.file_size for member in archive.infolist()))
        for member in archive.infolist():
            with archive.open(member) as file:
                read = {(1, 0): read_array_header_1_0, (2, 0): read_array_header_2_0}[read_magic(file)]
                shape, _, kind = read(file)
                if file.tell() + math.prod(shape) * kind.itemsize != member.file_size:
                    raise ValueError(f"{member.filename} is not as large as it says")
            if member.filename == "data.npy":
                n_cells = math.prod(shape)
    return n_cells


def read_matrix(matrix: Any, feedback: Feedback | None, path: object = "the matrix") -> Triples:
    """Users are the rows, items the columns; their numbers are the ids, and a stored zero is a rating. Empty
    rows and columns are no users and items. With `feedback` None, a matrix of nothing but ones holds events,
    any other ratings. Raises DataError where the matrix cannot be read so, and where its values may be
    counts."""
    if matrix.format not in KEEP_ZEROS:
        raise DataError(f"{path}: holds a {matrix.format} matrix; save a csr, csc or coo matrix")
    if matrix.dtype.kind not in "iufb" or matrix.dtype == np.float16:  # with which SciPy cannot calculate
        raise DataError(
            f"{path}: holds values of type {matrix.dtype}; ratings must be whole numbers, float32 or float64"
        )
    cells = matrix.tocoo(copy=False)
    kind = feedback or ("events" if (cells.data == 1).all() else "ratings")
    if feedback is None:
        check_decided(cells.data, path)
    places = {"user": 0, "item": 1} | ({} if kind == "events" else {"rating": 2})
    return Triples(
        IdColumn.of(cells.row),
        IdColumn.of(cells.col),
        None if kind == "events" else np.asarray(cells.data, dtype=np.float64),
        None,
        lambda index: f"{path}, row {cells.row[index]}, column {cells.col[index]}",
        Reading(("rows", "columns", "values"), places, kind, "matrix"),
    )
