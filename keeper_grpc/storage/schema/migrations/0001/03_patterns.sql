-- The patterns themselves. What is known of one from each account is in 04_evidence.sql.

-- One scope that has, or had, patterns. Written with its first pattern; its versions by everything that changes what may
-- be shown of its patterns (keeper_grpc/storage/patterns/versions.py), in the same transaction: the row's lock lets one
-- change of a scope commit after the other, so no version appears after a later one. Read by whoever holds patterns in
-- memory.
CREATE TABLE scopes (
    scope_id          bigint PRIMARY KEY,
    pattern_type      text NOT NULL,
    business_category text NOT NULL,
    version           bigint NOT NULL DEFAULT 0,  -- of its last change
    reset_version     bigint NOT NULL DEFAULT 0   -- of the last that deleted patterns or concerned all: read all anew
);
CREATE INDEX scopes_type ON scopes (pattern_type, business_category);

-- One pattern: many observations that say the same. Written by captures, reports, the catalog's seeding and the
-- learning of priors; read by every question.
CREATE TABLE network_patterns (
    id                uuid NOT NULL,
    scope_id          bigint NOT NULL REFERENCES scopes,
    pattern_type      text NOT NULL,
    business_category text NOT NULL,
    embedding_model   text NOT NULL,             -- vectors of different models never meet
    pattern_embedding vector(1536) NOT NULL,     -- unit vector: the mean direction of its observations
    embedding_weight  double precision NOT NULL DEFAULT 1,  -- length of their vectors' sum

    -- What the first observation said, to compare with; shown of authored patterns only.
    context           jsonb NOT NULL,
    action_template   text NOT NULL,
    -- What k owners said, word by word (keeper_grpc/domain/patterns/shown_words.py). Empty: they share too little.
    shown_action      text NOT NULL DEFAULT '',
    shown_context     jsonb NOT NULL DEFAULT '{}',
    -- Of a pattern that began with a report: whose advice that was. Until k owners have words for it, it speaks in
    -- those. It may be of another scope, so nothing but keeper_grpc/storage/patterns/deletion.py holds the two together.
    worded_from          uuid,
    worded_from_scope_id bigint,

    -- Weighed, so that no owner counts for too much (keeper_grpc/domain/evidence/evidence.py).
    occurrence_count  bigint NOT NULL DEFAULT 0,
    success_count     bigint NOT NULL DEFAULT 0,
    success_rate      double precision NOT NULL
        GENERATED ALWAYS AS (
            CASE WHEN occurrence_count = 0 THEN 0
                 ELSE success_count::double precision / occurrence_count END) STORED,
    account_count     integer NOT NULL DEFAULT 0,           -- owners
    confidence_score  double precision NOT NULL DEFAULT 0,  -- lower bound of the success rate
    fading            boolean NOT NULL DEFAULT false,       -- works less often of late than its evidence says

    -- Of the success rate: what fits the other patterns of its kind best, and the most cautious that they leave open
    -- (keeper_grpc/domain/evidence/priors.py).
    prior_successes   double precision NOT NULL DEFAULT 1,
    prior_failures    double precision NOT NULL DEFAULT 1,
    prior_source      text NOT NULL DEFAULT 'default'
        CHECK (prior_source IN ('category', 'type', 'network', 'default', 'author')),
    prior_patterns    integer NOT NULL DEFAULT 0,           -- how many patterns it was learned from
    cautious_successes double precision NOT NULL DEFAULT 2.8,
    cautious_failures double precision NOT NULL DEFAULT 13.2,
    fact_spreads      jsonb NOT NULL DEFAULT '{}',          -- by condition, how much it matters to the type

    catalog_key       text,                      -- set where the catalog brought it
    catalog_version   integer,
    trigger           text,                      -- when it applies: CEL over an account's facts
    retired_time      timestamptz,               -- an operator took it back: counted on, shown to no one

    first_discovered  timestamptz NOT NULL,
    last_validated    timestamptz,
    created_at        timestamptz NOT NULL DEFAULT now(),
    -- The transaction by which it last became what may prove a cluster, or ceased to be it, so that the detector need
    -- not compare every pattern with every cluster. Neither a time nor a sequence would do: a transaction that ends
    -- late would bring in a value that was passed already. 0 is before all of them.
    changed_in        xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (id, scope_id),
    CHECK (success_count BETWEEN 0 AND occurrence_count),
    CHECK ((worded_from IS NULL) = (worded_from_scope_id IS NULL))
);
-- The default would move a vector out of line, and de-toasting it costs five times the search.
ALTER TABLE network_patterns ALTER COLUMN pattern_embedding SET STORAGE PLAIN;
CREATE INDEX network_patterns_scope ON network_patterns (scope_id, embedding_model);
CREATE INDEX network_patterns_success_rate ON network_patterns (success_rate DESC);
CREATE INDEX network_patterns_listing ON network_patterns (confidence_score DESC, id);
CREATE INDEX network_patterns_changed ON network_patterns (embedding_model, changed_in, id);
CREATE INDEX network_patterns_worded_from ON network_patterns (worded_from)
    WHERE worded_from IS NOT NULL;
CREATE UNIQUE INDEX network_patterns_catalog
    ON network_patterns (scope_id, catalog_key, embedding_model)
    WHERE catalog_key IS NOT NULL;
CREATE INDEX network_patterns_trigger
    ON network_patterns (business_category, embedding_model) WHERE trigger IS NOT NULL;
