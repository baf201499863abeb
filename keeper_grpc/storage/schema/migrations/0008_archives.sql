-- Old observations leave the ledger for Parquet files (keeper_grpc/storage/archives, docs/adr/0020). What all but a rebuild
-- needs of them stays here: what they are in the evidence of each pattern, in which words they were said, and by
-- day what they are in the measures.

-- The name of one account in the files. Random, and gone with the account: then nothing tells whose observations they were.
CREATE TABLE archive_subjects (
    account_key text PRIMARY KEY REFERENCES accounts ON DELETE CASCADE,
    subject     uuid NOT NULL UNIQUE DEFAULT gen_random_uuid()
);

-- One file. Written before there is a file; one without groups is to be removed, and then its row.
CREATE TABLE archive_files (
    id        uuid PRIMARY KEY,
    name      text NOT NULL UNIQUE,
    month     date NOT NULL,                     -- in which its observations occurred; its first day
    bytes     bigint,                            -- null: not yet written to its end
    sha256    text,
    made_time timestamptz NOT NULL DEFAULT now()
);

-- One row group of a file whose observations are there and no longer in the ledger. Written by the transaction that deletes
-- them; the groups of a file that have no row here are not read.
CREATE TABLE archive_groups (
    file_id      uuid NOT NULL REFERENCES archive_files ON DELETE CASCADE,
    number       integer NOT NULL,               -- from 0
    observations integer NOT NULL,
    PRIMARY KEY (file_id, number)
);

-- How much of one account such groups hold. A subject that no account has is forgotten: the next run writes the file anew.
CREATE TABLE archive_holdings (
    file_id      uuid NOT NULL REFERENCES archive_files ON DELETE CASCADE,
    subject      uuid NOT NULL,
    observations bigint NOT NULL,
    PRIMARY KEY (file_id, subject)
);

-- What one account's archived observations are in one pattern. Read wherever the ledger is summed up.
CREATE TABLE archived_parts (
    scope_id            bigint NOT NULL,
    pattern_id          uuid NOT NULL,
    account_key         text NOT NULL REFERENCES accounts ON DELETE CASCADE,
    business_category   text NOT NULL,
    observations        integer NOT NULL,
    first_time          timestamptz NOT NULL,    -- of the outcomes
    last_time           timestamptz NOT NULL,
    first_recorded_time timestamptz NOT NULL,
    sums                jsonb NOT NULL,          -- keeper_grpc/storage/archives/parts.py
    weeks               jsonb NOT NULL,          -- trials and successes by the Monday of their week
    PRIMARY KEY (scope_id, pattern_id, account_key),
    FOREIGN KEY (scope_id, pattern_id) REFERENCES network_patterns (scope_id, id)
);
CREATE INDEX archived_parts_account ON archived_parts (account_key);

-- The words of the same: where a pattern lies follows from all that was said of it.
CREATE TABLE archived_wordings (
    scope_id            bigint NOT NULL,
    pattern_id          uuid NOT NULL,
    account_key         text NOT NULL REFERENCES accounts ON DELETE CASCADE,
    words_hash          bytea NOT NULL,          -- of the next two
    context             jsonb NOT NULL,
    action              text NOT NULL,
    observations        integer NOT NULL,
    first_recorded_time timestamptz NOT NULL,
    first_id            uuid NOT NULL,           -- of the observation that was recorded first
    PRIMARY KEY (scope_id, pattern_id, account_key, words_hash),
    FOREIGN KEY (scope_id, pattern_id) REFERENCES network_patterns (scope_id, id)
);
CREATE INDEX archived_wordings_account ON archived_wordings (account_key);

-- One account's archived observations by their days (UTC), as daily_measures, milestones and qualification count them.
CREATE TABLE archived_days (
    account_key        text NOT NULL REFERENCES accounts ON DELETE CASCADE,
    business_category  text NOT NULL,
    measured_day       date NOT NULL,
    occurred_day       date NOT NULL,
    recorded_day       date NOT NULL,
    measured           boolean NOT NULL,         -- whether the account counts in that line of business
    observations       bigint NOT NULL,
    first_success_time timestamptz,
    PRIMARY KEY (account_key, business_category, measured_day, occurred_day, recorded_day)
);

-- What was said of patterns, by the account that said it, wherever the observations are.
CREATE VIEW said_words AS
SELECT scope_id, pattern_id, account_key, context, action, 1 AS observations, recorded_time, id, disposition = 'reported' AS reported
  FROM observations WHERE pattern_id IS NOT NULL
UNION ALL
SELECT scope_id, pattern_id, account_key, context, action, observations, first_recorded_time, first_id, false
  FROM archived_wordings;

-- The views and functions below are those of 0002, and count what was archived as well.

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
        SELECT measured_day, business_category, observations, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
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
                   max(d.occurred_day), NULL, NULL, NULL, NULL, NULL
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

-- What was rolled up or archived of one account begins to count in the metrics (sign 1), or ceases to (sign -1).
CREATE OR REPLACE FUNCTION append_rolled(key text, sign integer, counts_in text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO measure_changes (day, business_category, questions, enhanced, from_elsewhere,
                                 confidence_added, exploration_loss)
    SELECT day, business_category, sign * questions, sign * enhanced, sign * from_elsewhere,
           sign * confidence_added, sign * exploration_loss
      FROM rolled_questions
     WHERE account_key = key AND measured = (sign = -1)
       AND (business_category IS NOT DISTINCT FROM counts_in) = (sign = 1);
    INSERT INTO measure_changes (day, business_category, observations)
    SELECT measured_day, business_category, sign * sum(observations)
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
