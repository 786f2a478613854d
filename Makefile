# Everything needs only Python 3.11 or newer and make: the first target that runs sets up .venv.
.DEFAULT_GOAL := help
.PHONY: help demo run test lint format bench clean

NEW_ENOUGH := -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))'
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	"$$p" $(NEW_ENOUGH) >/dev/null 2>&1 && command -v "$$p" && break; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

$(STAMP): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Hayat needs Python 3.11 or newer on the PATH" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
		{ echo "cannot make a virtual environment: on Debian and Ubuntu install python3-venv" >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

demo: $(STAMP)  ## two hospitals on this machine: a diagnosis and its images travel (EXIT=1 ends after the check)
	$(BIN)/hayat demo $(if $(EXIT),--exit)

run: $(STAMP)  ## one site
	$(BIN)/hayat serve

test: $(STAMP)  ## all tests
	$(BIN)/python -m pytest --numprocesses $(or $(WORKERS),auto) --dist loadfile

lint: $(STAMP)  ## style, types and import rules
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)  ## put the code into its form
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

bench: $(STAMP)  ## speed and memory against what can be measured beside it
	$(BIN)/python -m tests.benchmarks $(ARGS)

clean:  ## remove what the other targets made
	rm -rf $(VENV) dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
