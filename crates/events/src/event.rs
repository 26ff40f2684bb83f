//! What happened at a registry, in one form for all providers.

use jiff::Timestamp;
use oci_spec::image::Digest;
use serde::{Deserialize, Serialize};

/// Something that is said to have happened at a registry.
///
/// A hint: it names what to look at. Tag and digest are both optional because every provider leaves out one
/// or the other somewhere. Names are checked against the distribution specification's grammar before they
/// get here, so they are safe to build addresses from; `host` still is the sender's word unless the source's
/// configuration named it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegistryEvent {
    /// What happened.
    pub action: Action,
    /// Host of the registry, with its port: from the configuration of the source, else from the payload.
    pub host: Option<String>,
    /// Name of the repository.
    pub repository: String,
    /// The tag concerned.
    pub tag: Option<String>,
    /// Digest of the manifest or index concerned.
    pub digest: Option<Digest>,
    /// Media type of the manifest or index.
    pub media_type: Option<String>,
    /// When it happened, by the sender's clock.
    pub time: Option<EventTime>,
    /// Tells a repeated delivery of one event from another event; unique per source.
    pub dedup_key: String,
    /// Who did it, as the registry names them.
    pub actor: Option<String>,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// A manifest or an index was pushed, or a tag was moved.
    Pushed,
    /// A manifest (there is a digest) or a tag (there is none) was deleted.
    Deleted,
    /// A whole repository was deleted.
    RepositoryDeleted,
    /// Something changed, and the payload does not say it in a usable way: look at the tag, or at the repository.
    Refresh,
}

impl Action {
    /// A stable word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pushed => "pushed",
            Self::Deleted => "deleted",
            Self::RepositoryDeleted => "repository-deleted",
            Self::Refresh => "refresh",
        }
    }
}

/// A time as a sender wrote it. Senders have written months out of range and seconds past sixty, so the text
/// is kept whether it can be read or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventTime {
    /// The text.
    pub raw: String,
    /// The instant, if the text is one.
    pub instant: Option<Timestamp>,
}

impl EventTime {
    /// Reads an RFC 3339 time; `None` for an empty text.
    pub fn parse(raw: &str) -> Option<Self> {
        // An honest time has some thirty characters; what is longer is cut, so that it can be stored anywhere.
        let raw: String = raw.chars().take(64).collect();
        (!raw.is_empty()).then(|| Self { instant: raw.parse().ok(), raw })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_keeps_its_text() {
        let check = |raw: &str, instant: Option<&str>| {
            let time = EventTime::parse(raw).expect("the text is not empty");
            assert_eq!(time.raw, raw);
            assert_eq!(time.instant.map(|instant| instant.to_string()).as_deref(), instant, "{raw}");
        };
        check("2024-05-01T10:20:30Z", Some("2024-05-01T10:20:30Z"));
        check("2024-05-01T10:20:30.123456789-08:00", Some("2024-05-01T18:20:30.123456789Z"));
        check("2024-13-41T10:20:30Z", None);
        check("soon", None);
        assert_eq!(EventTime::parse(""), None);
    }
}
