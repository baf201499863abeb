-- Which accounts used which word that the anonymizer does not know: at k accounts it stops masking it.
-- The word is not here. word_hash is "<key id>:<hex HMAC-SHA256>" under the pseudonym key.

CREATE TABLE word_accounts (
    account_key text NOT NULL REFERENCES accounts,
    word_hash   text NOT NULL,
    PRIMARY KEY (account_key, word_hash)
);
CREATE INDEX word_accounts_word ON word_accounts (word_hash);
