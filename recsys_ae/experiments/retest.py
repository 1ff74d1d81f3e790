"""A stored model tested again: the check that what was logged can be reproduced."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recsys_ae.errors import DataError, StorageError
from recsys_ae.evaluation.evaluator import evaluate
from recsys_ae.experiments.load import experiment_of
from recsys_ae.experiments.prepare import prepare
from recsys_ae.models.storage import load_model


def retest(folder: Path) -> dict[str, Any]:
    """Load, split and test by the config in a model folder; "metrics" beside "stored_metrics".

    Raises StorageError where the folder names no config, DataError where the data have changed since.
    """
    stored = load_model(folder)
    if "config" not in stored.info:
        raise StorageError(
            f"{folder}: the model does not say how it was trained; evaluate one that train has made"
        )
    config = experiment_of(stored.info["config"], where=str(folder / "model.json"))
    split = prepare(config.data, config.split, config.seed)
    if split.fingerprint() != stored.info["split_fingerprint"]:
        raise DataError(
            f"{config.data.source}: the ratings are not those that the model was trained on (other "
            "fingerprint); put the old file back, or train again"
        )
    report = evaluate(stored.recommender, split, config.evaluation)
    return {
        "metrics": {f"test/{name}": float(value) for name, value in report.metrics.items()},
        "stored_metrics": stored.info["metrics"],
        "split_fingerprint": report.split_fingerprint,
    }
