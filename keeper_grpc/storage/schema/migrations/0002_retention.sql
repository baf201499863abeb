-- What keeps tables from growing without end. Old questions that nobody reported on go; what the metrics need of them stays,
-- a row for each account and day, so that a rebuild counts the same, and a corrected or forgotten account takes its part
-- with it. Questions with an outcome or a reaction belong to the ledger and stay.

-- Set on an old question that stays, so that the next look passes it over.
ALTER TABLE enhancements ADD COLUMN kept boolean NOT NULL DEFAULT false;
CREATE INDEX enhancements_rolling ON enhancements (created_at) WHERE NOT kept;

-- When a vector was last asked for, to the day; the least recently used go first.
ALTER TABLE embedding_cache ADD COLUMN used_day date NOT NULL DEFAULT current_date;
CREATE INDEX embedding_cache_used ON embedding_cache (used_day);

-- When a request was recorded: older ones than a retry may be are deleted.
ALTER TABLE outcome_requests ADD COLUMN recorded_time timestamptz NOT NULL DEFAULT now();
CREATE INDEX outcome_requests_time ON outcome_requests (recorded_time);
ALTER TABLE reaction_requests ADD COLUMN recorded_time timestamptz NOT NULL DEFAULT now();
CREATE INDEX reaction_requests_time ON reaction_requests (recorded_time);
CREATE INDEX outcome_revisions_time ON outcome_revisions (recorded_time);

-- One account's questions of one day (UTC) that are gone, as daily_measures counts them. Written by roll_up_questions, read
-- by a rebuild. `measured` as of enhancements.
CREATE TABLE rolled_questions (
    account_key       text NOT NULL REFERENCES accounts ON DELETE CASCADE,
    day               date NOT NULL,
    business_category text NOT NULL,
    measured          boolean NOT NULL,
    questions         bigint NOT NULL,
    enhanced          bigint NOT NULL,
    from_elsewhere    bigint NOT NULL,
    confidence_added  numeric NOT NULL,
    exploration_loss  numeric NOT NULL,
    PRIMARY KEY (account_key, day, business_category, measured)
);

-- When such a question first brought advice of one pattern to one account.
CREATE TABLE rolled_advice (
    account_key       text NOT NULL REFERENCES accounts ON DELETE CASCADE,
    scope_id          bigint NOT NULL,           -- of the pattern
    pattern_id        uuid NOT NULL,
    business_category text NOT NULL,
    measured          boolean NOT NULL,
    first_time        timestamptz NOT NULL,
    PRIMARY KEY (account_key, scope_id, pattern_id, business_category, measured),
    FOREIGN KEY (scope_id, pattern_id) REFERENCES network_patterns (scope_id, id) ON DELETE CASCADE
);
CREATE INDEX rolled_advice_pattern ON rolled_advice (scope_id, pattern_id, business_category);

-- What one account's milestones, and the costs of exploration, have of such questions.
CREATE TABLE rolled_accounts (
    account_key        text PRIMARY KEY REFERENCES accounts ON DELETE CASCADE,
    first_asked_time   timestamptz NOT NULL,
    first_advised_time timestamptz,
    last_day           date NOT NULL,
    last_asked_day     date,                     -- not held out
    last_enhanced_day  date,
    explored           bigint NOT NULL,          -- enhanced while patterns were explored
    pattern_choices    bigint NOT NULL,          -- of them, with a choice of patterns, and of scripts
    script_choices     bigint NOT NULL,
    lost               double precision NOT NULL,  -- success, by expectation: the sum, and the most of one
    most_lost          double precision NOT NULL
);

-- How many questions of the holdout experiment are gone, by arm.
CREATE TABLE rolled_arms (
    account_key       text NOT NULL REFERENCES accounts ON DELETE CASCADE,
    business_category text NOT NULL,
    pattern_type      text NOT NULL,
    advised           bigint NOT NULL,
    held_out          bigint NOT NULL,
    PRIMARY KEY (account_key, business_category, pattern_type)
);

