from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence

import grpc
import pytest

from keeper_grpc.gen.keeper.network.v1 import adoption_pb2
from keeper_grpc.gen.keeper.network.v1.admin_service_pb2 import ForgetAccountRequest
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    GetNetworkMetricsRequest,
    GetPatternRequest,
    GetPatternResponse,
    ReportReactionRequest,
)
from tests.rpc.feedback import TOWEL, ask, react, report, teach
from tests.rpc.geometry import Geometry
from tests.rpc.refusal import refusal
from tests.rpc.requests import capture, new_account, new_topic
from tests.rpc.service import Service

SCRIPT = "Hi {name}, a warm towel is waiting for you"


@pytest.fixture(scope="module", autouse=True)
def same_direction(geometry: Geometry) -> None:
    """Whatever is about the towel is alike, in any situation."""
    geometry.together(TOWEL)


async def advise(service: Service, topic: str, account: str) -> str:
    """The id of an enhancement with advice."""
    given = await ask(service, topic, account)
    assert given.enhanced_insight.network_enhanced
    return given.enhancement_id


async def funnel(service: Service, topic: str, reports: Sequence[Sequence[str]]) -> str:
    """Teach a pattern, and let one new account for each item react to its advice in this order."""
    pattern_id = await teach(service, topic, ["++", "++", "++"], script=SCRIPT)
    for reactions in reports:
        account = new_account()
        enhancement_id = await advise(service, topic, account)
        for reaction in reactions:
            await service.network.ReportReaction(react(account, enhancement_id, reaction))
    return pattern_id


async def read(service: Service, pattern_id: str, *, history: bool = False) -> GetPatternResponse:
    """The pattern as anybody sees it."""
    request = GetPatternRequest(pattern_id=pattern_id, include_history=history)
    return await service.network.GetPattern(request)


async def test_reactions_become_the_adoption_of_a_pattern_and_its_script(
    service: Service, topic: str
) -> None:
    """Whatever was accepted was shown; success is another matter."""
    pattern_id = await funnel(
        service, topic, [["SHOWN"], ["SHOWN", "ACCEPTED"], ["ACCEPTED", "DONE"], ["DISMISSED"]]
    )
    answer = await read(service, pattern_id, history=True)
    adoption = answer.adoption
    assert (adoption.shown_count, adoption.accepted_count) == (4, 2)
    assert (adoption.dismissed_count, adoption.done_count) == (1, 1)
    assert (adoption.adoption_rate, adoption.account_count) == (0.5, 4)
    (script,) = answer.scripts
    assert script.template == SCRIPT
    assert script.adoption == adoption
    assert (await read(service, pattern_id)).adoption == adoption
    assert answer.pattern.evidence.occurrence_count == 6


async def test_too_few_owners_have_no_adoption(service: Service, topic: str) -> None:
    """Two accounts' reactions are theirs."""
    pattern_id = await funnel(service, topic, [["ACCEPTED"], ["DISMISSED"]])
    assert not (await read(service, pattern_id)).HasField("adoption")


@pytest.mark.parametrize(
    ("reactions", "stages"),
    [
        (["ACCEPTED", "DISMISSED"], (0, 3, 0)),
        (["DISMISSED", "ACCEPTED"], (3, 0, 0)),
        (["DISMISSED", "DONE"], (3, 0, 3)),
        (["DONE", "ACCEPTED", "SHOWN"], (3, 0, 3)),
        (["ACCEPTED", "SHOWN", "SHOWN"], (3, 0, 0)),
    ],
)
async def test_the_last_decision_stands_and_done_is_done(
    service: Service, topic: str, reactions: Sequence[str], stages: tuple[int, int, int]
) -> None:
    """Accepted, dismissed, done: people change their minds, and reports come late."""
    pattern_id = await funnel(service, topic, [reactions] * 3)
    adoption = (await read(service, pattern_id)).adoption
    assert adoption.shown_count == 3
    assert (adoption.accepted_count, adoption.dismissed_count, adoption.done_count) == stages


