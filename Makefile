# Every verb makes or updates .venv by itself; only Python 3.11 or newer with venv and pip is needed.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/sh

# The first Python that is new enough and can make environments with pip in them.
PYTHON ?= $(shell for name in python3.13 python3.12 python3.11 python3 python3.14; do \
	$$name -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 \
	&& { echo $$name; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
# An environment is up to date when it was installed from this very pyproject.toml.
STATE := $(shell cksum pyproject.toml | cut -d' ' -f1)
SERVER := $(VENV)/server-$(STATE)
DEV := $(VENV)/dev-$(STATE)
DOCS := $(VENV)/docs-$(STATE)
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input
# A moved or upgraded Python leaves an environment whose links lead nowhere.
WORKS := $(BIN)/python -c 'import pip' >/dev/null 2>&1

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(SERVER) ## the whole path in two minutes: events, prices, live numbers, invoices, proof
	@$(BIN)/valorem demo

up: $(SERVER) ## serve on http://127.0.0.1:8080 with the data in ./valorem-data
	@$(BIN)/valorem up

# The commands that tests start must find what was compiled, wherever the environment says not to keep it.
test: export PYTHONDONTWRITEBYTECODE =
test: check browser ## check, then every test, warnings as errors
	@$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

check: $(DEV) ## lint, format, types and the direction of imports, without running anything
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(DEV) ## rewrite the sources the way check wants them
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(SERVER) ## measure beside bare PostgreSQL in the same run, a quarter of an hour at most; BENCH="close --full" for more
	@$(BIN)/python -m bench $(BENCH)

docs: $(DOCS) ## build the documentation into ./site, strictly
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "open site/index.html"

reference: $(SERVER) ## write the reference pages again from the code
	@$(BIN)/python -m docs.generate

clean: ## remove the environment and everything built
	@rm -rf $(VENV) site build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(SERVER):
	@$(call install,server)

$(DEV):
	@$(call install,dev)
	@touch $(SERVER)

$(DOCS):
	@$(call install,docs)
	@touch $(SERVER)

define install
[ -n "$(PYTHON)" ] || { \
	echo "Python 3.11 or newer with venv and pip is missing (Debian: apt-get install python3 python3-venv;" \
	"or name one: make PYTHON=/path/to/python3.12)" >&2; exit 1; }; \
$(WORKS) || { rm -rf $(VENV); $(PYTHON) -m venv $(VENV); }; \
echo "installing valorem[$(1)] into $(VENV) ..."; \
$(PIP) --editable '.[$(1)]' && rm -f $(VENV)/$(1)-* && touch $@
endef

# The browser tests drive the system's Chromium and skip, saying so, where there is none.
browser:
	@for name in chromium chromium-browser google-chrome; do command -v $$name >/dev/null && exit 0; done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing Chromium for the browser tests ..."; \
		export DEBIAN_FRONTEND=noninteractive; \
		{ timeout 90 apt-get -qq update && timeout 240 apt-get -qq install -y --no-install-recommends \
			chromium fonts-dejavu-core; } >/dev/null 2>&1 && exit 0; \
	fi; \
	echo "no Chromium here: the browser tests will skip"

.PHONY: help demo up test check format bench docs reference clean browser
