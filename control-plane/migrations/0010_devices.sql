-- Ways to a binding other than the printed code, and what is known of a device under its binding.

-- Random tokens that an account asks for and a device presents over its own channel. Of a token only
-- its hash is kept; `serial` is the device that it is for, or was used by.
CREATE TABLE bind_token (
    id TEXT PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    account TEXT NOT NULL REFERENCES account (id),
    serial TEXT,
    expires_at INTEGER NOT NULL,
    used_at INTEGER
) STRICT;
CREATE INDEX bind_token_by_account ON bind_token (account);

-- Codes that end: of the operator for a free device, of an owner who gives a device away. By keyed
-- hash; a newer one of the same kind takes the place of the older.
CREATE TABLE device_code (
    serial TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('bind', 'transfer')),
    hash BLOB NOT NULL,
    -- The owner who issued it; nobody for the operator.
    account TEXT REFERENCES account (id),
    binding_epoch INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (serial, kind)
) STRICT, WITHOUT ROWID;

-- What an owner or the device told, encrypted under the owner's key. Goes with the binding, with
-- the consent that it stands on, and in its time.
CREATE TABLE device_fact (
    serial TEXT NOT NULL,
    kind TEXT NOT NULL,
    account TEXT NOT NULL REFERENCES account (id),
    binding_epoch INTEGER NOT NULL,
    value_enc BLOB NOT NULL,
    at INTEGER NOT NULL,
    expires_at INTEGER,
    PRIMARY KEY (serial, kind)
) STRICT, WITHOUT ROWID;
CREATE INDEX device_fact_by_account ON device_fact (account);

-- A device on its way into a network. There is no column for a password: what the device needs is
-- sealed to it, kept for minutes, and handed out once.
CREATE TABLE provisioning (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL REFERENCES account (id),
    serial TEXT NOT NULL,
    facts_enc BLOB NOT NULL,
    sealed BLOB,
    sealed_until INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX provisioning_by_account ON provisioning (account);
CREATE INDEX provisioning_by_serial ON provisioning (serial);
