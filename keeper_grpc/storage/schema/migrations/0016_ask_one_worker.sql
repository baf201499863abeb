-- What a group writes and a question is recorded by name their scopes: where tables are spread, the workers that have these
-- are asked, and no other. What was just written is measured by what is read of it once, or was passed.

-- Measures observations of these scopes that were just recorded, in this order, with those of their accounts that wait: a step
-- of one kind together, on the day of its last. `advised` are those that are outcomes of advice. An interim outcome waits for the
-- one that takes its place. Others of the account that somebody counts at this moment are held by him, and nobody waits: they
-- are left to a later step. Their accounts are held by the caller.
CREATE FUNCTION measure_outcomes(scopes bigint[], new_ids uuid[], advised uuid[]) RETURNS void LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
    step      integer := coalesce((SELECT s.step FROM evidence_settings s), 1);
    own       bigint;
    -- What was just recorded, and after it what waits.
    ids       uuid[];
    of_scopes bigint[];
    keys      text[];
    lines     text[];
    occurred  timestamptz[];
    recorded  timestamptz[];
    finals    boolean[];
    wins      boolean[];
    revenues  double precision[];
    retained  boolean[];
    given     boolean[];
    held_out  boolean[];
    -- The accounts.
    counting  text[];
    counts_in text[];
    joined    timestamptz[];
    -- The accounts and lines of business of which something may make a step.
    due_keys  text[];
    due_lines text[];
    waiting   record;
    -- What counts from now on.
    begun     uuid[];
    days      date[];
    each      record;
