"""The drill of docs/operations.md: a new pseudonym key on every host, without a pause, until the old one is gone."""

from __future__ import annotations

import base64
import uuid
from typing import Any

import pytest

from keeper_grpc.composition.shared import open_pool
from keeper_grpc.gen.keeper.network.v1.admin_service_pb2 import ForgetAccountRequest
from keeper_grpc.operations.doctor.checks.keys import keys_carried
from keeper_grpc.pseudonym_keys import make_pseudonyms
from keeper_grpc.settings import Settings
from keeper_grpc.storage.accounts.key_agreement import PseudonymKeyMissing
from tests.rpc.requests import capture, new_account
from tests.rpc.service import Service, running

OLD, NEW = (base64.b64encode(bytes([fill]) * 32).decode() for fill in (1, 2))
BEFORE, BEHIND, IN_FRONT, AFTER = (
    f"old:{OLD}",
    f"old:{OLD},new:{NEW}",
    f"new:{NEW},old:{OLD}",
    f"new:{NEW}",
)


async def carried(service: Service) -> dict[str, int]:
    """Accounts by the id of the key that their pseudonym was made with."""
    rows = await service.database.fetch(
        "SELECT split_part(account_key, ':', 1) AS key_id, count(*) AS n FROM accounts GROUP BY 1"
    )
    return {row["key_id"]: row["n"] for row in rows}


async def start_of(dsn: str, keys: str) -> str:
    """As much of a start as is about keys, and what the doctor says of them then."""
    settings = Settings(database_url=dsn, pseudonym_keys=keys, embedder="local")
    async with open_pool(settings) as pool:
        await make_pseudonyms(settings, pool)
        return (await keys_carried(settings, pool)).found


async def test_a_key_is_rotated_on_hosts_that_serve_beside_each_other(
    database_of_its_own: str, topic: str
) -> None:
    """No account counts twice, no retry is lost, and the old key goes only when nothing is made with it."""
    dsn = database_of_its_own
    local: dict[str, Any] = {"embedder": "local"}
    first, second, third = (new_account() for _ in range(3))
    request = capture(topic, account=first, request_id=str(uuid.uuid4()))

    async with running(dsn, pseudonym_keys=BEHIND, **local) as behind:
        async with running(dsn, pseudonym_keys=BEFORE, **local) as before:
            await before.network.CapturePattern(request)
            await behind.network.CapturePattern(capture(topic, account=second))
            await before.network.CapturePattern(capture(topic, account=second))
            assert await carried(before) == {"old": 2}

        async with running(dsn, pseudonym_keys=IN_FRONT, **local) as in_front:
            assert (await in_front.network.CapturePattern(request)).replayed
            await in_front.network.CapturePattern(capture(topic, account=third))
            await behind.network.CapturePattern(capture(topic, account=third))
            await behind.network.CapturePattern(capture(topic, account=first))
            assert await carried(in_front) == {"old": 2, "new": 1}

            with pytest.raises(PseudonymKeyMissing, match="'old'"):
                await start_of(dsn, AFTER)
            for account in (first, second):
                await in_front.admin.ForgetAccount(ForgetAccountRequest(account_id=account))
            assert await carried(in_front) == {"new": 1}

    assert "old may be dropped" in await start_of(dsn, IN_FRONT)
    assert "new (1)" in await start_of(dsn, AFTER)
