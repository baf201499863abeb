-- Which embedding model the patterns belong to, and moving them to another one while they are served
-- (docs/models.md).

-- One row, from the first start on: the model of every vector that is searched, and how to make it.
-- Servers of other models follow, or refuse to start.
CREATE TABLE embedding_space (
    id          boolean PRIMARY KEY DEFAULT true CHECK (id),
    model       text NOT NULL,
    recipe      jsonb NOT NULL,
    next_model  text,                            -- being moved to: its vectors collect in the tables below
    next_recipe jsonb,
    unsettled   boolean NOT NULL DEFAULT false,  -- moved, but duplicates and old vectors are still there
    CHECK ((next_model IS NULL) = (next_recipe IS NULL))
);

-- The vectors of the next model. `made_of` says what of: a pattern that has changed since is made again.
CREATE TABLE next_patterns (
    pattern_id       uuid PRIMARY KEY REFERENCES network_patterns ON DELETE CASCADE,
    made_of          text NOT NULL,
    pattern_embedding vector(1536) NOT NULL,
    embedding_weight double precision NOT NULL,
    action_embedding vector(1536) NOT NULL,
    action_weight    double precision NOT NULL
);
CREATE TABLE next_sightings (
    sighting_id bigint PRIMARY KEY REFERENCES sightings ON DELETE CASCADE,
    embedding   vector(1536) NOT NULL
);

-- Where the evidence of a pattern went that turned out to say the same as another one. Its id was given out.
CREATE TABLE merged_patterns (
    pattern_id uuid PRIMARY KEY,
    into_id    uuid NOT NULL REFERENCES network_patterns ON DELETE CASCADE,
    merged_time timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX merged_patterns_into ON merged_patterns (into_id);

-- The serving processes, while a move is under way: which of them could go on with the next model.
CREATE TABLE followers (
    process_id uuid PRIMARY KEY,
    prepared   text NOT NULL,                    -- the model that is loaded beside the present one, or ''
    problem    text NOT NULL,                    -- why none is
    seen_time  timestamptz NOT NULL
);

-- Locks a scope (keeper_grpc/storage/locks.py has the keys), and says whether its model is still the
-- database's. In one function, because each statement of a volatile one sees what was committed while the one
-- before it waited.
CREATE FUNCTION enter_scope(scope_key bigint, wanted text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(7738703068252824684);
    PERFORM pg_advisory_xact_lock(scope_key);
    RETURN NOT EXISTS (SELECT FROM embedding_space WHERE model <> wanted);
END $$;

-- Questions write sightings without owning a scope.
CREATE FUNCTION refuse_replaced_model() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(7738703068252824684);
    IF EXISTS (SELECT FROM embedding_space WHERE model <> NEW.embedding_model) THEN
        RAISE EXCEPTION 'the embedding model was replaced' USING ERRCODE = 'KP001';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER refuse_replaced_model BEFORE INSERT ON sightings
    FOR EACH ROW EXECUTE FUNCTION refuse_replaced_model();

-- A move changes every vector; comparing each with its old one as text would take most of its time.
DROP TRIGGER note_changed ON network_patterns;
CREATE TRIGGER note_changed BEFORE UPDATE ON network_patterns
    FOR EACH ROW WHEN (
        OLD.embedding_model IS DISTINCT FROM NEW.embedding_model
        OR (OLD.pattern_embedding::text, OLD.confidence_score, OLD.account_count, OLD.fading)
        IS DISTINCT FROM
        (NEW.pattern_embedding::text, NEW.confidence_score, NEW.account_count, NEW.fading))
    EXECUTE FUNCTION note_pattern_change();
