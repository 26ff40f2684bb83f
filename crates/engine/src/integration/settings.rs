//! The settings of an integration: those of its registry, and those of its events.

use std::collections::BTreeMap;

use http::HeaderName;
use supercargo_events::{PROVIDERS, Provider, Secret, SecretUse, Source, SourceConfig};
use supercargo_store::Integration;

use super::Credentials;
use crate::setup::{EVENTS, PUBLIC_URL, QUEUE};
use crate::{Error, ErrorKind, Result};

/// What all other settings of events begin with.
const PREFIX: &str = "events-";
/// Settings of events that no provider knows.
const OWN: [&str; 11] = [
    "url",
    "header",
    "queue",
    "queue-region",
    "queue-endpoint",
    "queue-identity",
    "queue-tenant",
    "queue-client-id",
    "queue-certificate-file",
    "queue-token-file",
    "queue-authority",
];

/// The settings that are keys of a `--registry` string, as such a string, the type and the host among them.
pub fn registry_settings(integration: &Integration) -> String {
    let own = [("type", &integration.kind), ("registry", &integration.registry)];
    let given = integration.settings.iter().map(|(key, value)| (key.as_str(), value));
    let wanted = given.filter(|(key, _)| *key != EVENTS && !key.starts_with(PREFIX));
    let quoted = |(key, value): (&str, &String)| format!("\"{key}={}\"", value.replace('"', "\"\""));
    own.into_iter().chain(wanted).map(quoted).collect::<Vec<_>>().join(",")
}

/// Who tells of pushes to a registry of `kind`, as `settings` say it. Empty if nobody does.
///
/// # Errors
///
/// [`ErrorKind::Configuration`] with everything that is wrong.
pub fn event_providers(kind: &str, settings: &BTreeMap<String, String>) -> Result<Vec<&'static Provider>> {
    let topics = settings.contains_key("events-topics");
    let usual = match kind {
        // The stack tells of itself by another way than of pushes.
        "ecr" if topics => "eventbridge,sns",
        "ecr" => "eventbridge",
        "acr" => "event-grid",
        "artifactory" | "harbor" | "nexus" => kind,
        _ => "none",
    };
    let wanted = settings.get(EVENTS).map_or(usual, String::as_str);
    let words = wanted.split(',').map(str::trim).filter(|word| !word.is_empty() && *word != "none");
    let mut problems = Vec::new();
    let mut found: Vec<&'static Provider> = Vec::new();
    for word in words {
        match PROVIDERS.iter().find(|provider| provider.name == word) {
            Some(provider) if found.iter().any(|other| other.name == provider.name) => {}
            Some(provider) => found.push(provider),
            None => {
                let known: Vec<_> = PROVIDERS.iter().map(|provider| provider.name).collect();
                problems.push(format!("{EVENTS}: `{word}` is none of {}, none", known.join(", ")));
            }
        }
    }
    for key in settings.keys().filter_map(|key| key.strip_prefix(PREFIX)) {
        let known = found.iter().flat_map(|provider| provider.keys).any(|known| known.name == key);
        if !known && !OWN.contains(&key) {
            problems.push(format!("{PREFIX}{key}: no source of this integration's events knows it"));
        }
    }
    problems.extend(read_public_url(settings).err());
    if problems.is_empty() {
        return Ok(found);
    }
    Err(Error::new(ErrorKind::Configuration, format!("read the settings of the events: {}", problems.join("; "))))
}

/// The address at which the registry's side reaches this server, without a slash at its end, if somebody has said it.
pub fn public_url(settings: &BTreeMap<String, String>) -> Option<String> {
    read_public_url(settings).ok().flatten()
}

fn read_public_url(settings: &BTreeMap<String, String>) -> Result<Option<String>, String> {
    let Some(text) = settings.get(PUBLIC_URL) else { return Ok(None) };
    let is_usable = |url: &url::Url| {
        matches!(url.scheme(), "https" | "http")
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
    };
    match text.parse::<url::Url>() {
        Ok(url) if is_usable(&url) => Ok(Some(text.trim_end_matches('/').to_owned())),
        _ => Err(format!("{PUBLIC_URL}: expected the server's address, such as https://supercargo.example.com")),
    }
}

