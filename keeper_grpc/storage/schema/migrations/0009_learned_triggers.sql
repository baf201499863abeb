-- A trigger that outcomes taught: conditions under which a pattern's action works more often than otherwise, with what became
-- of it in the half of the owners in which it was not looked for. No row is of one account: more than k owners of each half
-- stand behind each. Written by the learning of triggers, read by SuggestMoves and StreamMoves.
CREATE TABLE learned_triggers (
    scope_id      bigint NOT NULL,
    pattern_id    uuid NOT NULL,
    conditions    jsonb NOT NULL,               -- [[key, relation, value], ...]
    success_rate  double precision NOT NULL,    -- where the conditions hold; its 90% interval
    rate_low      double precision NOT NULL,
    rate_high     double precision NOT NULL,
    lift          double precision NOT NULL,    -- over the rate where they do not hold
    trials        bigint NOT NULL,
    owner_count   integer NOT NULL,
    lead_days     integer,                      -- from question to outcome; null: too few say
    learned_time  timestamptz NOT NULL,
    verified_time timestamptz NOT NULL,         -- when its figures were counted
    retired_time  timestamptz,                  -- no longer borne out
    PRIMARY KEY (scope_id, pattern_id, conditions),
    FOREIGN KEY (scope_id, pattern_id) REFERENCES network_patterns (scope_id, id) ON DELETE CASCADE
);
