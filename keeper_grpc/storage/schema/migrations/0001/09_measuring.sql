-- The functions by which writers keep the measures of 07_measures.sql, in the transaction that changes the ledger: each
-- path into and out of it calls one (keeper_grpc/storage/metrics/measuring.py). For many rows at once, and in the order
-- of keys wherever rows are locked, so that no two transactions wait for each other. The pool's sessions plan every
-- statement anew (keeper_grpc/storage/database.py), which here would cost more than running it: hence
-- plan_cache_mode.

-- Which kind an observation is of: outcomes of one kind make a step.
CREATE FUNCTION measured_kind(scope bigint, enhancement uuid) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT CASE WHEN e.holdout THEN 'held out' WHEN e.no_match_reason IS NULL THEN 'advised' END
                       FROM enhancements e WHERE e.scope_id = scope AND e.id = enhancement), 'captured')
$$;

-- Outcomes that begin to count in the metrics (sign 1), or cease to (sign -1).
CREATE FUNCTION append_outcomes(ids uuid[], sign integer) RETURNS void LANGUAGE plpgsql SET plan_cache_mode = auto AS $$
BEGIN
    INSERT INTO measure_changes (
        day, business_category, observations, advised_outcomes, advised_successes,
        advised_measured, advised_revenue, advised_retention_known, advised_retained,
        held_out_outcomes, held_out_successes, held_out_retention_known, held_out_retained)
    SELECT o.measured_day, o.business_category,
           sign * sum(m.observations), sign * sum(m.advised_outcomes),
           sign * sum(m.advised_successes), sign * sum(m.advised_measured),
           sign * sum(m.advised_revenue), sign * sum(m.advised_retention_known),
           sign * sum(m.advised_retained), sign * sum(m.held_out_outcomes),
           sign * sum(m.held_out_successes), sign * sum(m.held_out_retention_known),
           sign * sum(m.held_out_retained)
      FROM observations o
      LEFT JOIN enhancements e ON e.scope_id = o.scope_id AND e.id = o.enhancement_id
     CROSS JOIN LATERAL observation_measures(
           o.success, o.net_revenue, o.customer_retained,
           e.id IS NOT NULL AND e.no_match_reason IS NULL, coalesce(e.holdout, false)) m
     WHERE o.id = ANY (ids) AND o.measured_day IS NOT NULL GROUP BY 1, 2;
END $$;

-- Questions that begin to count in the metrics (sign 1), or cease to (sign -1).
CREATE FUNCTION append_questions(ids uuid[], sign integer) RETURNS void LANGUAGE plpgsql SET plan_cache_mode = auto AS $$
BEGIN
    INSERT INTO measure_changes (day, business_category, questions, enhanced, from_elsewhere,
                                 confidence_added, exploration_loss)
    SELECT (e.created_at AT TIME ZONE 'UTC')::date, e.business_category, sign * sum(m.questions),
           sign * sum(m.enhanced), sign * sum(m.from_elsewhere), sign * sum(m.confidence_added),
           sign * sum(m.exploration_loss)
      FROM enhancements e
     CROSS JOIN LATERAL question_measures(
           e.no_match_reason, e.holdout, e.business_category, e.advised_category,
           e.base_confidence, e.confidence, e.exploration_loss) m
     WHERE e.id = ANY (ids) AND e.measured GROUP BY 1, 2;
END $$;

