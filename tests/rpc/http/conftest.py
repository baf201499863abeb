from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.rpc.service import Service, running

ORIGIN = "https://app.example.com"


@pytest.fixture(scope="module")
async def service(database_url: str) -> AsyncIterator[Service]:
    """The module's service, which serves HTTP too, for the pages of one origin."""
    async with running(
        database_url, http_address=("127.0.0.1", 0), http_origins=(ORIGIN,)
    ) as started:
        yield started
