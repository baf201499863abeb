from __future__ import annotations

import asyncio
from typing import NoReturn

import pytest

from keeper_grpc.app import application
from keeper_grpc.process import ServiceFailed, serve
from keeper_grpc.settings import Settings
from keeper_grpc.usecases.patterns.maintain import Maintain
from tests.e2e.waiting import SOON
from tests.rpc.service import PSEUDONYM_KEYS


async def test_a_service_whose_part_died_drains_and_says_so(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A background loop that dies of a defect ends the process instead of leaving half a service."""

    async def die(_: Maintain) -> NoReturn:
        await asyncio.sleep(0)
        raise ZeroDivisionError

    monkeypatch.setattr(Maintain, "run", die)
    settings = Settings(port=0, database_url=database_url, pseudonym_keys=PSEUDONYM_KEYS)
    async with application(settings) as app:
        await asyncio.wait_for(app.failed.wait(), timeout=SOON)
    with pytest.raises(ServiceFailed):
        await serve(settings)