async def test_what_is_done_cannot_be_dismissed(service: Service, topic: str) -> None:
    """The contradiction is refused, and done it stays."""
    await teach(service, topic, ["+", "+", "+"])
    account = new_account()
    enhancement_id = await advise(service, topic, account)
    await service.network.ReportReaction(react(account, enhancement_id, "DONE"))
    refused = await refusal(
        service.network.ReportReaction(react(account, enhancement_id, "DISMISSED"))
    )
    assert refused.code is grpc.StatusCode.FAILED_PRECONDITION
    assert refused.reason == "ALREADY_DONE"
    stored = "SELECT string_agg(reaction, ',') FROM reactions WHERE enhancement_id = $1::text::uuid"
    assert await service.value(stored, enhancement_id) == "done"


async def test_a_retry_counts_once(service: Service, topic: str) -> None:
    """However many come at once, and also after another reaction has replaced it."""
    await teach(service, topic, ["+", "+", "+"])
    account = new_account()
    enhancement_id = await advise(service, topic, account)
    request = react(account, enhancement_id, "DISMISSED", reason="TOO_COSTLY")
    answers = await asyncio.gather(*(service.network.ReportReaction(request) for _ in range(5)))
    assert sorted(answer.replayed for answer in answers) == [False, True, True, True, True]
    await service.network.ReportReaction(react(account, enhancement_id, "DONE"))
    assert (await service.network.ReportReaction(request)).replayed
    stands = "SELECT reaction FROM enhancements WHERE id = $1::text::uuid"
    assert await service.value(stands, enhancement_id) == "done"


async def test_a_request_id_cannot_be_used_for_something_else(service: Service, topic: str) -> None:
    """Neither for another reaction nor for another enhancement."""
    await teach(service, topic, ["+", "+", "+"])
    account = new_account()
    first, second = [await advise(service, topic, account) for _ in range(2)]
    request = react(account, first, "SHOWN")
    await service.network.ReportReaction(request)
    for other in (react(account, first, "ACCEPTED"), react(account, second, "SHOWN")):
        other.request_id = request.request_id
        refused = await refusal(service.network.ReportReaction(other))
        assert refused.code is grpc.StatusCode.ALREADY_EXISTS
        assert refused.reason == "REQUEST_ID_REUSED"


async def test_what_is_not_the_accounts_does_not_exist(service: Service, topic: str) -> None:
    """An unknown id, another account's and an unknown account get the same answer."""
    await teach(service, topic, ["+", "+", "+"])
    owner, stranger = new_account(), new_account()
    enhancement_id = await advise(service, topic, owner)
    await ask(service, topic, stranger)
    refusals = [
        await refusal(service.network.ReportReaction(react(who, which, "SHOWN")))
        for who, which in (
            (stranger, enhancement_id),
            (stranger, str(uuid.uuid4())),
            (new_account(), enhancement_id),
        )
    ]
    assert refusals[0].code is grpc.StatusCode.NOT_FOUND
    assert refusals[0].reason == "ENHANCEMENT_NOT_FOUND"
    assert refusals[1:] == [refusals[0]] * 2


async def test_without_advice_there_is_nothing_to_react_to(service: Service, topic: str) -> None:
    """The account was told that there was none."""
    account = new_account()
    asked = await ask(service, topic, account)
    refused = await refusal(
        service.network.ReportReaction(react(account, asked.enhancement_id, "SHOWN"))
    )
    assert refused.code is grpc.StatusCode.FAILED_PRECONDITION
    assert refused.reason == "NOTHING_ADVISED"


@pytest.mark.parametrize("reaction", ["SHOWN", "ACCEPTED", "DONE"])
async def test_only_a_dismissal_has_a_reason(service: Service, topic: str, reaction: str) -> None:
    """A reason beside anything else is a mistake of the caller."""
    request = react(new_account(), str(uuid.uuid4()), reaction, reason="OTHER")
    refused = await refusal(service.network.ReportReaction(request))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert set(refused.fields) == {"reason"}


async def test_reasons_are_told_when_enough_owners_gave_them(service: Service, topic: str) -> None:
    """The most frequent first, and none that only one gave."""
    pattern_id = await teach(service, topic, ["++", "++", "++"])
    for reason in ["TOO_COSTLY"] * 3 + ["TOO_LATE"]:
        account = new_account()
        enhancement_id = await advise(service, topic, account)
        await service.network.ReportReaction(
            react(account, enhancement_id, "DISMISSED", reason=reason)
        )
    (told,) = (await read(service, pattern_id)).adoption.dismissals
    assert told.reason == adoption_pb2.DISMISSAL_REASON_TOO_COSTLY
    assert told.count == 3


