-- Who acted, from which terminal and network, and how it ended. Of lines from before, nobody knows.
ALTER TABLE oplog ADD COLUMN actor TEXT
    CHECK (actor IN ('self', 'other', 'device', 'operator', 'server'));
ALTER TABLE oplog ADD COLUMN terminal TEXT;
-- The network that the terminal was in, never the whole address, under the subject's data key.
ALTER TABLE oplog ADD COLUMN network_enc BLOB;
ALTER TABLE oplog ADD COLUMN result TEXT NOT NULL DEFAULT 'done'
    CHECK (result IN ('done', 'refused'));
CREATE INDEX oplog_by_time ON oplog (at);

-- Lines older than this have outlived their retention; only they may go, and it only rises.
CREATE TABLE oplog_floor (at INTEGER NOT NULL) STRICT;
INSERT INTO oplog_floor (at) VALUES (0);
CREATE TRIGGER oplog_floor_only_rises BEFORE UPDATE ON oplog_floor
WHEN NEW.at < OLD.at
BEGIN SELECT RAISE(ABORT, 'the floor of the operation log only rises'); END;
CREATE TRIGGER oplog_floor_stays BEFORE DELETE ON oplog_floor
BEGIN SELECT RAISE(ABORT, 'the floor of the operation log stays'); END;
DROP TRIGGER oplog_no_delete;
CREATE TRIGGER oplog_no_delete BEFORE DELETE ON oplog
WHEN OLD.at >= (SELECT max(at) FROM oplog_floor)
BEGIN SELECT RAISE(ABORT, 'the operation log is append-only'); END;

-- What a person may add to the account, all of it optional, all of it ciphertext.
CREATE TABLE profile (
    account TEXT PRIMARY KEY REFERENCES account (id),
    nickname_enc BLOB,
    region_enc BLOB,
    scenario_enc BLOB,
    changed_at INTEGER NOT NULL
) STRICT;

CREATE TABLE avatar (
    account TEXT PRIMARY KEY REFERENCES account (id),
    picture_enc BLOB NOT NULL,
    changed_at INTEGER NOT NULL
) STRICT;

-- What is known of a terminal besides its key and name. Facts are kept for their time only.
CREATE TABLE terminal_detail (
    terminal TEXT PRIMARY KEY REFERENCES terminal (id),
    network_enc BLOB,
    facts_enc BLOB,
    facts_expire INTEGER,
    permissions_enc BLOB,
    permissions_at INTEGER,
    CHECK ((facts_enc IS NULL) = (facts_expire IS NULL)),
    CHECK ((permissions_enc IS NULL) = (permissions_at IS NULL))
) STRICT;
CREATE INDEX terminal_detail_by_end ON terminal_detail (facts_expire)
WHERE facts_expire IS NOT NULL;

-- What somebody affirmed about the consent of others, without personal data.
CREATE TABLE attestation (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    subject TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('others', 'guardian')),
    object TEXT NOT NULL,
    version INTEGER NOT NULL,
    text_sha256 BLOB NOT NULL,
    terminal TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX attestation_by_subject ON attestation (subject, kind, object);
CREATE TRIGGER attestation_no_update BEFORE UPDATE ON attestation
BEGIN SELECT RAISE(ABORT, 'attestations are append-only'); END;
CREATE TRIGGER attestation_no_delete BEFORE DELETE ON attestation
BEGIN SELECT RAISE(ABORT, 'attestations are append-only'); END;

-- The newest and the oldest usable version of each client.
CREATE TABLE app_version (
    client TEXT PRIMARY KEY,
    newest TEXT NOT NULL,
    minimum TEXT NOT NULL,
    notes_en TEXT NOT NULL,
    notes_zh TEXT NOT NULL,
    changed_at INTEGER NOT NULL
) STRICT;

-- When a backup was put back. What was counted up by then may have been counted further in what was
-- lost, so counters go on from there.
CREATE TABLE restored (at INTEGER NOT NULL) STRICT;
CREATE TRIGGER restored_stays BEFORE DELETE ON restored
BEGIN SELECT RAISE(ABORT, 'a restore is never forgotten'); END;

-- Bindings of a backup that nobody has confirmed yet. The device does, if it knows no later one.
CREATE TABLE suspended_binding (
    serial TEXT PRIMARY KEY,
    account TEXT NOT NULL REFERENCES account (id),
    epoch INTEGER NOT NULL,
    bound_at INTEGER NOT NULL
) STRICT;