-- Rolls up at most `most` of the oldest questions from before a time; how many were looked at. Accounts that are in use are
-- left for another time, and so are questions: nobody waits for this, and this for nobody. An account is locked before its
-- questions are read, because what counts changes under that lock.
CREATE FUNCTION roll_up_questions(before timestamptz, most integer) RETURNS bigint
LANGUAGE plpgsql SET plan_cache_mode = auto AS $$
DECLARE
    free   text[];
    passed bigint;
    rolled bigint;
BEGIN
    SELECT array_agg(account_key) INTO free FROM (
        SELECT a.account_key FROM accounts a
         WHERE a.account_key IN (
               SELECT o.account_key FROM (
                   SELECT account_key FROM enhancements
                    WHERE NOT kept AND created_at < before ORDER BY created_at LIMIT most) o)
           AND NOT a.forgetting
         ORDER BY a.account_key FOR SHARE SKIP LOCKED) held;
    IF free IS NULL THEN
        RETURN 0;
    END IF;
    WITH old AS MATERIALIZED (
        SELECT e.scope_id, e.id,
               e.reaction IS NOT NULL OR e.adopted IS NOT NULL
               OR EXISTS (SELECT FROM enhancement_outcomes x WHERE x.enhancement_id = e.id)
               OR EXISTS (SELECT FROM reactions r
                           WHERE r.scope_id = e.scope_id AND r.enhancement_id = e.id) AS reported
          FROM enhancements e
         WHERE NOT e.kept AND e.created_at < before AND e.account_key = ANY (free)
         ORDER BY e.created_at LIMIT most FOR UPDATE OF e SKIP LOCKED
    ), stays AS (
        UPDATE enhancements e SET kept = true FROM old
         WHERE old.reported AND e.scope_id = old.scope_id AND e.id = old.id RETURNING e.id
    ), gone AS (
        DELETE FROM enhancements e USING old
         WHERE NOT old.reported AND e.scope_id = old.scope_id AND e.id = old.id RETURNING e.*
    ), by_day AS (
        INSERT INTO rolled_questions AS r
        SELECT g.account_key, (g.created_at AT TIME ZONE 'UTC')::date, g.business_category, g.measured,
               sum(m.questions), sum(m.enhanced), sum(m.from_elsewhere), sum(m.confidence_added),
               sum(m.exploration_loss)
          FROM gone g
         CROSS JOIN LATERAL question_measures(
               g.no_match_reason, g.holdout, g.business_category, g.advised_category,
               g.base_confidence, g.confidence, g.exploration_loss) m
         GROUP BY 1, 2, 3, 4
        ON CONFLICT (account_key, day, business_category, measured) DO UPDATE
           SET questions = r.questions + excluded.questions, enhanced = r.enhanced + excluded.enhanced,
               from_elsewhere = r.from_elsewhere + excluded.from_elsewhere,
               confidence_added = r.confidence_added + excluded.confidence_added,
               exploration_loss = r.exploration_loss + excluded.exploration_loss
    ), by_pattern AS (
        INSERT INTO rolled_advice AS r
        SELECT g.account_key, g.advised_scope_id, g.pattern_id, g.business_category, g.measured, min(g.created_at)
          FROM gone g WHERE g.no_match_reason IS NULL AND g.pattern_id IS NOT NULL
         GROUP BY 1, 2, 3, 4, 5
        ON CONFLICT (account_key, scope_id, pattern_id, business_category, measured) DO UPDATE
           SET first_time = least(r.first_time, excluded.first_time)
    ), by_account AS (
        INSERT INTO rolled_accounts AS r
        SELECT g.account_key, min(g.created_at), min(g.created_at) FILTER (WHERE g.no_match_reason IS NULL),
               max(day), max(day) FILTER (WHERE NOT g.holdout), max(day) FILTER (WHERE g.no_match_reason IS NULL),
               count(*) FILTER (WHERE explored), count(g.contenders) FILTER (WHERE explored),
               count(*) FILTER (WHERE explored AND g.script_propensity < 1),
               coalesce(sum(g.exploration_loss) FILTER (WHERE explored), 0),
               coalesce(max(g.exploration_loss) FILTER (WHERE explored), 0)
          FROM gone g
         CROSS JOIN LATERAL (SELECT (g.created_at AT TIME ZONE 'UTC')::date AS day,
                                    g.no_match_reason IS NULL AND g.pattern_propensity IS NOT NULL AS explored) d
         GROUP BY 1
        ON CONFLICT (account_key) DO UPDATE
           SET first_asked_time = least(r.first_asked_time, excluded.first_asked_time),
               first_advised_time = least(r.first_advised_time, excluded.first_advised_time),
               last_day = greatest(r.last_day, excluded.last_day),
               last_asked_day = greatest(r.last_asked_day, excluded.last_asked_day),
               last_enhanced_day = greatest(r.last_enhanced_day, excluded.last_enhanced_day),
               explored = r.explored + excluded.explored,
               pattern_choices = r.pattern_choices + excluded.pattern_choices,
               script_choices = r.script_choices + excluded.script_choices,
               lost = r.lost + excluded.lost, most_lost = greatest(r.most_lost, excluded.most_lost)
    ), by_arm AS (
        INSERT INTO rolled_arms AS r
        SELECT g.account_key, g.business_category, g.pattern_type,
               count(*) FILTER (WHERE NOT held_out(g::enhancements)),
               count(*) FILTER (WHERE held_out(g::enhancements))
          FROM gone g WHERE g.holdout_share > 0 AND had_advice(g::enhancements)
         GROUP BY 1, 2, 3
        ON CONFLICT (account_key, business_category, pattern_type) DO UPDATE
           SET advised = r.advised + excluded.advised, held_out = r.held_out + excluded.held_out
    )
    SELECT (SELECT count(*) FROM stays), (SELECT count(*) FROM gone) INTO passed, rolled;
    RETURN passed + rolled;
