"""The datasets that have a name. movietweetings-100k and goodbooks-30core come with the package.

Checksums are SHA-256. Those of the MovieLens archives but ml-10m were read in tensorflow/datasets,
tensorflow_datasets/url_checksums/movielens.txt (commit 1c076ac); those of ml-10m and lastfm-hetrec in the
loaders of OmniRec (omnirec.data_loaders), and again in independent studies of these archives; that of
goodbooks-10k-v2 in ludwig-ai/ludwig, ludwig/datasets/configs/goodbooks_books.yaml. A dataset whose checksum
nobody has published is not downloaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from recsys_ae.data.configs import ColumnsConfig, Feedback, Format
from recsys_ae.data.datasets.contents import content_of
from recsys_ae.data.schema import Triples
from recsys_ae.errors import DataError

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
    """`ratings`, `users`, `items`: how many are rated. `repeats`: rows of its file beyond these, which rate a
    pair again. `scale`: lowest and highest possible rating, None
    where there is none. `feedback`: what the values are. `terms`: licence and citation in one line, to be
    shown before a download. `files`: the forms of its ratings, the first one found is read. `archive`: None
    where no download can be verified. `content`: see `content_of`, None where nobody has read it yet. `note`:
    what to know when loading it, or what to do where it cannot be downloaded."""

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
    feedback: Feedback = "ratings"
    repeats: int = 0
    note: str = ""
    content: tuple[str, str] | None = None

    def check(self, path: Path, triples: Triples) -> None:
        """Raises DataError where the file of this name holds something else."""
        expected = self.ratings + self.repeats
        rows, users, items = len(triples), triples.users.n_distinct(), triples.items.n_distinct()
        if (rows, users, items) != (expected, self.users, self.items):
            raise DataError(
                f"{path}: has {rows:,} rows of {users:,} users and {items:,} items, but {self.name} has "
                f"{expected:,} of {self.users:,} and {self.items:,}; get it again, or name the path in place "
                f"of {self.name} where these ratings are meant"
            )
        if self.content is None:
            return
        pairs, ratings = content_of(triples)
        if pairs != self.content[0] or ratings not in (None, self.content[1]):
            what = "pairs of users and items" if pairs != self.content[0] else "ratings"
            raise DataError(
                f"{path}: has as many rows, users and items as {self.name}, but other {what}; get it again, "
                f"or name the path in place of {self.name} where these ratings are meant"
            )


GROUPLENS = "https://files.grouplens.org/datasets"
MOVIELENS_TERMS = (
    "GroupLens: research use, cite Harper & Konstan 2015 (doi 10.1145/2827872); no redistribution and no "
    "commercial use without permission"
)
MOVIELENS_SHARED_TERMS = (
    "GroupLens: research use, cite Harper & Konstan 2015 (doi 10.1145/2827872); redistribution only under "
    "the same conditions, no commercial use without permission"
)
GOODBOOKS_TERMS = "CC BY-SA 4.0, Zygmunt Zając: goodbooks-10k (2017)"
CSV_FILES = (RatingsFile("ratings.csv", "csv"), RatingsFile("ratings.parquet", "parquet"))
ML_100K_PARTS = tuple(f"u{part}.{kind}" for part in "12345ab" for kind in ("base", "test"))


def _movielens(name: str, sha256: str, *members: str) -> Archive:
    return Archive(f"{GROUPLENS}/movielens/{name}.zip", sha256, members)


def _movielens_csv(
    name: str,
    page: str,
    *,
    users: int,
    items: int,
    ratings: int,
    sha256: str,
    note: str = "",
    content: tuple[str, str] | None = None,
) -> Dataset:
    """One of the releases as CSV files, which are alike."""
    return Dataset(
        name=name,
        users=users,
        items=items,
        ratings=ratings,
        scale=(0.5, 5),
        terms=MOVIELENS_SHARED_TERMS,
        published=f"https://grouplens.org/datasets/movielens/{page}/",
        files=CSV_FILES,
        titles=(TitlesFile("movies.csv", ",", "movieId", "title"),),
        archive=_movielens(name, sha256, "ratings.csv", "movies.csv", "README.txt"),
        note=note,
        content=content,
    )


# fmt: off
KNOWN = (
    Dataset(
        name="movietweetings-100k", users=16_554, items=10_506, ratings=100_000, scale=(0, 10),
        content=("cbb07688cf57f6cb", "88796e4974e7836c"),
        terms="MIT licence, (c) 2013 Simon Dooms; cite Dooms, De Pessemier & Martens, CrowdRec 2013",
        published="https://github.com/sidooms/MovieTweetings",
        files=(RatingsFile("ratings.dat", "movielens"), RatingsFile("ratings.parquet", "parquet")),
        titles=(TitlesFile("movies.dat", "::", 0, 1), TitlesFile("movies.parquet", None, "id", "title")),
        bundled=True,
        note="item ids are IMDb numbers with leading zeros: text; twelve ratings are 0",
    ),
    Dataset(
        name="goodbooks-30core", users=7_101, items=6_550, ratings=458_827, scale=(1, 5),
        content=("9d65fe23fb2bf714", "7ae42130b1f7dd37"),
        terms=f"{GOODBOOKS_TERMS}; changed: its 30-core, with titles, authors and years alone",
        published="https://www.kaggle.com/datasets/zygmunt/goodbooks-10k",
        files=(RatingsFile("ratings.parquet", "parquet"),),
        titles=(TitlesFile("books.parquet", None, "id", "title"),),
        bundled=True,
        note="the part of goodbooks-10k in which every reader and every book has 30 ratings or more",
    ),
    Dataset(
        name="ml-100k", users=943, items=1_682, ratings=100_000, scale=(1, 5),
        content=("144335f8c8d920ee", "bb592b5165594a46"),
        terms=MOVIELENS_TERMS,
        published="https://grouplens.org/datasets/movielens/100k/",
        files=(RatingsFile("u.data", "tab"),),
        titles=(TitlesFile("u.item", "|", 0, 1, "latin-1"),),
        archive=_movielens("ml-100k", "50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229",
                           "u.data", "u.item", "u.user", "README", *ML_100K_PARTS),
        note="its own splits are u1.base and u1.test to u5, ua and ub",
    ),
    Dataset(
        name="ml-1m", users=6_040, items=3_706, ratings=1_000_209, scale=(1, 5),
        content=("5b44b524cf5c9cdc", "13b01845559b73d2"),
        terms=MOVIELENS_TERMS,
        published="https://grouplens.org/datasets/movielens/1m/",
        files=(
            RatingsFile("ratings.dat", "movielens"),
            # In the parquet form a third of the timestamps is unknown (-1), so that none are read.
            RatingsFile("ratings.parquet", "parquet", ColumnsConfig(timestamp="")),
        ),
        titles=(TitlesFile("movies.dat", "::", 0, 1, "latin-1"),),
        archive=_movielens("ml-1m", "a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20",
                           "ratings.dat", "movies.dat", "users.dat", "README"),
        note="ratings.parquet is read without its timestamps, a third of which are unknown; "
        "columns: {timestamp: seq} gives the order within each user",
    ),
    Dataset(
        name="ml-10m", users=69_878, items=10_677, ratings=10_000_054, scale=(0.5, 5),
        terms=MOVIELENS_TERMS,
        published="https://grouplens.org/datasets/movielens/10m/",
        files=(RatingsFile("ratings.dat", "movielens"),),
        titles=(TitlesFile("movies.dat", "::", 0, 1),),
        archive=_movielens("ml-10m", "813c411ccb6122564edfe752e7f80c4dcc5aa25fa94c93622f6877a7ba252862",
                           "ratings.dat", "movies.dat", "README.html"),
    ),
    _movielens_csv("ml-20m", "20m", users=138_493, items=26_744, ratings=20_000_263,
                   sha256="96f243c338a8665f6bcc89c53edf6ee39162a846940de6b7c8c48aeada765ff3"),
    _movielens_csv("ml-25m", "25m", users=162_541, items=59_047, ratings=25_000_095,
                   sha256="8b21cfb7eb1706b4ec0aac894368d90acf26ebdfb6aced3ebd4ad5bd1eb9c6aa"),
    _movielens_csv("ml-latest-small", "latest", users=610, items=9_724, ratings=100_836,
                   sha256="696d65a3dfceac7c45750ad32df2c259311949efec81f0f144fdfb91ebc9e436",
                   note="the release of September 2018", content=("c5dfc2f4d781fdda", "50d355acc595974b")),
    Dataset(
        name="goodbooks-10k", users=53_424, items=10_000, ratings=979_478, scale=(1, 5),
        content=("cefb0152020dfb8f", "f2738ebe0668710a"),
        terms=GOODBOOKS_TERMS,
        published="https://www.kaggle.com/datasets/zygmunt/goodbooks-10k",
        files=(RatingsFile("ratings.parquet", "parquet"),),
        titles=(TitlesFile("books.csv", ",", "id", "title"),),
        note="version 1, cleaned, is published behind a login only; goodbooks-10k-v2, six times as large, "
        "can be fetched",
    ),
    Dataset(
        name="goodbooks-10k-v2", users=53_424, items=10_000, ratings=5_976_479, scale=(1, 5),
        terms=GOODBOOKS_TERMS,
        published="https://github.com/zygmuntz/goodbooks-10k",
        files=CSV_FILES,
        titles=(TitlesFile("books.csv", ",", "book_id", "title"),),
        archive=Archive(
            "https://github.com/zygmuntz/goodbooks-10k/releases/download/v1.0/goodbooks-10k.zip",
            "261b97b56db61f3fb2ce5aadbb13704d30179fcc986c17ace665a0af9ed00731",
            ("ratings.csv", "books.csv"),
        ),
    ),
    Dataset(
        name="filmtrust", users=1_508, items=2_071, ratings=35_494, scale=(0.5, 4),
        content=("41b3d6d76321980c", "3214531dd2c9e250"),
        terms="published for research, no licence text; cite Guo, Zhang & Yorke-Smith, IJCAI 2013",
        published="https://guoguibing.github.io/librec/datasets.html",
        files=(RatingsFile("ratings.txt", "csv"),),
        repeats=3,
        note="no checksum of its archive is known: unpack ratings.txt by hand, with commas between fields; "
        "three pairs occur twice, so that it needs duplicates: first, last or mean",
    ),
    Dataset(
        name="lastfm-hetrec", users=1_892, items=17_632, ratings=92_834, scale=None,
        content=("f8e12690b5ba3ddd", "8c32555d703e8481"),
        terms="Last.fm data, non-commercial use only; cite Cantador, Brusilovsky & Kuflik, HetRec 2011",
        published="https://grouplens.org/datasets/hetrec-2011/",
        files=(RatingsFile("user_artists.dat", "tsv"),),
        titles=(TitlesFile("artists.dat", "\t", "id", "name"),),
        archive=Archive(
            f"{GROUPLENS}/hetrec2011/hetrec2011-lastfm-2k.zip",
            "6738f48195667ff03caaab4d32ca9a3133d8cc026b7c3cdaf6ce1010e913c59c",
            ("user_artists.dat", "artists.dat", "readme.txt"),
        ),
        feedback="counts",
        note="its values are listening counts; feedback: events takes each listener once",
    ),
)
