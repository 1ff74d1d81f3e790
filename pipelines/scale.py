"""How fast lists are made for very many users, beside the bare matrix products that their scores are.

Example: python pipelines/scale.py --users 1000000 --out lists-of-a-million
Users and items are made up: factors of --factors numbers each, and --ratings rated items of each user, drawn
uniformly. In every round the products of a part of the users, in the blocks and by the threads of the job,
are followed by the lists of that part, written as `recsys-ae recommend --out lists` writes them, so that what
else the machine does slows both. Prints users per second, their ratio, and the highest memory. The lists stay
in OUT, a folder for each round; without --out they go when all is done. Exit codes: 0; 2 for a mistake.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from scipy.sparse import csr_array

from recsys_ae.data.histories import Histories, blocks_of
from recsys_ae.data.ids import IdMap
from recsys_ae.errors import RecsysError
from recsys_ae.experiments.resources import measured, timed
from recsys_ae.models.factors import FactorRecommender
from recsys_ae.models.storage import model_facts
from recsys_ae.provenance import threads_in_force
from recsys_ae.reporting.progress import watched
from recsys_ae.rng import numpy_generator
from recsys_ae.serving.audience import Audience
from recsys_ae.serving.batch import make_lists
from recsys_ae.serving.job import job_of
from recsys_ae.serving.workers import in_order, one_thread_each
from recsys_ae.types import PositionVector


def main(arguments: Sequence[str] | None = None) -> int:
    options = parsed(arguments)
    threads = options.threads or threads_in_force()
    print(
        f"{options.users:,} users with {options.ratings} ratings each, {options.items:,} items, "
        f"{options.factors} factors, top {options.n}, {threads} threads"
    )
    with ExitStack() as stack:
        out = options.out or Path(stack.enter_context(TemporaryDirectory(prefix="recsys-ae-scale-")))
        usage = stack.enter_context(measured())
        try:
            run(options, out, threads)
        except RecsysError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
    print(f"highest memory {usage.peak_memory_mb:,.0f} MB, {factors_mb(options):,.0f} MB of it the factors")
    return 0


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, default in (("users", 20_000), ("items", 20_000), ("factors", 500), ("ratings", 20), ("n", 20),
                          ("rounds", 4)):  # fmt: skip
        parser.add_argument("-n" if name == "n" else f"--{name}", type=positive, default=default)
    parser.add_argument("--threads", type=positive, help="default: all")
    parser.add_argument("--out", type=Path, help="folder that keeps the lists")
    return parser.parse_args(arguments)


def positive(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return int(text)


def run(options: argparse.Namespace, out: Path, threads: int) -> None:
    """Print a line for each round, and one for all of them."""
    model = made_up_model(options.users, options.items, options.factors)
    histories = made_up_histories(model, options.ratings)
    print(f"{'round':>5} {'products/s':>11} {'lists/s':>11} {'ratio':>6}")
    total = np.zeros(2)
    for number, rows in enumerate(np.array_split(np.arange(options.users), options.rounds), start=1):
        job = job_of(
            model,
            Audience(histories, rows),
            model=model_facts(model, {}, asked=None, uri=None),
            histories=histories,
            training=histories,
            n=options.n,
        )
        with timed() as of_products:
            multiply(model, rows, block_users=job.settings["block_users"], threads=threads)
        with timed() as of_lists, watched(shown=None) as line:
            make_lists(out / f"round-{number}", job, threads=threads, on_listed=line.listing)
        seconds = np.array([of_products.seconds, of_lists.seconds])
        show(str(number), len(rows), seconds)
        total += seconds
    show("all", options.users, total)


def show(name: str, n_users: int, seconds: np.ndarray) -> None:
    products, lists = n_users / seconds
    print(f"{name:>5} {products:>11,.0f} {lists:>11,.0f} {lists / products:>6.2f}", flush=True)


def multiply(model: FactorRecommender, rows: PositionVector, *, block_users: int, threads: int) -> None:
    """The products that the scores of these users are, and nothing else."""

    def product(block: PositionVector) -> None:
        model.user_factors[block] @ model.item_factors.T

    with one_thread_each():
        for _ in in_order(product, blocks_of(rows, len(model.items), block_users), workers=threads):
            pass


def made_up_model(n_users: int, n_items: int, n_factors: int) -> FactorRecommender:
    rng = numpy_generator(0, "scale", "factors")
    return FactorRecommender(
        users=IdMap(np.arange(n_users)),
        items=IdMap(np.arange(n_items)),
        user_factors=rng.standard_normal((n_users, n_factors), dtype=np.float32),
        item_factors=rng.standard_normal((n_items, n_factors), dtype=np.float32),
        user_biases=rng.standard_normal(n_users, dtype=np.float32),
        item_biases=rng.standard_normal(n_items, dtype=np.float32),
    )


def made_up_histories(model: FactorRecommender, n_ratings: int) -> Histories:
    """Every user has rated one item in each of so many equal parts of the catalogue."""
    n_users, n_items = len(model.users), len(model.items)
    n_ratings = min(n_ratings, n_items)
    edges = np.linspace(0, n_items, n_ratings + 1).astype(np.int64)
    rng = numpy_generator(0, "scale", "ratings")
    items = rng.integers(edges[:-1], edges[1:], (n_users, n_ratings), dtype=np.int64).astype(np.int32)
    starts = np.arange(0, n_users * n_ratings + 1, n_ratings)
    values = np.ones(n_users * n_ratings, dtype=np.float32)
    matrix = csr_array((values, items.ravel(), starts), shape=(n_users, n_items))
    return Histories(model.users, np.arange(n_users), matrix)


def factors_mb(options: argparse.Namespace) -> float:
    return 4e-6 * (options.users + options.items) * options.factors


if __name__ == "__main__":
    raise SystemExit(main())
