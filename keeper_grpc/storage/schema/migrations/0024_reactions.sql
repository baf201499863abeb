-- What accounts did with advice, apart from whether it worked: an append-only ledger, and with each
-- enhancement the reaction that stands (keeper_grpc/domain/advice/reaction.py), which `keeper rebuild`
-- takes from the ledger again.

CREATE TABLE reactions (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,  -- the order in which they came
    account_key    text NOT NULL REFERENCES accounts,
    request_id     uuid NOT NULL,
    fingerprint    bytea NOT NULL,               -- keyed hash of the request, to tell a retry from a reuse
    enhancement_id uuid NOT NULL REFERENCES enhancements ON DELETE CASCADE,
    reaction       text NOT NULL CHECK (reaction IN ('shown', 'accepted', 'dismissed', 'done')),
    reason         text CHECK (reason IS NULL OR reaction = 'dismissed'),
    recorded_time  timestamptz NOT NULL,
    UNIQUE (account_key, request_id)
);
CREATE INDEX reactions_enhancement ON reactions (enhancement_id);

ALTER TABLE enhancements
    ADD COLUMN reaction text,                    -- null: none was reported
    ADD COLUMN dismissal_reason text;
-- Adoption is counted from these, by pattern and by time.
CREATE INDEX enhancements_pattern_reactions ON enhancements (pattern_id)
    INCLUDE (account_key, reaction, dismissal_reason) WHERE reaction IS NOT NULL;
CREATE INDEX enhancements_time_reactions ON enhancements (created_at)
    INCLUDE (account_key, business_category, reaction) WHERE reaction IS NOT NULL;

-- `replaces` of the domain, over the ledger: what is done is done; otherwise the last of accepted and dismissed.
CREATE VIEW ledger_reactions AS
SELECT DISTINCT ON (enhancement_id) enhancement_id, reaction, reason
  FROM reactions
 ORDER BY enhancement_id, reaction = 'done' DESC, reaction <> 'shown' DESC, id DESC;

-- Takes the reactions that stand from the ledger, and returns how many were wrong. The caller keeps writers
-- away.
CREATE FUNCTION rebuild_reactions() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    wrong bigint;
BEGIN
    UPDATE enhancements e SET reaction = l.reaction, dismissal_reason = l.reason
      FROM enhancements had LEFT JOIN ledger_reactions l ON l.enhancement_id = had.id
     WHERE e.id = had.id
       AND (had.reaction, had.dismissal_reason) IS DISTINCT FROM (l.reaction, l.reason);
    GET DIAGNOSTICS wrong = ROW_COUNT;
    RETURN wrong;
END $$;
