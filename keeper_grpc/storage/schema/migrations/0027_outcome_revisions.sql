-- What an outcome cost and whether the customer minded; and outcomes that are not final, in whose place a
-- later report puts another. An observation has one outcome at any time; those that were replaced are
-- history, which nothing counts.

ALTER TABLE observations
    ADD COLUMN cost         double precision,    -- null: not known
    ADD COLUMN complained   boolean,
    ADD COLUMN unsubscribed boolean,
    ADD COLUMN final        boolean NOT NULL DEFAULT true,
    -- What is counted and shown as revenue.
    ADD COLUMN net_revenue  double precision
        GENERATED ALWAYS AS (revenue_impact - coalesce(cost, 0)) STORED;

CREATE TABLE outcome_revisions (
    id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,  -- the order in which they came
    account_key       text NOT NULL REFERENCES accounts,
    request_id        uuid NOT NULL,             -- of the report that replaced the following
    fingerprint       bytea NOT NULL,
    observation_id    uuid NOT NULL,             -- deleted with the account's observations
    recorded_time     timestamptz NOT NULL,
    success           boolean NOT NULL,
    revenue_impact    double precision,
    customer_retained boolean,
    response_rate     double precision,
    cost              double precision,
    complained        boolean,
    unsubscribed      boolean,
    occurred_time     timestamptz NOT NULL,
    UNIQUE (account_key, request_id)
);

-- Measures and advice count net revenue from here on; costs were not known before, so no sum changes.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['append_observation_measures', 'note_observation'] LOOP
        EXECUTE replace(pg_get_functiondef(name::regproc), 'revenue_impact', 'net_revenue');
    END LOOP;
    FOREACH name IN ARRAY ARRAY['ledger_measures', 'ledger_advice'] LOOP
        EXECUTE format('CREATE OR REPLACE VIEW %I AS %s', name,
                       replace(pg_get_viewdef(name::regclass), 'revenue_impact', 'net_revenue'));
    END LOOP;
END $$;

-- As before, but from the accounts outwards, so that the milestones of one account are read from its own rows.
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
           o.success, o.net_revenue, o.customer_retained,
           e.id IS NOT NULL AND e.no_match_reason IS NULL, coalesce(e.holdout, false)) m
     GROUP BY 1
)
SELECT a.account_key, asked.first_time AS first_asked_time,
       coalesce(asked.first_time = asked.advised_time, false) AS first_asked_enhanced,
       asked.advised_time AS first_advised_time, observed.success_time AS first_success_time,
       greatest(asked.last_day, observed.last_day) AS last_active_day,
       observed.advised_day AS last_advised_day, observed.revenue_day AS last_revenue_day,
       observed.advised_retention_day AS last_advised_retention_day,
       observed.held_out_day AS last_held_out_day,
       observed.held_out_retention_day AS last_held_out_retention_day,
       asked.asked_day AS last_asked_day, asked.enhanced_day AS last_enhanced_day,
       observed.last_day AS last_observed_day
  FROM accounts a
  LEFT JOIN asked USING (account_key)
  LEFT JOIN observed USING (account_key)
 WHERE asked.first_time IS NOT NULL OR observed.last_day IS NOT NULL;

-- Counts what one account did anew. The caller excludes its other calls.
CREATE FUNCTION recount_milestones(key text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM account_milestones WHERE account_key = key;
    INSERT INTO account_milestones SELECT * FROM ledger_milestones WHERE account_key = key;
END $$;
