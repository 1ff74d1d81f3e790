"""recsys-ae sample, recsys-ae walk: users made up, shown or in a file."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from commands import SMALL, call, succeed

import recsys_ae as ra
from recsys_ae.models.storage import load_model
from recsys_ae.serving import samples

ENDS = ("--from", "u003", "--to", "u008")
GAUSSIAN = ("--set", "model.bottleneck={kind: gaussian, code: 3, anneal_epochs: 2}", "--set", "model.l2=2")


@pytest.fixture(scope="session")
def models(ratings, tmp_path_factory) -> dict[str, str]:
    """Folders of a model of ratings and of one of likes."""
    folder = tmp_path_factory.mktemp("drawn")
    kinds = {"rating": ("u-autorec", *GAUSSIAN), "share": ("mult-vae", "--set", "model.code=3")}
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for said, (kind, *words) in kinds.items():
            train = ("train", "--data", ratings, "--model", kind, "--no-tracking", "--json", "--out", said)
            succeed(*train, *SMALL, *words)
            found[said] = str(folder / said / "model")
    return found


@pytest.fixture
def model(models) -> str:
    return models["rating"]


@pytest.mark.parametrize("said", ["rating", "share"])
def test_answers_are_those_of_the_calls_from_python(models, said, here):
    stored = load_model(Path(models[said]))
    document = succeed("sample", models[said], "-n", "3", "--top", "4", "--seed", "9", "--json").document
    expected = ra.sample(stored.recommender, 3, top=4, seed=9)
    assert list(expected.columns) == ["sample", "rank", "item", said]
    pd.testing.assert_frame_equal(pd.DataFrame(document["rows"]), expected, check_dtype=False)
    assert (document["samples"], document["top"], len(document["rows"])) == (3, 4, 12)
    document = succeed("walk", models[said], *ENDS, "--steps", "5", "--top", "2", "--json").document
    assert (document["steps"], document["top"]) == (5, 2)
    assert [row["step"] for row in document["rows"]] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert list(document["rows"][0]) == ["step", "rank", "item", said]


def test_a_walk_begins_with_what_the_first_user_is_predicted_to_like(model, here):
    walked = pd.DataFrame(succeed("walk", model, *ENDS, "--top", "3", "--json").document["rows"])
    assert walked.step.max() == 7
    words = ("recommend", model, "--users", "u003,u008", "-n", "3", "--include-seen", "--json")
    lists = pd.DataFrame(succeed(*words).document["rows"])
    for user, step in (("u003", 1), ("u008", 7)):
        assert walked[walked.step == step].item.tolist() == lists[lists.user == user].item.tolist()


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_files_hold_the_same_rows(model, here, suffix):
    read = {"csv": pd.read_csv, "parquet": pd.read_parquet}[suffix]
    for words in (("sample", model, "-n", "4"), ("walk", model, *ENDS)):
        shown = pd.DataFrame(succeed(*words, "--json").document["rows"])
        told = succeed(*words, "--out", f"made-up.{suffix}", "--json").document
        assert (told["rows"], told["out"]) == (len(shown), f"made-up.{suffix}")
        found = read(f"made-up.{suffix}")
        pd.testing.assert_frame_equal(found, shown, check_dtype=False)
        assert found.rating.between(1, 5).all()
    text = succeed(*words, "--out", f"made-up.{suffix}").out
    assert text == f"made-up.{suffix}: 70 rows, the top 10 of 7 steps\n"


def test_what_is_shown_has_a_line_for_each_item(model, here):
    text = succeed("sample", model, "-n", "2", "--top", "3").out.splitlines()
    assert text[0].split() == ["sample", "rank", "item", "rating"]
    assert [line.split()[:2] for line in text[1:]] == [[n, rank] for n in "12" for rank in "123"]


def test_absurd_numbers_are_cut_with_a_word_or_belong_into_a_file(model, here, monkeypatch):
    monkeypatch.setattr(samples, "MOST_ROWS", 40)
    monkeypatch.setattr(samples, "MOST_IN_MEMORY", 999)
    words = ("sample", model, "-n", "9" * 20, "--top", "9" * 20, "--json")
    outcome = succeed(*words, "--out", "all.parquet")
    assert "warning: n is 99999999999999999999: cut to 40" in outcome.err
    assert outcome.document["rows"] == 40 * 25
    refused = call(*words)
    assert (refused.code, refused.out) == (2, "")
    assert "40 lists of 25 items are more than a table of 999 rows holds" in refused.err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("sample", "-n", "0"), "invalid value for '-n'"),
        (("sample", "--top", "0"), "invalid value for '--top'"),
        (("sample", "--seed", "-1"), "invalid value for '--seed'"),
        (("sample", "-n", "few"), "invalid value for '-n'"),
        (("sample", "--out", "rows.txt"), "rows.txt: lists are written as .parquet or .csv, not '.txt'"),
        (("walk", *ENDS, "--steps", "1"), "invalid value for '--steps'"),
        (("walk", "--from", "u003"), "missing option '--to'"),
        (("walk", "--from", "u003", "--to", "nobody"), "the user 'nobody' is unknown"),
        (("walk", "--from", "", "--to", "u003"), "the user '' is unknown"),
        (("walk", "--from", "u003", "--to", "u003"), "from the user 'u003' to the same one leads nowhere"),
    ],
)
def test_impossible_wishes_are_a_sentence(model, here, words, sentence):
    command, *rest = words
    outcome = call(command, model, *rest)
    assert (outcome.code, outcome.out) == (2, "")
    assert sentence in outcome.err
    assert outcome.err.count("\n") == 1
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("words", [("sample",), ("walk", *ENDS)])
def test_models_without_drawn_codes_say_so(trained, here, words):
    command, *rest = words
    outcome = call(command, trained["model"], *rest)
    assert (outcome.code, outcome.out) == (2, "")
    assert "error: this model draws no codes of users" in outcome.err
    missing = call(command, "nowhere", *rest)
    assert (missing.code, missing.out) == (2, "")
    assert "nowhere: no such model folder" in missing.err
