-- What the network is worth, counted as it happens, so that reading it does not read the ledger. The
-- ledger (observations, enhancements) stays the truth: `keeper rebuild` counts all of this anew.
-- Triggers keep it, so that no path into or out of the ledger can forget to.

ALTER TABLE accounts
    ADD COLUMN registered boolean NOT NULL DEFAULT false;  -- joined_time was told, not guessed

ALTER TABLE enhancements
    ADD COLUMN advised_category text,            -- where the applied pattern was learned
    -- Of expected_success_rate, so that what came of advice can be held against what was predicted.
    -- Null where it is not known: such advice is not judged.
    ADD COLUMN expected_deviation double precision;
UPDATE enhancements e SET advised_category = p.business_category
  FROM network_patterns p WHERE p.id = e.pattern_id;

CREATE INDEX network_patterns_measures ON network_patterns (business_category, first_discovered)
    INCLUDE (id, last_validated, occurrence_count, account_count, largest_account_occurrences,
             catalog_key);

-- What one row of the ledger adds to its day (UTC) and line of business. Sets of one row each, which
-- PostgreSQL expands where they are used.
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
           CASE WHEN advised THEN coalesce(revenue, 0) ELSE 0 END::numeric,
           (advised AND retained IS NOT NULL)::integer,
           (advised AND coalesce(retained, false))::integer,
           held_out::integer, (held_out AND success)::integer,
           (held_out AND retained IS NOT NULL)::integer,
           (held_out AND coalesce(retained, false))::integer
$$;

CREATE FUNCTION question_measures(
    no_match_reason text, held_out boolean, category text, advised_category text,
    base_confidence double precision, confidence double precision
) RETURNS TABLE (
    questions integer, enhanced integer, from_elsewhere integer, confidence_added numeric
) LANGUAGE sql IMMUTABLE AS $$
    SELECT (NOT held_out)::integer, (no_match_reason IS NULL)::integer,
           -- The pattern, and with it where it was learned, may have been gone before this was kept.
           (no_match_reason IS NULL AND coalesce(advised_category <> category, false))::integer,
           CASE WHEN no_match_reason IS NULL THEN confidence - base_confidence ELSE 0 END::numeric
$$;

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

-- What has yet to be folded into daily_measures; what was deleted from the ledger is negative. Calls
-- append here: were they to update the day's row, each would wait for the one before it to commit.
CREATE TABLE measure_changes (
    id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    day               date NOT NULL,
    business_category text NOT NULL,
    observations      bigint NOT NULL DEFAULT 0,
    questions         bigint NOT NULL DEFAULT 0,
    enhanced          bigint NOT NULL DEFAULT 0,
    from_elsewhere    bigint NOT NULL DEFAULT 0,
    confidence_added  numeric NOT NULL DEFAULT 0,
    advised_outcomes  bigint NOT NULL DEFAULT 0,
    advised_successes bigint NOT NULL DEFAULT 0,
    advised_measured  bigint NOT NULL DEFAULT 0,
    advised_revenue   numeric NOT NULL DEFAULT 0,
    advised_retention_known bigint NOT NULL DEFAULT 0,
    advised_retained  bigint NOT NULL DEFAULT 0,
    held_out_outcomes bigint NOT NULL DEFAULT 0,
    held_out_successes bigint NOT NULL DEFAULT 0,
    held_out_retention_known bigint NOT NULL DEFAULT 0,
    held_out_retained bigint NOT NULL DEFAULT 0
)
-- Thousands of rows come and go here while few are there at any time: a scan must not find the dead.
WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

-- Both together: what is true now.
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
        SELECT day, business_category, observations, questions, enhanced, from_elsewhere,
               confidence_added, advised_outcomes, advised_successes, advised_measured,
               advised_revenue, advised_retention_known, advised_retained, held_out_outcomes,
               held_out_successes, held_out_retention_known, held_out_retained
          FROM measure_changes) counted
 GROUP BY 1, 2 HAVING sum(observations) <> 0 OR sum(questions) <> 0;

