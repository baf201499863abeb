-- Metrics count what accounts that count did, in their line of business, and outcomes in steps: those of an account
-- wait until there are as many of one kind (of advice, held out, captured) as a step has, and count together then, on
-- the day of the last. So no report tells what one outcome changed, and no day or window divides a step.

-- How many; every start writes the setting (storage/evidence/rebuild.py).
ALTER TABLE evidence_settings ADD COLUMN step integer NOT NULL DEFAULT 1;

ALTER TABLE observations
    ADD COLUMN measured_day date;                -- the day on which it counts; null: it waits
ALTER TABLE enhancements
    ADD COLUMN measured boolean NOT NULL DEFAULT false;

UPDATE enhancements e SET measured = true
  FROM accounts a WHERE a.account_key = e.account_key AND a.qualified
                    AND a.business_category = e.business_category;
UPDATE observations o SET measured_day = (o.occurred_time AT TIME ZONE 'UTC')::date
  FROM accounts a WHERE a.account_key = o.account_key AND a.qualified
                    AND a.business_category = o.business_category;
CREATE INDEX observations_unmeasured ON observations (account_key) WHERE measured_day IS NULL;

CREATE FUNCTION two_digits(amount double precision) RETURNS numeric
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN amount = 0 THEN 0
                ELSE round(amount::numeric, 1 - floor(log(abs(amount::numeric)))::integer) END
$$;

-- As before, but revenue in two significant digits.
CREATE OR REPLACE FUNCTION observation_measures(
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

CREATE OR REPLACE VIEW ledger_measures AS
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
  FROM (SELECT o.measured_day AS day, o.business_category,
               m.observations, 0 AS questions, 0 AS enhanced, 0 AS from_elsewhere,
               0::numeric AS confidence_added, m.advised_outcomes, m.advised_successes,
               m.advised_measured, m.advised_revenue, m.advised_retention_known,
               m.advised_retained, m.held_out_outcomes, m.held_out_successes,
               m.held_out_retention_known, m.held_out_retained
          FROM observations o LEFT JOIN enhancements e ON e.id = o.enhancement_id
         CROSS JOIN LATERAL observation_measures(
               o.success, o.net_revenue, o.customer_retained,
               e.id IS NOT NULL AND e.no_match_reason IS NULL, coalesce(e.holdout, false)) m
         WHERE o.measured_day IS NOT NULL
        UNION ALL
        SELECT (e.created_at AT TIME ZONE 'UTC')::date, e.business_category, 0, m.questions,
               m.enhanced, m.from_elsewhere, m.confidence_added, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
          FROM enhancements e
         CROSS JOIN LATERAL question_measures(
               e.no_match_reason, e.holdout, e.business_category, e.advised_category,
               e.base_confidence, e.confidence) m
         WHERE e.measured) counted
 GROUP BY 1, 2 HAVING sum(observations) <> 0 OR sum(questions) <> 0;

-- What came of each pattern's advice counts as it comes: many patterns of several scopes in one transaction would
-- wait for each other. Reports round it.
CREATE OR REPLACE VIEW ledger_advice AS
SELECT e.pattern_id, e.business_category, min(e.created_at) AS first_advised_time,
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
  FROM enhancements e LEFT JOIN observations o ON o.enhancement_id = e.id
 CROSS JOIN LATERAL (SELECT o.id IS NOT NULL AND e.expected_deviation IS NOT NULL AS judged) j
 WHERE e.pattern_id IS NOT NULL AND e.no_match_reason IS NULL AND e.measured
 GROUP BY 1, 2;

-- The triggers that append changes pass over what does not count.
DO $$
DECLARE
    body text;
BEGIN
    body := pg_get_functiondef('append_observation_measures'::regproc);
    body := replace(body, '(o.occurred_time AT TIME ZONE ''UTC'')::date', 'o.measured_day');
    body := replace(body, '     GROUP BY 1, 2;', '     WHERE o.measured_day IS NOT NULL GROUP BY 1, 2;');
    EXECUTE body;
    body := pg_get_functiondef('append_question_measures'::regproc);
    EXECUTE replace(body, '     GROUP BY 1, 2;', '     WHERE e.measured GROUP BY 1, 2;');
    body := pg_get_functiondef('note_question'::regproc);
    EXECUTE replace(body, 'IF advised AND NEW.pattern_id IS NOT NULL THEN',
                    'IF advised AND NEW.measured AND NEW.pattern_id IS NOT NULL THEN');
    body := pg_get_functiondef('note_observation'::regproc);
    body := replace(body, 'coalesce(NEW.net_revenue, 0)::numeric',
                    'coalesce(two_digits(NEW.net_revenue), 0)');
    EXECUTE replace(body, 'IF advised AND given.pattern_id IS NOT NULL THEN',
                    'IF advised AND given.measured AND given.pattern_id IS NOT NULL THEN');
    body := pg_get_functiondef('recount_advice'::regproc);
    EXECUTE replace(body, 'AND e.no_match_reason IS NULL)',
                    'AND e.no_match_reason IS NULL AND e.measured)');
END $$;

-- Whether what the account does in this line of business counts. Waits for whoever changes that, as the foreign key
-- does a moment later.
CREATE FUNCTION is_measured(key text, category text) RETURNS boolean
LANGUAGE plpgsql SET plan_cache_mode = auto AS $$
DECLARE
    counts boolean;
BEGIN
    SELECT a.qualified AND a.business_category = category INTO counts
      FROM accounts a WHERE a.account_key = key FOR KEY SHARE;
    RETURN coalesce(counts, false);
END $$;

CREATE FUNCTION measure_question() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.measured := is_measured(NEW.account_key, NEW.business_category);
    RETURN NEW;
END $$;
CREATE TRIGGER measure_question BEFORE INSERT ON enhancements
    FOR EACH ROW EXECUTE FUNCTION measure_question();

-- Which kind an observation is of: outcomes of one kind make a step.
CREATE FUNCTION measured_kind(enhancement uuid) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT CASE WHEN e.holdout THEN 'held out' WHEN e.no_match_reason IS NULL THEN 'advised' END
                       FROM enhancements e WHERE e.id = enhancement), 'captured')
