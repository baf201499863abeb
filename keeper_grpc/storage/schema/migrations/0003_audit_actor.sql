-- Who did it: the name of an identity. Empty for what was written before identities were known.
ALTER TABLE audit_events ADD COLUMN actor text NOT NULL DEFAULT '';
