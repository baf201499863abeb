-- As in 0010; where tables are spread, a group is of its first scope alone: its statements ask one worker then, and other groups
-- run meanwhile. What it leaves waits for its own turn.
CREATE OR REPLACE FUNCTION enter_scopes(wanted bigint[], models text[])
RETURNS TABLE (entered bigint, is_current boolean, version bigint, reset_version bigint)
LANGUAGE plpgsql AS $$
DECLARE
    spread boolean := is_spread();
    held   bigint[];
BEGIN
    IF NOT spread THEN
        PERFORM set_config('plan_cache_mode', 'force_generic_plan', true), set_config('enable_seqscan', 'off', true);
    END IF;
    PERFORM pg_advisory_xact_lock_shared(7738703068252824684);
    PERFORM pg_advisory_xact_lock(wanted[1]);
    held := wanted[1:1];
    IF NOT spread THEN
        held := held || ARRAY(SELECT w FROM unnest(wanted[2:]) w WHERE pg_try_advisory_xact_lock(w));
    END IF;
    RETURN QUERY
        SELECT w.id, NOT EXISTS (SELECT 1 FROM embedding_space e WHERE e.model <> w.model), s.version,
               s.reset_version
          FROM unnest(wanted, models) w (id, model) LEFT JOIN scopes s ON s.scope_id = w.id
         WHERE w.id = ANY (held);
END $$;
