-- Requests that came with a key of the client's, so that a repeated one is answered as the first.
-- Key and request are kept as keyed hashes, the answer under the account's data key.
CREATE TABLE idempotency (
    account TEXT NOT NULL,
    key BLOB NOT NULL,
    request BLOB NOT NULL,
    -- Names the attempt, so that a late answer of an abandoned one is not taken.
    attempt BLOB NOT NULL,
    began INTEGER NOT NULL,
    -- Missing while the first request runs.
    answer BLOB,
    PRIMARY KEY (account, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_by_age ON idempotency (began);
