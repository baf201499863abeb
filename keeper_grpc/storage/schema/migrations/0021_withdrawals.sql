-- What an operator took back: it is counted on and shown to no one. Neither a rebuild nor a newer catalog brings
-- it back.

ALTER TABLE network_patterns ADD COLUMN retired_time timestamptz;  -- null: not retired

-- Apart from pattern_scripts, whose rows come and go with their evidence.
CREATE TABLE withdrawn_scripts (
    pattern_id     uuid NOT NULL REFERENCES network_patterns ON DELETE CASCADE,
    template_hash  bytea NOT NULL,
    withdrawn_time timestamptz NOT NULL,
    PRIMARY KEY (pattern_id, template_hash)
);

ALTER TABLE audit_events
    ADD COLUMN pattern_id uuid,                  -- kept when the pattern is gone
    ADD COLUMN reason     text NOT NULL DEFAULT '';
