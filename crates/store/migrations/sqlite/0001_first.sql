-- Times are milliseconds since 1970, from the database's clock. Digests are text. JSON is text.
-- docs/store.md says what each table is for and how long its rows stay.

-- Events, as they came in.
CREATE TABLE events (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    source      TEXT    NOT NULL,
    dedupe_key  TEXT    NOT NULL,
    state       TEXT    NOT NULL CHECK (state IN ('accepted', 'ignored', 'quarantined')),
    reason      TEXT,
    registry    TEXT,
    headers     TEXT    NOT NULL,
    body        BLOB    NOT NULL,
    received_at INTEGER NOT NULL,
    UNIQUE (source, dedupe_key)
) STRICT;

CREATE INDEX events_received ON events (received_at);

-- The queue. The columns from dedupe_key to finished_at are the same in deliveries.
CREATE TABLE jobs (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    kind            TEXT    NOT NULL,
    lane            INTEGER NOT NULL,
    registry        TEXT    NOT NULL,
    repository      TEXT    NOT NULL,
    tag             TEXT,
    digest          TEXT,
    payload         TEXT    NOT NULL,
    event_id        INTEGER,
    dedupe_key      TEXT    NOT NULL,
    state           TEXT    NOT NULL CHECK (state IN ('queued', 'running', 'done', 'dead')),
    attempt         INTEGER NOT NULL DEFAULT 0,
    max_attempts    INTEGER NOT NULL,
    run_at          INTEGER NOT NULL,
    again           INTEGER,
    lease_owner     TEXT,
    lease_epoch     INTEGER NOT NULL DEFAULT 0,
    lease_until     INTEGER,
    changed_at      INTEGER NOT NULL,
    error_kind      TEXT,
    error_message   TEXT,
    error_retryable INTEGER,
    error_at        INTEGER,
    created_at      INTEGER NOT NULL,
    finished_at     INTEGER,
    CHECK ((state = 'running') = (lease_owner IS NOT NULL)),
    CHECK ((state = 'running') = (lease_until IS NOT NULL)),
    CHECK (again IS NULL OR state = 'running')
) STRICT;

-- The same work is one job as long as it is not done.
CREATE UNIQUE INDEX jobs_live     ON jobs (dedupe_key) WHERE state <> 'done';
CREATE INDEX        jobs_ready    ON jobs (lane, run_at, id) WHERE state = 'queued';
CREATE INDEX        jobs_due      ON jobs (run_at) WHERE state = 'queued';
CREATE INDEX        jobs_leased   ON jobs (lease_until) WHERE state = 'running';
CREATE INDEX        jobs_changed  ON jobs (changed_at) WHERE state IN ('queued', 'running');
CREATE INDEX        jobs_finished ON jobs (finished_at) WHERE state = 'done';
CREATE INDEX        jobs_dead     ON jobs (registry, repository) WHERE state = 'dead';
CREATE INDEX        jobs_error    ON jobs (error_at) WHERE error_at IS NOT NULL;

-- What is still to be delivered elsewhere.
CREATE TABLE deliveries (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    sink            TEXT    NOT NULL,
    kind            TEXT    NOT NULL,
    subject         TEXT    NOT NULL,
    registry        TEXT    NOT NULL,
    repository      TEXT    NOT NULL,
    details         TEXT    NOT NULL,
    dedupe_key      TEXT    NOT NULL,
    state           TEXT    NOT NULL CHECK (state IN ('queued', 'running', 'done', 'dead')),
    attempt         INTEGER NOT NULL DEFAULT 0,
    max_attempts    INTEGER NOT NULL,
    run_at          INTEGER NOT NULL,
    again           INTEGER,
    lease_owner     TEXT,
    lease_epoch     INTEGER NOT NULL DEFAULT 0,
    lease_until     INTEGER,
    changed_at      INTEGER NOT NULL,
    error_kind      TEXT,
    error_message   TEXT,
    error_retryable INTEGER,
    error_at        INTEGER,
    created_at      INTEGER NOT NULL,
    finished_at     INTEGER,
    CHECK ((state = 'running') = (lease_owner IS NOT NULL)),
    CHECK ((state = 'running') = (lease_until IS NOT NULL)),
    CHECK (again IS NULL OR state = 'running')
) STRICT;

CREATE UNIQUE INDEX deliveries_live     ON deliveries (dedupe_key) WHERE state <> 'done';
CREATE INDEX        deliveries_ready    ON deliveries (sink, run_at, id) WHERE state = 'queued';
CREATE INDEX        deliveries_due      ON deliveries (run_at) WHERE state = 'queued';
CREATE INDEX        deliveries_leased   ON deliveries (lease_until) WHERE state = 'running';
CREATE INDEX        deliveries_changed  ON deliveries (changed_at) WHERE state IN ('queued', 'running');
CREATE INDEX        deliveries_finished ON deliveries (finished_at) WHERE state IN ('done', 'dead');

-- Which manifests were indexed by which indexer.
CREATE TABLE ledger (
    id              INTEGER PRIMARY KEY,
    digest          TEXT    NOT NULL,
    indexer         TEXT    NOT NULL,
    state           TEXT    NOT NULL CHECK (state IN ('indexed', 'failed', 'unsupported')),
    error_kind      TEXT,
    error_message   TEXT,
    error_retryable INTEGER,
    attempts        INTEGER NOT NULL,
    first_at        INTEGER NOT NULL,
    last_at         INTEGER NOT NULL,
    UNIQUE (digest, indexer)
) STRICT;

