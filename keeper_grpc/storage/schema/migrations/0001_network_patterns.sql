-- The network's memory. Nothing here is raw: texts have passed the anonymizer, accounts are keyed
-- hashes. Identifiers are uuidv4 from the application, times are UTC.

CREATE TABLE accounts (
    account_key       text PRIMARY KEY,          -- "<key id>:<hex HMAC-SHA256 of account_id>"
    business_category text NOT NULL,
    joined_time       timestamptz NOT NULL,
    forgetting        boolean NOT NULL DEFAULT false,  -- ForgetAccount has begun; nothing more goes in
    created_at        timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE network_patterns (
    id                uuid PRIMARY KEY,
    pattern_type      text NOT NULL,
    business_category text NOT NULL,
    embedding_model   text NOT NULL,             -- vectors of different models never meet
    pattern_embedding vector(1536) NOT NULL,     -- unit vector: the mean direction of its observations
    embedding_weight  double precision NOT NULL DEFAULT 1,  -- length of their vectors' sum
    context           jsonb NOT NULL,            -- anonymized conditions of the first observation
    action_template   text NOT NULL,
    occurrence_count  bigint NOT NULL DEFAULT 0,
    success_count     bigint NOT NULL DEFAULT 0,
    success_rate      double precision NOT NULL
        GENERATED ALWAYS AS (
            CASE WHEN occurrence_count = 0 THEN 0
                 ELSE success_count::double precision / occurrence_count END) STORED,
    account_count     integer NOT NULL DEFAULT 0,
    largest_account_occurrences bigint NOT NULL DEFAULT 0,
    revenue_total     double precision NOT NULL DEFAULT 0,
    revenue_count     bigint NOT NULL DEFAULT 0,
    recent_trials     double precision NOT NULL DEFAULT 0,  -- see pattern_accounts
    recent_successes  double precision NOT NULL DEFAULT 0,
    confidence_score  double precision NOT NULL DEFAULT 0,  -- lower bound of the success rate
    prior_successes   double precision NOT NULL DEFAULT 0.5,
    prior_failures    double precision NOT NULL DEFAULT 0.5,
    catalog_key       text,                      -- set where the catalog brought it
    catalog_version   integer,
    first_discovered  timestamptz NOT NULL,
    last_validated    timestamptz,
    created_at        timestamptz NOT NULL DEFAULT now(),
    CHECK (success_count BETWEEN 0 AND occurrence_count)
);
-- The default would move a vector out of line, and de-toasting it costs five times the search.
ALTER TABLE network_patterns ALTER COLUMN pattern_embedding SET STORAGE PLAIN;
CREATE INDEX network_patterns_scope
    ON network_patterns (pattern_type, business_category, embedding_model);
CREATE INDEX network_patterns_success_rate ON network_patterns (success_rate DESC);
CREATE INDEX network_patterns_listing ON network_patterns (confidence_score DESC, id);
CREATE UNIQUE INDEX network_patterns_catalog
    ON network_patterns (catalog_key, business_category, embedding_model)
    WHERE catalog_key IS NOT NULL;

-- The action alone, which tells rewordings from other actions in the same situation. A table of its
-- own, because two vectors of 6 KB do not fit into one page.
CREATE TABLE pattern_actions (
    pattern_id       uuid PRIMARY KEY REFERENCES network_patterns ON DELETE CASCADE,
    action_embedding vector(1536) NOT NULL,
    action_weight    double precision NOT NULL DEFAULT 1
);
ALTER TABLE pattern_actions ALTER COLUMN action_embedding SET STORAGE PLAIN;

-- Each account's share of a pattern: an account never gets its own evidence back, and nothing is
-- published below k of these rows.
CREATE TABLE pattern_accounts (
    pattern_id       uuid NOT NULL REFERENCES network_patterns ON DELETE CASCADE,
    account_key      text NOT NULL REFERENCES accounts,
    occurrence_count bigint NOT NULL,
    success_count    bigint NOT NULL,
    revenue_total    double precision NOT NULL,
    revenue_count    bigint NOT NULL,
    -- Each observation weighs 2^((occurred - 2025-01-01) / half-life): sums that grow in any order, and
    -- that one factor brings to any day's weights.
    recent_trials    double precision NOT NULL,
    recent_successes double precision NOT NULL,
    PRIMARY KEY (pattern_id, account_key)
);
CREATE INDEX pattern_accounts_account ON pattern_accounts (account_key);

CREATE TABLE pattern_scripts (
    id          uuid PRIMARY KEY,
    pattern_id  uuid NOT NULL REFERENCES network_patterns ON DELETE CASCADE,
    template    text NOT NULL,
    template_hash bytea NOT NULL,                -- a script may exceed what a btree takes
    authored    boolean NOT NULL DEFAULT false,  -- from the catalog
    UNIQUE (pattern_id, template_hash)
);

CREATE TABLE script_accounts (
    script_id        uuid NOT NULL REFERENCES pattern_scripts ON DELETE CASCADE,
    account_key      text NOT NULL REFERENCES accounts,
    occurrence_count bigint NOT NULL,
    success_count    bigint NOT NULL,
    PRIMARY KEY (script_id, account_key)
);
CREATE INDEX script_accounts_account ON script_accounts (account_key);

-- The ledger: append-only, and enough to rebuild every count above.
CREATE TABLE observations (
    id                uuid PRIMARY KEY,
    account_key       text NOT NULL REFERENCES accounts,
    request_id        uuid NOT NULL,
    fingerprint       bytea NOT NULL,            -- keyed hash of the request, to tell a retry from a reuse
    disposition       text NOT NULL CHECK (disposition IN ('created', 'merged', 'withheld', 'reported')),
    pattern_id        uuid REFERENCES network_patterns,
    enhancement_id    uuid UNIQUE,               -- the advice whose outcome this is
    similarity        double precision NOT NULL,
    pattern_type      text NOT NULL,
    business_category text NOT NULL,
    embedding_model   text NOT NULL,
    context           jsonb NOT NULL,
    action            text NOT NULL,
    script            text NOT NULL,
    confidence        double precision NOT NULL,
    dollar_value      double precision NOT NULL,
    potential_value   double precision NOT NULL,
    success           boolean NOT NULL,
    revenue_impact    double precision,
    customer_retained boolean,
    response_rate     double precision,
    anonymization     jsonb NOT NULL,
    occurred_time     timestamptz NOT NULL,
    recorded_time     timestamptz NOT NULL,
    UNIQUE (account_key, request_id),
    CHECK (pattern_id IS NOT NULL OR disposition IN ('withheld', 'reported')),
    CHECK ((enhancement_id IS NOT NULL) = (disposition = 'reported'))
);
CREATE INDEX observations_pattern ON observations (pattern_id);
CREATE INDEX observations_account ON observations (account_key, pattern_id);

-- Every application of the network's knowledge, so that its outcome can be attributed.
CREATE TABLE enhancements (
    id                uuid PRIMARY KEY,
    account_key       text NOT NULL REFERENCES accounts,
    pattern_id        uuid REFERENCES network_patterns ON DELETE SET NULL,
    no_match_reason   text,                      -- null when enhanced, also if the pattern is gone
    pattern_type      text NOT NULL,
    business_category text NOT NULL,
    embedding_model   text NOT NULL,
    similarity        double precision NOT NULL,
    base_confidence   double precision NOT NULL,
    confidence        double precision NOT NULL,
    expected_success_rate double precision NOT NULL,  -- in its situation, after transfer
    transfer          double precision NOT NULL,  -- 1 for a pattern of the account's own category
    script            text NOT NULL,             -- the wording that was handed out
    script_propensity double precision,          -- chance of that wording, where wordings are explored
    holdout           boolean NOT NULL DEFAULT false,  -- not told, to measure what advice is worth
    context           jsonb NOT NULL,            -- anonymized conditions of what was asked
    action            text NOT NULL,             -- and its action, if it had one
    created_at        timestamptz NOT NULL,
    CHECK (pattern_id IS NULL OR no_match_reason IS NULL OR holdout)
);
CREATE INDEX enhancements_account ON enhancements (account_key);
CREATE INDEX enhancements_pattern ON enhancements (pattern_id);

-- Text to vector, by content hash: the text itself is not here.
CREATE TABLE embedding_cache (
    embedding_model text NOT NULL,
    content_hash    bytea NOT NULL,
    embedding       vector(1536) NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (embedding_model, content_hash)
);
