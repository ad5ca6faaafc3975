-- E-mail beside phone, and how each was proved. `held_until`: an identifier that came to the account
-- later confirms no dangerous act before that time.
CREATE TABLE identifier_of_kind (
    account TEXT NOT NULL REFERENCES account (id),
    kind TEXT NOT NULL CHECK (kind IN ('phone', 'email')),
    value_enc BLOB NOT NULL,
    lookup BLOB NOT NULL UNIQUE,
    verified_at INTEGER NOT NULL,
    method TEXT NOT NULL CHECK (method IN ('sms', 'email', 'carrier', 'federated')),
    held_until INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (account, kind)
) STRICT;
INSERT INTO identifier_of_kind (account, kind, value_enc, lookup, verified_at, method)
    SELECT account, kind, value_enc, lookup, verified_at, method FROM identifier;
DROP TABLE identifier;
ALTER TABLE identifier_of_kind RENAME TO identifier;

-- Codes go to either kind, and serve more purposes.
CREATE TABLE otp_challenge_of_kind (
    id TEXT PRIMARY KEY,
    purpose TEXT NOT NULL
        CHECK (purpose IN ('login', 'view', 'secure', 'reset', 'identifier')),
    kind TEXT NOT NULL CHECK (kind IN ('phone', 'email')),
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
INSERT INTO otp_challenge_of_kind
    (id, purpose, kind, target, target_enc, account, jkt, serial, tries, created_at, expires_at,
     used_at)
    SELECT id, purpose, 'phone', target, target_enc, account, jkt, serial, tries, created_at,
           expires_at, used_at FROM otp_challenge;
DROP TABLE otp_challenge;
ALTER TABLE otp_challenge_of_kind RENAME TO otp_challenge;
CREATE INDEX otp_challenge_by_binding ON otp_challenge (target, purpose, jkt, serial);

-- The channels of the outbox are the program's to know. Numbers once given stay taken.
CREATE TABLE outbox_of_channels (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    channel TEXT NOT NULL,
    kind TEXT NOT NULL,
    reference TEXT NOT NULL,
    account TEXT,
    created_at INTEGER NOT NULL,
    next_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    done_at INTEGER
) STRICT;
INSERT INTO outbox_of_channels
    (id, channel, kind, reference, account, created_at, next_at, attempts, done_at)
    SELECT id, channel, kind, reference, account, created_at, next_at, attempts, done_at
    FROM outbox;
DELETE FROM sqlite_sequence WHERE name = 'outbox_of_channels';
INSERT INTO sqlite_sequence (name, seq)
    SELECT 'outbox_of_channels', seq FROM sqlite_sequence WHERE name = 'outbox';
DROP TABLE outbox;
ALTER TABLE outbox_of_channels RENAME TO outbox;
CREATE INDEX outbox_open ON outbox (next_at) WHERE done_at IS NULL;

-- A password as argon2id makes it, with a pepper that is not in the database. `alone`: long enough to
-- sign in on a terminal that the account does not know.
CREATE TABLE password (
    account TEXT PRIMARY KEY REFERENCES account (id),
    phc TEXT NOT NULL,
    alone INTEGER NOT NULL CHECK (alone IN (0, 1)),
    changed_at INTEGER NOT NULL
) STRICT;

-- A login that has just confirmed who it is, for dangerous acts on the account.
CREATE TABLE secure_window (
    session TEXT PRIMARY KEY REFERENCES session (id) ON DELETE CASCADE,
    method TEXT NOT NULL CHECK (method IN ('code', 'password', 'passkey')),
    opened_at INTEGER NOT NULL,
    expires INTEGER NOT NULL
) STRICT;

-- Guesses at codes and passwords, by keyed hash of what they are guesses at and by whom.
CREATE TABLE guess_budget (
    kind TEXT NOT NULL CHECK (kind IN ('code', 'password')),
    key BLOB NOT NULL,
    fails INTEGER NOT NULL,
    rung INTEGER NOT NULL,
    total INTEGER NOT NULL,
    locked_until INTEGER NOT NULL,
    closed_until INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (kind, key)
) STRICT;
CREATE INDEX guess_budget_by_time ON guess_budget (at);

-- A word to an address about a change, also when the address is the account's no more. The address is
-- encrypted under a server key and goes with the row.
CREATE TABLE notice (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL REFERENCES account (id),
    kind TEXT NOT NULL,
    address_kind TEXT NOT NULL CHECK (address_kind IN ('phone', 'email')),
    address_enc BLOB NOT NULL,
    expires INTEGER NOT NULL
) STRICT;
CREATE INDEX notice_by_account ON notice (account);
