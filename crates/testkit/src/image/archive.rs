//! Images in one file: what `docker save` writes, and an OCI layout in a tar.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use serde::Serialize;

use super::layout::{LAYOUT_FILE, layout_index};
use super::{Artifact, Entry, Image, Layer};
use crate::{Error, Result};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SavedImage<'a> {
    config: String,
    repo_tags: &'a [&'a str],
    layers: Vec<String>,
}

impl Image {
    /// Writes the image as `docker save` did before version 25: plain tars, `<hex>.json`,
    /// `manifest.json` and the older `repositories`. The tags are whole names, `team/app:1.0`.
    ///
    /// # Errors
    ///
    /// If `writer` fails.
    pub fn docker_save(&self, mut writer: impl Write, tags: &[&str]) -> Result<()> {
        let config = format!("{}.json", hex(self.config.digest()));
        let mut archive = Layer::new();
        let mut written = BTreeSet::new();
        let mut layers = Vec::new();
        for layer in &self.layers {
            let identity = hex(&layer.diff_id);
            let path = format!("{identity}/layer.tar");
            // Two layers with the same contents are one file, named twice.
            if written.insert(identity.to_owned()) {
                archive = archive
                    .directory(identity)
                    .file(format!("{identity}/VERSION"), "1.0")
                    .file(path.clone(), layer.tar.clone());
            }
            layers.push(path);
        }
        let top = self.layers.last().map_or("", |layer| hex(&layer.diff_id));
        let mut repositories: BTreeMap<&str, BTreeMap<&str, &str>> = BTreeMap::new();
        for tag in tags {
            let (repository, tag) = tag.rsplit_once(':').unwrap_or((tag, "latest"));
            repositories.entry(repository).or_default().insert(tag, top);
        }
        let manifest = [SavedImage { config: config.clone(), repo_tags: tags, layers }];
        let archive = archive
            .file(config, self.config.bytes.clone())
            .file("manifest.json", json(&manifest))
            .file("repositories", json(&repositories));
        write_all(&mut writer, &archive)
    }
}

/// Writes the OCI layout of `artifact`, with the one tag, as a tar: an OCI archive.
///
/// # Errors
///
/// If `writer` fails.
pub fn oci_archive(artifact: &dyn Artifact, mut writer: impl Write, tag: &str) -> Result<()> {
    let blobs: BTreeMap<_, _> = artifact
        .blobs()
        .into_iter()
        .chain(artifact.manifests())
        .map(|blob| (format!("blobs/sha256/{}", hex(blob.digest())), &blob.bytes))
        .collect();
    let archive = Layer::new()
        .directory("blobs")
        .directory("blobs/sha256")
        .with_entries(blobs.into_iter().map(|(path, bytes)| Entry::file(path, bytes.clone())))
        .file("index.json", layout_index(artifact, tag, Vec::new()))
        .file("oci-layout", LAYOUT_FILE);
    write_all(&mut writer, &archive)
}

fn hex(digest: &str) -> &str {
    digest.trim_start_matches("sha256:")
}

fn json(document: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(document).expect("names and paths are strings")
}

fn write_all(writer: &mut impl Write, archive: &Layer) -> Result<()> {
    let result = writer.write_all(&archive.tar()).and_then(|()| writer.flush());
    result.map_err(|error| Error::io("write an image archive", "", error))
}
