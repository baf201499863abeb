"""The start of a server as far as its database goes, and what it says where that ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from pydantic import SecretStr

from keeper_grpc.composition.shared import open_pool
from keeper_grpc.operator_error import OperatorError
from keeper_grpc.settings import Settings
from keeper_grpc.storage.database import Database
from keeper_grpc.storage.readiness import Readiness
from tests.e2e.waiting import SOON


@asynccontextmanager
async def started(dsn: str, *, patience: float = SOON) -> AsyncIterator[Database]:
    """The pool of a server that waits `patience` seconds for its database; it is ready."""
    settings = Settings(
        database_url=SecretStr(dsn),
        startup_timeout=timedelta(seconds=patience),
        acquire_timeout=timedelta(seconds=SOON),
        statement_timeout=timedelta(seconds=SOON),
    )
    async with open_pool(settings) as pool:
        assert await Readiness(pool)()
        yield pool


async def refusal(dsn: str) -> str:
    """The one line with which the start ends."""
    with pytest.raises(OperatorError) as refused:
        async with started(dsn, patience=0.001):
            pytest.fail("it started")
    line = str(refused.value)
    assert "\n" not in line
    return line
