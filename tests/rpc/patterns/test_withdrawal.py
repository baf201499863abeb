"""What an operator takes back is shown to nobody, is counted on, and comes back with an undo."""

from __future__ import annotations

import uuid
from contextlib import suppress

import grpc
import pytest

from keeper_grpc.gen.keeper.network.v1 import admin_service_pb2 as admin
from keeper_grpc.gen.keeper.network.v1 import network_service_pb2 as network
from tests.rpc.emerging.subscriber import (
    detected,
    next_change,
    seen_by,
    snapshot,
    subscribed,
)
from tests.rpc.feedback import TOWEL, ask, report, teach
from tests.rpc.geometry import Geometry
from tests.rpc.refusal import refusal
from tests.rpc.requests import capture, new_account, question
from tests.rpc.service import Service

HARMFUL = admin.WITHDRAWAL_REASON_HARMFUL
SCRIPT = "Hi {name}, a warm towel is waiting for you"


@pytest.fixture(scope="module", autouse=True)
def same_direction(geometry: Geometry) -> None:
    """Whatever is about the towel is alike, in any category."""
    geometry.together(TOWEL)


async def retire(
    service: Service, pattern_id: str, *, undo: bool = False
) -> admin.RetirePatternResponse:
    """Retire a pattern as harmful, or undo that."""
    reason = admin.WITHDRAWAL_REASON_UNSPECIFIED if undo else HARMFUL
    return await service.admin.RetirePattern(
        admin.RetirePatternRequest(pattern_id=pattern_id, reason=reason, undo=undo)
    )


async def withdraw(
    service: Service, pattern_id: str, script: str, *, undo: bool = False
) -> admin.WithdrawScriptResponse:
    """Withdraw a script as harmful, or undo that."""
    reason = admin.WITHDRAWAL_REASON_UNSPECIFIED if undo else HARMFUL
    return await service.admin.WithdrawScript(
        admin.WithdrawScriptRequest(pattern_id=pattern_id, script=script, reason=reason, undo=undo)
    )


async def readers_that_show(service: Service, topic: str, pattern_id: str) -> set[str]:
    """The calls that show the pattern now."""
    shown = set()
    for history in (False, True):
        request = network.GetPatternRequest(pattern_id=pattern_id, include_history=history)
        with suppress(grpc.aio.AioRpcError):
            await service.network.GetPattern(request)
            shown.add("GetPattern")
    if (
        await service.network.ListPatterns(network.ListPatternsRequest(pattern_type=topic))
    ).patterns:
        shown.add("ListPatterns")
    for category in ("spa", "gym"):
        answer = await service.network.EnhanceInsight(
            question(topic, category=category, min_success_rate=0)
        )
        if answer.enhanced_insight.network_enhanced or answer.HasField("closest_miss"):
            shown.add(f"EnhanceInsight from a {category}")
    if (await service.network.CapturePattern(capture(topic))).HasField("pattern"):
        shown.add("CapturePattern")
    return shown


async def test_a_retired_pattern_is_shown_to_no_reader(service: Service, topic: str) -> None:
    """As if it did not exist; an undo brings it back with what was captured meanwhile."""
    pattern_id = await teach(service, topic, ["++", "++", "++"], script=SCRIPT)
    everyone = {
        "GetPattern",
        "ListPatterns",
        "EnhanceInsight from a spa",
        "EnhanceInsight from a gym",
        "CapturePattern",
    }
    assert await readers_that_show(service, topic, pattern_id) == everyone
    account = new_account()
    given = await ask(service, topic, account)
    assert (await retire(service, pattern_id)).changed
    assert not (await retire(service, pattern_id)).changed

    assert await readers_that_show(service, topic, pattern_id) == set()
    task = await service.network.GenerateTask(
        network.GenerateTaskRequest(account_id=account, enhancement_id=given.enhancement_id)
    )
    assert not task.task.confidence_label
    assert not task.task.script
    await service.network.ReportOutcome(report(account, given.enhancement_id))

    assert (await retire(service, pattern_id, undo=True)).changed
    assert await readers_that_show(service, topic, pattern_id) == everyone
    found = await service.network.GetPattern(network.GetPatternRequest(pattern_id=pattern_id))
    # Three that taught, one that looked before and one while it was retired, one after; one report.
    assert found.pattern.evidence.account_count == 3 + 3 + 1


async def test_a_retired_pattern_of_the_catalog_is_not_shown_either(
    service: Service, topic: str
) -> None:
    """Its words are nobody's, and wrong all the same."""
    pattern_id = await teach(service, topic, ["+"])
    await service.database.execute(
        "UPDATE network_patterns SET catalog_key = $2, catalog_version = 1 WHERE id = $1::text::uuid",
        pattern_id,
        topic,
    )
    assert {"GetPattern", "ListPatterns"} <= await readers_that_show(service, topic, pattern_id)
    await retire(service, pattern_id)
    assert await readers_that_show(service, topic, pattern_id) == set()


