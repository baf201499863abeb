-- A question does not wait for the switch to another model. What it shows meanwhile is of the old one, and
-- `keeper reembed` moves it afterwards.
CREATE OR REPLACE FUNCTION refuse_replaced_model() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF pg_try_advisory_xact_lock_shared(7738703068252824684)
       AND EXISTS (SELECT FROM embedding_space WHERE model <> NEW.embedding_model) THEN
        RAISE EXCEPTION 'the embedding model was replaced' USING ERRCODE = 'KP001';
    END IF;
    RETURN NEW;
END $$;
