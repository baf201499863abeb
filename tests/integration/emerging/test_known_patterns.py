from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import numpy as np
import pytest
from asyncpg.connection import LoggedQuery
from numpy.typing import NDArray

from keeper_grpc.domain.emerging.model import RENEWAL, Proven
from keeper_grpc.domain.emerging.novelty import DISCOVERY, ROUTINE
from keeper_grpc.domain.patterns.pattern import Scope
from keeper_grpc.embedding.local import LocalEmbedder
from keeper_grpc.embedding.openai import OpenAIEmbedder
from keeper_grpc.storage.database import Connection, Database
from keeper_grpc.storage.emerging import novelty
from keeper_grpc.storage.emerging.detection import PostgresDetection
from keeper_grpc.storage.emerging.novelty import nearest_known
from keeper_grpc.storage.patterns.versions import open_scope
from keeper_grpc.usecases.emerging import rounds
from tests.integration.emerging.detecting import (
    ask,
    changes,
    detector,
    led,
    recorded,
    shown,
    sight,
    steps,
    told,
)
from tests.integration.observations import (
    MODEL,
    capture,
    groups_of,
    observation,
    opened,
    register,
    scope,
    vector,
)
from tests.integration.openai_stand_in import OpenAIStandIn, Status


@pytest.mark.parametrize(("age", "novel"), [(timedelta(days=30), 0.0), (timedelta(0), 1.0)])
async def test_what_was_known_before_is_not_novel(
    database_url: str, age: timedelta, novel: float
) -> None:
    """Published or not; the pattern that the sightings of a discovery make themselves is as young as it is."""
    async with opened(database_url) as database:
        kind = f"known_{age.days}"
        await sight(database, kind, 3)
        async with database.transaction() as connection:
            await connection.execute(
                "UPDATE network_patterns SET first_discovered = now() - $1::interval"
                " WHERE pattern_type = $2",
                age,
                kind,
            )
        store = PostgresDetection(database, MODEL)
        async with store.lead() as leadership:
            assert leadership is not None
            use_case = detector(store)
            await use_case.restore(leadership)
            for account in "abc":
                await ask(database, kind, account, vector(1), action="again")
            await steps(use_case, leadership)
            (cluster,) = await shown(database, kind)
    assert cluster.novelty == pytest.approx(novel, abs=1e-3)


async def test_a_new_action_in_a_known_situation_is_novel(database_url: str) -> None:
    """The action decides, by the model's own scale: other words for what is known are routine."""
    known = "offer a free upgrade to a longer massage"
    kinds = {
        "reworded": "upgrade the massage to a longer one for free",
        "discovered": "open the salt cave for singing lessons",
    }
    embedder = LocalEmbedder()
    async with opened(database_url) as database:
        (place,) = await embedder.embed([known])
        for kind, action in kinds.items():
            await register(database, kind)
            await capture(groups_of(database), observation(scope(kind), kind, action=known), place)
            async with database.transaction() as connection:
                await connection.execute(
                    "UPDATE network_patterns SET first_discovered = now() - interval '30 days'"
                    " WHERE pattern_type = $1",
                    kind,
                )
            for account in "abc":
                await ask(database, kind, account, place, action=action)
        store = PostgresDetection(database, MODEL)
        async with store.lead() as leadership:
            assert leadership is not None
            use_case = detector(store, embedder=embedder)
            await use_case.restore(leadership)
            await steps(use_case, leadership)
        novelty_of = {kind: (await shown(database, kind))[0].novelty for kind in kinds}
    await embedder.aclose()
    assert novelty_of["reworded"] < ROUTINE < DISCOVERY < novelty_of["discovered"]


async def test_a_model_that_does_not_answer_leaves_the_sentences(database_url: str) -> None:
    """Novelty goes by them until it answers again, and the detector goes on."""
    async with opened(database_url) as database, OpenAIStandIn() as server:
        await sight(database, "without_model", 3)
        async with database.transaction() as connection:
            await connection.execute(
                "UPDATE network_patterns SET first_discovered = now() - interval '30 days'"
                " WHERE pattern_type = 'without_model'"
            )
        for account in "abc":
            await ask(database, "without_model", account, vector(1), action="again")
        store = PostgresDetection(database, MODEL)
        async with store.lead() as leadership:
            assert leadership is not None
            server.then(*[Status(503)] * 10)
            embedder = OpenAIEmbedder(api_key="k", base_url=server.base_url, max_retries=0)
            use_case = detector(store, embedder=embedder)
            await use_case.restore(leadership)
            await steps(use_case, leadership)
            await embedder.aclose()
        (cluster,) = await shown(database, "without_model")
    assert server.texts
    assert cluster.novelty == 0


async def prove(
    connection: Connection, pattern_type: str, place: NDArray[np.float32], accounts: int = 10
) -> UUID:
    """A pattern of so many accounts that is surely good."""
    pattern_id = uuid4()
    place_of = Scope(pattern_type, "spa", MODEL)
    await open_scope(connection, place_of)
    await connection.execute(
        """
        INSERT INTO network_patterns (id, scope_id, pattern_type, business_category, embedding_model,
            pattern_embedding, context, action_template, shown_action, occurrence_count, success_count,
            account_count, confidence_score, first_discovered)
        VALUES ($1, $6, $2, 'spa', $3, $4, '{}', 'offer a package', 'offer a package', 1000, 1000, $5, 0.995,
                now())
        """,
        pattern_id,
        pattern_type,
        MODEL,
        place,
        accounts,
        place_of.scope_id,
    )
    return pattern_id