-- What each pattern's advice came to, by the line of business that got it.
CREATE TABLE pattern_advice (
    pattern_id         uuid NOT NULL REFERENCES network_patterns ON DELETE CASCADE,
    business_category  text NOT NULL,
    first_advised_time timestamptz NOT NULL,
    last_outcome_time  timestamptz,
    revenue            numeric NOT NULL DEFAULT 0,
    -- Of outcomes whose deviation is known. The last three are sums in millionths, which add up exactly
    -- in any order: of the rate expected, of its binomial variance, of its deviation.
    outcomes           integer NOT NULL DEFAULT 0,
    successes          integer NOT NULL DEFAULT 0,
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
    -- Of an outcome of advice, and of one whose revenue or whose retention was told; then of one held out.
    last_advised_day            date,
    last_revenue_day            date,
    last_advised_retention_day  date,
    last_held_out_day           date,
    last_held_out_retention_day date
);

CREATE FUNCTION millionths(share double precision) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$ SELECT round(share * 1000000)::bigint $$;

-- The same, from the ledger.
CREATE VIEW ledger_measures AS
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
  FROM (SELECT (o.occurred_time AT TIME ZONE 'UTC')::date AS day, o.business_category,
               m.observations, 0 AS questions, 0 AS enhanced, 0 AS from_elsewhere,
               0::numeric AS confidence_added, m.advised_outcomes, m.advised_successes,
               m.advised_measured, m.advised_revenue, m.advised_retention_known,
               m.advised_retained, m.held_out_outcomes, m.held_out_successes,
               m.held_out_retention_known, m.held_out_retained
          FROM observations o LEFT JOIN enhancements e ON e.id = o.enhancement_id
         CROSS JOIN LATERAL observation_measures(
               o.success, o.revenue_impact, o.customer_retained,
               e.id IS NOT NULL AND e.no_match_reason IS NULL, coalesce(e.holdout, false)) m
        UNION ALL
        SELECT (e.created_at AT TIME ZONE 'UTC')::date, e.business_category, 0, m.questions,
               m.enhanced, m.from_elsewhere, m.confidence_added, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
          FROM enhancements e
         CROSS JOIN LATERAL question_measures(
               e.no_match_reason, e.holdout, e.business_category, e.advised_category,
               e.base_confidence, e.confidence) m) counted
 GROUP BY 1, 2 HAVING sum(observations) <> 0 OR sum(questions) <> 0;

CREATE VIEW ledger_advice AS
SELECT e.pattern_id, e.business_category, min(e.created_at) AS first_advised_time,
       max(o.occurred_time) AS last_outcome_time,
       coalesce(sum(o.revenue_impact::numeric), 0) AS revenue,
       (count(o.id) FILTER (WHERE judged))::integer AS outcomes,
       (count(o.id) FILTER (WHERE judged AND o.success))::integer AS successes,
       coalesce(sum(millionths(e.expected_success_rate)) FILTER (WHERE judged), 0)::bigint
           AS expected,
       coalesce(sum(millionths(e.expected_success_rate * (1 - e.expected_success_rate)))
                FILTER (WHERE judged), 0)::bigint AS variance,
       coalesce(sum(millionths(e.expected_deviation)) FILTER (WHERE judged), 0)::bigint
           AS deviation
  FROM enhancements e LEFT JOIN observations o ON o.enhancement_id = e.id
 CROSS JOIN LATERAL (SELECT o.id IS NOT NULL AND e.expected_deviation IS NOT NULL AS judged) j
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
           max(day) AS last_day,
           max(day) FILTER (WHERE m.advised_outcomes > 0) AS advised_day,
           max(day) FILTER (WHERE m.advised_measured > 0) AS revenue_day,
           max(day) FILTER (WHERE m.advised_retention_known > 0) AS advised_retention_day,
           max(day) FILTER (WHERE m.held_out_outcomes > 0) AS held_out_day,
           max(day) FILTER (WHERE m.held_out_retention_known > 0) AS held_out_retention_day
      FROM observations o
      JOIN accounts a USING (account_key)
      LEFT JOIN enhancements e ON e.id = o.enhancement_id
     CROSS JOIN LATERAL (SELECT (o.occurred_time AT TIME ZONE 'UTC')::date AS day) d
     CROSS JOIN LATERAL observation_measures(
           o.success, o.revenue_impact, o.customer_retained,
           e.id IS NOT NULL AND e.no_match_reason IS NULL, coalesce(e.holdout, false)) m
     GROUP BY 1
)
SELECT account_key, asked.first_time AS first_asked_time,
       coalesce(asked.first_time = asked.advised_time, false) AS first_asked_enhanced,
       asked.advised_time AS first_advised_time, observed.success_time AS first_success_time,
       greatest(asked.last_day, observed.last_day) AS last_active_day,
       observed.advised_day AS last_advised_day, observed.revenue_day AS last_revenue_day,
       observed.advised_retention_day AS last_advised_retention_day,
       observed.held_out_day AS last_held_out_day,
       observed.held_out_retention_day AS last_held_out_retention_day
  FROM asked FULL JOIN observed USING (account_key);

