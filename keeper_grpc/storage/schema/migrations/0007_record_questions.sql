-- Questions and sightings are written by a function each. A group of questions is one round trip, where it was eight, and
-- its statements are planned once a connection, where they were planned for each group; a plan that is kept must not depend on
-- how small a table was when it was made.

-- Adds or renews sightings, of accounts that the caller holds. Nothing is written where the last one is no older than
-- renewed_before; the sightings of an account that does not count wait.
CREATE FUNCTION write_sightings(
    new_scope_id bigint[], new_account_key text[], new_pattern_type text[], new_business_category text[],
    new_embedding_model text[], new_embedding vector[], new_rendered text[], new_rendered_hash bytea[],
    new_action text[], new_confidence double precision[], new_potential_value double precision[],
    new_seen_time timestamptz[], renewed_before timestamptz[]
) RETURNS void LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
BEGIN
    WITH given AS MATERIALIZED (
        SELECT * FROM unnest(
            new_scope_id, new_account_key, new_pattern_type, new_business_category, new_embedding_model,
            new_embedding, new_rendered, new_rendered_hash, new_action, new_confidence, new_potential_value,
            new_seen_time, renewed_before
        ) AS g (scope_id, account_key, pattern_type, business_category, embedding_model, embedding, rendered,
                rendered_hash, action, confidence, potential_value, seen_time, before)
    ), last AS MATERIALIZED (
        -- One by one, by their key: rows are as wide as their vectors, and a join might read all of them.
        SELECT g.*, found.id AS last_id, found.seen_time AS last_time
          FROM given g LEFT JOIN LATERAL (
               SELECT s.id, s.seen_time FROM sightings s
                WHERE s.scope_id = g.scope_id AND s.account_key = g.account_key
                  AND s.rendered_hash = g.rendered_hash AND s.embedding_model = g.embedding_model
                LIMIT 1) found ON true
    ), renewed AS MATERIALIZED (
        -- In the order of ids, as the detector takes them.
        SELECT FROM sightings
         WHERE id = ANY (ARRAY(SELECT last_id FROM last WHERE last_time < before)) ORDER BY id FOR UPDATE
    )
    INSERT INTO sightings AS s (
        scope_id, account_key, pattern_type, business_category, embedding_model, embedding, rendered,
        rendered_hash, action, confidence, potential_value, seen_time, pending)
    SELECT l.scope_id, l.account_key, l.pattern_type, l.business_category, l.embedding_model, l.embedding,
           l.rendered, l.rendered_hash, l.action, l.confidence, l.potential_value, l.seen_time,
           NOT EXISTS (SELECT FROM accounts a
                        WHERE a.account_key = l.account_key
                          AND NOT (a.qualified AND a.business_category = l.business_category))
      FROM last l
     WHERE (SELECT count(*) FROM renewed) >= 0
       AND coalesce(l.last_time < l.before, true)
     ORDER BY l.account_key, l.rendered_hash
    ON CONFLICT (scope_id, account_key, rendered_hash, embedding_model) DO UPDATE
       SET confidence = excluded.confidence, potential_value = excluded.potential_value,
           seen_time = greatest(s.seen_time, excluded.seen_time),
           pending = excluded.pending;
END $$;

-- Writes a group of questions with what was answered, their measures and the sightings that they are: all of it, or of a
-- question nothing, where the account is gone ('forgotten'), or its pattern or its embedding model ('moved'). Returns
-- which it was by the question's place, null where it was written. seen_place is the place of a sighting's question.
CREATE FUNCTION record_questions(
    new_id uuid[], new_scope_id bigint[], new_account_key text[],
    new_pattern_type text[], new_business_category text[], new_embedding_model text[], new_context jsonb[],
    new_action text[], new_asked_script text[], new_dollar_value double precision[],
    new_potential_value double precision[], new_base_confidence double precision[],
    new_pattern_id uuid[], new_advised_scope_id bigint[], new_no_match_reason text[], new_authored text[],
    new_advised_category text[], new_similarity double precision[], new_confidence double precision[],
    new_expected_success_rate double precision[], new_basis text[], new_expected_deviation double precision[],
    new_transfer double precision[], new_script text[], new_holdout boolean[],
    new_holdout_share double precision[], new_script_propensity double precision[],
    new_pattern_propensity double precision[], new_contenders jsonb[], new_exploration_loss double precision[],
    new_created_at timestamptz[],
    seen_place integer[], seen_scope_id bigint[], seen_account_key text[], seen_pattern_type text[],
    seen_business_category text[], seen_embedding_model text[], seen_embedding vector[], seen_rendered text[],
    seen_rendered_hash bytea[], seen_action text[], seen_confidence double precision[],
    seen_potential_value double precision[], seen_seen_time timestamptz[], seen_before timestamptz[]
) RETURNS text[] LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
    replaced   text[];
    accounts   text[];
    categories text[];
    patterns   uuid[];
    scopes     bigint[];
    objections text[];
