-- Accounts and what identifies them. Columns that end in _enc hold AES-256-GCM ciphertext.
CREATE TABLE account (
    id TEXT PRIMARY KEY,
    subject TEXT NOT NULL UNIQUE,
    status TEXT NOT NULL CHECK (status IN ('active', 'erased')),
    consent_epoch INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    erased_at INTEGER
) STRICT;

CREATE TABLE subject_key (
    account TEXT PRIMARY KEY REFERENCES account (id),
    wrapped BLOB NOT NULL
) STRICT;

CREATE TABLE identifier (
    account TEXT NOT NULL REFERENCES account (id),
    kind TEXT NOT NULL CHECK (kind IN ('phone')),
    value_enc BLOB NOT NULL,
    lookup BLOB NOT NULL UNIQUE,
    verified_at INTEGER NOT NULL,
    method TEXT NOT NULL CHECK (method IN ('sms')),
    PRIMARY KEY (account, kind)
) STRICT;

-- Terminals and login sessions.
CREATE TABLE terminal (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL REFERENCES account (id),
    jkt TEXT NOT NULL,
    name_enc BLOB NOT NULL,
    client_type TEXT NOT NULL,
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    revoked_at INTEGER,
    UNIQUE (account, jkt)
) STRICT;

CREATE TABLE session (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL REFERENCES account (id),
    terminal TEXT NOT NULL REFERENCES terminal (id),
    amr TEXT NOT NULL,
    auth_time INTEGER NOT NULL,
    idle_expires INTEGER NOT NULL,
    abs_expires INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT;
CREATE INDEX session_by_terminal ON session (terminal);

CREATE TABLE access_token (
    hash BLOB PRIMARY KEY,
    session TEXT NOT NULL REFERENCES session (id),
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX access_token_by_session ON access_token (session);

CREATE TABLE refresh_token (
    hash BLOB PRIMARY KEY,
    family TEXT NOT NULL REFERENCES session (id),
    issued_at INTEGER NOT NULL,
    rotated_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX refresh_token_by_family ON refresh_token (family);

-- One-time codes. The code itself is derived from the id and is never stored.
CREATE TABLE otp_challenge (
    id TEXT PRIMARY KEY,
    purpose TEXT NOT NULL CHECK (purpose IN ('login', 'view')),
    target BLOB NOT NULL,
    target_enc BLOB NOT NULL,
    account TEXT REFERENCES account (id),
    jkt TEXT NOT NULL,
    serial TEXT NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at INTEGER
) STRICT;
CREATE INDEX otp_challenge_by_binding ON otp_challenge (target, purpose, jkt, serial);

-- Every charge against a rate limit: sends and guesses, by keyed hash.
CREATE TABLE otp_ledger (
    dimension TEXT NOT NULL,
    key BLOB NOT NULL,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX otp_ledger_by_key ON otp_ledger (dimension, key, at);
CREATE INDEX otp_ledger_by_time ON otp_ledger (at);

CREATE TABLE step_up (
    session TEXT NOT NULL REFERENCES session (id),
    serial TEXT NOT NULL,
    opened_at INTEGER NOT NULL,
    idle_expires INTEGER NOT NULL,
    max_expires INTEGER NOT NULL,
    PRIMARY KEY (session, serial)
) STRICT;

-- Devices, who owns them, and their keys.
CREATE TABLE device (
    serial TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    model TEXT NOT NULL,
    sealed INTEGER NOT NULL CHECK (sealed IN (0, 1)),
    identity TEXT UNIQUE,
    publish_token BLOB UNIQUE,
    publish_ha1_enc BLOB,
    publish_verifier BLOB,
    code BLOB NOT NULL,
    channels INTEGER NOT NULL,
    added_at INTEGER NOT NULL,
    CHECK ((sealed = 1) = (identity IS NOT NULL)),
    CHECK ((sealed = 0) = (publish_token IS NOT NULL))
) STRICT;

CREATE TABLE binding (
    id INTEGER PRIMARY KEY,
    serial TEXT NOT NULL,
    account TEXT NOT NULL REFERENCES account (id),
    epoch INTEGER NOT NULL,
    bound_at INTEGER NOT NULL,
    unbound_at INTEGER
) STRICT;
CREATE UNIQUE INDEX binding_one_owner ON binding (serial) WHERE unbound_at IS NULL;
CREATE INDEX binding_by_account ON binding (account) WHERE unbound_at IS NULL;

-- Outlives the device row, so that a serial added again goes on from where it was.
CREATE TABLE device_epoch (
    serial TEXT PRIMARY KEY,
    binding_epoch INTEGER NOT NULL DEFAULT 0,
    key_epoch INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TRIGGER device_epoch_only_rises BEFORE UPDATE ON device_epoch
WHEN NEW.binding_epoch < OLD.binding_epoch OR NEW.key_epoch < OLD.key_epoch
BEGIN SELECT RAISE(ABORT, 'an epoch only rises'); END;
CREATE TRIGGER device_epoch_stays BEFORE DELETE ON device_epoch
BEGIN SELECT RAISE(ABORT, 'an epoch is never forgotten'); END;

CREATE TABLE key_verifier (
    serial TEXT PRIMARY KEY,
    binding_epoch INTEGER NOT NULL,
    key_epoch INTEGER NOT NULL,
    public BLOB NOT NULL,
    stored_at INTEGER NOT NULL
) STRICT;

CREATE TABLE key_challenge (
    id TEXT PRIMARY KEY,
    session TEXT NOT NULL REFERENCES session (id),
    serial TEXT NOT NULL,
    channel INTEGER NOT NULL,
    jkt TEXT NOT NULL,
    nonce TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE TABLE key_proof (
    session TEXT NOT NULL REFERENCES session (id),
    serial TEXT NOT NULL,
    binding_epoch INTEGER NOT NULL,
    key_epoch INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    PRIMARY KEY (session, serial)
) STRICT;

CREATE TABLE key_lock (
    serial TEXT NOT NULL,
    account TEXT NOT NULL,
    tries INTEGER NOT NULL,
    window_start INTEGER NOT NULL,
    rung INTEGER NOT NULL,
    locked_until INTEGER NOT NULL,
    PRIMARY KEY (serial, account)
) STRICT;

-- Consent: an append-only hash chain without personal data, and the state that follows from it.
CREATE TABLE consent_event (
    seq INTEGER PRIMARY KEY,
    subject TEXT NOT NULL,
    purpose TEXT NOT NULL,
    version INTEGER NOT NULL,
    decision TEXT NOT NULL CHECK (decision IN ('granted', 'withdrawn')),
    terminal TEXT NOT NULL,
    at INTEGER NOT NULL,
    prev_hash BLOB NOT NULL,
    hash BLOB NOT NULL
) STRICT;
CREATE TRIGGER consent_event_no_update BEFORE UPDATE ON consent_event
BEGIN SELECT RAISE(ABORT, 'consent events are append-only'); END;
CREATE TRIGGER consent_event_no_delete BEFORE DELETE ON consent_event
BEGIN SELECT RAISE(ABORT, 'consent events are append-only'); END;

CREATE TABLE consent_state (
    account TEXT NOT NULL REFERENCES account (id),
    purpose TEXT NOT NULL,
    version INTEGER NOT NULL,
    granted INTEGER NOT NULL CHECK (granted IN (0, 1)),
    seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (account, purpose)
) STRICT;

CREATE TABLE oplog (
    id INTEGER PRIMARY KEY,
    subject TEXT NOT NULL,
    action TEXT NOT NULL,
    object TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX oplog_by_subject ON oplog (subject, id);
CREATE TRIGGER oplog_no_update BEFORE UPDATE ON oplog
BEGIN SELECT RAISE(ABORT, 'the operation log is append-only'); END;
CREATE TRIGGER oplog_no_delete BEFORE DELETE ON oplog
BEGIN SELECT RAISE(ABORT, 'the operation log is append-only'); END;

-- What is to be sent, written in the transaction of the act that causes it.
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    channel TEXT NOT NULL CHECK (channel IN ('sms', 'in_app')),
    kind TEXT NOT NULL,
    reference TEXT NOT NULL,
    account TEXT,
    created_at INTEGER NOT NULL,
    next_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    done_at INTEGER
) STRICT;
CREATE INDEX outbox_open ON outbox (next_at) WHERE done_at IS NULL;

CREATE TABLE message (
    id INTEGER PRIMARY KEY,
    outbox INTEGER NOT NULL UNIQUE,
    account TEXT NOT NULL REFERENCES account (id),
    kind TEXT NOT NULL,
    reference TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX message_by_account ON message (account, id);

-- Media sessions; the context is personal, kept under its purpose and for its time only.
CREATE TABLE media_audit (
    id INTEGER PRIMARY KEY,
    account TEXT NOT NULL,
    session TEXT NOT NULL,
    serial TEXT NOT NULL,
    action TEXT NOT NULL,
    purpose TEXT NOT NULL,
    consent_seq INTEGER NOT NULL,
    context_enc BLOB,
    context_expires INTEGER NOT NULL,
    started_at INTEGER NOT NULL
) STRICT;
