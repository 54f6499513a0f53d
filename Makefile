.DEFAULT_GOAL := help
SHELL := /bin/bash
DATASET ?= genai
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CACHE_ARG := $(if $(CACHE),data.cache=$(CACHE))

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

test: $(VENV)/.installed  ## run the tests
	@$(BIN)/python -m pytest -m "not slow"

test-full: $(VENV)/.installed  ## run the tests, the slow ones too
	@$(BIN)/python -m pytest

lint: $(VENV)/.installed  ## check style and types
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy tpl_lightning

format: $(VENV)/.installed  ## rewrite the code in the project's style
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .

smoke: $(VENV)/.installed  ## tiny training on CPU, end to end
	@$(BIN)/python tests/smoke.py

bench-warps: $(VENV)/.installed  ## time the warps against difw, write benchmarks/warps.md
	@$(BIN)/python benchmarks/warps.py

bench-embed: $(VENV)/.installed  ## time reading and embedding of videos, write benchmarks/embed.md: [VIDEOS=folder]
	@$(BIN)/python benchmarks/embed.py $(VIDEOS)

.PHONY: help install train bench test test-full lint format smoke bench-warps bench-embed
