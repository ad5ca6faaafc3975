-- Devices that their owners share with other accounts. A row is an invitation until a guest takes it:
-- then the code is gone and the guest stands in its place. A row goes when the share ends.
CREATE TABLE share (
    id TEXT PRIMARY KEY,
    serial TEXT NOT NULL,
    binding_epoch INTEGER NOT NULL,
    owner TEXT NOT NULL REFERENCES account (id),
    guest TEXT REFERENCES account (id),
    -- Rises with each change that takes something away, over all shares: what stood on an older one is dead.
    number INTEGER NOT NULL UNIQUE,
    -- Keyed hash of the invitation's code.
    code BLOB UNIQUE,
    scopes INTEGER NOT NULL CHECK (scopes BETWEEN 1 AND 63),
    -- JSON list; without one all channels are shared.
    channels TEXT,
    -- JSON; without one the share is open at all times.
    schedule TEXT,
    ends_at INTEGER,
    -- When the share closes next: the end of an hour of its schedule, or its own.
    closes_at INTEGER NOT NULL,
    -- When its end is to be announced, if that is still to be done.
    warn_at INTEGER,
    -- What the owner calls the guest, encrypted under the owner's key.
    label_enc BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    accepted_at INTEGER,
    invite_expires INTEGER NOT NULL,
    CHECK ((guest IS NULL) = (code IS NOT NULL)),
    CHECK ((guest IS NULL) = (accepted_at IS NULL)),
    CHECK (guest <> owner)
) STRICT;
CREATE UNIQUE INDEX share_one_of_a_guest ON share (serial, guest) WHERE guest IS NOT NULL;
CREATE INDEX share_by_guest ON share (guest) WHERE guest IS NOT NULL;
CREATE INDEX share_by_close ON share (closes_at) WHERE guest IS NOT NULL;
CREATE INDEX share_by_warning ON share (warn_at) WHERE warn_at IS NOT NULL AND guest IS NOT NULL;

-- The highest number that a share ever had.
CREATE TABLE share_number (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    last INTEGER NOT NULL
) STRICT;
INSERT INTO share_number (one, last) VALUES (1, 0);
CREATE TRIGGER share_number_only_rises BEFORE UPDATE ON share_number
WHEN NEW.last <= OLD.last
BEGIN SELECT RAISE(ABORT, 'numbers of shares only rise'); END;
CREATE TRIGGER share_number_stays BEFORE DELETE ON share_number
BEGIN SELECT RAISE(ABORT, 'the last number of a share is never forgotten'); END;

-- Who said of which share that the persons filmed agree, to which text. Without personal data.
CREATE TABLE share_attestation (
    id INTEGER PRIMARY KEY,
    share TEXT NOT NULL,
    serial TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('owner', 'guest')),
    subject TEXT NOT NULL,
    terminal TEXT NOT NULL,
    version INTEGER NOT NULL,
    text_hash BLOB NOT NULL,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX share_attestation_by_share ON share_attestation (share);
CREATE TRIGGER share_attestation_no_update BEFORE UPDATE ON share_attestation
BEGIN SELECT RAISE(ABORT, 'attestations are append-only'); END;
CREATE TRIGGER share_attestation_no_delete BEFORE DELETE ON share_attestation
BEGIN SELECT RAISE(ABORT, 'attestations are append-only'); END;

-- What the viewer list lets the terminal of a proof do: live 1, playback 2, download 4, talk 8.
ALTER TABLE key_proof ADD COLUMN scopes INTEGER NOT NULL DEFAULT 15;
-- Terminals were let in for live view alone until lists said more to the gate.
UPDATE key_proof SET scopes = 1 WHERE terminal IS NOT NULL;
