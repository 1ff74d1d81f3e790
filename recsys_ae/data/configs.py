"""Which ratings, read how, and which of them are kept."""

from __future__ import annotations

from pathlib import PurePath
from typing import Literal

from pydantic import NonNegativeInt, PositiveInt, field_validator, model_validator

from recsys_ae.config import Config
from recsys_ae.errors import brief

Duplicates = Literal["error", "first", "last", "mean", "sum"]
Feedback = Literal["ratings", "counts", "events"]
Format = Literal["movielens", "tab", "csv", "semicolon", "tsv", "jsonl", "parquet", "arrow", "inter", "npz"]
COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".zip")


class ColumnsConfig(Config):
    """Names of the columns of files that have a header; null: found by their usual names. Without a header
    they are called user, item, rating, timestamp. `rating` holds counts, too. `timestamp: ""` reads no
    timestamps; `rating: ""` reads no ratings: each row is then an event."""

    user: str | None = None
    item: str | None = None
    rating: str | None = None
    timestamp: str | None = None


class FiltersConfig(Config):
    """Applied in this order, the first while reading: minimum rating, threshold, k-core, minimum counts (one
    pass: users, then items). Counts are those of all ratings, test ratings too: a split is made of what is
    left."""

    min_rating: float | None = None  # leave out rows below it, such as zeros that are clicks and no ratings
    threshold: float | None = None  # keep ratings at or above it, as events of value 1
    core: PositiveInt | None = None  # k-core: every user and every item keeps at least so many
    min_user_ratings: NonNegativeInt = 0
    min_item_ratings: NonNegativeInt = 0


class DataConfig(Config):
    """`source`: the name of a known dataset, or a path: a file, a folder of parts that have the same columns,
    a pattern such as "parts/*.csv", or a list of paths. `format`: null detects it. `feedback`: what the
    values are: ratings, counts (of plays or clicks: confidence), or events (each row counts 1); null takes
    the known dataset's, else what the columns say. `scale`: lowest and highest possible rating; null takes
    the known dataset's, else none is declared, and models keep to the range of the training part.
    `duplicates`: what becomes of rows that repeat a pair; "sum" adds counts up, and events become counts.
    `header`: whether the first line of a text file names the columns; null: unless it is all numbers.
    `decimal`: of numbers in text; null: a point, or a comma in files with semicolons where nothing speaks
    against it."""

    source: str | tuple[str, ...]
    format: Format | None = None
    columns: ColumnsConfig = ColumnsConfig()
    feedback: Feedback | None = None
    scale: tuple[float, float] | None = None
    duplicates: Duplicates = "error"
    encoding: str = "utf-8"
    header: bool | None = None
    decimal: Literal[".", ","] | None = None
    filters: FiltersConfig = FiltersConfig()

    @property
    def sources(self) -> tuple[str, ...]:
        """The source as a list."""
        return (self.source,) if isinstance(self.source, str) else self.source

    @property
    def label(self) -> str:
        """The source in one line."""
        return ", ".join(self.sources)

    @property
    def name(self) -> str:
        """A short name: that of the first file, without folder and suffixes; of a pattern that of its
        folder."""
        path = PurePath(self.sources[0])
        if set(path.name) & set("*?["):
            return path.parent.name or "ratings"
        return PurePath(path.stem).stem if path.suffix.lower() in COMPRESSED else path.stem

    @field_validator("source", mode="before")
    @classmethod
    def _source_is_text(cls, source):
        names = source if isinstance(source, (list, tuple)) else [source]
        if not names or not all(isinstance(name, str) and name for name in names):
            raise ValueError(f"write a text, or a list of texts, not {brief(source)}")
        return source

    @model_validator(mode="after")
    def _settings_fit(self):
        if self.scale is not None and not self.scale[0] < self.scale[1]:
            raise ValueError(f"scale {list(self.scale)}: the lowest rating must be below the highest")
        if self.scale is not None and self.feedback in ("counts", "events"):
            raise ValueError(f"a scale is of ratings, and feedback is {self.feedback}; leave out one of them")
        if self.columns.rating == "" and self.feedback in ("ratings", "counts"):
            raise ValueError(f"feedback is {self.feedback}, but columns.rating reads none; name their column")
        return self
