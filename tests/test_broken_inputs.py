"""Everything that a user can get wrong is answered with one sentence, exit code 2, and nothing written."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import call, rating_lines

GOOD = "\n".join(rating_lines(12, 8)) + "\n"
TRAIN = "train --model biases --no-tracking --data"
DIVERGING = (
    "train --model u-autorec --no-tracking --set training.learning_rate=1e30 --set training.optimizer=sgd "
    "--data"
)
EXPERIMENT = "name: try\ndata: {source: good.csv}\nmodel: {kind: biases}\n"
BENCHMARK = """\
name: try
data: {source: good.csv}
reference: biases
models:
- {name: biases, model: {kind: biases}}
"""

# what stands in a file, the command that reads it, the sentence
FILES: list[tuple[str, str | bytes, str, str]] = [
    ('a.csv', '', TRAIN,
     'a.csv: is empty; it needs at least one rating'),
    ('a.csv', 'user,item,rating\n', TRAIN,
     'a.csv: holds no ratings'),
    ('a.csv', 'user,rating\nu,1\n', TRAIN,
     "a.csv: no column that is usually called item for the item; its columns are 'user', 'rating': "
     'name one with columns.item'),
    ('a.csv', 'user,item,rating\nu,1,4\nu,2,good\n', TRAIN,
     "a.csv, line 3: the rating 'good' is not a number"),
    ('a.csv', 'user,item,rating\nu,1,4\nu,2,nan\n', TRAIN,
     'a.csv, line 3: the rating is not a number (nan), ratings must be finite numbers; mend '
     'or remove these rows'),
    ('a.csv', 'user,item,rating\nu,1,4\nu,2,inf\n', TRAIN,
     'a.csv, line 3: the rating is inf, ratings must be finite numbers; mend or remove these '
     'rows'),
    ('a.csv', 'user,item,rating\nu,1,4\n,2,3\n', TRAIN,
     'a.csv, line 3: the user id is empty; give each rating a user'),
    ('a.csv', 'user,item,rating\nu,1,4\nv,1,3\nu,1,5\n', TRAIN,
     "a.csv, line 4: user 'u' has rated item 1 before, at a.csv, line 2; set duplicates to "
     'first, last or mean'),
    ('a.csv',
     'user,item,rating\nu,1,4\nu,2,7\n',
     'train --model biases --no-tracking --set data.scale=[1,5] --data',
     'a.csv, line 3: the rating is 7, outside the scale 1 to 5; mend these rows or declare '
     'another scale'),
    ('a.csv', b'user,item,rating\nZo\xeb,1,4\n', TRAIN,
     'a.csv, line 2: is no text in utf-8; set encoding to that of the file, such as latin-1'),
    ('a.csv', 'user,item,rating\nu,1,4\nu,2\n', TRAIN,
     'a.csv, line 3: has 2 fields instead of 3'),
    ('a.dat', '1::2::3::4\n1::5\n', TRAIN,
     'a.dat, line 2: has 2 fields instead of 4'),
    ('a.parquet', 'no parquet', TRAIN,
     'a.parquet: is no whole parquet file (Parquet magic bytes not found in footer. Either '
     'the file is corrupted or this is not a parquet file); make it again'),
    ('a.npz', 'no zip', TRAIN,
     'a.npz: is no sparse matrix saved by scipy.sparse.save_npz (BadZipFile); make it again'),
    ('a.txt', 'hello\nworld\n', TRAIN,
     "a.txt, line 1: 'hello' fits no known format; name one of movielens, tab, csv, semicolon, tsv, "
     'jsonl, parquet, arrow, inter, npz'),
    ('a.csv', 'user,item,rating\nu,1,4\n', TRAIN,
     "split 'random' holds out none of 1 ratings; hold out more of them, or load more ratings"),
    ('a.csv', GOOD, 'train --model biases --no-tracking --set data.columns.user=reader --data',
     "a.csv: no column 'reader' for the user; its columns are 'user', 'item', 'rating': name "
     'one with columns.user'),
    ('a.csv', GOOD, 'train --model biases --no-tracking --set data.filters.core=50 --data',
     "the filter 'core 50' leaves none of 34 ratings; loosen it"),
    ('a.csv', GOOD, 'train --model biases --no-tracking --set split.kind=temporal --data',
     "split 'temporal' needs timestamps, and these ratings have none; name the timestamp "
     'column, or choose a split that needs none (random, k-fold, per-user, users)'),
    ('a.csv', GOOD, 'data describe --set format=parquet',
     'a.csv: is no whole parquet file (Parquet magic bytes not found in footer. Either the '
     'file is corrupted or this is not a parquet file); make it again'),
    ('a.csv',
     GOOD,
     DIVERGING,
     'the reconstruction loss became inf in epoch 1, step 2: try a learning rate ten times '
     'smaller'),
]  # fmt: skip

# name of a config, its text, the rest of the command, the sentence
CONFIGS: list[tuple[str, str, str, str]] = [
    ('try.yaml', '', 'train try.yaml --no-tracking',
     "try.yaml: is empty; a config is a mapping such as "
     "'name: my-experiment'; a file of ratings goes to --data"),
    ('try.yaml', '- 1\n', 'train try.yaml --no-tracking',
     "try.yaml: holds a list at its top; a config is a mapping such as "
     "'name: my-experiment'; a file of ratings goes to --data"),
    ('try.yaml', 'name: [a\nseed: 1\n', 'train try.yaml --no-tracking',
     "try.yaml, line 2, column 5: expected ',' or ']', but got ':'"),
    ('try.yaml', EXPERIMENT + 'name: again\n', 'train try.yaml --no-tracking',
     "try.yaml, line 4, column 1: the key 'name' is given twice"),
    ('try.yaml', EXPERIMENT.replace('biases', 'biasses'), 'train try.yaml --no-tracking',
     "try.yaml: 'model.kind' is 'biasses', which is unknown; did you mean 'biases'?"),
    ('try.yaml', EXPERIMENT + 'sed: 1\n', 'train try.yaml --no-tracking',
     "try.yaml: no setting 'sed'; did you mean 'seed'?"),
    ('try.yaml', EXPERIMENT.replace('name: try\n', ''), 'train try.yaml --no-tracking',
     "try.yaml: the setting 'name' is missing"),
    ('try.yaml', EXPERIMENT + 'split: {kind: random, test_share: 1.5}\n', 'train try.yaml --no-tracking',
     "try.yaml: 'split.test_share' must be less than 1, and is 1.5"),
    ('try.yaml', EXPERIMENT + 'split: {kind: k-fold, fold: 9}\n', 'train try.yaml --no-tracking',
     'try.yaml: split: fold 9 of 5 folds, which are counted from 0'),
    ('try.yaml',
     EXPERIMENT.replace('kind: biases', 'kind: biases, sweeps: -2'),
     'train try.yaml --no-tracking',
     "try.yaml: 'model.sweeps' must be greater than 0, and is -2"),
    ('try.yaml', EXPERIMENT + 'foo[bar]: 3\n', 'train try.yaml --no-tracking',
     "try.yaml: no setting 'foo[bar]'; choose one of name, seed, data, split, validation, model, evaluation"),
    ('try.yaml', EXPERIMENT + 'evaluation: {"rel[x]": 3}\n', 'train try.yaml --no-tracking',
     "try.yaml: no setting 'evaluation.rel[x]'; choose one of cutoffs, relevant"),
    ('try.yaml', EXPERIMENT + 'evaluation: {relevant: .nan}\n', 'train try.yaml --no-tracking',
     "try.yaml: 'evaluation.relevant' must be a finite number, and is nan"),
    ('try.yaml', EXPERIMENT, 'train try.yaml --no-tracking --set swep=3',
     "--set swep=3: no setting 'swep'; did you mean 'sweeps'?"),
    ('try.yaml', EXPERIMENT, 'train try.yaml --no-tracking --set sweeps',
     '--set sweeps: write key=value, for example --set training.epochs=30'),
    ('try.yaml', EXPERIMENT, 'train try.yaml --no-tracking --seed -1',
     "--set seed=-1: 'seed' must be at least 0, and is -1"),
    ('try.yaml', EXPERIMENT, 'train tri.yaml',
     "tri.yaml: no such config file; did you mean 'try.yaml'?"),
    ('try.yaml', EXPERIMENT.replace('good.csv', 'god.csv'), 'train try.yaml --no-tracking',
     'god.csv: no such file'),
    ('try.yaml', EXPERIMENT.replace('good.csv', 'movietweeting-100k'), 'train try.yaml --no-tracking',
     "'movietweeting-100k' is neither a file nor a known dataset; perhaps movietweetings-100k "
     'is meant; known are movietweetings-100k, goodbooks-30core, ml-100k, ml-1m, ml-10m, ml-20m, ml-25m, '
     'ml-latest-small, goodbooks-10k, goodbooks-10k-v2, filmtrust, lastfm-hetrec'),
    ('try.yaml', EXPERIMENT.replace('good.csv', 'ml-1m'), 'train try.yaml --no-tracking',
     'ml-1m is not on this machine: RECSYS_AE_DATA=data has no ml-1m/ with ratings.dat or '
     'ratings.parquet; get it with `recsys-ae data fetch ml-1m`'),
    ('try.yaml',
     EXPERIMENT + 'split: {kind: predefined, train: a.base, test: a.test}\n',
     'train try.yaml --no-tracking',
     'data.source is good.csv, but the split is made of a.base and a.test: name the folder of both '
     'as data.source '
     '(.), or split data.source otherwise'),
    ('try.yaml',
     EXPERIMENT.replace('good.csv', '.') + 'split: {kind: predefined, train: a.base, test: ../a.test}\n',
     'train try.yaml --no-tracking',
     'split.test is ../a.test, which does not lie in ., where data.source . is: name the folder that '
     'holds both '
     'files as data.source'),
    ('try.yaml',
     EXPERIMENT.replace('good.csv', '.') + 'split: {kind: predefined, train: a.base, test: a.test}\n',
     'train try.yaml --no-tracking',
     'a.base: no such file'),
    ('try.yaml',
     BENCHMARK.replace('reference: biases', 'reference: bias'),
     'benchmark try.yaml --no-tracking',
     "try.yaml: reference 'bias' is none of the models: biases"),
    ('try.yaml',
     BENCHMARK + '- {name: biases, model: {kind: mean}}\n',
     'benchmark try.yaml --no-tracking',
     'try.yaml: two models have the same name: biases, biases'),
    ('try.yaml',
     BENCHMARK + '- {name: als, model: {kind: als}, grid: {factors: [1, 2]}}\n',
     'benchmark try.yaml --no-tracking',
     "models.1.grid: 'als' has 2 combinations, and every model may try 1; shorten the grid or "
     'raise trials'),
    ('try.yaml',
     BENCHMARK + '- {name: als, model: {kind: als}, grid: {factor: [1]}}\n',
     'benchmark try.yaml --no-tracking',
     "the grid of model 'als': no setting 'factor' there; did you mean 'factors'?"),
    ('try.yaml',
     BENCHMARK + '- {name: als, model: {kind: als}, grid: {factors: [0]}}\n',
     'benchmark try.yaml --no-tracking',
     "the grid of model 'als': 'factors' must be greater than 0, and is 0"),
    ('try.yaml', BENCHMARK + 'trials: 0\n', 'benchmark try.yaml --no-tracking',
     "try.yaml: 'trials' must be greater than 0, and is 0"),
    ('try.yaml', EXPERIMENT, 'benchmark try.yaml --no-tracking',
     'try.yaml is an experiment: recsys-ae train try.yaml'),
]  # fmt: skip

# a command, the sentence
OPTIONS: list[tuple[str, str]] = [
    ('train',
     'give a config file, or --data with --model, such as --data ratings.csv --model i-autorec'),
    ('train --data good.csv',
     'give a config file, or --data with --model, such as --data ratings.csv --model i-autorec'),
    ('train --data good.csv --model autorec --no-tracking',
     "--model autorec: 'model.kind' is 'autorec', which is unknown; did you mean 'i-autorec'?"),
    ('train --data good.csv --model biases --device gpu',
     "invalid value for '--device': 'gpu' is not one of 'auto', 'cpu', 'cuda'; see recsys-ae "
     'train --help'),
    ('train --data good.csv --model biases --no-tracking --out good.csv',
     '--out good.csv: exists already; choose another folder, or remove it first'),
    ('train try.yaml --data good.csv',
     "give a config file, or --data with --model, not both; a file's settings change with "
     '--set data.source=... and --set model.kind=...'),
    ('trane',
     "no such command 'trane'. Did you mean 'train', 'tune'?; see recsys-ae --help"),
    ('train --epochs 3',
     'no such option: --epochs; see recsys-ae train --help'),
    ('recommend nowhere --out a.csv',
     'nowhere: no such model folder; give a folder, runs:/RUN_ID/model, models:/ID, '
     'models:/NAME/VERSION or models:/NAME@ALIAS'),
    ('recommend nowhere --users all',
     'give --out recs.parquet (or .csv) for the lists of all users, or name a few users, such '
     'as --users 12,40'),
    ('recommend . --out a.csv',
     '.: holds no model (model.json is missing); give a folder, runs:/RUN_ID/model, '
     'models:/ID, models:/NAME/VERSION or models:/NAME@ALIAS'),
    ('recommend runs:/abc --out a.csv',
     'runs:/abc: malformed model URI; give a folder, runs:/RUN_ID/model, models:/ID, '
     'models:/NAME/VERSION or models:/NAME@ALIAS'),
    ('recommend runs:/0123/model --out a.csv',
     '{here}/mlflow.db: no runs are tracked there; train a model first, or name another store'),
    ('recommend models:/movies --out a.csv',
     'models:/movies: malformed model URI; give a folder, runs:/RUN_ID/model, '
     'models:/ID, models:/NAME/VERSION or models:/NAME@ALIAS'),
    ('recommend s3://bucket/model --out a.csv',
     's3://bucket/model: not a model; give a folder, runs:/RUN_ID/model, models:/ID, '
     'models:/NAME/VERSION or models:/NAME@ALIAS'),
    ('recommend nowhere -n 0 --out a.csv',
     "invalid value for '-n': Input should be greater than or equal to 1; see recsys-ae "
     'recommend --help'),
    ('evaluate nowhere',
     'nowhere: no such model folder; give a folder, runs:/RUN_ID/model, models:/ID, '
     'models:/NAME/VERSION or models:/NAME@ALIAS'),
    ('compare movies',
     '{here}/mlflow.db: no runs are tracked there; train a model first, or name another store'),
    ('ui',
     '{here}/mlflow.db: no runs are tracked there; train a model first, or name another store'),
    ('ui --port 99999',
     'port 99999 does not exist; give one from 1 to 65535'),
    ('upload nowhere',
     'nowhere: no run folder (it holds no readable result.json); give a folder that train or '
     'benchmark has written'),
    ('upload .',
     '.: no run folder (it holds no readable result.json); give a folder that train or benchmark has '
     'written'),
    ('data fetch movielens',
     "'movielens' is no known dataset; perhaps movietweetings-100k is meant; known are "
     'movietweetings-100k, goodbooks-30core, ml-100k, ml-1m, ml-10m, ml-20m, ml-25m, ml-latest-small, '
     'goodbooks-10k, goodbooks-10k-v2, filmtrust, lastfm-hetrec'),
    ('data fetch filmtrust',
     'filmtrust cannot be fetched: no checksum of its archive is known: unpack ratings.txt by '
     'hand, with commas between fields; three pairs occur twice, so that it needs duplicates: '
     'first, last or mean; see https://guoguibing.github.io/librec/datasets.html'),
    ('data describe',
     "missing argument 'source'; see recsys-ae data describe --help"),
    ('data describe good.csv --set source=5',
     "--set source=5: source: write a text, or a list of texts, not 5"),
    ('data describe good.csv --set source=[good.csv,5]',
     "--set source=[good.csv,5]: source: write a text, or a list of texts, not ['good.csv', 5]"),
    ('data describe good.csv --set feedback=plays',
     "--set feedback=plays: 'feedback' is 'plays', which is unknown; choose one of ratings, counts, events"),
    ('data describe good.csv --set feedback=counts --set scale=[1,5]',
     'good.csv: a scale is of ratings, and feedback is counts; leave out one of them'),
    ('data describe data',
     "'data' is neither a file nor a known dataset; known are movietweetings-100k, goodbooks-30core, "
     "ml-100k, ml-1m, "
     "ml-10m, ml-20m, "
     'ml-25m, ml-latest-small, goodbooks-10k, goodbooks-10k-v2, filmtrust, lastfm-hetrec'),
    ('data describe nowhere.csv',
     'nowhere.csv: no such file'),
]  # fmt: skip


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """A working folder with good ratings in it; no store, no datasets of the machine's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("RECSYS_AE_DATA", "data")
    Path("good.csv").write_text(GOOD)
    return tmp_path


