-- A question is kept whole, so that the outcome of its advice is recorded with what was asked.
ALTER TABLE enhancements
    ADD COLUMN asked_script    text NOT NULL DEFAULT '',  -- script is the wording that was handed out
    ADD COLUMN dollar_value    double precision NOT NULL DEFAULT 0,
    ADD COLUMN potential_value double precision NOT NULL DEFAULT 0;
