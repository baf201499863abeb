from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import numpy as np
from numpy.typing import NDArray

from keeper_grpc.domain.emerging.model import Change, Emergence, Proven
from keeper_grpc.storage.database import Database
from keeper_grpc.storage.emerging.detection import PostgresDetection
from keeper_grpc.storage.emerging.feed import PostgresEmergingFeed
from keeper_grpc.storage.emerging.rows import to_json
from keeper_grpc.storage.schema import migrate as package
from keeper_grpc.storage.schema.migrate import migrate
from keeper_grpc.usecases.emerging.detector import DetectEmerging, DetectorTiming
from tests.conftest import PostgresServer
from tests.integration.emerging.emerging_events import cluster, trimmed_to
from tests.integration.observations import MODEL, opened, vector

MIGRATIONS = Path(package.__file__).with_name("migrations")
WORDS = "0010_emerging.sql"
RARE = "When it rains, offer the mayor a towel (made of events, spa)."
PLAIN = "When it rains, offer a towel (made of events, spa)."


async def shown_before(database: Database, cluster_id: UUID, place: NDArray[np.float32]) -> None:
    """A cluster of three accounts as the version before 0010 left it, described in one account's words."""
    told = replace(
        cluster(cluster_id.int, embedding_model=MODEL, common_pattern=RARE),
        last_seen_time=datetime.now(UTC),
    )
    state = to_json(told)
    del state["label"]
    async with database.transaction() as connection:
        await connection.execute(
            """
            INSERT INTO emerging_patterns (
                id, pattern_type, embedding_model, state, business_categories, common_pattern,
                account_count, sighting_count, mean_similarity, mean_confidence,
                total_potential_value, first_seen_time, last_seen_time)
            VALUES ($1, $2, $3, 'emerging', '{spa}', $4, 3, 3, 1, 0.5, 300, now(), now())
            """,
            cluster_id,
            told.pattern_type,
            MODEL,
            RARE,
        )
        await connection.execute(
            "INSERT INTO emerging_events (emerging_pattern_id, change, state, created_at)"
            " VALUES ($1, 'new', $2::text::jsonb, now())",
            cluster_id,
            json.dumps(state),
        )
        await connection.executemany(
            """
            INSERT INTO sightings (
                account_key, pattern_type, business_category, embedding_model, embedding, rendered,
                rendered_hash, confidence, potential_value, seen_time, emerging_pattern_id, pending)
            VALUES ($1, $2, 'spa', $3, $4, $5, sha256($1::text::bytea), 0.5, 100, now(), $6, false)
            """,
            [
                (account, told.pattern_type, MODEL, place, sentence, cluster_id)
                for account, sentence in (("a", RARE), ("b", PLAIN), ("c", PLAIN))
            ],
        )


async def test_a_description_in_one_accounts_words_is_replaced(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    """The detector looks again at every cluster that is shown: no word of too few accounts stays."""
    for file in MIGRATIONS.glob("*.sql"):
        if file.name < WORDS:
            shutil.copy(file, tmp_path)
    cluster_id = uuid4()
    async with postgres_server.database() as name:
        dsn = postgres_server.url(name)
        await migrate(dsn, tmp_path)
        async with opened(dsn) as database:
            await shown_before(database, cluster_id, vector(1))
            await migrate(dsn)
            store = PostgresDetection(database, MODEL)
            use_case = DetectEmerging(
                store=store,
                cluster_threshold=0.8,
                emergence=Emergence(min_accounts=3, min_similarity=0.8),
                proven=Proven(min_similarity=0.95, min_lower_bound=0.99, k=3),
                k=3,
                timing=DetectorTiming(),
                clock=lambda: datetime.now(UTC),
                new_id=uuid4,
            )
            async with store.lead() as leadership:
                assert leadership is not None
                await use_case.restore(leadership)
                while await use_case.step(leadership):
                    pass
            beginning = await trimmed_to(database)
            events = await PostgresEmergingFeed(database).events_after(*beginning, 10)
    assert events is not None
    old, new = events
    assert (old.change, old.cluster.common_pattern, old.cluster.label) == (Change.NEW, RARE, "")
    assert (new.change, new.cluster.common_pattern) == (Change.UPDATED, PLAIN)
    assert new.cluster.label == "Made of events: offer, rains, towel"
    assert new.cluster.account_count == 3
