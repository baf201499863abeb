-- All evidence ages: a situation's and a script's by the half-life that a pattern's does, and a fast and a slow
-- average of each owner's outcomes tell when a pattern stops working (keeper_grpc/domain/evidence/fading.py).

ALTER TABLE pattern_accounts
    ADD COLUMN fast_trials    double precision NOT NULL DEFAULT 0,
    ADD COLUMN fast_successes double precision NOT NULL DEFAULT 0,
    ADD COLUMN slow_trials    double precision NOT NULL DEFAULT 0,
    ADD COLUMN slow_successes double precision NOT NULL DEFAULT 0;
ALTER TABLE pattern_facets
    ADD COLUMN recent_trials    double precision NOT NULL DEFAULT 0,
    ADD COLUMN recent_successes double precision NOT NULL DEFAULT 0;
ALTER TABLE script_accounts
    ADD COLUMN recent_trials    double precision NOT NULL DEFAULT 0,
    ADD COLUMN recent_successes double precision NOT NULL DEFAULT 0;
ALTER TABLE network_patterns
    ADD COLUMN fading boolean NOT NULL DEFAULT false;  -- works less often of late than its evidence says

CREATE OR REPLACE VIEW pattern_owners AS
SELECT s.pattern_id, a.owner_key, count(*)::integer AS account_count,
       sum(s.occurrence_count)::bigint AS occurrence_count,
       sum(s.success_count)::bigint AS success_count, sum(s.revenue_total) AS revenue_total,
       sum(s.revenue_count)::bigint AS revenue_count, sum(s.recent_trials) AS recent_trials,
       sum(s.recent_successes) AS recent_successes,
       sum(s.fast_trials) AS fast_trials, sum(s.fast_successes) AS fast_successes,
       sum(s.slow_trials) AS slow_trials, sum(s.slow_successes) AS slow_successes
  FROM pattern_accounts s JOIN accounts a USING (account_key)
 WHERE a.qualified GROUP BY s.pattern_id, a.owner_key;

CREATE OR REPLACE VIEW script_owners AS
SELECT s.script_id, a.owner_key, sum(s.occurrence_count)::bigint AS occurrence_count,
       sum(s.success_count)::bigint AS success_count, sum(s.recent_trials) AS recent_trials,
       sum(s.recent_successes) AS recent_successes
  FROM script_accounts s JOIN accounts a USING (account_key)
 WHERE a.qualified GROUP BY s.script_id, a.owner_key;

CREATE OR REPLACE VIEW facet_owners AS
SELECT s.pattern_id, s.facet, a.owner_key, sum(s.occurrence_count)::bigint AS occurrence_count,
       sum(s.success_count)::bigint AS success_count, sum(s.recent_trials) AS recent_trials,
       sum(s.recent_successes) AS recent_successes
  FROM pattern_facets s JOIN accounts a USING (account_key)
 WHERE a.qualified GROUP BY s.pattern_id, s.facet, a.owner_key;

-- What is counted lacks these sums: the next start recounts it from the ledger.
ALTER TABLE evidence_settings ADD COLUMN complete boolean NOT NULL DEFAULT true;
UPDATE evidence_settings SET complete = false;

-- A pattern that begins to fade has changed for the detector: it proves nothing meanwhile.
ALTER TABLE emerging_patterns
    ADD COLUMN fading_pattern_id uuid REFERENCES network_patterns ON DELETE SET NULL;
DROP TRIGGER note_changed ON network_patterns;
-- As text: pg_restore has no search path, in which the operator of vectors would be found.
CREATE TRIGGER note_changed BEFORE UPDATE ON network_patterns
    FOR EACH ROW WHEN (
        (OLD.pattern_embedding::text, OLD.confidence_score, OLD.account_count, OLD.fading)
        IS DISTINCT FROM
        (NEW.pattern_embedding::text, NEW.confidence_score, NEW.account_count, NEW.fading))
    EXECUTE FUNCTION note_pattern_change();
