-- What is judged and shown is weighed: no owner counts for too much (keeper_grpc/domain/evidence/evidence.py).
-- occurrence_count, success_count and with them success_rate become these numbers; each owner's own are in
-- pattern_accounts. And the prior of a pattern that is not authored is learned from the other patterns of
-- its kind (priors.py beside it).

DROP TRIGGER note_changed ON network_patterns;
ALTER TABLE network_patterns
    DROP COLUMN largest_account_occurrences,
    DROP COLUMN revenue_total,
    DROP COLUMN revenue_count,
    DROP COLUMN recent_trials,
    DROP COLUMN recent_successes,
    ALTER COLUMN prior_successes SET DEFAULT 1,
    ALTER COLUMN prior_failures SET DEFAULT 1,
    ADD COLUMN prior_source text NOT NULL DEFAULT 'default'
        CHECK (prior_source IN ('category', 'type', 'default', 'author')),
    ADD COLUMN prior_patterns integer NOT NULL DEFAULT 0;  -- how many patterns it was learned from
UPDATE network_patterns
   SET prior_successes = CASE WHEN catalog_key IS NULL THEN 1 ELSE prior_successes END,
       prior_failures = CASE WHEN catalog_key IS NULL THEN 1 ELSE prior_failures END,
       prior_source = CASE WHEN catalog_key IS NULL THEN 'default' ELSE 'author' END;
-- As text: pg_restore has no search path, in which the operator of vectors would be found.
CREATE TRIGGER note_changed BEFORE UPDATE ON network_patterns
    FOR EACH ROW WHEN (
        (OLD.pattern_embedding::text, OLD.confidence_score, OLD.account_count)
        IS DISTINCT FROM
        (NEW.pattern_embedding::text, NEW.confidence_score, NEW.account_count))
    EXECUTE FUNCTION note_pattern_change();

-- The prior of a pattern that is to be created, by type and category; '' stands for every category.
CREATE TABLE learned_priors (
    pattern_type      text NOT NULL,
    business_category text NOT NULL,
    successes         double precision NOT NULL,
    failures          double precision NOT NULL,
    source            text NOT NULL CHECK (source IN ('category', 'type')),
    patterns          integer NOT NULL,
    PRIMARY KEY (pattern_type, business_category)
);

-- Null: not weighed yet. The next start does that.
ALTER TABLE evidence_settings ADD COLUMN k integer;

-- `weigh` of keeper_grpc/domain/evidence/evidence.py, to filter before shares are read; a test holds
-- the two together. Both arrays are by owner.
CREATE FUNCTION weigh(
    owner_trials bigint[], owner_successes bigint[], k integer,
    OUT accounts integer, OUT trials bigint, OUT successes bigint)
LANGUAGE sql IMMUTABLE AS $$
    WITH held AS (
        SELECT n::double precision AS n, y::double precision AS y,
               sum(n) OVER up::double precision AS upto,
               -- How many weigh more, ties in the order of up.
               count(*) OVER () - row_number() OVER up AS above,
               least(k, count(*) OVER ()) AS parts
          FROM unnest(owner_trials, owner_successes) AS share (n, y)
         WHERE n > 0
        WINDOW up AS (ORDER BY n ROWS UNBOUNDED PRECEDING)
    ), cut AS (
        SELECT least(
                   (SELECT upto / (parts - above) FROM held
                     WHERE above < parts AND n <= upto / (parts - above) ORDER BY above LIMIT 1),
                   (SELECT n FROM held WHERE above = parts - 1),
                   (SELECT greatest(percentile_cont(0.5) WITHIN GROUP (ORDER BY n), 5)
                      FROM held)) AS most
    ), total AS (
        SELECT count(*)::integer AS accounts, coalesce(sum(least(n, most)), 0) AS weight,
               coalesce(sum(least(n, most) * y / n), 0) AS good
          FROM held, cut
    )
    SELECT t.accounts, w.trials::bigint,
           coalesce(floor(w.trials * t.good / nullif(t.weight, 0) + 0.5 + 1e-9), 0)::bigint
      FROM total t, LATERAL (SELECT floor(t.weight + 1e-9) AS trials) w
$$;
