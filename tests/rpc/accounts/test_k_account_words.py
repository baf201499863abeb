from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from keeper_grpc.gen.keeper.network.v1 import admin_service_pb2
from keeper_grpc.privacy.keys.pseudonyms import Pseudonyms
from tests.integration.openai_stand_in import OpenAIStandIn
from tests.rpc.requests import capture, new_account, new_topic, question
from tests.rpc.service import Service, openai, running

# The key that tests/rpc/service.py configures.
KEYS = Pseudonyms({"test": bytes(range(32))}, "test")
ACTION = "Offer a glowzilla soak"
MASKED = "Offer a [other] soak"


@pytest.fixture(scope="module")
async def eager(database_url: str) -> AsyncIterator[Service]:
    """A service that looks for words of k accounts many times a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "keeper_grpc.composition.background.WORDS_INTERVAL", timedelta(milliseconds=20)
        )
        async with (
            OpenAIStandIn() as embeddings,
            running(database_url, **openai(embeddings.base_url)) as service,
        ):
            yield service


async def reads(service: Service) -> str:
    """The action as the service understands it now."""
    answer = await service.network.EnhanceInsight(question(new_topic(), ACTION))
    return answer.enhanced_insight.insight.action


async def until_it_reads(service: Service, action: str) -> None:
    """Wait for the next look."""
    async with asyncio.timeout(30):
        while await reads(service) != action:  # noqa: ASYNC110 - the answer alone tells
            await asyncio.sleep(0.02)


async def test_a_word_passes_at_k_accounts_until_one_is_forgotten(eager: Service) -> None:
    """Two accounts do not make a word, three do, and forgetting one of them unmakes it."""
    accounts = [new_account() for _ in range(3)]
    for account in accounts[:2]:
        await eager.network.CapturePattern(capture(new_topic(), ACTION, account=account))
    assert await reads(eager) == MASKED
    await eager.network.CapturePattern(capture(new_topic(), ACTION, account=accounts[2]))
    await until_it_reads(eager, ACTION)

    await eager.admin.ForgetAccount(admin_service_pb2.ForgetAccountRequest(account_id=accounts[0]))
    assert await eager.value("SELECT count(*) FROM word_accounts") == 2
    await until_it_reads(eager, MASKED)


async def test_a_word_that_k_accounts_use_moves_no_account_to_another_category(
    eager: Service,
) -> None:
    """A category whose word passes in texts from then on is `other` still, as it was registered."""
    accounts = [new_account() for _ in range(3)]
    action = "Offer a frostomax soak"
    for account in accounts:
        await eager.network.CapturePattern(
            capture(new_topic(), action, account=account, category="frostomax_bar")
        )
    async with asyncio.timeout(30):
        while True:
            # An account that was refused for its category would raise here.
            asked = question(new_topic(), action, account=accounts[0], category="frostomax_bar")
            answer = (await eager.network.EnhanceInsight(asked)).enhanced_insight.insight
            assert answer.business_category == "other"
            if answer.action == action:
                break
            await asyncio.sleep(0.02)


async def test_a_retry_and_a_question_count_no_word(eager: Service) -> None:
    """Only a capture that is written counts, once; what is stored is the keyed hash."""
    account = new_account()
    request = capture(new_topic(), "Offer a shimmerox soak", account=account)
    for _ in range(2):
        await eager.network.CapturePattern(request)
    await eager.network.EnhanceInsight(question(new_topic(), "Offer a shimmerox soak"))
    rows = await eager.database.fetch(
        "SELECT account_key FROM word_accounts WHERE word_hash = $1", KEYS.word_hash("shimmerox")
    )
    assert [row["account_key"] for row in rows] == [KEYS.key_of(account)]
