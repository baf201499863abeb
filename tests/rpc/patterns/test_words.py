"""What one account wrote is shown to no one, wherever a pattern is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import grpc
import pytest

from keeper_grpc.gen.keeper.network.v1 import network_service_pb2, pattern_pb2
from tests.rpc.geometry import Geometry
from tests.rpc.requests import capture, new_account, question
from tests.rpc.service import Service

MAYOR = "Send a birthday card to the guest, signed by the mayor's wife"
GUEST = "Send a birthday card to the guest"


@pytest.fixture(scope="module", autouse=True)
def same_direction(geometry: Geometry) -> None:
    """Whatever is about the birthday card merges."""
    geometry.together("birthday card")


async def say(
    service: Service, topic: str, actions: Sequence[str], **fields: Any
) -> Sequence[network_service_pb2.CapturePatternResponse]:
    """Capture each action of an account of its own."""
    return [
        await service.network.CapturePattern(capture(topic, action, **fields)) for action in actions
    ]


async def listed(service: Service, topic: str) -> Sequence[pattern_pb2.Pattern]:
    """The patterns of this type that anyone can read."""
    request = network_service_pb2.ListPatternsRequest(pattern_type=topic)
    return (await service.network.ListPatterns(request)).patterns


async def everything_read(service: Service, topic: str, pattern_id: str) -> str:
    """All that readers are shown of a pattern, as text."""
    asked = question(topic, GUEST)
    enhanced = await service.network.EnhanceInsight(asked)
    task = await service.network.GenerateTask(
        network_service_pb2.GenerateTaskRequest(
            account_id=asked.account_id, enhancement_id=enhanced.enhancement_id
        )
    )
    page = await listed(service, topic)
    one = await service.network.GetPattern(
        network_service_pb2.GetPatternRequest(pattern_id=pattern_id, include_history=True)
    )
    captured = await service.network.CapturePattern(capture(topic, GUEST))
    shown = enhanced.enhanced_insight
    return f"{shown.suggested_approach} {shown.explanation} {task} {page} {one} {captured}".lower()


async def test_one_accounts_words_reach_no_reader(service: Service, topic: str) -> None:
    """Neither while others join nor after forty of them: what they agree on is shown."""
    await say(service, topic, [MAYOR])
    await say(service, topic, [GUEST] * 3)
    (pattern,) = await listed(service, topic)
    assert pattern.action == GUEST
    await say(service, topic, [GUEST] * 37)
    everything = await everything_read(service, topic, pattern.pattern_id)
    assert "mayor" not in everything
    assert "wife" not in everything
    assert GUEST.lower() in everything


async def test_words_of_fewer_than_k_accounts_are_masked(service: Service, topic: str) -> None:
    """Where no whole sentence is k accounts', the words that they share are shown."""
    await say(
        service,
        topic,
        [
            "Kindly send a birthday card to the guest",
            "Send a birthday card to the guest by post",
            "Send a birthday card to the guest today",
        ],
    )
    (pattern,) = await listed(service, topic)
    assert pattern.action == "… send a birthday card to the guest"


async def test_the_shown_sentence_follows_what_accounts_say(service: Service, topic: str) -> None:
    """The one that most accounts support, also when that changes."""
    other = "Write a birthday card to the guest"
    await say(service, topic, [GUEST] * 3)
    assert [pattern.action for pattern in await listed(service, topic)] == [GUEST]
    await say(service, topic, [other] * 4)
    assert [pattern.action for pattern in await listed(service, topic)] == [other]


async def test_one_account_cannot_choose_the_sentence(service: Service, topic: str) -> None:
    """However often it repeats or varies its own."""
    loud = new_account()
    await say(service, topic, [MAYOR] * 5, account=loud)
    await say(service, topic, [GUEST] * 3)
    await say(service, topic, [MAYOR] * 20, account=loud)
    await say(service, topic, [f"{MAYOR} {n * 'and '}once" for n in range(30)], account=loud)
    assert [pattern.action for pattern in await listed(service, topic)] == [GUEST]
    kept = await service.value(
        "SELECT count(*) FROM pattern_wordings w JOIN network_patterns p ON p.scope_id = w.scope_id AND p.id = w.pattern_id "
        "WHERE p.pattern_type = $1",
        topic,
    )
    assert kept == 16 + 3


