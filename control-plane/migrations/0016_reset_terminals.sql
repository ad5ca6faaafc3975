-- Until when a terminal that a reset of the password signed out still makes unusual logins wait for its
-- word; NULL: it was not signed out so, or was signed in again.
ALTER TABLE terminal ADD COLUMN reset_until INTEGER;
