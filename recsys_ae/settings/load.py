"""YAML files and `--set key=value` become configs; whatever is wrong becomes one sentence."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

from recsys_ae.config import Config
from recsys_ae.data.configs import DataConfig
from recsys_ae.errors import ConfigError, brief, cut, without_secrets
from recsys_ae.serving.configs import RulesConfig
from recsys_ae.settings.configs import BenchmarkConfig, ExperimentConfig, SearchConfig
from recsys_ae.settings.documents import Broken, parse
from recsys_ae.settings.explain import checked
from recsys_ae.settings.overrides import override
from recsys_ae.settings.schema import advice

C = TypeVar("C", bound=Config)
_FORM = "a config is a mapping such as 'name: my-experiment'; a file of ratings goes to --data"
_BUDGET = re.compile(r"\A\s*tuning\.trials\s*=")  # of a benchmark
_COMMANDS: dict[type[Config], tuple[str, str]] = {
    BenchmarkConfig: ("a benchmark", "benchmark"),
    SearchConfig: ("a search", "tune"),
    ExperimentConfig: ("an experiment", "train"),
}


def load_experiment(path: Path | str, overrides: Sequence[str] = ()) -> ExperimentConfig:
    """The experiment of a YAML file. Raises ConfigError: one sentence with file, key, and what is allowed."""
    return _with_overrides(ExperimentConfig, _read(Path(path)), overrides, str(path))


def load_benchmark(path: Path | str, overrides: Sequence[str] = ()) -> BenchmarkConfig:
    """The benchmark of a YAML file. Raises ConfigError: one sentence with file, key, and what is allowed.

    `tuning: {trials: 30}` is another word for `trials: 30`, in the file as among the overrides.
    """
    document = _with_budget(_read(Path(path)), str(path))
    own = [_BUDGET.sub("trials=", text) for text in overrides]
    return _with_overrides(BenchmarkConfig, document, own, str(path))


def load_search(path: Path | str, overrides: Sequence[str] = ()) -> SearchConfig:
    """The search of a YAML file. Raises ConfigError: one sentence with file, key, and what is allowed."""
    return _with_overrides(SearchConfig, _read(Path(path)), overrides, str(path))


def load_rules(rules: Mapping[str, Any] | str | PathLike[str] | None) -> RulesConfig:
    """What a YAML file, or a mapping, says of what lists may hold; None: nothing. Raises ConfigError: one
    sentence with file, key, and what is allowed."""
    if rules is None or isinstance(rules, Mapping):
        return checked(RulesConfig, dict(rules or {}), where="rules")
    if not isinstance(rules, (str, PathLike)):
        raise ConfigError(f"rules are a mapping or the path of a YAML file, not {brief(rules)}")
    path = Path(rules).expanduser()
    return checked(RulesConfig, _read(path, "rules are a mapping such as 'min_ratings: 5'"), where=str(path))


def _with_budget(document: dict[str, Any], where: str) -> dict[str, Any]:
    """The document with its budget as `trials`."""
    if "tuning" not in document:
        return document
    tuning, rest = document["tuning"], {key: document[key] for key in document if key != "tuning"}
    if not isinstance(tuning, Mapping) or set(tuning) != {"trials"} or "trials" in rest:
        raise ConfigError(f"{where}: 'tuning' is {brief(tuning)}; say the budget once, as trials: 30")
    return {**rest, "trials": tuning["trials"]}


def default_experiment(
    data: str | Sequence[str], model: str, overrides: Sequence[str] = ()
) -> ExperimentConfig:
    """An experiment of defaults, for a first try. `data`: a known dataset, or paths; `model`: a kind."""
    source = _source(data)
    stem = checked(DataConfig, {"source": source}, where="--data").name
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{stem}-{model}").lstrip("-._")[:80] or "experiment"
    document = {"name": name, "data": {"source": source}, "model": {"kind": model}}
    sources = {"model.kind": f"--model {cut(model)}", "data.source": f"--data {_shown(source)}"}
    return _with_overrides(ExperimentConfig, document, overrides, "--set", sources)


def changed_experiment(config: ExperimentConfig, overrides: Sequence[str], where: str) -> ExperimentConfig:
    """The same experiment with other settings. Raises ConfigError as for those of a file."""
    return _with_overrides(ExperimentConfig, config.model_dump(mode="json"), overrides, where)


def data_config(
    data: str | Sequence[str], overrides: Sequence[str] = (), *, settings: Mapping[str, Any] | None = None
) -> DataConfig:
    """How to read a known dataset, or paths, by `settings`, else by defaults, but for `overrides`, whose keys
    may be those of an experiment (data.columns.user) or of the data alone (columns.user)."""
    source = _source(data)
    document = {**(settings or {}), "source": source}
    own = [text.strip().removeprefix("data.") for text in overrides]
    return _with_overrides(DataConfig, document, own, _shown(source))


def _source(data: str | Sequence[str]) -> str | list[str]:
    """As a file would say it: one name, or a list."""
    if isinstance(data, str):
        return data
    return data[0] if len(data) == 1 else list(data)


def _shown(source: str | list[str]) -> str:
    return cut(without_secrets(source if isinstance(source, str) else " ".join(source)))


def _with_overrides(
    root: type[C],
    document: dict[str, Any],
    overrides: Sequence[str],
    where: str,
    sources: Mapping[str, str] | None = None,
) -> C:
    _check_command(root, document, overrides, where)
    keys = {override(root, document, text): f"--set {cut(without_secrets(text))}" for text in overrides}
    return checked(root, document, where=where, sources={**(sources or {}), **keys})


def _check_command(
    root: type[Config], document: Mapping[str, Any], overrides: Sequence[str], where: str
) -> None:
    """Raises ConfigError for a file that is for another command, by the keys that it has."""
    if root not in _COMMANDS:
        return
    keys = {*document, *(text.partition("=")[0].partition(".")[0].strip() for text in overrides)}
    if "models" in keys:
        kind: type[Config] = BenchmarkConfig
    elif "model" not in keys:
        return
    else:
        kind = SearchConfig if "space" in keys else ExperimentConfig
    if kind is not root:
        what, command = _COMMANDS[kind]
        raise ConfigError(f"{where} is {what}: recsys-ae {command} {shlex.quote(where)}")


def _read(path: Path, form: str = _FORM) -> dict[str, Any]:
    """`form`: what is said of a file that holds no mapping."""
    if path.exists() and not path.is_file():
        raise ConfigError(f"{path}: is no regular file; give a YAML file")
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{without_secrets(str(path))}: no such config file{_near(path)}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text (byte {error.start}); save the file as UTF-8") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); give a YAML file") from None
    document = _parse(text, path)
    if not isinstance(document, dict):
        kinds: dict[type, str] = {str: "a text", list: "a list"}
        kind = kinds.get(type(document), "a number, true or false")
        found = "is empty" if document is None else f"holds {kind} at its top"
        raise ConfigError(f"{path}: {found}; {form}")
    return document


def _near(path: Path) -> str:
    names = sorted(str(found.name) for found in path.parent.glob("*.yaml")) if path.parent.is_dir() else []
    return f"; {advice(path.name, names)}" if names else ""


def _parse(text: str, path: Path) -> Any:
    try:
        return parse(text)
    except Broken as error:
        at = "" if error.mark is None else f", line {error.mark.line + 1}, column {error.mark.column + 1}"
        raise ConfigError(f"{path}{at}: {error.problem}") from None
