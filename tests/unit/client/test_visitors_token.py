from __future__ import annotations

import pytest

from keeper_grpc.client import KeeperClient
from keeper_grpc.client.credentials import CredentialsUnusable


async def test_somebody_elses_token_is_not_sent_where_anybody_could_read_it() -> None:
    """Neither to another machine in clear text, nor, of course, silently without it."""
    async with KeeperClient("keeper.example:50051") as keeper:
        with pytest.raises(CredentialsUnusable, match="over TLS only"):
            await keeper.account_value("acct", token="secret-token")
