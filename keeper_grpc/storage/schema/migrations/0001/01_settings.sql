-- What the whole database is made with. Nothing in this schema is raw: texts have passed the anonymizer, accounts and
-- owners are keyed hashes. Identifiers are made by the application, times are UTC.
--
-- A scope is one type of one line of business: patterns meet in it and nowhere else. Its scope_id is a hash of the two
-- (`Scope.scope_id`, keeper_grpc/domain/patterns/pattern.py), so whoever knows them knows it. It stands in the primary
-- key of every table that a capture or a question writes, and foreign keys stay within a scope or refer to accounts: so
-- these tables may be distributed by it. It comes first in the key where rows are reached through their pattern, and
-- after the id in tables whose ids are given out, so that the scope of an id can be found.

-- One row, from the first start on: the model of every vector that is searched, and how to make it. Written by the
-- first start and by `keeper reembed`; servers of other models follow, or refuse to start (docs/models.md).
CREATE TABLE embedding_space (
    id          boolean PRIMARY KEY DEFAULT true CHECK (id),
    model       text NOT NULL,
    recipe      jsonb NOT NULL,
    next_model  text,                            -- being moved to: its vectors collect in next_patterns, next_sightings
    next_recipe jsonb,
    unsettled   boolean NOT NULL DEFAULT false,  -- moved, but duplicates and old vectors are still there
    CHECK ((next_model IS NULL) = (next_recipe IS NULL))
);

-- The serving processes, while a move to another model is under way: which of them could go on with it. Each writes
-- its own row, `keeper reembed` reads all.
CREATE TABLE followers (
    process_id uuid PRIMARY KEY,
    prepared   text NOT NULL,                    -- the model that is loaded beside the present one, or ''
    problem    text NOT NULL,                    -- why none is
    seen_time  timestamptz NOT NULL
);

-- Text to vector, by content hash; the text itself is not here. Written and read by the embedder's cache.
CREATE TABLE embedding_cache (
    embedding_model text NOT NULL,
    content_hash    bytea NOT NULL,
    embedding       vector(1536) NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (embedding_model, content_hash)
);

-- Which keys the pseudonyms of this database are made with, so that a process with another key under the same id is
-- noticed before it writes. Written and read at each start.
CREATE TABLE pseudonym_keys (
    key_id        text PRIMARY KEY,
    -- A keyed hash of a fixed label: it recognizes a key and does not give it away.
    check_value   bytea NOT NULL CHECK (octet_length(check_value) = 32),
    recorded_time timestamptz NOT NULL DEFAULT now()
);

-- One row: what the evidence is counted with. Under another half-life new weights would be added to sums that do not
-- fit them, so a start whose settings differ counts anew. Written by each start and by `keeper rebuild`.
CREATE TABLE evidence_settings (
    id        boolean PRIMARY KEY DEFAULT true CHECK (id),
    half_life interval,                          -- null while a rebuild is under way
    k         integer,                           -- null: totals and words wait for the next start to refresh them
    complete  boolean NOT NULL DEFAULT true,     -- false: sums are missing, and the next start counts from the ledger
    step      integer NOT NULL DEFAULT 1         -- outcomes that begin to count together
);

-- One row: what `accounts.qualified` was decided by. Written and read by each start.
CREATE TABLE qualification_settings (
    id              boolean PRIMARY KEY DEFAULT true CHECK (id),
    open_accounts   boolean NOT NULL,
    min_age         interval NOT NULL,
    min_active_days integer NOT NULL
);

-- Locks a scope (keeper_grpc/storage/locks.py has the keys), and says whether its model is still the database's. In
-- one function, because each statement of a volatile one sees what was committed while the one before it waited.
CREATE FUNCTION enter_scope(scope_id bigint, wanted text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(7738703068252824684);
    PERFORM pg_advisory_xact_lock(scope_id);
    RETURN NOT EXISTS (SELECT FROM embedding_space WHERE model <> wanted);
END $$;
