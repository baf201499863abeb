"""Connect's own conformance suite, against the adapter of `keeper_grpc/rpc/http`.

Of the suite's cases those of `tests/conformance/suite.yaml` are run: Connect and gRPC-Web over HTTP/1.1, binary and
JSON, with and without gzip, every kind of call that HTTP/1.1 can carry. Left out are HTTP/2 and gRPC, which have the gRPC
port, TLS, which tests of the service cover, and Connect's GET, which the port does not take.
"""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

import pytest

from tests.e2e.server_process import REPOSITORY

BUILT = REPOSITORY / "tests/consumers/conformance/built"
CONFORMANCE = REPOSITORY / "tests/conformance"

CASES = 600
"""The suite had 692 of these features when this was written: far fewer would mean that the features are not read."""

FLAKY = "Timeouts/**/unary"
"""The suite's own client has the same 200 ms, and may hang up while it is told that they are over."""

OURS = tuple(
    f"Server Message Size/**/{case}-exceeds-server-limit"
    for case in (
        "unary/request",
        "client-stream/first-request",
        "client-stream/subsequent-request",
        "server-stream/request",
        "bidi-stream/half-duplex/first-request",
        "bidi-stream/half-duplex/subsequent-request",
    )
)
"""A message that is too large is INVALID_ARGUMENT here, as over gRPC; the suite wants RESOURCE_EXHAUSTED."""


@pytest.mark.timeout(600)
async def test_the_http_port_conforms_to_connect_and_grpc_web(tmp_path: Path) -> None:
    """Every case of the suite that HTTP/1.1 can carry passes, but for what is named above."""
    suite = BUILT / "connectconformance"
    if not suite.exists():
        pytest.skip("Connect's conformance suite is not here: `make consumers` builds it")
    protos = sorted((BUILT / "proto").rglob("*.proto"))
    await run(
        *(sys.executable, "-m", "grpc_tools.protoc", "-I", BUILT / "proto"),
        f"--python_out={tmp_path}",
        *protos,
    )
    said = await run(
        *(suite, "--mode", "server", "--conf", CONFORMANCE / "suite.yaml"),
        *(
            "--parallel",
            "4",
            "--max-servers",
            "2",
            "--known-flaky",
            FLAKY,
            *(part for case in OURS for part in ("--known-failing", case)),
        ),
        *("--", sys.executable, "-m", "tests.conformance.server", tmp_path),
    )

    passed = re.search(r"^(\d+) passed, 0 failed", said, re.MULTILINE)
    assert passed, said
    assert int(passed[1]) > CASES


async def run(*command: str | Path) -> str:
    """What a command prints, which must succeed."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=REPOSITORY, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    return said.decode()
