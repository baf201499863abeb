-- Triggers that keep the measures of 07_measures.sql, so that no path into or out of the ledger can forget to. The
-- pool's sessions plan every statement anew (keeper_grpc/storage/database.py), which here would cost more than running
-- it: hence plan_cache_mode.

-- Questions.

-- Whether what the account does in this line of business counts. Waits for whoever changes that, as the foreign key
-- does a moment later.
CREATE FUNCTION is_measured(key text, category text) RETURNS boolean LANGUAGE plpgsql SET plan_cache_mode = auto AS $$
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

CREATE FUNCTION append_question_measures() RETURNS trigger LANGUAGE plpgsql SET plan_cache_mode = auto AS $$
DECLARE
    sign integer := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    INSERT INTO measure_changes (day, business_category, questions, enhanced, from_elsewhere,
                                 confidence_added, exploration_loss)
    SELECT (e.created_at AT TIME ZONE 'UTC')::date, e.business_category, sign * sum(m.questions),
           sign * sum(m.enhanced), sign * sum(m.from_elsewhere), sign * sum(m.confidence_added),
           sign * sum(m.exploration_loss)
      FROM changed e
     CROSS JOIN LATERAL question_measures(
           e.no_match_reason, e.holdout, e.business_category, e.advised_category,
           e.base_confidence, e.confidence, e.exploration_loss) m
     WHERE e.measured GROUP BY 1, 2;
    RETURN NULL;
END $$;
CREATE TRIGGER measure_inserted AFTER INSERT ON enhancements REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION append_question_measures();
CREATE TRIGGER measure_deleted AFTER DELETE ON enhancements REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION append_question_measures();

-- What begins or ceases to count later.
CREATE FUNCTION append_changed_question() RETURNS trigger LANGUAGE plpgsql SET plan_cache_mode = auto AS $$
DECLARE
    sign integer := CASE WHEN NEW.measured THEN 1 ELSE -1 END;
BEGIN
    INSERT INTO measure_changes (day, business_category, questions, enhanced, from_elsewhere,
                                 confidence_added, exploration_loss)
    SELECT (NEW.created_at AT TIME ZONE 'UTC')::date, NEW.business_category, sign * m.questions,
           sign * m.enhanced, sign * m.from_elsewhere, sign * m.confidence_added,
           sign * m.exploration_loss
      FROM question_measures(
           NEW.no_match_reason, NEW.holdout, NEW.business_category, NEW.advised_category,
           NEW.base_confidence, NEW.confidence, NEW.exploration_loss) m;
    RETURN NULL;
END $$;
CREATE TRIGGER measure_changed AFTER UPDATE OF measured ON enhancements
    FOR EACH ROW WHEN (OLD.measured IS DISTINCT FROM NEW.measured)
    EXECUTE FUNCTION append_changed_question();

-- This one and note_observation first look whether they would change anything: an upsert would lock the row either
-- way, and make calls of one account or pattern wait for each other. The advice that is there already is kept from
-- ForgetAccount until this commits, or it would not see this one when it counts anew.
CREATE FUNCTION note_question() RETURNS trigger LANGUAGE plpgsql SET plan_cache_mode = auto AS $$
DECLARE
    advised boolean := NEW.no_match_reason IS NULL;
    asked   boolean := NOT NEW.holdout;
    today   date := (NEW.created_at AT TIME ZONE 'UTC')::date;
BEGIN
    IF advised AND NEW.measured AND NEW.pattern_id IS NOT NULL THEN
        PERFORM FROM pattern_advice a
          WHERE a.scope_id = NEW.advised_scope_id AND a.pattern_id = NEW.pattern_id AND a.business_category = NEW.business_category
            AND a.first_advised_time <= NEW.created_at FOR KEY SHARE;
        IF NOT FOUND THEN
            INSERT INTO pattern_advice AS a (scope_id, pattern_id, business_category, first_advised_time)
            VALUES (NEW.advised_scope_id, NEW.pattern_id, NEW.business_category, NEW.created_at)
            ON CONFLICT (scope_id, pattern_id, business_category) DO UPDATE
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
CREATE TRIGGER note_inserted AFTER INSERT ON enhancements
    FOR EACH ROW EXECUTE FUNCTION note_question();

-- Outcomes.

