.DEFAULT_GOAL := help
SHELL := /bin/bash
DATASET ?= genai
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# In quotes: a path may hold blanks, quotes and dollars.
CACHE_ARG := $(if $(CACHE),'data.cache=$(subst ','\'',$(value CACHE))')

help:  ## show this help
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

# The stamp depends on what defines the environment; a half-made one has no stamp and is made again.
$(VENV)/.installed: setup.cfg constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "Python 3.10 or newer is needed; give it with PYTHON=..."; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) (once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

install: $(VENV)/.installed  ## make the virtual environment .venv

train: $(VENV)/.installed  ## train and score: make train DATASET=genai [CACHE=path] [ARGS="key=value ..."]
	@$(BIN)/tpl fit experiments/$(DATASET).yaml $(CACHE_ARG) $(ARGS)

bench: $(VENV)/.installed  ## run every method and make one table: make bench DATASET=genai [CACHE=path] [ARGS=...]
	@$(BIN)/tpl bench experiments/$(DATASET).yaml $(CACHE_ARG) $(ARGS)

ABLATIONS := $(foreach name,baseline no_bottleneck encoder_only decoder median_length,experiments/ablations/$(name).yaml)
comma := ,
space := $(subst ,, )

ablations: $(VENV)/.installed  ## the paper's ablations in one table: make ablations DATASET=genai [CACHE=path] [ARGS=...]
	@$(BIN)/tpl bench experiments/$(DATASET).yaml $(CACHE_ARG) run.name=ablations-$(DATASET) \
		'bench.methods=[$(subst $(space),$(comma),$(ABLATIONS))]' $(ARGS)

LADDER := $(wildcard experiments/ablations/ladder/*.yaml)

ladder: $(VENV)/.installed  ## from the paper to TPL+, one departure a row: make ladder DATASET=genai [CACHE=path] [ARGS=...]
	@$(BIN)/tpl bench experiments/$(DATASET).yaml $(CACHE_ARG) run.name=ladder-$(DATASET) \
		'bench.methods=[$(subst $(space),$(comma),$(LADDER))]' $(ARGS)

folds: $(VENV)/.installed  ## rotated folds of several sets, write docs/folds.md: make folds ARGS="NAME=CACHE ..."
	@$(BIN)/python benchmarks/folds.py $(ARGS)

results: $(VENV)/.installed  ## write docs/results.md from the tables below runs/: make results [ARGS="FOLDER ..."]
	@$(BIN)/python docs/make_results.py $(ARGS)

sweep: $(VENV)/.installed  ## hand a sweep to W&B, print its id: make sweep SWEEP=genai [CACHE=path] [ARGS=...]
	@$(BIN)/tpl sweep experiments/sweeps/$(or $(SWEEP),genai).yaml server=true $(CACHE_ARG) $(ARGS)

agent: $(VENV)/.installed  ## run trials of a W&B sweep: make agent SWEEP_ID=... [ARGS="--count 10"]
	@test -n "$(SWEEP_ID)" || { echo "Say which sweep: make agent SWEEP_ID=... (make sweep prints it)"; exit 2; }
	@PATH="$(abspath $(BIN)):$$PATH" $(BIN)/wandb agent $(ARGS) $(SWEEP_ID)

test: $(VENV)/.installed  ## run the tests
	@$(BIN)/python -m pytest -m "not slow" -n auto --maxprocesses 4 --dist loadfile

test-full: $(VENV)/.installed  ## run the tests, the slow ones too
	@$(BIN)/python -m pytest

coverage: $(VENV)/.installed  ## share of the package's lines that the plain tests run; at least 92 %
	@$(BIN)/python -m pytest -m "not slow" -n auto --maxprocesses 4 --dist loadfile --cov=tpl_lightning --cov-report=term:skip-covered --cov-fail-under=92

mutants: $(VENV)/.installed  ## put 300 small faults into functional and metrics, print those that no test notices
	@$(BIN)/python benchmarks/mutants.py $(ARGS)

# Versions that nobody has tried together any more come to light here, before a user meets them.
test-oldest:  ## run the tests on the lowest versions that setup.cfg allows, of all but torch, in .venv-oldest
	@test -x .venv-oldest/bin/python || $(PYTHON) -m venv .venv-oldest
	@{ $(PYTHON) tests/oldest.py; grep '^torch==' constraints.txt; } > .venv-oldest/constraints.txt
	@.venv-oldest/bin/python -m pip install --quiet --disable-pip-version-check --constraint .venv-oldest/constraints.txt --editable '.[video,bench,signals,sweep]' pytest pytest-xdist hypothesis pandas jaxtyping beartype
	@.venv-oldest/bin/python -m pytest -m "not slow" -n auto --maxprocesses 4 --dist loadfile

lint: $(VENV)/.installed  ## check style and types
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy tpl_lightning

format: $(VENV)/.installed  ## rewrite the code in the project's style
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .

docs: $(VENV)/.installed  ## build the documentation site into site/, strictly, and check its links
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict
	@$(BIN)/python docs/check_links.py site

docs-serve: $(VENV)/.installed  ## show the site at http://127.0.0.1:8000 while pages are written
	@$(BIN)/python -m mkdocs serve

smoke: $(VENV)/.installed  ## tiny training on CPU, end to end
	@$(BIN)/python tests/smoke.py

bench-warps: $(VENV)/.installed  ## time the warps against difw, write benchmarks/warps.md
	@$(BIN)/python benchmarks/warps.py

bench-embed: $(VENV)/.installed  ## time reading and embedding of videos, write benchmarks/embed.md: [VIDEOS=folder]
	@$(BIN)/python benchmarks/embed.py $(VIDEOS)

bench-retrieval: $(VENV)/.installed  ## time frame retrieval by search and by look-up, write benchmarks/retrieval.md
	@$(BIN)/python benchmarks/retrieval.py $(if $(CACHE),--cache $(CACHE))

bench-data: $(VENV)/.installed  ## time a large cache and train on it, write benchmarks/data.md: [ARGS="--videos 100000"]
	@$(BIN)/python benchmarks/data.py $(ARGS)

bench-step: $(VENV)/.installed  ## time a training step and what it is made of, write benchmarks/step.md
	@$(BIN)/python benchmarks/step.py

bench-fit: $(VENV)/.installed  ## time every method's fit at the size of Penn Action, write benchmarks/fit.md: [ARGS="--dtw-videos 200"]
	@$(BIN)/python benchmarks/fit.py $(ARGS)

.PHONY: help docs docs-serve install train bench sweep agent ablations ladder folds results test test-full test-oldest coverage mutants lint format smoke bench-warps bench-embed bench-retrieval bench-data bench-step bench-fit
