# Two main commands: `make repro` (the whole pipeline, up to the table of results) and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PYTHONDONTWRITEBYTECODE := 1
# Waiting threads sleep instead of spinning: 20 times faster where cores are shared.
export OMP_WAIT_POLICY := PASSIVE

.DEFAULT_GOAL := help
.PHONY: help setup repro test nightly lint types unit docs notebook deps dist clean

help:  ## List the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(STAMP)  ## Make the environment in .venv

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing torch and the rest into $(VENV): about two minutes the first time"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --progress-bar off -e '.[dev]'
	touch $(STAMP)

repro: $(STAMP)  ## Run the whole pipeline and print the table of results
	@# A kill -9 can leave this file empty, and DVC refuses to read it then.
	@test -s .dvc/tmp/rwlock || rm -f .dvc/tmp/rwlock
	dvc repro
	@cat results/table.md

test: $(STAMP) lint types unit  ## Check style and types, and run the tests

lint: $(STAMP)
	ruff check .
	ruff format --check .
	python -m stages.support.closure

types: $(STAMP)
	mypy

unit: $(STAMP)
	OMP_NUM_THREADS=1 python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

docs: $(VENV)/.docs  ## Build the documentation site into site/
	NO_MKDOCS_2_WARNING=1 mkdocs build --strict
	@echo "open site/index.html"

$(VENV)/.docs: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --progress-bar off -e '.[docs]'
	touch $@

notebook: $(VENV)/.notebook  ## Run docs/notebooks/mining.py into mining.ipynb, with its pictures
	OMP_NUM_THREADS=1 python docs/notebooks/make.py

$(VENV)/.notebook: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --progress-bar off -e '.[notebook]'
	touch $@

nightly: $(STAMP)  ## Run all tests, also the long ones, with thousands of random examples
	HYPOTHESIS_PROFILE=nightly OMP_NUM_THREADS=1 python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "nightly or not nightly"

deps: $(STAMP)  ## Update dvc.yaml from the imports and the params models, and its drawing in docs
	python -m stages.support.closure --write
	python docs/diagram.py --write

dist: $(VENV)/.dist  ## Build the wheel and the source distribution into dist/
	rm -rf dist
	python -m build --outdir dist

$(VENV)/.dist: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --progress-bar off 'build>=1.2'
	touch $@

clean:  ## Remove the environment and unfinished work, but keep all results
	rm -rf $(VENV) .scratch build fsslib.egg-info
