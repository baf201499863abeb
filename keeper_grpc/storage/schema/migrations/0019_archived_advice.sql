-- Outcomes of advice leave the ledger for Parquet files too, with their questions and reactions (docs/adr/0020). A question is
-- then rolled up as one without an outcome is (0002); what its outcome and its reactions came to stays by account here.

-- Advice of questions that are gone also has outcomes; `last_time` is of the last such question.
ALTER TABLE rolled_advice
    ADD COLUMN last_time         timestamptz,
    ADD COLUMN last_outcome_time timestamptz,
    ADD COLUMN revenue           numeric NOT NULL DEFAULT 0,
    ADD COLUMN outcomes          integer NOT NULL DEFAULT 0,
    ADD COLUMN successes         integer NOT NULL DEFAULT 0,
    ADD COLUMN expected          bigint NOT NULL DEFAULT 0,
    ADD COLUMN variance          bigint NOT NULL DEFAULT 0,
    ADD COLUMN deviation         bigint NOT NULL DEFAULT 0;
UPDATE rolled_advice SET last_time = first_time WHERE last_time IS NULL;
ALTER TABLE rolled_advice ALTER COLUMN last_time SET NOT NULL;

-- What GetAccountValue tells of archived questions beside, by the day on which they were asked: how many were held out or answered
-- by an author, their reactions, and the outcomes of advice that was given.
ALTER TABLE rolled_questions
    ADD COLUMN held_out           integer NOT NULL DEFAULT 0,
    ADD COLUMN authored           integer NOT NULL DEFAULT 0,
    ADD COLUMN shown              integer NOT NULL DEFAULT 0,
    ADD COLUMN accepted           integer NOT NULL DEFAULT 0,
    ADD COLUMN dismissed          integer NOT NULL DEFAULT 0,
    ADD COLUMN done               integer NOT NULL DEFAULT 0,
    ADD COLUMN followed           integer NOT NULL DEFAULT 0,
    ADD COLUMN followed_successes integer NOT NULL DEFAULT 0,
    ADD COLUMN revenue            double precision NOT NULL DEFAULT 0,
    ADD COLUMN revenue_count      integer NOT NULL DEFAULT 0;

-- Of a day's archived observations those that are outcomes of advice.
ALTER TABLE archived_days
    ADD COLUMN advised_outcomes         integer NOT NULL DEFAULT 0,
    ADD COLUMN advised_successes        integer NOT NULL DEFAULT 0,
    ADD COLUMN advised_measured         integer NOT NULL DEFAULT 0,
    ADD COLUMN advised_revenue          numeric NOT NULL DEFAULT 0,
    ADD COLUMN advised_retention_known  integer NOT NULL DEFAULT 0,
    ADD COLUMN advised_retained         integer NOT NULL DEFAULT 0,
    ADD COLUMN held_out_outcomes        integer NOT NULL DEFAULT 0,
    ADD COLUMN held_out_successes       integer NOT NULL DEFAULT 0,
    ADD COLUMN held_out_retention_known integer NOT NULL DEFAULT 0,
    ADD COLUMN held_out_retained        integer NOT NULL DEFAULT 0;

-- Conditions of reports, of which an account's first in a pattern is kept: a pattern of reports alone begins with them.
ALTER TABLE archived_wordings ADD COLUMN reported boolean NOT NULL DEFAULT false;

-- Archived outcomes that are in experiment_outcomes, by what was asked.
CREATE TABLE archived_experiment (
    scope_id           bigint NOT NULL,            -- of the question
    account_key        text NOT NULL REFERENCES accounts ON DELETE CASCADE,
    business_category  text NOT NULL,
    pattern_type       text NOT NULL,
    holdout_share      double precision NOT NULL,
    question           text NOT NULL,              -- `asked_alike`
    advised            integer NOT NULL,
    advised_successes  integer NOT NULL,
    held_out           integer NOT NULL,
    held_out_successes integer NOT NULL,
    followed           integer NOT NULL,
    followed_successes integer NOT NULL,
    PRIMARY KEY (account_key, scope_id, holdout_share, question)
);

