"""A linear autoencoder is PCA and matrix factorisation: where that holds, and where it ends, in figures.

Example: RECSYS_AE_DATA=data python pipelines/linear_equivalence.py --out runs/equivalence
Five experiments, the last on real ratings: the benchmark of linear models of --benchmark, whose fitted models
are compared, too. OUT gets a table of each as CSV, all of them in equivalence.md and equivalence.json, and
the benchmark in OUT/ratings. Minutes on two cores. Exit codes: 0; 2 for a mistake in the command, the config
or the data.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np

from recsys_ae.analysis.denoising import (
    distance_to_closed_form,
    likes_matrix,
    train_by_chance,
    train_by_design,
)
from recsys_ae.analysis.incomplete import (
    complete_ratings,
    factorise,
    hide_cells,
    item_axes,
    linear_models,
    predictions,
)
from recsys_ae.analysis.linear_equivalence import (
    LinearMap,
    Matrix,
    agreement,
    axis_angles,
    best_map,
    double_centred,
    largest_angle,
    principal_angles,
    shrunk_map,
    soft_thresholded,
    spectral_matrix,
    train_linear_autoencoder,
)
from recsys_ae.errors import ConfigError, RecsysError
from recsys_ae.experiments.benchmark import run_benchmark
from recsys_ae.files import check_writable, replaced
from recsys_ae.models.configs import CosineSchedule, TrainingConfig
from recsys_ae.models.fit import fit
from recsys_ae.models.storage import load_model
from recsys_ae.reporting.tables import Table
from recsys_ae.results.benchmark import BenchmarkResult, Entry, full_table
from recsys_ae.results.folder import MODEL, new_folder
from recsys_ae.settings.load import load_benchmark
from recsys_ae.tracking.tracker import NullTracker
from recsys_ae.training.runner import Context

BENCHMARK = Path(__file__).resolve().parents[1] / "configs/benchmarks/linear-equivalence-ml-100k.yaml"
LBFGS = TrainingConfig(optimizer="l-bfgs-b", epochs=10, iterations_per_epoch=200, patience=None)
ADAM = TrainingConfig(
    epochs=600, batch_size=10_000, min_steps=1, learning_rate=0.1, schedule=CosineSchedule(), patience=None
)
ONE_SAMPLE = TrainingConfig(optimizer="l-bfgs-b", epochs=1, iterations_per_epoch=300, patience=None)
RANK = 4


@dataclass(frozen=True, slots=True)
class Finding:
    """What one experiment found. `name`: of its file; `words`: what the table shows."""

    name: str
    words: str
    table: Table


def complete_data(options: argparse.Namespace) -> Iterator[Finding]:
    """Gradient descent beside the singular value decomposition, where nothing is missing."""
    matrix = spectral_matrix((120, 40), [10.0, 8.0, 6.0, 5.0], noise=0.1)
    offsets = np.linspace(-0.25, 0.25, 40)
    cases: dict[str, tuple[Matrix, bool]] = {
        "X, around zero": (matrix, False),
        "X + a, columns with means": (matrix + offsets, True),
        "-30 (X + a) - 70, negative": (-30.0 * (matrix + offsets) - 70.0, True),
        "1000 (X + a) + 5000, thousands": (1000.0 * (matrix + offsets) + 5000.0, True),
    }
    rows = []
    for unit, (data, biases) in cases.items():
        best = best_map(data, RANK, biases=biases)
        for tied in (False, True):
            for optimizer, training in {"L-BFGS-B": LBFGS, "Adam": ADAM}.items():
                start = time.perf_counter()
                trained = train_linear_autoencoder(data, RANK, training, tied=tied, biases=biases)
                found, seconds = agreement(trained, best, data), time.perf_counter() - start
                compared = "PCA" if biases else "truncated SVD"
                layers = "tied" if tied else "untied"
                rows.append(
                    (unit, compared, layers, optimizer, f"{found.excess:.1e}", f"{found.angle:.1e}", seconds)
                )
    columns = ("data", "beside", "layers", "optimiser", "error above the best", "largest angle", "s")
    yield Finding(
        "complete",
        "On complete data a linear autoencoder of rank 4 ends at the truncated SVD, and with biases at PCA: "
        "squared error above the best as a share of it, largest principal angle in radians.",
        Table(columns, tuple(rows), decimals={"s": 1}),
    )


def shrinkage(options: argparse.Namespace) -> Iterator[Finding]:
    """What L2 makes of the equivalence."""
    matrix = double_centred(spectral_matrix((120, 40), [10.0, 8.0, 6.0, 5.0], noise=0.1))
    plain = best_map(matrix, RANK)
    rows = []
    for l2 in (0.0, 2.0, 8.0, 40.0):
        for tied in (False, True):
            trained = train_linear_autoencoder(matrix, RANK, LBFGS, tied=tied, l2=l2)
            expected = shrunk_map(matrix, RANK, l2, tied=tied)
            angles = axis_angles(trained, plain)[: expected.axes.shape[1]]
            kept = [_kept(one(matrix), matrix, plain) for one in (trained, expected)]
            rows.append((f"{l2:g}", "tied layers" if tied else "layers", *kept, float(angles.max())))
        if l2:
            factors = factorise(matrix, RANK, l2 / 2)
            kept = [_kept(one, matrix, plain) for one in (factors, soft_thresholded(matrix, RANK, l2 / 2))]
            rows.append((f"{l2:g}", "factors (biased-mf)", *kept, None))
    columns = ("l2", "of", "share kept", "closed form", "largest axis angle")
    yield Finding(
        "shrinkage",
        "L2 turns the axes of the output layer to the principal ones, one by one, and shrinks each singular "
        "value from s to s - c / s, where c is l2 / 2, for tied layers l2 / 4. Factors with the same penalty "
        "shrink to s - c. Shares are means over the four axes, angles in radians.",
        Table(columns, tuple(rows)),
    )


def _kept(reconstructed: Matrix, matrix: Matrix, best: LinearMap) -> float:
    """The share of what lies along each principal axis that is reconstructed, on average."""
    along = [one @ best.axes for one in (reconstructed, matrix)]
    return float(((along[0] * along[1]).sum(axis=0) / np.square(along[1]).sum(axis=0)).mean())


def denoising(options: argparse.Namespace) -> Iterator[Finding]:
    """Masking noise beside its closed forms."""
    likes = likes_matrix((200, 12))
    rows: list[tuple] = []
    for copies in (1, 4, 16, 64, 256):
        trained = [train_by_chance(likes, kind, 0.5, ONE_SAMPLE, copies=copies) for kind in ("dlae", "edlae")]
        rows.append((f"{copies} at random", *_distances(trained, likes)))
    trained = [train_by_design(likes, kind, LBFGS) for kind in ("dlae", "edlae")]
    rows.append(("32 balanced", *_distances(trained, likes)))
    yield Finding(
        "denoising",
        "A linear autoencoder of full rank, trained with half of its inputs hidden, converges to the closed "
        "form: relative distance of the weights to those of dlae (loss on all entries) and of edlae (loss on "
        "hidden entries; off the diagonal), by the masks that each row is seen with.",
        Table(("masks of a row", "to dlae", "to edlae"), tuple(rows), decimals={"to dlae": 6, "to edlae": 6}),
    )


def _distances(trained: Sequence, likes: Matrix) -> list[float]:
    return [
        distance_to_closed_form(one, likes, kind, 0.5)
        for one, kind in zip(trained, ("dlae", "edlae"), strict=True)
    ]


def missing_cells(options: argparse.Namespace) -> Iterator[Finding]:
    """How the kinds part as more ratings are missing."""
    liking = spectral_matrix((200, 60), [22.0, 18.0, 15.0])
    noisy = spectral_matrix((200, 60), [22.0, 18.0, 15.0], noise=0.3)
    rows = []
    for share in (0.0, 0.1, 0.3, 0.5, 0.7):
        ratings = hide_cells(complete_ratings(3.5 + noisy), share)
        models = {name: fit(config, ratings).model for name, config in linear_models(3).items()}
        found = {name: predictions(model, ratings) for name, model in models.items()}
        errors = [_root_mean_square(one - 3.5 - liking) for one in found.values()]
        gaps = [_root_mean_square(one - found["biased-mf"]) for one in list(found.values())[:-1]]
        axes = item_axes(models["biased-mf"])
        angles = [largest_angle(item_axes(model), axes) for model in list(models.values())[:-1]]
        rows.append((f"{share:.0%}", *errors, *gaps, *angles))
    names = list(linear_models(3))
    columns = (
        "missing",
        *(f"RMSE {name}" for name in names),
        *(f"{name} to MF" for name in names[:-1]),
        *(f"angle {name}" for name in names[:-1]),
    )
    yield Finding(
        "missing",
        "Four kinds without penalties are one model on complete ratings of rank 3, and part as cells are "
        "missing: RMSE on all cells against the ratings without noise, root mean square between predictions "
        "and those of MF, largest angle between the axes of the items and those of MF in radians.",
        Table(columns, tuple(rows)),
    )


def real_ratings(options: argparse.Namespace) -> Iterator[Finding]:
    """Linear autoencoders beside MF of the same rank on real, incomplete ratings."""
    config = load_benchmark(options.benchmark, options.overrides)
    if "biases" not in {entry.name for entry in config.models}:
        raise ConfigError(f"{options.benchmark}: name a model 'biases', to see what others say beyond it")
    with new_folder(config, options.out / "ratings") as folder:
        result = run_benchmark(
            config, folder, Context(), NullTracker(), on_run=lambda run: options.tell(run.title)
        )
    table = full_table(result)
    to_reference = f"rmse to {config.reference}"
    yield Finding(
        "ratings",
        f"Benchmark {config.name}; differences to {config.reference}.",
        table.select(["model", "validation rmse", "rmse", to_reference]),
    )
    yield Finding(
        "agreement",
        f"How alike the fitted models are to {config.reference}: correlation of their predictions of held-"
        "out ratings, of what these say beyond the bias model, and the angles between the axes of the items "
        "in degrees (median and largest); means over the splits.",
        agreement_table(result),
    )


def agreement_table(result: BenchmarkResult) -> Table:
    """Each model of items' axes beside the reference."""
    for entry in result.entries:
        if entry.error is not None:
            raise ConfigError(f"{entry.config.name} cannot be compared: {entry.error}")
    entries = {entry.config.name: entry for entry in result.entries}
    reference, biases = entries.pop(result.config.reference), entries.pop("biases")
    rows = []
    for name, entry in entries.items():
        seeds = range(len(entry.runs))
        base = [_predicted(biases, seed) for seed in seeds]
        pairs = [(_predicted(entry, seed), _predicted(reference, seed)) for seed in seeds]
        whole = fmean(_correlation(one, other) for one, other in pairs)
        beyond = fmean(_correlation(a - b, c - b) for (a, c), b in zip(pairs, base, strict=True))
        angles = np.mean([_angles(entry, reference, seed) for seed in seeds], axis=0)
        rows.append((name, whole, beyond, *np.degrees([np.median(angles), angles.max()]).tolist()))
    columns = ("model", "correlation", "beyond biases", "median angle", "largest angle")
    return Table(columns, tuple(rows), decimals={"median angle": 1, "largest angle": 1})


