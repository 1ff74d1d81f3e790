"""Compare models from a config file, for schedulers: the table as Markdown on stdout.

Example: python pipelines/benchmark.py configs/benchmarks/movietweetings.yaml --out runs/comparison
Exit code 1 where a model failed, so that a scheduler notices.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from recsys_ae.errors import RecsysError
from recsys_ae.experiments.benchmark import BenchmarkContext, run_benchmark
from recsys_ae.experiments.folder import new_folder
from recsys_ae.experiments.load import load_benchmark
from recsys_ae.experiments.standings import summary_table
from recsys_ae.tracking.tracker import NullTracker, Tracker


def main(arguments: list[str] | None = None, tracker: Tracker | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", type=Path)
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--no-tracking", action="store_true")
    options = parser.parse_args(arguments)
    try:
        config = load_benchmark(options.config, options.overrides)
        folder = new_folder(config.name, options.out)
        told = tracker or make_tracker(options, config.name, folder)
        result = run_benchmark(config, BenchmarkContext(folder, options.device), told)
    except RecsysError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(summary_table(result).markdown())
    return 1 if any(entry.error for entry in result.entries) else 0


def make_tracker(options: argparse.Namespace, name: str, folder: Path) -> Tracker:
    if options.no_tracking:
        return NullTracker()
    from recsys_ae.tracking.mlflow_tracker import MlflowTracker

    return MlflowTracker(name, name, folder=folder)


if __name__ == "__main__":
    raise SystemExit(main())
