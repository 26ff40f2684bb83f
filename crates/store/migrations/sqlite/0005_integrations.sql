-- Registries that somebody connected. One that was removed stays for the record, without its credentials.
CREATE TABLE integrations (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    name             TEXT    NOT NULL,
    kind             TEXT    NOT NULL,
    registry         TEXT    NOT NULL,
    settings         TEXT    NOT NULL,
    policy           TEXT    NOT NULL,
    credentials      BLOB,
    credentials_at   INTEGER,
    state            TEXT    NOT NULL CHECK (state IN ('pending', 'connected', 'degraded', 'error', 'removed')),
    reason_kind      TEXT,
    reason_message   TEXT,
    reason_retryable INTEGER,
    advice           TEXT,
    since            INTEGER NOT NULL,
    created_at       INTEGER NOT NULL,
    tested_at        INTEGER,
    first_event      INTEGER,
    last_event       INTEGER,
    removed_at       INTEGER,
    removed_data     TEXT    CHECK (removed_data IN ('keep', 'delete')),
    revision         INTEGER NOT NULL,
    CHECK ((state = 'removed') = (removed_at IS NOT NULL)),
    CHECK ((removed_at IS NULL) = (removed_data IS NULL)),
    CHECK ((credentials IS NULL) = (credentials_at IS NULL)),
    CHECK (removed_at IS NULL OR credentials IS NULL)
) STRICT;

CREATE UNIQUE INDEX integrations_name     ON integrations (name) WHERE removed_at IS NULL;
CREATE UNIQUE INDEX integrations_registry ON integrations (registry) WHERE removed_at IS NULL;

-- The steps of their lives.
CREATE TABLE integration_moves (
    id               INTEGER PRIMARY KEY,
    integration_id   INTEGER NOT NULL REFERENCES integrations (id),
    at               INTEGER NOT NULL,
    from_state       TEXT,
    to_state         TEXT    NOT NULL,
    reason_kind      TEXT,
    reason_message   TEXT,
    reason_retryable INTEGER,
    advice           TEXT
) STRICT;

CREATE INDEX integration_moves_integration ON integration_moves (integration_id, id);
CREATE INDEX integration_moves_at          ON integration_moves (at);

-- One row, raised by every change to what is above and below, so that whoever watches asks for one number.
CREATE TABLE integrations_revision (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    revision INTEGER NOT NULL
) STRICT;

INSERT INTO integrations_revision (only_row, revision) VALUES (1, 0);

-- Which repositories of an integration are known, and which of them are indexed.
CREATE TABLE repository_settings (
    integration_id INTEGER NOT NULL REFERENCES integrations (id),
    repository     TEXT    NOT NULL,
    enabled        INTEGER NOT NULL,
    origin         TEXT    NOT NULL CHECK (origin IN ('found', 'named')),
    changed_at     INTEGER NOT NULL,
    PRIMARY KEY (integration_id, repository)
) STRICT, WITHOUT ROWID;

-- Tokens of the interface, by the SHA-256 of their text.
CREATE TABLE tokens (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT    NOT NULL,
    role       TEXT    NOT NULL CHECK (role IN ('viewer', 'editor', 'admin')),
    scope      TEXT    NOT NULL,
    hash       BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32),
    created_at INTEGER NOT NULL,
    used_at    INTEGER,
    revoked_at INTEGER
) STRICT;

CREATE UNIQUE INDEX tokens_name ON tokens (name) WHERE revoked_at IS NULL;

-- Who changed what.
CREATE TABLE audit (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    at      INTEGER NOT NULL,
    actor   TEXT    NOT NULL,
    action  TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    details TEXT    NOT NULL
) STRICT;

CREATE INDEX audit_at      ON audit (at);
CREATE INDEX audit_subject ON audit (subject, id);
