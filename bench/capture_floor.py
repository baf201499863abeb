"""The floor of captures: pgbench calling one function that makes the writes of a capture, and decides nothing.

It finds the nearest patterns of the scope exactly, and writes ledger, request, pattern, shares, facets, script, wording,
sighting, measures and version, as a capture does; outcomes count five at a time, as by default. It embeds nothing,
compares no words, weighs no evidence, and answers without a pattern.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import tempfile
from pathlib import Path

import asyncpg

from bench.calls.network import ACCOUNTS, SCOPES, account, pseudonyms, shares
from keeper_grpc.domain.accounts.account_id import canonical_account_id
from keeper_grpc.domain.patterns.pattern import Scope
from keeper_grpc.storage.embedded.account import ServerAccount
from keeper_grpc.storage.embedded.binaries import find_binaries

_SETUP = """
    DROP TABLE IF EXISTS floor_patterns, floor_accounts;
    CREATE TABLE floor_patterns (place integer, n integer, id uuid, PRIMARY KEY (place, n));
    CREATE TABLE floor_accounts (place integer, n integer, key text, PRIMARY KEY (place, n));

    CREATE OR REPLACE FUNCTION floor_capture(scope bigint, at integer, new boolean) RETURNS void
    LANGUAGE plpgsql SET plan_cache_mode = auto AS $$
    DECLARE
        drawn    integer := 1 + floor(random() * (SELECT max(n) FROM floor_patterns WHERE place = at));
        caller   integer := 1 + floor(random() * (SELECT max(n) FROM floor_accounts WHERE place = at));
        like_id  uuid := (SELECT id FROM floor_patterns WHERE place = at AND n = drawn);
        who      text := (SELECT key FROM floor_accounts WHERE place = at AND n = caller);
        given    network_patterns;
        near     uuid;
        request  uuid := gen_random_uuid();
        script   uuid;
        counts   boolean := random() < 0.2;
        today    date := current_date;
    BEGIN
        PERFORM pg_advisory_xact_lock_shared(7738703068252824684);
        PERFORM pg_advisory_xact_lock(scope);
        PERFORM FROM outcome_requests WHERE account_key = who AND request_id = request;
        SELECT * INTO given FROM network_patterns WHERE id = like_id AND scope_id = scope;
        WITH scoped AS MATERIALIZED (
            SELECT id, pattern_embedding <=> given.pattern_embedding AS distance
              FROM network_patterns WHERE scope_id = scope)
        SELECT s.id INTO near FROM (SELECT * FROM scoped ORDER BY distance LIMIT 20) s
          JOIN pattern_actions a ON a.scope_id = scope AND a.pattern_id = s.id
         ORDER BY s.distance LIMIT 1;
        IF new THEN
            near := gen_random_uuid();
            INSERT INTO network_patterns (id, scope_id, pattern_type, business_category,
                embedding_model, pattern_embedding, context, action_template, first_discovered)
            VALUES (near, scope, given.pattern_type, given.business_category, given.embedding_model,
                    given.pattern_embedding, given.context, given.action_template, now());
            INSERT INTO pattern_actions (scope_id, pattern_id, action_embedding)
            VALUES (scope, near, given.pattern_embedding);
        ELSE
            UPDATE network_patterns SET pattern_embedding = given.pattern_embedding,
                   occurrence_count = occurrence_count + 1, last_validated = now()
             WHERE id = near AND scope_id = scope;
            UPDATE pattern_actions SET action_weight = action_weight + 1
             WHERE scope_id = scope AND pattern_id = near;
        END IF;
        IF counts OR new THEN
            INSERT INTO pattern_accounts AS a (scope_id, pattern_id, account_key, occurrence_count,
                success_count, revenue_total, revenue_count, recent_trials, recent_successes)
            VALUES (scope, near, who, 5, 4, 400, 5, 5, 4)
            ON CONFLICT (scope_id, pattern_id, account_key) DO UPDATE
               SET occurrence_count = a.occurrence_count + 5;
            INSERT INTO pattern_facets AS f (scope_id, pattern_id, facet, account_key,
                occurrence_count, success_count)
            SELECT scope, near, facet, who, 5, 4 FROM unnest(ARRAY['whole:x', 'service="massage"']) facet
            ON CONFLICT (scope_id, pattern_id, facet, account_key) DO UPDATE
               SET occurrence_count = f.occurrence_count + 5;
            INSERT INTO pattern_wordings (scope_id, pattern_id, account_key, action_hash, action)
            VALUES (scope, near, who, sha256(convert_to(given.action_template, 'UTF8')), given.action_template)
            ON CONFLICT DO NOTHING;
            INSERT INTO pattern_scripts (id, scope_id, pattern_id, template, template_hash)
            VALUES (gen_random_uuid(), scope, near, 'hello', sha256('hello'))
            ON CONFLICT (scope_id, pattern_id, template_hash) DO UPDATE SET template = excluded.template
            RETURNING id INTO script;
            INSERT INTO script_accounts AS a (scope_id, script_id, account_key, occurrence_count, success_count)
            VALUES (scope, script, who, 5, 4)
            ON CONFLICT (scope_id, script_id, account_key) DO UPDATE
               SET occurrence_count = a.occurrence_count + 5;
            INSERT INTO measure_changes (day, business_category, observations)
            VALUES (today, given.business_category, 5);
        END IF;
        INSERT INTO observations (id, scope_id, account_key, disposition, pattern_id, similarity,
            pattern_type, business_category, embedding_model, context, action, script, confidence,
            dollar_value, potential_value, anonymization, success, revenue_impact, counted,
            measured_day, occurred_time, recorded_time)
        VALUES (request, scope, who, 'merged', near, 0.97, given.pattern_type,
                given.business_category, given.embedding_model, given.context,
                given.action_template, 'hello', 0.6, 0, 100, '{"masked": {}, "dropped": []}', true,
                80, counts OR new, CASE WHEN counts THEN today END, now(), now());
        INSERT INTO outcome_requests (account_key, request_id, fingerprint, scope_id, observation_id, revises)
        VALUES (who, request, sha256('x'), scope, request, false);
        PERFORM FROM account_milestones WHERE account_key = who AND last_observed_day >= today;
        INSERT INTO sightings (account_key, scope_id, pattern_type, business_category, embedding_model,
            embedding, rendered, rendered_hash, confidence, potential_value, seen_time)
        VALUES (who, scope, given.pattern_type, given.business_category, given.embedding_model,
                given.pattern_embedding, 'x', sha256(uuid_send(near)), 0.6, 100, now())
        ON CONFLICT DO NOTHING;
        UPDATE scopes SET version = version + 1 WHERE scope_id = scope;
        INSERT INTO pattern_versions VALUES (scope, near, 1)
        ON CONFLICT (scope_id, pattern_id) DO UPDATE SET version = pattern_versions.version + 1;
        NOTIFY keeper_patterns;
    END $$;
