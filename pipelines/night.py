"""A night's work: test a model on the ratings of today, fit it to all of them, and write the top-N lists.

Example: python pipelines/night.py configs/experiments/movietweetings-i-autorec.yaml --out runs/tonight \
             --lists recs.parquet --limit test/rmse=1.6
OUT/tested holds the model that is tested; its metrics must keep every limit. OUT/production holds the model
that is then fitted to all ratings, in as many epochs as the tested one needed: it makes the lists. Both runs
are tracked as those of recsys-ae train. The lists are written at the very end; where anything goes wrong
before, those of yesterday stay. Exit codes: 0; 1 where a metric misses its limit; 2 for a mistake in the
command, the config or the data; 130 after Ctrl-C, 143 after SIGTERM, 129
after SIGHUP.
"""

from __future__ import annotations

import argparse
import math
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from recsys_ae.cli.options import make_tracker
from recsys_ae.errors import CapabilityError, ConfigError, RecsysError
from recsys_ae.experiments.run import run
from recsys_ae.files import check_writable
from recsys_ae.metrics import Metric, metrics_at
from recsys_ae.models.configs import with_epochs
from recsys_ae.models.storage import load_model
from recsys_ae.results.folder import MODEL, new_folder
from recsys_ae.results.result import RunResult, tracked
from recsys_ae.serving.lists import recommend
from recsys_ae.serving.writer import write_top_n
from recsys_ae.settings.configs import ExperimentConfig
from recsys_ae.settings.load import load_experiment
from recsys_ae.settings.schema import advice
from recsys_ae.splitting.configs import AllSplitConfig, PredefinedSplitConfig
from recsys_ae.tracking.tracker import Tracker
from recsys_ae.training.interrupts import Terminated, terminated
from recsys_ae.training.runner import Context


@dataclass(frozen=True, slots=True)
class Limit:
    """The worst value that a metric of the test part may have. `name`: as tracked, such as test/rmse."""

    name: str
    metric: Metric
    value: float

    @classmethod
    def parse(cls, text: str, config: ExperimentConfig) -> Limit:
        """The limit that "test/rmse=1.6" says. Raises ConfigError where it does not say one, and where the
        model of `config` will not have the metric."""
        name, _, number = text.partition("=")
        known = test_metrics(config)
        if name not in known:
            raise ConfigError(
                f"--limit {text}: {config.model.kind} has no metric {name!r}; {advice(name, list(known))}"
            )
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise ConfigError(f"--limit {text}: write METRIC=NUMBER, such as {name}=1.6")
        return cls(name, known[name], value)

    def is_missed_by(self, metrics: Mapping[str, float]) -> bool:
        """Whether the metric is worse than its limit, or undefined."""
        found = metrics.get(self.name, math.nan)
        return math.isnan(found) or self.metric.is_better(self.value, found)


def test_metrics(config: ExperimentConfig) -> dict[str, Metric]:
    """All metrics that a model of this config may have, by their tracked names."""
    possible = [
        metric for metric in metrics_at(config.evaluation.cutoffs) if getattr(config.model, metric.needs)
    ]
    return dict(zip(tracked({metric.key: 0.0 for metric in possible}), possible, strict=True))