-- What came of advice, as it comes.
CREATE FUNCTION note_advised_outcomes(ids uuid[]) RETURNS void LANGUAGE plpgsql SET plan_cache_mode = auto AS $$
BEGIN
    WITH came AS (
        SELECT e.advised_scope_id AS scope_id, e.pattern_id, e.business_category,
               max(o.occurred_time) AS last_outcome_time,
               sum(coalesce(two_digits(o.net_revenue), 0)) AS revenue,
               count(*) FILTER (WHERE judged)::integer AS outcomes,
               count(*) FILTER (WHERE judged AND o.success)::integer AS successes,
               coalesce(sum(millionths(e.expected_success_rate)) FILTER (WHERE judged), 0)::bigint
                   AS expected,
               coalesce(sum(millionths(e.expected_success_rate * (1 - e.expected_success_rate)))
                        FILTER (WHERE judged), 0)::bigint AS variance,
               coalesce(sum(millionths(e.expected_deviation)) FILTER (WHERE judged), 0)::bigint
                   AS deviation
          FROM observations o
          JOIN enhancements e ON e.scope_id = o.scope_id AND e.id = o.enhancement_id
         CROSS JOIN LATERAL (SELECT e.expected_deviation IS NOT NULL AS judged) j
         WHERE o.id = ANY (ids) AND e.pattern_id IS NOT NULL AND e.no_match_reason IS NULL AND e.measured
         GROUP BY 1, 2, 3
    ), held AS MATERIALIZED (
        SELECT FROM pattern_advice a JOIN came USING (scope_id, pattern_id, business_category)
         ORDER BY a.scope_id, a.pattern_id, a.business_category FOR NO KEY UPDATE OF a
    )
    UPDATE pattern_advice a
       SET last_outcome_time = greatest(a.last_outcome_time, c.last_outcome_time),
           revenue = a.revenue + c.revenue, outcomes = a.outcomes + c.outcomes,
           successes = a.successes + c.successes, expected = a.expected + c.expected,
           variance = a.variance + c.variance, deviation = a.deviation + c.deviation
      FROM came c
     WHERE (SELECT count(*) FROM held) > 0 AND a.scope_id = c.scope_id
       AND a.pattern_id = c.pattern_id AND a.business_category = c.business_category;
END $$;

-- What accounts have come to by their outcomes. This one and note_questions first look whether they would change
-- anything: an upsert would lock the row either way, and make calls of one account wait for each other.
CREATE FUNCTION note_outcomes(ids uuid[]) RETURNS void LANGUAGE plpgsql SET plan_cache_mode = auto AS $$
BEGIN
    INSERT INTO account_milestones AS m (
        account_key, first_success_time, last_active_day, last_observed_day, last_advised_day,
        last_revenue_day, last_advised_retention_day, last_held_out_day,
        last_held_out_retention_day)
    SELECT n.*
      FROM (SELECT o.account_key,
                   min(o.occurred_time) FILTER (WHERE o.success AND o.occurred_time >= a.joined_time)
                       AS success_time,
                   max(day) AS active_day, max(day) AS observed_day,
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
             WHERE o.id = ANY (ids) GROUP BY 1) n
     WHERE NOT EXISTS (
           SELECT FROM account_milestones k
            WHERE k.account_key = n.account_key
              -- Whoever observed on a day was active on it.
              AND k.last_observed_day >= n.observed_day
              AND coalesce(k.first_success_time <= n.success_time, n.success_time IS NULL)
              AND coalesce(k.last_advised_day >= n.advised_day, n.advised_day IS NULL)
              AND coalesce(k.last_revenue_day >= n.revenue_day, n.revenue_day IS NULL)
              AND coalesce(k.last_advised_retention_day >= n.advised_retention_day,
                           n.advised_retention_day IS NULL)
              AND coalesce(k.last_held_out_day >= n.held_out_day, n.held_out_day IS NULL)
              AND coalesce(k.last_held_out_retention_day >= n.held_out_retention_day,
                           n.held_out_retention_day IS NULL))
     ORDER BY n.account_key
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
END $$;

