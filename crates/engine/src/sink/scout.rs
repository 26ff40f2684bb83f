//! Docker Scout, by what is publicly known of its API; see docs/scout-api.md.

use bytes::Bytes;
use supercargo_scout::{EnvironmentValues, ErrorKind as ScoutKind, ImageUpload, Packages, ScoutClient};

use super::{Consignment, IndexedImage, News, Order, Outcome, Preview, Sink, SinkCapabilities};
use crate::{Error, ErrorKind, Result};

/// How Docker Scout is told.
#[derive(Clone, Debug)]
pub struct ScoutSinkConfig {
    /// The client, for one organization. Let it repeat little: the outbox does.
    pub client: ScoutClient,
    /// Send packages, too, and not only what the image itself is (`--sbom`).
    pub packages: bool,
}

/// An organization at Docker Scout.
#[derive(Debug)]
pub struct ScoutSink {
    config: ScoutSinkConfig,
}

impl ScoutSink {
    /// An organization. Nothing is sent yet.
    pub fn new(config: ScoutSinkConfig) -> Self {
        Self { config }
    }

    fn upload<'a>(&self, consignment: &Consignment, image: &'a IndexedImage) -> Result<ImageUpload<'a>> {
        let packages = if self.config.packages { Packages::Sent } else { Packages::Withheld };
        let upload = ImageUpload::new(&image.metadata, &consignment.id, image.indexed_at).map_err(failed)?;
        // What must not be sent has been taken out before a sink sees it.
        Ok(upload.with_packages(packages).with_environment_values(EnvironmentValues::Sent))
    }
}

fn failed(error: supercargo_scout::Error) -> Error {
    let kind = match error.kind() {
        ScoutKind::RateLimited => ErrorKind::Busy,
        ScoutKind::Network | ScoutKind::Timeout | ScoutKind::Unavailable | ScoutKind::Malformed => {
            ErrorKind::Unreachable
        }
        ScoutKind::Rejected | ScoutKind::LimitExceeded | ScoutKind::Unsupported => ErrorKind::Rejected,
        _ => ErrorKind::Denied,
    };
    let wait = error.retry_after();
    Error::new(kind, "tell Docker Scout of the image").with_retry_after(wait).with_source(error)
}

#[async_trait::async_trait]
impl Sink for ScoutSink {
    fn kind(&self) -> &'static str {
        "scout"
    }

    fn capabilities(&self) -> SinkCapabilities {
        SinkCapabilities { gone: false, order: Order::Image }
    }

    async fn deliver(&self, consignment: &Consignment) -> Result<Outcome> {
        let News::Indexed(image) = &consignment.news else { return Ok(Outcome::Ignored) };
        let upload = self.upload(consignment, image)?;
        self.config.client.upload(&upload).await.map_err(failed)?;
        Ok(Outcome::Delivered)
    }

    fn preview(&self, consignment: &Consignment) -> Result<Preview> {
        let config = self.config.client.config();
        let target = format!("{} for {}", config.endpoints.api, config.organization);
        let News::Indexed(image) = &consignment.news else { return Ok(Preview { target, body: Bytes::new() }) };
        let upload = self.upload(consignment, image)?;
        let mut body = String::new();
        for transaction in upload.transactions() {
            body.push_str(&transaction.to_edn());
            body.push('\n');
        }
        Ok(Preview { target, body: body.into() })
    }
}
