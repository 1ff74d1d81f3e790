"""What people type: YAML files, `--set key=value`, model folders and URIs."""

from __future__ import annotations

import re
import string
from pathlib import Path

import yaml
from fuzzing.worker import called
from hypothesis import strategies as st

from recsys_ae.config import Config
from recsys_ae.errors import ConfigError
from recsys_ae.models.configs import ItemAutoRecConfig
from recsys_ae.settings.configs import BenchmarkConfig, ExperimentConfig
from recsys_ae.settings.load import load_benchmark, load_experiment

BOMB = "[&a [x,x,x,x,x,x,x,x,x]" + "".join(
    f", &{new} [{','.join([f'*{old}'] * 9)}]" for old, new in zip("abcdefghi", "bcdefghij", strict=True)
) + "]"  # fmt: skip
ODD = (
    "2024-13-45", "2024-01-02", "!!int x", "!!float x", "!!timestamp x", "!!binary x", "!!bool x", "!!null x",
    "!!set {a}", "!!omap [a]", "!!python/none x", "yes", "no", "~", "", "null", "'", '"', "[", "]", "{", "}",
    "[" * 1000, "[" * 100_000, "{a: " * 1000, "- " * 500, "&a [*a]", "*a", "<<: {a: 1}", BOMB, "\x1b[31m",
    '"\\e[31m"', '"\\0"', '"\\ud800"', "\x00", "\u202e", "9" * 19, "9" * 4_400, "1e400", ".nan", ".inf", "-1",
    "0", "0x10", "010", "1_000", "1:30", "1.5", "[1, 2]", "{a: 1}", "x" * 300, "x" * 5000, "~nosuch/x", "/",
    "..", "good.csv", "[good.csv]", "*", "[", "ml-1m", "true", "{kind: biases}", "{kind: [biases]}",
    "{kind: k-fold, folds: 2}", "? [a]", "a: b: c", "# x", "%", "@", "`", "!", "|", ">", "...", "---", "\t",
)  # fmt: skip
EXPERIMENT = "name: try\ndata: {source: good.csv}\nmodel: {kind: i-autorec, training: {epochs: 5}}\nseed: 1\n"
BENCHMARK = """\
name: try
data: {source: good.csv}
reference: biases
models:
- {name: biases, model: {kind: biases}}
- {name: als, model: {kind: als}, grid: {factors: [8, 16]}}
"""


def keys_of(config: type[Config], before: str = "") -> list[str]:
    """The dotted keys of a config, and of those in it that are of one kind."""
    found = []
    for name, field in config.model_fields.items():
        found.append(before + name)
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, Config):
            found += keys_of(inner, f"{before}{name}.")
    return found


keys = st.one_of(
    st.sampled_from(keys_of(ExperimentConfig) + [f"model.{key}" for key in keys_of(ItemAutoRecConfig)]),
    st.sampled_from(
        ["", ".", "..", "model.", ".kind", "split.kind", "models.0.name", "models.9.name", "a.b"]
    ),
    st.text(max_size=6),
)
texts = st.one_of(
    st.sampled_from(ODD),
    st.text(max_size=20),
    st.text(st.sampled_from("[]{}:,&*!|>'\"-? \n#ab1"), max_size=30),
)
plain = st.sampled_from(["1", "2013", "other", "[8]", "0.5", "null", "true", "ratings.csv", "u-autorec"])
assignments = st.one_of(st.builds("{}={}".format, keys, st.one_of(texts, plain)), texts)


@st.composite
def documents(draw: st.DrawFn) -> tuple[bool, str]:
    """Whether it is a benchmark, and a YAML text: a good one in which something was put elsewhere."""
    is_benchmark = draw(st.booleans())
    text = BENCHMARK if is_benchmark else EXPERIMENT
    if draw(st.booleans()):
        word = draw(st.sampled_from(list(re.finditer(r"\w+", text))))
        text = text[: word.start()] + draw(st.one_of(texts, plain)) + text[word.end() :]
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        place = draw(st.integers(0, len(text)))
        end = draw(st.sampled_from([place, place, place + 1, place + 5]))
        text = text[:place] + draw(texts) + text[end:]
    return is_benchmark, draw(texts) if draw(st.integers(0, 9)) == 7 else text


def run_yaml(case: tuple[bool, str], folder: Path) -> bool:
    is_benchmark, text = case
    path = folder / "try.yaml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    try:
        found = (load_benchmark if is_benchmark else load_experiment)(path)
    except ConfigError as error:
        check_short(error, str(path))
        return False
    assert isinstance(found, BenchmarkConfig if is_benchmark else ExperimentConfig)
    plain = yaml.load(text, Loader=yaml.BaseLoader)
    assert plain["name"] == found.name
    assert plain["data"]["source"] == found.data.source or not isinstance(found.data.source, str)
    return True


def run_set(case: list[str], folder: Path) -> bool:
    path = folder / "try.yaml"
    path.write_text(EXPERIMENT)
    (folder / "good.csv").write_text("user,item,rating\n1,2,3\n2,2,4\n")
    try:
        load_experiment(path, case)
    except ConfigError as error:
        check_short(error, str(path))
    words = (word for text in case for word in ("--set", text.replace("\0", "")))
    return called("data", "describe", str(folder / "good.csv"), *words)


def run_uri(case: tuple[str, str], folder: Path) -> bool:
    command, text = case
    text = text.replace("\0", "")
    store = f"sqlite:///{folder}/none.db"
    options = ["--users", "1"] if command == "recommend" else []
    return called(command, *options, "--tracking-uri", store, "--", text)


def check_short(error: Exception, path: str) -> None:
    text = str(error).replace(path, "")
    assert len(text) < 1_000, text


parts = st.one_of(
    st.text(string.ascii_letters + string.digits + "-_.@/:%?#&=~\\ \x1b", max_size=12),
    st.sampled_from(["x" * 300, "..", "", "1", "@", "é", "\x1b[31m", "~nosuch", "%2e%2e", "model", "\udcff"]),
)
uris = st.builds(
    "{}{}/{}{}".format,
    st.sampled_from(
        ["", "runs:/", "models:/", "runs:", "models:", "s3://", "file:///", "http://127.0.0.1:1/", "/", "./"]
    ),
    parts, parts, st.sampled_from(["", "/model", "@champion", "/1", "/99999999999999999999", "?x=1"]),
)  # fmt: skip

CASES = {
    "yaml": (documents(), run_yaml),
    "set": (st.lists(assignments, min_size=1, max_size=2), run_set),
    "uri": (st.tuples(st.sampled_from(["recommend", "evaluate", "upload"]), uris), run_uri),
}
