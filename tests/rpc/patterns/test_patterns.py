from __future__ import annotations

import base64
import uuid
from collections.abc import Sequence
from datetime import timedelta

import grpc
import pytest

from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    GetPatternRequest,
    ListPatternsRequest,
)
from keeper_grpc.gen.keeper.network.v1.pattern_pb2 import Pattern
from tests.rpc.geometry import Geometry
from tests.rpc.refusal import refusal
from tests.rpc.requests import capture
from tests.rpc.service import Service

ACTIONS = [
    f"{verb} the {thing}"
    for verb in ("Offer", "Praise", "Show")
    for thing in ("warm towel", "gift card", "sauna", "facial")
]


async def publish(
    service: Service, topic: str, action: str, *, success: bool = True, accounts: int = 3
) -> str:
    """A pattern that so many accounts captured once each; its id."""
    for _ in range(accounts):
        stored = await service.capture(capture(topic, action, success=success))
    return stored.pattern_id


async def all_pages(service: Service, request: ListPatternsRequest) -> list[list[Pattern]]:
    """Every page from this request on."""
    pages = []
    while True:
        page = await service.network.ListPatterns(request)
        pages.append(list(page.patterns))
        if not page.next_page_token:
            return pages
        request.page_token = page.next_page_token


async def test_a_published_pattern_can_be_read(service: Service, topic: str) -> None:
    """All that is public of it, and the same by id and in the list."""
    pattern_id = await publish(service, topic, "Offer a warm towel")
    found = (await service.network.GetPattern(GetPatternRequest(pattern_id=pattern_id))).pattern
    assert found.pattern_id == pattern_id
    assert found.pattern_type == topic
    assert found.business_category == "spa"
    assert found.action == "Offer a warm towel"
    assert found.embedding_model.startswith("text-embedding-3-small")
    assert found.evidence.success_rate == 1
    assert found.evidence.lower_bound < 1
    assert found.first_discovered_time.ToDatetime() <= found.last_validated_time.ToDatetime()
    (page,) = await all_pages(service, ListPatternsRequest(pattern_type=topic))
    assert page == [found]


async def test_a_pattern_of_two_accounts_is_not_found(service: Service, topic: str) -> None:
    """It answers like one that does not exist, and no list has it."""
    pattern_id = await publish(service, topic, "Offer a warm towel", accounts=2)
    hidden = await refusal(service.network.GetPattern(GetPatternRequest(pattern_id=pattern_id)))
    absent = await refusal(
        service.network.GetPattern(GetPatternRequest(pattern_id=str(uuid.uuid4())))
    )
    assert hidden == absent
    assert hidden.code is grpc.StatusCode.NOT_FOUND
    assert hidden.reason == "PATTERN_NOT_FOUND"
    assert await all_pages(service, ListPatternsRequest(pattern_type=topic)) == [[]]


@pytest.mark.parametrize("page_size", [1, 2, 5, 12, 100])
async def test_paging_is_complete_and_without_duplicates(
    service: Service, topic: str, page_size: int
) -> None:
    """Whatever the page size, every pattern comes once, the surest first, ties included."""
    ids = [await publish(service, topic, action, success=n < 9) for n, action in enumerate(ACTIONS)]
    ids.append(await publish(service, topic, "Offer tea", accounts=6))
    pages = await all_pages(service, ListPatternsRequest(pattern_type=topic, page_size=page_size))
    listed = [pattern for page in pages for pattern in page]
    assert sorted(pattern.pattern_id for pattern in listed) == sorted(ids)
    assert all(len(page) == page_size for page in pages[:-1])
    bounds = [pattern.evidence.lower_bound for pattern in listed]
    assert bounds == sorted(bounds, reverse=True)
    assert listed[0].pattern_id == ids[-1]


async def test_a_search_finds_words_as_they_are_shown(service: Service, topic: str) -> None:
    """Every word, in part and in any case, of the action and the type; signs of SQL are only signs."""
    towel = await publish(service, topic, "Offer a warm towel")
    card = await publish(service, topic, "Offer a gift card")

    async def found(search: str) -> set[str]:
        request = ListPatternsRequest(pattern_type=topic, search=search)
        return {p.pattern_id for page in await all_pages(service, request) for p in page}

    assert await found("offer") == {towel, card}
    assert await found("  CARD  gif ") == {card}
    assert await found("warm card") == set()
    assert await found(topic.partition("_")[0]) == {towel, card}
    assert await found("%") == set()
    assert await found("'") == set()
    assert await found("warm_towel") == set()


async def test_a_search_does_not_find_what_is_withheld(service: Service, topic: str) -> None:
    """Neither a pattern of too few accounts, nor a word that only one of them used."""
    await publish(service, topic, "Offer a warm towel", accounts=2)
    request = ListPatternsRequest(pattern_type=topic, search="towel")
    assert await all_pages(service, request) == [[]]


async def test_a_token_is_of_one_search(service: Service, topic: str) -> None:
    """Another search with it is refused, as with the other filters."""
    for action in ("Offer a warm towel", "Offer a gift card"):
        await publish(service, topic, action)
    page = await service.network.ListPatterns(
        ListPatternsRequest(pattern_type=topic, search="offer", page_size=1)
    )
    refused = await refusal(
        service.network.ListPatterns(
            ListPatternsRequest(
                pattern_type=topic, search="card", page_size=1, page_token=page.next_page_token
            )
        )
    )
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert list(refused.fields) == ["page_token"]


