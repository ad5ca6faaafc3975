-- What the server keeps for sealed devices and cannot open. It goes with the binding.
CREATE TABLE viewer_list (
    serial TEXT PRIMARY KEY,
    binding_epoch INTEGER NOT NULL,
    version INTEGER NOT NULL,
    signed BLOB NOT NULL,
    stored_at INTEGER NOT NULL
) STRICT;

CREATE TABLE generation (
    serial TEXT NOT NULL,
    number INTEGER NOT NULL,
    binding_epoch INTEGER NOT NULL,
    -- Header and signature. Wraps stand in rows of their own, so that each goes out alone.
    signed BLOB NOT NULL,
    -- Hash of the blob as it came, by which a repeated upload is known.
    uploaded BLOB NOT NULL,
    stored_at INTEGER NOT NULL,
    PRIMARY KEY (serial, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE generation_wrap (
    serial TEXT NOT NULL,
    number INTEGER NOT NULL,
    recipient BLOB NOT NULL,
    sealed BLOB NOT NULL,
    by_owner INTEGER NOT NULL CHECK (by_owner IN (0, 1)),
    PRIMARY KEY (serial, number, recipient),
    FOREIGN KEY (serial, number) REFERENCES generation (serial, number) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- Outlives device and owner: a number that was taken once is never taken again.
CREATE TABLE generation_last (
    serial TEXT PRIMARY KEY,
    number INTEGER NOT NULL
) STRICT;
CREATE TRIGGER generation_last_only_rises BEFORE UPDATE ON generation_last
WHEN NEW.number <= OLD.number
BEGIN SELECT RAISE(ABORT, 'numbers of generations only rise'); END;
CREATE TRIGGER generation_last_stays BEFORE DELETE ON generation_last
BEGIN SELECT RAISE(ABORT, 'the last number of a generation is never forgotten'); END;