async def test_a_sweep_compares_only_what_changed(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing while no pattern changes, then the one cluster that a changed one may prove."""
    monkeypatch.setattr(rounds, "CHANGED", 2)
    async with opened(database_url) as database:
        for number in range(3):
            for account in "abc":
                await ask(database, "swept", account, vector(200 + number), action=f"do {number}")
        store = PostgresDetection(database, MODEL)
        async with store.lead() as leadership:
            assert leadership is not None
            use_case = detector(store, sweep=timedelta(0))
            await use_case.restore(leadership)
            await steps(use_case, leadership)
            compared = recorded(monkeypatch)
            await steps(use_case, leadership)
            assert compared == []
            async with database.transaction() as connection:
                for number in range(300, 305):
                    await prove(connection, "swept", vector(number))
                proven = await prove(connection, "swept", vector(201, noise=0.1))
                await prove(connection, "of_another_type", vector(202))
            await steps(use_case, leadership)
        events = await told(database, "swept")
    (became,) = [each for each in events if each.promoted_pattern_id is not None]
    assert became.promoted_pattern_id == proven
    assert compared == [{became.emerging_pattern_id}]


async def test_a_pattern_of_a_transaction_that_ends_late_is_not_missed(database_url: str) -> None:
    """Sweeps go on while it is open, over patterns of transactions that began after it."""
    async with opened(database_url) as database:
        for account in "abc":
            await ask(database, "ends_late", account, vector(22))
        store = PostgresDetection(database, MODEL)
        async with store.lead() as leadership:
            assert leadership is not None
            use_case = detector(store, sweep=timedelta(0))
            await use_case.restore(leadership)
            await steps(use_case, leadership)
            async with database.transaction() as slow:
                late = await prove(slow, "ends_late", vector(22))
                for _ in range(3):
                    async with database.transaction() as quick:
                        await prove(quick, "ends_early", vector(22))
                    await steps(use_case, leadership)
                assert len(await shown(database, "ends_late")) == 1
            await steps(use_case, leadership)
        _, became = await told(database, "ends_late")
    assert became.promoted_pattern_id == late


async def test_clusters_are_compared_in_statements_of_bounded_size(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many there are at once: the same is found as by one statement."""
    monkeypatch.setattr(novelty, "PAIRS", 5)
    async with opened(database_url) as database:
        async with database.transaction() as connection:
            for number in range(2):
                await prove(connection, "in_portions", vector(400 + number))
        centres = {uuid4(): ((MODEL, "in_portions"), vector(400 + n, noise=0.1)) for n in range(7)}
        centres[uuid4()] = ((MODEL, "of_no_pattern"), vector(400))
        proven = Proven(min_similarity=0.95, min_lower_bound=0.99, k=3)
        sizes: list[int] = []
        async with database.connection() as connection:
            connection.add_query_logger(lambda query: sizes.append(portion_of(query)))
            later = dict.fromkeys(centres, datetime.now(UTC) + timedelta(days=1))
            known = await nearest_known(connection, centres, {}, proven, later)
    assert sorted(size for size in sizes if size) == [2, 2, 2, 2]
    assert [each.proven_pattern_id is not None for each in known.values()] == [True] * 2 + [
        False
    ] * 6
    assert [each.distance is None for each in known.values()] == [False] * 7 + [True]


def portion_of(query: LoggedQuery) -> int:
    """Clusters that a statement compares with patterns."""
    return len(query.args[0]) if "<=>" in query.query else 0


async def test_a_promoted_cluster_emerges_again_without_its_pattern(database_url: str) -> None:
    """When the pattern is deleted or unpublished; not when its lower bound dips."""
    async with opened(database_url) as database:
        await sight_and_prove(database, "deleted", "unpublished", "dipped")
        async with database.transaction() as connection:
            await connection.execute("DELETE FROM network_patterns WHERE pattern_type = 'deleted'")
            await connection.execute(
                "UPDATE network_patterns SET account_count = 2 WHERE pattern_type = 'unpublished'"
            )
            await connection.execute(
                "UPDATE network_patterns SET confidence_score = 0.6 WHERE pattern_type = 'dipped'"
            )
        for kind in ("deleted", "unpublished", "dipped"):
            await ask(database, kind, "d", vector(23), later=2 * RENEWAL)
        await led(database)
        news = {
            kind: [change for change, _ in await changes(database, kind)]
            for kind in ("deleted", "unpublished", "dipped")
        }
        (again,) = await shown(database, "deleted")
    assert news == {
        "deleted": ["new", "promoted", "new"],
        "unpublished": ["new", "promoted", "new"],
        "dipped": ["new", "promoted"],
    }
    assert (again.account_count, again.promoted_pattern_id) == (4, None)
    assert again.label


async def sight_and_prove(database: Database, *kinds: str) -> None:
    """Clusters that emerged, and then became a pattern."""
    for kind in kinds:
        for account in "abc":
            await ask(database, kind, account, vector(23))
    await led(database)
    async with database.transaction() as connection:
        for kind in kinds:
            await prove(connection, kind, vector(23))
    await led(database)
