-- What the network is worth, counted as it happens: reading it costs the same at a million observations
-- as at a thousand. The ledger (observations, enhancements) stays the truth: `keeper rebuild` counts
-- all of this anew. Triggers keep it, so that no path into or out of the ledger can forget to.

ALTER TABLE enhancements
    ADD COLUMN advised_category text,            -- where the applied pattern was learned
    -- Of expected_success_rate, so that what came of advice can be held against what was predicted.
    ADD COLUMN expected_deviation double precision NOT NULL DEFAULT 0;
UPDATE enhancements e SET advised_category = p.business_category
  FROM network_patterns p WHERE p.id = e.pattern_id;

CREATE INDEX network_patterns_measures ON network_patterns (business_category, first_discovered)
    INCLUDE (id, last_validated, occurrence_count, account_count, largest_account_occurrences);

-- What one row of the ledger adds to its day (UTC) and line of business.
CREATE VIEW ledger_measures AS
SELECT o.id AS source_id, (o.occurred_time AT TIME ZONE 'UTC')::date AS day, o.business_category,
       1 AS observations, 0 AS questions, 0 AS enhanced, 0 AS from_elsewhere,
       0::numeric AS confidence_added,
       advised::integer AS advised_outcomes,
       (advised AND o.success)::integer AS advised_successes,
       (advised AND o.revenue_impact IS NOT NULL)::integer AS advised_measured,
       CASE WHEN advised THEN coalesce(o.revenue_impact, 0) ELSE 0 END::numeric AS advised_revenue,
       (advised AND o.customer_retained IS NOT NULL)::integer AS advised_retention_known,
       (advised AND coalesce(o.customer_retained, false))::integer AS advised_retained,
       held_out::integer AS held_out_outcomes,
       (held_out AND o.success)::integer AS held_out_successes,
       (held_out AND o.customer_retained IS NOT NULL)::integer AS held_out_retention_known,
       (held_out AND coalesce(o.customer_retained, false))::integer AS held_out_retained
  FROM observations o
  LEFT JOIN enhancements e ON e.id = o.enhancement_id
 CROSS JOIN LATERAL (SELECT coalesce(e.no_match_reason IS NULL AND e.id IS NOT NULL, false) AS advised,
                            coalesce(e.holdout, false) AS held_out) arm
UNION ALL
SELECT e.id, (e.created_at AT TIME ZONE 'UTC')::date, e.business_category,
       0, (NOT e.holdout)::integer, advised::integer,
       (advised AND e.advised_category <> e.business_category)::integer,
       CASE WHEN advised THEN e.confidence - e.base_confidence ELSE 0 END::numeric,
       0, 0, 0, 0, 0, 0, 0, 0, 0, 0
  FROM enhancements e
 CROSS JOIN LATERAL (SELECT e.no_match_reason IS NULL AS advised) arm;

CREATE TABLE daily_measures (
    day               date NOT NULL,
    business_category text NOT NULL,
    observations      bigint NOT NULL,
    questions         bigint NOT NULL,           -- those held out not among them
    enhanced          bigint NOT NULL,
    from_elsewhere    bigint NOT NULL,           -- advice from another line of business
    confidence_added  numeric NOT NULL,          -- exact, so that sums do not depend on their order
    advised_outcomes  bigint NOT NULL,
    advised_successes bigint NOT NULL,
    advised_measured  bigint NOT NULL,           -- whose revenue impact was measured
    advised_revenue   numeric NOT NULL,
    advised_retention_known bigint NOT NULL,
    advised_retained  bigint NOT NULL,
    held_out_outcomes bigint NOT NULL,
    held_out_successes bigint NOT NULL,
    held_out_retention_known bigint NOT NULL,
    held_out_retained bigint NOT NULL,
    PRIMARY KEY (day, business_category)
);

-- What has yet to be folded into daily_measures. Calls append here: were they to update the day's row,
-- each would wait for the one before it to commit.
CREATE TABLE measure_changes (
    id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sign              smallint NOT NULL,         -- 1 added to the ledger, -1 taken out
    day               date NOT NULL,
    business_category text NOT NULL,
    observations      smallint NOT NULL,
    questions         smallint NOT NULL,
    enhanced          smallint NOT NULL,
    from_elsewhere    smallint NOT NULL,
    confidence_added  numeric NOT NULL,
    advised_outcomes  smallint NOT NULL,
    advised_successes smallint NOT NULL,
    advised_measured  smallint NOT NULL,
    advised_revenue   numeric NOT NULL,
    advised_retention_known smallint NOT NULL,
    advised_retained  smallint NOT NULL,
    held_out_outcomes smallint NOT NULL,
    held_out_successes smallint NOT NULL,
    held_out_retention_known smallint NOT NULL,
    held_out_retained smallint NOT NULL
);

