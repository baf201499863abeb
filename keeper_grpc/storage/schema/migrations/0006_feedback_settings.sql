-- What the evidence was counted with. recent_trials and recent_successes are sums of weights that the
-- half-life decides: under another one they would be added to what does not fit them.

CREATE TABLE evidence_settings (
    id        boolean PRIMARY KEY DEFAULT true CHECK (id),  -- one row
    half_life interval                                      -- null while a rebuild is under way
);