-- Archived outcomes of another category's pattern (keeper_grpc/storage/advice/transfers.py).
CREATE TABLE archived_transfers (
    scope_id          bigint NOT NULL,             -- of the question
    account_key       text NOT NULL REFERENCES accounts ON DELETE CASCADE,
    business_category text NOT NULL,               -- of the question
    advised_category  text NOT NULL,
    advised_scope_id  bigint NOT NULL,
    pattern_id        uuid NOT NULL,               -- goes with its pattern (keeper_grpc/storage/patterns/deletion.py)
    trials            bigint NOT NULL,
    expected          double precision NOT NULL,
    successes         bigint NOT NULL,
    PRIMARY KEY (account_key, scope_id, advised_scope_id, pattern_id, advised_category)
);
CREATE INDEX archived_transfers_scope ON archived_transfers (scope_id);
CREATE INDEX archived_transfers_pattern ON archived_transfers (advised_scope_id, pattern_id);

-- What chance chose for archived questions (keeper_grpc/domain/evidence/off_policy.py): of one pattern's drawn scripts, or of
-- patterns that contended, where `script` is null.
CREATE TABLE archived_choices (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_key text NOT NULL REFERENCES accounts ON DELETE CASCADE,
    pattern_id  uuid NOT NULL,
    script      text,
    choices     bigint NOT NULL,
    weight      double precision NOT NULL,         -- of what was chosen: inverse propensities, their squares, successes, excess
    squares     double precision NOT NULL,
    good        double precision NOT NULL,
    excess      double precision NOT NULL,
    expected    double precision NOT NULL,
    chosen      bigint NOT NULL
);
CREATE UNIQUE INDEX archived_choices_key ON archived_choices (account_key, pattern_id, md5(coalesce('=' || script, '')));
CREATE INDEX archived_choices_pattern ON archived_choices (pattern_id);

-- Reactions to archived advice that count in the adoption, so many of an account and a day. Several rows may say the same.
CREATE TABLE archived_reactions (
    id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_key       text NOT NULL REFERENCES accounts ON DELETE CASCADE,
    advised_scope_id  bigint,
    pattern_id        uuid,                        -- null: it is gone
    business_category text NOT NULL,
    script            text NOT NULL,
    adopted           text NOT NULL,
    adopted_reason    text,
    adopted_time      timestamptz NOT NULL,        -- the midnight (UTC) before it
    reactions         bigint NOT NULL
);
CREATE INDEX archived_reactions_account ON archived_reactions (account_key, adopted_time);
CREATE INDEX archived_reactions_pattern ON archived_reactions (advised_scope_id, pattern_id);
CREATE INDEX archived_reactions_time ON archived_reactions (adopted_time);

-- How many reports of reactions to one pattern's advice went with their questions: all of them counted in steps.
CREATE TABLE archived_steps (
    account_key text NOT NULL REFERENCES accounts ON DELETE CASCADE,
    pattern_id  uuid NOT NULL,                     -- as `reactions` had it; all zeros: of none
    reactions   bigint NOT NULL,
    PRIMARY KEY (account_key, pattern_id)
);

-- Advice with a reaction that counts, wherever the question is. The time is exact to the day (UTC).
CREATE VIEW adopted_advice AS
SELECT account_key, advised_scope_id, pattern_id, business_category, script, adopted, adopted_reason, adopted_time,
       1::bigint AS reactions
  FROM enhancements WHERE adopted IS NOT NULL
UNION ALL
SELECT account_key, advised_scope_id, pattern_id, business_category, script, adopted, adopted_reason, adopted_time,
       reactions
  FROM archived_reactions;

