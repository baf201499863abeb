-- What is shown of a pattern was said by k owners, word by word (keeper_grpc/domain/patterns/shown_words.py).
-- action_template and context stay what the first observation said, for comparing, and are shown of authored
-- patterns only.

-- The distinct actions that each account captured in a pattern, its first ones; reports repeat what they were
-- shown and are none.
CREATE TABLE pattern_wordings (
    pattern_id  uuid NOT NULL REFERENCES network_patterns ON DELETE CASCADE,
    account_key text NOT NULL REFERENCES accounts,
    action_hash bytea NOT NULL,
    action      text NOT NULL,
    PRIMARY KEY (pattern_id, account_key, action_hash)
);
CREATE INDEX pattern_wordings_account ON pattern_wordings (account_key);
INSERT INTO pattern_wordings
SELECT pattern_id, account_key, sha256(convert_to(action, 'UTF8')), action
  FROM (SELECT pattern_id, account_key, action,
               row_number() OVER (PARTITION BY pattern_id, account_key
                                  ORDER BY min(recorded_time), action) AS nth
          FROM observations
         WHERE pattern_id IS NOT NULL AND disposition <> 'reported'
         GROUP BY pattern_id, account_key, action) said
 WHERE nth <= 16;

ALTER TABLE network_patterns
    ADD COLUMN shown_action  text NOT NULL DEFAULT '',    -- empty: k owners share too little to be shown
    ADD COLUMN shown_context jsonb NOT NULL DEFAULT '{}',
    -- Of a pattern that began with a report: whose advice that was. Until k owners have words for it, it
    -- speaks in those.
    ADD COLUMN worded_from   uuid REFERENCES network_patterns ON DELETE SET NULL;
CREATE INDEX network_patterns_worded_from ON network_patterns (worded_from)
    WHERE worded_from IS NOT NULL;
UPDATE network_patterns p SET worded_from = advice.pattern_id
  FROM (SELECT DISTINCT ON (o.pattern_id) o.pattern_id AS id, e.pattern_id
          FROM observations o JOIN enhancements e ON e.id = o.enhancement_id
         WHERE o.disposition = 'reported' ORDER BY o.pattern_id, o.recorded_time, o.id) advice
 WHERE advice.id = p.id AND advice.pattern_id <> p.id AND p.catalog_key IS NULL
   AND NOT EXISTS (SELECT FROM pattern_wordings w WHERE w.pattern_id = p.id);

-- Reports repeated the words of whoever had observed the advised pattern first.
UPDATE observations SET action = '' WHERE disposition = 'reported';

-- The next start weighs and words what is there.
UPDATE evidence_settings SET k = NULL;