-- Few are retired, and each reading of an emerging pattern's sentences asks for them.
CREATE INDEX network_patterns_retired ON network_patterns (scope_id) WHERE retired_time IS NOT NULL;

-- The version of its scope at which what may be shown of one pattern last changed. Written and read as scopes. Apart from
-- network_patterns, whose rows are as wide as their vectors.
CREATE TABLE pattern_versions (
    scope_id   bigint NOT NULL,
    pattern_id uuid NOT NULL,
    version    bigint NOT NULL,
    PRIMARY KEY (scope_id, pattern_id),
    FOREIGN KEY (scope_id, pattern_id) REFERENCES network_patterns (scope_id, id) ON DELETE CASCADE
);
CREATE INDEX pattern_versions_version ON pattern_versions (scope_id, version);

-- The vector of one pattern's action alone, which tells rewordings from other actions in the same situation. Written
-- and read by captures. A table of its own, because two vectors of 6 KB do not fit into one page.
CREATE TABLE pattern_actions (
    scope_id         bigint NOT NULL,
    pattern_id       uuid NOT NULL,
    action_embedding vector(1536) NOT NULL,
    action_weight    double precision NOT NULL DEFAULT 1,
    PRIMARY KEY (scope_id, pattern_id),
    FOREIGN KEY (scope_id, pattern_id) REFERENCES network_patterns (scope_id, id) ON DELETE CASCADE
);
ALTER TABLE pattern_actions ALTER COLUMN action_embedding SET STORAGE PLAIN;

-- A pattern whose evidence went to another one of its scope that turned out to say the same. Written by `keeper reembed`; read by
-- whoever is asked for an id that was given out.
CREATE TABLE merged_patterns (
    pattern_id  uuid NOT NULL,
    scope_id    bigint NOT NULL,
    into_id     uuid NOT NULL,
    merged_time timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (pattern_id, scope_id),
    FOREIGN KEY (scope_id, into_id) REFERENCES network_patterns (scope_id, id) ON DELETE CASCADE
);
CREATE INDEX merged_patterns_into ON merged_patterns (scope_id, into_id);

-- A script that an operator took back, which neither a rebuild nor a newer catalog brings back. Written by
-- WithdrawScript, read with a pattern's scripts: apart from them, whose rows come and go with their evidence.
CREATE TABLE withdrawn_scripts (
    scope_id       bigint NOT NULL,
    pattern_id     uuid NOT NULL,
    template_hash  bytea NOT NULL,
    withdrawn_time timestamptz NOT NULL,
    PRIMARY KEY (scope_id, pattern_id, template_hash),
    FOREIGN KEY (scope_id, pattern_id) REFERENCES network_patterns (scope_id, id) ON DELETE CASCADE
);

-- What the author of one pattern of the catalog says about it. Written by the seeding, read with the pattern. Apart
-- from network_patterns: those figures are evidence, these are not.
CREATE TABLE authored_claims (
    scope_id                bigint NOT NULL,
    pattern_id              uuid NOT NULL,
    follow_up_action        text NOT NULL DEFAULT '',
    success_rate            double precision CHECK (success_rate > 0 AND success_rate < 1),
    learned_from            integer CHECK (learned_from >= 1),  -- businesses
    monthly_revenue_dollars double precision,
    adoption_rate           double precision CHECK (adoption_rate > 0 AND adoption_rate < 1),
    rating_improvement      double precision,
    improvement_factor      double precision CHECK (improvement_factor > 0),
    improvement_days        integer CHECK (improvement_days >= 1),
    reason                  text NOT NULL DEFAULT '',
    guardrails              text[] NOT NULL DEFAULT '{}',  -- what whoever follows the advice must not do
    PRIMARY KEY (scope_id, pattern_id),
    FOREIGN KEY (scope_id, pattern_id) REFERENCES network_patterns (scope_id, id) ON DELETE CASCADE,
    CHECK ((improvement_factor IS NULL) = (improvement_days IS NULL))
);

-- A version of the catalog that was seeded at a start, so that it is seeded once and not at every start.
CREATE TABLE seeded_catalogs (
    embedding_model text NOT NULL,
    catalog_version integer NOT NULL,
    seeded_time     timestamptz NOT NULL,
    PRIMARY KEY (embedding_model, catalog_version)
);

-- The prior of a pattern that is yet to come; '' stands for every category, and for every type. Written by the
-- learning of priors, read by captures.
CREATE TABLE learned_priors (
    pattern_type       text NOT NULL,
    business_category  text NOT NULL,
    successes          double precision NOT NULL,
    failures           double precision NOT NULL,
    cautious_successes double precision NOT NULL,
    cautious_failures  double precision NOT NULL,
    source             text NOT NULL CHECK (source IN ('category', 'type', 'network')),
    patterns           integer NOT NULL,
    PRIMARY KEY (pattern_type, business_category)
);

-- The vectors of one pattern under the next model. Written by `keeper reembed`, which puts them in the place of the
-- old ones at the switch.
CREATE TABLE next_patterns (
    scope_id          bigint NOT NULL,
    pattern_id        uuid NOT NULL,
    made_of           text NOT NULL,             -- a pattern that has changed since is made again
    pattern_embedding vector(1536) NOT NULL,
    embedding_weight  double precision NOT NULL,
    action_embedding  vector(1536) NOT NULL,
    action_weight     double precision NOT NULL,
    PRIMARY KEY (scope_id, pattern_id),
    FOREIGN KEY (scope_id, pattern_id) REFERENCES network_patterns (scope_id, id) ON DELETE CASCADE
);
