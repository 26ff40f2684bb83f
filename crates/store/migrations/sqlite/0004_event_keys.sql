-- The keys of single events within deliveries that carried several. A delivery of one event has its event's key in
-- events.dedupe_key; this table is for the others, so that an event that comes again in other company is known.
CREATE TABLE event_keys (
    source     TEXT    NOT NULL,
    dedupe_key TEXT    NOT NULL,
    event_id   INTEGER NOT NULL REFERENCES events (id) ON DELETE CASCADE,
    PRIMARY KEY (source, dedupe_key)
) STRICT, WITHOUT ROWID;

CREATE INDEX event_keys_event ON event_keys (event_id);
