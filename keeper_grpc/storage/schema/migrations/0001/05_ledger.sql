-- The ledgers: append-only but for what `keeper rebuild` can take from them again. Everything that is counted is
-- counted from observations, enhancements and reactions. What is unique across scopes has tables of its own.

-- One anonymized (insight, outcome) of one account. Written by captures and reports; read by `keeper rebuild`, by the
-- refreshing of evidence, and by the history of a pattern.
CREATE TABLE observations (
    id                uuid NOT NULL,
    scope_id          bigint NOT NULL,           -- of a report, the scope of the question
    account_key       text NOT NULL REFERENCES accounts,
    disposition       text NOT NULL CHECK (disposition IN ('created', 'merged', 'withheld', 'reported')),
    pattern_id        uuid,
    enhancement_id    uuid,                      -- the advice whose outcome this is
    instead_of        uuid,                      -- the enhancement that was not followed
    similarity        double precision NOT NULL,

    pattern_type      text NOT NULL,
    business_category text NOT NULL,
    embedding_model   text NOT NULL,
    context           jsonb NOT NULL,            -- anonymized conditions
    action            text NOT NULL,             -- '' of a report, which repeats what it was shown
    script            text NOT NULL,
    confidence        double precision NOT NULL,
    dollar_value      double precision NOT NULL,
    potential_value   double precision NOT NULL,
    anonymization     jsonb NOT NULL,            -- what was replaced, by kind

    -- The outcome; a later report replaces one that is not final (outcome_revisions). Null: not known.
    success           boolean NOT NULL,
    revenue_impact    double precision,
    cost              double precision,
    net_revenue       double precision           -- what is counted and shown as revenue
        GENERATED ALWAYS AS (revenue_impact - coalesce(cost, 0)) STORED,
    customer_retained boolean,
    response_rate     double precision,
    complained        boolean,
    unsubscribed      boolean,
    final             boolean NOT NULL DEFAULT true,

    -- An account's outcomes begin to count in steps (keeper_grpc/domain/evidence/steps.py).
    counted           boolean NOT NULL DEFAULT true,  -- in its pattern's evidence
    measured_day      date,                      -- the day on which it counts in the metrics; null: it waits
    -- In the holdout experiment (keeper_grpc/storage/metrics/experiment.py); false: it waits; null: not of it.
    compared          boolean DEFAULT false,
    occurred_time     timestamptz NOT NULL,
    recorded_time     timestamptz NOT NULL,
    PRIMARY KEY (id, scope_id),
    FOREIGN KEY (scope_id, pattern_id) REFERENCES network_patterns (scope_id, id),
    CHECK (pattern_id IS NOT NULL OR disposition IN ('withheld', 'reported')),
    -- What is reported of advice that was dismissed is of something else that was done.
    CHECK (CASE disposition WHEN 'reported' THEN num_nonnulls(enhancement_id, instead_of) = 1
                            ELSE enhancement_id IS NULL END)
);
CREATE INDEX observations_pattern ON observations (scope_id, pattern_id);
CREATE INDEX observations_account ON observations (account_key, scope_id, pattern_id);
CREATE INDEX observations_waiting ON observations (scope_id, pattern_id, account_key) WHERE NOT counted;
CREATE INDEX observations_uncompared ON observations (account_key) WHERE NOT compared;
CREATE INDEX observations_unmeasured ON observations (account_key) WHERE measured_day IS NULL;
CREATE INDEX observations_enhancement ON observations (scope_id, enhancement_id)
    WHERE enhancement_id IS NOT NULL;

-- One request that recorded an observation or revised one, so that a retry gets its answer and another request under
-- the same id is refused, in whichever scope. Written with the observation; deleted with the account, whose row its
-- observation refers to.
CREATE TABLE outcome_requests (
    account_key    text NOT NULL,
    request_id     uuid NOT NULL,
    fingerprint    bytea NOT NULL,               -- keyed hash of the request, to tell a retry from a reuse
    scope_id       bigint NOT NULL,
    observation_id uuid NOT NULL,
    revises        boolean NOT NULL,             -- an outcome that was there; else it recorded the observation
    PRIMARY KEY (account_key, request_id)
);

-- One enhancement whose outcome is known: there is one, whichever call reported it, in whichever scope. Written with the
-- observation and deleted with it.
CREATE TABLE enhancement_outcomes (
    scope_id       bigint NOT NULL,              -- of the enhancement
    enhancement_id uuid NOT NULL,
    observation_id uuid NOT NULL,
    PRIMARY KEY (enhancement_id, scope_id)
);

