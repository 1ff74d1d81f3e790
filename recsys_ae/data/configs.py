"""Which ratings, read how, and which of them are kept."""

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeInt, PositiveInt, model_validator

from recsys_ae.config import Config

Duplicates = Literal["error", "first", "last", "mean"]
Format = Literal["movielens", "tab", "csv", "tsv", "parquet", "inter", "npz"]


class ColumnsConfig(Config):
    """Names of the columns of files that have a header; null: found by their usual names. Without a header
    they are called user, item, rating, timestamp. `timestamp: ""` reads no timestamps; `rating: ""` reads no
    ratings: each row is then implicit feedback of value 1."""

    user: str | None = None
    item: str | None = None
    rating: str | None = None
    timestamp: str | None = None


class FiltersConfig(Config):
    """Applied in this order: threshold, k-core, minimum counts (one pass: users, then items)."""

    threshold: float | None = None  # keep ratings at or above it, as implicit feedback of value 1
    core: PositiveInt | None = None  # k-core: every user and every item keeps at least so many
    min_user_ratings: NonNegativeInt = 0
    min_item_ratings: NonNegativeInt = 0


class DataConfig(Config):
    """`source`: the name of a known dataset, or a path. `format`: null detects it. `scale`: lowest and
    highest rating; null takes the known dataset's, else the observed range (none if all values are equal or
    there are no ratings: implicit feedback)."""

    source: str
    format: Format | None = None
    columns: ColumnsConfig = ColumnsConfig()
    scale: tuple[float, float] | None = None
    duplicates: Duplicates = "error"
    encoding: str = "utf-8"
    filters: FiltersConfig = FiltersConfig()

    @model_validator(mode="after")
    def _scale_ascends(self):
        if self.scale is not None and not self.scale[0] < self.scale[1]:
            raise ValueError(f"scale {list(self.scale)}: the lowest rating must be below the highest")
        return self
