-- Locks the first of these scopes, and those of the others that nobody else holds (keeper_grpc/storage/locks.py has the
-- keys). Of each that is held: whether its model is still the database's, and the versions of its row, which are null
-- before its first pattern. Until the transaction ends, plans are kept and read by keys, as in 0004. In one function,
-- because each statement of a volatile one sees what was committed while the one before it waited.
CREATE FUNCTION enter_scopes(wanted bigint[], models text[])
RETURNS TABLE (entered bigint, is_current boolean, version bigint, reset_version bigint)
LANGUAGE plpgsql AS $$
DECLARE
    held bigint[];
BEGIN
    PERFORM set_config('plan_cache_mode', 'force_generic_plan', true), set_config('enable_seqscan', 'off', true);
    PERFORM pg_advisory_xact_lock_shared(7738703068252824684);
    PERFORM pg_advisory_xact_lock(wanted[1]);
    held := wanted[1] || ARRAY(SELECT w FROM unnest(wanted[2:]) w WHERE pg_try_advisory_xact_lock(w));
    RETURN QUERY
        SELECT w.id, NOT EXISTS (SELECT FROM embedding_space e WHERE e.model <> w.model), s.version,
               s.reset_version
          FROM unnest(wanted, models) w (id, model) LEFT JOIN scopes s ON s.scope_id = w.id
         WHERE w.id = ANY (held);
END $$;
