"""Ids as files hold them: none is rounded, merged or cut, and what is none is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest
from refusals import sentence_of

from recsys_ae.data.configs import DataConfig
from recsys_ae.data.ids import IdMap
from recsys_ae.data.load import load_ratings, load_table, read_triples

UNSIGNED = [2**64 - 1 - k for k in range(4)]
HUGE = [2**53 + 1, 2**53, 2**53 - 1, 2**63, 2**70, -(2**63)]


def jsonl(path: Path, *lines: str) -> Path:
    path.write_text("".join(line + "\n" for line in lines))
    return path


def of_users(path: Path, users: list) -> Path:
    return jsonl(path, *(json.dumps({"user": user, "item": 1, "rating": 3}) for user in users))


def users_of(path: Path) -> list[str]:
    found = read_triples(DataConfig(source=str(path))).users
    return [str(found[row]) for row in range(len(found))]


@pytest.mark.parametrize("users", [UNSIGNED, HUGE, [*UNSIGNED, "bob"], [2**53 + 1, 1]], ids=str)
def test_large_numbers_of_json_lines_stay_apart(users, tmp_path):
    path = of_users(tmp_path / "a.jsonl", users)
    assert users_of(path) == [str(user) for user in users]
    assert load_ratings(DataConfig(source=str(path))).n_users == len(users)


def test_a_whole_number_with_an_exponent_rounds_no_other(tmp_path):
    path = of_users(tmp_path / "a.jsonl", [2**53 + 1, 2**53, 1e3, 2.0])
    assert users_of(path) == [str(2**53 + 1), str(2**53), "1000", "2"]


@pytest.mark.parametrize("write", [pq.write_table, feather.write_feather], ids=["parquet", "feather"])
def test_unsigned_numbers_of_tables_stay_as_they_are(write, tmp_path):
    table = pa.table({"user": pa.array(UNSIGNED, pa.uint64()), "item": range(4), "rating": [3.0] * 4})
    path = tmp_path / f"a.{'parquet' if write is pq.write_table else 'feather'}"
    write(table, str(path))
    assert users_of(path) == [str(user) for user in UNSIGNED]
    assert load_table(table.to_pandas(), DataConfig(source="x")).n_users == 4
    assert IdMap.of(table.column("user").to_numpy()).ids.tolist() == sorted(map(str, UNSIGNED))


@pytest.mark.parametrize("odd", [1.5, float(2**53), True, 1e300, [1], {"id": 1}], ids=str)
def test_what_is_no_id_is_refused_with_its_line(odd, tmp_path):
    path = of_users(tmp_path / "a.jsonl", ["bob", odd])
    assert ", line 2: the id" in sentence_of(path)
    assert "is neither text nor a number that is surely whole" in sentence_of(path)


@pytest.mark.parametrize("odd", [1.5, float(2**53), float("inf")], ids=str)
@pytest.mark.parametrize("write", [pq.write_table, feather.write_feather], ids=["parquet", "feather"])
def test_numbers_of_tables_that_are_not_surely_whole_are_refused_with_their_row(odd, write, tmp_path):
    path = tmp_path / f"a.{'parquet' if write is pq.write_table else 'feather'}"
    write(pa.table({"user": [1.0, odd], "item": [1, 2], "rating": [3, 4]}), str(path))
    assert f", row 2: the id {odd!r} is neither text nor a number" in sentence_of(path)


def test_whole_floats_are_numbers_and_missing_ones_are_named(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"user": [1.0, 2.0, None], "item": [1, 2, 3], "rating": [3, 4, 5]}), path)
    assert ", row 3: the user id is empty" in sentence_of(path)


@pytest.mark.parametrize("user", ["a\0b", "a\0", "\0"])
def test_a_nul_in_an_id_is_refused(user, tmp_path):
    path = of_users(tmp_path / "a.jsonl", ["a", "b", user])
    assert ", line 3: the id" in sentence_of(path)
    assert "holds a NUL" in sentence_of(path)
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"user": ["a", user], "item": [1, 2], "rating": [3, 4]}), path)
    assert ", row 2: the id" in sentence_of(path)


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("user", '{"user": 1, "item": 2, "rating": 4, "user": 3}'),
        ("user", '{"user": 1, "item": 2, "rating": 4, "us\\u0065r": 1}'),
        ("rating", '{"rating": 3, "user": 1, "item": 2, "rating": 4}'),
        ("a", '{"user": 1, "item": 3, "rating": 4, "other": {"a": 1, "a": 2}}'),
    ],
)
def test_a_key_given_twice_is_refused_with_its_line(key, line, tmp_path):
    path = jsonl(tmp_path / "a.jsonl", '{"user": 1, "item": 2, "rating": 3}', line)
    assert sentence_of(path) == f", line 2: names {key!r} twice in one object; leave one out"


@pytest.mark.parametrize("text", ["\\ud800", "\\udc00", "a\\ud800\\ud800", "\\uD83Dx"])
@pytest.mark.parametrize("key", ["user", "other"])
def test_half_of_a_character_is_refused_with_its_line(text, key, tmp_path):
    odd = f'{{"{key}": "{text}", "item": 3, "rating": 3}}'
    path = jsonl(tmp_path / "a.jsonl", '{"user": "b", "item": 2, "rating": 3}', odd)
    assert "half of a character" in sentence_of(path)
    assert sentence_of(path).startswith(", line 2: holds '\\ud")


def test_escapes_of_whole_characters_are_read(tmp_path):
    path = jsonl(tmp_path / "a.jsonl", '{"us\\u0065r": "\\ud83d\\ude00\\u00e9\\n", "item": 2, "rating": 3}')
    assert users_of(path) == ["😀é"]
