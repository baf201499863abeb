from __future__ import annotations

from typing import Any

import pytest

from keeper_grpc.one_shot.commands import seed
from keeper_grpc.settings import Settings
from tests.integration.openai_stand_in import OpenAIStandIn
from tests.rpc.advice.facts import CATALOG
from tests.rpc.geometry import Geometry
from tests.rpc.service import PSEUDONYM_KEYS, openai


@pytest.fixture(scope="module")
def settings(database_url: str, embeddings: OpenAIStandIn, geometry: Geometry) -> Settings:
    """How to seed the module's database; what does a pattern's action lies where the pattern is."""
    for pattern in CATALOG.values():
        geometry.together(pattern.action)
    chosen: dict[str, Any] = {"database_url": database_url, "pseudonym_keys": PSEUDONYM_KEYS}
    return Settings(**chosen, **openai(embeddings.base_url))


@pytest.fixture(scope="module")
async def seeded(settings: Settings) -> None:
    """The shipped catalog is in the module's database."""
    await seed(settings)
