"""Model folders of which bytes are changed or lost, or JSON fields replaced: refused, or the same scores."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from commands import SMALL, succeed, write_ratings
from fuzzing.damage import Damage, damaged, damages
from hypothesis import strategies as st

from recsys_ae.errors import RecsysError
from recsys_ae.models.storage import load_model

KINDS = ("u-autorec", "biased-mf", "item-knn")
FILES = ("model.json", "arrays.safetensors", "history.safetensors", "users.parquet", "items.parquet")
WHOLE: dict[str, np.ndarray] = {}
json_values = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=5),
    st.just([]), st.just({}), st.lists(st.integers(0, 5), max_size=3),
)  # fmt: skip


@dataclass(frozen=True)
class FolderCase:
    """A folder of a kind of model, one file of which is damaged; or of whose document the field at a place,
    among all, is replaced."""

    kind: str
    file: str
    damage: list[Damage]
    place: float
    value: Any
    replaces: bool


cases = st.builds(
    FolderCase, st.sampled_from(KINDS), st.sampled_from(FILES), damages.filter(bool),
    st.floats(0, 1, exclude_max=True), json_values, st.booleans(),
)  # fmt: skip


def prepare(folder: Path) -> None:
    """Whole folders of each kind, and their scores."""
    data = write_ratings(folder / "ratings.csv")
    for kind in KINDS:
        small = SMALL if kind == "u-autorec" else ()
        succeed(
            "train",
            "--data",
            data,
            "--model",
            kind,
            *small,
            "--no-tracking",
            "--quiet",
            "--out",
            folder / kind,
        )
        WHOLE[kind] = scores(folder / kind / "model")


def scores(folder: Path) -> np.ndarray:
    stored = load_model(folder)
    return stored.recommender.score(stored.histories.batch(np.arange(len(stored.histories))))


def run(case: FolderCase, folder: Path) -> bool:
    copy = folder / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder / case.kind / "model", copy)
    if case.replaces:
        document = json.loads((copy / "model.json").read_text())
        places = list(fields_of(document))
        below, key = places[int(case.place * len(places))]
        below[key] = case.value
        (copy / "model.json").write_text(json.dumps(document))
    else:
        path = copy / case.file
        path.write_bytes(damaged(path.read_bytes(), case.damage))
    try:
        found = scores(copy)
    except RecsysError as error:
        said = str(error)
    else:
        said = ""
        assert np.array_equal(found, WHOLE[case.kind]), "damage that is not noticed"
    assert not said or str(copy) in said, f"the sentence names no file: {said}"
    return not said


def fields_of(document: Any) -> list[tuple[Any, Any]]:
    """Each place of a value in a document: what holds it, and its key there."""
    keys = (
        list(document)
        if isinstance(document, dict)
        else range(len(document))
        if isinstance(document, list)
        else []
    )
    return [place for key in keys for place in [(document, key), *fields_of(document[key])]]


CASES = {"model": (cases, run)}