-- Both together: what is true now, whole days without anything left out.
CREATE VIEW current_measures AS
SELECT day, business_category, sum(observations)::bigint AS observations,
       sum(questions)::bigint AS questions, sum(enhanced)::bigint AS enhanced,
       sum(from_elsewhere)::bigint AS from_elsewhere, sum(confidence_added) AS confidence_added,
       sum(advised_outcomes)::bigint AS advised_outcomes,
       sum(advised_successes)::bigint AS advised_successes,
       sum(advised_measured)::bigint AS advised_measured, sum(advised_revenue) AS advised_revenue,
       sum(advised_retention_known)::bigint AS advised_retention_known,
       sum(advised_retained)::bigint AS advised_retained,
       sum(held_out_outcomes)::bigint AS held_out_outcomes,
       sum(held_out_successes)::bigint AS held_out_successes,
       sum(held_out_retention_known)::bigint AS held_out_retention_known,
       sum(held_out_retained)::bigint AS held_out_retained
  FROM (SELECT * FROM daily_measures
        UNION ALL
        SELECT day, business_category, sign * observations, sign * questions, sign * enhanced,
               sign * from_elsewhere, sign * confidence_added, sign * advised_outcomes,
               sign * advised_successes, sign * advised_measured, sign * advised_revenue,
               sign * advised_retention_known, sign * advised_retained, sign * held_out_outcomes,
               sign * held_out_successes, sign * held_out_retention_known,
               sign * held_out_retained
          FROM measure_changes) counted
 GROUP BY 1, 2 HAVING sum(observations) <> 0 OR sum(questions) <> 0;

-- One row. What was folded and what waits tell together whether anything changed.
CREATE TABLE measure_fold (
    id     boolean PRIMARY KEY DEFAULT true CHECK (id),
    folded bigint NOT NULL DEFAULT 0
);
INSERT INTO measure_fold DEFAULT VALUES;

-- What each pattern's advice came to, by the line of business that got it.
CREATE TABLE pattern_advice (
    pattern_id         uuid NOT NULL REFERENCES network_patterns ON DELETE CASCADE,
    business_category  text NOT NULL,
    first_advised_time timestamptz NOT NULL,
    last_outcome_time  timestamptz,
    outcomes           integer NOT NULL DEFAULT 0,
    successes          integer NOT NULL DEFAULT 0,
    -- Sums over the outcomes, in millionths, which add up exactly in any order: of the rate expected,
    -- of its binomial variance, of its deviation.
    expected           bigint NOT NULL DEFAULT 0,
    variance           bigint NOT NULL DEFAULT 0,
    deviation          bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (pattern_id, business_category)
);

-- What each account has come to. A row changes when something happens for the first time, or for the
-- first time on a day.
CREATE TABLE account_milestones (
    account_key          text PRIMARY KEY REFERENCES accounts ON DELETE CASCADE,
    first_asked_time     timestamptz,
    first_asked_enhanced boolean NOT NULL DEFAULT false,  -- met with advice at its first question
    first_advised_time   timestamptz,
    first_success_time   timestamptz,            -- since it joined
    last_active_day      date NOT NULL,
    last_outcome_day     date,                   -- of an outcome of advice, or of one held out
    last_revenue_day     date                    -- of such an outcome whose revenue was measured
);

CREATE FUNCTION millionths(share double precision) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$ SELECT round(share * 1000000)::bigint $$;

-- The same, from the ledger.
CREATE VIEW ledger_advice AS
SELECT e.pattern_id, e.business_category, min(e.created_at) AS first_advised_time,
       max(o.occurred_time) AS last_outcome_time,
       count(o.id)::integer AS outcomes,
       (count(o.id) FILTER (WHERE o.success))::integer AS successes,
       coalesce(sum(millionths(e.expected_success_rate)) FILTER (WHERE o.id IS NOT NULL), 0)::bigint
           AS expected,
       coalesce(sum(millionths(e.expected_success_rate * (1 - e.expected_success_rate)))
                FILTER (WHERE o.id IS NOT NULL), 0)::bigint AS variance,
       coalesce(sum(millionths(e.expected_deviation)) FILTER (WHERE o.id IS NOT NULL), 0)::bigint
           AS deviation
  FROM enhancements e LEFT JOIN observations o ON o.enhancement_id = e.id
 WHERE e.pattern_id IS NOT NULL AND e.no_match_reason IS NULL
 GROUP BY 1, 2;

