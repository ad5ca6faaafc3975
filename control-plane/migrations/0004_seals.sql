-- Whether a device's media is sealed. Having an identity is what that stands on, not the same.
ALTER TABLE device ADD COLUMN seals INTEGER NOT NULL DEFAULT 0
    CHECK (seals = 0 OR (seals = 1 AND identity IS NOT NULL));
-- Public half of the identity whose thumbprint is known, from the first generation that it signed. Viewers
-- pin it, and check for themselves.
ALTER TABLE device ADD COLUMN identity_key BLOB;