-- Questions that are asked alike have the same; chance decides by that.
CREATE FUNCTION asked_alike(pattern_type text, business_category text, context jsonb, action text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT md5(jsonb_build_array(pattern_type, business_category, context, action)::text)
$$;

CREATE OR REPLACE VIEW said_words AS
SELECT scope_id, pattern_id, account_key, context, action, 1 AS observations, recorded_time, id, disposition = 'reported' AS reported
  FROM observations WHERE pattern_id IS NOT NULL
UNION ALL
SELECT scope_id, pattern_id, account_key, context, action, observations, first_recorded_time, first_id, reported
  FROM archived_wordings;

-- Rolls these questions up, whose accounts the caller holds, and deletes them: how many. As roll_up_questions did itself.
CREATE FUNCTION roll_up(old uuid[]) RETURNS bigint LANGUAGE plpgsql SET plan_cache_mode = auto AS $$
DECLARE
    rolled bigint;
BEGIN
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
    INSERT INTO rolled_advice AS r (account_key, scope_id, pattern_id, business_category, measured, first_time, last_time)
    SELECT g.account_key, g.advised_scope_id, g.pattern_id, g.business_category, g.measured, min(g.created_at),
           max(g.created_at)
      FROM enhancements g WHERE g.id = ANY (old) AND g.no_match_reason IS NULL AND g.pattern_id IS NOT NULL
     GROUP BY 1, 2, 3, 4, 5
    ON CONFLICT (account_key, scope_id, pattern_id, business_category, measured) DO UPDATE
       SET first_time = least(r.first_time, excluded.first_time), last_time = greatest(r.last_time, excluded.last_time);
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
    RETURN rolled;
END $$;

-- As in 0010.
CREATE OR REPLACE FUNCTION roll_up_questions(before timestamptz, most integer) RETURNS bigint
LANGUAGE plpgsql SET plan_cache_mode = auto AS $$
DECLARE
    free   text[];
    own    bigint;
    held   uuid[];
    old    uuid[];
    stays  uuid[];
    passed bigint;
BEGIN
    SELECT array_agg(o.account_key) INTO free FROM (
        SELECT account_key FROM enhancements WHERE NOT kept AND created_at < before ORDER BY created_at LIMIT most) o;
    free := free_accounts(free);
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
    RETURN passed + roll_up(ARRAY(SELECT unnest(old) EXCEPT SELECT unnest(stays)));
END $$;

-- Takes observations of one scope out of the ledger, with the questions that they answer, into the sums that stay: how many
-- observations. The caller owns the scope, and holds the accounts, the advised patterns and their advice.
CREATE FUNCTION archive_outcomes(own bigint, ids uuid[]) RETURNS bigint LANGUAGE plpgsql SET plan_cache_mode = auto AS $$
DECLARE
    asked uuid[];
    taken bigint;
BEGIN
    INSERT INTO archived_days AS d (
        account_key, business_category, measured_day, occurred_day, recorded_day, measured, observations,
        first_success_time, advised_outcomes, advised_successes, advised_measured, advised_revenue,
        advised_retention_known, advised_retained, held_out_outcomes, held_out_successes,
        held_out_retention_known, held_out_retained)
    SELECT o.account_key, o.business_category, o.measured_day, (o.occurred_time AT TIME ZONE 'UTC')::date,
           (o.recorded_time AT TIME ZONE 'UTC')::date, true, count(*),
           min(o.occurred_time) FILTER (WHERE o.success), sum(m.advised_outcomes), sum(m.advised_successes),
           sum(m.advised_measured), sum(m.advised_revenue), sum(m.advised_retention_known), sum(m.advised_retained),
           sum(m.held_out_outcomes), sum(m.held_out_successes), sum(m.held_out_retention_known),
           sum(m.held_out_retained)
      FROM observations o
      LEFT JOIN enhancements e ON e.scope_id = o.scope_id AND e.id = o.enhancement_id
     CROSS JOIN LATERAL observation_measures(
           o.success, o.net_revenue, o.customer_retained,
           e.id IS NOT NULL AND e.no_match_reason IS NULL, coalesce(e.holdout, false)) m
     WHERE o.scope_id = own AND o.id = ANY (ids) GROUP BY 1, 2, 3, 4, 5
    ON CONFLICT (account_key, business_category, measured_day, occurred_day, recorded_day) DO UPDATE
       SET observations = d.observations + excluded.observations,
           first_success_time = least(d.first_success_time, excluded.first_success_time),
           advised_outcomes = d.advised_outcomes + excluded.advised_outcomes,
           advised_successes = d.advised_successes + excluded.advised_successes,
           advised_measured = d.advised_measured + excluded.advised_measured,
           advised_revenue = d.advised_revenue + excluded.advised_revenue,
           advised_retention_known = d.advised_retention_known + excluded.advised_retention_known,
           advised_retained = d.advised_retained + excluded.advised_retained,
           held_out_outcomes = d.held_out_outcomes + excluded.held_out_outcomes,
           held_out_successes = d.held_out_successes + excluded.held_out_successes,
           held_out_retention_known = d.held_out_retention_known + excluded.held_out_retention_known,
           held_out_retained = d.held_out_retained + excluded.held_out_retained;
    SELECT array_agg(coalesce(o.enhancement_id, o.instead_of)) INTO asked FROM observations o
     WHERE o.scope_id = own AND o.id = ANY (ids) AND (o.enhancement_id IS NOT NULL OR o.instead_of IS NOT NULL);
    IF asked IS NOT NULL THEN
        PERFORM sum_answered(own, ids, asked);
        PERFORM roll_up(asked);
        DELETE FROM enhancement_outcomes x WHERE x.enhancement_id = ANY (asked);
    END IF;
    DELETE FROM observations o WHERE o.scope_id = own AND o.id = ANY (ids);
    GET DIAGNOSTICS taken = ROW_COUNT;
    RETURN taken;
END $$;

-- Adds what these questions, their reactions and their outcomes, which are of one scope, are in everything but the measures of days
-- and the evidence of patterns. A question that was not followed may be of another scope than its outcome.
CREATE FUNCTION sum_answered(own bigint, ids uuid[], asked uuid[]) RETURNS void LANGUAGE plpgsql SET plan_cache_mode = auto AS $$
BEGIN
    INSERT INTO rolled_questions AS r
    SELECT e.account_key, (e.created_at AT TIME ZONE 'UTC')::date, e.business_category, e.measured, 0, 0, 0, 0, 0,
           count(*) FILTER (WHERE e.holdout),
           count(*) FILTER (WHERE e.no_match_reason IS NOT NULL AND e.authored = 'given'),
           count(*) FILTER (WHERE e.reaction IS NOT NULL), count(*) FILTER (WHERE e.reaction IN ('accepted', 'done')),
           count(*) FILTER (WHERE e.reaction = 'dismissed'), count(*) FILTER (WHERE e.reaction = 'done'),
           count(o.id), count(o.id) FILTER (WHERE o.success), coalesce(sum(o.net_revenue), 0), count(o.net_revenue)
      FROM enhancements e
      LEFT JOIN observations o
        ON o.scope_id = e.scope_id AND o.enhancement_id = e.id AND NOT held_out(e.holdout, e.authored)
           AND had_advice(e.holdout, e.no_match_reason, e.authored)
     WHERE e.id = ANY (asked) GROUP BY 1, 2, 3, 4
    ON CONFLICT (account_key, day, business_category, measured) DO UPDATE
       SET held_out = r.held_out + excluded.held_out, authored = r.authored + excluded.authored,
           shown = r.shown + excluded.shown, accepted = r.accepted + excluded.accepted,
           dismissed = r.dismissed + excluded.dismissed, done = r.done + excluded.done,
           followed = r.followed + excluded.followed,
           followed_successes = r.followed_successes + excluded.followed_successes,
           revenue = r.revenue + excluded.revenue, revenue_count = r.revenue_count + excluded.revenue_count;

    INSERT INTO rolled_advice AS r (
        account_key, scope_id, pattern_id, business_category, measured, first_time, last_time, last_outcome_time,
        revenue, outcomes, successes, expected, variance, deviation)
    SELECT e.account_key, e.advised_scope_id, e.pattern_id, e.business_category, e.measured, min(e.created_at),
           max(e.created_at), max(o.occurred_time), coalesce(sum(two_digits(o.net_revenue)), 0),
           count(*) FILTER (WHERE judged), count(*) FILTER (WHERE judged AND o.success),
           coalesce(sum(millionths(e.expected_success_rate)) FILTER (WHERE judged), 0)::bigint,
           coalesce(sum(millionths(e.expected_success_rate * (1 - e.expected_success_rate)))
                    FILTER (WHERE judged), 0)::bigint,
           coalesce(sum(millionths(e.expected_deviation)) FILTER (WHERE judged), 0)::bigint
      FROM enhancements e
      JOIN observations o ON o.scope_id = e.scope_id AND o.enhancement_id = e.id
     CROSS JOIN LATERAL (SELECT e.expected_deviation IS NOT NULL AS judged) j
     WHERE e.id = ANY (asked) AND e.no_match_reason IS NULL AND e.pattern_id IS NOT NULL
     GROUP BY 1, 2, 3, 4, 5
    ON CONFLICT (account_key, scope_id, pattern_id, business_category, measured) DO UPDATE
       SET first_time = least(r.first_time, excluded.first_time), last_time = greatest(r.last_time, excluded.last_time),
           last_outcome_time = greatest(r.last_outcome_time, excluded.last_outcome_time),
           revenue = r.revenue + excluded.revenue, outcomes = r.outcomes + excluded.outcomes,
           successes = r.successes + excluded.successes, expected = r.expected + excluded.expected,
           variance = r.variance + excluded.variance, deviation = r.deviation + excluded.deviation;

    INSERT INTO archived_experiment AS x
    WITH o AS MATERIALIZED (
        SELECT o.account_key, o.success, o.enhancement_id IS NOT NULL AS followed,
               coalesce(o.enhancement_id, o.instead_of) AS question
          FROM observations o WHERE o.scope_id = own AND o.id = ANY (ids) AND o.compared
    ), e AS MATERIALIZED (
        SELECT e.id, e.scope_id, e.business_category, e.pattern_type, e.holdout_share,
               asked_alike(e.pattern_type, e.business_category, e.context, e.action) AS alike,
               held_out(e.holdout, e.authored) AS held_out
          FROM enhancements e
         WHERE e.id = ANY (asked) AND e.holdout_share > 0 AND had_advice(e.holdout, e.no_match_reason, e.authored)
    )
    SELECT e.scope_id, o.account_key, e.business_category, e.pattern_type, e.holdout_share, e.alike,
           count(*) FILTER (WHERE NOT e.held_out), count(*) FILTER (WHERE NOT e.held_out AND o.success),
           count(*) FILTER (WHERE e.held_out), count(*) FILTER (WHERE e.held_out AND o.success),
           count(*) FILTER (WHERE NOT e.held_out AND o.followed),
           count(*) FILTER (WHERE NOT e.held_out AND o.followed AND o.success)
      FROM o JOIN e ON e.id = o.question GROUP BY 1, 2, 3, 4, 5, 6
    ON CONFLICT (account_key, scope_id, holdout_share, question) DO UPDATE
       SET advised = x.advised + excluded.advised,
           advised_successes = x.advised_successes + excluded.advised_successes,
           held_out = x.held_out + excluded.held_out,
           held_out_successes = x.held_out_successes + excluded.held_out_successes,
           followed = x.followed + excluded.followed,
           followed_successes = x.followed_successes + excluded.followed_successes;

    INSERT INTO archived_transfers AS t
    SELECT o.scope_id, o.account_key, o.business_category, e.advised_category, e.advised_scope_id, e.pattern_id,
           count(*), sum(e.expected_success_rate / e.transfer), count(*) FILTER (WHERE o.success)
      FROM observations o
      JOIN enhancements e ON e.scope_id = o.scope_id AND e.id = o.enhancement_id AND NOT e.holdout
     WHERE o.scope_id = own AND o.id = ANY (ids) AND e.advised_scope_id <> own AND e.pattern_id IS NOT NULL
     GROUP BY 1, 2, 3, 4, 5, 6
    ON CONFLICT (account_key, scope_id, advised_scope_id, pattern_id, advised_category) DO UPDATE
       SET trials = t.trials + excluded.trials, expected = t.expected + excluded.expected,
           successes = t.successes + excluded.successes;

    INSERT INTO archived_choices AS c (
        account_key, pattern_id, script, choices, weight, squares, good, excess, expected, chosen)
    SELECT o.account_key, o.pattern_id, o.script, count(*), sum(1 / e.script_propensity),
           sum((1 / e.script_propensity) ^ 2), coalesce(sum(1 / e.script_propensity) FILTER (WHERE o.success), 0),
           sum((o.success::integer - e.expected_success_rate) / e.script_propensity), sum(e.expected_success_rate), count(*)
      FROM observations o
      JOIN enhancements e ON e.scope_id = o.scope_id AND e.id = o.enhancement_id AND NOT e.holdout
     WHERE o.scope_id = own AND o.id = ANY (ids) AND o.pattern_id IS NOT NULL
       AND e.script_propensity > 0 AND e.script_propensity < 1 AND e.advised_category = e.business_category
     GROUP BY 1, 2, 3
    UNION ALL
    SELECT o.account_key, n.key::uuid, NULL, count(*), coalesce(sum(1 / n.chance) FILTER (WHERE n.chosen), 0),
           coalesce(sum((1 / n.chance) ^ 2) FILTER (WHERE n.chosen), 0),
           coalesce(sum(1 / n.chance) FILTER (WHERE n.chosen AND o.success), 0),
           coalesce(sum((o.success::integer - n.expected) / n.chance) FILTER (WHERE n.chosen), 0), sum(n.expected),
           count(*) FILTER (WHERE n.chosen)
      FROM observations o
      JOIN enhancements e ON e.scope_id = o.scope_id AND e.id = o.enhancement_id AND NOT e.holdout
     CROSS JOIN LATERAL (
           SELECT k.key, (k.value->>0)::double precision AS chance, (k.value->>1)::double precision AS expected,
                  coalesce(k.key = e.pattern_id::text, false) AS chosen
             FROM jsonb_each(CASE jsonb_typeof(e.contenders) WHEN 'object' THEN e.contenders END) k) n
     WHERE o.scope_id = own AND o.id = ANY (ids) AND o.pattern_id IS NOT NULL
     GROUP BY 1, 2
    ON CONFLICT (account_key, pattern_id, md5(coalesce('=' || script, ''))) DO UPDATE
       SET choices = c.choices + excluded.choices, weight = c.weight + excluded.weight,
           squares = c.squares + excluded.squares, good = c.good + excluded.good, excess = c.excess + excluded.excess,
           expected = c.expected + excluded.expected, chosen = c.chosen + excluded.chosen;

    INSERT INTO archived_reactions (
        account_key, advised_scope_id, pattern_id, business_category, script, adopted, adopted_reason, adopted_time,
        reactions)
    SELECT e.account_key, e.advised_scope_id, e.pattern_id, e.business_category, e.script, e.adopted, e.adopted_reason,
           date_trunc('day', e.adopted_time, 'UTC'), count(*)
      FROM enhancements e WHERE e.id = ANY (asked) AND e.adopted IS NOT NULL GROUP BY 1, 2, 3, 4, 5, 6, 7, 8;

    INSERT INTO archived_steps AS s
    SELECT r.account_key, coalesce(r.pattern_id, '00000000-0000-0000-0000-000000000000'), count(*)
      FROM enhancements e JOIN reactions r ON r.scope_id = e.scope_id AND r.enhancement_id = e.id
     WHERE e.id = ANY (asked) GROUP BY 1, 2
    ON CONFLICT (account_key, pattern_id) DO UPDATE SET reactions = s.reactions + excluded.reactions;
END $$;

-- The views and functions below count what was archived as well, also outcomes of advice.

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
               m.observations::bigint AS observations, 0::bigint AS questions, 0::bigint AS enhanced, 0::bigint AS from_elsewhere,
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
          FROM rolled_questions WHERE measured
        UNION ALL
        SELECT measured_day, business_category, observations, 0, 0, 0, 0, 0, advised_outcomes, advised_successes,
               advised_measured, advised_revenue, advised_retention_known, advised_retained, held_out_outcomes,
               held_out_successes, held_out_retention_known, held_out_retained
          FROM archived_days WHERE measured) counted
 GROUP BY 1, 2 HAVING sum(observations) <> 0 OR sum(questions) <> 0;

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
    SELECT account_key, min(success_time) AS success_time, max(last_day) AS last_day,
           max(advised_day) AS advised_day, max(revenue_day) AS revenue_day,
           max(advised_retention_day) AS advised_retention_day, max(held_out_day) AS held_out_day,
           max(held_out_retention_day) AS held_out_retention_day
      FROM (SELECT o.account_key,
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
            UNION ALL
            SELECT d.account_key, min(d.first_success_time) FILTER (WHERE d.first_success_time >= a.joined_time),
                   max(d.occurred_day), max(d.occurred_day) FILTER (WHERE d.advised_outcomes > 0),
                   max(d.occurred_day) FILTER (WHERE d.advised_measured > 0),
                   max(d.occurred_day) FILTER (WHERE d.advised_retention_known > 0),
                   max(d.occurred_day) FILTER (WHERE d.held_out_outcomes > 0),
                   max(d.occurred_day) FILTER (WHERE d.held_out_retention_known > 0)
              FROM archived_days d JOIN accounts a USING (account_key) GROUP BY 1) observed_ever
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