CREATE VIEW ledger_milestones AS
WITH asked AS (
    SELECT e.account_key, min(e.created_at) AS first_time,
           min(e.created_at) FILTER (WHERE e.no_match_reason IS NULL) AS advised_time,
           max((e.created_at AT TIME ZONE 'UTC')::date) AS last_day
      FROM enhancements e GROUP BY 1
), observed AS (
    SELECT o.account_key,
           min(o.occurred_time) FILTER (WHERE o.success AND o.occurred_time >= a.joined_time)
               AS success_time,
           max((o.occurred_time AT TIME ZONE 'UTC')::date) AS last_day,
           max((o.occurred_time AT TIME ZONE 'UTC')::date)
               FILTER (WHERE m.advised_outcomes + m.held_out_outcomes > 0) AS outcome_day,
           max((o.occurred_time AT TIME ZONE 'UTC')::date)
               FILTER (WHERE m.advised_measured > 0) AS revenue_day
      FROM observations o
      JOIN accounts a USING (account_key)
      JOIN ledger_measures m ON m.source_id = o.id
     GROUP BY 1
)
SELECT account_key, asked.first_time AS first_asked_time,
       coalesce(asked.first_time = asked.advised_time, false) AS first_asked_enhanced,
       asked.advised_time AS first_advised_time, observed.success_time AS first_success_time,
       greatest(asked.last_day, observed.last_day) AS last_active_day,
       observed.outcome_day AS last_outcome_day, observed.revenue_day AS last_revenue_day
  FROM asked FULL JOIN observed USING (account_key);

CREATE FUNCTION append_measures(changed uuid, changed_sign integer) RETURNS void
LANGUAGE plpgsql SET plan_cache_mode = auto AS $$
BEGIN
    INSERT INTO measure_changes (
        sign, day, business_category, observations, questions, enhanced, from_elsewhere,
        confidence_added, advised_outcomes, advised_successes, advised_measured, advised_revenue,
        advised_retention_known, advised_retained, held_out_outcomes, held_out_successes,
        held_out_retention_known, held_out_retained)
    SELECT changed_sign, m.day, m.business_category, m.observations, m.questions, m.enhanced,
           m.from_elsewhere, m.confidence_added, m.advised_outcomes, m.advised_successes,
           m.advised_measured, m.advised_revenue, m.advised_retention_known, m.advised_retained,
           m.held_out_outcomes, m.held_out_successes, m.held_out_retention_known,
           m.held_out_retained
      FROM ledger_measures m WHERE m.source_id = changed;
END $$;

-- The pool's sessions plan every statement anew (storage/database.py), which here would cost more than
-- running it: hence plan_cache_mode. Each statement first looks whether it
-- would change anything: an upsert would lock the row either way, and make calls of one account or
-- pattern wait for each other.

CREATE FUNCTION measure_enhancement() RETURNS trigger LANGUAGE plpgsql SET plan_cache_mode = auto AS $$
DECLARE
    advised boolean := NEW.no_match_reason IS NULL;
    today   date := (NEW.created_at AT TIME ZONE 'UTC')::date;
BEGIN
    PERFORM append_measures(NEW.id, 1);
    IF advised AND NEW.pattern_id IS NOT NULL AND NOT EXISTS (
        SELECT FROM pattern_advice a
         WHERE a.pattern_id = NEW.pattern_id AND a.business_category = NEW.business_category
           AND a.first_advised_time <= NEW.created_at)
    THEN
        INSERT INTO pattern_advice AS a (pattern_id, business_category, first_advised_time)
        VALUES (NEW.pattern_id, NEW.business_category, NEW.created_at)
        ON CONFLICT (pattern_id, business_category) DO UPDATE
           SET first_advised_time = least(a.first_advised_time, excluded.first_advised_time);
    END IF;
    IF NOT EXISTS (
        SELECT FROM account_milestones m
         WHERE m.account_key = NEW.account_key AND m.last_active_day >= today
           AND m.first_asked_time <= NEW.created_at
           AND (NOT advised OR m.first_advised_time <= NEW.created_at))
    THEN
        INSERT INTO account_milestones AS m (
            account_key, first_asked_time, first_asked_enhanced, first_advised_time,
            last_active_day)
        VALUES (NEW.account_key, NEW.created_at, advised,
                CASE WHEN advised THEN NEW.created_at END, today)
        ON CONFLICT (account_key) DO UPDATE
           SET first_asked_time = least(m.first_asked_time, excluded.first_asked_time),
               first_asked_enhanced =
                   coalesce(least(m.first_advised_time, excluded.first_advised_time)
                            = least(m.first_asked_time, excluded.first_asked_time), false),
               first_advised_time = least(m.first_advised_time, excluded.first_advised_time),
               last_active_day = greatest(m.last_active_day, excluded.last_active_day);
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION measure_observation() RETURNS trigger LANGUAGE plpgsql SET plan_cache_mode = auto AS $$
DECLARE
    given        enhancements;
    today        date := (NEW.occurred_time AT TIME ZONE 'UTC')::date;
    outcome_day  date;
    revenue_day  date;
    success_time timestamptz;