/// Whether deliveries of the integration carry a secret that is ours to make.
pub(super) fn wants_event_secret(providers: &[&'static Provider], settings: &BTreeMap<String, String>) -> bool {
    !settings.contains_key(QUEUE) && providers.iter().any(|provider| provider.secret != SecretUse::None)
}

/// What reads the integration's events, one source for each that sends some.
///
/// # Errors
///
/// [`ErrorKind::Configuration`] with what is wrong.
pub fn event_sources(integration: &Integration, credentials: &Credentials) -> Result<Vec<Box<dyn Source>>> {
    let build = |provider: &'static Provider| {
        let config = source_config(integration, credentials, provider)?;
        supercargo_events::build(provider.name, config).map_err(|error| {
            let told = format!("set up the events of {}", provider.name);
            Error::new(ErrorKind::Configuration, told).with_source(error)
        })
    };
    event_providers(&integration.kind, &integration.settings)?.into_iter().map(build).collect()
}

/// How the events that `provider` sends are read.
///
/// # Errors
///
/// [`ErrorKind::Configuration`] with what is wrong.
pub fn source_config(
    integration: &Integration,
    credentials: &Credentials,
    provider: &'static Provider,
) -> Result<SourceConfig> {
    let settings = &integration.settings;
    let header = match settings.get("events-header").map(|name| (name.parse::<HeaderName>(), name)) {
        None => None,
        Some((Ok(header), _)) => Some(header),
        Some((Err(_), name)) => {
            let told = format!("read the settings of the events: events-header: {name:?} is no name of a header");
            return Err(Error::new(ErrorKind::Configuration, told));
        }
    };
    let mut config = SourceConfig::new([]).with_host(integration.registry.clone());
    for key in provider.keys {
        if let Some(value) = settings.get(&format!("{PREFIX}{}", key.name)) {
            config = config.with_option(key.name, value);
        }
    }
    if settings.contains_key(QUEUE) {
        // A queue has proven who writes to it.
        config = config.opened();
    } else if provider.secret != SecretUse::None {
        config.secrets = credentials.event_secrets.iter().map(|secret| Secret::new(secret.expose())).collect();
        config.header = header;
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn who_tells_of_pushes() {
        let check = |kind: &str, pairs: &[(&str, &str)], expected: Option<&[&str]>| {
            let found = event_providers(kind, &settings(pairs));
            let names: Option<Vec<_>> = found.ok().map(|all| all.iter().map(|provider| provider.name).collect());
            assert_eq!(names.as_deref(), expected, "{kind} {pairs:?}");
        };
        check("oci", &[], Some(&[]));
        check("ecr", &[], Some(&["eventbridge"]));
        check("ecr", &[("events-topics", "arn:aws:sns:eu-west-1:1:t")], Some(&["eventbridge", "sns"]));
        check("ecr", &[("events", "none")], Some(&[]));
        check("acr", &[], Some(&["event-grid"]));
        check("acr", &[("events", "acr")], Some(&["acr"]));
        for kind in ["artifactory", "harbor", "nexus"] {
            check(kind, &[], Some(&[kind]));
        }
        check("oci", &[("events", "distribution, generic")], Some(&["distribution", "generic"]));
        check("oci", &[("events", "pigeon")], None);
        check("ecr", &[("events-colour", "red")], None);
        check("ecr", &[("events-queue", "https://sqs.eu-west-1.amazonaws.com/1/q")], Some(&["eventbridge"]));
        check("acr", &[("events-queue-identity", "managed")], Some(&["event-grid"]));
    }

    #[test]
    fn where_this_server_is() {
        let check = |text: &str, expected: Option<&str>| {
            let settings = settings(&[("events-url", text)]);
            assert_eq!(public_url(&settings).as_deref(), expected, "{text}");
            assert_eq!(event_providers("harbor", &settings).is_ok(), expected.is_some(), "{text}");
        };
        check("https://supercargo.example.com/", Some("https://supercargo.example.com"));
        check("http://10.0.0.1:8080/behind", Some("http://10.0.0.1:8080/behind"));
        for text in ["", "supercargo.example.com", "ftp://a", "https://a?b", "https://u:p@a", "https://a#b"] {
            check(text, None);
        }
        assert_eq!(public_url(&BTreeMap::new()), None);
    }
}
