# `make help` lists the targets. Everything lives in .venv; nothing global is touched.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup demo consumers test serve lint gen lock clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(READY) ## make the virtual environment from the hashed lock file

# pip refuses whatever does not match a hash. The project itself comes last, without an index.
$(READY): requirements-dev.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-index --no-deps --no-build-isolation -e .
	@touch $@

demo: $(READY) ## play a history and watch the network learn; STAY=1 goes on with a dashboard
	$(BIN)/keeper demo $(if $(STAY),--stay)

# A line that fails leaves tests that are skipped with a reason.
consumers: ## fetch what the tests of consumers in Go and TypeScript build with
	-cd tests/consumers/go && PATH="$$PATH:/usr/local/go/bin" go mod download
	-npm ci --prefix tests/consumers/typescript --no-audit --no-fund

test: $(READY) ## run all tests
	$(BIN)/pytest

serve: $(READY) ## serve on 127.0.0.1:50051 with the bundled database
	$(BIN)/keeper serve

lint: $(READY) ## ruff, mypy, buf, and whether the stubs match the protos
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/buf lint
	$(BIN)/buf format --diff --exit-code protos
	$(BIN)/python tools/generate_stubs.py --check

gen: $(READY) ## generate the Python stubs from the protos
	$(BIN)/python tools/generate_stubs.py

lock: $(READY) ## resolve the dependencies anew
	tools/lock.sh

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
