-- By which transaction a pattern last became what may prove a cluster, or ceased to be it, so that the
-- detector need not compare every pattern with every cluster. Neither a time nor a sequence would do: a
-- transaction that ends late would bring in a value that was passed already. Of transactions a snapshot
-- tells the oldest that has not ended. 0 is before all of them: a new leader looks at every pattern anyhow.
ALTER TABLE network_patterns
    ADD COLUMN changed_in xid8 NOT NULL DEFAULT '0';
CREATE INDEX network_patterns_changed ON network_patterns (embedding_model, changed_in, id);

CREATE FUNCTION note_pattern_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.changed_in := pg_current_xact_id();
    RETURN NEW;
END $$;

CREATE TRIGGER note_inserted BEFORE INSERT ON network_patterns
    FOR EACH ROW EXECUTE FUNCTION note_pattern_change();
-- As text: pg_restore has no search path, in which the operator of vectors would be found.
CREATE TRIGGER note_changed BEFORE UPDATE ON network_patterns
    FOR EACH ROW WHEN (
        (OLD.pattern_embedding::text, OLD.confidence_score, OLD.occurrence_count, OLD.account_count,
         OLD.largest_account_occurrences)
        IS DISTINCT FROM
        (NEW.pattern_embedding::text, NEW.confidence_score, NEW.occurrence_count, NEW.account_count,
         NEW.largest_account_occurrences))
    EXECUTE FUNCTION note_pattern_change();
