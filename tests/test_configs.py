"""Every config file that ships is whole and valid."""

from __future__ import annotations

from pathlib import Path

import pytest

from recsys_ae.settings.load import load_benchmark, load_experiment, load_search
from recsys_ae.settings.spaces import axes_of, start_of

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
LOADERS = {"experiments": load_experiment, "benchmarks": load_benchmark, "search": load_search}
FILES = sorted(path for path in CONFIGS.rglob("*") if path.is_file())


def test_configs_are_found_in_every_folder():
    assert {path.relative_to(CONFIGS).parts[0] for path in FILES} == set(LOADERS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CONFIGS)))
def test_config_is_valid_and_named_like_its_file(path):
    load = LOADERS[path.relative_to(CONFIGS).parts[0]]
    config = load(path, ())
    assert path.suffix == ".yaml"
    assert config.name == path.stem


@pytest.mark.parametrize("path", [path for path in FILES if path.parent.name == "search"], ids=str)
def test_spaces_are_of_settings_that_exist_and_begin_at_the_model(path):
    entry = load_search(path).entry
    axes = axes_of(entry.model, entry.space, where=str(path))
    assert start_of(entry.model, axes) is not None