"""


class Floor:
    """The function in one database, which is filled, and pgbench beside it."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    async def prepare(self) -> None:
        """Make the function, and what it draws patterns and accounts from."""
        connection = await asyncpg.connect(self._dsn)
        try:
            await connection.execute(_SETUP)
            for place, (kind, category) in enumerate(SCOPES):
                await connection.execute(
                    """
                    INSERT INTO floor_patterns
                    SELECT $1, row_number() OVER (), id FROM network_patterns
                     WHERE pattern_type = $2 AND business_category = $3 LIMIT 400
                    """,
                    place,
                    kind,
                    category,
                )
                await connection.executemany(
                    "INSERT INTO floor_accounts VALUES ($1, $2, $3)",
                    [
                        (
                            place,
                            number + 1,
                            pseudonyms().key_of(canonical_account_id(account(category, number))),
                        )
                        for number in range(ACCOUNTS)
                    ],
                )
        finally:
            await connection.close()

    def rate(self, callers: int, seconds: float, *, one_scope: bool, new: float) -> float:
        """Transactions a second at so many connections."""
        with tempfile.TemporaryDirectory() as name:
            files = []
            drawn = [1.0] if one_scope else shares()
            for place, (share, (kind, category)) in enumerate(zip(drawn, SCOPES, strict=False)):
                scope = Scope(kind, category, "").scope_id
                for is_new, weight in ((True, new), (False, 1 - new)):
                    if (times := round(share * weight * 1000)) > 0:
                        path = Path(name) / f"{place}-{is_new}.sql"
                        path.write_text(f"SELECT floor_capture({scope}, {place}, {is_new});\n")
                        files += ["-f", f"{path}@{times}"]
            ended = subprocess.run(
                [
                    find_binaries(ServerAccount.for_cluster(Path("/nonexistent"))).program(
                        "pgbench"
                    ),
                    "--no-vacuum",
                    "--protocol=prepared",
                    f"--client={callers}",
                    f"--jobs={min(callers, 2)}",
                    f"--time={max(1, round(seconds))}",
                    *files,
                    self._dsn,
                ],
                capture_output=True,
                text=True,
                check=False,
            )
        found = re.search(r"tps = ([0-9.]+)", ended.stdout)
        if found is None:
            raise RuntimeError(ended.stderr)
        return float(found[1])


def measure(dsn: str, callers: int, seconds: float) -> float:
    """Transactions a second over all scopes, of captures of patterns that are there."""
    floor = Floor(dsn)
    asyncio.run(floor.prepare())
    return floor.rate(callers, seconds, one_scope=False, new=0.0)
