from __future__ import annotations

import asyncio
import uuid
from collections import Counter

import grpc
import pytest

from keeper_grpc.gen.keeper.network.v1 import network_service_pb2
from tests.rpc.geometry import Geometry
from tests.rpc.refusal import refusal
from tests.rpc.requests import capture, new_account, new_topic
from tests.rpc.service import Service

Response = network_service_pb2.CapturePatternResponse
CREATED, MERGED = "created", "merged"
"""As the ledger has it."""


async def ledger(service: Service, topic: str) -> int:
    """Observations of this topic."""
    count: int = await service.value(
        "SELECT count(*) FROM observations WHERE pattern_type = $1", topic
    )
    return count


async def test_the_first_of_its_kind_creates_a_pattern(service: Service, topic: str) -> None:
    """Nothing is near in an empty scope, and a pattern of one account is not shown, nor that it is new."""
    request = capture(topic)
    answer = await service.network.CapturePattern(request)
    assert answer == Response(
        disposition=Response.DISPOSITION_RECORDED, anonymization=answer.anonymization
    )
    stored = await service.stored(request.request_id)
    assert stored.disposition == CREATED
    assert uuid.UUID(stored.pattern_id)


@pytest.mark.parametrize(
    ("cosine", "disposition"),
    [(0.95001, MERGED), (0.94999, CREATED), (0.99, MERGED), (0.5, CREATED)],
)
async def test_the_merge_threshold_decides(
    service: Service, topic: str, geometry: Geometry, cosine: float, disposition: str
) -> None:
    """Just above the model's threshold it merges; just below it does not."""
    one, other = f"Offer a {topic} tea", f"Serve a {topic} tea"
    one, other = one.replace("_", " "), other.replace("_", " ")
    geometry.apart(one, other, cosine=cosine)
    first = await service.capture(capture(topic, one))
    second = await service.capture(capture(topic, other))
    assert second.disposition == disposition
    assert (second.pattern_id == first.pattern_id) is (disposition == MERGED)


async def test_guesses_are_not_led_to_a_text(
    service: Service, topic: str, geometry: Geometry
) -> None:
    """How near a pattern lies is told once it is published, in hundredths, and to a retry as before."""
    victim, guess = (
        f"Offer a {topic} tea".replace("_", " "),
        f"Serve a {topic} tea".replace("_", " "),
    )
    geometry.apart(victim, guess, cosine=0.98765)
    await service.network.CapturePattern(capture(topic, victim))
    climbing = [capture(topic, guess, account=account) for account in [new_account()] * 3]
    assert {(await service.network.CapturePattern(request)).similarity for request in climbing} == {
        0
    }
    for _ in range(2):
        await service.network.CapturePattern(capture(topic, victim))
    published = await service.network.CapturePattern(capture(topic, victim))
    assert published.HasField("pattern")
    assert 0.95 < published.similarity == round(published.similarity, 2)
    again = await service.network.CapturePattern(climbing[0])
    assert again.replayed
    assert again.similarity == 0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Raise the price of Saturday massages", "Lower the price of Saturday massages"),
        ("Start charging a late-cancel fee", "Stop charging a late-cancel fee"),
        ("Introduce a late-cancel fee", "Scrap the late-cancel fee"),
        ("Charge 10% more on Saturdays", "Charge 10% less on Saturdays"),
        ("Send reminder texts to members", "Stop sending reminder texts to members"),
        ("Reply to the review publicly", "Reply to the review privately"),
        ("Offer 20% off the next visit", "Offer 10% off the next visit"),
    ],
)
async def test_opposites_stay_apart_whatever_their_cosine(
    service: Service, topic: str, geometry: Geometry, one: str, other: str
) -> None:
    """With equal vectors, opposites are two patterns, and each finds its own again."""
    geometry.together(one, other)
    first = await service.capture(capture(topic, one))
    second = await service.capture(capture(topic, other))
    assert second.disposition == CREATED
    for action, pattern in ((one, first), (other, second)):
        again = await service.capture(capture(topic, action))
        assert again.disposition == MERGED
        assert again.pattern_id == pattern.pattern_id


async def test_types_and_categories_never_meet(service: Service, topic: str) -> None:
    """The same words of another type, or of another line of business, start another pattern."""
    first = await service.capture(capture(topic))
    other_type = await service.capture(capture(new_topic()))
    other_category = await service.capture(capture(topic, category="gym"))
    assert (other_type.disposition, other_category.disposition) == (CREATED, CREATED)
    assert len({first.pattern_id, other_type.pattern_id, other_category.pattern_id}) == 3


