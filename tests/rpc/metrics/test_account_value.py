from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from keeper_grpc.gen.keeper.network.v1.account_value_pb2 import AccountGiven, PeerQuartiles
from keeper_grpc.gen.keeper.network.v1.admin_service_pb2 import (
    ForgetAccountRequest,
    RegisterAccountRequest,
)
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    EnhanceInsightResponse,
    GetAccountValueRequest,
    GetAccountValueResponse,
)
from tests.integration.openai_stand_in import OpenAIStandIn
from tests.rpc.feedback import ask, react, report, teach
from tests.rpc.geometry import Geometry
from tests.rpc.requests import capture, new_account, new_topic
from tests.rpc.service import Service, openai, running

HOLDOUT = EnhanceInsightResponse.NO_MATCH_REASON_HOLDOUT


async def value(
    service: Service, account: str, *, days: int | None = None
) -> GetAccountValueResponse:
    """GetAccountValue."""
    request = GetAccountValueRequest(account_id=account)
    if days is not None:
        request.window.FromTimedelta(timedelta(days=days))
    return await service.network.GetAccountValue(request)


def doings(told: GetAccountValueResponse) -> GetAccountValueResponse:
    """Without its times."""
    told.ClearField("as_of_time")
    told.ClearField("window_start_time")
    return told


async def helped_by(
    service: Service, topic: str, teachers: Sequence[str], askers: int, category: str
) -> None:
    """Let these accounts teach, and so many others be advised by what they taught."""
    for account in teachers:
        for _ in range(3):
            await service.network.CapturePattern(capture(topic, account=account, category=category))
    for _ in range(askers):
        given = await ask(service, topic, new_account(), category=category)
        assert given.enhanced_insight.network_enhanced


async def test_an_account_sees_what_it_was_told_and_what_it_gave(
    service: Service, topic: str
) -> None:
    """Three questions, two answers, one followed with success, one dismissed; and five that it helped."""
    await teach(service, topic, ["+++"] * 3, category="bakery")
    account = new_account()
    followed, dismissed = [await ask(service, topic, account, category="bakery") for _ in range(2)]
    await ask(service, new_topic(), account, category="bakery")
    await service.network.ReportOutcome(
        report(account, followed.enhancement_id, revenue_impact=80.0, cost=30.0)
    )
    await service.network.ReportReaction(react(account, followed.enhancement_id, "DONE"))
    await service.network.ReportReaction(react(account, dismissed.enhancement_id, "DISMISSED"))
    told = await value(service, account)
    advice = told.advice
    assert (advice.question_count, advice.advised_count) == (3, 2)
    assert (advice.shown_count, advice.accepted_count) == (2, 1)
    assert (advice.dismissed_count, advice.done_count) == (1, 1)
    assert (advice.followed_count, advice.followed_success_count) == (1, 1)
    assert (advice.followed_revenue.value, advice.followed_revenue.sample_size) == (50.0, 1)
    assert not told.HasField("uplift")
    assert told.given == AccountGiven(observation_count=1, shared_pattern_count=1)
    for _ in range(5):
        await ask(service, topic, new_account(), category="bakery")
    assert (await value(service, account)).given.helped_owner_count == 5


async def test_what_is_withheld_from_an_account_does_not_show_in_what_it_gave(
    service: Service, topic: str
) -> None:
    """One of exactly three: others are advised, but from it the pattern is withheld, and so is that it helped."""
    teachers = [new_account() for _ in range(3)]
    await helped_by(service, topic, teachers, 6, "florist")
    for account in teachers:
        given = (await value(service, account)).given
        assert given == AccountGiven(observation_count=3)
    await helped_by(service, topic, [new_account()], 0, "florist")
    for account in teachers:
        given = (await value(service, account)).given
        assert (given.shared_pattern_count, given.helped_owner_count) == (1, 5)


async def test_who_was_advised_before_an_account_contributed_was_not_helped_by_it(
    service: Service, topic: str
) -> None:
    """Its evidence had no part in that advice."""
    await helped_by(service, topic, [new_account() for _ in range(3)], 6, "dentist")
    late = new_account()
    await helped_by(service, topic, [late], 0, "dentist")
    assert (await value(service, late)).given.helped_owner_count == 0


async def test_accounts_of_the_same_owner_are_no_others(service: Service, topic: str) -> None:
    """A chain whose locations are advised by each other has helped nobody else."""
    await teach(service, topic, ["+++"] * 3, category="tailor")
    chain = [new_account() for _ in range(6)]
    for account in chain:
        await service.admin.RegisterAccount(
            RegisterAccountRequest(
                account_id=account, business_category="tailor", owner_id=chain[0]
            )
        )
    await service.network.CapturePattern(capture(topic, account=chain[0], category="tailor"))
    for account in chain[1:]:
        await ask(service, topic, account, category="tailor")
    assert (await value(service, chain[0])).given.helped_owner_count == 0