-- Which kind an observation is of: outcomes of one kind make a step.
CREATE FUNCTION measured_kind(scope bigint, enhancement uuid) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT CASE WHEN e.holdout THEN 'held out' WHEN e.no_match_reason IS NULL THEN 'advised' END
                       FROM enhancements e WHERE e.scope_id = scope AND e.id = enhancement), 'captured')
$$;

-- An interim outcome waits for the one that takes its place: the change from one to the other would tell both.
CREATE FUNCTION measure_outcome() RETURNS trigger LANGUAGE plpgsql SET plan_cache_mode = auto AS $$
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
               AND measured_kind(o.scope_id, o.enhancement_id) = measured_kind(NEW.scope_id, NEW.enhancement_id)
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

CREATE FUNCTION append_observation_measures() RETURNS trigger LANGUAGE plpgsql SET plan_cache_mode = auto AS $$
DECLARE
    sign integer := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
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
      FROM changed o LEFT JOIN enhancements e ON e.scope_id = o.scope_id AND e.id = o.enhancement_id
     CROSS JOIN LATERAL observation_measures(
           o.success, o.net_revenue, o.customer_retained,
           e.id IS NOT NULL AND e.no_match_reason IS NULL, coalesce(e.holdout, false)) m
     WHERE o.measured_day IS NOT NULL GROUP BY 1, 2;
    RETURN NULL;
END $$;
CREATE TRIGGER measure_inserted AFTER INSERT ON observations REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION append_observation_measures();
CREATE TRIGGER measure_deleted AFTER DELETE ON observations REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION append_observation_measures();

-- What begins or ceases to count later.
CREATE FUNCTION append_changed_outcome() RETURNS trigger LANGUAGE plpgsql SET plan_cache_mode = auto AS $$
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
      LEFT JOIN enhancements e ON e.scope_id = NEW.scope_id AND e.id = NEW.enhancement_id
     CROSS JOIN LATERAL observation_measures(
           NEW.success, NEW.net_revenue, NEW.customer_retained,
           e.id IS NOT NULL AND e.no_match_reason IS NULL, coalesce(e.holdout, false)) m
     WHERE c.day IS NOT NULL;
    RETURN NULL;
END $$;
CREATE TRIGGER measure_changed AFTER UPDATE OF measured_day ON observations
    FOR EACH ROW WHEN (OLD.measured_day IS DISTINCT FROM NEW.measured_day)
    EXECUTE FUNCTION append_changed_outcome();

CREATE FUNCTION note_observation() RETURNS trigger LANGUAGE plpgsql SET plan_cache_mode = auto AS $$
DECLARE
    given    enhancements;
    advised  boolean := false;
    held_out boolean := false;
    today    date := (NEW.occurred_time AT TIME ZONE 'UTC')::date;
    noted    account_milestones;
BEGIN
    IF NEW.enhancement_id IS NOT NULL THEN
        SELECT * INTO given FROM enhancements e WHERE e.scope_id = NEW.scope_id AND e.id = NEW.enhancement_id;
        advised := given.no_match_reason IS NULL;
        held_out := given.holdout;
    END IF;
    IF advised AND given.measured AND given.pattern_id IS NOT NULL THEN
        UPDATE pattern_advice a
           SET last_outcome_time = greatest(a.last_outcome_time, NEW.occurred_time),
               revenue = a.revenue + coalesce(two_digits(NEW.net_revenue), 0)
         WHERE a.scope_id = given.advised_scope_id AND a.pattern_id = given.pattern_id AND a.business_category = given.business_category;
        UPDATE pattern_advice a
           SET outcomes = a.outcomes + 1, successes = a.successes + NEW.success::integer,
               expected = a.expected + millionths(given.expected_success_rate),
               variance = a.variance + millionths(given.expected_success_rate
                                                  * (1 - given.expected_success_rate)),
               deviation = a.deviation + millionths(given.expected_deviation)
         WHERE a.scope_id = given.advised_scope_id AND a.pattern_id = given.pattern_id AND a.business_category = given.business_category
           AND given.expected_deviation IS NOT NULL;
    END IF;
    SELECT NEW.occurred_time INTO noted.first_success_time FROM accounts a
     WHERE a.account_key = NEW.account_key AND NEW.success AND NEW.occurred_time >= a.joined_time;
    IF advised THEN
        noted.last_advised_day := today;
        noted.last_revenue_day := CASE WHEN NEW.net_revenue IS NOT NULL THEN today END;
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
CREATE TRIGGER note_inserted AFTER INSERT ON observations
    FOR EACH ROW EXECUTE FUNCTION note_observation();

