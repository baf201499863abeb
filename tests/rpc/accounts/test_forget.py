from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import grpc
import numpy as np
import pytest
from numpy.typing import NDArray

from keeper_grpc.domain.accounts.forgetting import Forgotten
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.insight import EmbeddedWords
from keeper_grpc.domain.observation import Vectors
from keeper_grpc.domain.patterns.merging.similarity import Thresholds
from keeper_grpc.domain.patterns.pattern import PatternKey
from keeper_grpc.gen.keeper.network.v1 import network_service_pb2
from keeper_grpc.storage.accounts.forgetting import PostgresForgetting
from keeper_grpc.storage.database import Database
from keeper_grpc.usecases.accounts.forget import ROUNDS, ForgetAccount
from tests.integration.observations import opened
from tests.integration.openai_stand_in import hashed_vector
from tests.rpc.accounts.forgetting import KEYS, forget
from tests.rpc.geometry import Geometry
from tests.rpc.refusal import read, refusal
from tests.rpc.requests import capture, new_account, question
from tests.rpc.service import Service


async def published(service: Service, pattern_id: str) -> bool:
    """Whether anyone may see the pattern."""
    page = await service.network.ListPatterns(
        network_service_pb2.ListPatternsRequest(page_size=500)
    )
    return pattern_id in {pattern.pattern_id for pattern in page.patterns}


async def rows_that_mention(service: Service, needle: str) -> list[str]:
    """Tables in which any column of any row holds this text."""
    tables = await service.database.fetch(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
    )
    return [
        table
        for (table,) in tables
        if await service.value(
            f"SELECT count(*) FROM {table} t WHERE strpos(t::text, $1) > 0",  # noqa: S608 - our tables
            needle,
        )
    ]


async def test_nothing_of_a_forgotten_account_remains(service: Service, topic: str) -> None:
    """Observations, shares, enhancements, sightings and the pseudonym itself are gone."""
    gone = new_account()
    for account in (gone, new_account(), new_account(), new_account()):
        await service.network.CapturePattern(
            capture(topic, account=account, script="Come in", conditions={"rating": 2})
        )
    await service.network.EnhanceInsight(question(topic, account=gone))
    assert "observations" in await rows_that_mention(service, KEYS.key_of(gone))

    answer = await forget(service, gone)

    assert answer.found
    assert answer.observations_removed == 1
    assert answer.enhancements_removed == 1
    assert answer.sightings_removed >= 1
    assert answer.patterns_recomputed == 1
    assert await rows_that_mention(service, KEYS.key_of(gone)) == []
    assert await rows_that_mention(service, gone) == []


async def test_what_the_account_was_part_of_is_recomputed(service: Service, topic: str) -> None:
    """The pattern's evidence is what the others' observations alone would have made."""
    gone = new_account()
    for account, success in [(gone, False)] * 2 + [(new_account(), True) for _ in range(4)]:
        stored = await service.capture(capture(topic, account=account, success=success))
    await forget(service, gone)
    pattern = (
        await service.network.GetPattern(
            network_service_pb2.GetPatternRequest(pattern_id=stored.pattern_id)
        )
    ).pattern
    assert pattern.evidence.occurrence_count == 4
    assert pattern.evidence.success_count == 4
    assert pattern.evidence.account_count == 4


async def test_a_pattern_that_falls_below_k_is_unpublished(service: Service, topic: str) -> None:
    """With one of three accounts gone, nobody sees the pattern any more, and the answer says so."""
    accounts = [new_account() for _ in range(3)]
    for account in accounts:
        stored = await service.capture(capture(topic, account=account))
    assert await published(service, stored.pattern_id)
    answer = await forget(service, accounts[0])
    assert answer.patterns_unpublished == 1
    assert not await published(service, stored.pattern_id)


async def test_a_pattern_that_was_the_accounts_alone_is_deleted(
    service: Service, topic: str
) -> None:
    """Its words were nobody else's."""
    gone = new_account()
    stored = await service.capture(capture(topic, account=gone))
    answer = await forget(service, gone)
    assert answer.patterns_deleted == 1
    assert not await service.value(
        "SELECT count(*) FROM network_patterns WHERE id = $1", uuid.UUID(stored.pattern_id)
    )


async def test_forgetting_twice_is_nothing_to_do(service: Service, topic: str) -> None:
    """The second call, and one for an account that never was, find nothing."""
    gone = new_account()
    await service.network.CapturePattern(capture(topic, account=gone))
    assert (await forget(service, gone)).found
    for account in (gone, new_account()):
        again = await forget(service, account)
        assert not again.found
        assert again.audit_event_id == ""


