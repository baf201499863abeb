-- Locks of accounts, by functions: on one server they lock rows. Where tables are spread, accounts is on every worker, and
-- whoever locks a row of such a table, or changes one, holds all of it, on every node, against all who do; so advisory locks
-- of the coordinator stand for the rows. Each account has two of them:
--
--     whether it stays         shared: whoever writes what refers to it; exclusive: whoever changes its standing or deletes it
--     what it did with advice  exclusive: a reaction, and an outcome of advice; these share the first
--
-- Each function takes the first locks of all its accounts, then the second, in the order of their keys. Modes are those of the
-- rows' locks, which stay in use on one server: there programs of both versions may run at once.

CREATE FUNCTION is_spread() RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL
$$;

-- The keys of these accounts' first locks (which = 1) or second ones (2), in order.
CREATE FUNCTION account_locks(keys text[], which integer) RETURNS SETOF bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT DISTINCT hashtextextended(k, which) FROM unnest(keys) AS k ORDER BY 1
$$;

-- Lets nobody delete these accounts, or change their standing, until the transaction ends; those that are there, and the
-- category that each counts in, if it counts.
CREATE FUNCTION hold_accounts(keys text[]) RETURNS TABLE (account_key text, counts_in text) LANGUAGE plpgsql AS $$
BEGIN
    IF is_spread() THEN
        PERFORM pg_advisory_xact_lock_shared(l) FROM account_locks(keys, 1) AS l;
        RETURN QUERY
            SELECT a.account_key, CASE WHEN a.qualified THEN a.business_category END
              FROM accounts a WHERE a.account_key = ANY (keys);
    ELSE
        RETURN QUERY
            SELECT a.account_key, CASE WHEN a.qualified THEN a.business_category END
              FROM accounts a WHERE a.account_key = ANY (keys) ORDER BY a.account_key FOR KEY SHARE;
    END IF;
END $$;

