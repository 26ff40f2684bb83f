//! Where metadata goes.
//!
//! A [`Sink`] takes one [`Consignment`] at a time and says whether it has arrived. Everything else is the engine's:
//! the outbox that consignments wait in, attempts, back-off, and leaving a sink alone while it is away.
//!
//! | | needs | hears of what is gone |
//! | --- | --- | --- |
//! | [`WebhookSink`] | | yes |
//! | [`SlackSink`] | | if it is asked for |
//! | [`DependencyTrackSink`] | | if it is asked for |
//! | [`ReferrerSink`] | the registries, with the right to push | no: a registry drops referrers with their subject |
//! | `FilesSink` | feature `files`; `s3`, `azure-blob`, `gcs` for the clouds | yes |
//! | [`ScoutSink`] | | no: nothing is publicly known of such a call |

mod consignment;
mod dependency_track;
mod document;
#[cfg(feature = "files")]
mod files;
mod http_sink;
mod referrer;
mod scout;
mod secrecy;
mod slack;
mod template;
mod webhook;

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

pub use self::consignment::{Consignment, Gone, IndexedImage, News};
pub use self::dependency_track::{DependencyTrackConfig, DependencyTrackSink, OnDelete};
pub use self::document::DocumentFormat;
#[cfg(feature = "files")]
pub use self::files::{FilesConfig, FilesSink};
pub use self::referrer::{ReferrerConfig, ReferrerSink};
pub use self::scout::{ScoutSink, ScoutSinkConfig};
pub use self::slack::{SlackConfig, SlackSink};
pub use self::template::Template;
pub use self::webhook::{WebhookConfig, WebhookDocument, WebhookSecret, WebhookSink};
use crate::Result;

pub(crate) use self::secrecy::hide_values;

/// A place that metadata goes to.
///
/// [`deliver`](Sink::deliver) may be called again with a consignment that has arrived before: an answer can be lost,
/// and so can the machine that waited for it. Either a second arrival changes nothing there, or the receiver can tell
/// it by its [id](Consignment::id).
#[async_trait]
pub trait Sink: Debug + Send + Sync {
    /// Its sort, such as `webhook`: a stable identifier.
    fn kind(&self) -> &'static str;

    /// What it can do, and what it cannot.
    fn capabilities(&self) -> SinkCapabilities;

    /// Delivers, and returns when it has arrived.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unreachable`](crate::ErrorKind::Unreachable), [`Busy`](crate::ErrorKind::Busy),
    /// [`Denied`](crate::ErrorKind::Denied) and [`Closed`](crate::ErrorKind::Closed) speak of the sink,
    /// [`Rejected`](crate::ErrorKind::Rejected) of this consignment; so does whatever else there is.
    async fn deliver(&self, consignment: &Consignment) -> Result<Outcome>;

    /// What would be sent, without sending it.
    ///
    /// # Errors
    ///
    /// If there is nothing that could be sent.
    fn preview(&self, consignment: &Consignment) -> Result<Preview>;
}

/// What a sink can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SinkCapabilities {
    /// It can be told that an image or a tag is gone.
    pub gone: bool,
    /// Which consignments must not pass each other.
    pub order: Order,
}

/// Which consignments must not pass each other on their way to a sink. The later one of two tells what is true now; if
/// the earlier one arrived last, it would stay what the sink believes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Those about one image in one repository.
    Image,
    /// Those about one repository: the sink keeps what it is told by tag, and tags move from image to image.
    Repository,
}

/// How a consignment arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was taken.
    Delivered,
    /// The sink had all of it already.
    Unchanged,
    /// It does not concern this sink, by the sink's configuration.
    Ignored,
}

impl Outcome {
    /// A stable identifier, for logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Unchanged => "unchanged",
            Self::Ignored => "ignored",
        }
    }
}

/// What would be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// Where to, for a person to read; no secret is in it.
    pub target: String,
    /// The body, or what comes closest to it. Empty if nothing would be sent.
    pub body: Bytes,
}

/// A sink, and how it is served.
#[derive(Clone, Debug)]
pub struct Route {
    /// The sink's name. Its deliveries wait under this name, also over a restart.
    pub name: String,
    /// The sink.
    pub sink: Arc<dyn Sink>,
    /// Consignments on their way at one time.
    pub concurrency: usize,
    /// Send the values of the environment variables of images, too, and not only their names.
    pub environment_values: bool,
}

impl Route {
    /// Consignments on their way at one time unless it is said otherwise. Enough to hide the time that answers take,
    /// few enough to be a guest.
    pub const CONCURRENCY: usize = 4;

    /// `sink` under `name`.
    pub fn new(name: impl Into<String>, sink: Arc<dyn Sink>) -> Self {
        Self { name: name.into(), sink, concurrency: Self::CONCURRENCY, environment_values: false }
    }
}

/// A client for `url`, which must be one that it may go to.
fn http_client(
    transport: &supercargo_registry::OutboundConfig,
    url: &url::Url,
) -> Result<supercargo_registry::Outbound> {
    let wrong = |error: supercargo_registry::Error| {
        let message = match error.hint() {
            Some(hint) => format!("{error} (hint: {hint})"),
            None => error.to_string(),
        };
        crate::Error::new(crate::ErrorKind::Configuration, message)
    };
    let client = supercargo_registry::Outbound::new(transport).map_err(wrong)?;
    client.check(url).map_err(wrong)?;
    Ok(client)
}
