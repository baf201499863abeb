"""docs/grpcurl.md: every line, in each of the three ways to reach a server."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from keeper_grpc.gen.keeper.network.v1 import admin_service_pb2, network_service_pb2
from tests.access.certificates import Authority
from tests.e2e.conftest import MakeDirectory, StartServer, starter
from tests.e2e.deliverables.documented import blocks, run
from tests.e2e.server_process import REPOSITORY, ServerProcess
from tests.rpc.access.identities import entry, token_of, write

PAGE = blocks(REPOSITORY / "docs/grpcurl.md")
WAYS = {"plain": PAGE[0].text, "TLS and a token": PAGE[1].text, "descriptors": PAGE[2].text}
LINES = "\n".join(block.text for block in PAGE[4:])

OPERATOR = "operator"

BUSY = 900
"""Seconds for thirty programs in turn, on a machine that others use."""


def test_there_is_a_line_for_every_call() -> None:
    """Of both services; a new call fails this until it has one."""
    missing = [
        f"{service.name}/{method.name}"
        for file in (network_service_pb2.DESCRIPTOR, admin_service_pb2.DESCRIPTOR)
        for service in file.services_by_name.values()
        for method in service.methods
        if f"ask {service.name}/{method.name} " not in LINES
    ]

    assert missing == []
    assert all(text.count("ask() {") == 1 for text in WAYS.values())


@pytest.fixture(scope="module")
async def plain(make_directory: MakeDirectory) -> AsyncIterator[ServerProcess]:
    """A server on this machine, which asks for nothing."""
    async with starter(make_directory) as start:
        yield await start(KEEPER_STREAM_HEARTBEAT="0.5")


async def answers(server: ServerProcess, directory: Path, way: str, lines: str) -> str:
    """What all lines print, when the server is reached in one of the ways."""
    script = re.sub(
        r"\b(127\.0\.0\.1|localhost):50051\b", rf"\1:{server.port}", f"{WAYS[way]}\n{lines}"
    )
    code, said = await run(script, directory, {})

    assert code == 0, said
    assert '"networkEnhanced": true' in said
    assert '"publishedPatternCount"' in said
    assert '"action": "undo_retire_pattern"' in said
    assert "ERROR" not in said
    return said


@pytest.mark.timeout(BUSY)
async def test_every_line_is_answered(plain: ServerProcess, tmp_path: Path) -> None:
    """From an empty network on: the advice of three spas reaches the fourth."""
    said = await answers(plain, tmp_path, "plain", f"{PAGE[3].text}\n{LINES}")

    assert '"status": "SERVING"' in said


@pytest.mark.timeout(BUSY)
async def test_every_line_is_answered_without_reflection(
    plain: ServerProcess, tmp_path: Path
) -> None:
    """By the file of descriptors alone, with requests and accounts of their own."""
    for name in ("protos", "third_party", "buf.yaml"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    others = LINES.replace("8b0fbd4c", "9b0fbd4c").replace("grpcurl-", "grpcurl2-")

    await answers(plain, tmp_path, "descriptors", others)


@pytest.mark.timeout(BUSY)
async def test_every_line_is_answered_with_tls_and_a_token(
    start_server: StartServer, make_directory: MakeDirectory
) -> None:
    """Of a server that lets nobody in without a token, by reflection, which is the operators' own there."""
    directory = make_directory()
    server = await start_server(KEEPER_STREAM_HEARTBEAT="0.5", **secured(directory))

    await answers(server, directory, "TLS and a token", LINES)


def secured(directory: Path) -> dict[str, Any]:
    """The settings of a server with TLS and one identity, whose token and authority are in the directory."""
    authority = Authority("test authority")
    certificate, key = authority.server().write(directory, "server")
    (directory / "ca.pem").write_bytes(authority.certificate)
    (directory / "operator.token").write_text(token_of(OPERATOR) + "\n")
    roles = ("capture", "enhance", "observe", "operate")
    identities = write(directory / "identities.yaml", entry(OPERATOR, *roles, accounts="all"))
    return {
        "KEEPER_TLS_CERTIFICATE": str(certificate),
        "KEEPER_TLS_KEY": str(key),
        "KEEPER_IDENTITIES_FILE": str(identities),
    }