BEGIN
    PERFORM append_measures(NEW.id, 1);
    IF NEW.enhancement_id IS NOT NULL THEN
        SELECT * INTO given FROM enhancements e WHERE e.id = NEW.enhancement_id;
        IF given.no_match_reason IS NULL OR given.holdout THEN
            outcome_day := today;
        END IF;
        IF given.no_match_reason IS NULL AND NEW.revenue_impact IS NOT NULL THEN
            revenue_day := today;
        END IF;
        IF given.no_match_reason IS NULL AND given.pattern_id IS NOT NULL THEN
            UPDATE pattern_advice a
               SET last_outcome_time = greatest(a.last_outcome_time, NEW.occurred_time),
                   outcomes = a.outcomes + 1, successes = a.successes + NEW.success::integer,
                   expected = a.expected + millionths(given.expected_success_rate),
                   variance = a.variance + millionths(given.expected_success_rate
                                                      * (1 - given.expected_success_rate)),
                   deviation = a.deviation + millionths(given.expected_deviation)
             WHERE a.pattern_id = given.pattern_id
               AND a.business_category = given.business_category;
        END IF;
    END IF;
    SELECT NEW.occurred_time INTO success_time FROM accounts a
     WHERE a.account_key = NEW.account_key AND NEW.success AND NEW.occurred_time >= a.joined_time;
    IF NOT EXISTS (
        SELECT FROM account_milestones m
         WHERE m.account_key = NEW.account_key AND m.last_active_day >= today
           AND (outcome_day IS NULL OR m.last_outcome_day >= outcome_day)
           AND (revenue_day IS NULL OR m.last_revenue_day >= revenue_day)
           AND (success_time IS NULL OR m.first_success_time <= success_time))
    THEN
        INSERT INTO account_milestones AS m (
            account_key, first_success_time, last_active_day, last_outcome_day, last_revenue_day)
        VALUES (NEW.account_key, success_time, today, outcome_day, revenue_day)
        ON CONFLICT (account_key) DO UPDATE
           SET first_success_time = least(m.first_success_time, excluded.first_success_time),
               last_active_day = greatest(m.last_active_day, excluded.last_active_day),
               last_outcome_day = greatest(m.last_outcome_day, excluded.last_outcome_day),
               last_revenue_day = greatest(m.last_revenue_day, excluded.last_revenue_day);
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION unmeasure() RETURNS trigger LANGUAGE plpgsql SET plan_cache_mode = auto AS $$
BEGIN
    PERFORM append_measures(OLD.id, -1);
    RETURN OLD;
END $$;

