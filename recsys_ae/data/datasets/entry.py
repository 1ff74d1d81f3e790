"""What is known of a published dataset."""

from __future__ import annotations

from dataclasses import dataclass

from recsys_ae.data.configs import ColumnsConfig, Format

NO_COLUMNS_NAMED = ColumnsConfig()


@dataclass(frozen=True, slots=True)
class RatingsFile:
    """One of the forms in which the ratings of a dataset may lie in its folder."""

    name: str
    format: Format
    columns: ColumnsConfig = NO_COLUMNS_NAMED


@dataclass(frozen=True, slots=True)
class TitlesFile:
    """A text or parquet file of item ids and titles. `id`, `title`: names of its columns, or places where it
    has no header. `separator`: between the fields of a line; None for parquet."""

    name: str
    separator: str | None
    id: str | int
    title: str | int
    encoding: str = "utf-8"


@dataclass(frozen=True, slots=True)
class Archive:
    """A zip file that can be downloaded and trusted: `members` are the names, without folders, of the files
    that are unpacked from it where it has them; the first, the ratings, it must have."""

    url: str
    sha256: str
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Dataset:
    """`ratings`, `users`, `items`: how many are rated. `scale`: lowest and highest possible rating, None for
    implicit feedback. `terms`: licence and citation in one line, to be shown before a download. `files`: the
    forms of its ratings, the first one found is read. `archive`: None where no download can be verified.
    `note`: what to know when loading it, or what to do where it cannot be downloaded."""

    name: str
    users: int
    items: int
    ratings: int
    scale: tuple[float, float] | None
    terms: str
    published: str
    files: tuple[RatingsFile, ...]
    titles: tuple[TitlesFile, ...] = ()
    archive: Archive | None = None
    bundled: bool = False
    note: str = ""

    def form_of(self, name: str) -> RatingsFile:
        """The entry of the ratings file of this name."""
        return next(file for file in self.files if file.name == name)
