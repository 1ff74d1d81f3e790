# Everything starts here: `make demo`, `make test`. Needs Python 3.11 or newer and nothing else:
# all packages go to .venv, from wheels, at the versions of constraints.txt.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV ?= .venv
OUT := runs/demo-$(shell date +%Y%m%d-%H%M%S)
WORKERS ?= 2
ARGS ?=

BIN := $(VENV)/bin
RECSYS_AE := $(BIN)/recsys-ae
INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest

.PHONY: help demo test test-slow torture check format clean

help:  ## what can be made
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' \
	| while IFS=$$'\t' read -r name text; do printf '  make %-10s %s\n' "$$name" "$$text"; done

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	echo "$(PYTHON) is missing or older than Python 3.11; name a newer one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; \
	exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	echo "$(PYTHON) cannot make virtual environments; install its venv module (Debian and Ubuntu: the package python3-venv)" >&2; \
	exit 2; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/runtime.stamp: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing what recsys-ae needs to run into $(VENV) ..."
	@$(INSTALL) --editable .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/runtime.stamp
	@echo "Installing what the tests and checks need into $(VENV) ..."
	@$(INSTALL) --editable '.[dev]'
	@touch $@

demo: $(VENV)/runtime.stamp  ## the main job on the bundled ratings: train, compare, track, recommend
	$(RECSYS_AE) benchmark configs/benchmarks/goodbooks.yaml --out $(OUT)
	$(RECSYS_AE) recommend $(OUT) --users all -n 10 --out $(OUT)/top-10.csv
	@echo
	$(RECSYS_AE) recommend $(OUT) --users 7,41,13183 -n 5 --history 5
	@echo
	@echo "In $(OUT):"
	@echo "  page.html     the comparison with its figures, to open in a browser"
	@echo "  top-10.csv    the lists of all readers, by the model whose lists are best on validation ratings"
	@echo "Look at the tracked runs with"
	@echo "  $(RECSYS_AE) compare goodbooks-30core --metric test/ndcg_at_10"
	@echo "  $(RECSYS_AE) ui"

test: $(VENV)/dev.stamp  ## all tests but the slow ones, and the notebooks
	$(PYTEST) -n $(WORKERS) --nbmake --nbmake-timeout=180 tests notebooks $(ARGS)

test-slow: $(VENV)/dev.stamp  ## the tests on whole datasets; RECSYS_AE_DATA names their folder
	$(PYTEST) -m slow tests $(ARGS)

torture: $(VENV)/dev.stamp  ## every fault at every place: full disks, kills, damaged files; needs a C compiler
	$(PYTEST) -n $(WORKERS) -m torture tests/torture $(ARGS)

check: $(VENV)/dev.stamp  ## style, types and import directions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(VENV)/dev.stamp  ## put the code into its standard layout
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## remove the environment and all caches; runs and the MLflow store stay
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
