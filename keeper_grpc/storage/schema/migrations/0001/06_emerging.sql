-- What several accounts begin to see. Sightings feed the detector, one leader per database; emerging_events is the
-- stream.

-- One cluster of sightings. Written by the detector's leader, read by the feed's snapshot.
CREATE TABLE emerging_patterns (
    id                uuid PRIMARY KEY,
    pattern_type      text NOT NULL,
    embedding_model   text NOT NULL,
    -- "forming" has too few accounts to be shown.
    state             text NOT NULL CHECK (state IN ('forming', 'emerging', 'promoted')),
    business_categories text[] NOT NULL,
    label             text NOT NULL DEFAULT '',  -- words under the k rule, as common_pattern
    common_pattern    text NOT NULL,
    account_count     integer NOT NULL,
    sighting_count    integer NOT NULL,
    mean_similarity   double precision NOT NULL,
    mean_confidence   double precision NOT NULL,
    total_potential_value double precision NOT NULL,
    growth_rate       double precision NOT NULL DEFAULT 0,
    novelty           double precision NOT NULL DEFAULT 1,
    first_seen_time   timestamptz NOT NULL,
    last_seen_time    timestamptz NOT NULL,
    -- Of any of its scopes, so nothing but keeper_grpc/storage/patterns/deletion.py holds them to it.
    promoted_pattern_id uuid,                    -- the proven pattern that it became
    fading_pattern_id   uuid,                    -- one that was it and stops working
    -- What a new leader needs, so that it need not read every vector: the sum of them, and of how many.
    vector_sum        vector(1536),
    vector_count      integer NOT NULL DEFAULT 0
);
CREATE INDEX emerging_patterns_shown ON emerging_patterns (pattern_type) WHERE state = 'emerging';

-- One insight that an account showed us, by capturing it or by asking about it. An account that shows the same again
-- renews its row: an engine's hot loop neither counts nor fills the table. Written by captures and questions, read by
-- the detector.
CREATE TABLE sightings (
    id                bigint GENERATED ALWAYS AS IDENTITY,
    scope_id          bigint NOT NULL,
    account_key       text NOT NULL,             -- '' once the account is forgotten
    pattern_type      text NOT NULL,
    business_category text NOT NULL,
    embedding_model   text NOT NULL,
    embedding         vector(1536) NOT NULL,
    rendered          text NOT NULL,             -- the anonymized sentence that was embedded
    rendered_hash     bytea NOT NULL,            -- a sentence may exceed what a btree takes
    action            text NOT NULL DEFAULT '',  -- the action within the sentence
    confidence        double precision NOT NULL,
    potential_value   double precision NOT NULL,
    seen_time         timestamptz NOT NULL,
    emerging_pattern_id uuid,                    -- which its leader deletes without sightings only
    -- The detector has not looked at it yet. False of an account that does not count: it waits until it does.
    pending           boolean NOT NULL DEFAULT true,
    -- The account ceased to count: the leader takes the sighting out of its cluster, whose sums it holds.
    withdrawn         boolean NOT NULL DEFAULT false,
    PRIMARY KEY (id, scope_id),
    UNIQUE (scope_id, account_key, rendered_hash, embedding_model)
);
ALTER TABLE sightings ALTER COLUMN embedding SET STORAGE PLAIN;
CREATE INDEX sightings_account ON sightings (account_key);
CREATE INDEX sightings_pending ON sightings (id) WHERE pending;
CREATE INDEX sightings_withdrawn ON sightings (id) WHERE withdrawn;
CREATE INDEX sightings_seen ON sightings (seen_time);
CREATE INDEX sightings_assigned ON sightings (emerging_pattern_id, seen_time);
-- What a new leader counts besides the vectors, from an index alone.
CREATE INDEX sightings_members ON sightings (emerging_pattern_id)
    INCLUDE (id, embedding_model, account_key, business_category, confidence, potential_value, seen_time)
    WHERE emerging_pattern_id IS NOT NULL;

-- Whether vectors of this model may be compared and added by a question, which owns no scope. It does not wait for the
-- switch to another model: what it shows meanwhile is of the old one, and `keeper reembed` moves it afterwards. In one
-- function, because each statement of a volatile one sees what was committed before it.
CREATE FUNCTION may_search(wanted text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RETURN NOT pg_try_advisory_xact_lock_shared(7738703068252824684)
        OR NOT EXISTS (SELECT FROM embedding_space WHERE model <> wanted);
END $$;

-- The vector of one sighting under the next model, as next_patterns.
CREATE TABLE next_sightings (
    sighting_id bigint NOT NULL,
    scope_id    bigint NOT NULL,
    embedding   vector(1536) NOT NULL,
    PRIMARY KEY (sighting_id, scope_id),
    FOREIGN KEY (scope_id, sighting_id) REFERENCES sightings (scope_id, id) ON DELETE CASCADE
);

-- One change of one cluster, in the order in which the one leader decided it. Written by the leader, read by every
-- feed. The table is the truth; notifications only wake its readers.
CREATE TABLE emerging_events (
    sequence            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- A number alone does not name an event: a database that is restored gives the numbers of what it lost to other
    -- events. No other event will ever have this tag, and resume tokens carry it.
    tag                 uuid NOT NULL DEFAULT gen_random_uuid(),
    emerging_pattern_id uuid NOT NULL,
    change              text NOT NULL CHECK (change IN ('new', 'updated', 'promoted', 'faded')),
    state               jsonb NOT NULL,          -- the emerging pattern after the change
    created_at          timestamptz NOT NULL
);
CREATE INDEX emerging_events_pattern ON emerging_events (emerging_pattern_id, sequence);

-- One row: which history the resume tokens of this database speak of. Written by the trimming of old events, read by
-- every feed.
CREATE TABLE emerging_history (
    id      boolean PRIMARY KEY DEFAULT true CHECK (id),
    epoch   uuid NOT NULL DEFAULT gen_random_uuid(),
    trimmed_sequence bigint NOT NULL DEFAULT 0,  -- events up to this one are gone
    trimmed_tag uuid NOT NULL DEFAULT gen_random_uuid()  -- its tag; before the first event, one of the database's own
);
INSERT INTO emerging_history DEFAULT VALUES;