$$;

-- An interim outcome waits for the one that takes its place: the change from one to the other would tell both.
CREATE FUNCTION measure_outcome() RETURNS trigger
LANGUAGE plpgsql SET plan_cache_mode = auto AS $$
DECLARE
    step    integer := coalesce((SELECT s.step FROM evidence_settings s), 1);
    waiting uuid[];
BEGIN
    NEW.measured_day := NULL;
    IF NOT is_measured(NEW.account_key, NEW.business_category) OR (step > 1 AND NOT NEW.final) THEN
        RETURN NEW;
    END IF;
    -- Whoever counts them at this moment holds them, and nobody waits: they are left to a later step.
    IF step > 1 THEN
        SELECT array_agg(id) INTO waiting FROM (
            SELECT o.id FROM observations o
             WHERE o.account_key = NEW.account_key AND o.measured_day IS NULL AND o.final
               AND o.business_category = NEW.business_category
               AND measured_kind(o.enhancement_id) = measured_kind(NEW.enhancement_id)
               FOR NO KEY UPDATE OF o SKIP LOCKED) free;
        IF coalesce(cardinality(waiting), 0) + 1 < step THEN
            RETURN NEW;
        END IF;
    END IF;
    NEW.measured_day := greatest(
        (NEW.occurred_time AT TIME ZONE 'UTC')::date,
        (SELECT max((o.occurred_time AT TIME ZONE 'UTC')::date) FROM observations o
          WHERE o.id = ANY (waiting)));
    UPDATE observations o SET measured_day = NEW.measured_day WHERE o.id = ANY (waiting);
    RETURN NEW;
END $$;
CREATE TRIGGER measure_outcome BEFORE INSERT ON observations
    FOR EACH ROW EXECUTE FUNCTION measure_outcome();

-- What begins or ceases to count later.
CREATE FUNCTION append_changed_outcome() RETURNS trigger
LANGUAGE plpgsql SET plan_cache_mode = auto AS $$
BEGIN
    INSERT INTO measure_changes (
        day, business_category, observations, advised_outcomes, advised_successes,
        advised_measured, advised_revenue, advised_retention_known, advised_retained,
        held_out_outcomes, held_out_successes, held_out_retention_known, held_out_retained)
    SELECT c.day, NEW.business_category, c.sign * m.observations, c.sign * m.advised_outcomes,
           c.sign * m.advised_successes, c.sign * m.advised_measured, c.sign * m.advised_revenue,
           c.sign * m.advised_retention_known, c.sign * m.advised_retained,
           c.sign * m.held_out_outcomes, c.sign * m.held_out_successes,
           c.sign * m.held_out_retention_known, c.sign * m.held_out_retained
      FROM (VALUES (OLD.measured_day, -1), (NEW.measured_day, 1)) c(day, sign)
      LEFT JOIN enhancements e ON e.id = NEW.enhancement_id
     CROSS JOIN LATERAL observation_measures(
           NEW.success, NEW.net_revenue, NEW.customer_retained,
           e.id IS NOT NULL AND e.no_match_reason IS NULL, coalesce(e.holdout, false)) m
     WHERE c.day IS NOT NULL;
    RETURN NULL;
