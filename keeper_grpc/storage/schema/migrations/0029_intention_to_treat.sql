-- What accounts did instead of following advice counts in the experiment too, in the arm that chance assigned:
-- otherwise only those who followed would be compared with the holdout.

ALTER TABLE observations ADD COLUMN instead_of uuid;  -- the enhancement that was not followed
-- One outcome of each enhancement, whichever call reported it.
CREATE UNIQUE INDEX observations_question ON observations (coalesce(enhancement_id, instead_of))
    WHERE enhancement_id IS NOT NULL OR instead_of IS NOT NULL;

CREATE OR REPLACE VIEW ledger_experiment AS
SELECT o.account_key, e.business_category, e.pattern_type, e.holdout_share,
       count(*) FILTER (WHERE NOT e.holdout) AS advised,
       count(*) FILTER (WHERE NOT e.holdout AND o.success) AS advised_successes,
       count(*) FILTER (WHERE e.holdout) AS held_out,
       count(*) FILTER (WHERE e.holdout AND o.success) AS held_out_successes
  FROM observations o JOIN enhancements e ON e.id = coalesce(o.enhancement_id, o.instead_of)
 WHERE e.holdout_share > 0 AND (e.holdout OR e.no_match_reason IS NULL)
 GROUP BY 1, 2, 3, 4;

CREATE OR REPLACE FUNCTION count_experiment() RETURNS trigger
LANGUAGE plpgsql SET plan_cache_mode = auto AS $$
DECLARE
    changed observations := CASE TG_OP WHEN 'INSERT' THEN NEW ELSE OLD END;
    sign    integer := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    INSERT INTO experiment_outcomes AS x (
        account_key, business_category, pattern_type, holdout_share, advised, advised_successes,
        held_out, held_out_successes)
    SELECT changed.account_key, e.business_category, e.pattern_type, e.holdout_share,
           sign * (NOT e.holdout)::integer, sign * (NOT e.holdout AND changed.success)::integer,
           sign * e.holdout::integer, sign * (e.holdout AND changed.success)::integer
      FROM enhancements e
     WHERE e.id = coalesce(changed.enhancement_id, changed.instead_of) AND e.holdout_share > 0
       AND (e.holdout OR e.no_match_reason IS NULL)
    ON CONFLICT (account_key, business_category, pattern_type, holdout_share) DO UPDATE
       SET advised = x.advised + excluded.advised,
           advised_successes = x.advised_successes + excluded.advised_successes,
           held_out = x.held_out + excluded.held_out,
           held_out_successes = x.held_out_successes + excluded.held_out_successes;
    RETURN NULL;
END $$;
DROP TRIGGER count_experiment_insert ON observations;
DROP TRIGGER count_experiment_delete ON observations;
CREATE TRIGGER count_experiment_insert AFTER INSERT ON observations
    FOR EACH ROW WHEN (coalesce(NEW.enhancement_id, NEW.instead_of) IS NOT NULL)
    EXECUTE FUNCTION count_experiment();
CREATE TRIGGER count_experiment_delete AFTER DELETE ON observations
    FOR EACH ROW WHEN (coalesce(OLD.enhancement_id, OLD.instead_of) IS NOT NULL)
    EXECUTE FUNCTION count_experiment();
