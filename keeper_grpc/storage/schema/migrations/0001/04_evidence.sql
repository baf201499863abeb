-- What is known of a pattern, from whom. Shares are by account, so that an account can be forgotten, corrected or
-- qualify later; whoever reads evidence reads it by owner, through the views. All are sums over the ledger, which
-- `keeper rebuild` adds up again. Written by captures and reports, read by every question.

-- One account's share of a pattern: an account never gets its own evidence back, and nothing is published below k
-- owners.
CREATE TABLE pattern_accounts (
    scope_id         bigint NOT NULL,
    pattern_id       uuid NOT NULL,
    account_key      text NOT NULL REFERENCES accounts,
    occurrence_count bigint NOT NULL,
    success_count    bigint NOT NULL,
    revenue_total    double precision NOT NULL,
    revenue_count    bigint NOT NULL,
    -- Each observation weighs 2^((occurred - 2025-01-01) / half-life): sums that grow in any order, and that one
    -- factor brings to any day's weights.
    recent_trials    double precision NOT NULL,
    recent_successes double precision NOT NULL,
    -- A fast and a slow average tell when a pattern stops working (keeper_grpc/domain/evidence/fading.py).
    fast_trials      double precision NOT NULL DEFAULT 0,
    fast_successes   double precision NOT NULL DEFAULT 0,
    slow_trials      double precision NOT NULL DEFAULT 0,
    slow_successes   double precision NOT NULL DEFAULT 0,
    PRIMARY KEY (scope_id, pattern_id, account_key),
    FOREIGN KEY (scope_id, pattern_id) REFERENCES network_patterns (scope_id, id) ON DELETE CASCADE
);
CREATE INDEX pattern_accounts_account ON pattern_accounts (account_key);

-- What one account reported of what the action does to customers and to the till: for this a pattern is no longer
-- advised (keeper_grpc/domain/evidence/guardrails.py). Only accounts that reported some of it have a row. Sums of
-- weights by age.
CREATE TABLE pattern_harms (
    scope_id          bigint NOT NULL,
    pattern_id        uuid NOT NULL,
    account_key       text NOT NULL REFERENCES accounts,
    complaint_known   double precision NOT NULL,
    complaints        double precision NOT NULL,
    unsubscribe_known double precision NOT NULL,
    unsubscribes      double precision NOT NULL,
    costed            double precision NOT NULL, -- outcomes with revenue and cost
    net_revenue       double precision NOT NULL, -- of these
    PRIMARY KEY (scope_id, pattern_id, account_key),
    FOREIGN KEY (scope_id, pattern_id) REFERENCES network_patterns (scope_id, id) ON DELETE CASCADE
);
CREATE INDEX pattern_harms_account ON pattern_harms (account_key);

-- One account's share of a pattern in one facet of a situation. Only facets that enough accounts share are ever used.
CREATE TABLE pattern_facets (
    scope_id         bigint NOT NULL,
    pattern_id       uuid NOT NULL,
    facet            text NOT NULL,              -- "whole:<hash>" is the situation as a whole, "<key>=<value>" one fact
    account_key      text NOT NULL REFERENCES accounts,
    occurrence_count bigint NOT NULL,
    success_count    bigint NOT NULL,
    recent_trials    double precision NOT NULL DEFAULT 0,
    recent_successes double precision NOT NULL DEFAULT 0,
    PRIMARY KEY (scope_id, pattern_id, facet, account_key),
    FOREIGN KEY (scope_id, pattern_id) REFERENCES network_patterns (scope_id, id) ON DELETE CASCADE
);
CREATE INDEX pattern_facets_account ON pattern_facets (account_key);

-- One distinct action that one account captured in a pattern, of its first ones: what is shown was said by k owners.
-- Reports repeat what they were shown and are none.
CREATE TABLE pattern_wordings (
    scope_id    bigint NOT NULL,
    pattern_id  uuid NOT NULL,
    account_key text NOT NULL REFERENCES accounts,
    action_hash bytea NOT NULL,
    action      text NOT NULL,
    PRIMARY KEY (scope_id, pattern_id, account_key, action_hash),
    FOREIGN KEY (scope_id, pattern_id) REFERENCES network_patterns (scope_id, id) ON DELETE CASCADE
);
CREATE INDEX pattern_wordings_account ON pattern_wordings (account_key);

-- One wording of a pattern's action. Its lift, what scripts that read alike did in other patterns, is written by the
-- learning of lifts, which needs no more than the shares.
CREATE TABLE pattern_scripts (
    id             uuid NOT NULL,
    scope_id       bigint NOT NULL,
    pattern_id     uuid NOT NULL,
    template       text NOT NULL,
    template_hash  bytea NOT NULL,                -- a script may exceed what a btree takes
    authored       boolean NOT NULL DEFAULT false,  -- from the catalog
    lift           double precision,              -- in log-odds of success; null where nothing was learned
    lift_deviation double precision CHECK (lift_deviation > 0),
    PRIMARY KEY (id, scope_id),
    UNIQUE (scope_id, pattern_id, template_hash),
    CHECK ((lift IS NULL) = (lift_deviation IS NULL)),
    FOREIGN KEY (scope_id, pattern_id) REFERENCES network_patterns (scope_id, id) ON DELETE CASCADE
);