CREATE OR REPLACE VIEW ledger_advice AS
SELECT v.* FROM (
    SELECT scope_id, pattern_id, business_category, min(first_time) AS first_advised_time,
           max(last_outcome_time) AS last_outcome_time, coalesce(sum(revenue), 0) AS revenue,
           sum(outcomes)::integer AS outcomes,
           sum(successes)::integer AS successes,
           coalesce(sum(expected), 0)::bigint AS expected,
           coalesce(sum(variance), 0)::bigint AS variance,
           coalesce(sum(deviation), 0)::bigint AS deviation
      FROM (SELECT e.advised_scope_id AS scope_id, e.pattern_id, e.business_category, e.created_at AS first_time,
                   o.occurred_time AS last_outcome_time, two_digits(o.net_revenue) AS revenue,
                   judged::integer AS outcomes, (judged AND o.success)::integer AS successes,
                   CASE WHEN judged THEN millionths(e.expected_success_rate) END AS expected,
                   CASE WHEN judged THEN millionths(e.expected_success_rate * (1 - e.expected_success_rate)) END
                       AS variance,
                   CASE WHEN judged THEN millionths(e.expected_deviation) END AS deviation
              FROM enhancements e
              LEFT JOIN observations o ON o.scope_id = e.scope_id AND o.enhancement_id = e.id
             CROSS JOIN LATERAL (SELECT o.id IS NOT NULL AND e.expected_deviation IS NOT NULL AS judged) j
             WHERE e.no_match_reason IS NULL AND e.measured AND e.pattern_id IS NOT NULL
            UNION ALL
            SELECT scope_id, pattern_id, business_category, first_time, last_outcome_time, revenue, outcomes, successes,
                   expected, variance, deviation
              FROM rolled_advice WHERE measured) given
     GROUP BY 1, 2, 3) v
  JOIN network_patterns p ON p.scope_id = v.scope_id AND p.id = v.pattern_id;

