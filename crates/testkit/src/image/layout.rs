//! OCI image layouts: a directory that holds images by digest (image-spec `image-layout.md`).

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Artifact;
use crate::{Descriptor, Error, ErrorKind, Result, media_type};

/// The file that makes a directory a layout.
pub(super) const LAYOUT_FILE: &str = "{\"imageLayoutVersion\":\"1.0.0\"}";

/// The annotation that names a manifest of a layout.
const REFERENCE_NAME: &str = "org.opencontainers.image.ref.name";

const OPERATION: &str = "write an OCI layout";

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LayoutIndex {
    schema_version: u8,
    media_type: String,
    manifests: Vec<Descriptor>,
}

/// Writes `artifact` under `tag` into the layout at `directory`, which is made if it is missing.
///
/// A layout holds many tags: what is there stays, except for a former manifest of the same tag.
///
/// # Errors
///
/// If a file cannot be written, or if an `index.json` is there that is not one.
pub fn write_layout(artifact: &dyn Artifact, directory: &Path, tag: &str) -> Result<()> {
    let blobs = directory.join("blobs").join("sha256");
    make_directory(&blobs)?;
    for blob in artifact.blobs().into_iter().chain(artifact.manifests()) {
        let hex = blob.digest().trim_start_matches("sha256:");
        write(&blobs.join(hex), &blob.bytes)?;
    }
    write(&directory.join("oci-layout"), LAYOUT_FILE.as_bytes())?;

    let path = directory.join("index.json");
    let present = match fs::read(&path) {
        Ok(bytes) => {
            serde_json::from_slice::<LayoutIndex>(&bytes)
                .map_err(|error| {
                    Error::new(ErrorKind::Protocol, OPERATION, path.display().to_string()).with_source(error)
                })?
                .manifests
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(Error::io(OPERATION, path.display().to_string(), error)),
    };
    write(&path, &layout_index(artifact, tag, present))
}

/// The `index.json` that has `artifact` under `tag` beside the manifests that are `present`.
pub(super) fn layout_index(artifact: &dyn Artifact, tag: &str, mut present: Vec<Descriptor>) -> Vec<u8> {
    present.retain(|descriptor| descriptor.annotations.get(REFERENCE_NAME).is_none_or(|name| name != tag));
    let mut root = artifact.root().descriptor.clone();
    root.annotations.insert(REFERENCE_NAME.into(), tag.into());
    present.push(root);
    let index = LayoutIndex { schema_version: 2, media_type: media_type::OCI_INDEX.into(), manifests: present };
    serde_json::to_vec(&index).expect("descriptors have string keys and no failing parts")
}

fn make_directory(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|error| Error::io(OPERATION, path.display().to_string(), error))
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).map_err(|error| Error::io(OPERATION, path.display().to_string(), error))
}