-- ForgetAccount deletes one account's rows. Its milestones go with its own row; the advice of the
-- patterns that it asked for is counted anew. Locked first and read after, so that nothing which
-- commits in between is lost.
CREATE FUNCTION recount_advice(patterns uuid[], categories text[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM pattern_advice a
       JOIN unnest(patterns, categories) AS p (pattern_id, business_category)
      USING (pattern_id, business_category)
      ORDER BY a.pattern_id, a.business_category FOR UPDATE OF a;
    UPDATE pattern_advice a
       SET first_advised_time = l.first_advised_time, last_outcome_time = l.last_outcome_time,
           outcomes = l.outcomes, successes = l.successes, expected = l.expected,
           variance = l.variance, deviation = l.deviation
      FROM unnest(patterns, categories) AS p (pattern_id, business_category)
     CROSS JOIN LATERAL (
           SELECT * FROM ledger_advice v WHERE v.pattern_id = p.pattern_id
                                           AND v.business_category = p.business_category) l
     WHERE a.pattern_id = p.pattern_id AND a.business_category = p.business_category;
    DELETE FROM pattern_advice a
     USING unnest(patterns, categories) AS p (pattern_id, business_category)
     WHERE a.pattern_id = p.pattern_id AND a.business_category = p.business_category
       AND NOT EXISTS (SELECT FROM enhancements e
                        WHERE e.pattern_id = p.pattern_id
                          AND e.business_category = p.business_category
                          AND e.no_match_reason IS NULL);
END $$;

CREATE FUNCTION unmeasure_advice() RETURNS trigger LANGUAGE plpgsql SET plan_cache_mode = auto AS $$
DECLARE
    patterns   uuid[];
    categories text[];
BEGIN
    IF TG_TABLE_NAME = 'enhancements' THEN
        SELECT array_agg(pattern_id), array_agg(business_category) INTO patterns, categories
          FROM (SELECT DISTINCT pattern_id, business_category FROM gone
                 WHERE pattern_id IS NOT NULL AND no_match_reason IS NULL) pairs;
    ELSE
        SELECT array_agg(pattern_id), array_agg(business_category) INTO patterns, categories
          FROM (SELECT DISTINCT e.pattern_id, e.business_category
                  FROM gone JOIN enhancements e ON e.id = gone.enhancement_id
                 WHERE e.pattern_id IS NOT NULL AND e.no_match_reason IS NULL) pairs;
    END IF;
    IF patterns IS NOT NULL THEN
        PERFORM recount_advice(patterns, categories);
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER measure_enhancement AFTER INSERT ON enhancements
    FOR EACH ROW EXECUTE FUNCTION measure_enhancement();
CREATE TRIGGER measure_observation AFTER INSERT ON observations
    FOR EACH ROW EXECUTE FUNCTION measure_observation();
CREATE TRIGGER unmeasure_enhancement BEFORE DELETE ON enhancements
    FOR EACH ROW EXECUTE FUNCTION unmeasure();
CREATE TRIGGER unmeasure_observation BEFORE DELETE ON observations
    FOR EACH ROW EXECUTE FUNCTION unmeasure();
CREATE TRIGGER unmeasure_advice_of_enhancements AFTER DELETE ON enhancements
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION unmeasure_advice();
CREATE TRIGGER unmeasure_advice_of_observations AFTER DELETE ON observations
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION unmeasure_advice();

-- Counts everything anew, and returns how many rows were wrong. The caller keeps writers away.
CREATE FUNCTION rebuild_measures() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    wrong bigint;
BEGIN
    CREATE TEMPORARY TABLE counted ON COMMIT DROP AS
    SELECT m.day, m.business_category, sum(m.observations) AS observations,
           sum(m.questions) AS questions, sum(m.enhanced) AS enhanced,
           sum(m.from_elsewhere) AS from_elsewhere, sum(m.confidence_added) AS confidence_added,
           sum(m.advised_outcomes) AS advised_outcomes,
           sum(m.advised_successes) AS advised_successes,
           sum(m.advised_measured) AS advised_measured,
           sum(m.advised_revenue) AS advised_revenue,
           sum(m.advised_retention_known) AS advised_retention_known,
           sum(m.advised_retained) AS advised_retained,
           sum(m.held_out_outcomes) AS held_out_outcomes,
           sum(m.held_out_successes) AS held_out_successes,
           sum(m.held_out_retention_known) AS held_out_retention_known,
           sum(m.held_out_retained) AS held_out_retained
      FROM ledger_measures m GROUP BY 1, 2
    HAVING sum(m.observations) <> 0 OR sum(m.questions) <> 0;
    SELECT count(*) INTO wrong FROM (
        (SELECT * FROM counted EXCEPT SELECT * FROM current_measures)
        UNION ALL (SELECT * FROM current_measures EXCEPT SELECT * FROM counted)) d;
    DELETE FROM measure_changes;
    DELETE FROM daily_measures;
    INSERT INTO daily_measures SELECT * FROM counted;
    UPDATE measure_fold SET folded = folded + 1;

    wrong := wrong + (SELECT count(*) FROM (
        (SELECT * FROM ledger_advice EXCEPT SELECT * FROM pattern_advice)
        UNION ALL (SELECT * FROM pattern_advice EXCEPT SELECT * FROM ledger_advice)) d);
    DELETE FROM pattern_advice;
    INSERT INTO pattern_advice SELECT * FROM ledger_advice;

    wrong := wrong + (SELECT count(*) FROM (
        (SELECT * FROM ledger_milestones EXCEPT SELECT * FROM account_milestones)
        UNION ALL (SELECT * FROM account_milestones EXCEPT SELECT * FROM ledger_milestones)) d);
    DELETE FROM account_milestones;
    INSERT INTO account_milestones SELECT * FROM ledger_milestones;
    RETURN wrong;
END $$;

SELECT rebuild_measures();
