-- What the network is worth, counted as it happens, so that reading it does not read the ledger, which stays the
-- truth: 08_measures_anew.sql counts all of this from it, 09_measuring.sql keeps it. Metrics count what
-- accounts that count did, in their line of business, and outcomes in steps: those of an account wait until there are
-- as many of one kind (of advice, held out, captured) as a step has, and count together then, on the day of the last.
-- So no report tells what one outcome changed, and no day or window divides a step.

-- Sums of one day (UTC) and line of business. Written by the fold of measure_changes, read by GetNetworkMetrics.
CREATE TABLE daily_measures (
    day               date NOT NULL,
    business_category text NOT NULL,
    observations      bigint NOT NULL,
    questions         bigint NOT NULL,           -- those held out not among them
    enhanced          bigint NOT NULL,
    from_elsewhere    bigint NOT NULL,           -- advice from another line of business
    confidence_added  numeric NOT NULL,          -- exact, so that sums do not depend on their order
    exploration_loss  numeric NOT NULL,          -- success that drawing advice was expected to cost
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

-- What has yet to be folded into daily_measures; what was deleted from the ledger is negative. Calls append here: were
-- they to update the day's row, each would wait for the one before it to commit.
CREATE TABLE measure_changes (
    id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    day               date NOT NULL,
    business_category text NOT NULL,
    observations      bigint NOT NULL DEFAULT 0,
    questions         bigint NOT NULL DEFAULT 0,
    enhanced          bigint NOT NULL DEFAULT 0,
    from_elsewhere    bigint NOT NULL DEFAULT 0,
    confidence_added  numeric NOT NULL DEFAULT 0,
    exploration_loss  numeric NOT NULL DEFAULT 0,
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
  FROM (SELECT * FROM daily_measures
        UNION ALL
        SELECT day, business_category, observations, questions, enhanced, from_elsewhere,
               confidence_added, exploration_loss, advised_outcomes, advised_successes, advised_measured,
               advised_revenue, advised_retention_known, advised_retained, held_out_outcomes,
               held_out_successes, held_out_retention_known, held_out_retained
          FROM measure_changes) counted
 GROUP BY 1, 2 HAVING sum(observations) <> 0 OR sum(questions) <> 0;

-- What one pattern's advice came to, in the line of business that got it. It counts as it comes: many patterns of
-- several scopes in one transaction would wait for each other. Reports round it.
CREATE TABLE pattern_advice (
    scope_id           bigint NOT NULL,            -- of the pattern
    pattern_id         uuid NOT NULL,
    business_category  text NOT NULL,
    first_advised_time timestamptz NOT NULL,
    last_outcome_time  timestamptz,
    revenue            numeric NOT NULL DEFAULT 0,
    -- Of outcomes whose deviation is known. The last three are sums in millionths, which add up exactly in any order:
    -- of the rate expected, of its binomial variance, of its deviation.
    outcomes           integer NOT NULL DEFAULT 0,
    successes          integer NOT NULL DEFAULT 0,
    expected           bigint NOT NULL DEFAULT 0,
    variance           bigint NOT NULL DEFAULT 0,
    deviation          bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (scope_id, pattern_id, business_category),
    FOREIGN KEY (scope_id, pattern_id) REFERENCES network_patterns (scope_id, id) ON DELETE CASCADE
);

-- What one account has come to. The row changes when something happens for the first time, or for the first time on a
-- day, so that no number of a report is of fewer than k accounts.
CREATE TABLE account_milestones (
    account_key          text PRIMARY KEY REFERENCES accounts ON DELETE CASCADE,
    first_asked_time     timestamptz,
    first_asked_enhanced boolean NOT NULL DEFAULT false,  -- met with advice at its first question
    first_advised_time   timestamptz,
    first_success_time   timestamptz,            -- since it joined
    last_active_day      date NOT NULL,
    last_asked_day       date,                   -- a question that was not held out
    last_enhanced_day    date,                   -- advice was given
    last_observed_day    date,
    -- Of an outcome of advice, and of one whose revenue or whose retention was told; then of one held out.
    last_advised_day            date,
    last_revenue_day            date,
    last_advised_retention_day  date,
    last_held_out_day           date,
    last_held_out_retention_day date
);

-- The holdout experiment: outcomes by arm and account, so that uplift is measured between owners at every look
-- (keeper_grpc/domain/metrics/experiment.py). Outcomes count so many of an account at a time. Written by captures and
-- reports (keeper_grpc/storage/metrics/experiment.py), read by the metrics; `keeper uplift` reads the ledger.
CREATE TABLE experiment_outcomes (
    scope_id           bigint NOT NULL,
    account_key        text NOT NULL REFERENCES accounts ON DELETE CASCADE,
    business_category  text NOT NULL,
    pattern_type       text NOT NULL,
    holdout_share      double precision NOT NULL,  -- only questions of one chance are comparable
    advised            bigint NOT NULL DEFAULT 0,
    advised_successes  bigint NOT NULL DEFAULT 0,
    held_out           bigint NOT NULL DEFAULT 0,
    held_out_successes bigint NOT NULL DEFAULT 0,
    followed           bigint NOT NULL DEFAULT 0,  -- of the advised: those whose advice was followed
    followed_successes bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (scope_id, account_key, holdout_share)
);
CREATE INDEX experiment_outcomes_account ON experiment_outcomes (account_key);
