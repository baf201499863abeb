-- The holdout experiment: outcomes by arm and owner, so that uplift is measured between owners at every look
-- (keeper_grpc/domain/metrics/experiment.py). A report reads these sums and no ledger.

-- The chance with which the question would be held out if there was advice: only questions of one chance are
-- comparable. 0 while there is no experiment.
ALTER TABLE enhancements ADD COLUMN holdout_share double precision NOT NULL DEFAULT 0;

-- It was not recorded so far. The share that was observed while questions were held out stands for it.
UPDATE enhancements e SET holdout_share = past.share
  FROM (SELECT round(avg(e.holdout::integer), 4)::double precision AS share, ran.first, ran.last
          FROM enhancements e
          JOIN (SELECT min(created_at) AS first, max(created_at) AS last
                  FROM enhancements WHERE holdout) ran
            ON e.created_at BETWEEN ran.first AND ran.last
         WHERE e.holdout OR e.no_match_reason IS NULL GROUP BY ran.first, ran.last) past
 WHERE e.created_at BETWEEN past.first AND past.last;

CREATE TABLE experiment_outcomes (
    account_key        text NOT NULL REFERENCES accounts ON DELETE CASCADE,
    business_category  text NOT NULL,
    pattern_type       text NOT NULL,
    holdout_share      double precision NOT NULL,
    advised            bigint NOT NULL DEFAULT 0,
    advised_successes  bigint NOT NULL DEFAULT 0,
    held_out           bigint NOT NULL DEFAULT 0,
    held_out_successes bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (account_key, business_category, pattern_type, holdout_share)
);

-- The same, from the ledger.
CREATE VIEW ledger_experiment AS
SELECT o.account_key, e.business_category, e.pattern_type, e.holdout_share,
       count(*) FILTER (WHERE NOT e.holdout) AS advised,
       count(*) FILTER (WHERE NOT e.holdout AND o.success) AS advised_successes,
       count(*) FILTER (WHERE e.holdout) AS held_out,
       count(*) FILTER (WHERE e.holdout AND o.success) AS held_out_successes
  FROM observations o JOIN enhancements e ON e.id = o.enhancement_id
 WHERE e.holdout_share > 0 AND (e.holdout OR e.no_match_reason IS NULL)
 GROUP BY 1, 2, 3, 4;

CREATE FUNCTION count_experiment() RETURNS trigger
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
     WHERE e.id = changed.enhancement_id AND e.holdout_share > 0
       AND (e.holdout OR e.no_match_reason IS NULL)
    ON CONFLICT (account_key, business_category, pattern_type, holdout_share) DO UPDATE
       SET advised = x.advised + excluded.advised,
           advised_successes = x.advised_successes + excluded.advised_successes,
           held_out = x.held_out + excluded.held_out,
           held_out_successes = x.held_out_successes + excluded.held_out_successes;
    RETURN NULL;
END $$;
CREATE TRIGGER count_experiment_insert AFTER INSERT ON observations
    FOR EACH ROW WHEN (NEW.enhancement_id IS NOT NULL) EXECUTE FUNCTION count_experiment();
CREATE TRIGGER count_experiment_delete AFTER DELETE ON observations
    FOR EACH ROW WHEN (OLD.enhancement_id IS NOT NULL) EXECUTE FUNCTION count_experiment();

-- Recounts the table, which the caller has locked writers out of: how many rows were wrong. A row of zeros is what a
-- deleted observation leaves, and is right.
CREATE FUNCTION rebuild_experiment() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    wrong bigint;
BEGIN
    SELECT count(*) INTO wrong FROM (
        (SELECT * FROM experiment_outcomes WHERE advised <> 0 OR held_out <> 0
         EXCEPT SELECT * FROM ledger_experiment)
        UNION ALL
        (SELECT * FROM ledger_experiment EXCEPT SELECT * FROM experiment_outcomes)) differ;
    DELETE FROM experiment_outcomes;
    INSERT INTO experiment_outcomes SELECT * FROM ledger_experiment;
    RETURN wrong;
END $$;

INSERT INTO experiment_outcomes SELECT * FROM ledger_experiment;
