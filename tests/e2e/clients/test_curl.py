"""curl with JSON: calls, a typed error, and a stream, with TLS and a token."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.clients.program import run, started
from tests.e2e.clients.restarting import Restarting

NETWORK = "keeper.network.v1.NetworkLearningService"
GUEST = {"type": "churn_prevention", "business_category": "spa", "confidence": 0.6}


async def test_curl_captures_enhances_streams_and_reads_an_error(
    network_server: Restarting, tmp_path: Path
) -> None:
    """What docs/http.md says, against a server that lets nobody in without a token."""
    if shutil.which("curl") is None:
        pytest.skip("there is no curl")
    token = network_server.token_file.read_text().strip()
    bearer = ("--header", f"Authorization: Bearer {token}")

    async def call(rpc: str, body: dict[str, Any], *options: str) -> Any:
        said = await run(
            *("curl", "--silent", "--show-error", "--cacert", network_server.ca),
            *("--header", "Content-Type: application/json", "--data", json.dumps(body)),
            *options,
            f"{network_server.url}/{NETWORK}/{rpc}",
            directory=tmp_path,
        )
        return json.loads(said)

    for number in range(3):
        captured = {
            "request_id": f"6f9e7f3a-30c1-4ca6-9f0c-3f0c4ff0a00{number}",
            "account_id": f"curl-spa-{number}",
            "insight": GUEST | {"action": "Offer a warm towel"},
            "outcome": {"success": True},
        }
        await call("CapturePattern", captured, *bearer)
    answer = await call("EnhanceInsight", {"account_id": "curl-spa-9", "insight": GUEST}, *bearer)
    refused = await call("EnhanceInsight", {"insight": GUEST}, *bearer)
    stranger = await call("EnhanceInsight", {"account_id": "curl-spa-9", "insight": GUEST})
    (tmp_path / "frame").write_bytes(b"\0\0\0\0\2{}")

    assert answer["enhancedInsight"]["networkEnhanced"] is True
    assert refused["details"][1]["debug"]["fieldViolations"][0]["field"] == "account_id"
    assert (stranger["code"], stranger["details"][0]["debug"]["reason"]) == (
        "unauthenticated",
        "CREDENTIALS_MISSING",
    )
    async with started(
        *("curl", "--silent", "--no-buffer", "--cacert", network_server.ca, *bearer),
        *("--header", "Content-Type: application/connect+json", "--data-binary", "@frame"),
        *("--write-out", "\n", f"{network_server.url}/{NETWORK}/StreamEmergingPatterns"),
        directory=tmp_path,
    ) as stream:
        await stream.says("snapshotComplete")
        await network_server.down()
        await stream.ended()
    assert "SHUTTING_DOWN" in stream.said