async def test_a_pattern_says_where_it_works_and_where_not(
    service: Service, geometry: Geometry, topic: str
) -> None:
    """By single conditions that enough accounts observed; without history, and in the list, they are left out."""
    action = "Offer a warm towel"
    geometry.together(action)
    for days, success in ((10, True), (200, False)):
        for _ in range(5):
            stored = await service.capture(
                capture(topic, action, success=success, conditions={"days_since_visit": days})
            )
    request = GetPatternRequest(pattern_id=stored.pattern_id, include_history=True)
    found = (await service.network.GetPattern(request)).facts
    rates = {(fact.key, fact.evidence.success_rate, fact.evidence.account_count) for fact in found}
    assert rates == {("days_since_visit", 1.0, 5), ("days_since_visit", 0.0, 5)}
    plain = await service.network.GetPattern(GetPatternRequest(pattern_id=stored.pattern_id))
    assert not plain.facts


async def test_a_pattern_says_what_outcomes_taught(service: Service, topic: str) -> None:
    """The triggers in use, the surest first, with their figures; none that is retired, and none without history."""
    published = await publish(service, topic, "Offer a warm towel")
    for low, tier, retired in (
        (0.6, "standard", False),
        (0.7, "premium", False),
        (0.8, "trial", True),
    ):
        await service.value(
            """
            INSERT INTO learned_triggers AS t (
                   scope_id, pattern_id, conditions, success_rate, rate_low, rate_high,
                   lift, trials, owner_count, lead_days, learned_time, verified_time, retired_time)
            SELECT scope_id, id, jsonb_build_array(jsonb_build_array('membership_tier', '==', $2::text)), 0.8, $3,
                   0.9, 1.5, 60, 7, 6, now(), now(), CASE WHEN $4::boolean THEN now() END
              FROM network_patterns WHERE id = $1
            RETURNING t.pattern_id
            """,
            uuid.UUID(published),
            tier,
            low,
            retired,
        )
    request = GetPatternRequest(pattern_id=published, include_history=True)
    answer = await service.network.GetPattern(request)
    assert [each.condition for each in answer.learned_triggers] == [
        "customer.membership_tier == 'premium'",
        "customer.membership_tier == 'standard'",
    ]
    first = answer.learned_triggers[0]
    assert (first.precision, first.precision_low, first.precision_high) == (0.8, 0.7, 0.9)
    assert (first.lift, first.case_count, first.account_count) == (1.5, 60, 7)
    assert first.lead_time.ToTimedelta() == timedelta(days=6)
    assert answer.authored_trigger == ""
    plain = await service.network.GetPattern(GetPatternRequest(pattern_id=published))
    assert not plain.learned_triggers


async def test_filters_narrow_the_list(service: Service, topic: str) -> None:
    """Type, category and rate each hold; all together too."""
    good = await publish(service, topic, "Offer a warm towel")
    bad = await publish(service, topic, "Offer a gift card", success=False)

    async def listed(**filters: object) -> set[str]:
        request = ListPatternsRequest(page_size=500, **filters)  # type: ignore[arg-type]  # each test names fields
        return {p.pattern_id for page in await all_pages(service, request) for p in page}

    assert await listed(pattern_type=topic) == {good, bad}
    assert await listed(pattern_type=topic, business_category="spa") == {good, bad}
    assert await listed(pattern_type=topic, business_category="gym") == set()
    assert await listed(pattern_type=topic, min_success_rate=0.5) == {good}
    assert await listed(pattern_type=topic, min_success_rate=1.0) == {good}
    assert await listed(pattern_type="no_such_type") == set()
    assert {good, bad} <= await listed()


async def test_a_page_token_belongs_to_its_filters(service: Service, topic: str) -> None:
    """With another filter it is refused, naming the field; with another page size it goes on."""
    ids = {await publish(service, topic, action) for action in ACTIONS[:3]}
    first = await service.network.ListPatterns(ListPatternsRequest(pattern_type=topic, page_size=1))
    token = first.next_page_token
    others = [
        ListPatternsRequest(page_token=token),
        ListPatternsRequest(pattern_type="pricing", page_token=token),
        ListPatternsRequest(pattern_type=topic, business_category="spa", page_token=token),
        ListPatternsRequest(pattern_type=topic, min_success_rate=0.1, page_token=token),
    ]
    for request in others:
        refused = await refusal(service.network.ListPatterns(request))
        assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
        assert set(refused.fields) == {"page_token"}
    rest = await service.network.ListPatterns(
        ListPatternsRequest(pattern_type=topic, page_size=2, page_token=token)
    )
    assert {p.pattern_id for p in [*first.patterns, *rest.patterns]} == ids


def _bad_tokens() -> Sequence[str]:
    nan = b"\x7f\xf8" + bytes(6) + uuid.UUID(int=7).bytes + bytes(8)
    return [
        "x",
        "not base64 at all!",
        base64.urlsafe_b64encode(b"short").decode(),
        base64.urlsafe_b64encode(bytes(32)).decode(),
        base64.urlsafe_b64encode(bytes(33)).decode(),
        base64.urlsafe_b64encode(nan).decode(),
        "\N{SNOWMAN}",
    ]


@pytest.mark.parametrize("token", _bad_tokens())
async def test_a_token_of_somebody_else_is_refused(service: Service, token: str) -> None:
    """Whatever it is, it is the caller's mistake and named so, never an internal error."""
    refused = await refusal(service.network.ListPatterns(ListPatternsRequest(page_token=token)))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.reason == "INVALID_REQUEST"
    assert set(refused.fields) == {"page_token"}


async def test_an_oversized_page_is_cut_to_the_limit(service: Service) -> None:
    """AIP-158: too large a size is no error, and the widest list still answers."""
    request = ListPatternsRequest(page_size=2**31 - 1)
    page = await service.network.ListPatterns(request)
    assert len(page.patterns) <= 500
