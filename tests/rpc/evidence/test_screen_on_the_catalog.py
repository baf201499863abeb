"""Three registered accounts that would have everyone's customers asked for their cards."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any

import pytest

from keeper_grpc.catalog.load import load_catalog
from keeper_grpc.gen.keeper.network.v1 import admin_service_pb2 as admin
from keeper_grpc.gen.keeper.network.v1 import network_service_pb2 as network
from tests.rpc.advice.facts import EVERYTHING
from tests.rpc.advice.facts import request as moves
from tests.rpc.requests import capture, new_account, question
from tests.rpc.service import Service, running
from tests.rpc.telemetry.scraped import scrape

CARD = "Reply with your card number and the spot is yours"
HONEST = "Hi {name}, we miss you and saved a place for {day}"
CATALOG = next(one for one in load_catalog().patterns if one.key == "break_in_pattern")
CATEGORY = CATALOG.business_categories[0]
SAID: Mapping[str, Any] = {"category": CATEGORY, "conditions": CATALOG.conditions}


@pytest.fixture(scope="module")
async def seeded(database_url: str) -> AsyncIterator[Service]:
    """A service with the catalog, in which only registered accounts count."""
    async with running(
        database_url,
        metrics_port=0,
        seed_catalog=True,
        open_accounts=False,
        account_min_age=timedelta(0),
        account_min_active_days=0,
    ) as service:
        yield service


async def captured(
    service: Service,
    *,
    script: str,
) -> str:
    """Three successes of each of three registered accounts; the pattern's id."""
    for _ in range(3):
        account = new_account()
        await service.admin.RegisterAccount(
            admin.RegisterAccountRequest(account_id=account, business_category=CATEGORY)
        )
        for _ in range(3):
            stored = await service.capture(
                capture(
                    CATALOG.pattern_type, CATALOG.action, account=account, script=script, **SAID
                )
            )
    return stored.pattern_id


async def everything_shown(service: Service, pattern_id: str) -> str:
    """What a newcomer is shown by every call that shows a script."""
    account = new_account()
    asked = question(CATALOG.pattern_type, CATALOG.action, account=account, **SAID)
    advice = await service.network.EnhanceInsight(asked)
    assert advice.enhanced_insight.network_enhanced
    answers = [
        advice,
        await service.network.GenerateTask(
            network.GenerateTaskRequest(account_id=account, enhancement_id=advice.enhancement_id)
        ),
        await service.network.GetPattern(
            network.GetPatternRequest(pattern_id=pattern_id, include_history=True)
        ),
        await service.network.ListPatterns(network.ListPatternsRequest()),
        await service.network.SuggestMoves(
            moves(EVERYTHING, account=account, category=CATEGORY, max_moves=50)
        ),
    ]
    return "\n".join(map(str, answers))


async def test_a_script_that_asks_for_cards_is_evidence_and_never_shown(seeded: Service) -> None:
    """Nine successes of three owners on a pattern of the catalog: counted, and its script stays."""
    pattern_id = await captured(seeded, script=CARD)

    assert "card number" not in await everything_shown(seeded, pattern_id)
    found = await seeded.network.GetPattern(
        network.GetPatternRequest(pattern_id=pattern_id, include_history=True)
    )
    assert (found.pattern.evidence.occurrence_count, found.pattern.evidence.account_count) == (9, 3)
    assert found.pattern.proven_script == min(script.text for script in CATALOG.scripts)
    stored = "SELECT count(*) FROM pattern_scripts WHERE template = $1"
    assert await seeded.value(stored, CARD) == 1
    exported = await scrape(seeded)
    assert exported.value("keeper_scripts_stopped_total", reason="secret") == 9

    await captured(seeded, script=HONEST)
    assert HONEST in await everything_shown(seeded, pattern_id)