END $$;

-- The views and functions below are those of 0001, and count what was rolled up as well.

CREATE OR REPLACE VIEW ledger_measures AS
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
               m.observations, 0::bigint AS questions, 0::bigint AS enhanced, 0::bigint AS from_elsewhere,
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
         WHERE e.measured
        UNION ALL
        SELECT day, business_category, 0, questions, enhanced, from_elsewhere, confidence_added, exploration_loss,
               0, 0, 0, 0, 0, 0, 0, 0, 0, 0
          FROM rolled_questions WHERE measured) counted
 GROUP BY 1, 2 HAVING sum(observations) <> 0 OR sum(questions) <> 0;

CREATE OR REPLACE VIEW ledger_advice AS
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
          JOIN network_patterns p ON p.scope_id = e.advised_scope_id AND p.id = e.pattern_id
          LEFT JOIN observations o ON o.scope_id = e.scope_id AND o.enhancement_id = e.id
         WHERE e.no_match_reason IS NULL AND e.measured
        UNION ALL
        SELECT scope_id, pattern_id, business_category, first_time, NULL, NULL, false, NULL, NULL, NULL, NULL
          FROM rolled_advice WHERE measured) given
 GROUP BY 1, 2, 3;

CREATE OR REPLACE VIEW ledger_milestones AS
WITH asked AS (
    SELECT account_key, min(first_time) AS first_time, min(advised_time) AS advised_time,
           max(last_day) AS last_day, max(asked_day) AS asked_day, max(enhanced_day) AS enhanced_day
      FROM (SELECT e.account_key, min(e.created_at) AS first_time,
                   min(e.created_at) FILTER (WHERE e.no_match_reason IS NULL) AS advised_time,
                   max((e.created_at AT TIME ZONE 'UTC')::date) AS last_day,
                   max((e.created_at AT TIME ZONE 'UTC')::date) FILTER (WHERE NOT e.holdout) AS asked_day,
                   max((e.created_at AT TIME ZONE 'UTC')::date) FILTER (WHERE e.no_match_reason IS NULL)
                       AS enhanced_day
              FROM enhancements e GROUP BY 1
            UNION ALL
            SELECT account_key, first_asked_time, first_advised_time, last_day, last_asked_day, last_enhanced_day
              FROM rolled_accounts) asked_ever
     GROUP BY 1
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

-- The patterns that an account was advised of, by its questions that are there and by those that are gone.
CREATE FUNCTION advised_patterns(key text) RETURNS TABLE (scope_id bigint, pattern_id uuid, business_category text)
LANGUAGE sql STABLE AS $$
    SELECT e.advised_scope_id, e.pattern_id, e.business_category FROM enhancements e
     WHERE e.account_key = key AND e.pattern_id IS NOT NULL AND e.no_match_reason IS NULL
    UNION
    SELECT r.scope_id, r.pattern_id, r.business_category FROM rolled_advice r WHERE r.account_key = key
$$;

-- Questions of one account that were rolled up begin to count in the metrics (sign 1), or cease to (sign -1).
CREATE FUNCTION append_rolled(key text, sign integer, counts_in text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO measure_changes (day, business_category, questions, enhanced, from_elsewhere,
                                 confidence_added, exploration_loss)
    SELECT day, business_category, sign * questions, sign * enhanced, sign * from_elsewhere,
           sign * confidence_added, sign * exploration_loss
      FROM rolled_questions
     WHERE account_key = key AND measured = (sign = -1)
       AND (business_category IS NOT DISTINCT FROM counts_in) = (sign = 1)
$$;

-- Lets what was rolled up of one account count by where the account counts now; null: nowhere.
CREATE FUNCTION measure_rolled(key text, counts_in text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM append_rolled(key, -1, counts_in);
    PERFORM append_rolled(key, 1, counts_in);
    WITH moved AS (
        DELETE FROM rolled_questions
         WHERE account_key = key AND measured <> (business_category IS NOT DISTINCT FROM counts_in) RETURNING *
    )
    INSERT INTO rolled_questions AS r
    SELECT account_key, day, business_category, NOT measured, questions, enhanced, from_elsewhere,
           confidence_added, exploration_loss FROM moved
    ON CONFLICT (account_key, day, business_category, measured) DO UPDATE
       SET questions = r.questions + excluded.questions, enhanced = r.enhanced + excluded.enhanced,
           from_elsewhere = r.from_elsewhere + excluded.from_elsewhere,
           confidence_added = r.confidence_added + excluded.confidence_added,
           exploration_loss = r.exploration_loss + excluded.exploration_loss;
    WITH moved AS (
        DELETE FROM rolled_advice
         WHERE account_key = key AND measured <> (business_category IS NOT DISTINCT FROM counts_in) RETURNING *
    )
    INSERT INTO rolled_advice AS r
    SELECT account_key, scope_id, pattern_id, business_category, NOT measured, first_time FROM moved
    ON CONFLICT (account_key, scope_id, pattern_id, business_category, measured) DO UPDATE
       SET first_time = least(r.first_time, excluded.first_time);
END $$;

-- As in 08_measures_anew.sql; advice of a question that is gone stays, too.
CREATE OR REPLACE FUNCTION recount_advice(scopes bigint[], patterns uuid[], categories text[]) RETURNS void
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
                          AND e.no_match_reason IS NULL AND e.measured)
       AND NOT EXISTS (SELECT FROM rolled_advice r
                        WHERE r.scope_id = p.scope_id AND r.pattern_id = p.pattern_id
                          AND r.business_category = p.business_category AND r.measured);
END $$;

-- As in 09_measuring.sql, with what was rolled up.
CREATE OR REPLACE FUNCTION delete_questions(key text) RETURNS bigint LANGUAGE plpgsql SET plan_cache_mode = auto AS $$
DECLARE
    scopes     bigint[];
    patterns   uuid[];
    categories text[];
    deleted    bigint;
BEGIN
    SELECT array_agg(scope_id), array_agg(pattern_id), array_agg(business_category)
      INTO scopes, patterns, categories FROM advised_patterns(key);
    PERFORM append_questions(array_agg(id), -1) FROM enhancements WHERE account_key = key;
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

-- As in 09_measuring.sql, with what was rolled up.
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

    SELECT array_agg(scope_id), array_agg(pattern_id), array_agg(business_category)
      INTO scopes, patterns, categories FROM advised_patterns(key);
    IF patterns IS NOT NULL THEN
        INSERT INTO pattern_advice (scope_id, pattern_id, business_category, first_advised_time)
        SELECT scope_id, pattern_id, business_category, min(first_time)
          FROM (SELECT e.advised_scope_id AS scope_id, e.pattern_id, e.business_category, e.created_at AS first_time
                  FROM enhancements e
                  JOIN network_patterns p ON p.scope_id = e.advised_scope_id AND p.id = e.pattern_id
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
