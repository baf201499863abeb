-- How many accounts asked, were given advice, and observed something within a window, so that no number of
-- questions, of advice or of discoveries is of fewer than k accounts. As the other days of
-- account_milestones (0009).

ALTER TABLE account_milestones
    ADD COLUMN last_asked_day    date,           -- a question that was not held out
    ADD COLUMN last_enhanced_day date,           -- advice was given
    ADD COLUMN last_observed_day date;

CREATE OR REPLACE VIEW ledger_milestones AS
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
       observed.held_out_retention_day AS last_held_out_retention_day,
       asked.asked_day AS last_asked_day, asked.enhanced_day AS last_enhanced_day,
       observed.last_day AS last_observed_day
  FROM asked FULL JOIN observed USING (account_key);

CREATE OR REPLACE FUNCTION note_question() RETURNS trigger
LANGUAGE plpgsql SET plan_cache_mode = auto AS $$
DECLARE
    advised boolean := NEW.no_match_reason IS NULL;
    asked   boolean := NOT NEW.holdout;
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
           AND (NOT asked OR m.last_asked_day >= today)
           AND (NOT advised OR (m.first_advised_time <= NEW.created_at
                                AND m.last_enhanced_day >= today)))
    THEN
        INSERT INTO account_milestones AS m (
            account_key, first_asked_time, first_asked_enhanced, first_advised_time,
            last_active_day, last_asked_day, last_enhanced_day)
        VALUES (NEW.account_key, NEW.created_at, advised,
                CASE WHEN advised THEN NEW.created_at END, today, CASE WHEN asked THEN today END,
                CASE WHEN advised THEN today END)
        ON CONFLICT (account_key) DO UPDATE
           SET first_asked_time = least(m.first_asked_time, excluded.first_asked_time),
               first_asked_enhanced =
                   coalesce(least(m.first_advised_time, excluded.first_advised_time)
                            = least(m.first_asked_time, excluded.first_asked_time), false),
               first_advised_time = least(m.first_advised_time, excluded.first_advised_time),
               last_active_day = greatest(m.last_active_day, excluded.last_active_day),
               last_asked_day = greatest(m.last_asked_day, excluded.last_asked_day),
               last_enhanced_day = greatest(m.last_enhanced_day, excluded.last_enhanced_day);
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION note_observation() RETURNS trigger
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
         WHERE m.account_key = NEW.account_key
           -- Whoever observed on a day was active on it.
           AND m.last_observed_day >= today
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
            account_key, first_success_time, last_active_day, last_observed_day,
            last_advised_day, last_revenue_day, last_advised_retention_day, last_held_out_day,
            last_held_out_retention_day)
        VALUES (NEW.account_key, noted.first_success_time, today, today, noted.last_advised_day,
                noted.last_revenue_day, noted.last_advised_retention_day,
                noted.last_held_out_day, noted.last_held_out_retention_day)
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
    END IF;
    RETURN NULL;
END $$;

UPDATE account_milestones m
   SET last_asked_day = l.last_asked_day, last_enhanced_day = l.last_enhanced_day,
       last_observed_day = l.last_observed_day
  FROM ledger_milestones l WHERE l.account_key = m.account_key;
