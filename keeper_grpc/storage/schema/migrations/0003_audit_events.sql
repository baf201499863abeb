-- What operators did, for the privacy officer. Never an account, never a text.

CREATE TABLE audit_events (
    id         uuid PRIMARY KEY,
    action     text NOT NULL,
    details    jsonb NOT NULL,                   -- counts
    created_at timestamptz NOT NULL
);
CREATE INDEX audit_events_listing ON audit_events (created_at DESC, id);
