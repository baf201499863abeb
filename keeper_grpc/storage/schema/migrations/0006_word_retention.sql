-- Uses of rare words are looked for by their age, and go.
CREATE INDEX word_accounts_time ON word_accounts (first_used_time);
