-- Deliveries have lanes, as jobs do: what is delivered again to a new sink waits behind what has just been pushed.
-- `tag` is the tag that a delivery is about alone; `round` counts how often the delivery was asked for, so that a
-- receiver can tell a repetition from a new request.
ALTER TABLE deliveries ADD COLUMN lane  INTEGER NOT NULL DEFAULT 0;
ALTER TABLE deliveries ADD COLUMN tag   TEXT;
ALTER TABLE deliveries ADD COLUMN round INTEGER NOT NULL DEFAULT 1;

DROP INDEX deliveries_ready;
CREATE INDEX deliveries_ready ON deliveries (sink, lane, run_at, id) WHERE state = 'queued';
