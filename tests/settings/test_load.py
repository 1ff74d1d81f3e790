"""YAML and overrides become configs; every mistake becomes one sentence with its place and its remedy."""

from __future__ import annotations

import pytest
import yaml

from recsys_ae.errors import ConfigError
from recsys_ae.models.configs import GaussianNoiseConfig, MaskingConfig
from recsys_ae.results.folder import yaml_of
from recsys_ae.settings.configs import ExperimentConfig
from recsys_ae.settings.documents import parse
from recsys_ae.settings.load import default_experiment, load_benchmark, load_experiment, load_search

EXPERIMENT = """\
name: try
data: {source: ratings.csv}
model:
  kind: i-autorec
  training: {epochs: 5}
"""
BENCHMARK = """\
name: compare
data: {source: ratings.csv}
reference: biases
models:
  - {name: biases, model: {kind: biases}}
  - {name: als, model: {kind: als}, grid: {factors: [8, 16]}}
"""


@pytest.fixture
def write(tmp_path):
    def write(text: str, name: str = "try.yaml"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def refusal(load, *arguments) -> str:
    with pytest.raises(ConfigError) as caught:
        load(*arguments)
    return str(caught.value)


def test_override_is_looked_up_from_the_root_then_in_the_model_then_in_the_data(write):
    config = load_experiment(
        write(EXPERIMENT),
        ["seed=7", "training.epochs=30", "model.l2=1e-3", "hidden=[8, 4]", "columns.user=reader"],
    )
    assert config.data.columns.user == "reader"
    assert (config.seed, config.model.training.epochs, config.model.l2) == (7, 30, 1e-3)
    assert config.model.hidden == (8, 4)


@pytest.mark.parametrize(
    "setting", ["evaluation.cutoffs=[0]", "hidden=[0]", "name=", "evaluation.relevant=.nan"]
)
def test_what_is_wrong_with_a_part_is_one_mistake(setting):
    assert "mistakes" not in refusal(default_experiment, "r.csv", "i-autorec", [setting])


def test_mistakes_in_two_places_are_two():
    assert "(one of 2 mistakes)" in refusal(default_experiment, "r.csv", "i-autorec", ["hidden=[0]", "l2=-1"])


@pytest.mark.parametrize(
    ("typed", "meant"), [("autorec", "i-autorec"), ("ALS", "als"), ("Biased_MF", "biased-mf")]
)
def test_the_closest_kind_is_meant_the_first_of_equal_ones(typed, meant):
    assert f"did you mean {meant!r}?" in refusal(default_experiment, "r.csv", typed)


def test_the_first_model_of_a_benchmark_is_the_reference_unless_another_is_named(write):
    alone = write(BENCHMARK.replace("reference: biases\n", ""))
    assert load_benchmark(alone).reference == "biases"
    assert load_benchmark(alone, ["reference=als"]).reference == "als"
    assert "'models' must not be empty" in refusal(load_benchmark, alone, ["models=[]"])


SEARCH = f"{EXPERIMENT}space: {{l2: {{low: 1, high: 10}}}}\n"


@pytest.mark.parametrize(
    ("text", "wrong", "sentence"),
    [
        (BENCHMARK, (load_experiment, load_search), "is a benchmark: recsys-ae benchmark "),
        (SEARCH, (load_experiment, load_benchmark), "is a search: recsys-ae tune "),
        (EXPERIMENT, (load_search, load_benchmark), "is an experiment: recsys-ae train "),
    ],
)
def test_a_file_for_another_command_is_sent_there(text, wrong, sentence, write):
    path = write(text, "my file.yaml")
    for load in wrong:
        assert refusal(load, path) == f"{path} {sentence}'{path}'"
        assert refusal(load, path, ["seed=1"]) == f"{path} {sentence}'{path}'"


def test_a_space_may_be_given_with_the_command(write):
    assert load_search(write(EXPERIMENT), ["space={l2: {low: 1, high: 10}}"]).space.keys() == {"l2"}


def test_root_wins_over_a_setting_of_the_model_with_the_same_name(write):
    path = write(EXPERIMENT.replace("i-autorec", "als").replace("  training: {epochs: 5}\n", ""))
    assert load_experiment(path, ["name=other"]).name == "other"


def test_override_below_an_absent_variant_starts_from_its_default_kind(write):
    config = load_experiment(write(EXPERIMENT), ["corruption.probability=0.6"])
    assert config.model.corruption == MaskingConfig(probability=0.6)


def test_changed_kind_keeps_what_both_kinds_know(write):
    config = load_experiment(write(EXPERIMENT), ["model.kind=u-autorec", "corruption.kind=gaussian"])
    assert config.model.kind == "u-autorec"
    assert config.model.training.epochs == 5
    assert config.model.corruption == GaussianNoiseConfig()
    assert load_experiment(write(EXPERIMENT), ["model.kind=biases"]).model.kind == "biases"


def test_benchmark_entries_are_overridden_by_number(write):
    config = load_benchmark(write(BENCHMARK), ["seeds=[1, 2]", "models.1.model.factors=4", "trials=2"])
    assert config.seeds == (1, 2)
    assert config.models[1].model.factors == 4


def test_whole_config_written_out_reads_back_equal(write):
    config = load_experiment(write(EXPERIMENT), ["corruption=null", "data.scale=[1, 5]"])
    text = yaml_of(config)
    assert load_experiment(write(text, "whole.yaml")) == config
    assert yaml.safe_load(text)["model"]["training"]["patience"] == config.model.training.patience


def test_default_experiment_is_named_after_data_and_model():
    config = default_experiment("some where/my ratings.csv", "u-autorec", ["training.epochs=2"])
    assert config.name == "my-ratings-u-autorec"
    assert config.data.source == "some where/my ratings.csv"


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("training.epochs", "write key=value, for example --set training.epochs=30"),
        ("trainin.epochs=3", "no setting 'trainin'; did you mean 'training'?"),
        ("training.epoch=3", "no setting 'epoch' there; did you mean 'epochs'?"),
        ("l2=-1", "'model.l2' must be at least 0, and is -1"),
        ("l2=high", "'model.l2' must be a number, and is 'high'"),
        ("l2=.inf", "'model.l2' must be a finite number, and is inf"),
        ("seed=1.5", "'seed' must be a whole number, and is 1.5"),
        ("hidden=[]", "'model.hidden' must not be empty"),
        ("data.scale=[1]", "'data.scale' has too few values"),
        ("evaluation.cutoffs=5", "'evaluation.cutoffs' must be a list, and is 5"),
        ("split=null", "'split' must be a mapping of settings, and is None"),
        ("training=3", "'model.training' must be a mapping of settings, and is 3"),
        ("split.n=3", "no setting 'n' there; choose one of kind, test_share"),
        (
            "split.kind=leave-lost",
            "'split.kind' is 'leave-lost', which is unknown; did you mean 'leave-last'?",
        ),
        ("validation.metric=ndgc", "'validation.metric' is 'ndgc', which is unknown; did you mean 'ndcg'?"),
        ("name=a b", "'name' must be letters, digits, '.', '_' and '-', and is 'a b'"),
        ("hidden=[1", "expected ',' or ']', but got '<stream end>'; quote the value if it is text"),
    ],
)
def test_wrong_override_is_named_as_it_was_typed(write, override, sentence):
    assert refusal(load_experiment, write(EXPERIMENT), [override]) == f"--set {override}: {sentence}"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", ": is empty; a config is a mapping such as "
         "'name: my-experiment'; a file of ratings goes to --data"),
        ("- 1\n", ": holds a list at its top; a config is a mapping such as "
         "'name: my-experiment'; a file of ratings goes to --data"),
        ("name: [a\nseed: 1\n", ", line 2, column 5: expected ',' or ']', but got ':'"),
        ("name: a\nname: b\n", ", line 2, column 1: the key 'name' is given twice"),
        ("? [1, 2]\n: 3\n", ", line 1, column 3: a key must be a text"),
        ("name: " + "[" * 5000, ", line 1, column 56: is nested too deep; a config has a few levels"),
        (EXPERIMENT.replace("model:", "modle:"),
         ": no setting 'modle'; did you mean 'model'? (one of 2 mistakes)"),
        (EXPERIMENT + "evaluations: {}\n", ": no setting 'evaluations'; did you mean 'evaluation'?"),
        (EXPERIMENT.replace("i-autorec", "i-autorek"),
         ": 'model.kind' is 'i-autorek', which is unknown; did you mean 'i-autorec'?"),
        (EXPERIMENT.replace("kind: i-autorec", "l2: 0"),
         ": 'model.kind' is missing; choose one of i-autorec, u-autorec, mult-dae, mult-vae, "
         "rbm, implicit-autorec, mean, biases, popularity, biased-mf, bayesian-mf, als, bpr, item-knn, ease, "
         "edlae, dlae, pca, pure-svd"),
        (EXPERIMENT + "split: {kind: k-fold, folds: 5, fold: 5}\n",
         ": split: fold 5 of 5 folds, which are counted from 0"),
        (EXPERIMENT.replace("epochs: 5", "epochs: yes please"),
         ": 'model.training.epochs' must be a whole number, and is 'yes please'"),
    ],
)  # fmt: skip
def test_wrong_file_is_named_with_the_place(write, text, sentence):
    path = write(text)
    assert refusal(load_experiment, path) == f"{path}{sentence}"


