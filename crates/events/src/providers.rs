//! Everyone who plays the role.

mod acr;
mod artifactory;
mod distribution;
mod docker_hub;
mod event_grid;
mod eventbridge;
pub(crate) mod generic;
mod github;
mod google_artifact_registry;
mod harbor;
mod nexus;
mod quay;
mod sns;
mod zot;

pub use distribution::DistributionSource;

use crate::prove::Proving;
use crate::{Error, ErrorKind, Key, Result, Source, SourceConfig};

/// A provider's entry in [`PROVIDERS`].
#[derive(Clone, Copy, Debug)]
pub struct Provider {
    /// Its name in configuration and in the endpoint's path.
    pub name: &'static str,
    /// What it is, for help texts.
    pub about: &'static str,
    /// Makes its source.
    pub build: fn(SourceConfig) -> Result<Box<dyn Source>>,
    /// The options that it understands.
    pub keys: &'static [Key],
    /// How its sender is given the secret.
    pub secret: SecretUse,
    /// What it sends to prove itself.
    pub(crate) proving: Proving,
    /// The most bytes that one of its deliveries has, by the sender's own documentation.
    pub body_limit: usize,
}

/// How a sender is given the shared secret, which decides what an operator is told to paste where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretUse {
    /// It goes into a header, or signs the body; the sender has a field for it beside the address.
    Beside,
    /// The sender knows an address and nothing else: the secret is the end of its path, or `?secret=` of its query.
    Address,
    /// There is none: the sender signs with a key of its own.
    None,
}

/// The user of a Basic credential.
pub(crate) const USER: Key =
    Key::optional("user", "the user name that a Basic credential must have; without it any will do");

/// What most deliveries stay far below.
pub(crate) const MEBIBYTE: usize = 1024 * 1024;

/// Every provider. A new one is a file and a line here.
pub const PROVIDERS: &[Provider] = &[
    acr::PROVIDER,
    artifactory::PROVIDER,
    distribution::PROVIDER,
    docker_hub::PROVIDER,
    event_grid::PROVIDER,
    eventbridge::PROVIDER,
    generic::PROVIDER,
    github::PROVIDER,
    google_artifact_registry::PROVIDER,
    harbor::PROVIDER,
    nexus::PROVIDER,
    quay::PROVIDER,
    sns::PROVIDER,
    zot::PROVIDER,
];

/// Makes the source of `provider`.
///
/// # Errors
///
/// [`ErrorKind::UnknownProvider`], or [`ErrorKind::Configuration`] with all that is wrong.
pub fn build(provider: &str, config: SourceConfig) -> Result<Box<dyn Source>> {
    let Some(found) = PROVIDERS.iter().find(|candidate| candidate.name == provider) else {
        let known: Vec<_> = PROVIDERS.iter().map(|provider| provider.name).collect();
        return Err(Error::new(
            ErrorKind::UnknownProvider,
            format!("find event provider `{provider}`: known are {}", known.join(", ")),
        ));
    };
    (found.build)(config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Secret;

    #[test]
    fn a_source_needs_a_secret_or_the_word_open() {
        let check = |config: SourceConfig, kind: Option<ErrorKind>| {
            assert_eq!(build("distribution", config).err().map(|error| error.kind()), kind);
        };
        check(SourceConfig::new([Secret::new("s3cret")]), None);
        check(SourceConfig::new([]).opened(), None);
        check(SourceConfig::new([]), Some(ErrorKind::Configuration));
        check(SourceConfig::new([Secret::new("")]), Some(ErrorKind::Configuration));
        check(SourceConfig::new([Secret::new("s3cret")]).opened(), Some(ErrorKind::Configuration));
    }

    #[test]
    fn every_problem_of_a_configuration_is_named_at_once() {
        let config = SourceConfig::new([Secret::new("")]).with_host("a/b").with_option("colour", "red");
        let error = build("distribution", config).unwrap_err();
        assert_eq!(
            error.to_string(),
            "configure the source: option `colour` is not known to this provider: user; `a/b` is no host; its secret \
             is empty"
        );
    }

    #[test]
    fn an_unknown_provider_is_answered_with_the_known_ones() {
        let error = build("carrier-pigeon", SourceConfig::new([]).opened()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnknownProvider);
        let message = error.to_string();
        assert!(message.starts_with("find event provider `carrier-pigeon`: known are "), "{message}");
        assert!(PROVIDERS.iter().all(|provider| message.contains(provider.name)), "{message}");
    }
}