async def test_an_interrupted_call_goes_on_where_it_was(service: Service, topic: str) -> None:
    """What an earlier call left undone is done, and meanwhile nothing of the account gets in."""
    gone = new_account()
    await service.network.CapturePattern(capture(topic, account=gone))
    await service.database.execute(
        "UPDATE accounts SET forgetting = true WHERE account_key = $1", KEYS.key_of(gone)
    )
    await service.database.execute("UPDATE account_changes SET changes = changes + 1")
    refused = None
    while refused is None:  # the server remembers the account for a moment
        try:
            await service.network.EnhanceInsight(question(topic, account=gone))
        except grpc.aio.AioRpcError:
            refused = await refusal(service.network.CapturePattern(capture(topic, account=gone)))
    assert refused.reason == "ACCOUNT_BEING_FORGOTTEN"
    assert (await forget(service, gone)).observations_removed == 1
    assert await rows_that_mention(service, KEYS.key_of(gone)) == []


async def test_captures_under_way_do_not_outlive_the_account(service: Service, topic: str) -> None:
    """Captures that race with forgetting are either removed with it or refused."""
    gone = new_account()
    await service.network.CapturePattern(capture(topic, account=gone))

    async def one() -> None:
        await service.network.CapturePattern(capture(topic, account=gone))

    captures = [asyncio.create_task(one()) for _ in range(20)]
    await forget(service, gone)
    refused = [
        error
        for error in await asyncio.gather(*captures, return_exceptions=True)
        if error is not None
    ]
    assert all(isinstance(error, grpc.aio.AioRpcError) for error in refused)
    assert {read(e).reason for e in refused if isinstance(e, grpc.aio.AioRpcError)} <= {
        "ACCOUNT_BEING_FORGOTTEN"
    }
    await forget(service, gone)  # whoever came after the end registered the account anew
    assert await rows_that_mention(service, KEYS.key_of(gone)) == []


class NothingInMemory:
    """A process that keeps nothing of the network in memory."""

    async def caught_up(self) -> None:
        """Nothing to do."""


class Busy(PostgresForgetting):
    """Tables into which somebody else's capture comes before every attempt to forget."""

    def __init__(self, database: Database, capture_first: Callable[[int], Awaitable[None]]) -> None:
        super().__init__(database)
        self._capture_first = capture_first
        self.attempts = 0

    async def forget_in_pattern(
        self,
        key: PatternKey,
        account_key: str,
        vectors: Mapping[EmbeddedWords, Vectors] | None,
        rule: PublicationRule,
        *,
        model: str,
        settle: bool,
    ) -> Forgotten | None:
        """As the tables do, after the capture; fails the test when there is no end."""
        self.attempts += 1
        assert self.attempts <= 2 * ROUNDS
        await self._capture_first(self.attempts)
        return await super().forget_in_pattern(
            key, account_key, vectors, rule, model=model, settle=settle
        )


class Hashed:
    """Embeds as the stand-in does, under the name of the service's model."""

    thresholds = Thresholds(merge=0.95, cluster=0.9, retrieval=0.5)

    def __init__(self, model: str) -> None:
        self.model = model

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One unit vector a text."""
        return np.array([hashed_vector(text) for text in texts], np.float32)


@pytest.mark.parametrize(
    ("new_wordings", "attempts"), [(False, 1), (True, ROUNDS)], ids=["known", "new"]
)
async def test_groups_of_others_do_not_keep_forgetting_from_its_end(
    service: Service,
    database_url: str,
    topic: str,
    geometry: Geometry,
    *,
    new_wordings: bool,
    attempts: int,
) -> None:
    """Known wordings do not even delay it; new ones in every capture are left out after some rounds."""
    geometry.together(topic.replace("_", " "))
    geometry.together("Offer a warm towel")
    gone = new_account()
    for account in (gone, *(new_account() for _ in range(3))):
        first = await service.capture(capture(topic, account=account))

    async def capture_first(attempt: int) -> None:
        merged = await service.capture(
            capture(topic, "Offer a warm towel" + " again" * attempt * new_wordings)
        )
        assert merged.pattern_id == first.pattern_id

    model = await service.value(
        "SELECT embedding_model FROM network_patterns WHERE pattern_type = $1", topic
    )
    async with opened(database_url) as database:
        store = Busy(database, capture_first)
        forgotten, _ = await ForgetAccount(
            pseudonyms=KEYS,
            embedder=Hashed(model),
            store=store,
            memory=NothingInMemory(),
            rule=PublicationRule(3),
            tombstone_retention=timedelta(days=1),
            clock=lambda: datetime.now(UTC),
            new_id=uuid.uuid4,
        )(gone, actor="operator-of-the-tests")
    assert store.attempts == attempts
    assert forgotten.observations_removed == 1
    assert (
        await service.value(
            "SELECT occurrence_count FROM network_patterns WHERE id = $1",
            uuid.UUID(first.pattern_id),
        )
        == 3 + attempts
    )
    assert await rows_that_mention(service, KEYS.key_of(gone)) == []