-- Advice that was given, and what accounts have come to by their questions. The advice that is there already is kept
-- from ForgetAccount until this commits, or it would not see this one when it counts anew.
CREATE FUNCTION note_questions(ids uuid[]) RETURNS void LANGUAGE plpgsql SET plan_cache_mode = auto AS $$
BEGIN
    WITH given AS (
        SELECT e.advised_scope_id AS scope_id, e.pattern_id, e.business_category,
               min(e.created_at) AS first_time
          FROM enhancements e
         WHERE e.id = ANY (ids) AND e.no_match_reason IS NULL AND e.measured AND e.pattern_id IS NOT NULL
         GROUP BY 1, 2, 3
    ), held AS MATERIALIZED (
        SELECT a.scope_id, a.pattern_id, a.business_category, a.first_advised_time
          FROM pattern_advice a JOIN given USING (scope_id, pattern_id, business_category)
         ORDER BY a.scope_id, a.pattern_id, a.business_category FOR KEY SHARE OF a
    )
    INSERT INTO pattern_advice AS a (scope_id, pattern_id, business_category, first_advised_time)
    SELECT g.* FROM given g
     WHERE NOT EXISTS (SELECT FROM held h
                        WHERE h.scope_id = g.scope_id AND h.pattern_id = g.pattern_id
                          AND h.business_category = g.business_category
                          AND h.first_advised_time <= g.first_time)
     ORDER BY g.scope_id, g.pattern_id, g.business_category
    ON CONFLICT (scope_id, pattern_id, business_category) DO UPDATE
       SET first_advised_time = least(a.first_advised_time, excluded.first_advised_time);

    INSERT INTO account_milestones AS m (
        account_key, first_asked_time, first_asked_enhanced, first_advised_time,
        last_active_day, last_asked_day, last_enhanced_day)
    SELECT n.account_key, n.asked_time, coalesce(n.asked_time = n.advised_time, false),
           n.advised_time, n.active_day, n.asked_day, n.enhanced_day
      FROM (SELECT e.account_key, min(e.created_at) AS asked_time,
                   min(e.created_at) FILTER (WHERE e.no_match_reason IS NULL) AS advised_time,
                   max(day) AS active_day, max(day) FILTER (WHERE NOT e.holdout) AS asked_day,
                   max(day) FILTER (WHERE e.no_match_reason IS NULL) AS enhanced_day
              FROM enhancements e
             CROSS JOIN LATERAL (SELECT (e.created_at AT TIME ZONE 'UTC')::date AS day) d
             WHERE e.id = ANY (ids) GROUP BY 1) n
     WHERE NOT EXISTS (
           SELECT FROM account_milestones k
            WHERE k.account_key = n.account_key AND k.last_active_day >= n.active_day
              AND k.first_asked_time <= n.asked_time
              AND coalesce(k.last_asked_day >= n.asked_day, n.asked_day IS NULL)
              AND coalesce(k.first_advised_time <= n.advised_time, n.advised_time IS NULL)
              AND coalesce(k.last_enhanced_day >= n.enhanced_day, n.enhanced_day IS NULL))
     ORDER BY n.account_key
    ON CONFLICT (account_key) DO UPDATE
       SET first_asked_time = least(m.first_asked_time, excluded.first_asked_time),
           first_asked_enhanced =
               coalesce(least(m.first_advised_time, excluded.first_advised_time)
                        = least(m.first_asked_time, excluded.first_asked_time), false),
           first_advised_time = least(m.first_advised_time, excluded.first_advised_time),
           last_active_day = greatest(m.last_active_day, excluded.last_active_day),
           last_asked_day = greatest(m.last_asked_day, excluded.last_asked_day),
           last_enhanced_day = greatest(m.last_enhanced_day, excluded.last_enhanced_day);
END $$;

-- Lets outcomes count in the metrics that were just recorded, in this order, with those of their accounts that wait: a
-- step of one kind together, on the day of its last. An interim outcome waits for the one that takes its place: the
-- change from one to the other would tell both. Others of the account that somebody counts at this moment are held by
-- him, and nobody waits: they are left to a later step.
CREATE FUNCTION begin_outcomes(ids uuid[]) RETURNS void LANGUAGE plpgsql SET plan_cache_mode = auto AS $$
DECLARE
    step    integer := coalesce((SELECT s.step FROM evidence_settings s), 1);
    waiting uuid[];
    begun   uuid[];
