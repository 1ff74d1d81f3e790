"""recsys-ae recommend --rules: what a file of rules does, and how one that does not hold is refused."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commands import call, succeed

import recsys_ae as ra
from recsys_ae.serving.configs import RulesConfig
from recsys_ae.settings.documents import parse
from recsys_ae.settings.load import load_rules

RULES = """
only: shelf.txt
without: [103, 104]
exclude: bought.parquet
min_ratings: 2
items: items.csv
where: genre in ["Comedy", "Drama"] and year >= 1990
at_most: {column: genre, n: 3}
boost: {column: margin, weight: 0.1}
diversity: 0.3
"""


@pytest.fixture
def model(trained) -> str:
    return trained["model"]


@pytest.fixture
def files(here) -> Path:
    """Of a catalogue of items 100 to 124."""
    ids = np.arange(100, 125)
    Path("shelf.txt").write_text("".join(f"{id}\n" for id in [*ids[:20], 999]))
    pd.DataFrame({"user": ["u003", "u004", "nobody"], "item": [105, 106, 107]}).to_parquet("bought.parquet")
    genres, years = np.array(["Comedy", "Drama", "War"])[ids % 3], 1980 + ids
    table = pd.DataFrame({"item": ids, "genre": genres, "year": years - 90, "margin": ids % 7})
    table.loc[table.item == 110, ["genre", "margin"]] = np.nan
    table[table.item < 124].to_csv("items.csv", index=False)
    Path("rules.yaml").write_text(RULES)
    return here


def contents(folder: str | Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def test_no_list_breaks_a_rule_wherever_it_goes(model, files):
    said = succeed(
        "recommend", model, "-n", 5, "--rules", "rules.yaml", "--out", "lists", "--shard-users", 15
    )
    assert "shelf.txt: the model does not know 1 of 21 items" in said.err
    assert "bought.parquet: 1 of 3 rows name a user or an item that is unknown" in said.err
    assert "items.csv: lacks 1 of 25 items of the model" in said.err
    lists = pd.read_parquet("lists").merge(pd.read_csv("items.csv"), on="item")
    assert len(lists) > 100
    assert lists.item.between(100, 119).all()
    assert not lists.item.isin([103, 104, 110]).any()
    assert lists.genre.isin(["Comedy", "Drama"]).all()
    assert (lists.year >= 1990).all()
    assert lists.groupby(["user", "genre"]).size().max() == 3
    assert not ((lists.user == "u003") & (lists.item == 105)).any()
    document = json.loads(Path("lists/_manifest.json").read_text())
    rules = document["settings"]["rules"]
    assert (rules["only"], rules["at_most"], rules["without"]) == (
        "shelf.txt",
        {"column": "genre", "n": 3},
        "2 ids",
    )
    assert rules["allowed_items"] >= lists.item.nunique()
    assert rules["excluded_pairs"] == 2
    assert document["totals"]["short_lists"] == (lists.groupby("user").size() < 5).sum()
    succeed("recommend", model, "-n", 5, "--rules", "rules.yaml", "--out", "lists.parquet")
    one = pd.read_parquet("lists.parquet")
    assert (one[["user", "rank", "item"]] == pd.read_parquet("lists")[["user", "rank", "item"]]).all(
        axis=None
    )
    shown = succeed(
        "recommend", model, "-n", 5, "--users", "u003", "--rules", "rules.yaml", "--json"
    ).document
    assert [row["item"] for row in shown["rows"]] == one[one.user == "u003"].item.tolist()


def test_python_takes_the_same_as_a_mapping_and_tables_in_memory(model, files):
    succeed("recommend", model, "-n", 5, "--rules", "rules.yaml", "--out", "lists")
    asked = {
        "only": np.arange(100, 120),
        "without": pd.Series([103, 104]),
        "exclude": pd.read_parquet("bought.parquet"),
        "min_ratings": 2,
        "items": pd.read_csv("items.csv"),
        "where": 'genre in ["Comedy", "Drama"] & year >= 1990',
        "at_most": {"column": "genre", "n": 3},
        "boost": {"column": "margin", "weight": 0.1},
        "diversity": 0.3,
    }
    loaded = ra.load_model(model)
    for rules in (asked, "rules.yaml", Path("rules.yaml")):
        lists = loaded.recommend(n=5, rules=rules)
        expected = pd.read_parquet("lists")
        assert lists["item"].tolist() == expected["item"].tolist()
        assert lists["user"].tolist() == expected["user"].tolist()
    made = ra.recommend_all(loaded, "again", n=5, rules=asked)
    assert pd.read_parquet("again").equals(pd.read_parquet("lists"))
    assert made.plan.settings["rules"]["items"] == "24 rows"
    assert ra.load_model(model).recommend("u003", 3, rules={}).equals(loaded.recommend("u003", 3))


def test_other_rules_are_refused_and_the_same_under_other_names_are_not(model, files):
    words = ("recommend", model, "-n", 5, "--out", "lists", "--rules", "rules.yaml")
    succeed(*words)
    before = contents("lists")
    Path("shelf.txt").rename("moved.txt")
    Path("rules.yaml").write_text(RULES.replace("shelf.txt", "moved.txt"))
    assert "nothing to do" in succeed(*words).out
    for old, new, sentence in (
        ("diversity: 0.3", "diversity: 0.4", "rules.diversity is 0.3 there and 0.4 here"),
        ("min_ratings: 2\n", "", "rules.min_ratings is 2 there and not given here"),
        ("[103, 104]", "[103, 105]", "the items that pass the rules are others"),
        ("n: 3", "n: 2", "rules.at_most is {'column': 'genre', 'n': 3} there and"),
    ):
        Path("rules.yaml").write_text(RULES.replace("shelf.txt", "moved.txt").replace(old, new))
        refused = call(*words)
        assert refused.code == 2
        assert sentence in refused.err
    Path("rules.yaml").write_text(RULES.replace("shelf.txt", "moved.txt"))
    table = pd.read_csv("items.csv")
    table.assign(margin=table.margin.iloc[::-1].to_numpy()).to_csv("items.csv", index=False)
    assert "the boosts of the items are others" in call(*words).err
    assert "rules.diversity is 0.3 there and not given here" in call(*words[:-2]).err
    assert contents("lists") == before


def test_killed_and_started_again_it_ends_with_the_same_bytes(model, files):
    words = ["recommend", model, "-n", "5", "--rules", "rules.yaml", "--shard-users", "1", "--out"]
    succeed(*words, "whole")
    code = "import sys; from recsys_ae.cli import main; sys.exit(main(sys.argv[1:]))"
    job = subprocess.Popen([sys.executable, "-c", code, *words, "lists"], stderr=subprocess.DEVNULL)
    while job.poll() is None and not Path("lists/part-00003.parquet").exists():
        time.sleep(0.001)
    job.kill()
    job.wait()
    if Path("lists/_manifest.json").exists():
        pytest.skip("it was too fast to be killed")
    refused = call("recommend", model, "-n", 5, "--shard-users", 1, "--out", "lists")
    assert "holds the beginning of other lists: rules." in refused.err
    assert "parts were there" in succeed(*words, "lists", "--threads", "2").out
    assert contents("lists") == contents("whole")


BROKEN = {
    "no such file, nor rules": ("", "rules.yaml: is empty; rules are a mapping such as 'min_ratings: 5'"),
    "a list": ("- 1", "rules.yaml: holds a list at its top; rules are a mapping"),
    "a key": ("onyl: shelf.txt", "rules.yaml: no setting 'onyl'; did you mean 'only'"),
    "only of nothing": ("only: []", "only: names no item"),
    "only of a number": ("only: 7", "only: must be a list of ids or the path of a file"),
    "only of a gap": ("only: [101, 2.5]", "2.5 is no id of a user or an item"),
    "no list file": ("only: none.txt", "none.txt: no such file; give a file with one id per line"),
    "a folder": ("without: sub", "sub: is no file"),
    "empty list": ("only: empty.txt", "empty.txt: names no item"),
    "ids of a header": ("only: header.txt", "header.txt: 'item' cannot be an item, as the ids of the"),
    "no text": ("only: bought.parquet", "bought.parquet: is no text"),
    "nothing left": ("only: [999]", "no item passes the rules: of 25, only leaves 0"),
    "nothing left of two": ("{only: [101], min_ratings: 500}", "only leaves 1, min_ratings leaves 0"),
    "below 0": ("min_ratings: -1", "'min_ratings' must be at least 0, and is -1"),
    "no table file": ("exclude: none.parquet", "none.parquet: no such file"),
    "a table as text": ("exclude: shelf.txt", "shelf.txt: a table is read from .parquet or .csv"),
    "exclude without users": ("exclude: items.csv", "items.csv: has no column 'user'; its columns are item,"),
    "a damaged table": ("exclude: damaged.parquet", "damaged.parquet: cannot be read"),
    "an empty table": ("{items: empty.csv, where: a > 1}", "empty.csv: cannot be read"),
    "no rows": ("{items: header.csv, where: year > 1}", "header.csv: has no rows"),
    "other users": ("exclude: strangers.csv", "strangers.csv: user: none of users such as 'x' is there"),
    "other items": ("{items: others.csv, where: year > 1}", "others.csv: id: none of items such as 'a' is"),
    "an item twice": ("{items: twice.csv, where: year > 1}", "twice.csv: item '101' is there twice"),
    "no id": ("{items: gap.csv, where: year > 1}", "gap.csv: item of row 2 is empty"),
    "no item": ("{items: nameless.csv, where: year > 1}", "nameless.csv: has no column 'item' (or 'id'"),
    "no table": ("at_most: {column: genre, n: 3}", "'at_most' asks for attributes of items, and there is no"),
    "no column": ("{items: items.csv, where: price > 1}", "there is no column 'price'; the columns are"),
    "a call": ("{items: items.csv, where: 'genre.to_csv(\"x\")'}", "has no meaning here"),
    "no truth": ("{items: items.csv, where: year}", "'year' is neither true nor false"),
    "no column to limit": ("{items: items.csv, at_most: {column: a, n: 3}}", "items.csv has no column 'a'"),
    "a limit of 0": ("{items: items.csv, at_most: {column: genre, n: 0}}", "'at_most.n' must be greater"),
    "boost by text": ("{items: items.csv, boost: {column: genre, weight: 1}}", "no numbers in 'genre', but"),
    "boost by much": ("{items: items.csv, boost: {column: year, weight: 5000}}", "must be at most 1000"),
    "much diversity": ("diversity: 1.5", "'diversity' must be at most 1"),
    "less than none": ("diversity: -0.1", "'diversity' must be at least 0"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_what_does_not_hold_is_said_in_one_sentence(case, model, files):
    rules, sentence = BROKEN[case]
    for name, text in {
        "rules.yaml": rules,
        "empty.txt": " \n\n",
        "header.txt": "item\n101\n",
        "empty.csv": "",
        "header.csv": "item,year\n",
        "strangers.csv": "user,item\nx,101\ny,102\n",
        "others.csv": "id,year\na,3\nb,4\n",
        "twice.csv": "item,year\n101,3\n102,4\n101,4\n",
        "gap.csv": "item,year\n101,3\n,4\n",
        "nameless.csv": "name,year\n101,3\n",
    }.items():
        Path(name).write_text(text)
    Path("sub").mkdir()
    Path("damaged.parquet").write_bytes(Path("bought.parquet").read_bytes()[:-9])
    before = sorted(Path().iterdir())
    for out in ("lists", "lists.csv"):
        refused = call("recommend", model, "--rules", "rules.yaml", "--out", out)
        assert refused.code == 2
        assert sentence in refused.err
        assert refused.err.count("error:") == 1
        assert refused.err.splitlines()[-1].startswith("error: ")
    assert sorted(Path().iterdir()) == before


def test_diversity_needs_a_model_that_compares_items(ratings, here):
    succeed("train", "--data", ratings, "--model", "popularity", "--no-tracking", "--out", "run")
    Path("rules.yaml").write_text("diversity: 0.3\n")
    refused = call("recommend", "run/model", "--rules", "rules.yaml", "--out", "lists")
    assert refused.code == 2
    assert "has learnt nothing by which items could be compared" in refused.err
    assert not Path("lists").exists()
    assert call("recommend", "run/model", "--rules", "none.yaml", "--out", "lists").code == 2
    Path("rules.yaml").write_text("diversity: 0\n")
    succeed("recommend", "run/model", "--rules", "rules.yaml", "--out", "lists")


def test_the_rules_of_the_readme_hold():
    text = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    (rules,) = re.findall(r"```yaml\n(only:.*?)```", text, flags=re.DOTALL)
    said = load_rules(parse(rules))
    assert said.model_fields_set == set(RulesConfig.model_fields)
    assert (said.where, said.diversity) == ('genre == "Comedy" and year >= 1990', 0.3)
