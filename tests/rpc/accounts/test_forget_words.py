from __future__ import annotations

import uuid

import pytest

from keeper_grpc.gen.keeper.network.v1 import network_service_pb2
from tests.rpc.accounts.forgetting import KEYS, forget
from tests.rpc.feedback import ask, report
from tests.rpc.geometry import Geometry
from tests.rpc.requests import capture, new_account, question
from tests.rpc.service import Service


async def test_a_pattern_no_longer_speaks_in_the_forgotten_accounts_words(
    service: Service, topic: str, geometry: Geometry
) -> None:
    """Words, vector and scripts come from the accounts that remain."""
    geometry.apart("Send a card", "Send a letter", cosine=0.97)
    gone = new_account()
    first = await service.capture(
        capture(topic, "Send a card", account=gone, script="A card for you")
    )
    for _ in range(3):
        merged = await service.capture(capture(topic, "Send a letter", script="A letter for you"))
    assert merged.pattern_id == first.pattern_id
    answer = await forget(service, gone)
    assert answer.scripts_removed == 1
    pattern = (
        await service.network.GetPattern(
            network_service_pb2.GetPatternRequest(pattern_id=merged.pattern_id)
        )
    ).pattern
    assert pattern.action == "Send a letter"
    assert pattern.proven_script == "A letter for you"
    asked = await service.network.EnhanceInsight(question(topic, "Send a letter"))
    assert asked.enhanced_insight.evidence.similarity == pytest.approx(1, abs=1e-6)


async def advised_elsewhere(
    service: Service, topic: str, geometry: Geometry
) -> tuple[str, str, str]:
    """Advice of a gym's pattern, reported by a spa: who began it, it, and the spa's new pattern."""
    geometry.together("Mail a handwritten card", "Mail a printed card")
    gym, spa = new_account(), new_account()
    advised = await service.capture(
        capture(topic, "Mail a handwritten card", account=gym, category="gym")
    )
    for _ in range(3):
        await service.network.CapturePattern(capture(topic, "Mail a printed card", category="gym"))
    given = await ask(
        service, topic, spa, "Mail a printed card", category="spa", min_success_rate=0
    )
    assert given.enhanced_insight.suggested_approach == "Mail a printed card"
    request = report(spa, given.enhancement_id)
    await service.network.ReportOutcome(request)
    reported = await service.stored(request.request_id)
    assert reported.pattern_id != advised.pattern_id
    return gym, advised.pattern_id, reported.pattern_id


async def as_before_the_k_rule_for_words(service: Service, *pattern_ids: str) -> None:
    """Let patterns that advice began have what the advised pattern's first account had said."""
    await service.database.execute(
        "UPDATE network_patterns SET action_template = 'Mail a handwritten card' "
        "WHERE id = ANY($1::text[]::uuid[])",
        list(pattern_ids),
    )


async def rows_of_type(service: Service, topic: str, needle: str) -> list[str]:
    """Tables in which a row of this pattern type holds this text."""
    return [
        table
        for table in ("network_patterns", "observations", "sightings", "enhancements")
        if await service.value(
            f"SELECT count(*) FROM {table} t "  # noqa: S608 - our tables
            "WHERE pattern_type = $1 AND strpos(t::text, $2) > 0",
            topic,
            needle,
        )
    ]


async def test_advice_carries_no_words_of_one_account_into_another_category(
    service: Service, topic: str, geometry: Geometry
) -> None:
    """Neither into the other category's pattern nor into the report; and it keeps none to itself."""
    gone, _, elsewhere = await advised_elsewhere(service, topic, geometry)
    rows = await service.database.fetch(
        """
        SELECT p.action_template, o.action FROM network_patterns p
          JOIN observations o ON o.scope_id = p.scope_id AND o.pattern_id = p.id WHERE p.id = $1
        """,
        uuid.UUID(elsewhere),
    )
    assert [tuple(row) for row in rows] == [("Mail a printed card", "Mail a printed card")]

    await forget(service, gone)

    assert await rows_of_type(service, topic, "handwritten") == []
    wordings = await service.value("SELECT count(*) FROM pattern_wordings WHERE action ~ 'handwr'")
    assert wordings == 0


async def test_a_pattern_that_advice_began_speaks_in_the_advised_patterns_words(
    service: Service, topic: str, geometry: Geometry
) -> None:
    """Until k accounts of its own category have words for it."""
    _, _, elsewhere = await advised_elsewhere(service, topic, geometry)
    for _ in range(2):
        given = await ask(
            service, topic, other := new_account(), "Mail a printed card", min_success_rate=0
        )
        await service.network.ReportOutcome(report(other, given.enhancement_id))
    request = network_service_pb2.GetPatternRequest(pattern_id=elsewhere)
    found = await service.network.GetPattern(request)
    assert found.pattern.action == "Mail a printed card"
    geometry.together("Mail a handwritten card", "Post a printed card")
    for _ in range(3):
        await service.network.CapturePattern(capture(topic, "Post a printed card"))
    found = await service.network.GetPattern(request)
    assert found.pattern.action == "Post a printed card"


async def test_words_that_advice_once_carried_on_and_on_are_forgotten(
    service: Service, topic: str, geometry: Geometry
) -> None:
    """Patterns that advice began before the k rule for words say what the advised pattern says now."""
    gone, _, elsewhere = await advised_elsewhere(service, topic, geometry)
    for _ in range(3):
        await service.network.CapturePattern(capture(topic, "Mail a printed card", category="spa"))
    salon = new_account()
    # Only the spa's pattern can be what is advised.
    await service.database.execute(
        "UPDATE network_patterns SET fading = true "
        "WHERE pattern_type = $1 AND business_category = 'gym'",
        topic,
    )
    given = await ask(
        service, topic, salon, "Mail a printed card", category="salon", min_success_rate=0
    )
    request = report(salon, given.enhancement_id)
    await service.network.ReportOutcome(request)
    reported = await service.stored(request.request_id)
    await as_before_the_k_rule_for_words(service, elsewhere, reported.pattern_id)

    await forget(service, gone)

    assert await rows_of_type(service, topic, "handwritten") == []


async def test_a_pattern_worded_by_advice_takes_the_words_of_its_own_category(
    service: Service, topic: str, geometry: Geometry
) -> None:
    """Where somebody there has words for it these are used, also when the advised pattern is gone."""
    gone, advised, elsewhere = await advised_elsewhere(service, topic, geometry)
    await as_before_the_k_rule_for_words(service, elsewhere)
    geometry.together("Mail a handwritten card", "Mail a drawn card")
    await service.network.CapturePattern(capture(topic, "Mail a drawn card", category="spa"))
    await service.database.execute(
        """
        WITH others AS (
            SELECT a.account_key FROM pattern_accounts a JOIN accounts USING (account_key)
             WHERE a.pattern_id = $1::text::uuid AND a.account_key <> $2
        ), ledger AS (
            DELETE FROM observations WHERE account_key IN (SELECT account_key FROM others)
        )
        DELETE FROM pattern_accounts WHERE account_key IN (SELECT account_key FROM others)
        """,
        advised,
        KEYS.key_of(gone),
    )

    assert (await forget(service, gone)).patterns_deleted == 1

    assert await rows_of_type(service, topic, "handwritten") == []
    assert (
        await service.value(
            "SELECT action_template FROM network_patterns WHERE id = $1", uuid.UUID(elsewhere)
        )
        == "Mail a drawn card"
    )
