-- Public keys that sign an account in. What a terminal knows its owner by stays on the terminal.
CREATE TABLE passkey (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL REFERENCES account (id),
    -- Keyed hash of the credential's id, and the id and name under the account's data key.
    lookup BLOB NOT NULL UNIQUE,
    credential_enc BLOB NOT NULL,
    name_enc BLOB NOT NULL,
    -- In COSE form.
    public_key BLOB NOT NULL,
    counter INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    used_at INTEGER
) STRICT;
CREATE INDEX passkey_by_account ON passkey (account, created_at);

-- What a terminal was asked to sign, by its hash; without an account it is for a login.
CREATE TABLE passkey_challenge (
    hash BLOB PRIMARY KEY,
    jkt TEXT NOT NULL,
    account TEXT REFERENCES account (id),
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX passkey_challenge_by_time ON passkey_challenge (expires_at);
