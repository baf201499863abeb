-- By which transaction a pattern was last written, so that the detector need not compare every pattern
-- with every cluster to find what became proven. Neither a time nor a sequence would do: a transaction
-- that ends late would bring in a value that was passed already. Of transactions a snapshot tells the
-- oldest that has not ended. 0 is before all of them: a new leader looks at every pattern anyhow.
ALTER TABLE network_patterns
    ADD COLUMN changed_in xid8 NOT NULL DEFAULT '0';
CREATE INDEX network_patterns_changed ON network_patterns (embedding_model, changed_in, id);

CREATE FUNCTION note_pattern_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.changed_in := pg_current_xact_id();
    RETURN NEW;
END $$;

CREATE TRIGGER note_change BEFORE INSERT OR UPDATE ON network_patterns
    FOR EACH ROW EXECUTE FUNCTION note_pattern_change();
