"""Train one model from a config file, for schedulers: one line of JSON on stdout, everything else on stderr.

Example: python pipelines/train.py configs/experiments/movietweetings-i-autorec.yaml --out runs/nightly
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from recsys_ae.errors import RecsysError
from recsys_ae.experiments.folder import new_folder
from recsys_ae.experiments.load import load_experiment
from recsys_ae.experiments.run import RunContext, run
from recsys_ae.tracking.tracker import NullTracker, Tracker


def main(arguments: list[str] | None = None, tracker: Tracker | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", type=Path)
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--experiment", default="pipelines", help="MLflow experiment")
    parser.add_argument("--no-tracking", action="store_true")
    options = parser.parse_args(arguments)
    try:
        config = load_experiment(options.config, options.overrides)
        folder = new_folder(config.name, options.out)
        told = tracker or make_tracker(options, config.name, folder)
        result = run(config, RunContext(out=folder, device=options.device), told)
    except RecsysError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(result.to_json()))
    return 0


def make_tracker(options: argparse.Namespace, name: str, folder: Path) -> Tracker:
    if options.no_tracking:
        return NullTracker()
    from recsys_ae.tracking.mlflow_tracker import MlflowTracker

    return MlflowTracker(options.experiment, name, folder=folder)


if __name__ == "__main__":
    raise SystemExit(main())
