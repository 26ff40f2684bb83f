//! From an address to the store behind it.

use std::sync::Arc;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use url::Url;

use super::FilesConfig;
use crate::{Error, ErrorKind, Result};

/// The store, and where in it this sink may write.
pub(super) fn open(config: &FilesConfig) -> Result<(Arc<dyn ObjectStore>, Path)> {
    match Url::parse(&config.location) {
        // A letter and a colon is a drive, not a scheme.
        Ok(url) if url.scheme().len() > 1 => at(&url, config),
        _ => folder(std::path::Path::new(&config.location)),
    }
}

fn wrong(what: &str, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(ErrorKind::Configuration, what).with_source(error)
}

fn folder(path: &std::path::Path) -> Result<(Arc<dyn ObjectStore>, Path)> {
    std::fs::create_dir_all(path).map_err(|error| wrong(&format!("make the folder {}", path.display()), error))?;
    let store = LocalFileSystem::new_with_prefix(path)
        .map_err(|error| wrong(&format!("use the folder {}", path.display()), error))?
        // What was delivered is not delivered again; so it must survive a power failure.
        .with_fsync(true);
    Ok((Arc::new(store), Path::default()))
}

fn at(url: &Url, config: &FilesConfig) -> Result<(Arc<dyn ObjectStore>, Path)> {
    if url.scheme() == "file" {
        let path = url
            .to_file_path()
            .map_err(|()| Error::new(ErrorKind::Configuration, format!("use {url}: it names no local path")))?;
        return folder(&path);
    }
    let (_, root) = object_store::ObjectStoreScheme::parse(url)
        .map_err(|error| wrong(&format!("use the address {}://", url.scheme()), error))?;
    let store = cloud(url, config)?;
    Ok((store, root))
}

#[cfg(not(any(feature = "s3", feature = "azure-blob", feature = "gcs")))]
fn cloud(url: &Url, _config: &FilesConfig) -> Result<Arc<dyn ObjectStore>> {
    Err(missing(url))
}

#[cfg(any(feature = "s3", feature = "azure-blob", feature = "gcs"))]
fn cloud(url: &Url, config: &FilesConfig) -> Result<Arc<dyn ObjectStore>> {
    use object_store::ObjectStoreScheme as Scheme;

    let (scheme, _) = Scheme::parse(url).map_err(|error| wrong("use the address", error))?;
    let connector = super::connector::Connector;
    let set_up = "set up the object store";
    macro_rules! build {
        ($builder:ty) => {{
            let mut builder = <$builder>::new().with_url(url.as_str()).with_http_connector(connector);
            for (key, value) in &config.environment {
                if let Ok(key) = key.parse() {
                    builder = builder.with_config(key, value.expose());
                }
            }
            for (key, value) in &config.settings {
                let key = key.parse().map_err(|error| wrong(&format!("use the setting {key}"), error))?;
                builder = builder.with_config(key, value.expose());
            }
            Ok(Arc::new(builder.build().map_err(|error| wrong(set_up, error))?))
        }};
    }
    match scheme {
        #[cfg(feature = "s3")]
        Scheme::AmazonS3 => build!(object_store::aws::AmazonS3Builder),
        #[cfg(feature = "azure-blob")]
        Scheme::MicrosoftAzure => build!(object_store::azure::MicrosoftAzureBuilder),
        #[cfg(feature = "gcs")]
        Scheme::GoogleCloudStorage => build!(object_store::gcp::GoogleCloudStorageBuilder),
        _ => Err(missing(url)),
    }
}

fn missing(url: &Url) -> Error {
    let message = format!("use {}://: this build has no such store (features s3, azure-blob, gcs)", url.scheme());
    Error::new(ErrorKind::Configuration, message)
}
