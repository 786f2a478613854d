# Everything needs only Python 3.11 or newer and make: the first target that runs sets up .venv.
.DEFAULT_GOAL := help
.PHONY: help setup app types demo run test lint format bench lock clean

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
APP := hayat_fhir/frontend/dist/sources.sha256
APP_SOURCES := $(shell find hayat_fhir/frontend/src -type f -not -name "*.test.*") $(wildcard hayat_fhir/frontend/*.json hayat_fhir/frontend/*.ts)
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

$(STAMP): requirements-dev.lock pyproject.toml
	@$(PIP) --version >/dev/null 2>&1 || PYTHON="$(PYTHON)" .ci/environment $(VENV)
	@echo "setting up $(VENV)"
	@$(PIP) install --require-hashes --only-binary :all: -r requirements-dev.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(APP): $(STAMP) $(APP_SOURCES)
	@echo "building the web app"
	@$(BIN)/python -m hayat_fhir.frontend.build && touch $@ || echo "the site runs without the web app"

setup: $(STAMP)  ## .venv, from the lock file

app: $(APP)  ## the web app, where its sources have changed

types: $(STAMP)  ## the frontend's types of /api/v1, from the server's own description
	@$(BIN)/python -m tests.frontend.api_types

demo: $(STAMP) $(APP)  ## two hospitals on this machine: a diagnosis and its images travel (EXIT=1 ends after the check)
	@$(BIN)/hayat demo $(if $(EXIT),--exit)

run: $(STAMP) $(APP)  ## one site
	@$(BIN)/hayat serve

test: $(STAMP) $(APP)  ## all tests (ARGS="-k name", WORKERS=2)
	$(BIN)/python -m pytest --numprocesses $(or $(WORKERS),auto) --dist loadfile $(ARGS)

lint: $(STAMP)  ## style, types, import rules, and the modules of the web app
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m hayat_fhir.frontend.build --lint

format: $(STAMP)  ## put the code into its form
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

bench: $(STAMP) $(APP)  ## speed and memory against what can be measured beside it
	$(BIN)/python -m tests.benchmarks $(ARGS)

lock:  ## the lock files from pyproject.toml (needs uv on the PATH)
	UV_CUSTOM_COMPILE_COMMAND="make lock" uv pip compile pyproject.toml --quiet --all-extras --universal \
		--python-version 3.11 --generate-hashes --no-annotate --output-file requirements-dev.lock
	UV_CUSTOM_COMPILE_COMMAND="make lock" uv pip compile pyproject.toml --quiet --universal \
		--python-version 3.11 --generate-hashes --no-annotate --constraint requirements-dev.lock \
		--output-file requirements.lock

clean:  ## remove what the other targets made
	rm -rf $(VENV) dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache \
		hayat_fhir/frontend/dist hayat_fhir/frontend/node_modules
