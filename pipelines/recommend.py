"""Write the top-N lists of a stored model, for schedulers.

Example: python pipelines/recommend.py runs/nightly/model recs.parquet --data ratings-of-today.csv
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from recsys_ae.errors import RecsysError
from recsys_ae.experiments.lists import ListOptions, make_lists
from recsys_ae.tracking.registry import resolve_model


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="folder, runs:/ID/model or models:/NAME@ALIAS")
    parser.add_argument("out", type=Path, help=".parquet or .csv")
    parser.add_argument("--users", default="all")
    parser.add_argument("-n", type=int, default=10)
    parser.add_argument("--data", help="newer ratings to read")
    options = parser.parse_args(arguments)
    try:
        lists = make_lists(resolve_model(options.model), ListOptions(options.n, options.users, options.data))
        n_rows = lists.write(options.out)
    except RecsysError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{options.out}: {n_rows} rows for {lists.n_users} users")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
