//! What a template needs to know of an integration.

use std::collections::BTreeMap;

use supercargo_registry::RegistryKind;
use supercargo_store::Integration;

use super::Principal;
use super::amazon::Place;
use super::events::{EVENTS, EventWay, PUBLIC_URL, QUEUE, provider};
use super::fill::Values;
use crate::random::hexadecimal;
use crate::{Error, ErrorKind, Result};

/// An integration, and what else its templates speak of.
#[derive(Clone, Debug)]
pub struct Setup<'a> {
    /// What it is called.
    pub name: &'a str,
    /// The product.
    pub kind: RegistryKind,
    /// The registry's host.
    pub host: &'a str,
    /// How it is reached.
    pub settings: &'a BTreeMap<String, String>,
    /// The secret of its events.
    pub secret: Option<&'a str>,
    /// The address at which the registry's side reaches the server; what was said before, if nothing is said.
    pub public_url: Option<&'a str>,
    /// Amazon ECR: who may assume the role; the registry's own account if nobody is named.
    pub principal: Option<&'a Principal>,
}

impl<'a> Setup<'a> {
    /// An integration, of which nothing else is known.
    pub fn new(name: &'a str, kind: RegistryKind, host: &'a str, settings: &'a BTreeMap<String, String>) -> Self {
        Self { name, kind, host, settings, secret: None, public_url: None, principal: None }
    }

    /// The same of an integration of the store.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] if another release made it, of a kind that this one does not know.
    pub fn of(integration: &'a Integration) -> Result<Self> {
        let Integration { name, kind, registry, settings, .. } = integration;
        let known = RegistryKind::ALL.into_iter().find(|known| known.as_str() == kind);
        let known = known.ok_or_else(|| {
            let told = format!("use {name}: its kind, {kind}, is not known to this release");
            Error::new(ErrorKind::Configuration, told)
        })?;
        Ok(Self::new(name, known, registry, settings))
    }

    /// What everything is called that is made for it.
    pub fn resource(&self) -> String {
        resource(self.name)
    }

    /// How its events come.
    pub fn events(&self) -> EventWay {
        EventWay::chosen(self.kind, self.settings)
    }

    /// Amazon ECR: where it is.
    pub fn place(&self) -> Option<Place> {
        Place::of(self.host, self.settings).filter(|_| self.kind == RegistryKind::Ecr)
    }

    /// Azure: the registry's name, which begins its host.
    pub(super) fn registry_name(&self) -> &str {
        self.host.split('.').next().unwrap_or(self.host)
    }

    /// Artifactory: the address of the platform, above its REST API.
    pub fn platform(&self) -> String {
        let api = self.api();
        api.strip_suffix("/artifactory").unwrap_or(&api).to_owned()
    }

    fn api(&self) -> String {
        let api = self.settings.get("api").map(|api| api.trim_end_matches('/').to_owned());
        match self.kind {
            RegistryKind::Harbor => {
                let api = api.unwrap_or_else(|| format!("https://{}", self.host));
                if api.ends_with("/api/v2.0") { api } else { format!("{api}/api/v2.0") }
            }
            _ => api.unwrap_or_else(|| format!("https://{}", self.host)),
        }
    }

    /// Who sends its events, by the name in `/v1/events/PROVIDER/NAME`.
    pub(super) fn provider(&self) -> &str {
        let named = self.settings.get(EVENTS).and_then(|names| names.split(',').map(str::trim).next());
        named.filter(|name| !name.is_empty()).unwrap_or(provider(self.kind))
    }

    /// The address that its events are sent to, without its secret.
    pub fn endpoint(&self) -> Option<String> {
        self.endpoint_of(self.provider())
    }

    /// The address that was said, now or before.
    pub(super) fn public_url(&self) -> Option<&str> {
        self.public_url.or_else(|| self.settings.get(PUBLIC_URL).map(String::as_str))
    }

    /// Azure: the storage account of its queue, and the queue, by the queue's address.
    pub(super) fn storage(&self) -> Option<(&str, &str)> {
        let (host, path) = self.settings.get(QUEUE)?.split_once("://")?.1.split_once('/')?;
        Some((host.split('.').next()?, path.trim_end_matches('/'))).filter(|(_, queue)| !queue.is_empty())
    }

    fn endpoint_of(&self, provider: &str) -> Option<String> {
        let base = self.public_url()?.trim_end_matches('/');
        Some(format!("{base}/v1/events/{provider}/{}", self.name))
    }

    /// The address that is told to senders that know nothing else: its secret is a part of it, in the query, which
    /// Event Grid shows to nobody again.
    fn webhook(&self) -> Option<String> {
        let endpoint = self.endpoint()?;
        match self.kind {
            RegistryKind::Acr => Some(format!("{endpoint}?secret={}", self.secret?)),
            _ => Some(endpoint),
        }
    }

    /// What goes into its templates, as far as it is known.
    pub(super) fn values(&self) -> Values {
        let mut values = Values::from([
            ("name", self.name.to_owned()),
            ("resource", self.resource()),
            ("host", self.host.to_owned()),
            ("registry-name", self.registry_name().to_owned()),
            ("platform", self.platform()),
            ("api", self.api()),
        ]);
        values.extend(self.endpoint().map(|endpoint| ("endpoint", endpoint)));
        values.extend(self.endpoint_of("sns").map(|endpoint| ("setup-endpoint", endpoint)));
        values.extend(self.webhook().map(|webhook| ("webhook", webhook)));
        values.extend(self.secret.map(|secret| ("secret", secret.to_owned())));
        if let Some((account, queue)) = self.storage() {
            values.extend([("storage-account", account.to_owned()), ("queue", queue.to_owned())]);
        }
        values.extend(self.settings.get("external-id").map(|id| ("external-id", id.clone())));
        if let Some(place) = self.place() {
            let principal = match self.principal.map(|principal| (principal, principal.account())) {
                Some((_, Some(account))) => place.root_of(account),
                Some((arn, None)) => arn.to_string(),
                None => place.root(),
            };
            values.extend([("principal", principal), ("account", place.account), ("region", place.region)]);
        }
        let keys = self.settings.get("repository").map(String::as_str).unwrap_or_default();
        let keys = keys.split(',').map(str::trim).filter(|key| !key.is_empty());
        let keys: Vec<String> = keys.map(|key| serde_json::Value::from(key).to_string()).collect();
        values.insert("repository-keys", keys.join(", "));
        values
    }
}

/// What everything is called that is made for the integration of this name: topics and queues have no dots in their names.
pub fn resource(name: &str) -> String {
    format!("supercargo-{}", name.replace('.', "-"))
}

/// Characters of a name: with what precedes it, a role's name has 64 at most, and a rule's ends with `-repositories`.
pub const ECR_NAME_LIMIT: usize = 64 - "supercargo-".len() - "-repositories".len();

/// A new external ID for a role of AWS: 128 random bits, in hexadecimal digits. It is no secret, and tells this
/// installation from others.
///
/// # Errors
///
/// [`ErrorKind::Sealed`] if the system has no random bytes.
pub fn external_id() -> Result<String> {
    hexadecimal::<16>("make an external ID")
}
