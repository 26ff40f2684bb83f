//! Draining the outbox.
//!
//! A courier for each sink claims what waits for it, fetches what is to be told, and hands it over. A row says only
//! *that* something is to be told of an image in a repository; *what* is read from the store when it is told. So rows
//! that arrive late, twice or in another order tell what is true now, and news that has been overtaken is dropped.

mod attempt;
mod content;
mod courier;
mod health;

use supercargo_registry::index::Digest;
use supercargo_store::RepositoryName;
use tracing::{info, warn};

pub(crate) use self::courier::{Courier, Phase};
pub(crate) use self::health::SinkHealth;
use crate::failure::chain;
use crate::shared::Shared;

/// Says what would be sent of an image that was just indexed.
pub(crate) async fn rehearse(shared: &Shared, repository: &RepositoryName, digest: &Digest) {
    let image = match shared.store.image(digest).await {
        Ok(Some(image)) => image,
        Ok(None) => return,
        Err(error) => return warn!(%repository, %digest, error = chain(&error), "dry run: image not read"),
    };
    for route in &shared.routes {
        match route.preview(repository, image.clone()) {
            Ok(Some(preview)) if !preview.body.is_empty() => {
                let (target, bytes) = (preview.target, preview.body.len());
                info!(sink = route.name, %repository, %digest, target, bytes, "dry run: would be sent");
            }
            Ok(_) => info!(sink = route.name, %repository, %digest, "dry run: nothing would be sent"),
            Err(error) => {
                warn!(sink = route.name, %repository, %digest, error = chain(&error), "dry run: cannot be sent");
            }
        }
    }
}