-- Triggers. The pool's sessions plan every statement anew (storage/database.py), which here would cost
-- more than running it: hence plan_cache_mode.

CREATE FUNCTION append_question_measures() RETURNS trigger
LANGUAGE plpgsql SET plan_cache_mode = auto AS $$
DECLARE
    sign integer := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    INSERT INTO measure_changes (day, business_category, questions, enhanced, from_elsewhere,
                                 confidence_added)
    SELECT (e.created_at AT TIME ZONE 'UTC')::date, e.business_category, sign * sum(m.questions),
           sign * sum(m.enhanced), sign * sum(m.from_elsewhere), sign * sum(m.confidence_added)
      FROM changed e
     CROSS JOIN LATERAL question_measures(
           e.no_match_reason, e.holdout, e.business_category, e.advised_category,
           e.base_confidence, e.confidence) m
     GROUP BY 1, 2;
    RETURN NULL;
END $$;

CREATE FUNCTION append_observation_measures() RETURNS trigger
LANGUAGE plpgsql SET plan_cache_mode = auto AS $$
DECLARE
    sign integer := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    INSERT INTO measure_changes (
        day, business_category, observations, advised_outcomes, advised_successes,
        advised_measured, advised_revenue, advised_retention_known, advised_retained,
        held_out_outcomes, held_out_successes, held_out_retention_known, held_out_retained)
    SELECT (o.occurred_time AT TIME ZONE 'UTC')::date, o.business_category,
           sign * sum(m.observations), sign * sum(m.advised_outcomes),
           sign * sum(m.advised_successes), sign * sum(m.advised_measured),
           sign * sum(m.advised_revenue), sign * sum(m.advised_retention_known),
           sign * sum(m.advised_retained), sign * sum(m.held_out_outcomes),
           sign * sum(m.held_out_successes), sign * sum(m.held_out_retention_known),
           sign * sum(m.held_out_retained)
      FROM changed o LEFT JOIN enhancements e ON e.id = o.enhancement_id
     CROSS JOIN LATERAL observation_measures(
           o.success, o.revenue_impact, o.customer_retained,
           e.id IS NOT NULL AND e.no_match_reason IS NULL, coalesce(e.holdout, false)) m
     GROUP BY 1, 2;
    RETURN NULL;
END $$;

-- The next two first look whether they would change anything: an upsert would lock the row either way,
-- and make calls of one account or pattern wait for each other. The advice that is there already is
-- kept from ForgetAccount until this commits, or it would not see this one when it counts anew.

CREATE FUNCTION note_question() RETURNS trigger
LANGUAGE plpgsql SET plan_cache_mode = auto AS $$
DECLARE
    advised boolean := NEW.no_match_reason IS NULL;
    today   date := (NEW.created_at AT TIME ZONE 'UTC')::date;
