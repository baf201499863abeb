from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.integration.openai_stand_in import OpenAIStandIn
from tests.rpc.geometry import Geometry
from tests.rpc.requests import new_topic
from tests.rpc.service import Service, openai, running
from tests.rpc.telemetry.scraped import Scraped, under_traffic


@pytest.fixture(scope="module")
def geometry() -> Geometry:
    """Where the module's texts lie."""
    return Geometry()


@pytest.fixture(scope="module")
async def embeddings(geometry: Geometry) -> AsyncIterator[OpenAIStandIn]:
    """The embeddings API of the module's service."""
    async with OpenAIStandIn(embed=geometry) as server:
        yield server


@pytest.fixture(scope="module")
async def service(database_url: str, embeddings: OpenAIStandIn) -> AsyncIterator[Service]:
    """The module's service, on a database of its own, embedding through the stand-in."""
    async with running(database_url, **openai(embeddings.base_url)) as started:
        yield started


@pytest.fixture(scope="module")
async def scraped(database_url: str) -> AsyncIterator[Scraped]:
    """The module's service, on a database of its own, and what it exports after some traffic."""
    async with under_traffic(database_url) as read:
        yield read


@pytest.fixture
def topic() -> str:
    """A pattern type of the test's own: what other tests captured is out of its scope."""
    return new_topic()
