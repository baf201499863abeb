-- Where tables are spread, what a transaction does of several scopes at a time is of scopes of one shard: each statement
-- asks one worker. Groups were of one scope there, and locks were taken pattern by pattern.

-- The shard that has the scope, and NULL where tables are not spread.
CREATE FUNCTION shard_of(scope bigint) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF is_spread() THEN
        RETURN (SELECT get_shard_id_for_distribution_column(p.logicalrelid, scope)
                  FROM pg_dist_partition p WHERE p.logicalrelid = 'network_patterns'::regclass);
    END IF;
    RETURN NULL;
END $$;

-- As in 0014; a group is of the scopes of one shard.
CREATE OR REPLACE FUNCTION enter_scopes(wanted bigint[], models text[])
RETURNS TABLE (entered bigint, is_current boolean, version bigint, reset_version bigint)
LANGUAGE plpgsql AS $$
DECLARE
    together bigint[] := wanted[2:];
    shard    bigint;
    held     bigint[];
BEGIN
    IF is_spread() THEN
        shard := shard_of(wanted[1]);
        together := ARRAY(SELECT w FROM unnest(together) w WHERE shard_of(w) = shard);
    ELSE
        PERFORM set_config('plan_cache_mode', 'force_generic_plan', true), set_config('enable_seqscan', 'off', true);
    END IF;
    PERFORM pg_advisory_xact_lock_shared(7738703068252824684);
    PERFORM pg_advisory_xact_lock(wanted[1]);
    held := wanted[1] || ARRAY(SELECT w FROM unnest(together) w WHERE pg_try_advisory_xact_lock(w));
    RETURN QUERY
        SELECT w.id, NOT EXISTS (SELECT 1 FROM embedding_space e WHERE e.model <> w.model), s.version,
               s.reset_version
          FROM unnest(wanted, models) w (id, model) LEFT JOIN scopes s ON s.scope_id = w.id
         WHERE w.id = ANY (held);
END $$;

-- As in 0010, by one statement for each shard, in the order of shards and then of ids.
CREATE OR REPLACE FUNCTION hold_patterns(scopes bigint[], ids uuid[]) RETURNS xid8 LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
    own record;
BEGIN
    FOR own IN SELECT array_agg(k.scope_id) AS scopes, array_agg(k.id) AS ids
                 FROM unnest(scopes, ids) AS k (scope_id, id) GROUP BY shard_of(k.scope_id) ORDER BY shard_of(k.scope_id) LOOP
        PERFORM 1 FROM unnest(own.scopes, own.ids) AS k (scope_id, id)
           JOIN network_patterns p ON p.scope_id = k.scope_id AND p.id = k.id
          WHERE p.scope_id = ANY (own.scopes) ORDER BY p.id FOR NO KEY UPDATE OF p;
    END LOOP;
    RETURN pg_current_xact_id();
END $$;

CREATE OR REPLACE FUNCTION keep_patterns(scopes bigint[], ids uuid[]) RETURNS integer LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
    own  record;
    here integer;
    kept integer := 0;
BEGIN
    FOR own IN SELECT array_agg(k.scope_id) AS scopes, array_agg(k.id) AS ids
                 FROM (SELECT DISTINCT * FROM unnest(scopes, ids)) AS k (scope_id, id)
                GROUP BY shard_of(k.scope_id) ORDER BY shard_of(k.scope_id) LOOP
        SELECT count(*) INTO here FROM (
            SELECT 1 FROM unnest(own.scopes, own.ids) AS k (scope_id, id)
              JOIN network_patterns p ON p.scope_id = k.scope_id AND p.id = k.id
             WHERE p.scope_id = ANY (own.scopes) ORDER BY p.id FOR KEY SHARE OF p) held;
        kept := kept + here;
    END LOOP;
    RETURN kept;
END $$;

