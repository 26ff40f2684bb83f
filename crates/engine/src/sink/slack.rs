//! A line in a channel of Slack, or of what takes Slack's incoming webhooks (Mattermost, Rocket.Chat, Discord's
//! `/slack`).

use std::fmt;

use bytes::Bytes;
use http::Method;
use serde_json::json;
use supercargo_registry::{Outbound, OutboundConfig};
use url::Url;

use super::http_sink::{Call, is_success, refusal, send, shown};
use super::{Consignment, News, Order, Outcome, Preview, Sink, SinkCapabilities};
use crate::Result;

/// How a channel is written to.
#[derive(Clone)]
pub struct SlackConfig {
    /// The address of the incoming webhook; its path is its password.
    pub url: Url,
    /// Tell of what is gone, too.
    pub gone: bool,
    /// The way there.
    pub transport: OutboundConfig,
}

/// A channel.
pub struct SlackSink {
    client: Outbound,
    url: Url,
    gone: bool,
}

impl fmt::Debug for SlackConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlackConfig").field("url", &shown(&self.url)).field("gone", &self.gone).finish_non_exhaustive()
    }
}

impl fmt::Debug for SlackSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlackSink").field("url", &shown(&self.url)).field("gone", &self.gone).finish_non_exhaustive()
    }
}

impl SlackSink {
    /// A channel. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) if it must not be written to at that address.
    pub fn new(config: SlackConfig) -> Result<Self> {
        let client = super::http_client(&config.transport, &config.url)?;
        Ok(Self { client, url: config.url, gone: config.gone })
    }
}

/// Slack's markup is made of `&`, `<` and `>` (<https://docs.slack.dev/messaging/formatting-message-text>).
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn body(consignment: &Consignment) -> Bytes {
    let repository = consignment.repository.to_string();
    let named = |tags: &[String]| match tags {
        [] => format!("{repository}@{}", consignment.digest),
        [first, rest @ ..] => {
            let more = if rest.is_empty() { String::new() } else { format!(" (also {})", rest.join(", ")) };
            format!("{repository}:{first}{more}")
        }
    };
    let text = match &consignment.news {
        News::Indexed(image) => {
            let metadata = &image.metadata;
            let platform = metadata.image().map(|image| image.platform.to_string()).unwrap_or_default();
            let distro = metadata.distro.as_ref().map(|distro| format!(", {} {}", distro.id, distro.version_id));
            let distro = distro.unwrap_or_default();
            let packages = metadata.package_count();
            format!("Indexed {}: {platform}{distro}, {packages} packages", named(&image.tags))
        }
        News::Gone(gone) => {
            let tags = gone.tag.as_ref().map_or(gone.tags.as_slice(), std::slice::from_ref);
            format!("Gone: {}", named(tags))
        }
    };
    json!({ "text": escaped(&text) }).to_string().into()
}

#[async_trait::async_trait]
impl Sink for SlackSink {
    fn kind(&self) -> &'static str {
        "slack"
    }

    fn capabilities(&self) -> SinkCapabilities {
        SinkCapabilities { gone: self.gone, order: Order::Image }
    }

    async fn deliver(&self, consignment: &Consignment) -> Result<Outcome> {
        let call = Call::new(Method::POST, self.url.clone()).body(body(consignment));
        let answer = send(&self.client, call).await?;
        if is_success(answer.status()) {
            return Ok(Outcome::Delivered);
        }
        Err(refusal(&format!("write to {}", shown(&self.url)), &answer))
    }

    fn preview(&self, consignment: &Consignment) -> Result<Preview> {
        Ok(Preview { target: format!("POST {}", shown(&self.url)), body: body(consignment) })
    }
}