def refused(*words: str) -> str:
    """The sentence of a command that must refuse, and write nothing."""
    before = sorted(path.name for path in Path().rglob("*"))
    outcome = call(*words)
    assert (outcome.code, outcome.out) == (2, "")
    *read, said, end = outcome.err.split("\n")
    assert all(line.startswith(("read: ", "warning: ")) for line in read), "told before, one line each"
    assert said.startswith("error: ")
    assert end == "", "one sentence on one line"
    assert sorted(path.name for path in Path().rglob("*")) == before
    return said.removeprefix("error: ")


@pytest.mark.parametrize(
    ("name", "content", "command", "sentence"), FILES, ids=[case[3][:60] for case in FILES]
)
def test_broken_file(here, name, content, command, sentence):
    Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
    assert refused(*command.split(), name) == sentence


@pytest.mark.parametrize(
    ("name", "text", "words", "sentence"), CONFIGS, ids=[case[3][:60] for case in CONFIGS]
)
def test_broken_config(here, name, text, words, sentence):
    Path(name).write_text(text)
    assert refused(*words.split()) == sentence


@pytest.mark.parametrize(("command", "sentence"), OPTIONS, ids=[case[0][:60] for case in OPTIONS])
def test_broken_option_or_uri(here, command, sentence):
    assert refused(*command.split()) == sentence.replace("{here}", str(here))


def test_table_is_long_enough():
    assert len(FILES) + len(CONFIGS) + len(OPTIONS) >= 35