CREATE OR REPLACE VIEW ledger_experiment AS
WITH asked AS MATERIALIZED (
    SELECT id, scope_id, business_category, pattern_type, holdout_share,
           held_out(holdout, authored) AS held_out
      FROM enhancements
     WHERE holdout_share > 0 AND had_advice(holdout, no_match_reason, authored)
)
SELECT scope_id, account_key, business_category, pattern_type, holdout_share, compared,
       sum(advised)::bigint AS advised, sum(advised_successes)::bigint AS advised_successes,
       sum(held_out)::bigint AS held_out, sum(held_out_successes)::bigint AS held_out_successes,
       sum(followed)::bigint AS followed, sum(followed_successes)::bigint AS followed_successes
  FROM (SELECT e.scope_id, o.account_key, e.business_category, e.pattern_type, e.holdout_share,
               coalesce(o.compared, false) AS compared,
               count(*) FILTER (WHERE NOT e.held_out) AS advised,
               count(*) FILTER (WHERE NOT e.held_out AND o.success) AS advised_successes,
               count(*) FILTER (WHERE e.held_out) AS held_out,
               count(*) FILTER (WHERE e.held_out AND o.success) AS held_out_successes,
               count(*) FILTER (WHERE NOT e.held_out AND o.enhancement_id IS NOT NULL) AS followed,
               count(*) FILTER (WHERE NOT e.held_out AND o.enhancement_id IS NOT NULL AND o.success)
                   AS followed_successes
          FROM observations o JOIN asked e ON e.id = coalesce(o.enhancement_id, o.instead_of)
         GROUP BY 1, 2, 3, 4, 5, 6
        UNION ALL
        SELECT scope_id, account_key, business_category, pattern_type, holdout_share, true, advised,
               advised_successes, held_out, held_out_successes, followed, followed_successes
          FROM archived_experiment) x
 GROUP BY 1, 2, 3, 4, 5, 6;

