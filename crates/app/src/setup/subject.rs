//! What a template needs to know of an integration.

use std::collections::BTreeMap;

use supercargo_engine::registry::RegistryKind;

use super::amazon::Place;
use super::events::{EventWay, provider};
use super::fill::Values;

/// An integration, and what else its templates speak of.
#[derive(Clone, Debug)]
pub(crate) struct Setup<'a> {
    pub(crate) name: &'a str,
    pub(crate) kind: RegistryKind,
    pub(crate) host: &'a str,
    pub(crate) settings: &'a BTreeMap<String, String>,
    /// The secret of its events.
    pub(crate) secret: Option<&'a str>,
    /// The address at which the registry's side reaches the server.
    pub(crate) public_url: Option<&'a str>,
    /// Amazon ECR: who may assume the role, as an ARN or an account.
    pub(crate) principal: Option<&'a str>,
}

impl Setup<'_> {
    /// What everything is called that is made for it.
    pub(crate) fn resource(&self) -> String {
        resource(self.name)
    }

    /// How its events come.
    pub(crate) fn events(&self) -> EventWay {
        EventWay::chosen(self.kind, self.settings)
    }

    /// Amazon ECR: where it is.
    pub(crate) fn place(&self) -> Option<Place> {
        Place::of(self.host, self.settings)
    }

    /// Azure: the registry's name, which begins its host.
    pub(crate) fn registry_name(&self) -> &str {
        self.host.split('.').next().unwrap_or(self.host)
    }

    /// Artifactory: the address of the platform, above its REST API.
    pub(crate) fn platform(&self) -> String {
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

    /// The address that its events are sent to, without its secret.
    pub(crate) fn endpoint(&self) -> Option<String> {
        self.endpoint_of(provider(self.kind))
    }

    fn endpoint_of(&self, provider: &str) -> Option<String> {
        let base = self.public_url?.trim_end_matches('/');
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
        values.extend(self.settings.get("external-id").map(|id| ("external-id", id.clone())));
        if let Some(place) = self.place() {
            let principal = match self.principal {
                Some(account) if account.bytes().all(|byte| byte.is_ascii_digit()) => place.root_of(account),
                Some(arn) => arn.to_owned(),
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

/// What everything is called that is made for an integration: topics and queues have no dots in their names.
pub(crate) fn resource(name: &str) -> String {
    format!("supercargo-{}", name.replace('.', "-"))
}

/// Characters of a name: with what precedes it, a role's name has 64 at most, and a rule's ends with `-repositories`.
pub(crate) const ECR_NAME_LIMIT: usize = 64 - "supercargo-".len() - "-repositories".len();
