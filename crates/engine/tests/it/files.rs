//! Documents in a folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use supercargo_engine::sink::{FilesConfig, FilesSink};
use supercargo_engine::{DocumentFormat, ErrorKind, Route};
use supercargo_registry::{Repository, TagName};

use crate::support::Ship;

fn config(location: impl Into<String>) -> FilesConfig {
    FilesConfig {
        location: location.into(),
        settings: Vec::new(),
        environment: Vec::new(),
        format: DocumentFormat::Spdx,
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[tokio::test]
async fn documents_are_found_by_repository_and_tag_and_written_once() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("sboms");
    let mut ship = Ship::new();
    let sink = Arc::new(FilesSink::open(&config(root.display().to_string())).unwrap());
    ship.routes.push(Route::new("files", sink));
    let digest = ship.push("team/app", "1.0", "one");
    ship.push("team/app", "latest", "one");
    ship.sail().await;

    let index = root.join("index/registry.test/team/app");
    let entry = read(&index.join("_tags/latest/linux-amd64.json"));
    assert_eq!((&entry["image"], &entry["tag"]), (&Value::from(digest.to_string()), &Value::from("latest")));
    let document = root.join(entry["document"].as_str().unwrap());
    let bytes = std::fs::read(&document).unwrap();
    let hex: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(document.file_name().unwrap().to_str().unwrap(), format!("{hex}.spdx.json"));
    assert_eq!(read(&document)["spdxVersion"], "SPDX-2.3");
    assert_eq!(read(&index.join(format!("_digests/sha256-{}.json", digest.digest())))["document"], entry["document"]);
    assert_eq!(files(&root).len(), 4, "one document, two tags, one digest: {:?}", files(&root));

    let times = |paths: &[PathBuf]| -> Vec<_> {
        paths.iter().map(|path| path.metadata().unwrap().modified().unwrap()).collect()
    };
    let (before, there) = (files(&root), times(&files(&root)));
    ship.push("team/app", "2.0", "one");
    ship.sail().await;
    assert_eq!(files(&root).len(), 5);
    assert_eq!(times(&before), there, "nothing that is the same is written again");

    let app: Repository = "team/app".parse().unwrap();
    let tag: TagName = "latest".parse().unwrap();
    ship.registry.inner.delete_tag(&app, &tag);
    ship.sail().await;
    assert!(!index.join("_tags/latest/linux-amd64.json").exists() && index.join("_tags/1.0/linux-amd64.json").exists());
    ship.registry.inner.delete_manifest(&app, &digest);
    ship.sail().await;
    assert_eq!(files(&root), [document], "documents stay");
}

#[test]
fn places_that_cannot_be_used_are_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for (location, part) in [
        (file.path().join("below").display().to_string(), "below"),
        ("ftp://somewhere/x".to_owned(), "ftp"),
        #[cfg(not(feature = "s3"))]
        ("s3://bucket/x".to_owned(), "features s3"),
    ] {
        let error = FilesSink::open(&config(&location)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{location}");
        assert!(error.to_string().contains(part), "{location}: {error}");
    }
    assert!(FilesSink::open(&config(format!("file://{}", std::env::temp_dir().display()))).is_ok());
}