BEGIN
    SELECT array_agg(o.id), array_agg(o.scope_id), array_agg(o.account_key), array_agg(o.business_category),
           array_agg(o.occurred_time), array_agg(o.recorded_time), array_agg(o.final), array_agg(o.success),
           array_agg(o.net_revenue), array_agg(o.customer_retained),
           array_agg(e.id IS NOT NULL AND e.no_match_reason IS NULL), array_agg(coalesce(e.holdout, false))
      INTO ids, of_scopes, keys, lines, occurred, recorded, finals, wins, revenues, retained, given, held_out
      FROM observations o
      LEFT JOIN enhancements e ON e.scope_id = ANY (scopes) AND e.scope_id = o.scope_id AND e.id = o.enhancement_id
     WHERE o.scope_id = ANY (scopes) AND o.id = ANY (new_ids);
    IF ids IS NULL THEN
        RETURN;
    END IF;
    SELECT array_agg(a.account_key), array_agg(CASE WHEN a.qualified THEN a.business_category END), array_agg(a.joined_time)
      INTO counting, counts_in, joined FROM accounts a WHERE a.account_key = ANY (keys);

    IF step > 1 THEN
        SELECT array_agg(d.account_key), array_agg(d.line) INTO due_keys, due_lines FROM (
            SELECT DISTINCT o.account_key, o.line FROM unnest(keys, lines, finals) AS o (account_key, line, final)
              JOIN unnest(counting, counts_in) AS a (account_key, line) USING (account_key, line)
             WHERE o.final) d;
        FOR own IN
            SELECT DISTINCT o.scope_id FROM observations o
             WHERE o.measured_day IS NULL AND o.final AND o.account_key = ANY (due_keys) AND o.id <> ALL (new_ids) ORDER BY 1
        LOOP
            SELECT array_agg(f.id) AS ids, array_agg(f.account_key) AS keys, array_agg(f.business_category) AS lines,
                   array_agg(f.occurred_time) AS occurred, array_agg(f.recorded_time) AS recorded,
                   array_agg(f.success) AS wins, array_agg(f.net_revenue) AS revenues,
                   array_agg(f.customer_retained) AS retained,
                   array_agg(e.id IS NOT NULL AND e.no_match_reason IS NULL) AS given,
                   array_agg(coalesce(e.holdout, false)) AS held_out
              INTO waiting
              FROM (SELECT o.id, o.account_key, o.business_category, o.occurred_time, o.recorded_time, o.success, o.net_revenue,
                           o.customer_retained, o.enhancement_id
                      FROM observations o
                     WHERE o.scope_id = own AND o.measured_day IS NULL AND o.final AND o.id <> ALL (new_ids)
                       AND o.account_key = ANY (due_keys)
                       AND (o.account_key, o.business_category) IN (
                           SELECT * FROM unnest(due_keys, due_lines) AS k (account_key, business_category))
                       FOR NO KEY UPDATE OF o SKIP LOCKED) f
              LEFT JOIN enhancements e ON e.scope_id = own AND e.id = f.enhancement_id;
            ids := ids || waiting.ids;
            of_scopes := of_scopes || array_fill(own, ARRAY[coalesce(cardinality(waiting.ids), 0)]);
            keys := keys || waiting.keys;
            lines := lines || waiting.lines;
            occurred := occurred || waiting.occurred;
            recorded := recorded || waiting.recorded;
            finals := finals || array_fill(true, ARRAY[coalesce(cardinality(waiting.ids), 0)]);
            wins := wins || waiting.wins;
            revenues := revenues || waiting.revenues;
            retained := retained || waiting.retained;
            given := given || waiting.given;
            held_out := held_out || waiting.held_out;
        END LOOP;
    END IF;
    WITH able AS (
        SELECT o.id, o.account_key, o.line, array_position(new_ids, o.id) AS place, o.recorded_time,
               CASE WHEN o.held_out THEN 'held out' WHEN o.given THEN 'advised' ELSE 'captured' END AS kind,
               (o.occurred_time AT TIME ZONE 'UTC')::date AS day
          FROM unnest(ids, keys, lines, occurred, recorded, finals, given, held_out)
               AS o (id, account_key, line, occurred_time, recorded_time, final, given, held_out)
          JOIN unnest(counting, counts_in) AS a (account_key, line) USING (account_key, line)
         WHERE o.final OR step = 1
    ), placed AS (
        SELECT *, count(*) OVER kinds AS number_of, count(place) OVER kinds AS new,
               row_number() OVER (kinds ORDER BY place NULLS FIRST, recorded_time, id) AS n
          FROM able
        WINDOW kinds AS (PARTITION BY account_key, line, kind)
    ), steps AS (
        SELECT id, max(day) OVER (PARTITION BY account_key, line, kind, (n - 1) / step) AS day
          FROM placed WHERE new > 0 AND ((n - 1) / step + 1) * step <= number_of
    )
    SELECT array_agg(id), array_agg(day) INTO begun, days FROM steps;
    IF begun IS NOT NULL THEN
        of_scopes := ARRAY(
            SELECT DISTINCT o.scope_id FROM unnest(ids, of_scopes) AS o (id, scope_id) WHERE o.id = ANY (begun));
        UPDATE observations o SET measured_day = s.day FROM unnest(begun, days) AS s (id, day)
         WHERE o.scope_id = ANY (of_scopes) AND o.id = s.id;
        INSERT INTO measure_changes (
            day, business_category, observations, advised_outcomes, advised_successes,
            advised_measured, advised_revenue, advised_retention_known, advised_retained,
            held_out_outcomes, held_out_successes, held_out_retention_known, held_out_retained)
        SELECT s.day, o.line, sum(m.observations), sum(m.advised_outcomes), sum(m.advised_successes),
               sum(m.advised_measured), sum(m.advised_revenue), sum(m.advised_retention_known),
               sum(m.advised_retained), sum(m.held_out_outcomes), sum(m.held_out_successes),
               sum(m.held_out_retention_known), sum(m.held_out_retained)
          FROM unnest(begun, days) AS s (id, day)
          JOIN unnest(ids, lines, wins, revenues, retained, given, held_out)
               AS o (id, line, success, revenue, retained, given, held_out) USING (id)
         CROSS JOIN LATERAL observation_measures(o.success, o.revenue, o.retained, o.given, o.held_out) m
         GROUP BY 1, 2;
    END IF;
    IF cardinality(advised) > 0 THEN
        PERFORM note_advised_outcomes(scopes, advised);
    END IF;

    FOR each IN
        SELECT o.account_key,
               min(o.occurred_time) FILTER (WHERE o.success AND o.occurred_time >= a.joined_time) AS success_time,
               max(day) AS observed_day,
               max(day) FILTER (WHERE c.advised_outcomes > 0) AS advised_day,
               max(day) FILTER (WHERE c.advised_measured > 0) AS revenue_day,
               max(day) FILTER (WHERE c.advised_retention_known > 0) AS advised_retention_day,
               max(day) FILTER (WHERE c.held_out_outcomes > 0) AS held_out_day,
               max(day) FILTER (WHERE c.held_out_retention_known > 0) AS held_out_retention_day
          FROM unnest(ids, keys, occurred, wins, revenues, retained, given, held_out)
               AS o (id, account_key, occurred_time, success, revenue, retained, given, held_out)
          JOIN unnest(counting, joined) AS a (account_key, joined_time) USING (account_key)
         CROSS JOIN LATERAL (SELECT (o.occurred_time AT TIME ZONE 'UTC')::date AS day) d
         CROSS JOIN LATERAL observation_measures(o.success, o.revenue, o.retained, o.given, o.held_out) c
         WHERE o.id = ANY (new_ids) GROUP BY 1 ORDER BY 1
    LOOP
        CONTINUE WHEN EXISTS (
            SELECT 1 FROM account_milestones k
             WHERE k.account_key = each.account_key
               -- Whoever observed on a day was active on it.
               AND k.last_observed_day >= each.observed_day
               AND coalesce(k.first_success_time <= each.success_time, each.success_time IS NULL)
               AND coalesce(k.last_advised_day >= each.advised_day, each.advised_day IS NULL)
               AND coalesce(k.last_revenue_day >= each.revenue_day, each.revenue_day IS NULL)
               AND coalesce(k.last_advised_retention_day >= each.advised_retention_day, each.advised_retention_day IS NULL)
               AND coalesce(k.last_held_out_day >= each.held_out_day, each.held_out_day IS NULL)
               AND coalesce(k.last_held_out_retention_day >= each.held_out_retention_day,
                            each.held_out_retention_day IS NULL));
        INSERT INTO account_milestones AS m (
            account_key, first_success_time, last_active_day, last_observed_day, last_advised_day,
            last_revenue_day, last_advised_retention_day, last_held_out_day, last_held_out_retention_day)
        VALUES (each.account_key, each.success_time, each.observed_day, each.observed_day, each.advised_day, each.revenue_day,
                each.advised_retention_day, each.held_out_day, each.held_out_retention_day)
        ON CONFLICT (account_key) DO UPDATE
           SET first_success_time = least(m.first_success_time, excluded.first_success_time),
               last_active_day = greatest(m.last_active_day, excluded.last_active_day),
               last_observed_day = greatest(m.last_observed_day, excluded.last_observed_day),
               last_advised_day = greatest(m.last_advised_day, excluded.last_advised_day),
               last_revenue_day = greatest(m.last_revenue_day, excluded.last_revenue_day),
               last_advised_retention_day =
                   greatest(m.last_advised_retention_day, excluded.last_advised_retention_day),
               last_held_out_day = greatest(m.last_held_out_day, excluded.last_held_out_day),
               last_held_out_retention_day =
                   greatest(m.last_held_out_retention_day, excluded.last_held_out_retention_day);
    END LOOP;
