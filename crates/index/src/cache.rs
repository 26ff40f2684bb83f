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
    /// The layer under `key`, if it is there.
    async fn get(&self, key: &LayerKey) -> Result<Option<LayerIndex>>;

    /// Keeps `layer` under `key`; replaces what was there.
    async fn put(&self, key: &LayerKey, layer: &LayerIndex) -> Result<()>;
}

/// The in-memory [`LayerCache`]. It keeps everything: for tests and short runs.
#[derive(Debug, Default)]
pub struct MemoryLayerCache {
    layers: Mutex<HashMap<LayerKey, Arc<LayerIndex>>>,
}

#[async_trait]
impl LayerCache for MemoryLayerCache {
    async fn get(&self, key: &LayerKey) -> Result<Option<LayerIndex>> {
        let layers = self.layers.lock().expect("no holder of the lock panics");
        Ok(layers.get(key).map(|layer| LayerIndex::clone(layer)))
    }

    async fn put(&self, key: &LayerKey, layer: &LayerIndex) -> Result<()> {
        let mut layers = self.layers.lock().expect("no holder of the lock panics");
        layers.insert(key.clone(), Arc::new(layer.clone()));
        Ok(())
    }
}