CREATE OR REPLACE FUNCTION recount_advice(scopes bigint[], patterns uuid[], categories text[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    p record;
    l record;
    r record;
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
        SELECT min(g.first_time) AS first_time, max(g.last_outcome_time) AS last_outcome_time,
               coalesce(sum(g.revenue), 0) AS revenue, coalesce(sum(g.outcomes), 0)::integer AS outcomes,
               coalesce(sum(g.successes), 0)::integer AS successes, coalesce(sum(g.expected), 0)::bigint AS expected,
               coalesce(sum(g.variance), 0)::bigint AS variance, coalesce(sum(g.deviation), 0)::bigint AS deviation
          INTO r
          FROM rolled_advice AS g
         WHERE g.scope_id = p.scope_id AND g.pattern_id = p.pattern_id AND g.business_category = p.category
           AND g.measured;
        IF least(l.first_time, r.first_time) IS NULL THEN
            DELETE FROM pattern_advice a
             WHERE a.scope_id = p.scope_id AND a.pattern_id = p.pattern_id AND a.business_category = p.category;
        ELSE
            UPDATE pattern_advice a
               SET first_advised_time = least(l.first_time, r.first_time),
                   last_outcome_time = greatest(l.last_outcome_time, r.last_outcome_time),
                   revenue = l.revenue + r.revenue, outcomes = l.outcomes + r.outcomes,
                   successes = l.successes + r.successes, expected = l.expected + r.expected,
                   variance = l.variance + r.variance, deviation = l.deviation + r.deviation
             WHERE a.scope_id = p.scope_id AND a.pattern_id = p.pattern_id AND a.business_category = p.category;
        END IF;
    END LOOP;
END $$;

-- What was rolled up or archived of one account begins to count in the metrics (sign 1), or ceases to (sign -1).
CREATE OR REPLACE FUNCTION append_rolled(key text, sign integer, counts_in text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO measure_changes (day, business_category, questions, enhanced, from_elsewhere,
                                 confidence_added, exploration_loss)
    SELECT day, business_category, sign * questions, sign * enhanced, sign * from_elsewhere,
           sign * confidence_added, sign * exploration_loss
      FROM rolled_questions
     WHERE account_key = key AND measured = (sign = -1)
       AND (business_category IS NOT DISTINCT FROM counts_in) = (sign = 1);
    INSERT INTO measure_changes (
        day, business_category, observations, advised_outcomes, advised_successes, advised_measured, advised_revenue,
        advised_retention_known, advised_retained, held_out_outcomes, held_out_successes, held_out_retention_known,
        held_out_retained)
    SELECT measured_day, business_category, sign * sum(observations), sign * sum(advised_outcomes),
           sign * sum(advised_successes), sign * sum(advised_measured), sign * sum(advised_revenue),
           sign * sum(advised_retention_known), sign * sum(advised_retained), sign * sum(held_out_outcomes),
           sign * sum(held_out_successes), sign * sum(held_out_retention_known), sign * sum(held_out_retained)
      FROM archived_days
     WHERE account_key = key AND measured = (sign = -1)
       AND (business_category IS NOT DISTINCT FROM counts_in) = (sign = 1)
     GROUP BY 1, 2
$$;

-- Lets what was rolled up or archived of one account count by where the account counts now; null: nowhere.
CREATE OR REPLACE FUNCTION measure_rolled(key text, counts_in text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM append_rolled(key, -1, counts_in);
    PERFORM append_rolled(key, 1, counts_in);
    UPDATE archived_days SET measured = NOT measured
     WHERE account_key = key AND measured <> (business_category IS NOT DISTINCT FROM counts_in);
    WITH moved AS (
        DELETE FROM rolled_questions
         WHERE account_key = key AND measured <> (business_category IS NOT DISTINCT FROM counts_in) RETURNING *
    )
    INSERT INTO rolled_questions AS r
    SELECT account_key, day, business_category, NOT measured, questions, enhanced, from_elsewhere,
           confidence_added, exploration_loss, held_out, authored, shown, accepted, dismissed, done, followed,
           followed_successes, revenue, revenue_count FROM moved
    ON CONFLICT (account_key, day, business_category, measured) DO UPDATE
       SET questions = r.questions + excluded.questions, enhanced = r.enhanced + excluded.enhanced,
           from_elsewhere = r.from_elsewhere + excluded.from_elsewhere,
           confidence_added = r.confidence_added + excluded.confidence_added,
           exploration_loss = r.exploration_loss + excluded.exploration_loss,
           held_out = r.held_out + excluded.held_out, authored = r.authored + excluded.authored,
           shown = r.shown + excluded.shown, accepted = r.accepted + excluded.accepted,
           dismissed = r.dismissed + excluded.dismissed, done = r.done + excluded.done,
           followed = r.followed + excluded.followed,
           followed_successes = r.followed_successes + excluded.followed_successes,
           revenue = r.revenue + excluded.revenue, revenue_count = r.revenue_count + excluded.revenue_count;
    WITH moved AS (
        DELETE FROM rolled_advice
         WHERE account_key = key AND measured <> (business_category IS NOT DISTINCT FROM counts_in) RETURNING *
    )
    INSERT INTO rolled_advice AS r (
        account_key, scope_id, pattern_id, business_category, measured, first_time, last_time, last_outcome_time,
        revenue, outcomes, successes, expected, variance, deviation)
    SELECT account_key, scope_id, pattern_id, business_category, NOT measured, first_time, last_time,
           last_outcome_time, revenue, outcomes, successes, expected, variance, deviation FROM moved
    ON CONFLICT (account_key, scope_id, pattern_id, business_category, measured) DO UPDATE
       SET first_time = least(r.first_time, excluded.first_time), last_time = greatest(r.last_time, excluded.last_time),
           last_outcome_time = greatest(r.last_outcome_time, excluded.last_outcome_time),
           revenue = r.revenue + excluded.revenue, outcomes = r.outcomes + excluded.outcomes,
           successes = r.successes + excluded.successes, expected = r.expected + excluded.expected,
           variance = r.variance + excluded.variance, deviation = r.deviation + excluded.deviation;
END $$;