async def test_a_withdrawn_script_is_handed_out_no_more(service: Service, topic: str) -> None:
    """Neither with new advice nor in a task of earlier advice; the next best takes its place."""
    pattern_id = await teach(service, topic, ["++", "++", "++"], script=SCRIPT)
    await teach(service, topic, ["++", "+-", "+-"], script="A towel for you, {name}")
    account = new_account()
    given = await ask(service, topic, account)
    assert given.enhanced_insight.proven_script == SCRIPT
    assert (await withdraw(service, pattern_id, SCRIPT)).changed

    order = network.GenerateTaskRequest(account_id=account, enhancement_id=given.enhancement_id)
    assert SCRIPT not in str((await service.network.GenerateTask(order)).task)
    told = await service.network.GetPattern(
        network.GetPatternRequest(pattern_id=pattern_id, include_history=True)
    )
    assert SCRIPT not in str(told)
    answer = await ask(service, topic, new_account())
    assert answer.enhanced_insight.proven_script == "A towel for you, {name}"

    assert (await withdraw(service, pattern_id, SCRIPT, undo=True)).changed
    assert not (await withdraw(service, pattern_id, SCRIPT, undo=True)).changed
    answer = await ask(service, topic, new_account())
    assert answer.enhanced_insight.proven_script == SCRIPT
    assert (await service.network.GenerateTask(order)).task.script == SCRIPT


async def test_withdrawals_are_audited_with_pattern_and_reason(
    service: Service, topic: str
) -> None:
    """Each once, newest first, without a text."""
    pattern_id = await teach(service, topic, ["+"], script=SCRIPT)
    first = await retire(service, pattern_id)
    second = await retire(service, pattern_id, undo=True)
    third = await withdraw(service, pattern_id, SCRIPT)
    fourth = await withdraw(service, pattern_id, SCRIPT, undo=True)
    newest_first = [
        fourth.audit_event_id,
        third.audit_event_id,
        second.audit_event_id,
        first.audit_event_id,
    ]
    page = await service.admin.ListAuditEvents(admin.ListAuditEventsRequest(page_size=4))
    assert [event.audit_event_id for event in page.audit_events] == newest_first
    assert [(event.action, event.reason) for event in page.audit_events] == [
        ("undo_withdraw_script", 0),
        ("withdraw_script", HARMFUL),
        ("undo_retire_pattern", 0),
        ("retire_pattern", HARMFUL),
    ]
    assert {event.pattern_id for event in page.audit_events} == {pattern_id}
    assert "towel" not in str(page)


async def test_what_does_not_exist_cannot_be_withdrawn(service: Service, topic: str) -> None:
    """A pattern or script that is not there, or no reason, is refused."""
    pattern_id = await teach(service, topic, ["+"], TOWEL)
    unknown = str(uuid.uuid4())
    assert (await refusal(retire(service, unknown))).reason == "PATTERN_NOT_FOUND"
    assert (await refusal(withdraw(service, unknown, SCRIPT))).reason == "PATTERN_NOT_FOUND"
    assert (await refusal(withdraw(service, pattern_id, SCRIPT))).reason == "SCRIPT_NOT_FOUND"
    refused = await refusal(
        service.admin.RetirePattern(admin.RetirePatternRequest(pattern_id=pattern_id))
    )
    assert "a reason is required" in refused.fields.values()


async def test_a_withdrawn_script_does_not_come_back_with_other_marks(
    service: Service, topic: str
) -> None:
    """In other blanks, case or marks it is the same script; an undo brings all of them back."""
    pattern_id = await teach(service, topic, ["++", "++", "++"], script=SCRIPT)
    await withdraw(service, pattern_id, SCRIPT)
    variants = [SCRIPT.replace(" a ", "  a "), f"{SCRIPT}.", f"{SCRIPT} !", SCRIPT.upper()]
    for variant in variants:
        await teach(service, topic, ["+", "+", "+"], script=variant)

    async def scripts() -> list[str]:
        asked = network.GetPatternRequest(pattern_id=pattern_id, include_history=True)
        return [script.template for script in (await service.network.GetPattern(asked)).scripts]

    assert await scripts() == []
    await withdraw(service, pattern_id, SCRIPT, undo=True)
    assert SCRIPT in await scripts()


async def test_emerging_patterns_do_not_tell_the_words_of_a_retired_one(
    service: Service, topic: str
) -> None:
    """What an operator took back as harmful must not be read in the stream instead; an undo brings it back."""
    await seen_by(service, topic, 3, action="Offer a warm towel at the door")
    await detected(service, topic)
    listed = await service.network.ListPatterns(network.ListPatternsRequest(pattern_type=topic))
    (pattern,) = listed.patterns

    async with subscribed(service, pattern_type=topic) as stream:
        (member,), _ = await snapshot(stream)
        assert "warm towel" in member.common_pattern
        await retire(service, pattern.pattern_id)
        changed = (await next_change(stream)).emerging_pattern
        assert "warm" not in f"{changed.common_pattern} {changed.label}".lower()
        await seen_by(service, topic, 1, action="Offer a warm towel, AT the door!")
        grown = (await next_change(stream, lambda each: each.account_count == 4)).emerging_pattern
        assert "warm" not in f"{grown.common_pattern} {grown.label}".lower()

        await retire(service, pattern.pattern_id, undo=True)
        back = (await next_change(stream)).emerging_pattern
        assert "warm towel" in back.common_pattern
