-- The chain ID of all of an image's layers: another image whose layers begin with that chain was built on it.
-- Images that were indexed before have none; they get one when they are indexed again.
ALTER TABLE images ADD COLUMN chain_id TEXT;

CREATE INDEX images_chain ON images (chain_id);
