-- Proofs of the device key have numbers that only rise, so that what stood on one can be ended and
-- a later one holds; and a proof may stand on a terminal of the viewer list.
CREATE TABLE numbered_proof (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    session TEXT NOT NULL REFERENCES session (id),
    serial TEXT NOT NULL,
    binding_epoch INTEGER NOT NULL,
    key_epoch INTEGER NOT NULL,
    -- Ed25519 key of the terminal on the list; without one the proof stands on the device secret.
    terminal BLOB,
    expires INTEGER NOT NULL,
    UNIQUE (session, serial)
) STRICT;
INSERT INTO numbered_proof (session, serial, binding_epoch, key_epoch, expires)
    SELECT session, serial, binding_epoch, key_epoch, expires FROM key_proof;
DROP TABLE key_proof;
ALTER TABLE numbered_proof RENAME TO key_proof;
CREATE INDEX key_proof_of_terminals ON key_proof (expires) WHERE terminal IS NOT NULL;

-- A guest and an owner who are getting to know each other's keys. The messages are opaque to the
-- server; the code that leads to them is kept as a keyed hash.
CREATE TABLE introduction (
    code BLOB PRIMARY KEY,
    guest_account TEXT NOT NULL,
    guest_terminal TEXT NOT NULL,
    owner_account TEXT,
    owner_terminal TEXT,
    commitment BLOB NOT NULL,
    reply BLOB,
    reveal BLOB,
    added INTEGER CHECK (added IN (0, 1)),
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX introduction_by_guest ON introduction (guest_account);
