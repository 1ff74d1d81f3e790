"""A stored model tested again, on its own split or on another one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recsys_ae.data.datasets import DATASETS
from recsys_ae.errors import ConfigError, StorageError
from recsys_ae.evaluation.contamination import SEEN, Training, evaluate_unless_seen
from recsys_ae.experiments.prepare import prepare
from recsys_ae.metrics import is_ranking_metric
from recsys_ae.models.storage import load_model
from recsys_ae.results.result import tracked
from recsys_ae.settings.configs import ExperimentConfig
from recsys_ae.settings.explain import checked
from recsys_ae.settings.load import changed_experiment
from recsys_ae.types import Progress, unwatched


def retest(
    folder: Path,
    overrides: Sequence[str] = (),
    *,
    anyway: bool = False,
    on_read: Progress = unwatched,
    on_tested: Progress = unwatched,
) -> dict[str, Any]:
    """Test a stored model again, by the config in its folder and the `key=value` settings that change it:
    data, split, seed or evaluation. A relative path of the data is looked for here, then where the model was
    trained. `on_read`: told how many bytes of the ratings have been read, of how many; `on_tested`: the same
    of users.

    The answer has the "validation" that chose the model (None where nothing was chosen, or it is not known),
    "metrics", "relevance" (what counts as a hit), "counts", the "status" of the test,
    "holdout_in_training" and, of the model's own split, "stored_metrics", which should be equal; those of
    lists that were judged by another relevance are left out. Raises StorageError where the folder names no
    config, ConfigError for another setting, and DataError where the model was trained on ratings of the
    holdout or on other data, unless the test is wanted `anyway`.
    """
    stored = load_model(folder)
    if "config" not in stored.info:
        raise StorageError(
            f"{folder}: the model does not say how it was trained; evaluate one that train has made"
        )
    where = str(folder / "model.json")
    before = _located(checked(ExperimentConfig, stored.info["config"], where=where), stored.info)
    config = changed_experiment(before, overrides, where)
    if (config.model, config.validation) != (before.model, before.validation):
        raise ConfigError("the model is trained already: evaluate with other data, split, seed or evaluation")
    split = prepare(config.data, config.split, config.seed, on_read)
    training = Training(stored.histories, stored.recommender.items, stored.info["data_fingerprint"])
    report = evaluate_unless_seen(
        stored.recommender, split, training, config.evaluation, anyway=anyway, on_tested=on_tested
    )
    is_own = report.split_fingerprint == stored.info["split_fingerprint"]
    return {
        "status": report.status,
        "validation": stored.info.get("validation"),
        SEEN: report.counts[SEEN],
        "metrics": tracked(report.metrics),
        "relevance": report.relevance,
        "counts": dict(report.counts),
        "stored_metrics": _comparable(stored.info, report.relevance) if is_own else {},
        "split_fingerprint": report.split_fingerprint,
    }


def _comparable(info: Mapping[str, Any], relevance: str) -> dict[str, float]:
    """The stored metrics without those of lists where other ratings were hits, or it is not known."""
    if info.get("relevance") == relevance:
        return dict(info["metrics"])
    return {name: value for name, value in info["metrics"].items() if not is_ranking_metric(name)}


def _located(config: ExperimentConfig, info: Mapping[str, Any]) -> ExperimentConfig:
    """The config with paths that lead to its data from here, where the model folder knows them."""
    folder = Path(info.get("working_folder", ""))
    there = [
        str(folder / source)
        if source not in DATASETS and not Path(source).exists() and (folder / source).exists()
        else source
        for source in config.data.sources
    ]
    source = there[0] if isinstance(config.data.source, str) else tuple(there)
    return config.model_copy(update={"data": config.data.model_copy(update={"source": source})})