-- One outcome that a later report replaced. Written by reports, read by no one: nothing counts it.
CREATE TABLE outcome_revisions (
    id                bigint GENERATED ALWAYS AS IDENTITY,  -- the order in which they came
    scope_id          bigint NOT NULL,
    account_key       text NOT NULL REFERENCES accounts,
    observation_id    uuid NOT NULL,             -- deleted with the account's observations
    recorded_time     timestamptz NOT NULL,      -- of the report that replaced the following
    success           boolean NOT NULL,
    revenue_impact    double precision,
    cost              double precision,
    customer_retained boolean,
    response_rate     double precision,
    complained        boolean,
    unsubscribed      boolean,
    occurred_time     timestamptz NOT NULL,
    PRIMARY KEY (id, scope_id)
);
CREATE INDEX outcome_revisions_account ON outcome_revisions (account_key);

-- One question, whole, and what was answered, so that its outcome can be attributed. Written by EnhanceInsight,
-- SuggestMoves and GenerateTask; read by reports and by the metrics.
CREATE TABLE enhancements (
    id                uuid NOT NULL,
    scope_id          bigint NOT NULL,           -- of the question
    account_key       text NOT NULL REFERENCES accounts,

    -- What was asked.
    pattern_type      text NOT NULL,
    business_category text NOT NULL,
    embedding_model   text NOT NULL,
    context           jsonb NOT NULL,            -- anonymized conditions
    action            text NOT NULL,             -- '' if it had none
    asked_script      text NOT NULL DEFAULT '',
    dollar_value      double precision NOT NULL DEFAULT 0,
    potential_value   double precision NOT NULL DEFAULT 0,
    base_confidence   double precision NOT NULL,

    -- What was answered.
    -- The pattern that was applied, which may be of another scope: nothing but keeper_grpc/storage/patterns/deletion.py
    -- holds the two together. Null: none, or it is gone.
    pattern_id        uuid,
    advised_scope_id  bigint,
    -- Why nothing proven fit; null when enhanced, also if the pattern is gone.
    no_match_reason   text,
    -- An author's advice instead; withheld: in the holdout.
    authored          text CHECK (authored IN ('given', 'withheld')),
    advised_category  text,                      -- where the applied pattern was learned
    similarity        double precision NOT NULL,
    confidence        double precision NOT NULL,
    expected_success_rate double precision NOT NULL,  -- in its situation, after transfer
    -- What that was made of (keeper_grpc/domain/evidence/expectation.py); null where nothing proven was advised.
    basis             text CHECK (basis IN ('situation', 'adjusted', 'pattern')),
    expected_deviation double precision,         -- of it; null: such advice is not judged
    transfer          double precision NOT NULL, -- 1 for a pattern of the account's own category
    script            text NOT NULL,             -- the wording that was handed out

    -- What chance had a part in: the holdout, which is not told, to measure what advice is worth, and exploration
    -- (keeper_grpc/domain/advice/exploration.py).
    holdout           boolean NOT NULL DEFAULT false,  -- of proven advice alone
    holdout_share     double precision NOT NULL DEFAULT 0,  -- the chance of it; 0 while there is no experiment
    script_propensity double precision,          -- chance of that wording, where wordings are explored
    pattern_propensity double precision,         -- chance of that pattern; null before patterns were explored
    contenders        jsonb,                     -- where there was a choice: chance and expectation by pattern
    exploration_loss  double precision NOT NULL DEFAULT 0,  -- of success, by expectation

    -- The reaction that stands (keeper_grpc/domain/advice/reaction.py); null: none was reported.
    reaction          text,
    dismissal_reason  text,
    -- The one that counts in the adoption (keeper_grpc/storage/advice/reactions.py), and since when.
    adopted           text,
    adopted_reason    text,
    adopted_time      timestamptz,
    measured          boolean NOT NULL DEFAULT false,  -- counts in the metrics
    created_at        timestamptz NOT NULL,
    PRIMARY KEY (id, scope_id),
    CHECK ((pattern_id IS NULL) = (advised_scope_id IS NULL)),
    -- A pattern stands behind a question that was enhanced, that was held out, or that an author had advice for.
    CHECK (pattern_id IS NULL OR no_match_reason IS NULL OR holdout OR authored IS NOT NULL)
);
CREATE INDEX enhancements_account ON enhancements (account_key);
CREATE INDEX enhancements_pattern ON enhancements (advised_scope_id, pattern_id);
-- Adoption is counted from these, by pattern and by time.
CREATE INDEX enhancements_pattern_adoption ON enhancements (advised_scope_id, pattern_id)
    INCLUDE (account_key, adopted, adopted_reason) WHERE adopted IS NOT NULL;