async def test_failures_count_and_the_pattern_shows_once_three_others_have_it(
    service: Service, topic: str
) -> None:
    """Three other accounts make it public; its rate is successes over trials, failures included.

    The capturing account's own outcome is not among them.
    """
    shown = []
    for success in (True, False, True, False):
        answer = await service.network.CapturePattern(capture(topic, success=success))
        shown.append(answer.HasField("pattern"))
    assert shown == [False, False, False, True]
    evidence = answer.pattern.evidence
    assert (evidence.occurrence_count, evidence.success_count, evidence.account_count) == (3, 2, 3)
    assert evidence.success_rate == pytest.approx(2 / 3)
    assert answer.pattern.action == "Offer a warm towel"
    assert answer.pattern.pattern_type == topic


async def test_fifty_parallel_identical_captures_are_one_pattern(
    service: Service, topic: str
) -> None:
    """Ten accounts, five captures each, at once: one pattern with fifty occurrences."""
    accounts = [new_account() for _ in range(10)]
    answers = await asyncio.gather(
        *(
            service.capture(capture(topic, account=account, success=number < 40))
            for number, account in enumerate(accounts * 5)
        )
    )
    assert len({answer.pattern_id for answer in answers}) == 1
    assert Counter(answer.disposition for answer in answers) == {CREATED: 1, MERGED: 49}
    found = await service.network.GetPattern(
        network_service_pb2.GetPatternRequest(pattern_id=answers[0].pattern_id)
    )
    evidence = found.pattern.evidence
    assert (evidence.occurrence_count, evidence.success_count, evidence.account_count) == (
        50,
        40,
        10,
    )
    assert await ledger(service, topic) == 50


async def test_parallel_first_groups_of_one_account_register_it_once(
    service: Service, topic: str
) -> None:
    """Twenty calls race to register an account; none fails, and it counts as one."""
    account = new_account()
    before = await service.value("SELECT count(*) FROM accounts")
    answers = await asyncio.gather(
        *(service.capture(capture(topic, account=account)) for _ in range(20))
    )
    assert len({answer.pattern_id for answer in answers}) == 1
    assert await service.value("SELECT count(*) FROM accounts") == before + 1


async def test_parallel_captures_in_many_scopes_do_not_block_each_other(service: Service) -> None:
    """Captures of different topics and accounts all arrive, each in its own pattern."""
    topics = [new_topic() for _ in range(20)]
    answers = await asyncio.gather(
        *(service.capture(capture(topic)) for topic in topics for _ in range(3))
    )
    assert len({answer.pattern_id for answer in answers}) == 20
    assert [await ledger(service, topic) for topic in topics] == [3] * 20


async def test_a_retry_gets_the_first_answer_and_counts_once(service: Service, topic: str) -> None:
    """The same request again: the same answer, marked as replayed."""
    request = capture(topic)
    first = await service.network.CapturePattern(request)
    second = await service.network.CapturePattern(request)
    assert second.replayed
    second.replayed = False
    assert second == first
    assert await ledger(service, topic) == 1


async def test_a_retry_gets_the_first_answer_after_others_captured_and_may_be_told_more_of_it(
    service: Service, topic: str
) -> None:
    """What became of it does not change when the pattern grows; it is told when others publish that."""
    request = capture(topic)
    stored = await service.capture(request)
    for _ in range(2):
        await service.network.CapturePattern(capture(topic))
        again = await service.network.CapturePattern(request)
        assert again == Response(
            disposition=Response.DISPOSITION_RECORDED,
            replayed=True,
            anonymization=again.anonymization,
        )
    await service.network.CapturePattern(capture(topic))
    again = await service.network.CapturePattern(request)
    assert (again.pattern_id, again.disposition, again.similarity, again.replayed) == (
        stored.pattern_id,
        Response.DISPOSITION_CREATED,
        0,
        True,
    )
    assert again.pattern.evidence.account_count == 3


async def test_twenty_parallel_retries_count_once(service: Service, topic: str) -> None:
    """However the retries race, one of them captures and nineteen are told of it."""
    request = capture(topic)
    answers = await asyncio.gather(*(service.network.CapturePattern(request) for _ in range(20)))
    assert Counter(answer.replayed for answer in answers) == {False: 1, True: 19}
    assert await ledger(service, topic) == 1
    occurrences = await service.value(
        "SELECT occurrence_count FROM network_patterns WHERE pattern_type = $1", topic
    )
    assert occurrences == 1