-- Accounts.

-- ForgetAccount deletes one account's rows. Its milestones go with its own row; the advice of the patterns that it
-- asked for is counted anew.
CREATE FUNCTION recount_deleted_advice() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    scopes     bigint[];
    patterns   uuid[];
    categories text[];
BEGIN
    IF TG_TABLE_NAME = 'enhancements' THEN
        SELECT array_agg(advised_scope_id), array_agg(pattern_id), array_agg(business_category)
          INTO scopes, patterns, categories
          FROM (SELECT DISTINCT advised_scope_id, pattern_id, business_category FROM changed
                 WHERE pattern_id IS NOT NULL AND no_match_reason IS NULL) pairs;
    ELSE
        SELECT array_agg(advised_scope_id), array_agg(pattern_id), array_agg(business_category)
          INTO scopes, patterns, categories
          FROM (SELECT DISTINCT e.advised_scope_id, e.pattern_id, e.business_category
                  FROM changed o JOIN enhancements e ON e.scope_id = o.scope_id AND e.id = o.enhancement_id
                 WHERE e.pattern_id IS NOT NULL AND e.no_match_reason IS NULL) pairs;
    END IF;
    IF patterns IS NOT NULL THEN
        PERFORM recount_advice(scopes, patterns, categories);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER recount_deleted AFTER DELETE ON enhancements REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION recount_deleted_advice();
CREATE TRIGGER recount_deleted AFTER DELETE ON observations REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION recount_deleted_advice();

-- An account begins or ceases to count, or is in another line of business. Its row is owned by the caller.
CREATE FUNCTION measure_account() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    step       integer := coalesce((SELECT s.step FROM evidence_settings s), 1);
    scopes     bigint[];
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
      FROM (SELECT scope_id, id, n, number_of, max(day) OVER (PARTITION BY kind, (n - 1) / step) AS day
              FROM (SELECT scope_id, id, kind, day, count(*) OVER (PARTITION BY kind) AS number_of,
                           row_number() OVER (PARTITION BY kind ORDER BY occurred_time, id) AS n
                      FROM (SELECT w.scope_id, w.id, w.occurred_time, measured_kind(w.scope_id, w.enhancement_id) AS kind,
                                   (w.occurred_time AT TIME ZONE 'UTC')::date AS day
                              FROM observations w
                             WHERE w.account_key = NEW.account_key AND w.measured_day IS NULL
                               AND (w.final OR step = 1) AND NEW.qualified
                               AND w.business_category = NEW.business_category) waiting) numbered
           ) s
     WHERE o.scope_id = s.scope_id AND o.id = s.id AND ((s.n - 1) / step + 1) * step <= s.number_of;

    SELECT array_agg(advised_scope_id), array_agg(pattern_id), array_agg(business_category)
          INTO scopes, patterns, categories
      FROM (SELECT DISTINCT e.advised_scope_id, e.pattern_id, e.business_category FROM enhancements e
             WHERE e.account_key = NEW.account_key AND e.pattern_id IS NOT NULL
               AND e.no_match_reason IS NULL ORDER BY 1, 2, 3) pairs;
    IF patterns IS NOT NULL THEN
        INSERT INTO pattern_advice (scope_id, pattern_id, business_category, first_advised_time)
        SELECT e.advised_scope_id, e.pattern_id, e.business_category, min(e.created_at)
          FROM enhancements e
          JOIN network_patterns p ON p.scope_id = e.advised_scope_id AND p.id = e.pattern_id
         WHERE e.account_key = NEW.account_key AND e.pattern_id = ANY (patterns)
           AND e.no_match_reason IS NULL AND e.measured
         GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
        ON CONFLICT DO NOTHING;
        PERFORM recount_advice(scopes, patterns, categories);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER measure_account AFTER UPDATE OF qualified, business_category ON accounts
    FOR EACH ROW WHEN ((OLD.qualified, OLD.business_category)
                       IS DISTINCT FROM (NEW.qualified, NEW.business_category))
    EXECUTE FUNCTION measure_account();
