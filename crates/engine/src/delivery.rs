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

/// Notes where this engine delivers, and says what waits for sinks that nobody delivers to any more: no run would ever
/// end it.
pub(crate) async fn take_stock(shared: &Shared) -> supercargo_store::Result<()> {
    let sinks = shared.routes.iter().map(|route| route.name.clone()).collect();
    shared.store.set_sinks(&shared.options.name, sinks).await?;
    let known = shared.store.sinks().await?;
    for left in shared.store.outbox_stats().await? {
        if known.contains(&left.sink) {
            continue;
        }
        let waiting = left.ready + left.delayed + left.running;
        warn!(
            sink = left.sink,
            waiting,
            given_up = left.dead,
            "deliveries are for a sink that is not named any more: name it again, or have them dropped by `supercargo deliveries drop --to`"
        );
    }
    Ok(())
}

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
