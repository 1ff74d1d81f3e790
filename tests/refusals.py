"""What is said of ratings that are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from recsys_ae.data.configs import DataConfig
from recsys_ae.data.load import load_ratings
from recsys_ae.errors import DataError


def sentence_of(path: Path, **options) -> str:
    """The sentence with which the file at `path` is refused, after the path that it begins with."""
    with pytest.raises(DataError) as raised:
        load_ratings(DataConfig(source=str(path), **options))
    text = str(raised.value)
    assert text.startswith(str(path))
    return text.removeprefix(str(path))
