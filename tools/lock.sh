#!/usr/bin/env bash
# Resolve the dependencies of pyproject.toml anew into the two lock files, with hashes, without the
# address they came from: a lock must not tie the project to one mirror.
set -euo pipefail
cd "$(dirname "$0")/.."
compile() {
    .venv/bin/uv pip compile pyproject.toml --universal --python-version 3.11 \
        --generate-hashes --no-emit-index-url --no-header --quiet "$@"
}
compile --output-file requirements.lock
compile --group dev --all-extras --constraint requirements.lock --output-file requirements-dev.lock
