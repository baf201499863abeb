-- Which keys the pseudonyms of this database are made with, so that a process with another key under the
-- same id is noticed before it writes. The check value is a keyed hash of a fixed label: it recognizes a key
-- and does not give it away.

CREATE TABLE pseudonym_keys (
    key_id        text PRIMARY KEY,
    check_value   bytea NOT NULL CHECK (octet_length(check_value) = 32),
    recorded_time timestamptz NOT NULL DEFAULT now()
);