END $$;
CREATE TRIGGER measure_changed AFTER UPDATE OF measured_day ON observations
    FOR EACH ROW WHEN (OLD.measured_day IS DISTINCT FROM NEW.measured_day)
    EXECUTE FUNCTION append_changed_outcome();

CREATE FUNCTION append_changed_question() RETURNS trigger
LANGUAGE plpgsql SET plan_cache_mode = auto AS $$
DECLARE
    sign integer := CASE WHEN NEW.measured THEN 1 ELSE -1 END;
BEGIN
    INSERT INTO measure_changes (day, business_category, questions, enhanced, from_elsewhere,
                                 confidence_added)
    SELECT (NEW.created_at AT TIME ZONE 'UTC')::date, NEW.business_category, sign * m.questions,
           sign * m.enhanced, sign * m.from_elsewhere, sign * m.confidence_added
      FROM question_measures(
           NEW.no_match_reason, NEW.holdout, NEW.business_category, NEW.advised_category,
           NEW.base_confidence, NEW.confidence) m;
    RETURN NULL;
END $$;
CREATE TRIGGER measure_changed AFTER UPDATE OF measured ON enhancements
    FOR EACH ROW WHEN (OLD.measured IS DISTINCT FROM NEW.measured)
    EXECUTE FUNCTION append_changed_question();

-- An account begins or ceases to count, or is in another line of business. Its row is owned by the caller.
CREATE FUNCTION measure_account() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    step       integer := coalesce((SELECT s.step FROM evidence_settings s), 1);
    patterns   uuid[];
    categories text[];
BEGIN
    UPDATE enhancements e SET measured = NOT e.measured
     WHERE e.account_key = NEW.account_key
       AND e.measured <> (NEW.qualified AND NEW.business_category = e.business_category);
    UPDATE observations o SET measured_day = NULL
     WHERE o.account_key = NEW.account_key AND o.measured_day IS NOT NULL
       AND NOT (NEW.qualified AND NEW.business_category = o.business_category);
    UPDATE observations o SET measured_day = s.day
      FROM (SELECT id, n, number_of, max(day) OVER (PARTITION BY kind, (n - 1) / step) AS day
              FROM (SELECT id, kind, day, count(*) OVER (PARTITION BY kind) AS number_of,
                           row_number() OVER (PARTITION BY kind ORDER BY occurred_time, id) AS n
                      FROM (SELECT w.id, w.occurred_time, measured_kind(w.enhancement_id) AS kind,
                                   (w.occurred_time AT TIME ZONE 'UTC')::date AS day
                              FROM observations w
                             WHERE w.account_key = NEW.account_key AND w.measured_day IS NULL
                               AND (w.final OR step = 1) AND NEW.qualified
                               AND w.business_category = NEW.business_category) waiting) numbered
           ) s
     WHERE o.id = s.id AND ((s.n - 1) / step + 1) * step <= s.number_of;

    SELECT array_agg(pattern_id), array_agg(business_category) INTO patterns, categories
      FROM (SELECT DISTINCT e.pattern_id, e.business_category FROM enhancements e
             WHERE e.account_key = NEW.account_key AND e.pattern_id IS NOT NULL
               AND e.no_match_reason IS NULL ORDER BY 1, 2) pairs;
    IF patterns IS NOT NULL THEN
        INSERT INTO pattern_advice (pattern_id, business_category, first_advised_time)
        SELECT e.pattern_id, e.business_category, min(e.created_at) FROM enhancements e
         WHERE e.account_key = NEW.account_key AND e.pattern_id = ANY (patterns)
           AND e.no_match_reason IS NULL AND e.measured
         GROUP BY 1, 2 ORDER BY 1, 2
        ON CONFLICT DO NOTHING;
        PERFORM recount_advice(patterns, categories);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER measure_account AFTER UPDATE OF qualified, business_category ON accounts
    FOR EACH ROW WHEN ((OLD.qualified, OLD.business_category)
                       IS DISTINCT FROM (NEW.qualified, NEW.business_category))
    EXECUTE FUNCTION measure_account();

SELECT rebuild_measures();
