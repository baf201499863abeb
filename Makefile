# `make help` lists the targets. Everything lives in .venv; nothing global is touched. One environment,
# which grows: `make demo` makes a small one, a target that needs more adds to it, with the same versions.
VENV := .venv
BIN := $(VENV)/bin
# The Python to make it with; unless it is set, the newest one that is there.
export PYTHON

SERVER := $(VENV)/.server
DASHBOARD := $(VENV)/.dashboard
DEVELOPMENT := $(VENV)/.development
MADE_BY := tools/make_environment.sh requirements-installer.lock requirements-build.lock pyproject.toml

.DEFAULT_GOAL := help
.PHONY: help setup demo dashboard consumers delivery chart client dist test bench bench-captures bench-peers serve lint gen released notices sbom lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

setup: $(DEVELOPMENT) ## make the whole development environment, from the hashed lock files

# Each holds what the one before it does, so that one file is as good as the smaller ones.
$(SERVER): requirements.lock $(MADE_BY)
	tools/make_environment.sh requirements.lock
	@touch $@

$(DASHBOARD): requirements-dashboard.lock $(MADE_BY)
	tools/make_environment.sh requirements-dashboard.lock
	@touch $@ $(SERVER)

$(DEVELOPMENT): requirements-dev.lock $(MADE_BY)
	tools/make_environment.sh requirements-dev.lock
	@touch $@ $(DASHBOARD) $(SERVER)

demo: $(if $(STAY),$(DASHBOARD),$(SERVER)) ## play a history and watch the network learn; STAY=1 goes on with a dashboard
	$(BIN)/keeper demo $(if $(STAY),--stay)

# A line that fails leaves tests that are skipped with a reason.
consumers: ## fetch what the tests of consumers in Go, TypeScript and Java build with
	-cd tests/consumers/go && PATH="$$PATH:/usr/local/go/bin" go mod download
	-cd clients/go && PATH="$$PATH:/usr/local/go/bin" go mod download
	-cd tests/consumers/conformance && PATH="$$PATH:/usr/local/go/bin" ./build.sh
	-npm ci --prefix tests/consumers/typescript --no-audit --no-fund
	-npm ci --prefix clients/typescript --no-audit --no-fund
	-cd tests/consumers/java && mvn --quiet --batch-mode dependency:copy-dependencies && chmod +x libraries/*.exe

serve: $(SERVER) ## serve on 127.0.0.1:50051 with the bundled database
	$(BIN)/keeper serve

dashboard: $(DASHBOARD) ## show the network of a server that runs, on http://127.0.0.1:8080
	$(BIN)/keeper dashboard

# Each process has a PostgreSQL of its own, and takes whole files: fixtures belong to a file.
export PYTEST_ADDOPTS ?= --numprocesses auto --maxprocesses 4 --dist loadfile

test: $(DEVELOPMENT) ## run all tests
	$(BIN)/pytest

# The load generator, for measurements only, of the versions that bench/ghz/go.sum has.
GHZ := $(BIN)/ghz
$(GHZ): bench/ghz/go.mod bench/ghz/go.sum $(DEVELOPMENT)
	cd bench/ghz && PATH="$$PATH:/usr/local/go/bin" go build -o $(CURDIR)/$(GHZ) github.com/bojand/ghz/cmd/ghz

bench: $(GHZ) ## measure what calls cost beside a bare service; FULL=1 measures larger networks too
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m bench.calls $(if $(FULL),--full) $(if $(SAVE),--save $(SAVE))

bench-captures: $(DEVELOPMENT) ## measure the writers of captures beside pgbench calling one function
	$(BIN)/python -m bench.captures

# The peers' packages are many and heavy; they are of no use for anything else.
PEERS := .venv-peers
$(PEERS)/.made: requirements-peers.lock $(DEVELOPMENT)
	$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python $(PEERS)
	$(BIN)/uv pip install --quiet --python $(PEERS)/bin/python --require-hashes -r requirements-peers.lock
	@touch $@

bench-peers: $(GHZ) $(PEERS)/.made ## measure other stores' bare search beside EnhanceInsight
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m bench.calls.peers --python $(PEERS)/bin/python

# The protos of the last release, as buf's image. Without comments, which nobody compares.
RELEASED := protos/released.binpb.gz

lint: $(DEVELOPMENT) ## ruff, mypy, bandit, buf, hadolint, and whether what is generated is up to date
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive keeper_grpc server.py tools
	$(BIN)/buf lint
	$(BIN)/buf format --diff --exit-code protos
	$(BIN)/buf breaking protos --against $(RELEASED)
	$(BIN)/hadolint Dockerfile
	$(BIN)/python tools/generate_stubs.py --check
	$(BIN)/python tools/write_reference.py --check
	$(BIN)/python tools/third_party_notices.py --check

client: $(DEVELOPMENT) ## build the Python client's wheel and sdist into dist/
	cd clients/python && ../../$(BIN)/hatchling build -d ../../dist

dist: client ## build the server's wheel and sdist too
	$(BIN)/hatchling build -d dist

gen: $(DEVELOPMENT) ## generate from the protos: Python's stubs, docs/reference.md, and Go's stubs where Go is installed
	$(BIN)/python tools/generate_stubs.py
	$(BIN)/python tools/write_reference.py
	-cd clients/go && PATH="$$PATH:/usr/local/go/bin" ../../$(BIN)/buf generate ../../protos

released: $(DEVELOPMENT) ## at a release: the protos of now are what later changes must not break
	$(BIN)/buf build protos --exclude-source-info -o $(RELEASED)

notices: $(DEVELOPMENT) ## write the licences of what the images hold
	$(BIN)/python tools/third_party_notices.py

# A proxy, Kubernetes' schemas and Helm: what the tests of deploy/ run, and nothing else. Helm compiles for minutes.
DELIVERY := .venv-delivery
$(DELIVERY)/.made: requirements-delivery.lock $(DEVELOPMENT)
	$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python $(DELIVERY)
	$(BIN)/uv pip install --quiet --python $(DELIVERY)/bin/python --require-hashes -r requirements-delivery.lock
	@touch $@
$(DELIVERY)/bin/helm: tools/helm/go.mod tools/helm/go.sum $(DELIVERY)/.made
	cd tools/helm && PATH="$$PATH:/usr/local/go/bin" go build -o $(CURDIR)/$@ helm.sh/helm/v3/cmd/helm

delivery: $(DELIVERY)/.made $(DELIVERY)/bin/helm ## fetch what the tests of deploy/ run: Helm, Kubernetes' schemas, Envoy

chart: $(DELIVERY)/bin/helm ## package the Helm chart into dist/
	$(DELIVERY)/bin/helm lint --strict deploy/helm/keeper --set secret.name=keeper,allowUnauthenticated=true
	$(DELIVERY)/bin/helm package deploy/helm/keeper --destination dist

SBOM := .venv-sbom
$(SBOM)/.made: requirements-sbom.lock $(DEVELOPMENT)
	$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python $(SBOM)
	$(BIN)/uv pip install --quiet --python $(SBOM)/bin/python --require-hashes -r requirements-sbom.lock
	@touch $@

sbom: $(SBOM)/.made ## write what a server is made of, with hashes, into sbom.json (CycloneDX)
	$(SBOM)/bin/cyclonedx-py requirements requirements.lock --pyproject pyproject.toml --output-reproducible --output-file sbom.json

lock: $(DEVELOPMENT) ## resolve the dependencies again
	tools/lock.sh

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
