"""The house stands as drawn: import directions, sizes, and habits that no reviewer should have to watch."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "recsys_ae"
SOURCES = sorted(PACKAGE.rglob("*.py"))
PIPELINES = sorted((ROOT / "pipelines").glob("*.py"))
Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def nodes(path: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(path.read_text(encoding="utf-8"), filename=str(path)))


def dotted(node: ast.AST) -> str:
    """`a.b.c` of a chain of attributes, with "" for what is not a name."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=attribute):
            return f"{dotted(value)}.{attribute}"
    return ""


def code_lines(function: Function) -> int:
    """Lines of a function's body, the docstring left out; a command's options are its signature."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def long_functions(limit: int) -> list[str]:
    return [
        f"{name_of(path)}:{node.lineno} {node.name} ({code_lines(node)} lines)"
        for path in SOURCES + PIPELINES
        for node in nodes(path)
        if isinstance(node, Function) and code_lines(node) > limit
    ]


def tracked_texts() -> Iterator[tuple[str, str]]:
    """(name, text) of every text file under version control."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path.is_file() and path != Path(__file__).resolve():
            try:
                yield name, path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue  # data, not text


def test_there_is_something_to_check():
    assert len(SOURCES) > 50


def test_rooms_import_only_what_the_contracts_allow():
    command = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    call = [sys.executable, "-c", command, "--no-cache", "--no-logo"]  # a process: it sets up logging anew
    checked = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_package_itself_loads_neither_torch_nor_mlflow():
    heavy = "'torch', 'mlflow', 'matplotlib', 'numba', 'optuna'"
    code = f"import sys, recsys_ae; print([name for name in ({heavy}) if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"


def test_files_stay_readable():
    lengths = {name_of(path): len(path.read_text().splitlines()) for path in SOURCES + PIPELINES}
    assert {name: length for name, length in lengths.items() if length > 400} == {}


def test_functions_stay_readable():
    assert long_functions(60) == []
    if longish := long_functions(40):
        warnings.warn("functions over 40 lines, worth a second look: " + "; ".join(longish), stacklevel=1)


def test_observed_entries_are_never_guessed_from_values():
    """`nonzero`, `count_nonzero` and `eliminate_zeros` of a sparse matrix lose ratings of 0. NumPy's
    may find and count what a comparison said of an array."""
    guesses = {"nonzero", "count_nonzero", "eliminate_zeros"}
    found = [
        f"{name_of(path)}:{node.lineno} {node.func.attr}"
        for path in SOURCES
        for node in nodes(path)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in guesses
        if dotted(node.func) != "np.count_nonzero"
        and not (dotted(node.func) == "np.nonzero" and isinstance(node.args[0], ast.Compare))
    ]
    assert found == []


def test_values_are_never_compared_with_zero_to_find_ratings():
    found = [
        f"{name_of(path)}:{node.lineno}"
        for path in SOURCES
        for node in nodes(path)
        if isinstance(node, ast.Compare)
        and isinstance(node.ops[0], ast.NotEq)
        and isinstance(node.comparators[0], ast.Constant)
        and node.comparators[0].value in (0, 0.0)
        and re.fullmatch(r"(.*\.)?(matrix|ratings|history|values|train|holdout)(\.data)?", dotted(node.left))
    ]
    assert found == []


def test_randomness_comes_from_named_streams():
    """Nothing draws from, or seeds, the global generator of numpy or torch."""
    shared = re.compile(r"np\.random\.(?!Generator$)\w+|torch\.(cuda\.|random\.)?(manual_seed\w*|seed)")
    found = [
        f"{name_of(path)}:{node.lineno} {dotted(node)}"
        for path in SOURCES
        if path != PACKAGE / "rng.py"
        for node in nodes(path)
        if isinstance(node, ast.Attribute) and shared.fullmatch(dotted(node))
    ]
    assert found == []


def test_nothing_outside_nn_reaches_into_a_network():
    """Whoever asks a reconstruction for its outputs need not know which layers it is made of. A setting of a
    config may be called like a part."""
    parts = {"encoder", "bottleneck", "decoder", "weight", "bias"}
    found = [
        f"{name_of(path)}:{node.lineno} {dotted(node)}"
        for path in SOURCES
        if path.relative_to(PACKAGE).parts[0] != "nn" and not path.name.endswith("configs.py")
        for node in nodes(path)
        if isinstance(node, ast.Attribute) and node.attr in parts and dotted(node.value) != "config"
    ]
    assert found == []


def test_names_of_metrics_are_read_in_one_place():
    """Nobody else takes "ndcg_at_10" or "rmse_warm" apart, or asks a name what kind of metric it means."""
    cut = {"partition", "rpartition", "split", "rsplit", "startswith", "endswith", "removesuffix"}
    words = re.compile(r"_at_|_warm|rmse|mae|ndcg|recall")
    found = [
        f"{name_of(path)}:{node.lineno}"
        for path in SOURCES + PIPELINES
        if path.parent != PACKAGE / "metrics"
        for node in nodes(path)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in cut
        for argument in node.args
        if isinstance(argument, ast.Constant) and words.search(str(argument.value))
    ]
    assert found == []


def test_only_commands_print():
    found = [
        f"{name_of(path)}:{node.lineno}"
        for path in SOURCES
        if path.relative_to(PACKAGE).parts[0] != "cli"
        for node in nodes(path)
        if isinstance(node, ast.Call) and dotted(node.func) == "print"
    ]
    assert found == []


def test_nothing_is_imported_under_a_computed_name():
    found = [
        f"{name_of(path)}:{node.lineno}"
        for path in SOURCES
        if path != PACKAGE / "__init__.py"  # makes the public names lazy
        for node in nodes(path)
        if isinstance(node, ast.Call) and dotted(node.func) in {"importlib.import_module", "__import__"}
    ]
    assert found == []


def test_texts_name_no_folder_of_one_machine():
    absolute = re.compile(r"(?<![\w.~\-{}])/(?:work|home|root|tmp|Users)/")
    found = [name for name, text in tracked_texts() if absolute.search(text)]
    assert found == []


def test_texts_name_no_package_registry():
    registry = re.compile(r"pypi\.org|pythonhosted|index-url|find-links|download\.pytorch|registry\.npmjs")
    found = [name for name, text in tracked_texts() if registry.search(text)]
    assert found == []