def main(arguments: list[str] | None = None, tracker_of: Callable[..., Tracker] = make_tracker) -> int:
    options = _parser().parse_args(arguments)
    try:
        with terminated():
            return night(options, tracker_of)
    except RecsysError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except Terminated as error:
        print(f"stopped by {error}; {options.lists} is as it was", file=sys.stderr)
        return 128 + signal.Signals[str(error)]
    except KeyboardInterrupt:
        print(f"stopped by Ctrl-C; {options.lists} is as it was", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", type=Path)
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--out", type=Path, help="folder of both runs; default: runs/NAME-TIME")
    parser.add_argument("--lists", type=Path, required=True, help=".parquet or .csv")
    parser.add_argument("-n", type=int, default=10, help="length of the lists")
    parser.add_argument("--limit", action="append", default=[], metavar="METRIC=VALUE")
    parser.add_argument("--experiment", help="MLflow experiment; default: named after the data")
    parser.add_argument("--tracking-uri", metavar="URI", help="MLflow store; default: as recsys-ae train")
    parser.add_argument("--no-tracking", action="store_true")
    return parser


def night(options: argparse.Namespace, tracker_of: Callable[..., Tracker]) -> int:
    """Test, fit to all ratings, write the lists; the answer is the exit code. Mistakes that can be known
    beforehand are refused before anything is fitted."""
    config = load_experiment(options.config, options.overrides)
    limits = [Limit.parse(text, config) for text in options.limit]
    _check(config, options)
    with new_folder(config, options.out) as folder:
        return _night(config, limits, folder, options, tracker_of)


def _night(
    config: ExperimentConfig,
    limits: Sequence[Limit],
    folder: Path,
    options: argparse.Namespace,
    tracker_of: Callable[..., Tracker],
) -> int:
    def run_in(name: str, config: ExperimentConfig) -> RunResult:
        experiment = options.experiment or config.data.name
        tracker = tracker_of(
            experiment, config.name, uri=options.tracking_uri, off=options.no_tracking, folder=folder / name
        )
        result = run(config, folder / name, Context(), tracker)
        if result.fit.interrupted:  # a model from the middle of its training serves nobody
            raise KeyboardInterrupt
        return result

    tested = run_in("tested", config)
    metrics = tracked(tested.report.metrics)
    if missed := [limit for limit in limits if limit.is_missed_by(metrics)]:
        found = ", ".join(f"{limit.name} is {metrics.get(limit.name, math.nan):g} and its limit "
                          f"{limit.value:g}" for limit in missed)  # fmt: skip
        print(f"not good enough: {found}; {options.lists} is as it was", file=sys.stderr)
        return 1
    production = run_in("production", production_config(config, tested.fit.best_epoch))
    stored = load_model(production.folder / MODEL)
    blocks = recommend(stored.recommender, stored.histories, n=options.n)
    users, items = stored.histories.users, stored.recommender.items
    n_rows = write_top_n(options.lists, blocks, users=users, items=items)
    print(f"tested model:     {tested.model} ({tested.folder})")
    print(f"production model: {production.model} ({production.folder})")
    print(f"{options.lists}: {n_rows} rows, by the production model")
    return 0


def _check(config: ExperimentConfig, options: argparse.Namespace) -> None:
    """Raise ConfigError or CapabilityError for what would fail only after the training."""
    if options.n < 1:
        raise ConfigError(f"-n {options.n}: the lists need one item at least")
    if options.lists.suffix.lower() not in (".parquet", ".csv") or options.lists.is_dir():
        raise ConfigError(f"--lists {options.lists}: name a file that ends with .parquet or .csv")
    check_writable(options.lists, "--lists")
    if isinstance(config.split, PredefinedSplitConfig):
        raise ConfigError(
            f"{options.config}: the split 'predefined' is made of two files, and the model of the lists is "
            "fitted to one; name the file of all ratings, and another split"
        )
    if isinstance(config.split, AllSplitConfig):
        raise ConfigError(
            f"{options.config}: the split 'all' leaves nothing to test on; name another, the model of the "
            "lists is fitted to all ratings anyway"
        )
    if not config.model.ranks:
        kind = config.model.kind
        raise CapabilityError(f"{options.config}: the model {kind!r} ranks nothing; take another for lists")


def production_config(config: ExperimentConfig, best_epoch: int | None) -> ExperimentConfig:
    """The same model on all ratings, in as many epochs as the tested one needed; nothing is held out."""
    return config.model_copy(
        update={
            "name": f"{config.name[:69]}-production",  # a name has 80 characters at most
            "split": AllSplitConfig(),
            "validation": None,
            "model": config.model if best_epoch is None else with_epochs(config.model, best_epoch),
        }
    )


if __name__ == "__main__":
    raise SystemExit(main())