-- A transaction of several nodes is visible on the coordinator a moment before it is on workers. Whoever has seen a scope's
-- version there and reads on a worker what changed by then would miss it, and never look again. So whoever raises a version
-- shares a lock until its end, which comes after the last node's, and whoever has seen the version waits for that lock.
CREATE FUNCTION raise_everywhere(scope bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF is_spread() THEN
        PERFORM pg_advisory_xact_lock_shared(1986359923, hashint8(scope));
    END IF;
END $$;

CREATE FUNCTION until_raised_everywhere(scopes bigint[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    scope bigint;
BEGIN
    IF is_spread() THEN
        FOREACH scope IN ARRAY scopes LOOP
            PERFORM pg_advisory_lock(1986359923, hashint8(scope));
            PERFORM pg_advisory_unlock(1986359923, hashint8(scope));
        END LOOP;
    END IF;
END $$;

-- As in 0017; what waits of an account is asked for shard by shard.
CREATE OR REPLACE FUNCTION measure_outcomes(scopes bigint[], new_ids uuid[], advised uuid[]) RETURNS void LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
    step      integer := coalesce((SELECT s.step FROM evidence_settings s), 1);
    own       bigint[];
    -- What was just recorded, and after it what waits.
    ids       uuid[];
    of_scopes bigint[];
    keys      text[];
    lines     text[];
    occurred  timestamptz[];
    recorded  timestamptz[];
    finals    boolean[];
    wins      boolean[];
    revenues  double precision[];
    retained  boolean[];
    given     boolean[];
    held_out  boolean[];
    -- The accounts.
    counting  text[];
    counts_in text[];
    joined    timestamptz[];
    -- The accounts and lines of business of which something may make a step.
    due_keys  text[];
    due_lines text[];
    waiting   record;
    -- What counts from now on.
    begun     uuid[];
    days      date[];
    each      record;
BEGIN
    SELECT array_agg(o.id), array_agg(o.scope_id), array_agg(o.account_key), array_agg(o.business_category),
           array_agg(o.occurred_time), array_agg(o.recorded_time), array_agg(o.final), array_agg(o.success),
           array_agg(o.net_revenue), array_agg(o.customer_retained),
           array_agg(e.id IS NOT NULL AND e.no_match_reason IS NULL), array_agg(coalesce(e.holdout, false))
      INTO ids, of_scopes, keys, lines, occurred, recorded, finals, wins, revenues, retained, given, held_out
      FROM observations o
      LEFT JOIN enhancements e ON e.scope_id = ANY (scopes) AND e.scope_id = o.scope_id AND e.id = o.enhancement_id
     WHERE o.scope_id = ANY (scopes) AND o.id = ANY (new_ids);
    IF ids IS NULL THEN
        RETURN;
    END IF;
    SELECT array_agg(a.account_key), array_agg(CASE WHEN a.qualified THEN a.business_category END), array_agg(a.joined_time)
      INTO counting, counts_in, joined FROM accounts a WHERE a.account_key = ANY (keys);

    IF step > 1 THEN
        SELECT array_agg(d.account_key), array_agg(d.line) INTO due_keys, due_lines FROM (
            SELECT DISTINCT o.account_key, o.line FROM unnest(keys, lines, finals) AS o (account_key, line, final)
              JOIN unnest(counting, counts_in) AS a (account_key, line) USING (account_key, line)
             WHERE o.final) d;
        FOR own IN
            SELECT array_agg(w.scope_id) FROM (
                SELECT DISTINCT w.scope_id FROM unnest(due_keys, due_lines) AS k (account_key, business_category)
                  JOIN waiting_outcomes w USING (account_key, business_category)) w
             GROUP BY shard_of(w.scope_id) ORDER BY shard_of(w.scope_id)
        LOOP
            SELECT array_agg(f.id) AS ids, array_agg(f.scope_id) AS scopes, array_agg(f.account_key) AS keys, array_agg(f.business_category) AS lines,
                   array_agg(f.occurred_time) AS occurred, array_agg(f.recorded_time) AS recorded,
                   array_agg(f.success) AS wins, array_agg(f.net_revenue) AS revenues,
                   array_agg(f.customer_retained) AS retained,
                   array_agg(e.id IS NOT NULL AND e.no_match_reason IS NULL) AS given,
                   array_agg(coalesce(e.holdout, false)) AS held_out
              INTO waiting
              FROM (SELECT o.id, o.scope_id, o.account_key, o.business_category, o.occurred_time, o.recorded_time, o.success, o.net_revenue,
                           o.customer_retained, o.enhancement_id
                      FROM observations o
                     WHERE o.scope_id = ANY (own) AND o.measured_day IS NULL AND o.final AND o.id <> ALL (new_ids)
                       AND o.account_key = ANY (due_keys)
                       AND (o.account_key, o.business_category) IN (
                           SELECT * FROM unnest(due_keys, due_lines) AS k (account_key, business_category))
                       FOR NO KEY UPDATE OF o SKIP LOCKED) f
              LEFT JOIN enhancements e ON e.scope_id = ANY (own) AND e.scope_id = f.scope_id AND e.id = f.enhancement_id;
            ids := ids || waiting.ids;
            of_scopes := of_scopes || waiting.scopes;
            keys := keys || waiting.keys;
            lines := lines || waiting.lines;
            occurred := occurred || waiting.occurred;
            recorded := recorded || waiting.recorded;
            finals := finals || array_fill(true, ARRAY[coalesce(cardinality(waiting.ids), 0)]);
            wins := wins || waiting.wins;
            revenues := revenues || waiting.revenues;
            retained := retained || waiting.retained;
            given := given || waiting.given;
            held_out := held_out || waiting.held_out;
        END LOOP;
    END IF;
    WITH able AS (
        SELECT o.id, o.account_key, o.line, array_position(new_ids, o.id) AS place, o.recorded_time,
               CASE WHEN o.held_out THEN 'held out' WHEN o.given THEN 'advised' ELSE 'captured' END AS kind,
               (o.occurred_time AT TIME ZONE 'UTC')::date AS day
          FROM unnest(ids, keys, lines, occurred, recorded, finals, given, held_out)
               AS o (id, account_key, line, occurred_time, recorded_time, final, given, held_out)
          JOIN unnest(counting, counts_in) AS a (account_key, line) USING (account_key, line)
         WHERE o.final OR step = 1
    ), placed AS (
        SELECT *, count(*) OVER kinds AS number_of, count(place) OVER kinds AS new,
               row_number() OVER (kinds ORDER BY place NULLS FIRST, recorded_time, id) AS n
          FROM able
        WINDOW kinds AS (PARTITION BY account_key, line, kind)
    ), steps AS (
        SELECT id, max(day) OVER (PARTITION BY account_key, line, kind, (n - 1) / step) AS day
          FROM placed WHERE new > 0 AND ((n - 1) / step + 1) * step <= number_of
    )
    SELECT array_agg(id), array_agg(day) INTO begun, days FROM steps;
    INSERT INTO waiting_outcomes (observation_id, scope_id, account_key, business_category)
    SELECT o.id, o.scope_id, o.account_key, o.line
      FROM unnest(ids, of_scopes, keys, lines, finals) AS o (id, scope_id, account_key, line, final)
     WHERE o.id = ANY (new_ids) AND o.final AND o.id <> ALL (coalesce(begun, '{}'))
    ON CONFLICT DO NOTHING;
    IF begun IS NOT NULL THEN
        DELETE FROM waiting_outcomes w WHERE w.observation_id = ANY (begun);
        of_scopes := ARRAY(
            SELECT DISTINCT o.scope_id FROM unnest(ids, of_scopes) AS o (id, scope_id) WHERE o.id = ANY (begun));
        UPDATE observations o SET measured_day = s.day FROM unnest(begun, days) AS s (id, day)
         WHERE o.scope_id = ANY (of_scopes) AND o.id = s.id;
        INSERT INTO measure_changes (
            day, business_category, observations, advised_outcomes, advised_successes,
            advised_measured, advised_revenue, advised_retention_known, advised_retained,
            held_out_outcomes, held_out_successes, held_out_retention_known, held_out_retained)
        SELECT s.day, o.line, sum(m.observations), sum(m.advised_outcomes), sum(m.advised_successes),
               sum(m.advised_measured), sum(m.advised_revenue), sum(m.advised_retention_known),
               sum(m.advised_retained), sum(m.held_out_outcomes), sum(m.held_out_successes),
               sum(m.held_out_retention_known), sum(m.held_out_retained)
          FROM unnest(begun, days) AS s (id, day)
          JOIN unnest(ids, lines, wins, revenues, retained, given, held_out)
               AS o (id, line, success, revenue, retained, given, held_out) USING (id)
         CROSS JOIN LATERAL observation_measures(o.success, o.revenue, o.retained, o.given, o.held_out) m
         GROUP BY 1, 2;
    END IF;
    IF cardinality(advised) > 0 THEN
        PERFORM note_advised_outcomes(scopes, advised);
    END IF;

    FOR each IN
        SELECT o.account_key,
               min(o.occurred_time) FILTER (WHERE o.success AND o.occurred_time >= a.joined_time) AS success_time,
               max(day) AS observed_day,
               max(day) FILTER (WHERE c.advised_outcomes > 0) AS advised_day,
               max(day) FILTER (WHERE c.advised_measured > 0) AS revenue_day,
               max(day) FILTER (WHERE c.advised_retention_known > 0) AS advised_retention_day,
               max(day) FILTER (WHERE c.held_out_outcomes > 0) AS held_out_day,
               max(day) FILTER (WHERE c.held_out_retention_known > 0) AS held_out_retention_day
          FROM unnest(ids, keys, occurred, wins, revenues, retained, given, held_out)
               AS o (id, account_key, occurred_time, success, revenue, retained, given, held_out)
          JOIN unnest(counting, joined) AS a (account_key, joined_time) USING (account_key)
         CROSS JOIN LATERAL (SELECT (o.occurred_time AT TIME ZONE 'UTC')::date AS day) d
         CROSS JOIN LATERAL observation_measures(o.success, o.revenue, o.retained, o.given, o.held_out) c
         WHERE o.id = ANY (new_ids) GROUP BY 1 ORDER BY 1
    LOOP
        CONTINUE WHEN EXISTS (
            SELECT 1 FROM account_milestones k
             WHERE k.account_key = each.account_key
               -- Whoever observed on a day was active on it.
               AND k.last_observed_day >= each.observed_day
               AND coalesce(k.first_success_time <= each.success_time, each.success_time IS NULL)
               AND coalesce(k.last_advised_day >= each.advised_day, each.advised_day IS NULL)
               AND coalesce(k.last_revenue_day >= each.revenue_day, each.revenue_day IS NULL)
               AND coalesce(k.last_advised_retention_day >= each.advised_retention_day, each.advised_retention_day IS NULL)
               AND coalesce(k.last_held_out_day >= each.held_out_day, each.held_out_day IS NULL)
               AND coalesce(k.last_held_out_retention_day >= each.held_out_retention_day,
                            each.held_out_retention_day IS NULL));
        INSERT INTO account_milestones AS m (
            account_key, first_success_time, last_active_day, last_observed_day, last_advised_day,
            last_revenue_day, last_advised_retention_day, last_held_out_day, last_held_out_retention_day)
        VALUES (each.account_key, each.success_time, each.observed_day, each.observed_day, each.advised_day, each.revenue_day,
                each.advised_retention_day, each.held_out_day, each.held_out_retention_day)
        ON CONFLICT (account_key) DO UPDATE
           SET first_success_time = least(m.first_success_time, excluded.first_success_time),
               last_active_day = greatest(m.last_active_day, excluded.last_active_day),
               last_observed_day = greatest(m.last_observed_day, excluded.last_observed_day),
               last_advised_day = greatest(m.last_advised_day, excluded.last_advised_day),
               last_revenue_day = greatest(m.last_revenue_day, excluded.last_revenue_day),
               last_advised_retention_day =
                   greatest(m.last_advised_retention_day, excluded.last_advised_retention_day),
               last_held_out_day = greatest(m.last_held_out_day, excluded.last_held_out_day),
               last_held_out_retention_day =
                   greatest(m.last_held_out_retention_day, excluded.last_held_out_retention_day);
    END LOOP;
END $$;
