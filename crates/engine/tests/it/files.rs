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

#[cfg(feature = "s3")]
mod s3 {
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    use supercargo_registry::Secret;
    use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

    use super::*;

    /// As much of Amazon S3's API as the sink needs: objects by path, and lists (`ListObjectsV2`).
    struct Bucket(Mutex<BTreeMap<String, Vec<u8>>>);

    impl Respond for &'static Bucket {
        fn respond(&self, request: &Request) -> ResponseTemplate {
            let mut objects = self.0.lock().unwrap();
            let key = request.url.path().trim_start_matches("/bucket").trim_start_matches('/').to_owned();
            assert!(
                request.headers["authorization"].to_str().unwrap().starts_with("AWS4-HMAC-SHA256 Credential=AKIA/")
            );
            let missing = || {
                let body = "<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code></Error>";
                ResponseTemplate::new(404).set_body_string(body)
            };
            let found = |bytes: &Vec<u8>| {
                ResponseTemplate::new(200)
                    .insert_header("etag", "\"0\"")
                    .insert_header("last-modified", "Sun, 22 Nov 2026 10:00:00 GMT")
                    .set_body_bytes(bytes.clone())
            };
            let list =
                request.url.query_pairs().find(|(name, _)| name == "prefix").map(|(_, prefix)| prefix.to_string());
            match (request.method.as_str(), list) {
                ("PUT", _) => {
                    objects.insert(key, request.body.clone());
                    ResponseTemplate::new(200).insert_header("etag", "\"0\"")
                }
                // `DeleteObjects`: what is not there counts as deleted.
                ("POST", _) => {
                    let asked = String::from_utf8(request.body.clone()).unwrap();
                    let keys = asked.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next());
                    let deleted: String = keys
                        .map(|key| {
                            objects.remove(key);
                            format!("<Deleted><Key>{key}</Key></Deleted>")
                        })
                        .collect();
                    let body = format!("<?xml version=\"1.0\"?><DeleteResult>{deleted}</DeleteResult>");
                    ResponseTemplate::new(200).set_body_string(body)
                }
                ("GET", Some(prefix)) => {
                    let keys = objects.keys().filter(|key| key.starts_with(&prefix));
                    let contents: String = keys
                        .map(|key| {
                            format!(
                                "<Contents><Key>{key}</Key><LastModified>2026-11-22T10:00:00.000Z</LastModified>\
                                 <ETag>\"0\"</ETag><Size>1</Size></Contents>"
                            )
                        })
                        .collect();
                    let body = format!(
                        "<?xml version=\"1.0\"?><ListBucketResult><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>"
                    );
                    ResponseTemplate::new(200).set_body_string(body)
                }
                ("GET" | "HEAD", None) => objects.get(&key).map_or_else(missing, found),
                (method, _) => panic!("{method} {}", request.url),
            }
        }
    }

    #[tokio::test]
    async fn a_bucket_holds_the_same_as_a_folder() {
        let bucket: &Bucket = Box::leak(Box::new(Bucket(Mutex::default())));
        let server = MockServer::start().await;
        Mock::given(wiremock::matchers::any()).respond_with(bucket).mount(&server).await;
        let setting = |key: &str, value: &str| (key.to_owned(), Secret::from(value));
        let config = FilesConfig {
            settings: vec![
                setting("aws_endpoint", &server.uri()),
                setting("aws_region", "eu-central-1"),
                setting("aws_access_key_id", "AKIA"),
                setting("aws_secret_access_key", "hidden"),
                setting("aws_allow_http", "true"),
            ],
            environment: vec![setting("aws_vault_of_somebody_else", "x")],
            ..config("s3://bucket/sboms")
        };
        assert!(!format!("{config:?}").contains("hidden"));
        let mut ship = Ship::new();
        ship.routes.push(Route::new("bucket", Arc::new(FilesSink::open(&config).unwrap())));
        ship.push("team/app", "1.0", "one");
        assert_eq!(ship.sail().await.undelivered, []);
        let keys = || -> Vec<String> { bucket.0.lock().unwrap().keys().cloned().collect() };
        assert_eq!(keys().len(), 3, "{:?}", keys());
        assert!(
            keys().contains(&"sboms/index/registry.test/team/app/_tags/1.0/linux-amd64.json".to_owned()),
            "{:?}",
            keys()
        );

        let app: Repository = "team/app".parse().unwrap();
        let tag: TagName = "1.0".parse().unwrap();
        ship.registry.inner.delete_tag(&app, &tag);
        assert_eq!(ship.sail().await.undelivered, []);
        assert_eq!(keys().len(), 2, "{:?}", keys());
    }

    #[test]
    fn a_setting_that_is_none_is_named() {
        let settings = vec![("aws_colour".to_owned(), Secret::from("red"))];
        let error = FilesSink::open(&FilesConfig { settings, ..config("s3://bucket/x") }).unwrap_err();
        assert!(error.to_string().contains("aws_colour"), "{error}");
    }
}
