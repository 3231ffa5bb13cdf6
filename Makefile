# make demo and make test need nothing but Python 3.11 or newer (and make): each sets up .venv by itself.

PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/pytest -n auto

.PHONY: demo test lint kernel golden bench clean

demo: .venv/installed          ## audit a sample capture
	@$(BIN)/python hatch_build.py >/dev/null 2>&1 || rm -f wsaudit/kernel/*.so  # a kernel older than its source must not hide it
	$(BIN)/wsaudit audit sample_pcaps/killed-server.pcap

test: lint kernel node_modules/axe-core ## all checks; the tests twice, with the compiled kernel and without
	$(PYTEST)
	WSAUDIT_PURE=1 $(PYTEST) -m "not browser"

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/mypy

kernel: .venv/installed-dev    ## compile in place what has changed
	$(BIN)/python hatch_build.py

golden: kernel                 ## write the golden reports anew; look at the difference before you commit it
	$(BIN)/pytest tests/test_golden.py tests/test_readme.py --update-golden

bench: kernel                  ## the benchmark table; make bench ARGS="--scale 0.1"
	$(BIN)/python benchmarks/run.py $(ARGS)

# The accessibility checks of the HTML report; without npm they are skipped.
node_modules/axe-core:
	@if command -v npm >/dev/null; then npm install --silent --no-save --no-package-lock --no-audit --no-fund axe-core; \
	    else echo "no npm: the accessibility checks will be skipped"; fi

clean:
	rm -rf .venv build dist .*_cache wsaudit/kernel/*.so

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "wsaudit needs Python 3.11 or newer: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

.venv/installed-dev: .venv/bin/python pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ .venv/installed
