//! What the tests of products share.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures_util::TryStreamExt;
use supercargo_registry::{
    Credential, CredentialProvider, Registry, RegistryConfig, RegistryHost, Repository, Result, Tag, build,
    parse_registry,
};
use supercargo_testkit::{Image, ImageBuilder, Layer, ProductRequest};

use crate::support::quick;

pub(crate) fn config(text: &str) -> RegistryConfig {
    let mut config = parse_registry(text).unwrap();
    let basic = config.transport.sign_in;
    config.transport = quick();
    config.transport.sign_in = basic;
    config
}

/// The registry of a `--registry` string, with a transport that does not keep a test waiting.
pub(crate) fn open(text: &str, credentials: impl CredentialProvider + 'static) -> Arc<dyn Registry> {
    build(&config(text), Arc::new(credentials)).unwrap()
}

pub(crate) async fn repositories(registry: &dyn Registry) -> Result<Vec<String>> {
    let listed: Vec<Repository> = registry.repositories().try_collect().await?;
    Ok(listed.iter().map(ToString::to_string).collect())
}

pub(crate) async fn tags(registry: &dyn Registry, repository: &str) -> Result<Vec<Tag>> {
    registry.tags(&repository.parse().unwrap()).try_collect().await
}

/// An image that is like no other of another `name`.
pub(crate) fn image(name: &str) -> Image {
    ImageBuilder::new().with_layer(Layer::new().file("name", name.to_owned()), "COPY name / # buildkit").build()
}

pub(crate) fn count(requests: &[ProductRequest], path: &str) -> usize {
    requests.iter().filter(|request| request.path.contains(path)).count()
}

/// A password that can be changed, as by a new login.
#[derive(Clone, Debug)]
pub(crate) struct Rotating(Arc<Mutex<Credential>>);

impl Rotating {
    pub(crate) fn new(user: &str, password: &str) -> Self {
        Self(Arc::new(Mutex::new(Credential::basic(user, password))))
    }

    pub(crate) fn set(&self, user: &str, password: &str) {
        *self.0.lock().unwrap() = Credential::basic(user, password);
    }
}

#[async_trait]
impl CredentialProvider for Rotating {
    async fn credential(&self, _host: &RegistryHost) -> Result<Credential> {
        Ok(self.0.lock().unwrap().clone())
    }
}
