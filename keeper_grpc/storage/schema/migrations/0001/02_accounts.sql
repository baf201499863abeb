-- Who takes part, and the words that a person may have to judge.

-- One account, by pseudonym. Written by the first call that names it, by RegisterAccount and UpdateAccount, and by the
-- qualification of accounts; read by every call.
CREATE TABLE accounts (
    account_key        text PRIMARY KEY,         -- "<key id>:<hex HMAC-SHA256 of account_id>"
    declared_owner_key text,                     -- keyed hash of owner_id; null: the account is its own owner
    owner_key          text NOT NULL
        GENERATED ALWAYS AS (coalesce(declared_owner_key, account_key)) STORED,
    business_category  text NOT NULL,
    joined_time        timestamptz NOT NULL,
    registered         boolean NOT NULL DEFAULT false,  -- joined_time was told, not guessed
    qualified          boolean NOT NULL DEFAULT false,  -- counts (keeper_grpc/domain/accounts/qualification.py)
    forgetting         boolean NOT NULL DEFAULT false,  -- ForgetAccount has begun; nothing more goes in
    created_at         timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX accounts_owner ON accounts (owner_key);
CREATE INDEX accounts_unqualified ON accounts (created_at) WHERE NOT qualified;

-- One row: how often an account's category, owner or state has changed. Written with such a change, read by every
-- process's memory of accounts, twice a second.
CREATE TABLE account_changes (
    id      boolean PRIMARY KEY DEFAULT true CHECK (id),
    changes bigint NOT NULL DEFAULT 0
);
INSERT INTO account_changes DEFAULT VALUES;

-- An account that was forgotten, so that a late call does not bring it back. Written by ForgetAccount, read by the
-- first call of an account. The hash has a label of its own: it is not the account's pseudonym, which is nowhere any
-- more.
CREATE TABLE account_tombstones (
    tombstone_key text PRIMARY KEY,              -- "<key id>:<hex HMAC-SHA256>"
    expire_time   timestamptz NOT NULL
);
CREATE INDEX account_tombstones_expiry ON account_tombstones (expire_time);

-- One word that the anonymizer does not know, and one account that used it: at k accounts the word may be approved.
-- Written by captures, read by `keeper words`. The word is not here.
CREATE TABLE word_accounts (
    account_key     text NOT NULL REFERENCES accounts,
    word_hash       text NOT NULL,               -- "<key id>:<hex HMAC-SHA256>" under the pseudonym key
    first_used_time timestamptz NOT NULL DEFAULT now(),
    context         text,                        -- the words around it, masked as they are; null: not certain
    letters         text,                        -- about how many the word has: "4-6", "7-9" or "10+"; null: not known
    PRIMARY KEY (account_key, word_hash)
);
CREATE INDEX word_accounts_word ON word_accounts (word_hash);

-- What a person decided of a word. Written by `keeper words`, read by every anonymizer.
CREATE TABLE word_decisions (
    word_hash    text PRIMARY KEY,
    approved     boolean NOT NULL,
    decided_time timestamptz NOT NULL
);

-- One thing that an operator did, for the privacy officer. Written by the calls of AdminService, read by
-- ListAuditEvents. Never an account, never a text of the network.
CREATE TABLE audit_events (
    id         uuid PRIMARY KEY,
    action     text NOT NULL,
    pattern_id uuid,                             -- kept when the pattern is gone
    reason     text NOT NULL DEFAULT '',
    details    jsonb NOT NULL,                   -- counts
    created_at timestamptz NOT NULL
);
CREATE INDEX audit_events_listing ON audit_events (created_at DESC, id);
