from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from keeper_grpc.gen.keeper.network.v1.admin_service_pb2 import RegisterAccountRequest
from tests.rpc.access.identities import CHAIN, MINE, OURS, RIVAL, THEIRS, bearing, matrix
from tests.rpc.service import Service, running


async def register(service: Service, account: str, owner: str = "") -> None:
    """Register an account, also one that was forgotten."""
    request = RegisterAccountRequest(
        account_id=account, business_category="spa", owner_id=owner, return_forgotten=True
    )
    await service.admin.RegisterAccount(request, metadata=bearing("root"))


@pytest.fixture(scope="module")
async def guarded(
    database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Service]:
    """A service that asks who calls, with the accounts of the matrix."""
    path: Path = matrix(tmp_path_factory.mktemp("identities") / "identities.yaml")
    async with running(database_url, identities_file=path) as service:
        await register(service, MINE)
        await register(service, OURS, CHAIN)
        await register(service, THEIRS, RIVAL)
        yield service
