"""Files as people have them: each is read as pandas reads it when told how, or refused in one sentence."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import re
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather as feather
import pytest
from scipy import sparse

from recsys_ae.data.configs import ColumnsConfig, DataConfig
from recsys_ae.data.load import load_ratings
from recsys_ae.errors import DataError

N = 12
FRAME = pd.DataFrame(
    {
        "user": np.repeat([7, 30, 4, 12], 3),
        "item": np.tile([100, 20, 3], 4),
        "rating": [4.5, 0.0, 3.0, -1.0, 2.5, 5.0, 1.0, 0.5, 3.5, 4.0, 2.0, 0.0],
        "timestamp": 1_365_029_107 + 86_400 * np.arange(N),
    }
)
MOMENTS = pd.to_datetime(FRAME.timestamp, unit="s")
ROLES = ["user", "item", "rating", "timestamp"]
Expected = Callable[[Path], pd.DataFrame]


def csv(frame: pd.DataFrame = FRAME, **options) -> bytes:
    return frame.to_csv(index=False, **options).encode()


def renamed(*names: str) -> pd.DataFrame:
    return FRAME.set_axis(list(names), axis=1)


def by_pandas(*names: str, **options) -> Expected:
    """What pandas reads; `names`: of the columns of user, item, rating and timestamp."""

    def expected(path: Path) -> pd.DataFrame:
        frame = pd.read_csv(path, **options)
        known = dict(zip(ROLES, names or ROLES, strict=False))
        if not names:
            known = {role: role for role in ROLES if role in frame}
        return pd.DataFrame({role: frame[name] for role, name in known.items()})

    return expected


def the_frame(path: Path) -> pd.DataFrame:
    return FRAME


def zipped(content: bytes, *names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, content)
    return buffer.getvalue()


def written(write: Callable[[io.BytesIO], object]) -> bytes:
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


def zstd(content: bytes) -> bytes:
    buffer = pa.BufferOutputStream()
    with pa.CompressedOutputStream(buffer, "zstd") as stream:
        stream.write(content)
    return buffer.getvalue().to_pybytes()


def stream(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    with pa.ipc.new_stream(buffer, table.schema) as writer:
        writer.write_table(table)
    return buffer.getvalue()


def jsonl(frame: pd.DataFrame = FRAME) -> bytes:
    return frame.to_json(orient="records", lines=True).encode()


def matrix(values: Iterable[float]) -> bytes:
    cells = sparse.coo_array((np.array(values), (MANY.user, MANY.item)))
    return written(lambda file: sparse.save_npz(file, cells))


def of_moments(texts: pd.Series) -> pd.DataFrame:
    return FRAME.assign(timestamp=texts.to_numpy())


PLAIN_CSV, ARROW = csv(), pa.Table.from_pandas(FRAME, preserve_index=False)
COMMAS = FRAME.assign(rating=FRAME.rating.astype(str).str.replace(".", ","))
BOOKS = renamed("User-ID", "ISBN", "Book-Rating", "when")
ZONED = MOMENTS.dt.tz_localize("UTC").dt.tz_convert("Asia/Kolkata")
PLAYS = (
    FRAME.drop(columns="timestamp")
    .assign(rating=np.arange(N))
    .set_axis(["userID", "artistID", "plays"], axis=1)
)
MARKED = renamed("user", "item", "mark", "timestamp")
MAY_HOLD = "'mark' may hold ratings or counts; say which with --set data.columns.rating=mark"
MANY = pd.DataFrame({"user": np.arange(21) // 4, "item": np.arange(21) % 4})
MAY_BE_COUNTS = (
    "its values, 21 different whole numbers from 0 to 20, may be ratings or counts; say which with "
    "--set data.feedback=counts or --set data.feedback=ratings"
)
REVIEWS = FRAME.assign(text=['says "no, thanks"', "two\nlines", "plain; really"] * 4)
IDS = FRAME.assign(user=[f"00{user}" for user in FRAME.user], item=[f"i {item}" for item in FRAME.item])

# name of the file, what is in it, options, what is expected, the feedback
READ: list[tuple[str, bytes, dict, Expected, str]] = [
    ("plain.csv", PLAIN_CSV, {}, by_pandas(), "ratings"),
    ("packed.csv.gz", gzip.compress(PLAIN_CSV), {}, by_pandas(), "ratings"),
    ("packed.csv.bz2", bz2.compress(PLAIN_CSV), {}, by_pandas(), "ratings"),
    ("packed.csv.xz", lzma.compress(PLAIN_CSV), {}, by_pandas(), "ratings"),
    ("packed.csv.zst", zstd(PLAIN_CSV), {}, the_frame, "ratings"),
    ("packed.tsv.GZ", gzip.compress(csv(sep="\t")), {}, the_frame, "ratings"),
    ("two-members.csv.gz", gzip.compress(PLAIN_CSV[:60]) + gzip.compress(PLAIN_CSV[60:]), {}, by_pandas(),
     "ratings"),
    ("one.zip", zipped(PLAIN_CSV, "folder/a.csv"), {}, by_pandas(), "ratings"),
    ("mac.zip", zipped(PLAIN_CSV, "a.csv", "__MACOSX/._a.csv"), {}, the_frame, "ratings"),
    ("hidden.zip", zipped(PLAIN_CSV, ".DS_Store", "a.csv"), {}, the_frame, "ratings"),
    ("marked.csv", b"\xef\xbb\xbf" + PLAIN_CSV, {}, by_pandas(), "ratings"),
    ("marked-headerless.csv", b"\xef\xbb\xbf" + csv(header=False), {"encoding": "UTF8"},
     by_pandas(names=ROLES), "ratings"),
    ("lines.zip", zipped(jsonl(), "a.jsonl"), {}, the_frame, "ratings"),
    ("table.zip", zipped(written(FRAME.to_parquet), "a.parquet"), {}, the_frame, "ratings"),
    ("table.parquet.gz", gzip.compress(written(FRAME.to_parquet)), {}, the_frame, "ratings"),
    ("semicolons.csv", csv(sep=";"), {}, by_pandas(sep=";"), "ratings"),
    ("semicolons-commas.csv", csv(COMMAS, sep=";"), {}, by_pandas(sep=";", decimal=","), "ratings"),
    ("headerless-commas.csv", csv(COMMAS, sep=";", header=False), {},
     by_pandas(sep=";", decimal=",", names=ROLES), "ratings"),
    ("named-decimal.tsv", csv(COMMAS, sep="\t"), {"decimal": ","}, by_pandas(sep="\t", decimal=","),
     "ratings"),
    ("quoted-commas.csv", csv(COMMAS), {"decimal": ","}, by_pandas(decimal=","), "ratings"),
    ("three-decimals.csv", csv(FRAME.assign(rating="1,250"), sep=";"), {"decimal": ","},
     by_pandas(sep=";", decimal=","), "ratings"),
    ("some-commas.csv", b"user;item;rating\n1;2;4\n1;3;3,5\n2;2;1,125\n", {}, by_pandas(sep=";",
     decimal=","), "ratings"),
    ("books.csv", csv(BOOKS, sep=";", quoting=1), {"columns": {"timestamp": "when"}},
     by_pandas("User-ID", "ISBN", "Book-Rating", "when", sep=";"), "ratings"),
    ("semicolons-in-titles.csv", csv(REVIEWS), {}, by_pandas(), "ratings"),
    ("commas-in-titles.csv", csv(REVIEWS, sep=";"), {}, by_pandas(sep=";"), "ratings"),
    ("both.csv", b"user;item;rating;genres, all\n1;2;3;a, b\n2;2;4;c\n", {}, by_pandas(sep=";"), "ratings"),
    ("amazon.csv", csv(renamed("reviewerID", "asin", "overall",
     "unixReviewTime").assign(reviewTime="09 13, 2009")),
     {}, by_pandas("reviewerID", "asin", "overall", "unixReviewTime"), "ratings"),
    ("stars.csv", csv(renamed("user_id", "business_id", "stars", "date")), {},
     by_pandas("user_id", "business_id", "stars", "date"), "ratings"),
    ("preference.csv", csv(renamed("UserId", "ItemId", "Preference", "Time")), {},
     by_pandas("UserId", "ItemId", "Preference", "Time"), "ratings"),
    ("my-rating.csv", csv(renamed("User", "Film", "My Rating", "Date")), {},
     by_pandas("User", "Film", "My Rating", "Date"), "ratings"),
    ("index.csv", FRAME.to_csv().encode(), {}, by_pandas(), "ratings"),
    ("dates.csv", csv(of_moments(MOMENTS.dt.strftime("%Y-%m-%d"))), {}, lambda path: FRAME.assign(
        timestamp=FRAME.timestamp // 86_400 * 86_400), "ratings"),
    ("moments.csv", csv(of_moments(MOMENTS.dt.strftime("%Y-%m-%d %H:%M:%S"))), {}, the_frame, "ratings"),
    ("iso.csv", csv(of_moments(MOMENTS.dt.strftime("%Y-%m-%dT%H:%M:%S.750Z"))), {}, the_frame, "ratings"),
    ("zones.csv", csv(of_moments(ZONED.astype(str))), {}, the_frame, "ratings"),
    ("utc.csv", csv(of_moments(MOMENTS.dt.strftime("%Y-%m-%d %H:%M:%S UTC"))), {}, the_frame, "ratings"),
    ("dated.dat", csv(of_moments(MOMENTS.dt.strftime("%Y-%m-%d %H:%M:%S")), sep="\t", header=False), {},
     the_frame, "ratings"),
    ("header.dat", FRAME.astype(str).agg("::".join, axis=1).str.cat(sep="\n").join(
        ["UserID::MovieID::Rating::Timestamp\n", "\n"]).encode(), {}, the_frame, "ratings"),
    ("text-ids.csv", csv(IDS, header=False), {"header": False},
     by_pandas(names=ROLES, dtype={"user": str}), "ratings"),
    ("order.csv", csv(FRAME[["timestamp", "rating", "item", "user"]]), {}, by_pandas(), "ratings"),
    ("headerless-times.data", csv(FRAME.drop(columns="rating"), sep="\t", header=False),
     {"columns": {"timestamp": "rating"}, "feedback": "events"},
     lambda path: FRAME.drop(columns="rating"), "events"),
    ("latin.csv", csv(FRAME.assign(title="Amélie")).decode().encode("latin-1"), {"encoding": "latin-1"},
     by_pandas(encoding="latin-1"), "ratings"),
    ("utf16.csv", PLAIN_CSV.decode().encode("utf-16"), {"encoding": "utf-16"}, by_pandas(encoding="utf-16"),
     "ratings"),
    ("lines.jsonl", jsonl(), {}, the_frame, "ratings"),
    ("lines.json", b"\n" + jsonl().replace(b"\n", b"\r\n"), {}, the_frame, "ratings"),
    ("lines.ndjson.gz", gzip.compress(jsonl(renamed("user_id", "item_id", "rating", "timestamp"))), {},
     the_frame,
     "ratings"),
    ("mixed-ids.jsonl", b'{"user": 1, "item": "a", "rating": 3}\n{"user": "x", "item": 2, "rating": 4.5}\n',
     {},
     lambda path: pd.DataFrame({"user": ["1", "x"], "item": ["a", "2"], "rating": [3, 4.5]}), "ratings"),
    ("dates-as-ids.jsonl", b'{"user": "2013-04-03", "item": 1, "rating": 3}\n', {},
     lambda path: pd.DataFrame({"user": ["2013-04-03"], "item": [1], "rating": [3.0]}), "ratings"),
    ("moments.jsonl", jsonl(of_moments(MOMENTS.dt.strftime("%Y-%m-%d %H:%M:%S"))), {}, the_frame, "ratings"),
    ("table.feather", written(lambda file: feather.write_feather(ARROW, file)), {}, the_frame, "ratings"),
    ("table.arrow", stream(ARROW), {}, the_frame, "ratings"),
    ("moments.parquet", written(FRAME.assign(timestamp=MOMENTS).to_parquet), {}, the_frame, "ratings"),
    ("text-moments.parquet", written(of_moments(MOMENTS.astype(str)).to_parquet), {}, the_frame, "ratings"),
    ("decimals.parquet", written(lambda file: FRAME.assign(rating=pa.array(
        FRAME.rating).cast(pa.decimal128(4, 1)).to_pandas()).to_parquet(file)), {}, the_frame, "ratings"),
    ("plays.csv", csv(PLAYS), {"columns": {"rating": "plays"}, "feedback": "counts"},
     by_pandas("userID", "artistID", "plays"), "counts"),
    ("plays-unnamed.csv", csv(PLAYS), {"feedback": "counts"}, by_pandas("userID", "artistID", "plays"),
     "counts"),
    ("plays-as-ratings.csv", csv(PLAYS), {"feedback": "ratings"}, by_pandas("userID", "artistID", "plays"),
     "ratings"),
    ("plays-as-events.csv", csv(PLAYS), {"feedback": "events"}, by_pandas("userID", "artistID"), "events"),
    ("titles.csv", csv(FRAME[["user", "item"]].assign(title="Heat (1995)", genre="Crime", year=1995,
     movie_no_id=3)),
     {}, by_pandas("user", "item"), "events"),
    ("few-words.parquet", written(MARKED.assign(mark=["good", "bad", "4"] * 4).to_parquet), {},
     lambda path: FRAME.drop(columns="rating"), "events"),
    ("half.csv", csv(MARKED.assign(mark=["a", "4"] * 6)), {}, lambda path: FRAME.drop(columns="rating"),
     "events"),
    ("categories.parquet", written(FRAME.astype({"rating": "category"}).to_parquet), {}, the_frame,
     "ratings"),
    *((f"{name}.{suffix}", write(values), options, lambda path, values=values: MANY.assign(rating=values),
       options.get("feedback", "ratings"))
      for suffix, write in (("csv", lambda values: csv(MANY.assign(rating=values), header=False)),
                            ("npz", lambda values: matrix(values)))
      for name, values, options in (
          ("few-values", np.arange(21) % 20, {}), ("halves", np.arange(21) / 2, {}),
          ("negative", np.arange(21) - 1, {}), ("said-ratings", np.arange(21), {"feedback": "ratings"}),
          ("said-counts", np.arange(21), {"feedback": "counts"}))),
    ("one-value.csv", csv(FRAME.assign(rating=1)), {}, by_pandas(), "ratings"),
]  # fmt: skip

# name of the file, what is in it, options, what the sentence must say
REFUSED: list[tuple[str, bytes, dict, str]] = [
    ("plays.csv", csv(PLAYS), {},
     r"'plays' may hold ratings or counts; say which with --set data.columns.rating=plays --set "
     r"data.feedback=counts "
     r"\(ratings or counts\), or read each row as an event with --set data.feedback=events"),
    ("named-plays.csv", csv(PLAYS), {"columns": {"rating": "plays"}}, "'plays' may hold ratings or counts"),
    ("unknown.csv", csv(renamed("user", "item", "my plain mark", "timestamp")), {},
     "'my plain mark' may hold ratings or counts; say which with --set 'data.columns.rating=my plain mark' "
     "--set data.feedback=ratings"),
    ("unknown.parquet", written(renamed("user", "item", "mark", "timestamp").to_parquet), {},
     "'mark' may hold"),
    ("unknown.jsonl", jsonl(renamed("user", "item", "mark", "timestamp")), {}, "'mark' may hold"),
    ("one-missing.csv", csv(MARKED.assign(mark=["NA", *FRAME.rating[1:]])), {}, MAY_HOLD),
    ("mostly.tsv", csv(MARKED.assign(mark=["?"] * 5 + [3] * 7), sep="\t"), {}, MAY_HOLD),
    ("true.csv", csv(MARKED.assign(mark=FRAME.rating > 2)), {}, MAY_HOLD),
    ("yes.csv", csv(MARKED.assign(mark=["Yes", "no "] * 6)), {}, MAY_HOLD),
    ("true.parquet", written(MARKED.assign(mark=FRAME.rating > 2).to_parquet), {}, MAY_HOLD),
    ("true.jsonl", jsonl(MARKED.assign(mark=FRAME.rating > 2)), {}, MAY_HOLD),
    ("numbers-as-text.parquet", written(MARKED.astype({"mark": str}).to_parquet), {}, MAY_HOLD),
    ("numbers-as-text.jsonl", jsonl(MARKED.astype({"mark": str})), {}, MAY_HOLD),
    ("one-missing.jsonl", jsonl(MARKED.assign(mark=["NA", *FRAME.rating[1:]])), {}, MAY_HOLD),
    ("categories.parquet", written(MARKED.astype({"mark": "category"}).to_parquet), {}, MAY_HOLD),
    ("headerless-plays.csv", csv(MANY.assign(rating=range(21)), header=False), {}, MAY_BE_COUNTS),
    ("headerless-plays.data", csv(MANY.assign(rating=range(21)), sep="\t", header=False), {}, MAY_BE_COUNTS),
    ("plays.npz", matrix(range(21)), {}, MAY_BE_COUNTS),
    ("no-counts.csv", csv(FRAME[["user", "item"]]), {"feedback": "counts"},
     "there is no column of counts among 'user'"),
    ("minus-plays.csv", csv(PLAYS.assign(plays=-PLAYS.plays)), {"feedback": "counts"},
     "line 3: the count is -1, .*counts must not be negative"),
    ("scored-plays.csv", csv(PLAYS), {"feedback": "counts", "columns": {"rating": "plays"}, "scale": (0, 9)},
     "a scale is of ratings"),
    ("points-and-commas.csv", b"user;item;rating\n1;2;3,5\n1;3;4.5\n", {},
     "line 2: the rating '3,5' may have a comma for decimals or for thousands; set decimal"),
    ("thousands.csv", b"user;item;rating\n1;2;4\n1;3;1,250\n", {},
     "line 3: the rating '1,250' may have a comma"),
    ("headerless-times.data", csv(FRAME.drop(columns="rating"), sep="\t", header=False), {},
     "line 1: without a header the third field is the rating, and it looks like a timestamp; set "
     "columns.timestamp"),
    ("swapped.csv", csv(FRAME[["user", "item", "timestamp", "rating"]], header=False), {},
     "looks like a timestamp"),
    ("numbers-as-dates.csv", csv(FRAME.assign(timestamp=20130403 + np.arange(N))), {},
     "line 2: the timestamp is 20130403, which may be a date or Unix seconds; write dates as 2013-04-03"),
    ("american.csv", csv(of_moments(MOMENTS.dt.strftime("%m/%d/%Y"))), {},
     "line 2: the timestamp '04/03/2013' is neither Unix seconds nor a date"),
    ("no-day.csv", b"user,item,rating,date\n1,2,3,2013-02-28\n1,3,3,2013-02-30\n", {},
     "line 3: the timestamp '2013-02-30' is neither"),
    ("no-time.csv", b"user,item,rating,date\n1,2,3,2013-02-28\n1,3,3,\n", {},
     "line 3: the timestamp is missing"),
    ("text-ids.csv", csv(IDS, header=False), {}, "or set header to false where that is a rating already"),
    ("two.zip", zipped(PLAIN_CSV, "a.csv", "b.csv"), {},
     r"holds 2 files \('a.csv', 'b.csv'\) and must hold one"),
    ("empty.zip", zipped(PLAIN_CSV), {}, "holds 0 files and must hold one"),
    ("no.zip", PLAIN_CSV, {}, "cannot be read .*; see that it is whole"),
    ("no.csv.gz", PLAIN_CSV, {}, "cannot be read .*; see that it is whole"),
    ("short.csv.gz", gzip.compress(csv(pd.concat([FRAME] * 500)))[:-200], {},
     "cannot be read .*; see that it is whole"),
    ("short.csv.xz", lzma.compress(PLAIN_CSV)[:-20], {}, "cannot be read .*; see that it is whole"),
    ("hidden.csv", gzip.compress(PLAIN_CSV), {}, "line 1: is no text in utf-8"),
    ("array.json", json.dumps(FRAME.to_dict("records")).encode(), {},
     "line 1: .* is no JSON object; write one on each"),
    ("pretty.json", json.dumps(FRAME.to_dict("records")[0], indent=1).encode(), {},
     "line 1: '{' is no JSON object"),
    ("broken.jsonl", jsonl()[:-20], {}, "line 12: .* is no JSON object"),
    ("no-rating.jsonl", b'{"user": 1, "item": 2, "rating": 3}\n\n{"user": 1, "item": 3}\n', {},
     "no-rating.jsonl, line 3: the rating is empty"),
    ("repeat.jsonl", b'{"user": 1, "item": 2, "rating": 3}\n' * 2, {},
     "repeat.jsonl, line 2: user 1 has rated item 2"),
    ("nested.jsonl", b'{"user": {"id": 1}, "item": 2, "rating": 3}\n', {}, "column 'user': holds struct<"),
    ("text.feather", PLAIN_CSV, {}, "is no whole Arrow file"),
    ("either.csv", b"a;b,c\n1;2,3\n", {},
     "may have commas or semicolons between its fields; set format to csv"),
    ("undefined.csv", PLAIN_CSV, {"encoding": "undefined"}, "cannot be read with the encoding 'undefined'"),
    ("bars.csv", csv(sep="|"), {}, "fits no known format; name one of movielens"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "options", "expected", "feedback"), READ, ids=[case[0] for case in READ]
)
def test_odd_file_is_read_as_pandas_reads_it(name, content, options, expected, feedback, tmp_path):
    (tmp_path / name).write_bytes(content)
    ratings = load_ratings(DataConfig(source=str(tmp_path / name), **options))
    frame = expected(tmp_path / name).sort_values(["user", "item"]).reset_index(drop=True)
    assert ratings.feedback == feedback
    found = pd.DataFrame(
        {"user": ratings.users.ids[ratings.rows()], "item": ratings.items.ids[ratings.columns]}
    )
    pd.testing.assert_frame_equal(found, frame[["user", "item"]], check_dtype=False)
    values = frame.rating.astype(np.float32) if "rating" in frame else np.ones(len(frame))
    assert ratings.values.tolist() == values.tolist()
    assert ratings.n_observed == len(frame)
    if "timestamp" in frame:
        assert ratings.timestamps.tolist() == frame.timestamp.tolist()
    else:
        assert ratings.timestamps is None


@pytest.mark.parametrize(
    ("name", "content", "options", "sentence"), REFUSED, ids=[case[0] for case in REFUSED]
)
def test_odd_file_is_refused_in_one_sentence(name, content, options, sentence, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises((DataError, ValueError)) as raised:
        load_ratings(DataConfig(source=str(tmp_path / name), **options))
    text = str(raised.value)
    assert re.search(sentence, text)
    if isinstance(raised.value, DataError):
        assert text.startswith(str(tmp_path / name))
        assert "\n" not in text
        assert len(text) < 600


@pytest.mark.parametrize(
    ("folder", "source"),
    [
        ("rating=4", "*/*"),
        ("rating=4", "rating=4"),
        ("year=1/Stars=2/b", ""),
        ("plays=3", "plays=3/a.parquet"),
    ],
)
def test_values_in_the_name_of_a_folder_are_no_events(folder, source, tmp_path):
    (tmp_path / folder).mkdir(parents=True)
    FRAME[["user", "item"]].to_parquet(tmp_path / folder / "a.parquet")
    settings = DataConfig(source=str(tmp_path / source))
    with pytest.raises(
        DataError, match=r"a.parquet: the folder '\w+=\d' has '\w+' in its name, where it is not"
    ):
        load_ratings(settings)
    assert load_ratings(settings.model_copy(update={"feedback": "events"})).n_observed == N
    FRAME.to_parquet(tmp_path / folder / "a.parquet")
    assert load_ratings(settings).feedback == "ratings"


def test_there_are_more_than_fifty():
    assert len({case[0] for case in READ}) >= 50


def test_a_column_has_one_role(tmp_path):
    """What is named for one role is not found for another by its usual name."""
    path = tmp_path / "plays.tsv"
    path.write_text("u1\ti1\tan artist\t391\nu2\ti1\tan artist\t12\n")
    claims = {"rating": "timestamp"}
    config = DataConfig(source=str(path), header=False, columns=claims, feedback="counts")
    ratings = load_ratings(config)
    assert (ratings.values.tolist(), ratings.timestamps, ratings.feedback) == ([391, 12], None, "counts")
    both = config.model_copy(update={"columns": ColumnsConfig(item="user", user="user")})
    with pytest.raises(DataError, match=r"columns\.user and columns\.item both name 'user'"):
        load_ratings(both)
    other = config.model_copy(update={"columns": ColumnsConfig(rating="item")})
    with pytest.raises(DataError, match="no column that is usually called item"):
        load_ratings(other)


def test_hours_of_watching_may_be_counts_and_are_asked_about(tmp_path):
    (tmp_path / "tv.csv").write_text("user,item,watch_time\nu1,i1,3.5\nu2,i1,0.2\n")
    with pytest.raises(DataError, match=r"'watch_time' may hold ratings or counts"):
        load_ratings(DataConfig(source=str(tmp_path / "tv.csv")))