async def test_a_pattern_that_may_show_no_words_is_shown_to_no_reader(
    service: Service, topic: str
) -> None:
    """However many accounts support it: advice without words is none."""
    await say(service, topic, [GUEST] * 4)
    (pattern,) = await listed(service, topic)
    await service.database.execute(
        "UPDATE network_patterns SET shown_action = '' WHERE pattern_type = $1", topic
    )
    assert list(await listed(service, topic)) == []
    answer = await service.network.EnhanceInsight(question(topic, GUEST))
    assert not answer.enhanced_insight.network_enhanced
    assert not answer.HasField("closest_miss")
    for history in (True, False):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await service.network.GetPattern(
                network_service_pb2.GetPatternRequest(
                    pattern_id=pattern.pattern_id, include_history=history
                )
            )
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("conditions", "shown"),
    [
        (
            [{"day_of_week": "monday", "loyalty_tier": "gold"}, *[{"day_of_week": "monday"}] * 3],
            {"day_of_week": "monday"},
        ),
        ([{"day_of_week": "monday"}] * 2 + [{"day_of_week": "friday"}] * 2, {}),
        (
            [{"loyalty_tier": "gold"}] * 3 + [{"loyalty_tier": "silver"}] * 4,
            {"loyalty_tier": "silver"},
        ),
    ],
)
async def test_only_conditions_of_k_accounts_are_shown(
    service: Service, topic: str, conditions: Sequence[Mapping[str, str]], shown: Mapping[str, str]
) -> None:
    """A key and a value that fewer sent tells about them; of several values most accounts' is shown."""
    for sent in conditions:
        await say(service, topic, [GUEST], conditions=sent)
    (pattern,) = await listed(service, topic)
    assert dict(pattern.conditions) == shown


async def test_captures_that_join_an_authored_pattern_leave_its_words(
    service: Service, topic: str
) -> None:
    """What accounts say is never shown under the author's name."""
    await say(service, topic, [GUEST] * 3)
    (pattern,) = await listed(service, topic)
    await service.database.execute(
        "UPDATE network_patterns SET catalog_key = $2, catalog_version = 1, "
        "action_template = 'Kindly send a birthday card to the guest', context = '{}' WHERE id = $1::text::uuid",
        pattern.pattern_id,
        topic,
    )
    await say(service, topic, ["Send a birthday card to the guest with an insult"] * 5)
    (pattern,) = await listed(service, topic)
    assert pattern.action == "Kindly send a birthday card to the guest"


async def test_an_account_that_supports_a_word_reads_it_only_where_k_others_do(
    service: Service, topic: str
) -> None:
    """It would learn otherwise what fewer than k others share with it."""
    friday, fridays = f"{GUEST} on Fridays", new_account()
    await say(service, topic, [friday], account=fridays)
    await say(service, topic, [friday] * 2)
    guests = [new_account() for _ in range(2)]
    for account in guests:
        await say(service, topic, [GUEST], account=account, conditions={"weekday": "friday"})
    assert [pattern.action for pattern in await listed(service, topic)] == [friday]

    async def read(account: str | None) -> str:
        asked = question(topic, GUEST, account=account or new_account(), min_success_rate=0.01)
        answer = await service.network.EnhanceInsight(asked)
        assert answer.enhanced_insight.network_enhanced
        return answer.enhanced_insight.suggested_approach

    assert friday in await read(None)
    assert friday in await read(guests[0])
    own = await read(fridays)
    assert "Fridays" not in own
    assert GUEST in own

    await say(service, topic, [friday])
    assert friday in await read(fridays)