async def test_an_unknown_account_is_answered_like_one_that_has_done_nothing(
    service: Service, topic: str
) -> None:
    """Neither its existence nor a line of business with many peers shows."""
    for _ in range(11):
        await teach(service, topic, ["+++++-----"], category="barber")
    known = new_account()
    await service.admin.RegisterAccount(
        RegisterAccountRequest(account_id=known, business_category="barber")
    )
    silent = doings(await value(service, known))
    assert silent == doings(await value(service, new_account()))
    forgotten = new_account()
    await service.network.CapturePattern(capture(topic, account=forgotten, category="barber"))
    await service.admin.ForgetAccount(ForgetAccountRequest(account_id=forgotten))
    assert silent == doings(await value(service, forgotten))


async def test_peers_are_ten_other_owners_of_the_same_line_of_business(
    service: Service, topic: str
) -> None:
    """Nine are too few; the account's own outcomes stand beside the quartiles and are not in them."""
    account = new_account()
    for _ in range(10):
        await service.network.CapturePattern(
            capture(topic, account=account, category="climbing_hall")
        )
    await teach(service, topic, ["+++++-----"] * 9, category="climbing_hall")
    await teach(service, topic, ["++++++++++"] * 12, category="gym")
    assert not (await value(service, account)).HasField("peers")
    await teach(service, topic, ["+++++-----"], category="climbing_hall")
    (found,) = (await value(service, account)).peers.quartiles
    assert found.measure == PeerQuartiles.MEASURE_SUCCESS_RATE
    assert (found.lower_quartile, found.median, found.upper_quartile) == (0.5, 0.5, 0.5)
    assert (found.own.value, found.own.sample_size, found.owner_count) == (1.0, 10, 10)


async def test_the_window_leaves_out_older_outcomes(service: Service, topic: str) -> None:
    """Outcomes count where they occurred; the answer states where the window begins."""
    account = new_account()
    request = capture(topic, account=account, category="salon")
    request.occurred_time.FromDatetime(datetime.now(UTC) - timedelta(days=60))
    await service.network.CapturePattern(request)
    assert (await value(service, account)).given.observation_count == 0
    told = await value(service, account, days=90)
    assert told.given.observation_count == 1
    began = told.window_start_time.ToDatetime(tzinfo=UTC)
    assert (began.hour, began.minute, began.second) == (0, 0, 0)


@pytest.fixture(scope="module")
async def stepwise(database_url: str, embeddings: OpenAIStandIn) -> AsyncIterator[Service]:
    """A service that holds out half of the questions, and counts outcomes in steps of five."""
    settings = openai(embeddings.base_url, counting_step=5, holdout_share=0.5)
    async with running(database_url, **settings) as started:
        yield started


async def test_advice_is_compared_beside_the_accounts_own_holdout(
    stepwise: Service, geometry: Geometry, topic: str
) -> None:
    """Two questions, of which chance holds out one: ten outcomes count at once, four more of them not yet."""
    action = "Offer a warm towel"
    geometry.together(action)
    await teach(stepwise, topic, ["+++++"] * 4, action)
    told: list[bool] = []
    while told not in ([False, True], [True, False]):
        account = new_account()
        told = [await outcome(stepwise, topic, account, number) for number in QUESTIONS]
    assert not (await value(stepwise, account)).HasField("uplift")
    for number in QUESTIONS * 4:
        await outcome(stepwise, topic, account, number)
    found = (await value(stepwise, account)).uplift
    assert (found.advised_count, found.held_out_count) == (5, 5)
    assert (found.advised_success_count, found.held_out_success_count) == (5, 0)
    assert found.distinct_question_count == 2
    assert not found.difference.HasField("value")
    assert found.difference.sample_size == 10
    for number in QUESTIONS * 2:
        await outcome(stepwise, topic, account, number)
    assert (await value(stepwise, account)).uplift == found


QUESTIONS = [5, 200]
"""Days since the last visit: two distinct questions."""


async def outcome(service: Service, topic: str, account: str, days: int) -> bool:
    """Ask, and report success if there was advice; whether it was held out."""
    given = await ask(service, topic, account, conditions={"days_since_visit": days})
    held_out = given.no_match_reason == HOLDOUT
    assert held_out or given.enhanced_insight.network_enhanced
    await service.network.ReportOutcome(report(account, given.enhancement_id, success=not held_out))
    return held_out


async def test_old_questions_count_when_their_rows_are_gone(service: Service, topic: str) -> None:
    """What is rolled up by day stays in what the account was told, and in whom it helped."""
    teachers = [new_account() for _ in range(4)]
    await helped_by(service, topic, teachers, 5, "gym")
    asker = new_account()
    await ask(service, topic, asker, category="gym")
    before = [doings(await value(service, account)) for account in (asker, teachers[0])]
    rolled = await service.value("SELECT roll_up_questions(now() + interval '1 day', 100000)")
    assert rolled >= 6
    assert not await service.value("SELECT count(*) FROM enhancements WHERE NOT kept")
    assert [doings(await value(service, account)) for account in (asker, teachers[0])] == before
    assert before[0].advice.advised_count == 1
    assert before[1].given.helped_owner_count == 5
