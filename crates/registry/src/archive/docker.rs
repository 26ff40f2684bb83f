//! The docker archive's `manifest.json` (moby `image/spec/v1.2.md`, *combined image JSON + filesystem changeset*).

use std::io::Read;

use bytes::Bytes;
use oci_spec::image::{Descriptor, Digest};
use serde::Deserialize;
use serde_json::json;
use supercargo_index::ImageConfig;

use super::entries::{Extent, TarEntries};
use super::{ArchiveBlobs, TarFile};
use crate::digest::{self, Hasher};
use crate::local::{Entry, full_reference};
use crate::media_type::{self, OCI_LAYER};
use crate::{Error, ErrorKind, Repository, Result};

/// Bytes of an image's configuration.
const CONFIG_SIZE: u64 = 16 << 20;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Image {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Option<Vec<String>>,
}

/// The images of `manifest`, each with a manifest made for it. An image is listed once per tag.
pub(super) fn entries(
    manifest: &[u8],
    table: &TarEntries,
    blobs: &mut ArchiveBlobs,
    fallback: &Repository,
) -> Result<Vec<Entry>> {
    let images: Vec<Image> =
        serde_json::from_slice(manifest).map_err(|error| malformed("it is not a list of images").with_source(error))?;
    let mut entries = Vec::new();
    for image in images {
        let descriptor = make_manifest(&image, table, blobs)?;
        let tags = image.repo_tags.unwrap_or_default();
        if tags.is_empty() {
            entries.push(Entry { repository: fallback.clone(), tag: None, name: None, descriptor: descriptor.clone() });
        }
        for name in tags {
            let (repository, tag) = match full_reference(&name) {
                Some((repository, tag)) => (repository, Some(tag)),
                None => (fallback.clone(), None),
            };
            entries.push(Entry { repository, tag, name: Some(name), descriptor: descriptor.clone() });
        }
    }
    Ok(entries)
}

fn make_manifest(image: &Image, table: &TarEntries, blobs: &mut ArchiveBlobs) -> Result<Descriptor> {
    let find = |name: &str| {
        table
            .find(name)
            .ok_or_else(|| malformed(&format!("{:?} is not in the archive", crate::secret::printable(name, 200))))
    };
    let config = blobs.file.read(find(&image.config)?, CONFIG_SIZE)?;
    let read: ImageConfig = serde_json::from_slice(&config)
        .map_err(|error| malformed("an image's configuration is none").with_source(error))?;
    let names = image.layers.as_deref().unwrap_or_default();
    let diff_ids = &read.rootfs.diff_ids;
    if names.len() != diff_ids.len() {
        return Err(malformed(&format!("an image has {} layers and {} diff IDs", names.len(), diff_ids.len())));
    }
    let mut layers = Vec::new();
    for (name, diff_id) in names.iter().zip(diff_ids) {
        let extent = find(name)?;
        let (media_type, digest) = identify(&blobs.file, extent, diff_id)?;
        blobs.extents.insert(digest.to_string(), extent);
        layers.push(json!({"mediaType": media_type, "digest": digest, "size": extent.length}));
    }
    let config_digest = digest::sha256(&config);
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_MANIFEST,
        "config": {"mediaType": media_type::OCI_CONFIG, "digest": config_digest, "size": config.len()},
        "layers": layers,
    });
    let manifest = Bytes::from(manifest.to_string());
    let digest = digest::sha256(&manifest);
    let descriptor = Descriptor::new(media_type::OCI_MANIFEST.into(), manifest.len() as u64, digest.clone());
    blobs.made.insert(config_digest.to_string(), config);
    blobs.made.insert(digest.to_string(), manifest);
    Ok(descriptor)
}

/// A layer's media type and digest. Only a compressed one must be read for it.
fn identify(file: &TarFile, extent: Extent, diff_id: &Digest) -> Result<(&'static str, Digest)> {
    let magic = file.read(Extent { length: extent.length.min(4), ..extent }, 4)?;
    let media_type = media_type::of_layer(&magic);
    if media_type == OCI_LAYER {
        return Ok((media_type, diff_id.clone()));
    }
    let failed = |error: std::io::Error| Error::new(ErrorKind::Io, "hash a layer").with_source(error);
    let mut reader = file.reader(extent.offset).map_err(failed)?.take(extent.length);
    let mut hasher = Hasher::sha256();
    let mut buffer = vec![0; 256 << 10];
    loop {
        match reader.read(&mut buffer).map_err(failed)? {
            0 => return Ok((media_type, hasher.finish())),
            count => hasher.update(&buffer[..count]),
        }
    }
}

fn malformed(why: &str) -> Error {
    Error::new(ErrorKind::Malformed, format!("read manifest.json: {why}"))
}
