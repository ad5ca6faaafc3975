-- What each wish for a text message came to. Keyed hashes only; goes after its time.
CREATE TABLE sms_decision (
    id INTEGER PRIMARY KEY,
    challenge TEXT NOT NULL,
    purpose TEXT NOT NULL,
    decision TEXT NOT NULL CHECK (decision IN ('sent', 'held')),
    -- Why it was held, or would have been if the policy were enforced.
    reason TEXT,
    -- Whether the terminal had answered a code of this number before, or the account asked itself.
    trusted INTEGER NOT NULL CHECK (trusted IN (0, 1)),
    number BLOB NOT NULL,
    prefix BLOB NOT NULL,
    network BLOB NOT NULL,
    terminal BLOB NOT NULL,
    account BLOB,
    dial INTEGER NOT NULL,
    -- Thousandths of a minor unit of money.
    cost INTEGER NOT NULL,
    at INTEGER NOT NULL,
    -- When the message goes; later than `at` when it waits for a pause.
    sends_at INTEGER NOT NULL,
    outbox INTEGER NOT NULL UNIQUE,
    delivery TEXT NOT NULL CHECK (delivery IN ('none', 'queued', 'sending', 'sent', 'failed', 'unknown')),
    answered_at INTEGER
) STRICT;
CREATE INDEX sms_decision_by_number ON sms_decision (number, sends_at) WHERE decision = 'sent';
CREATE INDEX sms_decision_by_asker ON sms_decision (number, terminal, at);
CREATE INDEX sms_decision_by_challenge ON sms_decision (challenge);
CREATE INDEX sms_decision_by_time ON sms_decision (at);

-- Places for messages that nobody has answered, and money.
CREATE TABLE sms_bucket (
    dimension TEXT NOT NULL,
    key BLOB NOT NULL,
    remaining INTEGER NOT NULL,
    gap INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (dimension, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX sms_bucket_by_time ON sms_bucket (at);

-- A terminal that has answered a code of this number.
CREATE TABLE sms_pair (
    number BLOB NOT NULL,
    terminal BLOB NOT NULL,
    answered_at INTEGER NOT NULL,
    PRIMARY KEY (number, terminal)
) STRICT, WITHOUT ROWID;
CREATE INDEX sms_pair_by_time ON sms_pair (answered_at);

-- Tokens of the carrier that were taken, by hash: each is taken once.
CREATE TABLE carrier_token (
    hash BLOB PRIMARY KEY,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Logins as the detection of unusual ones remembers them. Networks are keyed hashes.
CREATE TABLE login_seen (
    id INTEGER PRIMARY KEY,
    account TEXT NOT NULL,
    terminal TEXT NOT NULL,
    network BLOB NOT NULL,
    region TEXT,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX login_seen_by_account ON login_seen (account, id);
CREATE INDEX login_seen_by_time ON login_seen (at);

CREATE TABLE login_alert (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    terminal TEXT NOT NULL,
    -- What was unusual, by words with a space between.
    kinds TEXT NOT NULL,
    at INTEGER NOT NULL,
    held INTEGER NOT NULL CHECK (held IN (0, 1)),
    approved_at INTEGER
) STRICT;
CREATE INDEX login_alert_by_account ON login_alert (account, at);