@pytest.mark.parametrize("budget", ["trials: 3", "tuning: {trials: 3}", ""])
def test_the_budget_of_a_benchmark_has_two_names(write, budget):
    """Whichever the file has, an override may have the other; the config and its YAML know one."""
    file = write(f"{BENCHMARK}{budget}\n")
    if budget:
        assert load_benchmark(file).trials == 3
    for text in ("trials=5", "tuning.trials=5", " tuning.trials =5"):
        found = load_benchmark(file, [text])
        assert found.trials == 5
        assert "tuning" not in found.model_dump()
    assert refusal(load_benchmark, file, ["tuning.trials=0"]) == (
        "--set trials=0: 'trials' must be greater than 0, and is 0"
    )


@pytest.mark.parametrize("budget", ["{trials: 3, seconds: 9}", "{seconds: 9}", "3", "{trials: 3}\ntrials: 3"])
def test_a_budget_is_said_once(write, budget):
    file = write(f"{BENCHMARK}tuning: {budget}\n")
    sentence = refusal(load_benchmark, file, ["trials=5"])
    assert sentence.startswith(f"{file}: 'tuning' is ")
    assert sentence.endswith("; say the budget once, as trials: 30")


def test_benchmark_refers_to_its_models(write):
    path = write(BENCHMARK.replace("reference: biases", "reference: bias"))
    assert refusal(load_benchmark, path) == f"{path}: reference 'bias' is none of the models: biases, als"


