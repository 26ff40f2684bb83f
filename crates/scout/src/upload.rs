//! An image's metadata as the transactions that tell the service of it.
//!
//! The form is that of the last client whose source is public (`docker/index-cli-plugin` `sbom/upload.go`, 2023): first
//! the image with its state `INDEXING`, then its packages in chunks, then the state `INDEXED`. What Docker's closed
//! client sends today is not known.

mod advisory;
mod image;
mod packages;

use jiff::Timestamp;
use supercargo_index::{ImageDetails, ImageMetadata, ImagePackage, scout};

use crate::transaction::{CorrelationId, Entity, Step, Transaction};
use crate::{Error, ErrorKind, Result};

/// Packages of one transaction: what the public client sends (`sbom/upload.go`). The service's limits are not known.
const CHUNK: usize = 20;
/// Names of the entities that every transaction of an upload may refer to.
const REPOSITORY: &str = "$repo";
const IMAGE: &str = "$image";

/// Where an image is, as the service names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImageRepository {
    /// The registry: `hub.docker.com` for Docker Hub, else its host and port.
    pub host: String,
    /// The repository; of Docker's own images without `library/`.
    pub name: String,
}

impl ImageRepository {
    /// Reads a name such as `registry.example.com/team/app`, without tag or digest.
    ///
    /// ```
    /// use supercargo_scout::ImageRepository;
    ///
    /// let alpine = ImageRepository::parse("alpine")?;
    /// assert_eq!((alpine.host.as_str(), alpine.name.as_str()), ("hub.docker.com", "alpine"));
    /// let own = ImageRepository::parse("localhost:5000/team/app")?;
    /// assert_eq!((own.host.as_str(), own.name.as_str()), ("localhost:5000", "team/app"));
    /// # Ok::<(), supercargo_scout::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if the name is empty.
    pub fn parse(name: &str) -> Result<Self> {
        let (host, path) = match name.split_once('/') {
            // As docker reads references: the first part is a host if it cannot be a part of a name on Docker Hub.
            Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => (host, path),
            _ => ("docker.io", name),
        };
        if path.is_empty() {
            return Err(Error::new(ErrorKind::Unsupported, "tell of an image that has no name"));
        }
        if ["docker.io", "index.docker.io", "registry-1.docker.io", "hub.docker.com"].contains(&host) {
            let name = path.strip_prefix("library/").unwrap_or(path);
            return Ok(Self { host: "hub.docker.com".to_owned(), name: name.to_owned() });
        }
        Ok(Self { host: host.to_owned(), name: path.to_owned() })
    }
}

/// Whether packages are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Packages {
    /// They are: those of [`scout::write`].
    #[default]
    Sent,
    /// Only the image's own metadata is sent (`docker scout watch --sbom=false`).
    Withheld,
}

/// What is sent of environment variables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EnvironmentValues {
    /// Their names; each value is replaced by `<redacted>`.
    #[default]
    Redacted,
    /// Names and values, as Docker's own client does.
    Sent,
}

/// One image to be told of.
#[derive(Clone, Debug)]
pub struct ImageUpload<'a> {
    metadata: &'a ImageMetadata,
    image: &'a ImageDetails,
    id: CorrelationId,
    indexed_at: Timestamp,
    repository: ImageRepository,
    tags: Vec<String>,
    pushed_at: Option<Timestamp>,
    packages: Packages,
    environment: EnvironmentValues,
}

impl<'a> ImageUpload<'a> {
    /// The image of `metadata`, indexed at `indexed_at`. `delivery` is what the caller knows this delivery by: a repeated
    /// delivery with the same gives the same transactions, byte for byte.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if `metadata` is not about an image, or the image has no name.
    pub fn new(metadata: &'a ImageMetadata, delivery: &str, indexed_at: Timestamp) -> Result<Self> {
        let image = metadata
            .image()
            .ok_or_else(|| Error::new(ErrorKind::Unsupported, "tell of a directory: only images can be told of"))?;
        Ok(Self {
            metadata,
            image,
            id: CorrelationId::of(delivery),
            indexed_at,
            repository: ImageRepository::parse(&image.name)?,
            tags: image.tags.clone(),
            pushed_at: None,
            packages: Packages::default(),
            environment: EnvironmentValues::default(),
        })
    }

    /// The same in another repository than the one that it was indexed in.
    #[must_use]
    pub fn with_repository(mut self, repository: ImageRepository) -> Self {
        self.repository = repository;
        self
    }

    /// The same with these tags.
    #[must_use]
    pub fn with_tags<T: Into<String>>(mut self, tags: impl IntoIterator<Item = T>) -> Self {
        self.tags = tags.into_iter().map(Into::into).collect();
        self
    }

    /// The same with the time of the push, which the tags are dated with; else they have the image's own.
    #[must_use]
    pub fn with_pushed_at(mut self, pushed_at: Option<Timestamp>) -> Self {
        self.pushed_at = pushed_at;
        self
    }

    /// The same with or without packages.
    #[must_use]
    pub fn with_packages(mut self, packages: Packages) -> Self {
        self.packages = packages;
        self
    }

    /// The same with another rule for environment variables.
    #[must_use]
    pub fn with_environment_values(mut self, environment: EnvironmentValues) -> Self {
        self.environment = environment;
        self
    }

    /// The ID of all its transactions.
    pub fn correlation_id(&self) -> &CorrelationId {
        &self.id
    }

    /// Where the image is said to be.
    pub fn repository(&self) -> &ImageRepository {
        &self.repository
    }

    /// The transactions, in the order in which they must be sent. They are made one after the other, so that those of a
    /// large image are never all in memory.
    pub fn transactions(&self) -> impl Iterator<Item = Transaction> {
        let image = Transaction { step: Step::Image, entities: self.image_entities() };
        let artifacts = self.artifacts();
        let chunks: Vec<Vec<&ImagePackage>> = artifacts.chunks(CHUNK).map(<[_]>::to_vec).collect();
        let packages = chunks
            .into_iter()
            .map(|chunk| Transaction { step: Step::Packages, entities: packages::entities(self, &chunk) });
        let indexed = (self.packages == Packages::Sent).then(|| self.state(Step::Indexed));
        std::iter::once(image).chain(packages).chain(indexed)
    }

    /// The transaction that says that indexing failed: for an image whose packages were refused, or one that could not be
    /// indexed although the service was told that it would be.
    pub fn failure(&self) -> Transaction {
        self.state(Step::Failed)
    }

    /// The packages that are sent: those of the SBOM that `supercargo index` prints.
    fn artifacts(&self) -> Vec<&'a ImagePackage> {
        match self.packages {
            Packages::Sent => scout::artifacts(self.metadata, scout::Options::default()).collect(),
            Packages::Withheld => Vec::new(),
        }
    }

    fn state(&self, step: Step) -> Transaction {
        let state = match step {
            // The public client has no such state. The name is that of the GraphQL schema, whose names for the other
            // two are those of the client.
            Step::Failed => "sbom.state/INDEXING_FAILED",
            _ => "sbom.state/INDEXED",
        };
        Transaction { step, entities: vec![self.image_entity().with("sbom/state", crate::edn::Value::Keyword(state))] }
    }

    fn image_entity(&self) -> Entity {
        Entity::new("docker/image", IMAGE).with("docker.image/digest", self.image.digest.to_string())
    }
}