END $$;

-- As in 0010, of observations of these scopes.
CREATE FUNCTION note_advised_outcomes(scopes bigint[], ids uuid[]) RETURNS void LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
    came record;
BEGIN
    FOR came IN
        SELECT e.advised_scope_id AS scope_id, e.pattern_id, e.business_category,
               max(o.occurred_time) AS last_outcome_time,
               sum(coalesce(two_digits(o.net_revenue), 0)) AS revenue,
               count(e.expected_deviation)::integer AS outcomes,
               count(*) FILTER (WHERE e.expected_deviation IS NOT NULL AND o.success)::integer AS successes,
               coalesce(sum(millionths(e.expected_success_rate)) FILTER (WHERE e.expected_deviation IS NOT NULL), 0)::bigint
                   AS expected,
               coalesce(sum(millionths(e.expected_success_rate * (1 - e.expected_success_rate)))
                        FILTER (WHERE e.expected_deviation IS NOT NULL), 0)::bigint AS variance,
               coalesce(sum(millionths(e.expected_deviation)), 0)::bigint AS deviation
          FROM observations o
          JOIN enhancements e ON e.scope_id = o.scope_id AND e.id = o.enhancement_id
         WHERE o.scope_id = ANY (scopes) AND e.scope_id = ANY (scopes) AND o.id = ANY (ids)
           AND e.pattern_id IS NOT NULL AND e.no_match_reason IS NULL AND e.measured
         GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    LOOP
        UPDATE pattern_advice a
           SET last_outcome_time = greatest(a.last_outcome_time, came.last_outcome_time),
               revenue = a.revenue + came.revenue, outcomes = a.outcomes + came.outcomes,
               successes = a.successes + came.successes, expected = a.expected + came.expected,
               variance = a.variance + came.variance, deviation = a.deviation + came.deviation
         WHERE a.scope_id = came.scope_id AND a.pattern_id = came.pattern_id
           AND a.business_category = came.business_category;
    END LOOP;
