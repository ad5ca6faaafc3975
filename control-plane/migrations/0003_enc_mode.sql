-- The owner's last signed word on sealing. Goes with the binding and with the key that signed it.
CREATE TABLE sealing_order (
    serial TEXT PRIMARY KEY,
    binding_epoch INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    sealed INTEGER NOT NULL CHECK (sealed IN (0, 1)),
    signed BLOB NOT NULL,
    stored_at INTEGER NOT NULL
) STRICT;

-- What was ordered, and by whom: a pseudonym, or nobody when a new key ended the order.
CREATE TABLE enc_mode_event (
    id INTEGER PRIMARY KEY,
    serial TEXT NOT NULL,
    binding_epoch INTEGER NOT NULL,
    mode TEXT NOT NULL CHECK (mode IN ('sealed', 'open')),
    subject TEXT,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX enc_mode_event_by_binding ON enc_mode_event (serial, binding_epoch, id);
CREATE TRIGGER enc_mode_event_no_update BEFORE UPDATE ON enc_mode_event
BEGIN SELECT RAISE(ABORT, 'the history of sealing is append-only'); END;
CREATE TRIGGER enc_mode_event_no_delete BEFORE DELETE ON enc_mode_event
BEGIN SELECT RAISE(ABORT, 'the history of sealing is append-only'); END;
