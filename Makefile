# Every step says in one line what it does; stamp files in the venv make a second run quick.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=
# Most tests wait for servers and clocks, not for a processor: four keep two processors busy. A file
# stays in one process, and tests/conftest.py says which files come first.
AT_ONCE ?= --numprocesses 4 --dist loadfile --no-loadscope-reorder
# Each of these starts two clusters of its own.
CLUSTERS_AT_ONCE ?= --numprocesses 3 --dist loadfile
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
LOCKED := install --require-hashes
INSTALL_SELF := install --no-deps --no-build-isolation --editable .
UV_COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header

# The stamps: a venv with what runs imagegate, and one with what tests it on top.
RUN_READY := $(VENV)/.stamp-run
DEV_READY := $(VENV)/.stamp-dev

.PHONY: help setup run run-real test e2e lint format types imports bench screenshots record-grype examples lock clean servers

help: ## show this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /\1\t/' | awk -F'\t' '{ printf "  make %-12s %s\n", $$1, $$2 }'

setup: $(DEV_READY) ## make the venv with everything that tests and tools need

run: $(RUN_READY) ## everything in one process on embedded defaults, then the show (ARGS=--once ends after it)
	@exec $(BIN)/imagegate up $(ARGS)

run-real: $(RUN_READY) ## the same show on its own Redis and RabbitMQ, as separate processes
	@exec $(BIN)/imagegate show-real $(ARGS)

test: $(DEV_READY) servers ## set up, then formatting, lint, types, import contracts and all tests but `make e2e`
	@echo "format: is every file formatted?"
	@$(BIN)/ruff format --check --quiet .
	@echo "lint: ruff"
	@$(BIN)/ruff check --quiet .
	@echo "types: mypy --strict"
	@$(BIN)/mypy
	@echo "imports: the rules of the house"
	@$(BIN)/lint-imports --no-logo
	@echo "tests: pytest $(AT_ONCE) $(ARGS)"
	@$(BIN)/pytest -q $(AT_ONCE) --ignore tests/e2e $(ARGS)

e2e: $(DEV_READY) servers ## the proof on a real API server, which the first run builds (Go 1.26, five minutes)
	@$(BIN)/python -m tests.servers.kubernetes_parts
	@echo "e2e: pytest tests/e2e $(CLUSTERS_AT_ONCE) $(ARGS)"
	@$(BIN)/pytest -q tests/e2e $(CLUSTERS_AT_ONCE) --timeout 300 $(ARGS)

lint: $(DEV_READY) ## formatting and lint, changing nothing
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .

format: $(DEV_READY) ## format, and fix what lint can fix safely
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

types: $(DEV_READY) ## mypy --strict over services, shared and tests
	@$(BIN)/mypy

imports: $(DEV_READY) ## the rules of the house as import contracts
	@$(BIN)/lint-imports --no-logo

bench: $(DEV_READY) ## the figures the project promises, one line each (ARGS=admission, way, intake, scanner or workers)
	@$(BIN)/python -m tests.bench $(ARGS)

screenshots: $(DEV_READY) servers ## the README's pictures of the console, from a real one in a real browser
	@$(BIN)/python -m tests.functional.console_page.screenshots $(ARGS)

record-grype: $(DEV_READY) ## ask a real Grype again what the tests' fake one replays (tests/data/grype/README.md)
	@$(BIN)/python -m tests.recording.grype $(ARGS)

examples: $(DEV_READY) ## make k8s/examples from the chart again, and the chart's copies of alerts and compose's configuration
	@$(BIN)/python -m tests.deploy.examples

lock: $(DEV_READY) ## pin every dependency with hashes again, from requirements/*.in
	@echo "lock: requirements/{runtime,build,dev,e2e}.txt"
	@$(UV_COMPILE) $(ARGS) requirements/runtime.in --output-file requirements/runtime.txt
	@$(UV_COMPILE) $(ARGS) requirements/build.in --output-file requirements/build.txt
	@$(UV_COMPILE) $(ARGS) requirements/dev.in --output-file requirements/dev.txt
	@$(UV_COMPILE) $(ARGS) --no-deps requirements/e2e.in --output-file requirements/e2e.txt

clean: ## remove the venv, caches and build results
	@echo "clean: $(VENV), caches, dist"
	@rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find services shared tests -name __pycache__ -type d -prune -exec rm -rf {} +

servers:
	@.ci/setup-servers

$(BIN)/python:
	@echo "setup: making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "setup: imagegate needs Python 3.11 or newer; say which: make PYTHON=python3.11 ..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
		|| { rm -rf $(VENV); echo "setup: venv failed; on Debian: apt-get install python3-venv" >&2; exit 1; }

$(RUN_READY): requirements/runtime.txt requirements/build.txt pyproject.toml | $(BIN)/python
	@echo "setup: installing what imagegate runs on (locked, with hashes; about a minute the first time)"
	@$(PIP) $(LOCKED) -r requirements/runtime.txt -r requirements/build.txt
	@$(PIP) $(INSTALL_SELF)
	@touch $@

$(DEV_READY): requirements/dev.txt $(RUN_READY)
	@echo "setup: installing test tools (locked, with hashes)"
	@$(PIP) $(LOCKED) -r requirements/dev.txt
	@touch $@
