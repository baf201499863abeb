-- Who counts: the owners of qualified accounts (keeper_grpc/domain/accounts/qualification.py). Shares stay by
-- account, so that an account can be forgotten, corrected or qualify later; whoever reads evidence reads them
-- by owner, through the views below.

ALTER TABLE accounts
    ADD COLUMN declared_owner_key text,          -- keyed hash of owner_id; null: the account is its own owner
    ADD COLUMN owner_key text NOT NULL
        GENERATED ALWAYS AS (coalesce(declared_owner_key, account_key)) STORED,
    -- Until now every account counted. The next start applies its settings.
    ADD COLUMN qualified boolean NOT NULL DEFAULT true;
ALTER TABLE accounts ALTER COLUMN qualified SET DEFAULT false;
CREATE INDEX accounts_owner ON accounts (owner_key);
CREATE INDEX accounts_unqualified ON accounts (created_at) WHERE NOT qualified;

-- What `qualified` was decided by. One row.
CREATE TABLE qualification_settings (
    id              boolean PRIMARY KEY DEFAULT true CHECK (id),
    open_accounts   boolean NOT NULL,
    min_age         interval NOT NULL,
    min_active_days integer NOT NULL
);

-- What owners contributed to a pattern, to a script and to a facet: only accounts that count.
CREATE VIEW pattern_owners AS
SELECT s.pattern_id, a.owner_key, count(*)::integer AS account_count,
       sum(s.occurrence_count)::bigint AS occurrence_count,
       sum(s.success_count)::bigint AS success_count, sum(s.revenue_total) AS revenue_total,
       sum(s.revenue_count)::bigint AS revenue_count, sum(s.recent_trials) AS recent_trials,
       sum(s.recent_successes) AS recent_successes
  FROM pattern_accounts s JOIN accounts a USING (account_key)
 WHERE a.qualified GROUP BY s.pattern_id, a.owner_key;

CREATE VIEW script_owners AS
SELECT s.script_id, a.owner_key, sum(s.occurrence_count)::bigint AS occurrence_count,
       sum(s.success_count)::bigint AS success_count
  FROM script_accounts s JOIN accounts a USING (account_key)
 WHERE a.qualified GROUP BY s.script_id, a.owner_key;

CREATE VIEW facet_owners AS
SELECT s.pattern_id, s.facet, a.owner_key, sum(s.occurrence_count)::bigint AS occurrence_count,
       sum(s.success_count)::bigint AS success_count
  FROM pattern_facets s JOIN accounts a USING (account_key)
 WHERE a.qualified GROUP BY s.pattern_id, s.facet, a.owner_key;

-- Patterns whose totals are older than what their shares come to, because an account began or ceased to count
-- or changed its owner or its category. Several rows may name one pattern: a unique one would make its writers
-- wait for each other.
CREATE TABLE stale_patterns (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pattern_id uuid NOT NULL,
    recount    boolean NOT NULL                  -- the shares are stale as well
);
CREATE INDEX stale_patterns_pattern ON stale_patterns (pattern_id);

-- Accounts that were forgotten, so that a late call does not bring them back. The hash has a label of its own:
-- it is not the account's pseudonym, which is nowhere any more.
CREATE TABLE account_tombstones (
    tombstone_key text PRIMARY KEY,              -- "<key id>:<hex HMAC-SHA256>"
    expire_time timestamptz NOT NULL
);
CREATE INDEX account_tombstones_expiry ON account_tombstones (expire_time);

-- Sightings of an account that does not count wait until it does. One that ceases to count is withdrawn: the
-- detector's leader takes its sightings out of their clusters, whose sums it holds.
ALTER TABLE sightings
    ADD COLUMN withdrawn boolean NOT NULL DEFAULT false;
CREATE INDEX sightings_withdrawn ON sightings (id) WHERE withdrawn;

CREATE FUNCTION hold_sighting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.pending := NOT EXISTS (
        SELECT FROM accounts a
         WHERE a.account_key = NEW.account_key
           AND NOT (a.qualified AND a.business_category = NEW.business_category));
    RETURN NEW;
END $$;
CREATE TRIGGER hold_sighting BEFORE INSERT OR UPDATE OF pending ON sightings
    FOR EACH ROW WHEN (NEW.pending) EXECUTE FUNCTION hold_sighting();