def _predicted(entry: Entry, seed: int) -> np.ndarray:
    found = entry.runs[seed].report.predictions
    assert found is not None  # all of them predict ratings
    return found.predicted.astype(np.float64)


def _angles(entry: Entry, reference: Entry, seed: int) -> np.ndarray:
    models = [load_model(one.runs[seed].folder / MODEL).recommender for one in (entry, reference)]
    return principal_angles(*(item_axes(model) for model in models))


def _correlation(some: np.ndarray, others: np.ndarray) -> float:
    return float(np.corrcoef(some, others)[0, 1])


def _root_mean_square(errors: Matrix) -> float:
    return float(np.sqrt(np.mean(np.square(errors))))


EXPERIMENTS: dict[str, Callable[[argparse.Namespace], Iterator[Finding]]] = {
    "complete": complete_data,
    "shrinkage": shrinkage,
    "denoising": denoising,
    "missing": missing_cells,
    "ratings": real_ratings,
}


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    options.tell = lambda text: print(f"fitting {text}", file=sys.stderr)
    try:
        return _all(options)
    except RecsysError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _all(options: argparse.Namespace) -> int:
    check_writable(options.out, "--out")
    if options.out.exists() and (not options.out.is_dir() or any(options.out.iterdir())):
        raise ConfigError(f"--out {options.out}: results are never overwritten; name a new folder")
    options.out.mkdir(parents=True, exist_ok=True)
    findings: list[Finding] = []
    for name in options.only or EXPERIMENTS:
        for finding in EXPERIMENTS[name](options):
            findings.append(finding)
            print(f"## {finding.name}\n\n{finding.words}\n\n{finding.table.markdown()}", flush=True)
            _write(findings, options.out)
    print(f"all tables: {options.out / 'equivalence.md'}")
    return 0


def _write(findings: Sequence[Finding], out: Path) -> None:
    """All findings so far; what fails later takes none of them away."""
    last = findings[-1]
    text = "\n".join(f"## {one.name}\n\n{one.words}\n\n{one.table.markdown()}" for one in findings)
    document = {
        one.name: {"words": one.words, "columns": one.table.columns, "rows": one.table.rows}
        for one in findings
    }
    for name, content in {
        f"{last.name}.csv": last.table.csv(),
        "equivalence.md": text,
        "equivalence.json": json.dumps(document, indent=1),
    }.items():
        with replaced(out / name) as temporary:
            temporary.write_text(content, encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="a new folder")
    parser.add_argument("--only", nargs="+", choices=EXPERIMENTS, help="some of the experiments")
    parser.add_argument("--benchmark", type=Path, default=BENCHMARK, help="of the real ratings")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