BEGIN
    IF advised AND NEW.pattern_id IS NOT NULL THEN
        PERFORM FROM pattern_advice a
          WHERE a.pattern_id = NEW.pattern_id AND a.business_category = NEW.business_category
            AND a.first_advised_time <= NEW.created_at FOR KEY SHARE;
        IF NOT FOUND THEN
            INSERT INTO pattern_advice AS a (pattern_id, business_category, first_advised_time)
            VALUES (NEW.pattern_id, NEW.business_category, NEW.created_at)
            ON CONFLICT (pattern_id, business_category) DO UPDATE
               SET first_advised_time = least(a.first_advised_time, excluded.first_advised_time);
        END IF;
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

CREATE FUNCTION note_observation() RETURNS trigger
LANGUAGE plpgsql SET plan_cache_mode = auto AS $$
DECLARE
    given    enhancements;
    advised  boolean := false;
    held_out boolean := false;
    today    date := (NEW.occurred_time AT TIME ZONE 'UTC')::date;
    noted    account_milestones;
BEGIN
    IF NEW.enhancement_id IS NOT NULL THEN
        SELECT * INTO given FROM enhancements e WHERE e.id = NEW.enhancement_id;
        advised := given.no_match_reason IS NULL;
        held_out := given.holdout;
    END IF;
    IF advised AND given.pattern_id IS NOT NULL THEN
        UPDATE pattern_advice a
           SET last_outcome_time = greatest(a.last_outcome_time, NEW.occurred_time),
               revenue = a.revenue + coalesce(NEW.revenue_impact, 0)::numeric
         WHERE a.pattern_id = given.pattern_id AND a.business_category = given.business_category;
        UPDATE pattern_advice a
           SET outcomes = a.outcomes + 1, successes = a.successes + NEW.success::integer,
               expected = a.expected + millionths(given.expected_success_rate),
               variance = a.variance + millionths(given.expected_success_rate
                                                  * (1 - given.expected_success_rate)),
               deviation = a.deviation + millionths(given.expected_deviation)
         WHERE a.pattern_id = given.pattern_id AND a.business_category = given.business_category
           AND given.expected_deviation IS NOT NULL;
    END IF;
    noted.last_active_day := today;
    SELECT NEW.occurred_time INTO noted.first_success_time FROM accounts a
     WHERE a.account_key = NEW.account_key AND NEW.success AND NEW.occurred_time >= a.joined_time;
    IF advised THEN
        noted.last_advised_day := today;
        noted.last_revenue_day := CASE WHEN NEW.revenue_impact IS NOT NULL THEN today END;
        noted.last_advised_retention_day := CASE WHEN NEW.customer_retained IS NOT NULL THEN today END;
    ELSIF held_out THEN
        noted.last_held_out_day := today;
        noted.last_held_out_retention_day := CASE WHEN NEW.customer_retained IS NOT NULL THEN today END;
    END IF;
    IF NOT EXISTS (
        SELECT FROM account_milestones m
         WHERE m.account_key = NEW.account_key AND m.last_active_day >= today
           AND coalesce(m.first_success_time <= noted.first_success_time,
                        noted.first_success_time IS NULL)
           AND coalesce(m.last_advised_day >= noted.last_advised_day,
                        noted.last_advised_day IS NULL)
           AND coalesce(m.last_revenue_day >= noted.last_revenue_day,
                        noted.last_revenue_day IS NULL)
           AND coalesce(m.last_advised_retention_day >= noted.last_advised_retention_day,
                        noted.last_advised_retention_day IS NULL)
           AND coalesce(m.last_held_out_day >= noted.last_held_out_day,
                        noted.last_held_out_day IS NULL)
           AND coalesce(m.last_held_out_retention_day >= noted.last_held_out_retention_day,
                        noted.last_held_out_retention_day IS NULL))
    THEN
        INSERT INTO account_milestones AS m (
            account_key, first_success_time, last_active_day, last_advised_day, last_revenue_day,
            last_advised_retention_day, last_held_out_day, last_held_out_retention_day)
        VALUES (NEW.account_key, noted.first_success_time, today, noted.last_advised_day,
                noted.last_revenue_day, noted.last_advised_retention_day,
                noted.last_held_out_day, noted.last_held_out_retention_day)
        ON CONFLICT (account_key) DO UPDATE
           SET first_success_time = least(m.first_success_time, excluded.first_success_time),
               last_active_day = greatest(m.last_active_day, excluded.last_active_day),
               last_advised_day = greatest(m.last_advised_day, excluded.last_advised_day),
               last_revenue_day = greatest(m.last_revenue_day, excluded.last_revenue_day),
               last_advised_retention_day =
                   greatest(m.last_advised_retention_day, excluded.last_advised_retention_day),
               last_held_out_day = greatest(m.last_held_out_day, excluded.last_held_out_day),
               last_held_out_retention_day =
                   greatest(m.last_held_out_retention_day, excluded.last_held_out_retention_day);
    END IF;
    RETURN NULL;
