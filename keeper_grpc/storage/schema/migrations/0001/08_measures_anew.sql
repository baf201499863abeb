-- The measures of 07_measures.sql, counted from the ledger: the definition of each, `keeper rebuild`, and what a
-- forgotten or corrected account leaves.

CREATE FUNCTION millionths(share double precision) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$ SELECT round(share * 1000000)::bigint $$;

CREATE FUNCTION two_digits(amount double precision) RETURNS numeric
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN amount = 0 THEN 0
                ELSE round(amount::numeric, 1 - floor(log(abs(amount::numeric)))::integer) END
$$;

-- What one row of the ledger adds to its day (UTC) and line of business, with revenue in two significant digits. Sets
-- of one row each, which PostgreSQL expands where they are used.
CREATE FUNCTION observation_measures(
    success boolean, revenue double precision, retained boolean, advised boolean, held_out boolean
) RETURNS TABLE (
    observations integer, advised_outcomes integer, advised_successes integer,
    advised_measured integer, advised_revenue numeric, advised_retention_known integer,
    advised_retained integer, held_out_outcomes integer, held_out_successes integer,
    held_out_retention_known integer, held_out_retained integer
) LANGUAGE sql IMMUTABLE AS $$
    SELECT 1, advised::integer, (advised AND success)::integer,
           (advised AND revenue IS NOT NULL)::integer,
           CASE WHEN advised THEN coalesce(two_digits(revenue), 0) ELSE 0 END,
           (advised AND retained IS NOT NULL)::integer,
           (advised AND coalesce(retained, false))::integer,
           held_out::integer, (held_out AND success)::integer,
           (held_out AND retained IS NOT NULL)::integer,
           (held_out AND coalesce(retained, false))::integer
$$;

CREATE FUNCTION question_measures(
    no_match_reason text, held_out boolean, category text, advised_category text,
    base_confidence double precision, confidence double precision, loss double precision
) RETURNS TABLE (
    questions integer, enhanced integer, from_elsewhere integer, confidence_added numeric,
    exploration_loss numeric
) LANGUAGE sql IMMUTABLE AS $$
    SELECT (NOT held_out)::integer, (no_match_reason IS NULL)::integer,
           -- The pattern, and with it where it was learned, may have been gone before this was kept.
           (no_match_reason IS NULL AND coalesce(advised_category <> category, false))::integer,
           CASE WHEN no_match_reason IS NULL THEN confidence - base_confidence ELSE 0 END::numeric,
           CASE WHEN no_match_reason IS NULL THEN loss ELSE 0 END::numeric
$$;

CREATE VIEW ledger_measures AS
SELECT day, business_category, sum(observations)::bigint AS observations,
       sum(questions)::bigint AS questions, sum(enhanced)::bigint AS enhanced,
       sum(from_elsewhere)::bigint AS from_elsewhere, sum(confidence_added) AS confidence_added,
       sum(exploration_loss) AS exploration_loss,
       sum(advised_outcomes)::bigint AS advised_outcomes,
       sum(advised_successes)::bigint AS advised_successes,
       sum(advised_measured)::bigint AS advised_measured, sum(advised_revenue) AS advised_revenue,
       sum(advised_retention_known)::bigint AS advised_retention_known,
       sum(advised_retained)::bigint AS advised_retained,
       sum(held_out_outcomes)::bigint AS held_out_outcomes,
       sum(held_out_successes)::bigint AS held_out_successes,
       sum(held_out_retention_known)::bigint AS held_out_retention_known,
       sum(held_out_retained)::bigint AS held_out_retained
  FROM (SELECT o.measured_day AS day, o.business_category,
               m.observations, 0 AS questions, 0 AS enhanced, 0 AS from_elsewhere,
               0::numeric AS confidence_added, 0::numeric AS exploration_loss, m.advised_outcomes, m.advised_successes,
               m.advised_measured, m.advised_revenue, m.advised_retention_known,
               m.advised_retained, m.held_out_outcomes, m.held_out_successes,
               m.held_out_retention_known, m.held_out_retained
          FROM observations o LEFT JOIN enhancements e ON e.scope_id = o.scope_id AND e.id = o.enhancement_id
         CROSS JOIN LATERAL observation_measures(
               o.success, o.net_revenue, o.customer_retained,
               e.id IS NOT NULL AND e.no_match_reason IS NULL, coalesce(e.holdout, false)) m
         WHERE o.measured_day IS NOT NULL
        UNION ALL
        SELECT (e.created_at AT TIME ZONE 'UTC')::date, e.business_category, 0, m.questions,
               m.enhanced, m.from_elsewhere, m.confidence_added, m.exploration_loss, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
          FROM enhancements e
         CROSS JOIN LATERAL question_measures(
               e.no_match_reason, e.holdout, e.business_category, e.advised_category,
               e.base_confidence, e.confidence, e.exploration_loss) m
         WHERE e.measured) counted
 GROUP BY 1, 2 HAVING sum(observations) <> 0 OR sum(questions) <> 0;

