-- Functions whose statements each name one scope, or lock nothing: a database that is spread by scope locks rows of one scope
-- in one statement only, and joins scopes with each other in none. What is locked is so in the order of its ids, as before.

-- Of the columns, as a worker's part of the table has another type than the table.
CREATE FUNCTION had_advice(holdout boolean, no_match_reason text, authored text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT holdout OR no_match_reason IS NULL OR authored IS NOT NULL
$$;
CREATE FUNCTION held_out(holdout boolean, authored text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT holdout OR coalesce(authored = 'withheld', false)
$$;

-- The words of a pattern that another one, maybe of another scope, speaks in; null where it may not be shown.
CREATE FUNCTION words_of(of_scope bigint, of_pattern uuid) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT CASE WHEN p.catalog_key IS NOT NULL THEN p.action_template ELSE p.shown_action END
              FROM network_patterns p
             WHERE p.scope_id = of_scope AND p.id = of_pattern AND p.retired_time IS NULL);
END $$;

-- Lets nobody else change these patterns until the transaction ends; the transaction's id, for what it changes of them.
CREATE FUNCTION hold_patterns(scopes bigint[], ids uuid[]) RETURNS xid8 LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
    each record;
BEGIN
    FOR each IN SELECT DISTINCT k.scope_id, k.id FROM unnest(scopes, ids) AS k (scope_id, id) ORDER BY k.id LOOP
        PERFORM 1 FROM network_patterns p WHERE p.scope_id = each.scope_id AND p.id = each.id FOR NO KEY UPDATE;
    END LOOP;
    RETURN pg_current_xact_id();
END $$;

-- Lets nobody delete these patterns until the transaction ends; how many are there.
CREATE FUNCTION keep_patterns(scopes bigint[], ids uuid[]) RETURNS integer LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
    each record;
    kept integer := 0;
BEGIN
    FOR each IN SELECT DISTINCT k.scope_id, k.id FROM unnest(scopes, ids) AS k (scope_id, id) ORDER BY k.id LOOP
        PERFORM 1 FROM network_patterns p WHERE p.scope_id = each.scope_id AND p.id = each.id FOR KEY SHARE;
        IF FOUND THEN
            kept := kept + 1;
        END IF;
    END LOOP;
    RETURN kept;
END $$;

-- Lets nobody else count this advice until the transaction ends.
CREATE FUNCTION hold_advice(scopes bigint[], patterns uuid[], categories text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    each record;
BEGIN
    FOR each IN SELECT DISTINCT k.scope_id, k.pattern_id, k.category
                  FROM unnest(scopes, patterns, categories) AS k (scope_id, pattern_id, category) ORDER BY 1, 2, 3 LOOP
        PERFORM 1 FROM pattern_advice a
          WHERE a.scope_id = each.scope_id AND a.pattern_id = each.pattern_id AND a.business_category = each.category
            FOR UPDATE;
    END LOOP;
END $$;

-- Notes that what may be shown of these patterns changed, or of those that speak in their words: the new version of each
-- scope, and its patterns. Patterns that are gone are passed over. The rows of scopes are the last that is locked.
CREATE FUNCTION touch_patterns(scopes bigint[], ids uuid[], channel text)
RETURNS TABLE (touched bigint, raised bigint, pattern_ids uuid[]) LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
    of_scopes  bigint[];
    of_ids     uuid[];
    of_touched bigint[];
    versions   bigint[];
BEGIN
    SELECT array_agg(g.scope_id), array_agg(g.id) INTO of_scopes, of_ids FROM (
        SELECT DISTINCT p.scope_id, p.id FROM unnest(scopes, ids) AS n (scope_id, id)
          JOIN network_patterns p ON p.scope_id = n.scope_id AND p.id = n.id) g;
    SELECT of_scopes || array_agg(g.scope_id), of_ids || array_agg(g.id) INTO of_scopes, of_ids FROM (
        SELECT DISTINCT p.scope_id, p.id FROM unnest(scopes, ids) AS n (scope_id, id)
          JOIN network_patterns p ON p.worded_from_scope_id = n.scope_id AND p.worded_from = n.id) g
     WHERE NOT (g.id = ANY (coalesce(of_ids, '{}')));
    IF of_ids IS NULL THEN
        RETURN;
    END IF;
    WITH owned AS MATERIALIZED (
        SELECT s.scope_id FROM scopes s WHERE s.scope_id = ANY (of_scopes) ORDER BY s.scope_id FOR NO KEY UPDATE
    ), changed AS (
        UPDATE scopes s SET version = s.version + 1 FROM owned o
         WHERE s.scope_id = o.scope_id RETURNING s.scope_id, s.version
    )
    SELECT array_agg(c.scope_id), array_agg(c.version) INTO of_touched, versions FROM changed c;
    INSERT INTO pattern_versions AS v (scope_id, pattern_id, version)
    SELECT g.scope_id, g.id, c.version
      FROM unnest(of_scopes, of_ids) AS g (scope_id, id)
      JOIN unnest(of_touched, versions) AS c (scope_id, version) ON c.scope_id = g.scope_id
    ON CONFLICT (scope_id, pattern_id) DO UPDATE SET version = excluded.version;
    RETURN QUERY
        SELECT c.scope_id, c.version,
               ARRAY(SELECT g.id FROM unnest(of_scopes, of_ids) AS g (scope_id, id) WHERE g.scope_id = c.scope_id)
          FROM unnest(of_touched, versions) AS c (scope_id, version),
               LATERAL (SELECT pg_notify(channel, c.scope_id::text)) notified;
END $$;

-- As in 0005; where tables are spread, a plan depends on the scope.
CREATE OR REPLACE FUNCTION enter_scopes(wanted bigint[], models text[])
RETURNS TABLE (entered bigint, is_current boolean, version bigint, reset_version bigint)
LANGUAGE plpgsql AS $$
DECLARE
    held bigint[];
BEGIN
    IF to_regclass('pg_catalog.pg_dist_partition') IS NULL THEN
        PERFORM set_config('plan_cache_mode', 'force_generic_plan', true), set_config('enable_seqscan', 'off', true);
    END IF;
    PERFORM pg_advisory_xact_lock_shared(7738703068252824684);
    PERFORM pg_advisory_xact_lock(wanted[1]);
    held := wanted[1] || ARRAY(SELECT w FROM unnest(wanted[2:]) w WHERE pg_try_advisory_xact_lock(w));
    RETURN QUERY
        SELECT w.id, NOT EXISTS (SELECT 1 FROM embedding_space e WHERE e.model <> w.model), s.version,
               s.reset_version
          FROM unnest(wanted, models) w (id, model) LEFT JOIN scopes s ON s.scope_id = w.id
         WHERE w.id = ANY (held);
END $$;

-- As in 0001, pattern by pattern.
CREATE OR REPLACE FUNCTION note_advised_outcomes(ids uuid[]) RETURNS void LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
    came record;
BEGIN
    FOR came IN
        SELECT e.advised_scope_id AS scope_id, e.pattern_id, e.business_category,
               max(o.occurred_time) AS last_outcome_time,
               sum(coalesce(two_digits(o.net_revenue), 0)) AS revenue,
               count(e.expected_deviation)::integer AS outcomes,
               count(*) FILTER (WHERE e.expected_deviation IS NOT NULL AND o.success)::integer AS successes,
               coalesce(sum(millionths(e.expected_success_rate)) FILTER (WHERE e.expected_deviation IS NOT NULL), 0)::bigint
                   AS expected,
               coalesce(sum(millionths(e.expected_success_rate * (1 - e.expected_success_rate)))
                        FILTER (WHERE e.expected_deviation IS NOT NULL), 0)::bigint AS variance,
               coalesce(sum(millionths(e.expected_deviation)), 0)::bigint AS deviation
          FROM observations o
          JOIN enhancements e ON e.scope_id = o.scope_id AND e.id = o.enhancement_id
         WHERE o.id = ANY (ids) AND e.pattern_id IS NOT NULL AND e.no_match_reason IS NULL AND e.measured
         GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    LOOP
        UPDATE pattern_advice a
           SET last_outcome_time = greatest(a.last_outcome_time, came.last_outcome_time),
               revenue = a.revenue + came.revenue, outcomes = a.outcomes + came.outcomes,
               successes = a.successes + came.successes, expected = a.expected + came.expected,
               variance = a.variance + came.variance, deviation = a.deviation + came.deviation
         WHERE a.scope_id = came.scope_id AND a.pattern_id = came.pattern_id
           AND a.business_category = came.business_category;
    END LOOP;
END $$;

-- As in 0001; the accounts' rows are read first.
CREATE OR REPLACE FUNCTION note_outcomes(ids uuid[]) RETURNS void LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
    n record;
BEGIN
    FOR n IN
        SELECT o.account_key,
               min(o.occurred_time) FILTER (WHERE o.success AND o.occurred_time >= a.joined_time) AS success_time,
               max(day) AS observed_day,
               max(day) FILTER (WHERE c.advised_outcomes > 0) AS advised_day,
               max(day) FILTER (WHERE c.advised_measured > 0) AS revenue_day,
               max(day) FILTER (WHERE c.advised_retention_known > 0) AS advised_retention_day,
               max(day) FILTER (WHERE c.held_out_outcomes > 0) AS held_out_day,
               max(day) FILTER (WHERE c.held_out_retention_known > 0) AS held_out_retention_day
          FROM observations o
          JOIN accounts a USING (account_key)
          LEFT JOIN enhancements e ON e.scope_id = o.scope_id AND e.id = o.enhancement_id
         CROSS JOIN LATERAL (SELECT (o.occurred_time AT TIME ZONE 'UTC')::date AS day) d
         CROSS JOIN LATERAL observation_measures(
               o.success, o.net_revenue, o.customer_retained,
               e.id IS NOT NULL AND e.no_match_reason IS NULL, coalesce(e.holdout, false)) c
         WHERE o.id = ANY (ids) GROUP BY 1 ORDER BY 1
    LOOP
        CONTINUE WHEN EXISTS (
            SELECT 1 FROM account_milestones k
             WHERE k.account_key = n.account_key
               -- Whoever observed on a day was active on it.
               AND k.last_observed_day >= n.observed_day
               AND coalesce(k.first_success_time <= n.success_time, n.success_time IS NULL)
               AND coalesce(k.last_advised_day >= n.advised_day, n.advised_day IS NULL)
               AND coalesce(k.last_revenue_day >= n.revenue_day, n.revenue_day IS NULL)
               AND coalesce(k.last_advised_retention_day >= n.advised_retention_day, n.advised_retention_day IS NULL)
               AND coalesce(k.last_held_out_day >= n.held_out_day, n.held_out_day IS NULL)
               AND coalesce(k.last_held_out_retention_day >= n.held_out_retention_day,
                            n.held_out_retention_day IS NULL));
        INSERT INTO account_milestones AS m (
            account_key, first_success_time, last_active_day, last_observed_day, last_advised_day,
            last_revenue_day, last_advised_retention_day, last_held_out_day, last_held_out_retention_day)
        VALUES (n.account_key, n.success_time, n.observed_day, n.observed_day, n.advised_day, n.revenue_day,
                n.advised_retention_day, n.held_out_day, n.held_out_retention_day)
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

-- As in 0001, pattern by pattern and account by account.
CREATE OR REPLACE FUNCTION note_questions(ids uuid[]) RETURNS void LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
    given record;
    n     record;
BEGIN
    FOR given IN
        SELECT e.advised_scope_id AS scope_id, e.pattern_id, e.business_category, min(e.created_at) AS first_time
          FROM enhancements e
         WHERE e.id = ANY (ids) AND e.no_match_reason IS NULL AND e.measured AND e.pattern_id IS NOT NULL
         GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    LOOP
        PERFORM 1 FROM pattern_advice a
          WHERE a.scope_id = given.scope_id AND a.pattern_id = given.pattern_id
            AND a.business_category = given.business_category AND a.first_advised_time <= given.first_time
            FOR KEY SHARE;
        IF NOT FOUND THEN
            INSERT INTO pattern_advice AS a (scope_id, pattern_id, business_category, first_advised_time)
            VALUES (given.scope_id, given.pattern_id, given.business_category, given.first_time)
            ON CONFLICT (scope_id, pattern_id, business_category) DO UPDATE
               SET first_advised_time = least(a.first_advised_time, excluded.first_advised_time);
        END IF;
    END LOOP;

    FOR n IN
        SELECT e.account_key, min(e.created_at) AS asked_time,
               min(e.created_at) FILTER (WHERE e.no_match_reason IS NULL) AS advised_time,
               max(day) AS active_day, max(day) FILTER (WHERE NOT e.holdout) AS asked_day,
               max(day) FILTER (WHERE e.no_match_reason IS NULL) AS enhanced_day
          FROM enhancements e
         CROSS JOIN LATERAL (SELECT (e.created_at AT TIME ZONE 'UTC')::date AS day) d
         WHERE e.id = ANY (ids) GROUP BY 1 ORDER BY 1
    LOOP
        CONTINUE WHEN EXISTS (
            SELECT 1 FROM account_milestones k
             WHERE k.account_key = n.account_key AND k.last_active_day >= n.active_day
               AND k.first_asked_time <= n.asked_time
               AND coalesce(k.last_asked_day >= n.asked_day, n.asked_day IS NULL)
               AND coalesce(k.first_advised_time <= n.advised_time, n.advised_time IS NULL)
               AND coalesce(k.last_enhanced_day >= n.enhanced_day, n.enhanced_day IS NULL));
        INSERT INTO account_milestones AS m (
            account_key, first_asked_time, first_asked_enhanced, first_advised_time,
            last_active_day, last_asked_day, last_enhanced_day)
        VALUES (n.account_key, n.asked_time, coalesce(n.asked_time = n.advised_time, false),
                n.advised_time, n.active_day, n.asked_day, n.enhanced_day)
        ON CONFLICT (account_key) DO UPDATE
           SET first_asked_time = least(m.first_asked_time, excluded.first_asked_time),
               first_asked_enhanced =
                   coalesce(least(m.first_advised_time, excluded.first_advised_time)
                            = least(m.first_asked_time, excluded.first_asked_time), false),
               first_advised_time = least(m.first_advised_time, excluded.first_advised_time),
               last_active_day = greatest(m.last_active_day, excluded.last_active_day),
               last_asked_day = greatest(m.last_asked_day, excluded.last_asked_day),
               last_enhanced_day = greatest(m.last_enhanced_day, excluded.last_enhanced_day);
    END LOOP;
END $$;

-- As in 0001, scope by scope.
CREATE OR REPLACE FUNCTION begin_outcomes(ids uuid[]) RETURNS void LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
    step    integer := coalesce((SELECT s.step FROM evidence_settings s), 1);
    keys    text[];
    lines   text[];
    own     bigint;
    free    uuid[];
    waiting uuid[];
    begun   uuid[];
BEGIN
    IF step > 1 THEN
        SELECT array_agg(n.account_key), array_agg(n.business_category) INTO keys, lines FROM (
            SELECT DISTINCT n.account_key, n.business_category
              FROM observations n JOIN accounts a USING (account_key, business_category)
             WHERE n.id = ANY (ids) AND a.qualified AND n.final) n;
        FOR own IN
            SELECT DISTINCT o.scope_id FROM observations o
             WHERE o.measured_day IS NULL AND o.final AND o.account_key = ANY (keys) AND o.id <> ALL (ids) ORDER BY 1
        LOOP
            SELECT array_agg(f.id) INTO free FROM (
                SELECT o.id FROM observations o
                 WHERE o.scope_id = own AND o.measured_day IS NULL AND o.final AND o.id <> ALL (ids)
                   AND o.account_key = ANY (keys)
                   AND (o.account_key, o.business_category) IN (
                       SELECT * FROM unnest(keys, lines) AS k (account_key, business_category))
                   FOR NO KEY UPDATE OF o SKIP LOCKED) f;
            waiting := waiting || free;
        END LOOP;
    END IF;
    WITH able AS (
        SELECT o.id, o.scope_id, o.account_key, o.business_category, array_position(ids, o.id) AS place,
               o.recorded_time,
               CASE WHEN e.holdout THEN 'held out' WHEN e.id IS NOT NULL AND e.no_match_reason IS NULL THEN 'advised'
                    ELSE 'captured' END AS kind,
               (o.occurred_time AT TIME ZONE 'UTC')::date AS day
          FROM observations o JOIN accounts a USING (account_key, business_category)
          LEFT JOIN enhancements e ON e.scope_id = o.scope_id AND e.id = o.enhancement_id
         WHERE o.id = ANY (ids || waiting) AND a.qualified AND (o.final OR step = 1)
    ), placed AS (
        SELECT *, count(*) OVER kinds AS number_of, count(place) OVER kinds AS new,
               row_number() OVER (kinds ORDER BY place NULLS FIRST, recorded_time, id) AS n
          FROM able
        WINDOW kinds AS (PARTITION BY account_key, business_category, kind)
    ), steps AS (
        SELECT id, scope_id, max(day) OVER (
                   PARTITION BY account_key, business_category, kind, (n - 1) / step) AS day
          FROM placed WHERE new > 0 AND ((n - 1) / step + 1) * step <= number_of
    ), counted AS (
        UPDATE observations o SET measured_day = s.day FROM steps s
         WHERE o.scope_id = s.scope_id AND o.id = s.id RETURNING o.id
    )
    SELECT array_agg(id) INTO begun FROM counted;
    IF begun IS NOT NULL THEN
        PERFORM append_outcomes(begun, 1);
    END IF;
END $$;

-- As in 0002, pattern by pattern, all of which are locked before any is read. A question that names a pattern names one that
-- is there (keeper_grpc/storage/patterns/deletion.py).
CREATE OR REPLACE FUNCTION recount_advice(scopes bigint[], patterns uuid[], categories text[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    p record;
    l record;
BEGIN
    PERFORM hold_advice(scopes, patterns, categories);
    FOR p IN SELECT DISTINCT k.scope_id, k.pattern_id, k.category
               FROM unnest(scopes, patterns, categories) AS k (scope_id, pattern_id, category) ORDER BY 1, 2, 3 LOOP
        SELECT min(e.created_at) AS first_time, max(o.occurred_time) AS last_outcome_time,
               coalesce(sum(two_digits(o.net_revenue)), 0) AS revenue,
               (count(*) FILTER (WHERE judged))::integer AS outcomes,
               (count(*) FILTER (WHERE judged AND o.success))::integer AS successes,
               coalesce(sum(millionths(e.expected_success_rate)) FILTER (WHERE judged), 0)::bigint AS expected,
               coalesce(sum(millionths(e.expected_success_rate * (1 - e.expected_success_rate)))
                        FILTER (WHERE judged), 0)::bigint AS variance,
               coalesce(sum(millionths(e.expected_deviation)) FILTER (WHERE judged), 0)::bigint AS deviation
          INTO l
          FROM enhancements e
          LEFT JOIN observations o ON o.scope_id = e.scope_id AND o.enhancement_id = e.id
         CROSS JOIN LATERAL (SELECT o.id IS NOT NULL AND e.expected_deviation IS NOT NULL AS judged) j
         WHERE e.advised_scope_id = p.scope_id AND e.pattern_id = p.pattern_id AND e.business_category = p.category
           AND e.no_match_reason IS NULL AND e.measured;
        l.first_time := least(l.first_time, (
            SELECT min(r.first_time) FROM rolled_advice r
             WHERE r.scope_id = p.scope_id AND r.pattern_id = p.pattern_id AND r.business_category = p.category
               AND r.measured));
        IF l.first_time IS NULL THEN
            DELETE FROM pattern_advice a
             WHERE a.scope_id = p.scope_id AND a.pattern_id = p.pattern_id AND a.business_category = p.category;
        ELSE
            UPDATE pattern_advice a
               SET first_advised_time = l.first_time, last_outcome_time = l.last_outcome_time,
                   revenue = l.revenue, outcomes = l.outcomes, successes = l.successes,
                   expected = l.expected, variance = l.variance, deviation = l.deviation
             WHERE a.scope_id = p.scope_id AND a.pattern_id = p.pattern_id AND a.business_category = p.category;
        END IF;
    END LOOP;
END $$;

-- As in 0002, of patterns that are there; they are looked up last, since they may be of another scope than the question.
CREATE OR REPLACE VIEW ledger_advice AS
SELECT v.* FROM (
    SELECT scope_id, pattern_id, business_category, min(first_time) AS first_advised_time,
           max(last_outcome_time) AS last_outcome_time, coalesce(sum(revenue), 0) AS revenue,
           (count(*) FILTER (WHERE judged))::integer AS outcomes,
           (count(*) FILTER (WHERE judged AND success))::integer AS successes,
           coalesce(sum(expected) FILTER (WHERE judged), 0)::bigint AS expected,
           coalesce(sum(variance) FILTER (WHERE judged), 0)::bigint AS variance,
           coalesce(sum(deviation) FILTER (WHERE judged), 0)::bigint AS deviation
      FROM (SELECT e.advised_scope_id AS scope_id, e.pattern_id, e.business_category, e.created_at AS first_time,
                   o.occurred_time AS last_outcome_time, two_digits(o.net_revenue) AS revenue,
                   o.id IS NOT NULL AND e.expected_deviation IS NOT NULL AS judged, o.success,
                   millionths(e.expected_success_rate) AS expected,
                   millionths(e.expected_success_rate * (1 - e.expected_success_rate)) AS variance,
                   millionths(e.expected_deviation) AS deviation
              FROM enhancements e
              LEFT JOIN observations o ON o.scope_id = e.scope_id AND o.enhancement_id = e.id
             WHERE e.no_match_reason IS NULL AND e.measured AND e.pattern_id IS NOT NULL
            UNION ALL
            SELECT scope_id, pattern_id, business_category, first_time, NULL, NULL, false, NULL, NULL, NULL, NULL
              FROM rolled_advice WHERE measured) given
     GROUP BY 1, 2, 3) v
  JOIN network_patterns p ON p.scope_id = v.scope_id AND p.id = v.pattern_id;

-- As in 0002, in a language whose statements are planned when they run.
CREATE OR REPLACE FUNCTION advised_patterns(key text)
RETURNS TABLE (scope_id bigint, pattern_id uuid, business_category text) LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN QUERY
        SELECT DISTINCT e.advised_scope_id, e.pattern_id, e.business_category FROM enhancements e
         WHERE e.account_key = key AND e.pattern_id IS NOT NULL AND e.no_match_reason IS NULL;
    RETURN QUERY
        SELECT DISTINCT r.scope_id, r.pattern_id, r.business_category FROM rolled_advice r WHERE r.account_key = key;
END $$;

-- As in 0001.
CREATE OR REPLACE FUNCTION measure_outcomes(ids uuid[]) RETURNS void LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
BEGIN
    PERFORM begin_outcomes(ids);
    PERFORM note_advised_outcomes(ids);
    PERFORM note_outcomes(ids);
END $$;

-- As in 0002; what is counted out is read first.
CREATE OR REPLACE FUNCTION delete_questions(key text) RETURNS bigint LANGUAGE plpgsql SET plan_cache_mode = auto AS $$
DECLARE
    asked      uuid[];
    scopes     bigint[];
    patterns   uuid[];
    categories text[];
    deleted    bigint;
BEGIN
    SELECT array_agg(scope_id), array_agg(pattern_id), array_agg(business_category)
      INTO scopes, patterns, categories FROM advised_patterns(key);
    SELECT array_agg(id) INTO asked FROM enhancements WHERE account_key = key;
    PERFORM append_questions(asked, -1);
    PERFORM append_rolled(key, -1, NULL);
    DELETE FROM rolled_questions WHERE account_key = key;
    DELETE FROM rolled_advice WHERE account_key = key;
    DELETE FROM rolled_accounts WHERE account_key = key;
    DELETE FROM rolled_arms WHERE account_key = key;
    DELETE FROM enhancements WHERE account_key = key;
    GET DIAGNOSTICS deleted = ROW_COUNT;
    IF patterns IS NOT NULL THEN
        PERFORM recount_advice(scopes, patterns, categories);
    END IF;
    RETURN deleted;
END $$;

-- As in 0002.
CREATE OR REPLACE FUNCTION measure_account(key text) RETURNS void LANGUAGE plpgsql SET plan_cache_mode = auto AS $$
DECLARE
    step       integer := coalesce((SELECT s.step FROM evidence_settings s), 1);
    counts_in  text := (SELECT business_category FROM accounts WHERE account_key = key AND qualified);
    changed    uuid[];
    scopes     bigint[];
    patterns   uuid[];
    categories text[];
BEGIN
    SELECT array_agg(id) INTO changed FROM enhancements
     WHERE account_key = key AND measured AND business_category IS DISTINCT FROM counts_in;
    IF changed IS NOT NULL THEN
        PERFORM append_questions(changed, -1);
        UPDATE enhancements SET measured = false WHERE id = ANY (changed);
    END IF;
    WITH begun AS (
        UPDATE enhancements SET measured = true
         WHERE account_key = key AND NOT measured AND business_category = counts_in RETURNING id
    )
    SELECT array_agg(id) INTO changed FROM begun;
    IF changed IS NOT NULL THEN
        PERFORM append_questions(changed, 1);
    END IF;
    PERFORM measure_rolled(key, counts_in);

    SELECT array_agg(id) INTO changed FROM observations
     WHERE account_key = key AND measured_day IS NOT NULL AND business_category IS DISTINCT FROM counts_in;
    IF changed IS NOT NULL THEN
        PERFORM append_outcomes(changed, -1);
        UPDATE observations SET measured_day = NULL WHERE id = ANY (changed);
    END IF;
    WITH waiting AS (
        SELECT w.id, w.scope_id, w.occurred_time,
               CASE WHEN e.holdout THEN 'held out' WHEN e.id IS NOT NULL AND e.no_match_reason IS NULL THEN 'advised'
                    ELSE 'captured' END AS kind,
               (w.occurred_time AT TIME ZONE 'UTC')::date AS day
          FROM observations w LEFT JOIN enhancements e ON e.scope_id = w.scope_id AND e.id = w.enhancement_id
         WHERE w.account_key = key AND w.measured_day IS NULL AND (w.final OR step = 1)
           AND w.business_category = counts_in
    ), numbered AS (
        SELECT *, count(*) OVER (PARTITION BY kind) AS number_of,
               row_number() OVER (PARTITION BY kind ORDER BY occurred_time, id) AS n
          FROM waiting
    ), steps AS (
        SELECT id, scope_id, max(day) OVER (PARTITION BY kind, (n - 1) / step) AS day FROM numbered
         WHERE ((n - 1) / step + 1) * step <= number_of
    ), begun AS (
        UPDATE observations o SET measured_day = s.day FROM steps s
         WHERE o.scope_id = s.scope_id AND o.id = s.id RETURNING o.id
    )
    SELECT array_agg(id) INTO changed FROM begun;
    IF changed IS NOT NULL THEN
        PERFORM append_outcomes(changed, 1);
    END IF;

    SELECT array_agg(scope_id), array_agg(pattern_id), array_agg(business_category)
      INTO scopes, patterns, categories FROM advised_patterns(key);
    IF patterns IS NOT NULL THEN
        INSERT INTO pattern_advice (scope_id, pattern_id, business_category, first_advised_time)
        SELECT scope_id, pattern_id, business_category, min(first_time)
          FROM (SELECT e.advised_scope_id AS scope_id, e.pattern_id, e.business_category, e.created_at AS first_time
                  FROM enhancements e
                 WHERE e.account_key = key AND e.pattern_id = ANY (patterns)
                   AND e.no_match_reason IS NULL AND e.measured
                UNION ALL
                SELECT r.scope_id, r.pattern_id, r.business_category, r.first_time
                  FROM rolled_advice r WHERE r.account_key = key AND r.measured) given
         GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
        ON CONFLICT DO NOTHING;
        PERFORM recount_advice(scopes, patterns, categories);
    END IF;
END $$;

-- As in 0007; the last sightings are found and held one by one, by their keys.
CREATE OR REPLACE FUNCTION write_sightings(
    new_scope_id bigint[], new_account_key text[], new_pattern_type text[], new_business_category text[],
    new_embedding_model text[], new_embedding vector[], new_rendered text[], new_rendered_hash bytea[],
    new_action text[], new_confidence double precision[], new_potential_value double precision[],
    new_seen_time timestamptz[], renewed_before timestamptz[]
) RETURNS void LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
    places   bigint[];
    scopes   bigint[];
    ids      bigint[];
    times    timestamptz[];
    accounts text[];
    lines    text[];
    each     record;
BEGIN
    SELECT array_agg(found.place), array_agg(found.scope_id), array_agg(found.id), array_agg(found.seen_time)
      INTO places, scopes, ids, times
      FROM (SELECT g.place, s.scope_id, s.id, s.seen_time
              FROM unnest(new_scope_id, new_account_key, new_rendered_hash, new_embedding_model) WITH ORDINALITY
                   AS g (scope_id, account_key, rendered_hash, embedding_model, place)
              JOIN sightings s ON s.scope_id = g.scope_id AND s.account_key = g.account_key
                              AND s.rendered_hash = g.rendered_hash AND s.embedding_model = g.embedding_model) found;
    -- In the order of ids, as the detector takes them.
    FOR each IN
        SELECT last.scope_id, last.id FROM unnest(places, scopes, ids, times) AS last (place, scope_id, id, seen_time)
         WHERE last.seen_time < renewed_before[last.place] ORDER BY last.id
    LOOP
        PERFORM 1 FROM sightings s WHERE s.scope_id = each.scope_id AND s.id = each.id FOR UPDATE;
    END LOOP;
    SELECT array_agg(a.account_key), array_agg(CASE WHEN a.qualified THEN a.business_category ELSE '' END)
      INTO accounts, lines FROM accounts a WHERE a.account_key = ANY (new_account_key);
    INSERT INTO sightings AS s (
        scope_id, account_key, pattern_type, business_category, embedding_model, embedding, rendered,
        rendered_hash, action, confidence, potential_value, seen_time, pending)
    SELECT l.scope_id, l.account_key, l.pattern_type, l.business_category, l.embedding_model, l.embedding,
           l.rendered, l.rendered_hash, l.action, l.confidence, l.potential_value, l.seen_time,
           coalesce(lines[array_position(accounts, l.account_key)] = l.business_category, true)
      FROM unnest(
            new_scope_id, new_account_key, new_pattern_type, new_business_category, new_embedding_model,
            new_embedding, new_rendered, new_rendered_hash, new_action, new_confidence, new_potential_value,
            new_seen_time, renewed_before) WITH ORDINALITY
        AS l (scope_id, account_key, pattern_type, business_category, embedding_model, embedding, rendered,
              rendered_hash, action, confidence, potential_value, seen_time, before, place)
     WHERE coalesce(times[array_position(places, l.place)] < l.before, true)
     ORDER BY l.account_key, l.rendered_hash
    ON CONFLICT (scope_id, account_key, rendered_hash, embedding_model) DO UPDATE
       SET confidence = excluded.confidence, potential_value = excluded.potential_value,
           seen_time = greatest(s.seen_time, excluded.seen_time),
           pending = excluded.pending;
END $$;

-- As in 0007; the patterns are held one by one.
CREATE OR REPLACE FUNCTION record_questions(
    new_id uuid[], new_scope_id bigint[], new_account_key text[],
    new_pattern_type text[], new_business_category text[], new_embedding_model text[], new_context jsonb[],
    new_action text[], new_asked_script text[], new_dollar_value double precision[],
    new_potential_value double precision[], new_base_confidence double precision[],
    new_pattern_id uuid[], new_advised_scope_id bigint[], new_no_match_reason text[], new_authored text[],
    new_advised_category text[], new_similarity double precision[], new_confidence double precision[],
    new_expected_success_rate double precision[], new_basis text[], new_expected_deviation double precision[],
    new_transfer double precision[], new_script text[], new_holdout boolean[],
    new_holdout_share double precision[], new_script_propensity double precision[],
    new_pattern_propensity double precision[], new_contenders jsonb[], new_exploration_loss double precision[],
    new_created_at timestamptz[],
    seen_place integer[], seen_scope_id bigint[], seen_account_key text[], seen_pattern_type text[],
    seen_business_category text[], seen_embedding_model text[], seen_embedding vector[], seen_rendered text[],
    seen_rendered_hash bytea[], seen_action text[], seen_confidence double precision[],
    seen_potential_value double precision[], seen_seen_time timestamptz[], seen_before timestamptz[]
) RETURNS text[] LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
    replaced   text[];
    accounts   text[];
    categories text[];
    patterns   uuid[];
    scopes     bigint[];
    objections text[];
    each       record;
BEGIN
    SELECT array_agg(model) INTO replaced
      FROM (SELECT DISTINCT model FROM unnest(new_embedding_model) AS asked (model)) asked
     WHERE NOT may_search(model);

    -- What questions refer to is held until the transaction ends.
    WITH held AS MATERIALIZED (
        SELECT a.account_key, CASE WHEN a.qualified THEN a.business_category END AS counts_in
          FROM accounts a WHERE a.account_key = ANY (new_account_key)
         ORDER BY a.account_key FOR KEY SHARE
    )
    SELECT array_agg(account_key), array_agg(counts_in) INTO accounts, categories FROM held;
    FOR each IN SELECT DISTINCT g.scope_id, g.id FROM unnest(new_advised_scope_id, new_pattern_id) AS g (scope_id, id)
                 WHERE g.id IS NOT NULL ORDER BY g.id LOOP
        PERFORM 1 FROM network_patterns p WHERE p.scope_id = each.scope_id AND p.id = each.id FOR KEY SHARE;
        IF FOUND THEN
            scopes := scopes || each.scope_id;
            patterns := patterns || each.id;
        END IF;
    END LOOP;

    SELECT array_agg(
               CASE WHEN a.account_key IS NULL THEN 'forgotten'
                    WHEN g.model = ANY (replaced) OR (g.pattern_id IS NOT NULL AND p.id IS NULL) THEN 'moved'
               END ORDER BY g.place)
      INTO objections
      FROM unnest(new_account_key, new_embedding_model, new_advised_scope_id, new_pattern_id) WITH ORDINALITY
           AS g (account_key, model, scope_id, pattern_id, place)
      LEFT JOIN unnest(accounts) AS a (account_key) ON a.account_key = g.account_key
      LEFT JOIN unnest(scopes, patterns) AS p (scope_id, id) ON p.scope_id = g.scope_id AND p.id = g.pattern_id;

    INSERT INTO enhancements (
        id, scope_id, account_key, pattern_type, business_category, embedding_model, context, action,
        asked_script, dollar_value, potential_value, base_confidence, pattern_id, advised_scope_id,
        no_match_reason, authored, advised_category, similarity, confidence, expected_success_rate, basis,
        expected_deviation, transfer, script, holdout, holdout_share, script_propensity, pattern_propensity,
        contenders, exploration_loss, created_at, measured)
    SELECT g.id, g.scope_id, g.account_key, g.pattern_type, g.business_category, g.embedding_model, g.context,
           g.action, g.asked_script, g.dollar_value, g.potential_value, g.base_confidence, g.pattern_id,
           g.advised_scope_id, g.no_match_reason, g.authored, g.advised_category, g.similarity, g.confidence,
           g.expected_success_rate, g.basis, g.expected_deviation, g.transfer, g.script, g.holdout,
           g.holdout_share, g.script_propensity, g.pattern_propensity, g.contenders, g.exploration_loss,
           g.created_at, coalesce(a.counts_in = g.business_category, false)
      FROM unnest(
               new_id, new_scope_id, new_account_key, new_pattern_type, new_business_category,
               new_embedding_model, new_context, new_action, new_asked_script, new_dollar_value,
               new_potential_value, new_base_confidence, new_pattern_id, new_advised_scope_id,
               new_no_match_reason, new_authored, new_advised_category, new_similarity, new_confidence,
               new_expected_success_rate, new_basis, new_expected_deviation, new_transfer, new_script,
               new_holdout, new_holdout_share, new_script_propensity, new_pattern_propensity, new_contenders,
               new_exploration_loss, new_created_at, objections)
           AS g (id, scope_id, account_key, pattern_type, business_category, embedding_model, context, action,
                 asked_script, dollar_value, potential_value, base_confidence, pattern_id, advised_scope_id,
                 no_match_reason, authored, advised_category, similarity, confidence, expected_success_rate,
                 basis, expected_deviation, transfer, script, holdout, holdout_share, script_propensity,
                 pattern_propensity, contenders, exploration_loss, created_at, objection)
      JOIN unnest(accounts, categories) AS a (account_key, counts_in) ON a.account_key = g.account_key
     WHERE g.objection IS NULL;
    PERFORM measure_questions(array_agg(g.id))
       FROM unnest(new_id, objections) AS g (id, objection) WHERE g.objection IS NULL;

    IF 'forgotten' = ANY (objections) OR 'moved' = ANY (objections) THEN
        SELECT array_agg(g.scope_id), array_agg(g.account_key), array_agg(g.pattern_type),
               array_agg(g.business_category), array_agg(g.embedding_model), array_agg(g.embedding),
               array_agg(g.rendered), array_agg(g.rendered_hash), array_agg(g.action), array_agg(g.confidence),
               array_agg(g.potential_value), array_agg(g.seen_time), array_agg(g.before)
          INTO seen_scope_id, seen_account_key, seen_pattern_type, seen_business_category,
               seen_embedding_model, seen_embedding, seen_rendered, seen_rendered_hash, seen_action,
               seen_confidence, seen_potential_value, seen_seen_time, seen_before
          FROM unnest(seen_place, seen_scope_id, seen_account_key, seen_pattern_type, seen_business_category,
                      seen_embedding_model, seen_embedding, seen_rendered, seen_rendered_hash, seen_action,
                      seen_confidence, seen_potential_value, seen_seen_time, seen_before)
               AS g (place, scope_id, account_key, pattern_type, business_category, embedding_model, embedding,
                     rendered, rendered_hash, action, confidence, potential_value, seen_time, before)
         WHERE objections[g.place] IS NULL;
    END IF;
    PERFORM write_sightings(
        seen_scope_id, seen_account_key, seen_pattern_type, seen_business_category, seen_embedding_model,
        seen_embedding, seen_rendered, seen_rendered_hash, seen_action, seen_confidence, seen_potential_value,
        seen_seen_time, seen_before);
    RETURN objections;
END $$;

-- Counts what waits of these accounts in the holdout experiment, a step at a time (keeper_grpc/storage/metrics/experiment.py);
-- `exact`: interim outcomes too. What another transaction counts at this moment is left to it. An outcome may be of another
-- scope than its question.
CREATE FUNCTION count_in_experiment(keys text[], step bigint, exact boolean) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    own     bigint;
    free    uuid[];
    waiting uuid[];
    asked   uuid[];
    begun   uuid[];
BEGIN
    FOR own IN
        SELECT DISTINCT o.scope_id FROM observations o WHERE o.account_key = ANY (keys) AND NOT o.compared ORDER BY 1
    LOOP
        SELECT array_agg(f.id) INTO free FROM (
            SELECT o.id FROM observations o
             WHERE o.scope_id = own AND o.account_key = ANY (keys) AND NOT o.compared
               FOR NO KEY UPDATE SKIP LOCKED) f;
        waiting := waiting || free;
    END LOOP;
    IF waiting IS NULL THEN
        RETURN;
    END IF;
    SELECT array_agg(coalesce(o.enhancement_id, o.instead_of)) INTO asked FROM observations o WHERE o.id = ANY (waiting);
    SELECT coalesce(array_agg(e.id), '{}') INTO asked FROM enhancements e
     WHERE e.id = ANY (asked) AND e.holdout_share > 0
       AND had_advice(e.holdout, e.no_match_reason, e.authored);
    SELECT array_agg(p.id) INTO begun FROM (
        SELECT o.id, count(*) OVER (PARTITION BY o.account_key) / step * step AS due,
               row_number() OVER (PARTITION BY o.account_key ORDER BY o.recorded_time, o.id) AS place
          FROM observations o
         WHERE o.id = ANY (waiting) AND coalesce(o.enhancement_id, o.instead_of) = ANY (asked) AND (o.final OR exact)) p
     WHERE p.place <= p.due;
    UPDATE observations o SET compared = NULL
     WHERE o.id = ANY (waiting) AND NOT coalesce(coalesce(o.enhancement_id, o.instead_of) = ANY (asked), false);
    IF begun IS NULL THEN
        RETURN;
    END IF;
    UPDATE observations o SET compared = true WHERE o.id = ANY (begun);
    INSERT INTO experiment_outcomes AS x (
        scope_id, account_key, business_category, pattern_type, holdout_share, advised,
        advised_successes, held_out, held_out_successes, followed, followed_successes)
    WITH o AS MATERIALIZED (
        SELECT o.account_key, o.success, o.enhancement_id IS NOT NULL AS followed,
               coalesce(o.enhancement_id, o.instead_of) AS question
          FROM observations o WHERE o.id = ANY (begun)
    ), e AS MATERIALIZED (
        SELECT e.id, e.scope_id, e.business_category, e.pattern_type, e.holdout_share,
               held_out(e.holdout, e.authored) AS held_out
          FROM enhancements e WHERE e.id = ANY (asked)
    )
    SELECT e.scope_id, o.account_key, e.business_category, e.pattern_type, e.holdout_share,
           count(*) FILTER (WHERE NOT e.held_out),
           count(*) FILTER (WHERE NOT e.held_out AND o.success), count(*) FILTER (WHERE e.held_out),
           count(*) FILTER (WHERE e.held_out AND o.success),
           count(*) FILTER (WHERE NOT e.held_out AND o.followed),
           count(*) FILTER (WHERE NOT e.held_out AND o.followed AND o.success)
      FROM o JOIN e ON e.id = o.question GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 5
    ON CONFLICT (scope_id, account_key, holdout_share) DO UPDATE
       SET advised = x.advised + excluded.advised,
           advised_successes = x.advised_successes + excluded.advised_successes,
           held_out = x.held_out + excluded.held_out,
           held_out_successes = x.held_out_successes + excluded.held_out_successes,
           followed = x.followed + excluded.followed,
           followed_successes = x.followed_successes + excluded.followed_successes;
END $$;

-- As in 0001, with the questions by themselves.
CREATE OR REPLACE VIEW ledger_experiment AS
WITH asked AS MATERIALIZED (
    SELECT id, scope_id, business_category, pattern_type, holdout_share,
           held_out(holdout, authored) AS held_out
      FROM enhancements
     WHERE holdout_share > 0 AND had_advice(holdout, no_match_reason, authored)
)
SELECT e.scope_id, o.account_key, e.business_category, e.pattern_type, e.holdout_share,
       coalesce(o.compared, false) AS compared,
       count(*) FILTER (WHERE NOT e.held_out) AS advised,
       count(*) FILTER (WHERE NOT e.held_out AND o.success) AS advised_successes,
       count(*) FILTER (WHERE e.held_out) AS held_out,
       count(*) FILTER (WHERE e.held_out AND o.success) AS held_out_successes,
       count(*) FILTER (WHERE NOT e.held_out AND o.enhancement_id IS NOT NULL) AS followed,
       count(*) FILTER (WHERE NOT e.held_out AND o.enhancement_id IS NOT NULL AND o.success) AS followed_successes
  FROM observations o JOIN asked e ON e.id = coalesce(o.enhancement_id, o.instead_of)
 GROUP BY 1, 2, 3, 4, 5, 6;

-- For each vector the exact nearest patterns of its scope, nearest first (keeper_grpc/storage/patterns/nearest.py).
CREATE FUNCTION nearest_patterns(scopes bigint[], models text[], sentences vector[], actions vector[], most integer[])
RETURNS TABLE (n integer, id uuid, action_template text, similarity double precision, action_similarity double precision)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    asked record;
BEGIN
    FOR asked IN
        SELECT a.n::integer AS n, a.scope_id, a.model, a.sentence, a.action, a.most
          FROM unnest(scopes, models, sentences, actions, most) WITH ORDINALITY
               AS a (scope_id, model, sentence, action, most, n) ORDER BY a.n
    LOOP
        RETURN QUERY
            WITH scoped AS MATERIALIZED (
                SELECT p.id, p.pattern_embedding <=> asked.sentence AS distance FROM network_patterns p
                 WHERE p.scope_id = asked.scope_id AND p.embedding_model = asked.model
            )
            SELECT asked.n, p.id, p.action_template, 1 - s.distance AS similarity,
                   1 - (a.action_embedding <=> asked.action)
              FROM (SELECT c.id, c.distance FROM scoped c ORDER BY c.distance LIMIT asked.most) s
              JOIN network_patterns p ON p.scope_id = asked.scope_id AND p.id = s.id
              JOIN pattern_actions a ON a.scope_id = asked.scope_id AND a.pattern_id = p.id
             ORDER BY s.distance;
    END LOOP;
END $$;

-- As in 0002, scope by scope.
CREATE OR REPLACE FUNCTION roll_up_questions(before timestamptz, most integer) RETURNS bigint
LANGUAGE plpgsql SET plan_cache_mode = auto AS $$
DECLARE
    free   text[];
    own    bigint;
    held   uuid[];
    old    uuid[];
    stays  uuid[];
    passed bigint;
    rolled bigint;
BEGIN
    SELECT array_agg(o.account_key) INTO free FROM (
        SELECT account_key FROM enhancements WHERE NOT kept AND created_at < before ORDER BY created_at LIMIT most) o;
    SELECT array_agg(h.account_key) INTO free FROM (
        SELECT a.account_key FROM accounts a WHERE a.account_key = ANY (free) AND NOT a.forgetting
         ORDER BY a.account_key FOR SHARE SKIP LOCKED) h;
    IF free IS NULL THEN
        RETURN 0;
    END IF;
    FOR own IN
        SELECT DISTINCT o.scope_id FROM (
            SELECT e.scope_id FROM enhancements e WHERE NOT e.kept AND e.created_at < before AND e.account_key = ANY (free)
             ORDER BY e.created_at LIMIT most) o ORDER BY 1
    LOOP
        SELECT array_agg(h.id) INTO held FROM (
            SELECT e.id FROM enhancements e
             WHERE e.scope_id = own AND NOT e.kept AND e.created_at < before AND e.account_key = ANY (free)
             ORDER BY e.created_at LIMIT most - coalesce(cardinality(old), 0) FOR UPDATE SKIP LOCKED) h;
        old := old || held;
    END LOOP;
    SELECT coalesce(array_agg(e.id), '{}') INTO stays FROM enhancements e
     WHERE e.id = ANY (old)
       AND (e.reaction IS NOT NULL OR e.adopted IS NOT NULL
            OR EXISTS (SELECT 1 FROM enhancement_outcomes x WHERE x.scope_id = e.scope_id AND x.enhancement_id = e.id)
            OR EXISTS (SELECT 1 FROM reactions r WHERE r.scope_id = e.scope_id AND r.enhancement_id = e.id));
    UPDATE enhancements e SET kept = true WHERE e.id = ANY (stays);
    GET DIAGNOSTICS passed = ROW_COUNT;
    old := ARRAY(SELECT unnest(old) EXCEPT SELECT unnest(stays));

    INSERT INTO rolled_questions AS r
    SELECT g.account_key, (g.created_at AT TIME ZONE 'UTC')::date, g.business_category, g.measured,
           sum(m.questions), sum(m.enhanced), sum(m.from_elsewhere), sum(m.confidence_added),
           sum(m.exploration_loss)
      FROM enhancements g
     CROSS JOIN LATERAL question_measures(
           g.no_match_reason, g.holdout, g.business_category, g.advised_category,
           g.base_confidence, g.confidence, g.exploration_loss) m
     WHERE g.id = ANY (old) GROUP BY 1, 2, 3, 4
    ON CONFLICT (account_key, day, business_category, measured) DO UPDATE
       SET questions = r.questions + excluded.questions, enhanced = r.enhanced + excluded.enhanced,
           from_elsewhere = r.from_elsewhere + excluded.from_elsewhere,
           confidence_added = r.confidence_added + excluded.confidence_added,
           exploration_loss = r.exploration_loss + excluded.exploration_loss;
    INSERT INTO rolled_advice AS r (account_key, scope_id, pattern_id, business_category, measured, first_time)
    SELECT g.account_key, g.advised_scope_id, g.pattern_id, g.business_category, g.measured, min(g.created_at)
      FROM enhancements g WHERE g.id = ANY (old) AND g.no_match_reason IS NULL AND g.pattern_id IS NOT NULL
     GROUP BY 1, 2, 3, 4, 5
    ON CONFLICT (account_key, scope_id, pattern_id, business_category, measured) DO UPDATE
       SET first_time = least(r.first_time, excluded.first_time);
    INSERT INTO rolled_accounts AS r
    SELECT g.account_key, min(g.created_at), min(g.created_at) FILTER (WHERE g.no_match_reason IS NULL),
           max(day), max(day) FILTER (WHERE NOT g.holdout), max(day) FILTER (WHERE g.no_match_reason IS NULL),
           count(*) FILTER (WHERE explored), count(g.contenders) FILTER (WHERE explored),
           count(*) FILTER (WHERE explored AND g.script_propensity < 1),
           coalesce(sum(g.exploration_loss) FILTER (WHERE explored), 0),
           coalesce(max(g.exploration_loss) FILTER (WHERE explored), 0)
      FROM enhancements g
     CROSS JOIN LATERAL (SELECT (g.created_at AT TIME ZONE 'UTC')::date AS day,
                                g.no_match_reason IS NULL AND g.pattern_propensity IS NOT NULL AS explored) d
     WHERE g.id = ANY (old) GROUP BY 1
    ON CONFLICT (account_key) DO UPDATE
       SET first_asked_time = least(r.first_asked_time, excluded.first_asked_time),
           first_advised_time = least(r.first_advised_time, excluded.first_advised_time),
           last_day = greatest(r.last_day, excluded.last_day),
           last_asked_day = greatest(r.last_asked_day, excluded.last_asked_day),
           last_enhanced_day = greatest(r.last_enhanced_day, excluded.last_enhanced_day),
           explored = r.explored + excluded.explored,
           pattern_choices = r.pattern_choices + excluded.pattern_choices,
           script_choices = r.script_choices + excluded.script_choices,
           lost = r.lost + excluded.lost, most_lost = greatest(r.most_lost, excluded.most_lost);
    INSERT INTO rolled_arms AS r
    SELECT g.account_key, g.business_category, g.pattern_type,
           count(*) FILTER (WHERE NOT held_out(g.holdout, g.authored)),
           count(*) FILTER (WHERE held_out(g.holdout, g.authored))
      FROM enhancements g
     WHERE g.id = ANY (old) AND g.holdout_share > 0
       AND had_advice(g.holdout, g.no_match_reason, g.authored)
     GROUP BY 1, 2, 3
    ON CONFLICT (account_key, business_category, pattern_type) DO UPDATE
       SET advised = r.advised + excluded.advised, held_out = r.held_out + excluded.held_out;
    DELETE FROM enhancements e WHERE e.id = ANY (old);
    GET DIAGNOSTICS rolled = ROW_COUNT;
    RETURN passed + rolled;
END $$;