END $$;

-- ForgetAccount deletes one account's rows. Its milestones go with its own row; the advice of the
-- patterns that it asked for is counted anew. Locked first and read after, so that what commits in
-- between is seen.
CREATE FUNCTION recount_advice(patterns uuid[], categories text[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM pattern_advice a
       JOIN unnest(patterns, categories) AS p (pattern_id, business_category)
      USING (pattern_id, business_category)
      ORDER BY a.pattern_id, a.business_category FOR UPDATE OF a;
    UPDATE pattern_advice a
       SET first_advised_time = l.first_advised_time, last_outcome_time = l.last_outcome_time,
           revenue = l.revenue, outcomes = l.outcomes, successes = l.successes,
           expected = l.expected, variance = l.variance, deviation = l.deviation
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

CREATE FUNCTION recount_deleted_advice() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    patterns   uuid[];
    categories text[];
BEGIN
    IF TG_TABLE_NAME = 'enhancements' THEN
        SELECT array_agg(pattern_id), array_agg(business_category) INTO patterns, categories
          FROM (SELECT DISTINCT pattern_id, business_category FROM changed
                 WHERE pattern_id IS NOT NULL AND no_match_reason IS NULL) pairs;
    ELSE
        SELECT array_agg(pattern_id), array_agg(business_category) INTO patterns, categories
          FROM (SELECT DISTINCT e.pattern_id, e.business_category
                  FROM changed o JOIN enhancements e ON e.id = o.enhancement_id
                 WHERE e.pattern_id IS NOT NULL AND e.no_match_reason IS NULL) pairs;
    END IF;
    IF patterns IS NOT NULL THEN
        PERFORM recount_advice(patterns, categories);
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER measure_inserted AFTER INSERT ON enhancements REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION append_question_measures();
CREATE TRIGGER measure_deleted AFTER DELETE ON enhancements REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION append_question_measures();
CREATE TRIGGER measure_inserted AFTER INSERT ON observations REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION append_observation_measures();
CREATE TRIGGER measure_deleted AFTER DELETE ON observations REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION append_observation_measures();
CREATE TRIGGER note_inserted AFTER INSERT ON enhancements
    FOR EACH ROW EXECUTE FUNCTION note_question();
CREATE TRIGGER note_inserted AFTER INSERT ON observations
    FOR EACH ROW EXECUTE FUNCTION note_observation();
CREATE TRIGGER recount_deleted AFTER DELETE ON enhancements REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION recount_deleted_advice();
CREATE TRIGGER recount_deleted AFTER DELETE ON observations REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION recount_deleted_advice();

-- Counts everything anew, and returns how many days, patterns and accounts were wrong. The caller keeps
-- writers away.
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

    wrong := wrong + (SELECT count(DISTINCT (pattern_id, business_category)) FROM (
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

SELECT rebuild_measures();
