-- What several accounts begin to see. Sightings feed the detector; emerging_events is the stream.

CREATE TABLE emerging_patterns (
    id                uuid PRIMARY KEY,
    pattern_type      text NOT NULL,
    embedding_model   text NOT NULL,
    -- "forming" has too few accounts to be shown.
    state             text NOT NULL CHECK (state IN ('forming', 'emerging', 'promoted')),
    business_categories text[] NOT NULL,
    common_pattern    text NOT NULL,
    account_count     integer NOT NULL,
    sighting_count    integer NOT NULL,
    mean_similarity   double precision NOT NULL,
    mean_confidence   double precision NOT NULL,
    total_potential_value double precision NOT NULL,
    first_seen_time   timestamptz NOT NULL,
    last_seen_time    timestamptz NOT NULL,
    promoted_pattern_id uuid REFERENCES network_patterns ON DELETE SET NULL
);
CREATE INDEX emerging_patterns_shown ON emerging_patterns (pattern_type) WHERE state = 'emerging';

-- One insight that an account showed us, by capturing it or by asking about it. An account that
-- shows the same again renews its row: an engine's hot loop neither counts nor fills the table.
CREATE TABLE sightings (
    id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_key       text NOT NULL,             -- '' once the account is forgotten
    pattern_type      text NOT NULL,
    business_category text NOT NULL,
    embedding_model   text NOT NULL,
    embedding         vector(1536) NOT NULL,
    rendered          text NOT NULL,             -- the anonymized sentence that was embedded
    rendered_hash     bytea NOT NULL,            -- a sentence may exceed what a btree takes
    confidence        double precision NOT NULL,
    potential_value   double precision NOT NULL,
    seen_time         timestamptz NOT NULL,
    emerging_pattern_id uuid REFERENCES emerging_patterns ON DELETE SET NULL,
    pending           boolean NOT NULL DEFAULT true,  -- the detector has not looked at it yet
    UNIQUE (account_key, rendered_hash, embedding_model)
);
ALTER TABLE sightings ALTER COLUMN embedding SET STORAGE PLAIN;
CREATE INDEX sightings_pending ON sightings (id) WHERE pending;
CREATE INDEX sightings_assigned ON sightings (emerging_pattern_id, seen_time);
CREATE INDEX sightings_seen ON sightings (seen_time);

-- Every change, in the order in which the one leader decided it. The table is the truth;
-- notifications only wake its readers.
CREATE TABLE emerging_events (
    sequence            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    emerging_pattern_id uuid NOT NULL,
    change              text NOT NULL CHECK (change IN ('new', 'updated', 'promoted', 'faded')),
    state               jsonb NOT NULL,          -- the emerging pattern after the change
    created_at          timestamptz NOT NULL
);
CREATE INDEX emerging_events_pattern ON emerging_events (emerging_pattern_id, sequence);

-- One row: which history the resume tokens of this database speak of.
CREATE TABLE emerging_history (
    id      boolean PRIMARY KEY DEFAULT true CHECK (id),
    epoch   uuid NOT NULL DEFAULT gen_random_uuid(),
    trimmed_sequence bigint NOT NULL DEFAULT 0   -- events up to this one are gone
);
INSERT INTO emerging_history DEFAULT VALUES;
