# The same few verbs for people and for CI. Each sets up all that it needs in .venv.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
STEPS ?= 300

.PHONY: help demo test check format benchmarks peers clean

help: ## Show the verbs
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

.venv/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Trimtab needs Python 3.11 or newer; '$(PYTHON)' is older. Name another: make PYTHON=python3.12" >&2; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=24'
	@touch $@

.venv/.users: .venv/.python pyproject.toml constraints.txt
	$(PIP) --editable '.[all]'
	@touch $@

.venv/.developers: .venv/.users
	$(PIP) --editable '.[dev]'
	@touch $@

demo: .venv/.users ## Watch a real training run go wrong, be rolled back and recover (STEPS=300)
	@mkdir -p out
	$(BIN)/trimtab demo --steps $(STEPS) --plot out/demo.png --json out/demo.json

test: .venv/.developers ## Run all tests
	$(BIN)/pytest

check: .venv/.developers ## Format, lint, types, import directions
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/.developers ## Put the code in order
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# They need other versions of much that the developers' environment has, and are compared with, never imported.
.venv-peers/.peers: .venv/.python pyproject.toml
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=24'
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[peers]'
	@touch $@

peers: .venv-peers/.peers ## Install the trackers and energy meters that we are compared with, in .venv-peers

benchmarks: .venv/.developers ## Measure the hooks, the detectors and the energy beside their peers
	-$(MAKE) peers
	$(BIN)/python benchmarks/hooks.py
	$(BIN)/python benchmarks/detection.py
	$(BIN)/python benchmarks/detection.py --cases --seeds 5
	$(BIN)/python benchmarks/detection.py --speed
	$(BIN)/python benchmarks/energy.py

clean: ## Remove what make made
	rm -rf .venv .venv-peers out .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
