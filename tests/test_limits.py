"""What asks for more than there is gets what there is, or a sentence; never the memory."""

from __future__ import annotations

import pytest
from commands import call, write_ratings

from recsys_ae.errors import ConfigError
from recsys_ae.models.configs import MOST_WIDTH
from recsys_ae.settings.load import default_experiment


@pytest.fixture
def ratings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return write_ratings(tmp_path / "good.csv", n_users=12, n_items=8)


def test_cutoffs_and_lists_beyond_the_catalogue_are_those_of_all_of_it(ratings):
    """A table of 10¹² places for each user would need terabytes."""
    cutoffs = f"evaluation.cutoffs=[8,{10**12}]"
    options = ("--no-tracking", "--json", "--out", "run", "--set", cutoffs,
               "--set", "evaluation.relevant=all", "--set", "split.test_share=0.5")  # fmt: skip
    found = call("train", "--data", ratings, "--model", "biases", *options)
    assert found.code == 0
    metrics = found.document["report"]["metrics"]
    for name in ("recall", "ndcg", "hit_rate", "mrr", "coverage", "novelty"):
        assert metrics[f"test/{name}_at_8"] == metrics[f"test/{name}_at_{10**12}"]
    lists = [
        call("recommend", "run/model", "--users", "u001", "-n", str(n), "--json").document["rows"]
        for n in (8, 10**12)
    ]
    assert lists[0] == lists[1]


@pytest.mark.parametrize(
    ("model", "setting"),
    [
        ("i-autorec", f"hidden=[8,{MOST_WIDTH + 1}]"),
        ("rbm", f"hidden={MOST_WIDTH + 1}"),
        ("biased-mf", f"factors={MOST_WIDTH + 1}"),
        ("bayesian-mf", f"factors={MOST_WIDTH + 1}"),
        ("als", f"factors={MOST_WIDTH + 1}"),
        ("bpr", f"factors={MOST_WIDTH + 1}"),
        ("item-knn", f"neighbours={MOST_WIDTH + 1}"),
        ("pca", f"factors={MOST_WIDTH + 1}"),
        ("pure-svd", f"factors={MOST_WIDTH + 1}"),
    ],
)
def test_widths_have_a_ceiling(model, setting):
    with pytest.raises(ConfigError, match=f"must be at most {MOST_WIDTH}, and is {MOST_WIDTH + 1}"):
        default_experiment("good.csv", model, [setting])
    default_experiment("good.csv", model, [setting.replace(str(MOST_WIDTH + 1), str(MOST_WIDTH))])


@pytest.mark.parametrize(
    ("setting", "key"),
    [
        (f"hidden={[1] * 21}", "model.hidden"),
        (f"evaluation.cutoffs={list(range(1, 102))}", "evaluation.cutoffs"),
    ],
)
def test_lists_of_settings_have_a_ceiling(setting, key):
    with pytest.raises(ConfigError, match=f"'{key}' is too long"):
        default_experiment("good.csv", "i-autorec", [setting])