-- One account's share of a script.
CREATE TABLE script_accounts (
    scope_id         bigint NOT NULL,
    script_id        uuid NOT NULL,
    account_key      text NOT NULL REFERENCES accounts,
    occurrence_count bigint NOT NULL,
    success_count    bigint NOT NULL,
    recent_trials    double precision NOT NULL DEFAULT 0,
    recent_successes double precision NOT NULL DEFAULT 0,
    -- Of the wordings that chance chose (drawn_scripts).
    drawn_trials     bigint NOT NULL DEFAULT 0,
    drawn_weight     double precision NOT NULL DEFAULT 0,  -- sum of the inverse propensities
    drawn_squares    double precision NOT NULL DEFAULT 0,  -- of their squares
    drawn_excess     double precision NOT NULL DEFAULT 0,  -- of success less expectation, times inverse
    PRIMARY KEY (scope_id, script_id, account_key),
    FOREIGN KEY (scope_id, script_id) REFERENCES pattern_scripts (scope_id, id) ON DELETE CASCADE
);
CREATE INDEX script_accounts_account ON script_accounts (account_key);

-- A pattern whose totals are older than what its shares come to, because an account began or ceased to count or
-- changed its owner or its category. Written by these changes, worked off by the refreshing of evidence. Several rows
-- may name one pattern: a unique one would make its writers wait for each other.
CREATE TABLE stale_patterns (
    id         bigint GENERATED ALWAYS AS IDENTITY,
    scope_id   bigint NOT NULL,
    pattern_id uuid NOT NULL,
    recount    boolean NOT NULL,                 -- the shares are stale as well
    PRIMARY KEY (id, scope_id)
);
CREATE INDEX stale_patterns_pattern ON stale_patterns (scope_id, pattern_id);

-- What each owner contributed to a pattern, to its harm, to a facet and to a script: only accounts that count.

CREATE VIEW pattern_owners AS
SELECT s.scope_id, s.pattern_id, a.owner_key, count(*)::integer AS account_count,
       sum(s.occurrence_count)::bigint AS occurrence_count,
       sum(s.success_count)::bigint AS success_count, sum(s.revenue_total) AS revenue_total,
       sum(s.revenue_count)::bigint AS revenue_count, sum(s.recent_trials) AS recent_trials,
       sum(s.recent_successes) AS recent_successes,
       sum(s.fast_trials) AS fast_trials, sum(s.fast_successes) AS fast_successes,
       sum(s.slow_trials) AS slow_trials, sum(s.slow_successes) AS slow_successes
  FROM pattern_accounts s JOIN accounts a USING (account_key)
 WHERE a.qualified GROUP BY s.scope_id, s.pattern_id, a.owner_key;

CREATE VIEW harm_owners AS
SELECT s.scope_id, s.pattern_id, a.owner_key, sum(s.complaint_known) AS complaint_known,
       sum(s.complaints) AS complaints, sum(s.unsubscribe_known) AS unsubscribe_known,
       sum(s.unsubscribes) AS unsubscribes, sum(s.costed) AS costed,
       sum(s.net_revenue) AS net_revenue
  FROM pattern_harms s JOIN accounts a USING (account_key)
 WHERE a.qualified GROUP BY s.scope_id, s.pattern_id, a.owner_key;

CREATE VIEW facet_owners AS
SELECT s.scope_id, s.pattern_id, s.facet, a.owner_key, sum(s.occurrence_count)::bigint AS occurrence_count,
       sum(s.success_count)::bigint AS success_count, sum(s.recent_trials) AS recent_trials,
       sum(s.recent_successes) AS recent_successes
  FROM pattern_facets s JOIN accounts a USING (account_key)
 WHERE a.qualified GROUP BY s.scope_id, s.pattern_id, s.facet, a.owner_key;

CREATE VIEW script_owners AS
SELECT s.scope_id, s.script_id, a.owner_key, sum(s.occurrence_count)::bigint AS occurrence_count,
       sum(s.success_count)::bigint AS success_count, sum(s.recent_trials) AS recent_trials,
       sum(s.recent_successes) AS recent_successes, sum(s.drawn_trials)::bigint AS drawn_trials,
       sum(s.drawn_weight) AS drawn_weight, sum(s.drawn_squares) AS drawn_squares,
       sum(s.drawn_excess) AS drawn_excess
  FROM script_accounts s JOIN accounts a USING (account_key)
 WHERE a.qualified GROUP BY s.scope_id, s.script_id, a.owner_key;

-- `weigh` of keeper_grpc/domain/evidence/evidence.py, to filter before shares are read; a test holds the two together.
-- Both arrays are by owner.
CREATE FUNCTION weigh(
    owner_trials bigint[], owner_successes bigint[], k integer,
    OUT accounts integer, OUT trials bigint, OUT successes bigint)
LANGUAGE sql IMMUTABLE AS $$
    WITH held AS (
        SELECT n::double precision AS n, y::double precision AS y,
               sum(n) OVER up::double precision AS upto,
               -- How many weigh more, ties in the order of up.
               count(*) OVER () - row_number() OVER up AS above,
               least(k, count(*) OVER ()) AS parts
          FROM unnest(owner_trials, owner_successes) AS share (n, y)
         WHERE n > 0
        WINDOW up AS (ORDER BY n ROWS UNBOUNDED PRECEDING)
    ), cut AS (
        SELECT least(
                   (SELECT upto / (parts - above) FROM held
                     WHERE above < parts AND n <= upto / (parts - above) ORDER BY above LIMIT 1),
                   (SELECT n FROM held WHERE above = parts - 1),
                   (SELECT greatest(percentile_cont(0.5) WITHIN GROUP (ORDER BY n), 5)
                      FROM held)) AS most
    ), total AS (
        SELECT count(*)::integer AS accounts, coalesce(sum(least(n, most)), 0) AS weight,
               coalesce(sum(least(n, most) * y / n), 0) AS good
          FROM held, cut
    )
    SELECT t.accounts, w.trials::bigint,
           coalesce(floor(w.trials * t.good / nullif(t.weight, 0) + 0.5 + 1e-9), 0)::bigint
      FROM total t, LATERAL (SELECT floor(t.weight + 1e-9) AS trials) w
$$;
