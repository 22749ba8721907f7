# Every target sets up its own environment first: PYTHON makes it, VENV is where it lies.
PYTHON ?= python3
VENV ?= .venv
# How many processes share the tests, and which tests: `make test TESTS=tests/laws`.
JOBS ?= 2
TESTS ?=
# What is compared with Keras: `make compare CASES="--family recurrent --sample 50"`.
CASES ?=
# What is tried on real data: `make experiments EXPERIMENTS="inception --full --seeds 3"`.
EXPERIMENTS ?=
# What is measured: `make bench BENCH="--models mlp qa --rounds 5"`.
BENCH ?=
# What runs are put through: `make torture TORTURE="--only killed,full"`.
TORTURE ?=

BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint format docs compare torture bench experiments

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' Makefile

setup: $(READY) ## make the environment, or bring it up to date with its pins

demo: $(READY) ## draw, train, save and load a model of two inputs and three outputs
	$(BIN)/python -m experiments.digit_pairs

experiments: $(READY) ## train the experiments on real data in their short forms (half an hour; get_data.py fetches the data)
	$(BIN)/python -m experiments $(EXPERIMENTS)

test: $(READY) ## run the tests and the examples in the docstrings
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(TESTS)

lint: $(READY) ## check the format, the rules and the types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright --pythonpath $(BIN)/python

format: $(READY) ## write the format, and mend what can be mended safely
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(READY) ## write the pages of docs/layers from the docstrings, and the whole of docs as a site in build/site
	$(BIN)/python -m scripts.document_layers
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict

compare: $(READY) ## compare every layer with Keras over all its options (some hours)
	$(BIN)/python -m scripts.compare_keras --jobs $(JOBS) $(CASES)

torture: $(READY) ## kill, interrupt, damage and wear runs, and say what came of it (some minutes; TORTURE=--long: hours)
	$(BIN)/python -m scripts.torture $(TORTURE)

bench: $(READY) ## measure training speed beside hand-written JAX, Keras and, where there, PyTorch and TensorFlow
	$(BIN)/python -m scripts.bench $(BENCH)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	  || { echo "make: '$(PYTHON)' is not Python 3.11 or newer. Install one, or name it: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	  || { echo "make: '$(PYTHON)' cannot make environments. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# Python 3.11 has pins of its own, as JAX 0.10 is the newest there; all newer ones share a file.
$(READY): requirements/py311.txt requirements/py312.txt pyproject.toml | $(BIN)/python
	@pins=requirements/py$$($(BIN)/python -c 'import sys; print("311" if sys.version_info < (3, 12) else "312")').txt && \
	  echo "Installing $$pins into $(VENV)" && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep '^uv==' $$pins)" && \
	  $(BIN)/uv pip sync --quiet --python $(BIN)/python $$pins && \
	  $(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@
