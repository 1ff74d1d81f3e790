"""Ratings as MLflow's datasets: what they are and where they come from, not the ratings themselves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mlflow.data.dataset import Dataset
from mlflow.data.meta_dataset import MetaDataset
from mlflow.data.sources import LocalArtifactDatasetSource  # type: ignore[attr-defined]  # made when imported
from mlflow.entities import DatasetInput, InputTag
from mlflow.types import ColSpec, Schema, TensorSpec

from recsys_ae.tracking.tracker import DatasetRecord

_NAME_LENGTH, _DIGEST_LENGTH, _TAG_LENGTH = 500, 36, 500


class RatingsDataset(MetaDataset):
    """A `MetaDataset` with a profile, which that of MLflow has not."""

    def __init__(self, record: DatasetRecord) -> None:
        columns: list[ColSpec | TensorSpec] = [ColSpec(kind, name) for name, kind in record.columns.items()]
        source = LocalArtifactDatasetSource(record.source or record.name)
        super().__init__(source, *identity(record), Schema(columns) if columns else None)
        self._profile: Mapping[str, Any] = record.profile

    @property
    def profile(self) -> Mapping[str, Any]:
        return self._profile

    def to_dict(self) -> dict[str, str]:
        return {**super().to_dict(), "profile": json.dumps(dict(self._profile))}


def identity(record: DatasetRecord) -> tuple[str, str]:
    """Name and digest, by which stores know a dataset, in the lengths that they take."""
    return record.name[:_NAME_LENGTH], record.fingerprint[:_DIGEST_LENGTH]


def dataset_input(record: DatasetRecord) -> DatasetInput:
    """The dataset as an input of a run, with what it was used for and how it was divided."""
    dataset: Dataset = RatingsDataset(record)
    tags = {"mlflow.data.context": record.context, "split": record.split,
            "split_fingerprint": record.split_fingerprint}  # fmt: skip
    shown = [InputTag(name, value[:_TAG_LENGTH]) for name, value in tags.items() if value]
    return DatasetInput(dataset._to_mlflow_entity(), shown)