BEGIN
    SELECT array_agg(model) INTO replaced
      FROM (SELECT DISTINCT model FROM unnest(new_embedding_model) AS asked (model)) asked
     WHERE NOT may_search(model);

    -- What questions refer to is held until the transaction ends.
    WITH held AS MATERIALIZED (
        SELECT a.account_key, CASE WHEN a.qualified THEN a.business_category END AS counts_in
          FROM accounts a WHERE a.account_key = ANY (new_account_key)
         ORDER BY a.account_key FOR KEY SHARE
    )
    SELECT array_agg(account_key), array_agg(counts_in) INTO accounts, categories FROM held;
    WITH held AS MATERIALIZED (
        SELECT p.scope_id, p.id FROM network_patterns p
         WHERE p.scope_id = ANY (new_advised_scope_id) AND p.id = ANY (new_pattern_id)
         ORDER BY p.id FOR KEY SHARE
    )
    SELECT array_agg(scope_id), array_agg(id) INTO scopes, patterns FROM held;

    SELECT array_agg(
               CASE WHEN a.account_key IS NULL THEN 'forgotten'
                    WHEN g.model = ANY (replaced) OR (g.pattern_id IS NOT NULL AND p.id IS NULL) THEN 'moved'
               END ORDER BY g.place)
      INTO objections
      FROM unnest(new_account_key, new_embedding_model, new_advised_scope_id, new_pattern_id) WITH ORDINALITY
           AS g (account_key, model, scope_id, pattern_id, place)
      LEFT JOIN unnest(accounts) AS a (account_key) ON a.account_key = g.account_key
      LEFT JOIN unnest(scopes, patterns) AS p (scope_id, id) ON p.scope_id = g.scope_id AND p.id = g.pattern_id;

    INSERT INTO enhancements (
        id, scope_id, account_key, pattern_type, business_category, embedding_model, context, action,
        asked_script, dollar_value, potential_value, base_confidence, pattern_id, advised_scope_id,
        no_match_reason, authored, advised_category, similarity, confidence, expected_success_rate, basis,
        expected_deviation, transfer, script, holdout, holdout_share, script_propensity, pattern_propensity,
        contenders, exploration_loss, created_at, measured)
    SELECT g.id, g.scope_id, g.account_key, g.pattern_type, g.business_category, g.embedding_model, g.context,
           g.action, g.asked_script, g.dollar_value, g.potential_value, g.base_confidence, g.pattern_id,
           g.advised_scope_id, g.no_match_reason, g.authored, g.advised_category, g.similarity, g.confidence,
           g.expected_success_rate, g.basis, g.expected_deviation, g.transfer, g.script, g.holdout,
           g.holdout_share, g.script_propensity, g.pattern_propensity, g.contenders, g.exploration_loss,
           g.created_at, coalesce(a.counts_in = g.business_category, false)
      FROM unnest(
               new_id, new_scope_id, new_account_key, new_pattern_type, new_business_category,
               new_embedding_model, new_context, new_action, new_asked_script, new_dollar_value,
               new_potential_value, new_base_confidence, new_pattern_id, new_advised_scope_id,
               new_no_match_reason, new_authored, new_advised_category, new_similarity, new_confidence,
               new_expected_success_rate, new_basis, new_expected_deviation, new_transfer, new_script,
               new_holdout, new_holdout_share, new_script_propensity, new_pattern_propensity, new_contenders,
               new_exploration_loss, new_created_at, objections)
           AS g (id, scope_id, account_key, pattern_type, business_category, embedding_model, context, action,
                 asked_script, dollar_value, potential_value, base_confidence, pattern_id, advised_scope_id,
                 no_match_reason, authored, advised_category, similarity, confidence, expected_success_rate,
                 basis, expected_deviation, transfer, script, holdout, holdout_share, script_propensity,
                 pattern_propensity, contenders, exploration_loss, created_at, objection)
      JOIN unnest(accounts, categories) AS a (account_key, counts_in) ON a.account_key = g.account_key
     WHERE g.objection IS NULL;
    PERFORM measure_questions(array_agg(g.id))
       FROM unnest(new_id, objections) AS g (id, objection) WHERE g.objection IS NULL;

    IF 'forgotten' = ANY (objections) OR 'moved' = ANY (objections) THEN
        SELECT array_agg(g.scope_id), array_agg(g.account_key), array_agg(g.pattern_type),
               array_agg(g.business_category), array_agg(g.embedding_model), array_agg(g.embedding),
               array_agg(g.rendered), array_agg(g.rendered_hash), array_agg(g.action), array_agg(g.confidence),
               array_agg(g.potential_value), array_agg(g.seen_time), array_agg(g.before)
          INTO seen_scope_id, seen_account_key, seen_pattern_type, seen_business_category,
               seen_embedding_model, seen_embedding, seen_rendered, seen_rendered_hash, seen_action,
               seen_confidence, seen_potential_value, seen_seen_time, seen_before
          FROM unnest(seen_place, seen_scope_id, seen_account_key, seen_pattern_type, seen_business_category,
                      seen_embedding_model, seen_embedding, seen_rendered, seen_rendered_hash, seen_action,
                      seen_confidence, seen_potential_value, seen_seen_time, seen_before)
               AS g (place, scope_id, account_key, pattern_type, business_category, embedding_model, embedding,
                     rendered, rendered_hash, action, confidence, potential_value, seen_time, before)
         WHERE objections[g.place] IS NULL;
    END IF;
    PERFORM write_sightings(
        seen_scope_id, seen_account_key, seen_pattern_type, seen_business_category, seen_embedding_model,
        seen_embedding, seen_rendered, seen_rendered_hash, seen_action, seen_confidence, seen_potential_value,
        seen_seen_time, seen_before);
    RETURN objections;
END $$;
