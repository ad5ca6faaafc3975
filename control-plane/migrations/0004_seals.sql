-- Whether a device's media is sealed. Having an identity is what that stands on, not the same.
ALTER TABLE device ADD COLUMN seals INTEGER NOT NULL DEFAULT 0
    CHECK (seals = 0 OR (seals = 1 AND identity IS NOT NULL));
