# make demo   run the included model, then train and test a small one; writes scores and sheets
# make test   lint, import order and tests; RESTOREBOX_LONG=1 adds those of minutes
# make docs   build the documentation into docs/_build/html
# Everything is installed in .venv; VENV=dir and PYTHON=python3.12 select others.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# make demo DATA=folder adds your own clean photographs to those from Python packages
DATA ?=

# number of test processes, each up to 2 GiB: one more than cores, since many tests wait for processes that they start
JOBS ?= $(shell $(PYTHON) -c 'import os; print(min(4, os.cpu_count() + 1))')

# hundreds of processes import PyTorch; without byte code, which PYTHONDONTWRITEBYTECODE=1 keeps from being written, each
# would compile it again
IN_TESTS = OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= PATH="$(CURDIR)/$(BIN):$$PATH"

.PHONY: demo test types unit test-fast docs clean

demo: $(VENV)/.demo
	$(BIN)/restorebox demo $(if $(DATA),--data "$(DATA)")

test: $(VENV)/.tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(MAKE) --no-print-directory -j2 types unit

# at the same time: the types alone keep one core busy for a minute
types: $(VENV)/.tests
	$(BIN)/mypy

unit: $(VENV)/.tests
	$(IN_TESTS) $(BIN)/python -m pytest -n $(JOBS)

test-fast: $(VENV)/.tests
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache
	$(IN_TESTS) $(BIN)/python -m pytest -n $(JOBS) -m "not slow"

docs: $(VENV)/.tests
	$(BIN)/sphinx-build -W -b html docs docs/_build/html

# one stamp file per set of extras, updated when the requirements change; byte code of the 23,000 files of all packages
# would take a minute, that of the imported ones is written when they are imported first
$(VENV)/.%: setup.py $(wildcard requirements/*.txt) | $(BIN)/pip
	$(BIN)/pip install --quiet --no-compile --editable '.[$(EXTRAS_$*)]'
	@touch $@

EXTRAS_demo := demo
EXTRAS_tests := tests,docs

$(BIN)/pip:
	$(PYTHON) -m venv $(VENV)

clean:
	rm -rf $(VENV) build *.egg-info docs/_build docs/api docs/generated work_dirs
