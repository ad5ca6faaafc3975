-- What the operator lays down for one product in place of the general text of a purpose. A row stays
-- when it is removed, so that its versions only rise. What is NULL is as the general policy has it.
CREATE TABLE product_policy (
    id TEXT PRIMARY KEY,
    product TEXT NOT NULL,
    purpose TEXT NOT NULL,
    version INTEGER NOT NULL,
    optional INTEGER CHECK (optional IN (0, 1)),
    fields TEXT,
    retention TEXT,
    text_en TEXT,
    text_zh TEXT,
    changed_at INTEGER NOT NULL,
    removed_at INTEGER,
    CHECK ((text_en IS NULL) = (text_zh IS NULL))
) STRICT;
CREATE UNIQUE INDEX product_policy_in_force ON product_policy (product, purpose)
    WHERE removed_at IS NULL;

-- Under which policy a decision was taken; empty: under the general one.
ALTER TABLE consent_event ADD COLUMN product TEXT NOT NULL DEFAULT '';
ALTER TABLE consent_event ADD COLUMN policy TEXT NOT NULL DEFAULT '';

CREATE TABLE consent_state_of_product (
    account TEXT NOT NULL REFERENCES account (id),
    purpose TEXT NOT NULL,
    product TEXT NOT NULL,
    policy TEXT NOT NULL,
    version INTEGER NOT NULL,
    granted INTEGER NOT NULL CHECK (granted IN (0, 1)),
    seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (account, purpose, product)
) STRICT;
INSERT INTO consent_state_of_product (account, purpose, product, policy, version, granted, seq, at)
    SELECT account, purpose, '', '', version, granted, seq, at FROM consent_state;
DROP TABLE consent_state;
ALTER TABLE consent_state_of_product RENAME TO consent_state;