CREATE INDEX enhancements_time_adoption ON enhancements (adopted_time)
    INCLUDE (account_key, business_category, adopted) WHERE adopted IS NOT NULL;

-- Whether the network had advice for a question, proven or authored, and whether it was held back.
CREATE FUNCTION had_advice(e enhancements) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT e.holdout OR e.no_match_reason IS NULL OR e.authored IS NOT NULL
$$;
CREATE FUNCTION held_out(e enhancements) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT e.holdout OR coalesce(e.authored = 'withheld', false)
$$;

-- The wordings that chance chose: inverse propensity, and the success rate that was expected. Advice from another
-- category counts into another pattern than the one whose wordings were drawn.
CREATE VIEW drawn_scripts AS
SELECT scope_id, id AS enhancement_id, 1 / script_propensity AS inverse, expected_success_rate AS expected
  FROM enhancements
 WHERE script_propensity > 0 AND script_propensity < 1 AND NOT holdout
   AND advised_category = business_category;

-- One report of what an account did with advice, apart from whether it worked. Written by ReportReaction, read by
-- `keeper rebuild`.
CREATE TABLE reactions (
    id             bigint GENERATED ALWAYS AS IDENTITY,  -- the order in which they came
    scope_id       bigint NOT NULL,
    account_key    text NOT NULL REFERENCES accounts,
    enhancement_id uuid NOT NULL,
    reaction       text NOT NULL CHECK (reaction IN ('shown', 'accepted', 'dismissed', 'done')),
    reason         text CHECK (reason IS NULL OR reaction = 'dismissed'),
    recorded_time  timestamptz NOT NULL,
    -- Reactions count in the adoption so many of an account and a pattern at a time.
    pattern_id     uuid,                         -- whose advice it was, when it was reported
    counted_time   timestamptz,                  -- when it began to count; null: it waits
    PRIMARY KEY (id, scope_id),
    FOREIGN KEY (scope_id, enhancement_id) REFERENCES enhancements (scope_id, id) ON DELETE CASCADE
);
CREATE INDEX reactions_steps ON reactions (account_key, pattern_id, counted_time);
CREATE INDEX reactions_enhancement ON reactions (scope_id, enhancement_id);

-- One request of ReportReaction, as outcome_requests. Request ids of the two do not meet.
CREATE TABLE reaction_requests (
    account_key text NOT NULL,
    request_id  uuid NOT NULL,
    fingerprint bytea NOT NULL,
    PRIMARY KEY (account_key, request_id)
);

-- `replaces` of the domain, over the ledger: of all reactions, and of those that count.
CREATE VIEW ledger_reactions AS
SELECT scope_id, enhancement_id, (array_agg(reaction ORDER BY rank DESC, id DESC))[1] AS reaction,
       (array_agg(reason ORDER BY rank DESC, id DESC))[1] AS reason,
       (array_agg(reaction ORDER BY rank DESC, id DESC) FILTER (WHERE counted_time IS NOT NULL))[1]
           AS adopted,
       (array_agg(reason ORDER BY rank DESC, id DESC) FILTER (WHERE counted_time IS NOT NULL))[1]
           AS adopted_reason,
       max(counted_time) AS adopted_time
  FROM (SELECT *, CASE reaction WHEN 'done' THEN 2 WHEN 'shown' THEN 0 ELSE 1 END AS rank
          FROM reactions) ranked
 GROUP BY scope_id, enhancement_id;

-- Takes the reactions that stand and those that count from the ledger, and returns how many were wrong. The caller
-- keeps writers away.
CREATE FUNCTION rebuild_reactions() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    wrong bigint;
BEGIN
    UPDATE enhancements e
       SET reaction = l.reaction, dismissal_reason = l.reason, adopted = l.adopted,
           adopted_reason = l.adopted_reason, adopted_time = l.adopted_time
      FROM enhancements had
      LEFT JOIN ledger_reactions l ON l.scope_id = had.scope_id AND l.enhancement_id = had.id
     WHERE e.scope_id = had.scope_id AND e.id = had.id
       AND (had.reaction, had.dismissal_reason, had.adopted, had.adopted_reason, had.adopted_time)
           IS DISTINCT FROM (l.reaction, l.reason, l.adopted, l.adopted_reason, l.adopted_time);
    GET DIAGNOSTICS wrong = ROW_COUNT;
    RETURN wrong;
END $$;