BEGIN
    IF step > 1 THEN
        SELECT array_agg(id) INTO waiting FROM (
            SELECT o.id FROM observations o
             WHERE o.measured_day IS NULL AND o.final AND o.id <> ALL (ids)
               AND (o.account_key, o.business_category) IN (
                   SELECT account_key, business_category
                     FROM observations n JOIN accounts a USING (account_key, business_category)
                    WHERE n.id = ANY (ids) AND a.qualified AND n.final)
               FOR NO KEY UPDATE OF o SKIP LOCKED) free;
    END IF;
    WITH able AS (
        SELECT o.id, o.scope_id, o.account_key, o.business_category, array_position(ids, o.id) AS place,
               o.recorded_time, measured_kind(o.scope_id, o.enhancement_id) AS kind,
               (o.occurred_time AT TIME ZONE 'UTC')::date AS day
          FROM observations o JOIN accounts a USING (account_key, business_category)
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

-- Measures observations that were just recorded, in this order. Their accounts are held by the caller.
CREATE FUNCTION measure_outcomes(ids uuid[]) RETURNS void LANGUAGE plpgsql SET plan_cache_mode = auto AS $$
BEGIN
    PERFORM begin_outcomes(ids);
    IF EXISTS (SELECT FROM observations
                WHERE id = ANY (ids) AND enhancement_id IS NOT NULL) THEN
        PERFORM note_advised_outcomes(ids);
    END IF;
    PERFORM note_outcomes(ids);
END $$;

-- Measures questions that were just recorded. Their accounts are held by the caller.
CREATE FUNCTION measure_questions(ids uuid[]) RETURNS void LANGUAGE plpgsql SET plan_cache_mode = auto AS $$
BEGIN
    PERFORM append_questions(ids, 1);
    PERFORM note_questions(ids);
END $$;

-- Deletes observations with what they are in the measures, but for the experiment and their accounts' milestones. The
-- advice that they are outcomes of is counted anew.
CREATE FUNCTION delete_outcomes(ids uuid[]) RETURNS bigint LANGUAGE plpgsql SET plan_cache_mode = auto AS $$
DECLARE
    scopes     bigint[];
    patterns   uuid[];
    categories text[];
    deleted    bigint;
BEGIN
    SELECT array_agg(advised_scope_id), array_agg(pattern_id), array_agg(business_category)
      INTO scopes, patterns, categories
      FROM (SELECT DISTINCT e.advised_scope_id, e.pattern_id, e.business_category
              FROM observations o
              JOIN enhancements e ON e.scope_id = o.scope_id AND e.id = o.enhancement_id
             WHERE o.id = ANY (ids) AND e.pattern_id IS NOT NULL AND e.no_match_reason IS NULL) pairs;
    PERFORM append_outcomes(ids, -1);
    DELETE FROM observations WHERE id = ANY (ids);
    GET DIAGNOSTICS deleted = ROW_COUNT;
    IF patterns IS NOT NULL THEN
        PERFORM recount_advice(scopes, patterns, categories);
    END IF;
    RETURN deleted;
END $$;

-- Deletes all questions of one account with what they are in the measures, but for its milestones, which go with its
-- own row.
CREATE FUNCTION delete_questions(key text) RETURNS bigint LANGUAGE plpgsql SET plan_cache_mode = auto AS $$
DECLARE
    scopes     bigint[];
    patterns   uuid[];
    categories text[];
    deleted    bigint;
BEGIN
    SELECT array_agg(advised_scope_id), array_agg(pattern_id), array_agg(business_category)
      INTO scopes, patterns, categories
      FROM (SELECT DISTINCT advised_scope_id, pattern_id, business_category FROM enhancements
             WHERE account_key = key AND pattern_id IS NOT NULL AND no_match_reason IS NULL) pairs;
    PERFORM append_questions(array_agg(id), -1) FROM enhancements WHERE account_key = key;
    DELETE FROM enhancements WHERE account_key = key;
    GET DIAGNOSTICS deleted = ROW_COUNT;
    IF patterns IS NOT NULL THEN
        PERFORM recount_advice(scopes, patterns, categories);
    END IF;
    RETURN deleted;
END $$;

-- Lets what an account does count, or not, by its row, which the caller owns and has changed.
CREATE FUNCTION measure_account(key text) RETURNS void LANGUAGE plpgsql SET plan_cache_mode = auto AS $$
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

    SELECT array_agg(id) INTO changed FROM observations
     WHERE account_key = key AND measured_day IS NOT NULL AND business_category IS DISTINCT FROM counts_in;
    IF changed IS NOT NULL THEN
        PERFORM append_outcomes(changed, -1);
        UPDATE observations SET measured_day = NULL WHERE id = ANY (changed);
    END IF;
    WITH waiting AS (
        SELECT w.id, w.scope_id, w.occurred_time, measured_kind(w.scope_id, w.enhancement_id) AS kind,
               (w.occurred_time AT TIME ZONE 'UTC')::date AS day
          FROM observations w
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

    SELECT array_agg(advised_scope_id), array_agg(pattern_id), array_agg(business_category)
      INTO scopes, patterns, categories
      FROM (SELECT DISTINCT e.advised_scope_id, e.pattern_id, e.business_category FROM enhancements e
             WHERE e.account_key = key AND e.pattern_id IS NOT NULL
               AND e.no_match_reason IS NULL) pairs;
    IF patterns IS NOT NULL THEN
        INSERT INTO pattern_advice (scope_id, pattern_id, business_category, first_advised_time)
        SELECT e.advised_scope_id, e.pattern_id, e.business_category, min(e.created_at)
          FROM enhancements e
          JOIN network_patterns p ON p.scope_id = e.advised_scope_id AND p.id = e.pattern_id
         WHERE e.account_key = key AND e.pattern_id = ANY (patterns)
           AND e.no_match_reason IS NULL AND e.measured
         GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
        ON CONFLICT DO NOTHING;
        PERFORM recount_advice(scopes, patterns, categories);
    END IF;
END $$;
