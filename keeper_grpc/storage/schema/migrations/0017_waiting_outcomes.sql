-- Where outcomes of an account wait to be measured with its next ones: which of its scopes are read then. Where tables are
-- spread, this list lies on the coordinator, so that a capture asks the workers of these scopes and no other. A row goes
-- with its outcome, when that is measured or deleted.
CREATE TABLE waiting_outcomes (
    observation_id    uuid PRIMARY KEY,
    scope_id          bigint NOT NULL,
    account_key       text NOT NULL,
    business_category text NOT NULL               -- the outcome's
);
CREATE INDEX waiting_outcomes_account ON waiting_outcomes (account_key, business_category, scope_id);

-- The same from the ledger. Interim outcomes wait for the ones that take their places.
CREATE VIEW ledger_waiting AS
SELECT id AS observation_id, scope_id, account_key, business_category
  FROM observations WHERE measured_day IS NULL AND final;

-- Nobody may add to the ledger until what adds to the list is in place.
LOCK TABLE observations IN SHARE ROW EXCLUSIVE MODE;
INSERT INTO waiting_outcomes SELECT * FROM ledger_waiting;

-- As in 0016; where an account's outcomes wait is looked up in the list, and the list is kept.
CREATE OR REPLACE FUNCTION measure_outcomes(scopes bigint[], new_ids uuid[], advised uuid[]) RETURNS void LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
    step      integer := coalesce((SELECT s.step FROM evidence_settings s), 1);
    own       bigint;
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
            SELECT DISTINCT w.scope_id FROM unnest(due_keys, due_lines) AS k (account_key, business_category)
              JOIN waiting_outcomes w USING (account_key, business_category) ORDER BY 1
        LOOP
            SELECT array_agg(f.id) AS ids, array_agg(f.account_key) AS keys, array_agg(f.business_category) AS lines,
                   array_agg(f.occurred_time) AS occurred, array_agg(f.recorded_time) AS recorded,
                   array_agg(f.success) AS wins, array_agg(f.net_revenue) AS revenues,
                   array_agg(f.customer_retained) AS retained,
                   array_agg(e.id IS NOT NULL AND e.no_match_reason IS NULL) AS given,
                   array_agg(coalesce(e.holdout, false)) AS held_out
              INTO waiting
              FROM (SELECT o.id, o.account_key, o.business_category, o.occurred_time, o.recorded_time, o.success, o.net_revenue,
                           o.customer_retained, o.enhancement_id
                      FROM observations o
                     WHERE o.scope_id = own AND o.measured_day IS NULL AND o.final AND o.id <> ALL (new_ids)
                       AND o.account_key = ANY (due_keys)
                       AND (o.account_key, o.business_category) IN (
                           SELECT * FROM unnest(due_keys, due_lines) AS k (account_key, business_category))
                       FOR NO KEY UPDATE OF o SKIP LOCKED) f
              LEFT JOIN enhancements e ON e.scope_id = own AND e.id = f.enhancement_id;
            ids := ids || waiting.ids;
            of_scopes := of_scopes || array_fill(own, ARRAY[coalesce(cardinality(waiting.ids), 0)]);
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

-- As in 0001.
CREATE OR REPLACE FUNCTION delete_outcomes(ids uuid[]) RETURNS bigint LANGUAGE plpgsql SET plan_cache_mode = auto AS $$
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
    DELETE FROM waiting_outcomes w WHERE w.observation_id = ANY (ids);
    IF patterns IS NOT NULL THEN
        PERFORM recount_advice(scopes, patterns, categories);
    END IF;
    RETURN deleted;
END $$;

-- As in 0010. Nothing begins to count where the account does not: Citus refuses an UPDATE that can be of no row.
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
    IF counts_in IS NOT NULL THEN
        WITH begun AS (
            UPDATE enhancements SET measured = true
             WHERE account_key = key AND NOT measured AND business_category = counts_in RETURNING id
        )
        SELECT array_agg(id) INTO changed FROM begun;
        IF changed IS NOT NULL THEN
            PERFORM append_questions(changed, 1);
        END IF;
    END IF;
    PERFORM measure_rolled(key, counts_in);

    SELECT array_agg(id) INTO changed FROM observations
     WHERE account_key = key AND measured_day IS NOT NULL AND business_category IS DISTINCT FROM counts_in;
    IF changed IS NOT NULL THEN
        PERFORM append_outcomes(changed, -1);
        UPDATE observations SET measured_day = NULL WHERE id = ANY (changed);
    END IF;
    IF counts_in IS NOT NULL THEN
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
    END IF;
    DELETE FROM waiting_outcomes w WHERE w.account_key = key;
    INSERT INTO waiting_outcomes (observation_id, scope_id, account_key, business_category)
    SELECT o.id, o.scope_id, o.account_key, o.business_category FROM observations o
     WHERE o.account_key = key AND o.measured_day IS NULL AND o.final;

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

-- As in 0001, and of the list how many rows.
CREATE OR REPLACE FUNCTION rebuild_measures() RETURNS bigint LANGUAGE plpgsql AS $$
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

    wrong := wrong + (SELECT count(DISTINCT observation_id) FROM (
        (SELECT * FROM ledger_waiting EXCEPT SELECT * FROM waiting_outcomes)
        UNION ALL (SELECT * FROM waiting_outcomes EXCEPT SELECT * FROM ledger_waiting)) d);
    DELETE FROM waiting_outcomes;
    INSERT INTO waiting_outcomes SELECT * FROM ledger_waiting;
    RETURN wrong;
END $$;
