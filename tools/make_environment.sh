#!/bin/sh
# Make or upgrade .venv: `tools/make_environment.sh LOCK` installs the hashed lock file into it, and then
# the project itself. PYTHON names the interpreter to make it with; unless it is set, the newest one
# that is there and runs is taken.
set -eu
cd "$(dirname "$0")/.."

VENV=.venv
# Newest first, as far as all locked packages have wheels.
CANDIDATES='python3.13 python3.12 python3.11 python3'

# A name on the PATH is not enough: pyenv puts one there for versions that are not active, and Debian's
# python3 comes without venv and pip.
usable() {
    "$1" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    for candidate in ${PYTHON:-$CANDIDATES}; do
        if usable "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    echo "no Python 3.11 or later with venv and pip (tried: ${PYTHON:-$CANDIDATES});" \
        "install one (on Debian python3 and python3-venv) or name it: make PYTHON=/path/to/python" >&2
    return 1
}

with_pip() {
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
}

with_uv() {
    "$VENV/bin/uv" pip install --quiet --python "$VENV/bin/python" "$@"
}

# uv knows nothing of pip's configuration, where a company's mirror stands.
use_pips_index() {
    index=${PIP_INDEX_URL:-$("$VENV/bin/python" -m pip config get global.index-url 2>/dev/null || true)}
    if [ -n "$index" ] && [ -z "${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-}" ]; then
        export UV_DEFAULT_INDEX="$index"
    fi
}

# Nor does it trust by itself whom the system trusts, where a company's authority stands.
export UV_SYSTEM_CERTS="${UV_SYSTEM_CERTS:-true}"

if ! "$VENV/bin/python" -c '' >/dev/null 2>&1; then
    python=$(find_python)
    echo "$VENV: Python $("$python" -c 'import platform; print(platform.python_version())') ($python)"
    "$python" -m venv --clear "$VENV"
fi
# An environment that uv made has no pip.
"$VENV/bin/python" -c 'import pip' >/dev/null 2>&1 || "$VENV/bin/python" -m ensurepip >/dev/null

installer=with_pip
if with_pip --require-hashes -r requirements-installer.lock; then
    use_pips_index
    installer=with_uv
else
    echo "uv cannot be installed here: pip installs $1, with the same hashes, but in minutes" >&2
fi
if ! "$installer" --require-hashes -r requirements-build.lock -r "$1"; then
    [ "$installer" = with_uv ] || exit 1
    echo "uv could not install $1: pip does, with the same hashes, but in minutes" >&2
    installer=with_pip
    with_pip --require-hashes -r requirements-build.lock -r "$1"
fi
# The project comes last, without an index.
"$installer" --no-index --no-deps --no-build-isolation -e .
