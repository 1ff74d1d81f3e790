"""A night's work: train on the ratings of today, and write the top-N lists only if the model is good enough.

Example: python pipelines/night.py configs/experiments/movietweetings-i-autorec.yaml --out runs/tonight \
             --lists recs.parquet --limit test/rmse=1.6
Exit code 1, and no lists, where a metric misses its limit: the lists of yesterday stay.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from recsys_ae.errors import ConfigError, RecsysError
from recsys_ae.experiments.folder import new_folder
from recsys_ae.experiments.lists import ListOptions, make_lists
from recsys_ae.experiments.load import load_experiment
from recsys_ae.experiments.run import RunContext, run
from recsys_ae.reporting.directions import lower_is_better
from recsys_ae.tracking.tracker import NullTracker, Tracker


def main(arguments: list[str] | None = None, tracker: Tracker | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", type=Path)
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--lists", type=Path, required=True, help=".parquet or .csv")
    parser.add_argument("-n", type=int, default=10)
    parser.add_argument("--limit", action="append", default=[], metavar="METRIC=VALUE")
    options = parser.parse_args(arguments)
    try:
        config = load_experiment(options.config, options.overrides)
        folder = new_folder(config.name, options.out)
        result = run(config, RunContext(out=folder), tracker or NullTracker())
        missed = [text for text in options.limit if misses(result.metrics, text)]
        if missed:
            print(f"not good enough ({', '.join(missed)}): {result.metrics}", file=sys.stderr)
            return 1
        n_rows = make_lists(folder / "model", ListOptions(options.n)).write(options.lists)
    except RecsysError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{options.lists}: {n_rows} rows")
    return 0


def misses(metrics: dict[str, float], limit: str) -> bool:
    """Whether a metric is on the wrong side of "test/rmse=1.6"."""
    name, _, text = limit.partition("=")
    try:
        value, allowed = metrics[name], float(text)
    except (KeyError, ValueError):
        raise ConfigError(f"--limit {limit}: write METRIC=VALUE; metrics are {', '.join(metrics)}") from None
    return value > allowed if lower_is_better(name) else value < allowed


if __name__ == "__main__":
    raise SystemExit(main())
