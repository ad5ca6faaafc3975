-- Apps that this account signs in to, by the operator's word. An app with a secret is confidential;
-- one without proves a key of its own on each request.
CREATE TABLE sso_app (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    -- JSON array, compared whole.
    redirect_uris TEXT NOT NULL,
    first_party INTEGER NOT NULL CHECK (first_party IN (0, 1)),
    confidential INTEGER NOT NULL CHECK (confidential IN (0, 1)),
    -- NULL in a confidential app: no secret holds until the operator makes a new one.
    secret_hash BLOB,
    policy_url TEXT NOT NULL,
    policy_version INTEGER NOT NULL,
    backchannel_uri TEXT,
    created_at INTEGER NOT NULL,
    -- A restore may have brought a removed app back: as good as unknown until the operator confirms it.
    suspended_at INTEGER,
    CHECK (confidential = 1 OR secret_hash IS NULL)
) STRICT;

-- Keys that sign what apps get, each encrypted under a key of the server. The newest signs; older ones
-- are published until their time is over.
CREATE TABLE sso_key (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    kid TEXT NOT NULL UNIQUE,
    public BLOB NOT NULL,
    sealed BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    published_until INTEGER
) STRICT;

-- What a person agreed that an app gets.
CREATE TABLE sso_consent (
    account TEXT NOT NULL REFERENCES account (id),
    app TEXT NOT NULL REFERENCES sso_app (id),
    policy_version INTEGER NOT NULL,
    asked TEXT NOT NULL,
    scopes TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (account, app)
) STRICT;

-- A login that an app has. It came from a login of the person and ends with it.
CREATE TABLE sso_grant (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL REFERENCES account (id),
    app TEXT NOT NULL,
    -- Who the person is to this app.
    pairwise TEXT NOT NULL,
    login TEXT NOT NULL,
    -- A first-party app's own session.
    session TEXT UNIQUE,
    scopes TEXT NOT NULL,
    -- Key that its tokens are bound to.
    jkt TEXT,
    auth_time INTEGER NOT NULL,
    opened_at INTEGER NOT NULL,
    idle_expires INTEGER NOT NULL,
    abs_expires INTEGER NOT NULL,
    ended_at INTEGER
) STRICT;
CREATE INDEX sso_grant_by_login ON sso_grant (login) WHERE ended_at IS NULL;
CREATE INDEX sso_grant_by_account ON sso_grant (account, app) WHERE ended_at IS NULL;

-- Authorisation codes; used ones stay for a while, so that a second use is noticed.
CREATE TABLE sso_code (
    hash BLOB PRIMARY KEY,
    app TEXT NOT NULL,
    account TEXT NOT NULL REFERENCES account (id),
    login TEXT NOT NULL,
    pairwise TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    -- SHA-256 of the verifier.
    challenge BLOB NOT NULL,
    jkt TEXT,
    scopes TEXT NOT NULL,
    nonce TEXT,
    auth_time INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    used_at INTEGER,
    granted TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX sso_code_by_login ON sso_code (login);

-- Tokens of third-party apps. Those of first-party apps are a session's.
CREATE TABLE sso_token (
    hash BLOB PRIMARY KEY,
    granted TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('access', 'refresh')),
    expires INTEGER NOT NULL,
    rotated_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX sso_token_by_grant ON sso_token (granted);

-- Words on their way to apps whose login of a person is over. They name nobody but by pseudonyms.
CREATE TABLE sso_logout (
    id TEXT PRIMARY KEY,
    app TEXT NOT NULL,
    uri TEXT NOT NULL,
    pairwise TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;

-- The app whose login this is; NULL: the person's own.
ALTER TABLE session ADD COLUMN app TEXT;
-- The app that made a terminal known; NULL: the person signed in on it.
ALTER TABLE terminal ADD COLUMN app TEXT;
