"""recsys-ae compare of runs, from the store and from disk, and its page in a browser."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml
from browser import CONTRAST, REACH, SHOWN, SMALLEST, WIDTHS, browser, complaints, overflow, show
from commands import call, succeed, write_ratings

from recsys_ae.tracking.runs import experiment_runs

MODELS = {
    "biases": ("biases",),
    "stiff": ("biased-mf", "--set", "factors=2", "--set", "l2=50"),
    "loose": ("biased-mf", "--set", "factors=2", "--set", "l2=0.5"),
    "likes": ("popularity",),
    "elsewhere": ("biases", "--seed", "1"),
}
UNTRACKED = "loose"


@pytest.fixture(scope="module")
def folders(fresh_database, tmp_path_factory) -> Path:
    """A folder with a store, the run folders, of which the store lacks one, and a page of all of them."""
    here = tmp_path_factory.mktemp("compared")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        shutil.copy(fresh_database, "mlflow.db")
        write_ratings(Path("films.csv"), n_users=120, n_items=30)
        for name, (kind, *words) in MODELS.items():
            off = ["--no-tracking"] if name == UNTRACKED else []
            succeed("train", "--data", "films.csv", "--model", kind, "--out", name, "--quiet", *words, *off,
                    "--set", "split.test_share=0.3", "--set", f"name=films-{name}")  # fmt: skip
        words = ("compare", *MODELS, "--page", "page.html", "--json")
        Path("answer.json").write_text(succeed(*words).out)
    return here


@pytest.fixture
def inside(folders, monkeypatch) -> Path:
    monkeypatch.chdir(folders)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return folders


@pytest.fixture(scope="module")
def page():
    with browser() as found:
        yield found


def fingerprint(folder: Path) -> str:
    return json.loads((folder / "result.json").read_text())["origin"]["split_fingerprint"]


def test_runs_of_other_splits_are_in_groups_of_their_own(inside):
    groups = json.loads(Path("answer.json").read_text())["groups"]
    assert sorted(map(len, groups)) == [1, 4]
    for group in groups:
        assert len({fingerprint(inside / one) for one in group}) == 1
    assert len({fingerprint(inside / group[0]) for group in groups}) == len(groups)


def test_a_run_is_found_by_folder_id_name_and_model(inside):
    runs = {run.name: run for run in experiment_runs("films")}
    uri = json.loads(Path("likes/result.json").read_text())["model"]
    words = ("biases", runs["films-stiff"].run_id, "films-elsewhere", uri)
    found = succeed("compare", *words, "--metric", "test/coverage_at_10", "--json").document
    assert {run["name"] for run in found["runs"]} | set(found["without"]) == {
        "films-biases", "films-stiff", "films-elsewhere", "films-likes"
    }  # fmt: skip
    assert found["experiment"] is None
    of_folder = next(run for run in found["runs"] if run["name"] == "films-biases")
    assert of_folder["run_id"] == runs["films-biases"].run_id


def test_a_folder_and_its_tracked_run_say_the_same(inside):
    ids = [run.run_id for run in experiment_runs("films") if run.name in ("films-biases", "films-stiff")]
    of_store = succeed("compare", *ids, "--json").document
    of_disk = succeed("compare", "biases", "stiff", "--json").document
    for one, other in zip(of_store["runs"], of_disk["runs"], strict=True):
        for key in ("name", "run_id", "value", "validated", "relevant", "difference", "fit_seconds"):
            assert one[key] == other[key]


def test_folders_need_no_store(folders, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = succeed("compare", folders / "stiff", folders / "loose", "--page", "new.html", "--json").document
    assert len(found["groups"][0]) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new.html"]


def test_the_metric_is_what_runs_have(inside):
    assert succeed("compare", "likes", "biases", "--json").document["metric"] == "test/rmse"
    assert succeed("compare", "likes", "--json").document["metric"] == "test/ndcg_at_10"


@pytest.mark.parametrize("width", WIDTHS)
def test_everybody_can_read_the_page(page, inside, width):
    show(page, f"file://{inside / 'page.html'}", width=width)
    page.execute_script("document.querySelectorAll('details').forEach(fold => fold.open = true)")
    assert overflow(page) == 0
    assert complaints(page) == []
    contrast, text = page.execute_script(CONTRAST)
    assert contrast >= 4.5, text
    assert page.execute_script(SMALLEST) >= 9.8
    assert max(page.execute_script(REACH)) <= 1
    shown = [page.execute_script(SHOWN, f"svg.{kind}") for kind in ("wide", "narrow")]
    assert max(shown) == 2 + 2 + 2 + 1 + 4  # values, differences, times, curves, groups of users
    assert min(shown) == 0


def test_the_page_asks_no_network(page, inside):
    page.execute_cdp_cmd("Network.enable", {})
    show(page, f"file://{inside / 'page.html'}", width=1280)
    asked = page.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert asked == []


def tables(page) -> list[list[list[str]]]:
    script = """return [...document.querySelectorAll('table')].map(table => [...table.rows].map(
        row => [...row.cells].map(cell => cell.textContent)))"""
    return page.execute_script(script)


def test_the_page_says_what_differs_and_why_runs_are_apart(page, inside):
    show(page, f"file://{inside / 'page.html'}", width=1280)
    apart, settings, models, *_ = tables(page)
    assert [row[:3] for row in apart[1:]] == [["1", "4", "films.csv"], ["2", "1", "films.csv"]]
    assert [row[5] for row in apart[1:]] == [fingerprint(inside / n)[:8] for n in ("biases", "elsewhere")]
    text = page.find_element("css selector", "main").text
    assert "Why these runs are shown apart" in text
    assert "no difference is taken between two groups" in text
    shown = {row[0]: dict(zip(settings[0], row, strict=True)) for row in settings[1:]}
    assert set(shown) == {"biases", "stiff", "loose", "likes"}
    for name, row in shown.items():
        config = yaml.safe_load((inside / name / "config.yaml").read_text())
        assert row["model.kind"] == config["model"]["kind"]
        l2 = config["model"].get("l2")
        assert row["model.l2"] == ("–" if l2 is None else f"{l2:g}")
    assert "model.factors" in settings[0]  # set to 2, which is no default
    assert "seed" not in settings[0]  # the same in all of them
    assert "model.iterations" not in settings[0]  # a default, which only one kind has
    assert {row[0] for row in models[1:]} == set(shown)


def test_differences_of_the_page_are_those_of_the_command(page, inside):
    found = json.loads(Path("answer.json").read_text())
    show(page, f"file://{inside / 'page.html'}", width=1280)
    _, _, models, *_ = tables(page)
    column = models[0].index("Δ RMSE")
    cells = {row[0]: row[column] for row in models[1:]}
    for run in found["runs"]:
        name = run["name"].removeprefix("films-")
        if run["difference"]:
            half = (run["difference"]["high"] - run["difference"]["low"]) / 2
            assert cells[name].startswith(f"{run['difference']['difference']:+.4f} ±{half:.4f}")
    assert list(cells.values()).count("reference") == 1
    elsewhere = next(run for run in found["runs"] if run["name"] == "films-elsewhere")
    assert elsewhere["difference"] is None


def test_a_reference_that_is_named_is_that_of_the_page(inside, tmp_path):
    place = tmp_path / "new.html"
    words = ("compare", "biases", "stiff", "loose", "--page", place)
    succeed(*words, "--reference", "films-biases")
    text = place.read_text()
    assert "Difference in RMSE to biases" in text
    assert "is the reference for being the best" not in text
    succeed(*words)
    assert "is the reference for being the best" in place.read_text()


def test_runs_that_were_validated_on_other_ratings_name_no_first(inside, tmp_path):
    words = ("--data", "films.csv", "--model", "biased-mf", "--no-tracking", "--out", tmp_path / "new")
    succeed("train", *words,
            "--set", "split.test_share=0.3", "--set", "validation.share=0.2", "--quiet")  # fmt: skip
    succeed("compare", "stiff", tmp_path / "new", "--page", tmp_path / "new.html")
    text = (tmp_path / "new.html").read_text()
    assert "The runs kept different ratings back to be validated on" in text
    assert "first on validation ratings" not in text


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("nobody",), "has no experiment 'nobody'; it has: films"),
        (
            ("nobody", "biases"),
            "'nobody' is no run folder, and the tracking store has no run of this id or name",
        ),
        (("0af5" * 8, "biases"), "has no run of this id or name"),
        (("models:/films@champion", "biases"), "has no model named 'films', but: none at all"),
        (("models:/films", "biases"), "malformed model URI"),
        (("biases", "stiff", "--metric", "test/speed"), "no run of these runs has the metric 'test/speed'"),
        (("biases", "stiff", "--reference", "likes"), "--reference 'likes': no such run in these runs"),
        (("biases", "stiff", "--page", "films.csv/page.html"), "--page films.csv/page.html: "),
        (("it's", "biases"), "is no run folder"),
    ],
)
def test_each_wrong_word_gets_its_sentence(words, sentence, inside):
    before = sorted(inside.iterdir())
    outcome = call("compare", *words, *(() if "--page" in words else ("--page", "other.html")))
    assert (outcome.code, outcome.out) == (2, "")
    assert sentence in outcome.err
    assert outcome.err.count("\n") == 1
    assert sorted(inside.iterdir()) == before


def test_runs_without_a_result_are_named_on_the_page(inside, tmp_path):
    damaged = shutil.copytree("stiff", tmp_path / "damaged")
    (damaged / "per_user.parquet").write_bytes(b"PAR1")
    outcome = call("compare", "biases", damaged)
    assert outcome.code == 2
    assert "damaged" in outcome.err
    run = next(run for run in experiment_runs("films") if run.name == "films-stiff")
    report = Path(run.artifact_uri.removeprefix("file://")) / "per_user.parquet"
    kept = report.read_bytes()
    report.write_bytes(b"PAR1")
    try:
        found = succeed("compare", "biases", run.run_id, "--page", tmp_path / "new.html", "--json").document
    finally:
        report.write_bytes(kept)
    assert found["not_on_page"] == [run.run_id]
    assert "films-stiff" in (tmp_path / "new.html").read_text().partition("Not shown")[2]
