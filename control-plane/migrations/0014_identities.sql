-- Logins at identity providers that belong to accounts. Found by a keyed hash of issuer and subject; the
-- subject itself is under the account's data key. What takes the grant back at the provider is under a
-- server key: it must still be there when the data key is gone.
CREATE TABLE identity (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL REFERENCES account (id),
    provider TEXT NOT NULL,
    lookup BLOB NOT NULL UNIQUE,
    subject_enc BLOB NOT NULL,
    token_enc BLOB,
    bound_at INTEGER NOT NULL,
    last_used INTEGER NOT NULL,
    -- Came back with a backup: it opens nothing until its holder binds it again.
    suspended_at INTEGER
) STRICT;
CREATE INDEX identity_by_account ON identity (account);

-- A way to a provider that has begun: for one terminal, used once. State, nonce and verifier are derived
-- from the id and stand nowhere.
CREATE TABLE identity_flow (
    id TEXT PRIMARY KEY,
    provider TEXT NOT NULL,
    purpose TEXT NOT NULL CHECK (purpose IN ('login', 'bind', 'confirm')),
    -- The login that began it, for all but 'login'.
    session TEXT REFERENCES session (id) ON DELETE CASCADE,
    jkt TEXT NOT NULL,
    redirect TEXT NOT NULL,
    began_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    CHECK ((purpose = 'login') = (session IS NULL))
) STRICT;
CREATE INDEX identity_flow_by_end ON identity_flow (expires_at);
CREATE INDEX identity_flow_by_session ON identity_flow (session);

-- Grants that are to be taken back at the provider. They name no account, which may be gone.
CREATE TABLE identity_revocation (
    id TEXT PRIMARY KEY,
    provider TEXT NOT NULL,
    token_enc BLOB NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

-- A provider that has asked the person again confirms, too. Windows last for minutes; those that are open
-- are opened again.
DROP TABLE secure_window;
CREATE TABLE secure_window (
    session TEXT PRIMARY KEY REFERENCES session (id) ON DELETE CASCADE,
    method TEXT NOT NULL CHECK (method IN ('code', 'password', 'passkey', 'provider')),
    opened_at INTEGER NOT NULL,
    expires INTEGER NOT NULL
) STRICT;
