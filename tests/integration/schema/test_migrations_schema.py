from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A connection to a migrated database."""
    connection = await asyncpg.connect(database_url)
    try:
        yield connection
    finally:
        await connection.close()


SOURCE_DESIGN = {
    "id": "uuid",
    "pattern_type": "text",
    "business_category": "text",
    "pattern_embedding": "vector(1536)",
    "context": "jsonb",
    "action_template": "text",
    "success_rate": "double precision",
    "occurrence_count": "bigint",
    "first_discovered": "timestamp with time zone",
    "last_validated": "timestamp with time zone",
    "confidence_score": "double precision",
    "created_at": "timestamp with time zone",
}

RULES_NEED = {
    "embedding_model": "text",
    "success_count": "bigint",
    "account_count": "integer",
}


async def test_network_patterns_has_the_columns_of_the_source_design(
    connection: asyncpg.Connection[asyncpg.Record],
) -> None:
    """Every column that the design lists is there with its type, and so is what the rules need."""
    columns = {
        row["name"]: row["type"]
        for row in await connection.fetch(
            """
            SELECT attname AS name, format_type(atttypid, atttypmod) AS type FROM pg_attribute
             WHERE attrelid = 'network_patterns'::regclass AND attnum > 0 AND NOT attisdropped
            """
        )
    }
    assert {name: columns.get(name) for name in SOURCE_DESIGN} == SOURCE_DESIGN
    assert {name: columns.get(name) for name in RULES_NEED} == RULES_NEED


async def test_success_rate_is_indexed_and_computed(
    connection: asyncpg.Connection[asyncpg.Record],
) -> None:
    """The rate has its index, and the database itself keeps it equal to successes / trials."""
    indexed = await connection.fetchval(
        """
        SELECT count(*) FROM pg_index i
          JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
         WHERE i.indrelid = 'network_patterns'::regclass AND a.attname = 'success_rate'
        """
    )
    assert indexed == 1
    with pytest.raises(asyncpg.GeneratedAlwaysError):
        await connection.execute("UPDATE network_patterns SET success_rate = 1")


async def test_vectors_that_are_searched_stay_in_their_rows(
    connection: asyncpg.Connection[asyncpg.Record],
) -> None:
    """PLAIN storage: de-toasting a vector costs five times the search."""
    stored = {
        (row["table"], row["column"]): row["storage"]
        for row in await connection.fetch(
            """
            SELECT attrelid::regclass::text AS table, attname AS column, attstorage::text AS storage
              FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
             WHERE c.relkind = 'r' AND atttypid = 'vector'::regtype
               AND c.relnamespace = current_schema()::regnamespace
            """
        )
    }
    # The cache is looked up by its key, never searched: its vectors may live out of line.
    stored.pop(("embedding_cache", "embedding"))
    # Neither are the sums of clusters, which a new leader reads once.
    stored.pop(("emerging_patterns", "vector_sum"))
    # Nor those of the next model, which are read when they take their places.
    for copied in (
        ("next_patterns", "pattern_embedding"),
        ("next_patterns", "action_embedding"),
        ("next_sightings", "embedding"),
    ):
        stored.pop(copied)
    # A sighting's row is written again by the detector, and its vector never changes: out of line it is not written again.
    assert stored.pop(("sightings", "embedding")) == "e"
    assert ("network_patterns", "pattern_embedding") in stored
    assert set(stored.values()) == {"p"}


async def test_texts_of_a_pattern_stay_beside_its_vector(
    connection: asyncpg.Connection[asyncpg.Record],
) -> None:
    """The vector makes a row wide, and is no reason to move the name of the model out of it: that is a look-up a row."""
    out_of_line = (
        "SELECT pg_relation_size(reltoastrelid) FROM pg_class WHERE relname = 'network_patterns'"
    )
    before = await connection.fetchval(out_of_line)
    async with connection.transaction():
        await connection.execute(
            "INSERT INTO scopes (scope_id, pattern_type, business_category) VALUES (42, 'wide', 'spa')"
        )
        await connection.execute(
            """
            INSERT INTO network_patterns (id, scope_id, pattern_type, business_category, embedding_model,
                                          pattern_embedding, context, action_template, first_discovered)
            SELECT gen_random_uuid(), 42, 'wide', 'spa', 'a-model-with-a-name-as-long-as-they-have/1',
                   array_fill(0.5, ARRAY[1536])::vector, '{}', 'Offer tea and a towel on a winter morning', now()
            """
        )
        assert await connection.fetchval(out_of_line) == before


async def test_every_table_of_the_service_is_there(
    connection: asyncpg.Connection[asyncpg.Record],
) -> None:
    """Accounts, ledger, scripts, enhancements, sightings: what the issue lists beside patterns."""
    tables = {
        row["relname"]
        for row in await connection.fetch("SELECT relname FROM pg_class WHERE relkind = 'r'")
    }
    assert {
        "accounts",
        "network_patterns",
        "observations",
        "pattern_scripts",
        "enhancements",
        "sightings",
        "emerging_patterns",
        "emerging_events",
        "embedding_cache",
        "schema_migrations",
    } <= tables
