# Needs make, git and Python 3.11 or newer with venv; everything else is installed into .venv when first used.
PYTHON ?= python3
VENV ?= .venv
RUN := $(VENV)/bin/python -m
PIP := $(RUN) pip --disable-pip-version-check --quiet
# A worker per core. A file of tests is one worker's, so what its tests share is made once; the real programs, which take long
# and wait much, come first as they do by name, so that no worker is left alone with one at the end.
CORES ?= auto
PARALLEL := --numprocesses=$(CORES) --dist=loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test check lint format golden wheel faults bench methods soak lowest lock clients clean

help: ## list what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-8s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/project ## a simulated fleet through the whole pipeline: tables here, files in demo/
	$(VENV)/bin/apportion demo --out demo

test: $(VENV)/project ## the default test suite, on all cores; T=path runs a part of it, on one
	$(RUN) pytest $(or $(T),$(PARALLEL))

check: lint test wheel ## everything that must hold before a change lands

lint: $(VENV)/project ## formatting, ruff, mypy and the import contracts
	$(RUN) ruff format --check .
	$(RUN) ruff check .
	$(RUN) mypy
	$(VENV)/bin/lint-imports --no-logo

format: $(VENV)/tools ## let ruff put the files in order
	$(RUN) ruff format .
	$(RUN) ruff check --fix-only --quiet .

golden: $(VENV)/project ## write tests/golden anew; the review is the diff
	APPORTION_GOLDEN=1 $(RUN) pytest -q -k golden
	git --no-pager diff --stat -- tests/golden ingest/formats/README.md

wheel: $(VENV)/project ## build dist/*.whl, and test what is in it
	rm -rf dist
	$(RUN) build --wheel --no-isolation --outdir dist .
	APPORTION_WHEELS=$(CURDIR)/dist $(RUN) pytest -q tests/architecture/test_wheel.py

bench: $(VENV)/project ## how fast, as ratios against plain ways to do the same; B="--only ingest" for one
	$(VENV)/bin/python tests/bench/run.py $(B)

methods: $(VENV)/project ## simulate, compare the methods with the truth, and write metering/METHODS.md anew
	$(RUN) tests.bench.simulator.page

faults: $(VENV)/project ## rounds of kills, restarts and full disks with real processes; SEED=7 repeats one, ROUNDS=50 is the default
	$(RUN) tests.faults.storm.run --rounds $(or $(ROUNDS),50) $(if $(SEED),--seed $(SEED))

soak: $(VENV)/project ## ten minutes of steady traffic into `serve`: does its memory stay flat?
	$(VENV)/bin/python tests/bench/soak.py $(B)

lowest: $(VENV)-lowest/installed ## the suite against the lowest versions that pyproject.toml allows
	$(VENV)-lowest/bin/python -m pytest -q $(PARALLEL) --ignore=tests/architecture $(T)

lock: $(VENV)/tools ## write requirements/*.txt anew; U=--upgrade takes newer versions
	$(VENV)/bin/python requirements/lock.py $(U)

clients: $(VENV)/project ## install LiteLLM and OpenTelemetry's SDK for the tests that talk to them, once, into the user's cache folder
	$(RUN) tests.clients.environment

clean: ## remove what was built, environments too
	rm -rf $(VENV) $(VENV)-lowest dist demo .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

# Files that say "this environment is as requirements/ want it". A changed requirement file makes it anew.

$(VENV)/tools: requirements/dev.txt
	$(call environment,$(VENV),requirements/dev.txt)
	@touch $@

$(VENV)/project: $(VENV)/tools pyproject.toml
	$(PIP) install --no-deps --no-build-isolation --no-index --editable .
	@touch $@

$(VENV)-lowest/installed: requirements/lowest.txt
	$(call environment,$(VENV)-lowest,requirements/lowest.txt)
	@touch $@

define environment
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "apportion needs Python 3.11 or newer; name one: make PYTHON=python3.12")'
	$(PYTHON) -m venv --clear $(1)
	$(1)/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes --no-deps --requirement $(2)
endef
