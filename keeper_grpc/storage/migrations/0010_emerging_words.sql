-- Words under the k rule, and a title; see keeper_grpc/domain/wording.py.
ALTER TABLE emerging_patterns
    ADD COLUMN label text NOT NULL DEFAULT '';
ALTER TABLE sightings
    ADD COLUMN action text NOT NULL DEFAULT '';  -- the action within the sentence

-- What is shown now was told in one account's words: let the detector look at it again.
UPDATE sightings SET pending = true
 WHERE id IN (SELECT max(s.id) FROM sightings s
                JOIN emerging_patterns p ON p.id = s.emerging_pattern_id
               WHERE p.state = 'emerging' GROUP BY p.id);