def test_benchmark_runs_each_seed_once(write):
    path = write(BENCHMARK + "seeds: [1, 0, 1]\n")
    assert refusal(load_benchmark, path) == f"{path}: seeds [1, 0, 1]: each seed is run once; name others"


def test_keys_that_people_choose_are_named(write):
    empty = refusal(load_benchmark, write(BENCHMARK.replace("factors: [8, 16]", "factors: []")))
    assert "'models.1.grid.factors'" in empty
    reversed_range = BENCHMARK.replace("grid: {factors: [8, 16]}", "space: {l2: {low: 3, high: 1}}")
    assert "models.1.space.l2: 'low' is 3" in refusal(load_benchmark, write(reversed_range))


def test_missing_file_names_its_neighbour(write, tmp_path):
    write(EXPERIMENT, "movies.yaml")
    sentence = refusal(load_experiment, tmp_path / "movie.yaml")
    assert sentence == f"{tmp_path / 'movie.yaml'}: no such config file; did you mean 'movies.yaml'?"


def test_no_pydantic_words_reach_the_user(write):
    for override in ("seed=x", "model.kind=[1]", "split.test_share=2", "hidden=[a]", "data.columns=3"):
        sentence = refusal(load_experiment, write(EXPERIMENT), [override])
        assert "pydantic" not in sentence
        assert "validation" not in sentence
        assert "http" not in sentence
        assert "\n" not in sentence


@pytest.mark.parametrize("value", ["true", "false", "1_000", '"3"', "'1.5'"])
@pytest.mark.parametrize(
    "key",
    [
        "seed",
        "training.epochs",
        "model.l2",
        "data.filters.core",
        "split.test_share",
        "training.learning_rate",
    ],
)
def test_neither_booleans_nor_texts_are_numbers(key, value):
    with pytest.raises(ConfigError, match=f"must be a (whole )?number, and is {parse(value)!r}"):
        default_experiment("a.csv", "i-autorec", [f"{key}={value}"])


@pytest.mark.parametrize(
    "setting", ["model.hidden=[true]", "data.scale=[true, 5]", "evaluation.cutoffs=[false]"]
)
def test_nor_are_they_in_lists(setting):
    with pytest.raises(ConfigError, match=r"\.0' must be a (whole )?number, and is (True|False)"):
        default_experiment("a.csv", "i-autorec", [setting])


def test_whole_numbers_are_numbers():
    config = default_experiment("a.csv", "i-autorec", ["model.l2=2", "data.scale=[1, 5]", "seed=1e3"])
    assert (config.model.l2, config.data.scale, config.seed) == (2.0, (1.0, 5.0), 1000)
    assert all(isinstance(value, float) for value in (config.model.l2, *config.data.scale))
    assert ExperimentConfig.model_validate_json(config.model_dump_json()) == config
