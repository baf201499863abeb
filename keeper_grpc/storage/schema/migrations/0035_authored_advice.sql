-- What an author advised where nothing proven fit (keeper_grpc/domain/advice/authored.py). The reason why nothing
-- proven fit stays in no_match_reason, so that no count of enhanced questions includes it.

ALTER TABLE enhancements
    ADD COLUMN authored text CHECK (authored IN ('given', 'withheld')),  -- withheld: in the holdout; null: none
    -- A pattern stands behind a question that was enhanced, that was held out, or that an author had advice for.
    DROP CONSTRAINT enhancements_check,
    ADD CHECK (pattern_id IS NULL OR no_match_reason IS NULL OR holdout OR authored IS NOT NULL);

-- The questions of one type and category that nothing proven answers read the catalog's patterns.
CREATE INDEX network_patterns_authored ON network_patterns (pattern_type, business_category)
    WHERE catalog_key IS NOT NULL;

-- Whether the network had advice for a question, proven or authored, and whether it was held back. `holdout` is of
-- proven advice alone: the measures of enhanced questions go by it.
CREATE FUNCTION had_advice(e enhancements) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT e.holdout OR e.no_match_reason IS NULL OR e.authored IS NOT NULL
$$;
CREATE FUNCTION held_out(e enhancements) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT e.holdout OR coalesce(e.authored = 'withheld', false)
$$;

-- The experiment is of all advice, in both arms.
CREATE OR REPLACE VIEW ledger_experiment AS
SELECT o.account_key, e.business_category, e.pattern_type, e.holdout_share,
       count(*) FILTER (WHERE NOT held_out(e)) AS advised,
       count(*) FILTER (WHERE NOT held_out(e) AND o.success) AS advised_successes,
       count(*) FILTER (WHERE held_out(e)) AS held_out,
       count(*) FILTER (WHERE held_out(e) AND o.success) AS held_out_successes
  FROM observations o JOIN enhancements e ON e.id = coalesce(o.enhancement_id, o.instead_of)
 WHERE e.holdout_share > 0 AND had_advice(e)
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
           sign * (NOT held_out(e))::integer,
           sign * (NOT held_out(e) AND changed.success)::integer,
           sign * held_out(e)::integer, sign * (held_out(e) AND changed.success)::integer
      FROM enhancements e
     WHERE e.id = coalesce(changed.enhancement_id, changed.instead_of) AND e.holdout_share > 0
       AND had_advice(e)
    ON CONFLICT (account_key, business_category, pattern_type, holdout_share) DO UPDATE
       SET advised = x.advised + excluded.advised,
           advised_successes = x.advised_successes + excluded.advised_successes,
           held_out = x.held_out + excluded.held_out,
           held_out_successes = x.held_out_successes + excluded.held_out_successes;
    RETURN NULL;
END $$;
