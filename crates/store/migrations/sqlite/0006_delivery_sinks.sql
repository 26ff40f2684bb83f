-- Where each worker delivers, as of its last start. Deliveries to a sink that nobody names any more wait for ever; this
-- tells which those are.
CREATE TABLE delivery_sinks (
    worker TEXT NOT NULL,
    sink   TEXT NOT NULL,
    PRIMARY KEY (worker, sink)
) STRICT, WITHOUT ROWID;