CREATE INDEX ledger_problems ON ledger (last_at) WHERE state <> 'indexed';

-- The inventory. gone_at is when the registry confirmed that a thing is no longer there.
CREATE TABLE registries (
    name            TEXT    PRIMARY KEY,
    first_seen      INTEGER NOT NULL,
    last_reached    INTEGER,
    last_reconciled INTEGER,
    last_event      INTEGER,
    away_since      INTEGER,
    away_tried      INTEGER,
    away_kind       TEXT,
    away_message    TEXT,
    away_retryable  INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE repositories (
    id         INTEGER PRIMARY KEY,
    registry   TEXT    NOT NULL REFERENCES registries (name),
    name       TEXT    NOT NULL,
    first_seen INTEGER NOT NULL,
    last_seen  INTEGER NOT NULL,
    gone_at    INTEGER,
    UNIQUE (registry, name)
) STRICT;

CREATE TABLE tags (
    repository_id INTEGER NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    tag           TEXT    NOT NULL,
    digest        TEXT    NOT NULL,
    first_seen    INTEGER NOT NULL,
    last_seen     INTEGER NOT NULL,
    moved_at      INTEGER NOT NULL,
    pushed_at     INTEGER,
    gone_at       INTEGER,
    PRIMARY KEY (repository_id, tag)
) STRICT, WITHOUT ROWID;

CREATE INDEX tags_digest ON tags (digest);

CREATE TABLE manifests (
    id            INTEGER PRIMARY KEY,
    repository_id INTEGER NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    digest        TEXT    NOT NULL,
    media_type    TEXT,
    size          INTEGER,
    first_seen    INTEGER NOT NULL,
    last_seen     INTEGER NOT NULL,
    gone_at       INTEGER,
    UNIQUE (repository_id, digest)
) STRICT;

CREATE INDEX manifests_digest ON manifests (digest);

-- What image indexes list. Content-addressed, so it belongs to no repository.
CREATE TABLE manifest_children (
    parent       TEXT    NOT NULL,
    position     INTEGER NOT NULL,
    child        TEXT    NOT NULL,
    kind         TEXT    NOT NULL CHECK (kind IN ('image', 'other')),
    platform     TEXT,
    PRIMARY KEY (parent, position)
) STRICT, WITHOUT ROWID;

CREATE INDEX manifest_children_child ON manifest_children (child);

CREATE TABLE images (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    digest        TEXT    NOT NULL UNIQUE,
    os            TEXT    NOT NULL,
    architecture  TEXT    NOT NULL,
    variant       TEXT,
    os_version    TEXT,
    size          INTEGER NOT NULL,
    created       TEXT,
    distro        TEXT,
    packages      INTEGER NOT NULL,
    indexer       TEXT    NOT NULL,
    first_indexed INTEGER NOT NULL,
    last_indexed  INTEGER NOT NULL
) STRICT;

-- Whole documents: JSON, zstd. Apart from images, so that lists do not read them.
CREATE TABLE documents (
    image_id INTEGER PRIMARY KEY REFERENCES images (id) ON DELETE CASCADE,
    body     BLOB    NOT NULL
) STRICT;

CREATE TABLE image_layers (
    image_id    INTEGER NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    position    INTEGER NOT NULL,
    digest      TEXT    NOT NULL,
    diff_id     TEXT,
    media_type  TEXT    NOT NULL,
    size        INTEGER NOT NULL,
    ordinal     INTEGER,
    instruction TEXT,
    PRIMARY KEY (image_id, position)
) STRICT, WITHOUT ROWID;

CREATE INDEX image_layers_digest ON image_layers (digest);

-- Packages, each once for all images. The licences are part of the key: they are what an image says of the
-- package, and one image's word must not become another's.
CREATE TABLE packages (
    id        INTEGER PRIMARY KEY,
    purl      TEXT NOT NULL,
    licenses  TEXT NOT NULL,
    type      TEXT NOT NULL,
    namespace TEXT COLLATE NOCASE,
    name      TEXT NOT NULL COLLATE NOCASE,
    purl_name TEXT NOT NULL COLLATE NOCASE,
    version   TEXT NOT NULL,
    UNIQUE (purl, licenses)
) STRICT;

CREATE INDEX packages_name      ON packages (name);
CREATE INDEX packages_purl_name ON packages (purl_name);

-- Paths of evidence files, each once: most packages of most images share one of a few.
CREATE TABLE paths (
    id   INTEGER PRIMARY KEY,
    path TEXT NOT NULL UNIQUE
) STRICT;

-- One row for each evidence file of each package of each image; a package without one has the empty path.
CREATE TABLE image_packages (
    image_id   INTEGER NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    package_id INTEGER NOT NULL REFERENCES packages (id),
    path_id    INTEGER NOT NULL REFERENCES paths (id),
    layer      INTEGER,
    declared   INTEGER NOT NULL,
    PRIMARY KEY (image_id, package_id, path_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX image_packages_package ON image_packages (package_id, image_id);
CREATE INDEX image_packages_path    ON image_packages (path_id);

-- Layers that were read before: JSON, zstd.
CREATE TABLE layers (
    id      INTEGER PRIMARY KEY,
    digest  TEXT    NOT NULL,
    indexer TEXT    NOT NULL,
    format  INTEGER NOT NULL,
    body    BLOB    NOT NULL,
    size    INTEGER NOT NULL,
    used_at INTEGER NOT NULL,
    UNIQUE (digest, indexer)
) STRICT;

CREATE INDEX layers_used ON layers (used_at, size);
