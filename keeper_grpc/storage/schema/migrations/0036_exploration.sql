-- Exploration: how each pattern was chosen, and what wordings that chance chose came to. Both are used to compare what
-- was handed out (keeper_grpc/domain/evidence/off_policy.py).

ALTER TABLE enhancements
    ADD COLUMN pattern_propensity double precision,  -- the chance that the pattern had; null before it was explored
    -- Where there was a choice: by pattern, the chance it had and the success rate that was expected of it.
    ADD COLUMN contenders         jsonb,
    ADD COLUMN exploration_loss   double precision NOT NULL DEFAULT 0;  -- of success, by expectation

-- The wordings that chance chose: inverse propensity, and the success rate that was expected. Advice from another
-- category counts into another pattern than the one whose wordings were drawn.
CREATE VIEW drawn_scripts AS
SELECT id AS enhancement_id, 1 / script_propensity AS inverse, expected_success_rate AS expected
  FROM enhancements
 WHERE script_propensity > 0 AND script_propensity < 1 AND NOT holdout
   AND advised_category = business_category;

ALTER TABLE script_accounts
    ADD COLUMN drawn_trials  bigint NOT NULL DEFAULT 0,
    ADD COLUMN drawn_weight  double precision NOT NULL DEFAULT 0,  -- sum of the inverse propensities
    ADD COLUMN drawn_squares double precision NOT NULL DEFAULT 0,  -- of their squares
    ADD COLUMN drawn_excess  double precision NOT NULL DEFAULT 0;  -- of success less expectation, times inverse

CREATE OR REPLACE VIEW script_owners AS
SELECT s.script_id, a.owner_key, sum(s.occurrence_count)::bigint AS occurrence_count,
       sum(s.success_count)::bigint AS success_count, sum(s.recent_trials) AS recent_trials,
       sum(s.recent_successes) AS recent_successes, sum(s.drawn_trials)::bigint AS drawn_trials,
       sum(s.drawn_weight) AS drawn_weight, sum(s.drawn_squares) AS drawn_squares,
       sum(s.drawn_excess) AS drawn_excess
  FROM script_accounts s JOIN accounts a USING (account_key)
 WHERE a.qualified GROUP BY s.script_id, a.owner_key;

-- What is counted lacks these sums where wordings were drawn before: the next start recounts it from the ledger.
UPDATE evidence_settings SET complete = false
 WHERE EXISTS (SELECT FROM drawn_scripts);
