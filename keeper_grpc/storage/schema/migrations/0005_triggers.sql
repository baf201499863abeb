-- When an authored pattern applies, and where its author has it from.

ALTER TABLE network_patterns
    ADD COLUMN trigger text,                     -- CEL over an account's facts; type-checked, ADR 8
    ADD COLUMN learned_from integer CHECK (learned_from >= 1);  -- occurrences its author claims
CREATE INDEX network_patterns_trigger
    ON network_patterns (business_category, embedding_model) WHERE trigger IS NOT NULL;
