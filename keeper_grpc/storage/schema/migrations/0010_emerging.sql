-- What a new leader needs, so that it need not read every vector: the sum of each cluster's, kept by the
-- steps, and what else it counts, from an index alone.
ALTER TABLE emerging_patterns
    ADD COLUMN vector_sum vector(1536),
    ADD COLUMN vector_count integer NOT NULL DEFAULT 0;  -- sightings in vector_sum
CREATE INDEX sightings_members ON sightings (emerging_pattern_id)
    INCLUDE (id, embedding_model, account_key, business_category, confidence, potential_value, seen_time)
    WHERE emerging_pattern_id IS NOT NULL;

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