CREATE VIEW ledger_advice AS
SELECT e.advised_scope_id AS scope_id, e.pattern_id, e.business_category, min(e.created_at) AS first_advised_time,
       max(o.occurred_time) AS last_outcome_time,
       coalesce(sum(two_digits(o.net_revenue)), 0) AS revenue,
       (count(o.id) FILTER (WHERE judged))::integer AS outcomes,
       (count(o.id) FILTER (WHERE judged AND o.success))::integer AS successes,
       coalesce(sum(millionths(e.expected_success_rate)) FILTER (WHERE judged), 0)::bigint
           AS expected,
       coalesce(sum(millionths(e.expected_success_rate * (1 - e.expected_success_rate)))
                FILTER (WHERE judged), 0)::bigint AS variance,
       coalesce(sum(millionths(e.expected_deviation)) FILTER (WHERE judged), 0)::bigint
           AS deviation
  FROM enhancements e
  JOIN network_patterns p ON p.scope_id = e.advised_scope_id AND p.id = e.pattern_id
  LEFT JOIN observations o ON o.scope_id = e.scope_id AND o.enhancement_id = e.id
 CROSS JOIN LATERAL (SELECT o.id IS NOT NULL AND e.expected_deviation IS NOT NULL AS judged) j
 WHERE e.no_match_reason IS NULL AND e.measured
 GROUP BY 1, 2, 3;

-- From the accounts outwards, so that the milestones of one account are read from its own rows.
CREATE VIEW ledger_milestones AS
WITH asked AS (
    SELECT e.account_key, min(e.created_at) AS first_time,
           min(e.created_at) FILTER (WHERE e.no_match_reason IS NULL) AS advised_time,
           max((e.created_at AT TIME ZONE 'UTC')::date) AS last_day,
           max((e.created_at AT TIME ZONE 'UTC')::date) FILTER (WHERE NOT e.holdout) AS asked_day,
           max((e.created_at AT TIME ZONE 'UTC')::date) FILTER (WHERE e.no_match_reason IS NULL)
               AS enhanced_day
      FROM enhancements e GROUP BY 1
), observed AS (
    SELECT o.account_key,
           min(o.occurred_time) FILTER (WHERE o.success AND o.occurred_time >= a.joined_time)
               AS success_time,
           max(day) AS last_day,
           max(day) FILTER (WHERE m.advised_outcomes > 0) AS advised_day,
           max(day) FILTER (WHERE m.advised_measured > 0) AS revenue_day,
           max(day) FILTER (WHERE m.advised_retention_known > 0) AS advised_retention_day,
           max(day) FILTER (WHERE m.held_out_outcomes > 0) AS held_out_day,
           max(day) FILTER (WHERE m.held_out_retention_known > 0) AS held_out_retention_day
      FROM observations o
      JOIN accounts a USING (account_key)
      LEFT JOIN enhancements e ON e.scope_id = o.scope_id AND e.id = o.enhancement_id
     CROSS JOIN LATERAL (SELECT (o.occurred_time AT TIME ZONE 'UTC')::date AS day) d
     CROSS JOIN LATERAL observation_measures(
           o.success, o.net_revenue, o.customer_retained,
           e.id IS NOT NULL AND e.no_match_reason IS NULL, coalesce(e.holdout, false)) m
     GROUP BY 1
)
SELECT a.account_key, asked.first_time AS first_asked_time,
       coalesce(asked.first_time = asked.advised_time, false) AS first_asked_enhanced,
       asked.advised_time AS first_advised_time, observed.success_time AS first_success_time,
       greatest(asked.last_day, observed.last_day) AS last_active_day,
       asked.asked_day AS last_asked_day, asked.enhanced_day AS last_enhanced_day,
       observed.last_day AS last_observed_day,
       observed.advised_day AS last_advised_day, observed.revenue_day AS last_revenue_day,
       observed.advised_retention_day AS last_advised_retention_day,
       observed.held_out_day AS last_held_out_day,
       observed.held_out_retention_day AS last_held_out_retention_day
  FROM accounts a
  LEFT JOIN asked USING (account_key)
  LEFT JOIN observed USING (account_key)
 WHERE asked.first_time IS NOT NULL OR observed.last_day IS NOT NULL;

-- The experiment is of all advice, in both arms, whether it was followed or not: otherwise only those who followed
-- would be compared with the holdout. By whether an outcome counts yet.
CREATE VIEW ledger_experiment AS
SELECT e.scope_id, o.account_key, e.business_category, e.pattern_type, e.holdout_share,
       coalesce(o.compared, false) AS compared,
       count(*) FILTER (WHERE NOT held_out(e)) AS advised,
       count(*) FILTER (WHERE NOT held_out(e) AND o.success) AS advised_successes,
       count(*) FILTER (WHERE held_out(e)) AS held_out,
       count(*) FILTER (WHERE held_out(e) AND o.success) AS held_out_successes,
       count(*) FILTER (WHERE NOT held_out(e) AND o.enhancement_id IS NOT NULL) AS followed,
       count(*) FILTER (WHERE NOT held_out(e) AND o.enhancement_id IS NOT NULL AND o.success)
           AS followed_successes
  FROM observations o JOIN enhancements e ON e.id = coalesce(o.enhancement_id, o.instead_of)
 WHERE e.holdout_share > 0 AND had_advice(e)
 GROUP BY 1, 2, 3, 4, 5, 6;