async def test_a_request_id_names_one_request_of_its_account(service: Service, topic: str) -> None:
    """Another body is refused and not counted; another account may use the same id."""
    account, request_id = new_account(), str(uuid.uuid4())
    await service.network.CapturePattern(capture(topic, account=account, request_id=request_id))
    others = [
        capture(topic, account=account, request_id=request_id, success=False),
        capture(topic, "Offer a cold towel", account=account, request_id=request_id),
        capture(new_topic(), account=account, request_id=request_id),
    ]
    for other in others:
        refused = await refusal(service.network.CapturePattern(other))
        assert refused.code is grpc.StatusCode.ALREADY_EXISTS
        assert (refused.domain, refused.reason) == ("network.keeper", "REQUEST_ID_REUSED")
        assert refused.retry_seconds is None
    assert await ledger(service, topic) == 1
    answer = await service.network.CapturePattern(capture(topic, request_id=request_id))
    assert not answer.replayed


async def test_one_request_id_in_two_scopes_at_once_is_captured_once(service: Service) -> None:
    """The scopes' locks differ, so the ledger itself decides: one wins, the other is refused."""
    for _ in range(5):
        account, request_id = new_account(), str(uuid.uuid4())
        topics = [new_topic(), new_topic()]
        results = await asyncio.gather(
            *(
                service.network.CapturePattern(
                    capture(topic, account=account, request_id=request_id)
                )
                for topic in topics
            ),
            return_exceptions=True,
        )
        failed = [result for result in results if isinstance(result, grpc.aio.AioRpcError)]
        assert [error.code() for error in failed] == [grpc.StatusCode.ALREADY_EXISTS]
        assert sum([await ledger(service, topic) for topic in topics]) == 1


async def test_an_action_that_cannot_be_made_anonymous_is_withheld(
    service: Service, topic: str
) -> None:
    """Its outcome is in the ledger; no pattern is made of it, and the report says why."""
    request = capture(topic, "Rufen Sie den Gast an und bieten Sie ihm einen Termin an")
    answer = await service.network.CapturePattern(request)
    assert answer.disposition == Response.DISPOSITION_WITHHELD
    assert answer.pattern_id == ""
    assert [dropped.field for dropped in answer.anonymization.dropped] == ["action"]
    assert await ledger(service, topic) == 1
    again = await service.network.CapturePattern(request)
    assert again.replayed
    assert again.disposition == Response.DISPOSITION_WITHHELD


async def test_a_category_is_needed_once(service: Service, topic: str) -> None:
    """Without one an unknown account is refused; once registered it may leave it out."""
    account = new_account()
    refused = await refusal(
        service.network.CapturePattern(capture(topic, account=account, category=""))
    )
    assert refused.code is grpc.StatusCode.FAILED_PRECONDITION
    assert refused.reason == "ACCOUNT_CATEGORY_UNKNOWN"
    first = await service.capture(capture(topic, account=account))
    second = await service.capture(capture(topic, account=account, category=""))
    assert second.pattern_id == first.pattern_id


async def test_an_account_stays_in_its_category(service: Service, topic: str) -> None:
    """A capture that names another one than the registered is refused and not counted."""
    account = new_account()
    await service.network.CapturePattern(capture(topic, account=account))
    refused = await refusal(
        service.network.CapturePattern(capture(topic, account=account, category="gym"))
    )
    assert refused.code is grpc.StatusCode.FAILED_PRECONDITION
    assert refused.reason == "ACCOUNT_CATEGORY_CONFLICT"
    assert await ledger(service, topic) == 1


async def test_what_is_told_and_stored_is_anonymous(service: Service, topic: str) -> None:
    """Declared and recognized identifiers are masked, counted in the report, and nowhere stored."""
    request = capture(
        topic,
        "Call Quillonia Farnsworthy on 206-555-0142 and offer a warm towel",
        script="Dear Quillonia, a warm towel is ready, write to quillonia@example.com",
    )
    request.identifiers.customer_names.append("Quillonia Farnsworthy")
    answer = await service.network.CapturePattern(request)
    assert sum(answer.anonymization.masked.values()) >= 4
    for sql in (
        "SELECT p::text FROM network_patterns p WHERE pattern_type = $1",
        "SELECT o::text FROM observations o WHERE pattern_type = $1",
        "SELECT s::text FROM sightings s WHERE pattern_type = $1",
        (
            "SELECT s::text FROM pattern_scripts s JOIN network_patterns p ON s.scope_id = p.scope_id AND s.pattern_id = p.id "
            "WHERE pattern_type = $1"
        ),
    ):
        stored = await service.value(sql, topic)
        assert "towel" in stored
        assert "uillonia" not in stored
        assert "arnsworthy" not in stored
        assert "555-0142" not in stored
