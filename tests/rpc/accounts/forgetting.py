"""Forgetting an account over a channel, and what the tables still say of it."""

from __future__ import annotations

from keeper_grpc.gen.keeper.network.v1 import admin_service_pb2
from keeper_grpc.privacy.keys.pseudonyms import Pseudonyms
from tests.rpc.service import Service

# The key that tests/rpc/service.py configures, to look for what it makes of an account.
KEYS = Pseudonyms({"test": bytes(range(32))}, "test")


async def forget(service: Service, account: str) -> admin_service_pb2.ForgetAccountResponse:
    """Forget one account."""
    return await service.admin.ForgetAccount(
        admin_service_pb2.ForgetAccountRequest(account_id=account)
    )
