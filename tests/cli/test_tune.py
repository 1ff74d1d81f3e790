"""recsys-ae tune, and spaces in a benchmark."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import call, succeed

from recsys_ae.tracking.runs import experiment_runs

SEARCH = """\
name: small
data: {{source: {data}}}
model: {{kind: biases}}
space:
  item_damping: {{low: 0.1, high: 100, log: true}}
  user_damping: {{low: 0, high: 50}}
trials: 9
"""


@pytest.fixture
def config(ratings, here) -> Path:
    path = here / "small.yaml"
    path.write_text(SEARCH.format(data=ratings))
    return path


def test_best_settings_are_tested_and_the_folder_is_that_of_a_run(config):
    outcome = succeed("tune", config, "--no-tracking", "--json", "--out", "out", "--quiet")
    answer = outcome.document  # nothing else is on stdout
    assert "trial" not in outcome.err
    assert len(answer["validation"]["trials"]) == 9
    assert answer["report"]["metrics"]["test/rmse"] > 0
    lists = succeed("recommend", "out/model", "--users", "all", "-n", "3", "--out", "recs.csv", "--json")
    assert lists.document
    trained = succeed("train", "out/best.yaml", "--no-tracking", "--json", "--out", "again").document
    assert trained["report"]["metrics"] == answer["report"]["metrics"]
    assert succeed("evaluate", "out/model", "--json").document["metrics"] == answer["report"]["metrics"]


def test_trials_are_told_one_by_one_and_the_end_says_what_mattered(config):
    outcome = succeed("tune", config, "--no-tracking", "--out", "out")
    lines = [line for line in outcome.err.splitlines() if line.startswith("trial ")]
    assert [line.split(":")[0] for line in lines] == [f"trial {n}" for n in range(1, 10)]
    scores = [float(line.split()[3].strip(",")) for line in lines]
    told = [number for number, line in enumerate(lines) if "the best so far" in line]
    assert told == [n for n, score in enumerate(scores) if all(score < other for other in scores[:n])]
    assert len(told) > 1
    assert "9 trials in" in outcome.out
    assert "what mattered: " in outcome.out
    assert "out/best.yaml" in outcome.out
    assert "[I " not in outcome.err + outcome.out  # a line of Optuna's log
    assert "tune" in call("--help").out


def test_a_stopped_search_goes_on_with_the_same_folder_or_with_resume(config, monkeypatch):
    whole = succeed("tune", config, "--no-tracking", "--json", "--out", "whole").document
    from recsys_ae.experiments import tune as tuning

    trial, done = tuning.run_trial, []

    def stop_at_the_fifth(*given, **options):
        if len(done) == 4:
            raise KeyboardInterrupt
        done.append(1)
        return trial(*given, **options)

    monkeypatch.setattr(tuning, "run_trial", stop_at_the_fifth)
    for out, goes_on in ((), "--resume goes on"), (("--out", "parts"), "--out parts goes on"):
        done.clear()
        stopped = call("tune", config, "--no-tracking", "--quiet", *out)
        assert stopped.code == 130
        kept, last = stopped.err.splitlines()[-2:]
        assert kept.startswith("kept in ")
        assert ": 4 trials; " in kept
        assert kept.endswith(f"; the same command with {goes_on}")
        assert last.startswith("stopped by Ctrl-C")
    monkeypatch.setattr(tuning, "run_trial", trial)
    for words in ("--resume",), ("--out", "parts"):
        outcome = succeed("tune", config, "--no-tracking", "--json", *words)
        assert "4 trials were finished before" in outcome.err
        scores = [each["score"] for each in outcome.document["validation"]["trials"]]
        assert scores == [each["score"] for each in whole["validation"]["trials"]]
        assert outcome.document["report"] == whole["report"]
    again = call("tune", config, "--no-tracking", "--resume")
    assert (again.code, "no unfinished search" in again.err) == (2, True)
    again = call("tune", config, "--no-tracking", "--out", "parts")
    assert (again.code, "exists already" in again.err) == (2, True)
    other = call("tune", config, "--no-tracking", "--out", "parts", "--seed", "5")
    assert (other.code, "other settings" in other.err) == (2, True)


def test_a_search_that_is_at_work_is_left_alone(config, monkeypatch):
    """By the same command and by --resume, which would both go on with it if it were stopped."""
    from recsys_ae.experiments import tune as tuning

    trial, outcomes = tuning.run_trial, []
    words = ("tune", config, "--no-tracking", "--quiet", "--trials", "2")

    def with_another_beside(*given, **options):
        place = next(Path("runs").iterdir())
        outcomes.extend(call(*words, *more) for more in (("--out", place), ("--resume",)))
        return trial(*given, **options)

    monkeypatch.setattr(tuning, "run_trial", with_another_beside)
    assert call(*words).code == 0
    assert [outcome.code for outcome in outcomes] == [2] * 4
    for outcome in outcomes:
        assert outcome.err.count("\n") == 1
        assert "another run writes there now" in outcome.err


@pytest.mark.parametrize(
    ("space", "sentence"),
    [
        ("{}", "'space' must not be empty"),
        ("{item_dampin: {low: 1, high: 2}}", "no setting 'item_dampin' there; did you mean 'item_damping'?"),
        ("{item_damping: {low: 2, high: 2}}", "'low' must be less than 'high'"),
        ("{item_damping: {low: 3, high: 2}}", "'low' must be less than 'high'"),
        ("{item_damping: {low: 0, high: 2, log: true}}", "with log: true it must be greater than 0"),
        ("{item_damping: {low: -1, high: 2}}", "'item_damping' must be at least 0"),
        ("{item_damping: {low: one, high: 2}}", "'low' must be a number, and is 'one'"),
        ("{item_damping: {low: 1, high: .inf}}", "'high' must be a number, and is inf"),
        ("{item_damping: {low: 1, high: 2, log: 1}}", "'log' must be true or false"),
        ("{item_damping: {low: 1}}", "'high' is missing"),
        ("{item_damping: {low: 1, high: 2, lag: true}}", "no setting 'lag' there"),
        ("{item_damping: {values: []}}", "a list with something in it"),
        ("{item_damping: {values: [1, 1]}}", "has 1 twice"),
        ("{item_damping: {values: [1, two]}}", "'item_damping' must be a number, and is 'two'"),
        ("{item_damping: {values: [1], low: 1}}", "'values' stands alone"),
        ("{item_damping: [1, 2]}", "write {low: 1, high: 100}"),
        ("{sweeps: {low: 1.5, high: 9}}", "'sweeps' takes whole numbers"),
        ("{kind: {low: 1, high: 9}}", "'kind' is "),
    ],
)
def test_a_space_that_does_not_hold_is_one_sentence_before_any_data_is_read(space, sentence, here):
    text = f"name: small\ndata: {{source: nowhere.csv}}\nmodel: {{kind: biases}}\nspace: {space}\n"
    Path("s.yaml").write_text(text)
    outcome = call("tune", "s.yaml", "--out", "out")
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert outcome.err.startswith("error: ")
    assert sentence in outcome.err
    assert "nowhere.csv" not in outcome.err
    assert not Path("out").exists()


def test_trials_are_nested_runs_of_the_store(config, store):
    answer = succeed("tune", config, "--json", "--out", "out", "--quiet", "--experiment", "movies").document
    runs = experiment_runs("movies")
    (parent,) = (run for run in runs if run.parent_id is None)
    assert parent.run_id == answer["run_id"]
    trials = [run for run in runs if run.parent_id == parent.run_id]
    assert [run.metrics["validated/rmse"] for run in trials] == [
        trial["score"] for trial in answer["validation"]["trials"]
    ]
    assert parent.metrics["validated/rmse"] == answer["validation"]["score"]
    assert {run.status for run in runs} == {"FINISHED"}
    found = succeed("compare", "movies", "--json").document
    assert [run["name"] for run in found["runs"]] == ["small"]
    assert found["without"] == []


def test_an_uploaded_search_has_its_trials_too(config, store):
    succeed("tune", config, "--no-tracking", "--json", "--out", "out", "--quiet")
    succeed("upload", "out", "--experiment", "later")
    runs = experiment_runs("later")
    assert len(runs) == 10
    assert sum("validated/rmse" in run.metrics for run in runs) == 10


def test_a_benchmark_gives_spaces_and_grids_one_budget(ratings, here):
    space = {"item_damping": {"low": 0.1, "high": 100, "log": True}}
    models = [
        {"name": "space", "model": {"kind": "biases"}, "space": space},
        {"name": "grid", "model": {"kind": "biases"}, "grid": {"item_damping": [1, 10, 100]}},
    ]
    document = {"name": "b", "data": {"source": str(ratings)}, "reference": "grid", "models": models}
    Path("b.yaml").write_text(json.dumps({**document, "tuning": {"trials": 6}}))
    answers = [
        succeed("benchmark", "b.yaml", "--no-tracking", "--json", "--out", out).document for out in "xy"
    ]
    rows = {row["name"]: row for row in answers[0]["models"]}
    assert (rows["space"]["trials"], rows["grid"]["trials"]) == (6, 3)
    scores = [
        [trial["score"] for trial in answer["models"][0]["validation"][0]["trials"]] for answer in answers
    ]
    assert scores[0] == scores[1]
    assert len(set(scores[0])) == 6
    for document_of, sentence in (
        ({"tuning": {"trials": 6}, "trials": 6}, "say the budget once"),
        ({"tuning": {"seconds": 6}}, "say the budget once"),
        ({"trials": 2}, "3 combinations"),
        ({"trials": 3, "models": [{**models[1], "space": space}]}, "a grid and a space"),
        (
            {"trials": 3, "models": [{**models[1], "grid": {}, "space": {"x": {"values": [1]}}}]},
            "no setting 'x' there",
        ),
    ):
        Path("c.yaml").write_text(json.dumps({**document, **document_of}))
        outcome = call("benchmark", "c.yaml", "--no-tracking", "--out", "never")
        assert outcome.code == 2
        assert sentence in outcome.err
        assert outcome.err.count("\n") == 1
