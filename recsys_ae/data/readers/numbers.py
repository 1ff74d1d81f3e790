"""Columns of text that mean numbers or moments: decimal commas, ISO dates."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from recsys_ae.data.schema import Where
from recsys_ae.errors import DataError, brief

Decimal = Literal[".", ","]
NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
THOUSANDS = r"^[+-]?[1-9]\d{0,2}(,\d{3})+$"  # or a number with three decimals: nobody can tell
ISO = (
    r"^\d{4}-\d{2}-\d{2}"
    r"([T ]\d{2}:\d{2}(:\d{2}([.,]\d+)?)?( ?(Z|UTC|[+-]\d{2}(:?\d{2})?))?)?$"
)


def decimals(column: pa.ChunkedArray, decimal: Decimal | None, where: Where) -> pa.ChunkedArray:
    """Numbers of texts, empty ones null. `decimal` None: a point, or a comma where no text has a point and
    not all that have a comma could mean thousands.

    Raises DataError at the first text that is no number, or that may be two.
    """
    texts = pc.utf8_trim_whitespace(column.cast(pa.string()))
    commas = pc.fill_null(pc.match_substring(texts, ","), False)
    if decimal is None and pc.any(commas).as_py():
        _check_unambiguous(texts, commas, where)
        decimal = ","
    plain = pc.replace_substring(texts, ",", ".", max_replacements=1) if decimal == "," else texts
    wrong = pc.invert(pc.match_substring_regex(plain, NUMBER))
    if decimal == ",":
        wrong = pc.or_(wrong, pc.match_substring(texts, "."))
    wrong = pc.and_(pc.fill_null(wrong, False), pc.fill_null(pc.not_equal(texts, ""), False))
    for row in np.flatnonzero(wrong.to_numpy())[:1]:
        value = pc.utf8_lower(plain[row]).as_py()
        if value.lstrip("+-") not in ("nan", "inf", "infinity"):
            raise DataError(f"{where(int(row))}: the rating {brief(texts[row].as_py())} is not a number")
    return pc.if_else(pc.equal(plain, ""), pa.scalar(None, pa.string()), plain).cast(pa.float64())


def _check_unambiguous(texts: pa.ChunkedArray, commas: pa.ChunkedArray, where: Where) -> None:
    points = pc.fill_null(pc.match_substring(texts, "."), False)
    row = int(np.flatnonzero(commas.to_numpy())[0])
    thousands = pc.all(pc.match_substring_regex(texts.filter(commas), THOUSANDS)).as_py()
    if pc.any(points).as_py() or thousands:
        raise DataError(
            f"{where(row)}: the rating {brief(texts[row].as_py())} may have a comma for decimals or for "
            'thousands; set decimal to "," or write the numbers with points'
        )


def moments(column: pa.ChunkedArray, where: Where) -> np.ndarray:
    """(n,) float64 Unix seconds of ISO dates (their midnight) and moments, fractions cut off; NaN for an
    empty text. Without a zone they are UTC. Raises DataError at the first text that is no such moment."""
    array = column.cast(pa.string()).combine_chunks().dictionary_encode()
    labels = pc.utf8_trim_whitespace(array.dictionary.cast(pa.string()))
    empty = pc.equal(labels, "").to_numpy(zero_copy_only=False)
    fits = pc.match_substring_regex(labels, ISO)
    texts = pc.replace_substring_regex(labels, r" ?(UTC|Z)$", "Z")
    texts = pc.replace_substring_regex(texts, r" ([+-]\d{2}(:?\d{2})?)$", r"\1")
    found = pd.to_datetime(
        pc.if_else(fits, texts, pa.scalar(None, pa.string())).to_pandas(),
        format="ISO8601",
        utc=True,
        errors="coerce",
    )
    wrong = found.isna().to_numpy() & ~empty
    codes = array.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    if wrong.any():
        row = int(np.flatnonzero(np.append(wrong, False)[codes])[0])
        raise DataError(
            f"{where(row)}: the timestamp {brief(column[row].as_py())} is neither Unix seconds nor a date "
            'such as 2013-04-03 or 2013-04-03 10:11:12; read none (columns.timestamp: "") or another column'
        )
    seconds = ((found - pd.Timestamp(0, tz="UTC")) // pd.Timedelta(seconds=1)).to_numpy(dtype=np.float64)
    return np.append(seconds, np.nan)[codes]