async def test_one_owner_does_not_decide_the_rate(service: Service, topic: str) -> None:
    """Thirty dismissals of one account weigh as much as those of any other."""
    pattern_id = await funnel(service, topic, [["ACCEPTED"]] * 4)
    account = new_account()
    for _ in range(30):
        enhancement_id = await advise(service, topic, account)
        await service.network.ReportReaction(react(account, enhancement_id, "DISMISSED"))
    adoption = (await read(service, pattern_id)).adoption
    assert adoption.adoption_rate >= 2 / 3
    assert adoption.account_count == 5


async def test_the_networks_metrics_have_the_adoption_of_the_window(
    service: Service, topic: str
) -> None:
    """Of one line of business as of the whole, and not below k owners."""
    await teach(service, topic, ["++", "++", "++"], category="barber_shop")
    request = GetNetworkMetricsRequest(business_category="barber_shop")
    for reaction in ("ACCEPTED", "DISMISSED", "DONE"):
        assert not (await service.network.GetNetworkMetrics(request)).HasField("adoption")
        account = new_account()
        given = await ask(service, topic, account, category="barber_shop")
        await service.network.ReportReaction(react(account, given.enhancement_id, reaction))
    adoption = (await service.network.GetNetworkMetrics(request)).adoption
    assert (adoption.shown_count, adoption.accepted_count, adoption.done_count) == (3, 2, 1)
    assert adoption.dismissed_count == 1


async def test_advice_of_a_pattern_that_is_gone_can_be_reacted_to(
    service: Service, topic: str
) -> None:
    """The account was given it; it counts for no pattern."""
    contributors = [new_account() for _ in range(3)]
    for contributor in contributors:
        await service.network.CapturePattern(capture(topic, account=contributor))
    account = new_account()
    enhancement_id = await advise(service, topic, account)
    for contributor in contributors:
        await service.admin.ForgetAccount(ForgetAccountRequest(account_id=contributor))
    assert not (
        await service.network.ReportReaction(react(account, enhancement_id, "DONE"))
    ).replayed


async def test_forgetting_the_account_forgets_its_reactions(service: Service, topic: str) -> None:
    """The ledger has none of them left, and the funnel is what it was before."""
    pattern_id = await funnel(service, topic, [["ACCEPTED"]] * 3)
    before = (await read(service, pattern_id)).adoption
    account = new_account()
    enhancement_id = await advise(service, topic, account)
    await service.network.ReportReaction(react(account, enhancement_id, "DISMISSED"))
    assert (await read(service, pattern_id)).adoption != before
    await service.admin.ForgetAccount(ForgetAccountRequest(account_id=account))
    assert (await read(service, pattern_id)).adoption == before
    left = "SELECT count(*) FROM reactions WHERE enhancement_id = $1::text::uuid"
    assert await service.value(left, enhancement_id) == 0
    gone: ReportReactionRequest = react(account, enhancement_id, "DONE")
    assert (await refusal(service.network.ReportReaction(gone))).reason in {
        "ENHANCEMENT_NOT_FOUND",
        "ACCOUNT_FORGOTTEN",
    }


async def test_reactions_and_captures_of_many_callers_do_not_hold_each_other_up(
    service: Service, topic: str
) -> None:
    """Known and new accounts, in several scopes at once: each call succeeds, and is in the ledger."""
    await teach(service, topic, ["+", "+", "+"])
    accounts = [new_account() for _ in range(6)]
    given = [await advise(service, topic, account) for account in accounts]
    topics = [new_topic() for _ in range(4)]
    await asyncio.gather(
        *(
            service.network.ReportReaction(react(account, enhancement_id, "SHOWN"))
            for account, enhancement_id in zip(accounts, given, strict=True)
        ),
        *(
            service.network.CapturePattern(capture(each, account=account))
            for each in topics
            for account in (*accounts, *(new_account() for _ in range(6)))
        ),
        *(
            service.network.ReportOutcome(report(account, enhancement_id))
            for account, enhancement_id in zip(accounts, given, strict=True)
        ),
    )
    captured = "SELECT count(*) FROM observations WHERE pattern_type = ANY($1)"
    assert await service.value(captured, topics) == 48
    reported = (
        "SELECT count(*) FROM observations WHERE enhancement_id IS NOT NULL AND pattern_type = $1"
    )
    assert await service.value(reported, topic) == 6
