# Two images from one file: the server (the default), and its web page (--target dashboard).
# Both run as an unprivileged user on a read-only root; all that is ever written is in /var/lib/keeper.

FROM debian:bookworm-20260824-slim@sha256:88200866dfff7ea7f5cbcb6ec7c8a701889efe6fe859fe64d6990e4b07ea4171 AS base
# Debian's Python 3.11 is what the tests run on, and gets its security fixes with the base image.
# hadolint ignore=DL3008  # Debian's archive keeps one version of a package: a pinned one goes away
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates python3 \
    && rm -rf /var/lib/apt/lists/*

FROM base AS build
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY requirements-installer.lock requirements-build.lock ./
RUN python3 -m venv /build/tools \
    && /build/tools/bin/pip install --no-cache-dir --require-hashes \
        --requirement requirements-installer.lock --requirement requirements-build.lock
ENV PATH=/build/tools/bin:$PATH UV_LINK_MODE=copy UV_NO_CACHE=1
# Dependencies come before the source: a change of the source rebuilds one small layer.
COPY requirements.lock ./
RUN uv venv --python /usr/bin/python3 /opt/keeper \
    && uv pip install --python /opt/keeper/bin/python --compile-bytecode \
        --require-hashes --requirement requirements.lock
COPY pyproject.toml hatch_build.py README.md LICENSE THIRD_PARTY_NOTICES.txt ./
COPY examples examples
COPY keeper_grpc keeper_grpc
RUN hatchling build -t wheel -d dist \
    && uv pip install --python /opt/keeper/bin/python --compile-bytecode \
        --no-index --no-deps dist/*.whl

FROM build AS build-dashboard
COPY requirements-dashboard.lock ./
RUN uv pip install --python /opt/keeper/bin/python --compile-bytecode \
        --require-hashes --requirement requirements-dashboard.lock

FROM base AS run
# The user of the bundled PostgreSQL too, where no other database is configured.
RUN useradd --system --uid 10001 --home-dir /var/lib/keeper --create-home --shell /usr/sbin/nologin keeper
ENV PATH=/opt/keeper/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /var/lib/keeper

FROM run AS dashboard
COPY --from=build-dashboard /opt/keeper /opt/keeper
EXPOSE 8080
HEALTHCHECK --interval=15s --timeout=5s --start-period=10s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080', timeout=4)"]
ENTRYPOINT ["keeper", "dashboard", "--host", "0.0.0.0"]

FROM run AS server
COPY --from=build /opt/keeper /opt/keeper
# It does not start before it is told who may call, or KEEPER_ALLOW_UNAUTHENTICATED: docs/security.md.
ENV KEEPER_HOST=0.0.0.0 \
    KEEPER_METRICS_HOST=0.0.0.0 \
    KEEPER_DATA_DIR=/var/lib/keeper
EXPOSE 50051
VOLUME /var/lib/keeper
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["keeper", "health"]
ENTRYPOINT ["keeper", "serve"]