-- As hold_accounts; and lets nobody else record what these accounts did with advice.
CREATE FUNCTION own_reactions(keys text[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF is_spread() THEN
        PERFORM pg_advisory_xact_lock_shared(l) FROM account_locks(keys, 1) AS l;
        PERFORM pg_advisory_xact_lock(l) FROM account_locks(keys, 2) AS l;
    ELSE
        PERFORM 1 FROM accounts a WHERE a.account_key = ANY (keys) ORDER BY a.account_key FOR NO KEY UPDATE;
    END IF;
END $$;

-- Lets nobody else write what refers to the account until the transaction ends.
CREATE FUNCTION own_account(key text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF is_spread() THEN
        PERFORM pg_advisory_xact_lock(l) FROM account_locks(ARRAY[key], 1) AS l;
    ELSE
        PERFORM 1 FROM accounts a WHERE a.account_key = key FOR UPDATE;
    END IF;
END $$;

-- Lets nobody change these accounts' standing, or record what they did with advice; those that are there.
CREATE FUNCTION settle_accounts(keys text[]) RETURNS text[] LANGUAGE plpgsql AS $$
BEGIN
    IF is_spread() THEN
        PERFORM pg_advisory_xact_lock_shared(l) FROM account_locks(keys, 1) AS l;
        PERFORM pg_advisory_xact_lock_shared(l) FROM account_locks(keys, 2) AS l;
        RETURN ARRAY(SELECT a.account_key FROM accounts a WHERE a.account_key = ANY (keys));
    END IF;
    RETURN ARRAY(SELECT a.account_key FROM accounts a WHERE a.account_key = ANY (keys) ORDER BY a.account_key FOR SHARE);
END $$;

-- As settle_accounts, without waiting: those of these accounts that were free for it and are not being forgotten.
CREATE FUNCTION free_accounts(keys text[]) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    free text[];
BEGIN
    IF is_spread() THEN
        SELECT array_agg(k) INTO free FROM (SELECT DISTINCT unnest(keys) AS k) asked
         WHERE pg_try_advisory_xact_lock_shared(hashtextextended(k, 1))
           AND pg_try_advisory_xact_lock_shared(hashtextextended(k, 2));
        RETURN (SELECT array_agg(a.account_key) FROM accounts a WHERE a.account_key = ANY (free) AND NOT a.forgetting);
    END IF;
    RETURN (SELECT array_agg(h.account_key) FROM (
        SELECT a.account_key FROM accounts a WHERE a.account_key = ANY (keys) AND NOT a.forgetting
         ORDER BY a.account_key FOR SHARE SKIP LOCKED) h);
END $$;

-- As in 0010; accounts are held by the function above.
CREATE OR REPLACE FUNCTION record_questions(
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
    each       record;
BEGIN
    SELECT array_agg(model) INTO replaced
      FROM (SELECT DISTINCT model FROM unnest(new_embedding_model) AS asked (model)) asked
     WHERE NOT may_search(model);

    -- What questions refer to is held until the transaction ends.
    SELECT array_agg(h.account_key), array_agg(h.counts_in) INTO accounts, categories
      FROM hold_accounts(new_account_key) h;
    FOR each IN SELECT DISTINCT g.scope_id, g.id FROM unnest(new_advised_scope_id, new_pattern_id) AS g (scope_id, id)
                 WHERE g.id IS NOT NULL ORDER BY g.id LOOP
        PERFORM 1 FROM network_patterns p WHERE p.scope_id = each.scope_id AND p.id = each.id FOR KEY SHARE;
        IF FOUND THEN
            scopes := scopes || each.scope_id;
            patterns := patterns || each.id;
        END IF;
    END LOOP;

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

-- As in 0010; accounts are held by the function above.
CREATE OR REPLACE FUNCTION roll_up_questions(before timestamptz, most integer) RETURNS bigint
LANGUAGE plpgsql SET plan_cache_mode = auto AS $$
DECLARE
    free   text[];
    own    bigint;
    held   uuid[];
    old    uuid[];
    stays  uuid[];
    passed bigint;
    rolled bigint;
BEGIN
    SELECT array_agg(o.account_key) INTO free FROM (
        SELECT account_key FROM enhancements WHERE NOT kept AND created_at < before ORDER BY created_at LIMIT most) o;
    free := free_accounts(free);
    IF free IS NULL THEN
        RETURN 0;
    END IF;
    FOR own IN
        SELECT DISTINCT o.scope_id FROM (
            SELECT e.scope_id FROM enhancements e WHERE NOT e.kept AND e.created_at < before AND e.account_key = ANY (free)
             ORDER BY e.created_at LIMIT most) o ORDER BY 1
    LOOP
        SELECT array_agg(h.id) INTO held FROM (
            SELECT e.id FROM enhancements e
             WHERE e.scope_id = own AND NOT e.kept AND e.created_at < before AND e.account_key = ANY (free)
             ORDER BY e.created_at LIMIT most - coalesce(cardinality(old), 0) FOR UPDATE SKIP LOCKED) h;
        old := old || held;
    END LOOP;
    SELECT coalesce(array_agg(e.id), '{}') INTO stays FROM enhancements e
     WHERE e.id = ANY (old)
       AND (e.reaction IS NOT NULL OR e.adopted IS NOT NULL
            OR EXISTS (SELECT 1 FROM enhancement_outcomes x WHERE x.scope_id = e.scope_id AND x.enhancement_id = e.id)
            OR EXISTS (SELECT 1 FROM reactions r WHERE r.scope_id = e.scope_id AND r.enhancement_id = e.id));
    UPDATE enhancements e SET kept = true WHERE e.id = ANY (stays);
    GET DIAGNOSTICS passed = ROW_COUNT;
    old := ARRAY(SELECT unnest(old) EXCEPT SELECT unnest(stays));

    INSERT INTO rolled_questions AS r
    SELECT g.account_key, (g.created_at AT TIME ZONE 'UTC')::date, g.business_category, g.measured,
           sum(m.questions), sum(m.enhanced), sum(m.from_elsewhere), sum(m.confidence_added),
           sum(m.exploration_loss)
      FROM enhancements g
     CROSS JOIN LATERAL question_measures(
           g.no_match_reason, g.holdout, g.business_category, g.advised_category,
           g.base_confidence, g.confidence, g.exploration_loss) m
     WHERE g.id = ANY (old) GROUP BY 1, 2, 3, 4
    ON CONFLICT (account_key, day, business_category, measured) DO UPDATE
       SET questions = r.questions + excluded.questions, enhanced = r.enhanced + excluded.enhanced,
           from_elsewhere = r.from_elsewhere + excluded.from_elsewhere,
           confidence_added = r.confidence_added + excluded.confidence_added,
           exploration_loss = r.exploration_loss + excluded.exploration_loss;
    INSERT INTO rolled_advice AS r (account_key, scope_id, pattern_id, business_category, measured, first_time)
    SELECT g.account_key, g.advised_scope_id, g.pattern_id, g.business_category, g.measured, min(g.created_at)
      FROM enhancements g WHERE g.id = ANY (old) AND g.no_match_reason IS NULL AND g.pattern_id IS NOT NULL
     GROUP BY 1, 2, 3, 4, 5
    ON CONFLICT (account_key, scope_id, pattern_id, business_category, measured) DO UPDATE
       SET first_time = least(r.first_time, excluded.first_time);
    INSERT INTO rolled_accounts AS r
    SELECT g.account_key, min(g.created_at), min(g.created_at) FILTER (WHERE g.no_match_reason IS NULL),
           max(day), max(day) FILTER (WHERE NOT g.holdout), max(day) FILTER (WHERE g.no_match_reason IS NULL),
           count(*) FILTER (WHERE explored), count(g.contenders) FILTER (WHERE explored),
           count(*) FILTER (WHERE explored AND g.script_propensity < 1),
           coalesce(sum(g.exploration_loss) FILTER (WHERE explored), 0),
           coalesce(max(g.exploration_loss) FILTER (WHERE explored), 0)
      FROM enhancements g
     CROSS JOIN LATERAL (SELECT (g.created_at AT TIME ZONE 'UTC')::date AS day,
                                g.no_match_reason IS NULL AND g.pattern_propensity IS NOT NULL AS explored) d
     WHERE g.id = ANY (old) GROUP BY 1
    ON CONFLICT (account_key) DO UPDATE
       SET first_asked_time = least(r.first_asked_time, excluded.first_asked_time),
           first_advised_time = least(r.first_advised_time, excluded.first_advised_time),
           last_day = greatest(r.last_day, excluded.last_day),
           last_asked_day = greatest(r.last_asked_day, excluded.last_asked_day),
           last_enhanced_day = greatest(r.last_enhanced_day, excluded.last_enhanced_day),
           explored = r.explored + excluded.explored,
           pattern_choices = r.pattern_choices + excluded.pattern_choices,
           script_choices = r.script_choices + excluded.script_choices,
           lost = r.lost + excluded.lost, most_lost = greatest(r.most_lost, excluded.most_lost);
    INSERT INTO rolled_arms AS r
    SELECT g.account_key, g.business_category, g.pattern_type,
           count(*) FILTER (WHERE NOT held_out(g.holdout, g.authored)),
           count(*) FILTER (WHERE held_out(g.holdout, g.authored))
      FROM enhancements g
     WHERE g.id = ANY (old) AND g.holdout_share > 0
       AND had_advice(g.holdout, g.no_match_reason, g.authored)
     GROUP BY 1, 2, 3
    ON CONFLICT (account_key, business_category, pattern_type) DO UPDATE
       SET advised = r.advised + excluded.advised, held_out = r.held_out + excluded.held_out;
    DELETE FROM enhancements e WHERE e.id = ANY (old);
    GET DIAGNOSTICS rolled = ROW_COUNT;
    RETURN passed + rolled;
END $$;
