//! What an operator says about a source, and how a provider reads it.

use std::collections::BTreeMap;

use http::HeaderName;

use crate::{Error, ErrorKind, Result, Secret, grammar};

/// What an operator says about a source.
#[derive(Clone, Debug, Default)]
pub struct SourceConfig {
    /// The registry that this source speaks for. It wins over what payloads claim: behind a proxy registries
    /// name themselves by internal names, and a payload must not be able to point at another registry.
    pub host: Option<String>,
    /// The header that carries the shared secret, where it is not the provider's usual one.
    pub header: Option<HeaderName>,
    /// Accepted secrets; two during a rotation.
    pub secrets: Vec<Secret>,
    /// Take deliveries from anyone. For senders that can set no secret, on networks that are closed otherwise.
    pub open: bool,
    /// What only this provider knows; [`Provider::keys`](crate::Provider) names it.
    pub options: BTreeMap<String, String>,
}

impl SourceConfig {
    /// A configuration with `secrets`.
    pub fn new(secrets: impl IntoIterator<Item = Secret>) -> Self {
        Self { secrets: secrets.into_iter().collect(), ..Self::default() }
    }

    /// The same, speaking for the registry `host`.
    #[must_use]
    pub fn with_host(mut self, host: impl Into<String>) -> Self {
        self.host = Some(host.into());
        self
    }

    /// The same, with the secret in `header`.
    #[must_use]
    pub fn with_header(mut self, header: HeaderName) -> Self {
        self.header = Some(header);
        self
    }

    /// The same, taking deliveries without a secret.
    #[must_use]
    pub fn opened(mut self) -> Self {
        self.open = true;
        self
    }

    /// The same, with an option of the provider's.
    #[must_use]
    pub fn with_option(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.insert(key.into(), value.into());
        self
    }
}

/// An option of a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What it means, a sentence for help texts.
    pub help: &'static str,
    /// Whether there is no source without it.
    pub required: bool,
}

impl Key {
    pub(crate) const fn optional(name: &'static str, help: &'static str) -> Self {
        Self { name, help, required: false }
    }

    pub(crate) const fn required(name: &'static str, help: &'static str) -> Self {
        Self { name, help, required: true }
    }
}

/// A configuration while it is read: every problem is collected, none ends the reading.
pub(crate) struct Settings {
    pub(crate) config: SourceConfig,
    problems: Vec<String>,
}

impl Settings {
    /// Begins with what can be said without knowing the provider: unknown keys, missing keys, a host that is none,
    /// secrets that are empty.
    pub(crate) fn new(config: SourceConfig, keys: &[Key]) -> Self {
        let mut problems = Vec::new();
        for name in config.options.keys() {
            if !keys.iter().any(|key| key.name == name) {
                let known: Vec<_> = keys.iter().map(|key| key.name).collect();
                let known = if known.is_empty() { "it has none".to_owned() } else { known.join(", ") };
                problems.push(format!("option `{name}` is not known to this provider: {known}"));
            }
        }
        for key in keys.iter().filter(|key| key.required) {
            if config.options.get(key.name).is_none_or(|value| value.trim().is_empty()) {
                problems.push(format!("option `{}` is missing: {}", key.name, key.help));
            }
        }
        if let Some(host) = config.host.as_deref().filter(|host| !grammar::is_host(host)) {
            problems.push(format!("`{host}` is no host"));
        }
        if config.secrets.iter().any(Secret::is_empty) {
            // It would match an empty header.
            problems.push("its secret is empty".to_owned());
        }
        Self { config, problems }
    }

    pub(crate) fn problem(&mut self, problem: impl Into<String>) {
        self.problems.push(problem.into());
    }

    /// The secrets; none at all if the source is open to everyone.
    pub(crate) fn secrets(&mut self) -> Vec<Secret> {
        let secrets = std::mem::take(&mut self.config.secrets);
        match (self.config.open, secrets.is_empty()) {
            (true, false) => self.problem("it has a secret and is open to everyone; choose one"),
            (false, true) => self.problem("it has no secret; give one, or open it to everyone explicitly"),
            _ => {}
        }
        secrets
    }

    /// An option's value, without the blanks around it.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let value = self.config.options.get(name)?.trim();
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// An option that is a list, parted by commas.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        let text = self.text(name).unwrap_or_default();
        text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
    }

    /// An option that is one of a few words; `default` without it.
    pub(crate) fn word<T: Copy>(&mut self, name: &str, words: &[(&str, T)], default: T) -> T {
        let Some(text) = self.text(name) else { return default };
        match words.iter().find(|(word, _)| *word == text) {
            Some((_, value)) => *value,
            None => {
                let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
                self.problem(format!("option `{name}` is `{text}`: expected {}", known.join(" or ")));
                default
            }
        }
    }

    /// Ends the reading.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] with every problem.
    pub(crate) fn finish(mut self) -> Result<()> {
        // What proves the sender took the header along.
        if let Some(header) = self.config.header.take() {
            self.problem(format!("header `{header}` has no use here: no secret comes in one"));
        }
        // What two ways of proof miss is missing once.
        self.problems.dedup();
        if self.problems.is_empty() {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Configuration, format!("configure the source: {}", self.problems.join("; "))))
    }
}
