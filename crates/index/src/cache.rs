//! Layers that were read before.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use crate::{Digest, LayerIndex, Result};

/// The key of a cached layer.
///
/// It is the digest of the blob and not the diff ID: the diff ID is only the image's claim until the layer
/// has been read, and an image that claims another's diff IDs would be given another's packages.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LayerKey {
    /// Digest of the blob, from the manifest.
    pub digest: Digest,
    /// The [indexer version](crate::Catalogers::version).
    pub indexer: String,
}

/// A store of [`LayerIndex`]es. A failing cache never fails an image: its errors are a miss.
#[async_trait]
pub trait LayerCache: Send + Sync {
    /// The layer under `key`, if it is there. Its [captures](LayerIndex::captures) may be left out.
    async fn get(&self, key: &LayerKey) -> Result<Option<LayerIndex>>;

    /// The layer of this digest that was used last, whatever catalogers read it, with its captures: the indexer brings it
    /// up to date rather than read the layer again. It is of the present [format](LayerIndex::FORMAT).
    ///
    /// A cache that does not answer this costs a read of each layer whenever a cataloger changes.
    async fn get_any(&self, digest: &Digest) -> Result<Option<LayerIndex>> {
        let _ = digest;
        Ok(None)
    }

    /// Keeps `layer` under `key`; replaces what was there.
    async fn put(&self, key: &LayerKey, layer: &LayerIndex) -> Result<()>;
}

/// The in-memory [`LayerCache`]. It keeps everything: for tests and short runs.
#[derive(Debug, Default)]
pub struct MemoryLayerCache {
    layers: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    layers: HashMap<LayerKey, Arc<LayerIndex>>,
    /// The key of each digest that was used last.
    latest: HashMap<Digest, LayerKey>,
}

#[async_trait]
impl LayerCache for MemoryLayerCache {
    async fn get(&self, key: &LayerKey) -> Result<Option<LayerIndex>> {
        let mut kept = self.layers.lock().expect("no holder of the lock panics");
        let Some(layer) = kept.layers.get(key).map(Arc::clone) else { return Ok(None) };
        kept.latest.insert(key.digest.clone(), key.clone());
        Ok(Some(LayerIndex::clone(&layer)))
    }

    async fn get_any(&self, digest: &Digest) -> Result<Option<LayerIndex>> {
        let kept = self.layers.lock().expect("no holder of the lock panics");
        let layer = kept.latest.get(digest).and_then(|key| kept.layers.get(key));
        Ok(layer.map(|layer| LayerIndex::clone(layer)))
    }

    async fn put(&self, key: &LayerKey, layer: &LayerIndex) -> Result<()> {
        let mut kept = self.layers.lock().expect("no holder of the lock panics");
        kept.latest.insert(key.digest.clone(), key.clone());
        kept.layers.insert(key.clone(), Arc::new(layer.clone()));
        Ok(())
    }
}