-- Counts what one account did anew. The caller excludes its other calls.
CREATE FUNCTION recount_milestones(key text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM account_milestones WHERE account_key = key;
    INSERT INTO account_milestones SELECT * FROM ledger_milestones WHERE account_key = key;
END $$;

-- Counts the advice of some patterns anew, each in one line of business. Locked first and read after, so that what
-- commits in between is seen.
CREATE FUNCTION recount_advice(scopes bigint[], patterns uuid[], categories text[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM pattern_advice a
       JOIN unnest(scopes, patterns, categories) AS p (scope_id, pattern_id, business_category)
      USING (scope_id, pattern_id, business_category)
      ORDER BY a.scope_id, a.pattern_id, a.business_category FOR UPDATE OF a;
    UPDATE pattern_advice a
       SET first_advised_time = l.first_advised_time, last_outcome_time = l.last_outcome_time,
           revenue = l.revenue, outcomes = l.outcomes, successes = l.successes,
           expected = l.expected, variance = l.variance, deviation = l.deviation
      FROM unnest(scopes, patterns, categories) AS p (scope_id, pattern_id, business_category)
     CROSS JOIN LATERAL (
           SELECT * FROM ledger_advice v
            WHERE v.scope_id = p.scope_id AND v.pattern_id = p.pattern_id
              AND v.business_category = p.business_category) l
     WHERE a.scope_id = p.scope_id AND a.pattern_id = p.pattern_id AND a.business_category = p.business_category;
    DELETE FROM pattern_advice a
     USING unnest(scopes, patterns, categories) AS p (scope_id, pattern_id, business_category)
     WHERE a.scope_id = p.scope_id AND a.pattern_id = p.pattern_id AND a.business_category = p.business_category
       AND NOT EXISTS (SELECT FROM enhancements e
                        WHERE e.advised_scope_id = p.scope_id AND e.pattern_id = p.pattern_id
                          AND e.business_category = p.business_category
                          AND e.no_match_reason IS NULL AND e.measured);
END $$;

-- Counts everything anew, and returns how many days, patterns and accounts were wrong. The caller keeps writers away.
CREATE FUNCTION rebuild_measures() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    wrong bigint;
BEGIN
    CREATE TEMPORARY TABLE counted ON COMMIT DROP AS SELECT * FROM ledger_measures;
    SELECT count(DISTINCT (day, business_category)) INTO wrong FROM (
        (SELECT * FROM counted EXCEPT SELECT * FROM current_measures)
        UNION ALL (SELECT * FROM current_measures EXCEPT SELECT * FROM counted)) d;
    DELETE FROM measure_changes;
    DELETE FROM daily_measures;
    INSERT INTO daily_measures SELECT * FROM counted;

    wrong := wrong + (SELECT count(DISTINCT (scope_id, pattern_id, business_category)) FROM (
        (SELECT * FROM ledger_advice EXCEPT SELECT * FROM pattern_advice)
        UNION ALL (SELECT * FROM pattern_advice EXCEPT SELECT * FROM ledger_advice)) d);
    DELETE FROM pattern_advice;
    INSERT INTO pattern_advice SELECT * FROM ledger_advice;

    wrong := wrong + (SELECT count(DISTINCT account_key) FROM (
        (SELECT * FROM ledger_milestones EXCEPT SELECT * FROM account_milestones)
        UNION ALL (SELECT * FROM account_milestones EXCEPT SELECT * FROM ledger_milestones)) d);
    DELETE FROM account_milestones;
    INSERT INTO account_milestones SELECT * FROM ledger_milestones;
    RETURN wrong;
END $$;

-- Recounts the experiment: how many rows were wrong. A row of zeros is what a revised outcome leaves, and is right. The
-- caller keeps writers away.
CREATE FUNCTION rebuild_experiment() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    wrong bigint;
BEGIN
    CREATE TEMP TABLE counted_again ON COMMIT DROP AS
    SELECT scope_id, account_key, business_category, pattern_type, holdout_share, advised,
           advised_successes, held_out, held_out_successes, followed, followed_successes
      FROM ledger_experiment WHERE compared;
    SELECT count(*) INTO wrong FROM (
        (SELECT * FROM experiment_outcomes WHERE advised <> 0 OR held_out <> 0
         EXCEPT SELECT * FROM counted_again)
        UNION ALL
        (SELECT * FROM counted_again EXCEPT SELECT * FROM experiment_outcomes)) differ;
    DELETE FROM experiment_outcomes;
    INSERT INTO experiment_outcomes SELECT * FROM counted_again;
    DROP TABLE counted_again;
    RETURN wrong;
END $$;