END $$;

-- Called by the version before this one.
CREATE OR REPLACE FUNCTION measure_outcomes(ids uuid[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM measure_outcomes(ARRAY(SELECT DISTINCT o.scope_id FROM observations o WHERE o.id = ANY (ids)), ids, ids);
END $$;
DROP FUNCTION begin_outcomes(uuid[]);
DROP FUNCTION note_outcomes(uuid[]);
DROP FUNCTION note_advised_outcomes(uuid[]);

-- Measures questions that were just recorded, by what was recorded of each: `categories` are the asking accounts', `measured`
-- is whether they count. Their accounts, and the patterns that were advised, are held by the caller.
CREATE FUNCTION measure_questions(
    accounts text[], times timestamptz[], categories text[], advised_categories text[], no_match_reasons text[],
    holdouts boolean[], base_confidences double precision[], confidences double precision[], losses double precision[],
    scopes bigint[], patterns uuid[], measured boolean[]
) RETURNS void LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
    given record;
    n     record;
BEGIN
    INSERT INTO measure_changes (day, business_category, questions, enhanced, from_elsewhere,
                                 confidence_added, exploration_loss)
    SELECT (q.created_at AT TIME ZONE 'UTC')::date, q.category, sum(m.questions), sum(m.enhanced),
           sum(m.from_elsewhere), sum(m.confidence_added), sum(m.exploration_loss)
      FROM unnest(times, categories, advised_categories, no_match_reasons, holdouts, base_confidences, confidences,
                  losses, measured)
           AS q (created_at, category, advised_category, no_match_reason, holdout, base_confidence, confidence,
                 loss, measured)
     CROSS JOIN LATERAL question_measures(
           q.no_match_reason, q.holdout, q.category, q.advised_category, q.base_confidence, q.confidence, q.loss) m
     WHERE q.measured GROUP BY 1, 2;

    FOR given IN
        SELECT q.scope_id, q.pattern_id, q.category, min(q.created_at) AS first_time
          FROM unnest(times, categories, no_match_reasons, scopes, patterns, measured)
               AS q (created_at, category, no_match_reason, scope_id, pattern_id, measured)
         WHERE q.no_match_reason IS NULL AND q.measured AND q.pattern_id IS NOT NULL
         GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    LOOP
        PERFORM 1 FROM pattern_advice a
          WHERE a.scope_id = given.scope_id AND a.pattern_id = given.pattern_id
            AND a.business_category = given.category AND a.first_advised_time <= given.first_time
            FOR KEY SHARE;
        IF NOT FOUND THEN
            INSERT INTO pattern_advice AS a (scope_id, pattern_id, business_category, first_advised_time)
            VALUES (given.scope_id, given.pattern_id, given.category, given.first_time)
            ON CONFLICT (scope_id, pattern_id, business_category) DO UPDATE
               SET first_advised_time = least(a.first_advised_time, excluded.first_advised_time);
        END IF;
    END LOOP;

    FOR n IN
        SELECT q.account_key, min(q.created_at) AS asked_time,
               min(q.created_at) FILTER (WHERE q.no_match_reason IS NULL) AS advised_time,
               max(day) AS active_day, max(day) FILTER (WHERE NOT q.holdout) AS asked_day,
               max(day) FILTER (WHERE q.no_match_reason IS NULL) AS enhanced_day
          FROM unnest(accounts, times, no_match_reasons, holdouts) AS q (account_key, created_at, no_match_reason, holdout)
         CROSS JOIN LATERAL (SELECT (q.created_at AT TIME ZONE 'UTC')::date AS day) d
         GROUP BY 1 ORDER BY 1
    LOOP
        CONTINUE WHEN EXISTS (
            SELECT 1 FROM account_milestones k
             WHERE k.account_key = n.account_key AND k.last_active_day >= n.active_day
               AND k.first_asked_time <= n.asked_time
               AND coalesce(k.last_asked_day >= n.asked_day, n.asked_day IS NULL)
               AND coalesce(k.first_advised_time <= n.advised_time, n.advised_time IS NULL)
               AND coalesce(k.last_enhanced_day >= n.enhanced_day, n.enhanced_day IS NULL));
        INSERT INTO account_milestones AS m (
            account_key, first_asked_time, first_asked_enhanced, first_advised_time,
            last_active_day, last_asked_day, last_enhanced_day)
        VALUES (n.account_key, n.asked_time, coalesce(n.asked_time = n.advised_time, false),
                n.advised_time, n.active_day, n.asked_day, n.enhanced_day)
        ON CONFLICT (account_key) DO UPDATE
           SET first_asked_time = least(m.first_asked_time, excluded.first_asked_time),
               first_asked_enhanced =
                   coalesce(least(m.first_advised_time, excluded.first_advised_time)
                            = least(m.first_asked_time, excluded.first_asked_time), false),
               first_advised_time = least(m.first_advised_time, excluded.first_advised_time),
               last_active_day = greatest(m.last_active_day, excluded.last_active_day),
               last_asked_day = greatest(m.last_asked_day, excluded.last_asked_day),
               last_enhanced_day = greatest(m.last_enhanced_day, excluded.last_enhanced_day);
    END LOOP;
END $$;
DROP FUNCTION measure_questions(uuid[]);
DROP FUNCTION note_questions(uuid[]);

-- As in 0012; the questions are measured by what was passed of them.
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
    counts     boolean[];
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
               END ORDER BY g.place),
           array_agg(coalesce(a.counts_in = g.category, false) ORDER BY g.place)
      INTO objections, counts
      FROM unnest(new_account_key, new_business_category, new_embedding_model, new_advised_scope_id, new_pattern_id)
           WITH ORDINALITY AS g (account_key, category, model, scope_id, pattern_id, place)
      LEFT JOIN unnest(accounts, categories) AS a (account_key, counts_in) ON a.account_key = g.account_key
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
           g.created_at, g.measured
      FROM unnest(
               new_id, new_scope_id, new_account_key, new_pattern_type, new_business_category,
               new_embedding_model, new_context, new_action, new_asked_script, new_dollar_value,
               new_potential_value, new_base_confidence, new_pattern_id, new_advised_scope_id,
               new_no_match_reason, new_authored, new_advised_category, new_similarity, new_confidence,
               new_expected_success_rate, new_basis, new_expected_deviation, new_transfer, new_script,
               new_holdout, new_holdout_share, new_script_propensity, new_pattern_propensity, new_contenders,
               new_exploration_loss, new_created_at, counts, objections)
           AS g (id, scope_id, account_key, pattern_type, business_category, embedding_model, context, action,
                 asked_script, dollar_value, potential_value, base_confidence, pattern_id, advised_scope_id,
                 no_match_reason, authored, advised_category, similarity, confidence, expected_success_rate,
                 basis, expected_deviation, transfer, script, holdout, holdout_share, script_propensity,
                 pattern_propensity, contenders, exploration_loss, created_at, measured, objection)
     WHERE g.objection IS NULL;
    PERFORM measure_questions(
        array_agg(g.account_key), array_agg(g.created_at), array_agg(g.category), array_agg(g.advised_category),
        array_agg(g.no_match_reason), array_agg(g.holdout), array_agg(g.base_confidence), array_agg(g.confidence),
        array_agg(g.loss), array_agg(g.scope_id), array_agg(g.pattern_id), array_agg(g.measured))
       FROM unnest(
            new_account_key, new_created_at, new_business_category, new_advised_category, new_no_match_reason, new_holdout,
            new_base_confidence, new_confidence, new_exploration_loss, new_advised_scope_id, new_pattern_id, counts,
            objections)
         AS g (account_key, created_at, category, advised_category, no_match_reason, holdout, base_confidence,
               confidence, loss, scope_id, pattern_id, measured, objection)
      WHERE g.objection IS NULL;

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

-- As in 0010; whoever speaks in the words of patterns is looked for, on every worker, where these changed: `reworded`.
CREATE FUNCTION touch_patterns(scopes bigint[], ids uuid[], reworded uuid[], channel text)
RETURNS TABLE (touched bigint, raised bigint, pattern_ids uuid[]) LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
    of_scopes  bigint[];
    of_ids     uuid[];
    of_touched bigint[];
    versions   bigint[];
BEGIN
    SELECT array_agg(g.scope_id), array_agg(g.id) INTO of_scopes, of_ids FROM (
        SELECT DISTINCT p.scope_id, p.id FROM unnest(scopes, ids) AS n (scope_id, id)
          JOIN network_patterns p ON p.scope_id = n.scope_id AND p.id = n.id
         WHERE p.scope_id = ANY (scopes)) g;
    IF cardinality(reworded) > 0 THEN
        SELECT of_scopes || array_agg(g.scope_id), of_ids || array_agg(g.id) INTO of_scopes, of_ids FROM (
            SELECT DISTINCT p.scope_id, p.id FROM unnest(scopes, ids) AS n (scope_id, id)
              JOIN network_patterns p ON p.worded_from_scope_id = n.scope_id AND p.worded_from = n.id
             WHERE n.id = ANY (reworded)) g
         WHERE NOT (g.id = ANY (coalesce(of_ids, '{}')));
    END IF;
    IF of_ids IS NULL THEN
        RETURN;
    END IF;
    WITH owned AS MATERIALIZED (
        SELECT s.scope_id FROM scopes s WHERE s.scope_id = ANY (of_scopes) ORDER BY s.scope_id FOR NO KEY UPDATE
    ), changed AS (
        UPDATE scopes s SET version = s.version + 1 FROM owned o
         WHERE s.scope_id = o.scope_id RETURNING s.scope_id, s.version
    )
    SELECT array_agg(c.scope_id), array_agg(c.version) INTO of_touched, versions FROM changed c;
    INSERT INTO pattern_versions AS v (scope_id, pattern_id, version)
    SELECT g.scope_id, g.id, c.version
      FROM unnest(of_scopes, of_ids) AS g (scope_id, id)
      JOIN unnest(of_touched, versions) AS c (scope_id, version) ON c.scope_id = g.scope_id
    ON CONFLICT (scope_id, pattern_id) DO UPDATE SET version = excluded.version;
    RETURN QUERY
        SELECT c.scope_id, c.version,
               ARRAY(SELECT g.id FROM unnest(of_scopes, of_ids) AS g (scope_id, id) WHERE g.scope_id = c.scope_id)
          FROM unnest(of_touched, versions) AS c (scope_id, version),
               LATERAL (SELECT pg_notify(channel, c.scope_id::text)) notified;
END $$;

-- Called by the version before this one.
CREATE OR REPLACE FUNCTION touch_patterns(scopes bigint[], ids uuid[], channel text)
RETURNS TABLE (touched bigint, raised bigint, pattern_ids uuid[]) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT * FROM touch_patterns(scopes, ids, ids, channel);
END $$;
