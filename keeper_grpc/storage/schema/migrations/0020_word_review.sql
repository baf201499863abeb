-- What a person can judge a word by that is stored as a hash only, and what a person decided.

ALTER TABLE word_accounts
    ADD COLUMN first_used_time timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN context text;  -- the words around it, masked as they are; null where that is not certain

CREATE TABLE word_decisions (
    word_hash    text PRIMARY KEY,
    approved     boolean NOT NULL,
    decided_time timestamptz NOT NULL
);
