//! The way of an integration's events from the registry's side to this server.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use jiff::Timestamp;
use serde_json::Value;
use supercargo_engine::events::{Provider, SourceConfig, prove};
use supercargo_engine::integration::{
    Credentials as Sealed, EventPath, Login, PROBE, PathFinding, TestEvent, event_providers, public_url,
    registry_settings, source_config,
};
use supercargo_engine::registry::{RegistryKind, Secret};
use supercargo_engine::setup::{Setup, external_id};
use supercargo_engine::store::Integration;

use super::webhooks::{Report, Webhooks};
use crate::text::chain;
use crate::{Environment, Error, client};

/// How long an endpoint may take. Senders wait for one to thirty seconds.
const PATIENCE: Duration = Duration::from_secs(10);
/// What an endpoint is called with: no event of any provider.
const NOTHING: &[u8] = b"{}";

/// The way that ends at `/v1/events/PROVIDER/NAME`.
pub(super) struct MachinePath {
    environment: Environment,
    name: String,
    provider: &'static Provider,
    config: SourceConfig,
    /// The public address of the endpoint, if it is known.
    endpoint: Option<String>,
    artifactory: Option<Artifactory>,
}

/// A product whose webhooks can be asked about.
struct Artifactory {
    /// The way to the registry, which is that to its API.
    registry: String,
    platform: String,
    /// What the webhook is called that we make.
    key: String,
    login: Option<Login>,
    secret: Option<Secret>,
    signs: bool,
}

impl MachinePath {
    /// The way of the events that come to `integration` by themselves; `None` if none do.
    pub(super) fn of(
        integration: &Integration,
        kind: RegistryKind,
        sealed: &Sealed,
        environment: &Environment,
    ) -> supercargo_engine::Result<Option<Self>> {
        let Integration { name, registry, settings, .. } = integration;
        let Some(provider) = event_providers(&integration.kind, settings)?.into_iter().next() else { return Ok(None) };
        // What the registry's side was told comes first; else this server's own.
        let base = public_url(settings).or_else(|| environment.text(super::PUBLIC_URL));
        let endpoint = base.map(|base| format!("{}/v1/events/{}/{name}", base.trim_end_matches('/'), provider.name));
        let setup = Setup::new(name, kind, registry, settings);
        let artifactory = (kind == RegistryKind::Artifactory && provider.name == "artifactory").then(|| Artifactory {
            registry: registry_settings(integration),
            platform: setup.platform(),
            key: setup.resource(),
            login: sealed.api.clone().or_else(|| sealed.registry.clone()),
            secret: sealed.event_secrets.first().cloned(),
            signs: settings.get("events-signing").is_some_and(|signing| signing == "true"),
        });
        Ok(Some(Self {
            environment: environment.clone(),
            name: name.clone(),
            provider,
            config: source_config(integration, sealed, provider)?,
            endpoint,
            artifactory,
        }))
    }

    async fn call(&self, endpoint: &str) -> Result<PathFinding, Error> {
        let proof = prove(self.provider, &self.config, NOTHING, Timestamp::now());
        let is_proven = proof.is_some();
        let proof = proof.unwrap_or_default();
        let address = match &proof.query {
            Some(query) => format!("{endpoint}?{query}"),
            None => endpoint.to_owned(),
        };
        // Nobody knows it before.
        let ours = external_id()?;
        let request = client::client(&address, &self.environment)?
            .post(&address)
            .headers(proof.headers)
            .header(CONTENT_TYPE, "application/json")
            .header(PROBE, &ours)
            .body(NOTHING);
        // The address may have a secret in it.
        let answer = request.send().await.map_err(|error| Error::failed("call", error.without_url()))?;
        let is_ours = answer.headers().get(PROBE).is_some_and(|value| value.as_bytes() == ours.as_bytes());
        Ok(self.judge(endpoint, answer.status(), is_ours, is_proven))
    }

    fn judge(&self, endpoint: &str, status: StatusCode, is_ours: bool, is_proven: bool) -> PathFinding {
        match (is_ours, is_proven, status) {
            (true, true, status) if status.is_success() => {
                PathFinding::passed(format!("{endpoint} leads here, and the secret is taken"))
            }
            (true, false, status) if status.is_success() || status == StatusCode::UNAUTHORIZED => {
                PathFinding::passed(format!("{endpoint} leads here; who sends to it signs with a key of its own"))
            }
            (true, _, StatusCode::UNAUTHORIZED) => PathFinding::warned(
                format!("{endpoint} leads to a supercargo that does not take the secret"),
                "another installation may be there, or something before it takes the secret's header away",
            ),
            (true, ..) => PathFinding::warned(
                format!("{endpoint} leads here, and is answered {status}"),
                "the log of the server says why",
            ),
            (false, _, StatusCode::NOT_FOUND) => PathFinding::warned(
                format!("{endpoint} is answered {status}: no server that has this integration is there"),
                "see where the address leads to, and whether the server runs on the store of this integration",
            ),
            (false, ..) => PathFinding::warned(
                format!("{endpoint} is answered {status}, and not by supercargo"),
                "something before the server answers in its place: a proxy, a sign-in",
            ),
        }
    }
}

#[async_trait]
impl EventPath for MachinePath {
    async fn knock(&self) -> PathFinding {
        let Some(endpoint) = &self.endpoint else {
            return PathFinding::skipped(
                "the public address of the server is not known, so it cannot be called",
                format!("`supercargo integration template {} --public-url https://…` says and keeps it", self.name),
            );
        };
        match tokio::time::timeout(PATIENCE, self.call(endpoint)).await {
            Ok(Ok(finding)) => finding,
            Err(_) => PathFinding::warned(
                format!("{endpoint} does not answer in {} s", PATIENCE.as_secs()),
                "the registry has to reach it, and most wait no longer: see what is before the server",
            ),
            Ok(Err(error)) => PathFinding::warned(
                format!("{endpoint} is not reached from here: {}", chain(&error)),
                "the registry has to reach it: see its name, its certificate, and what is before the server",
            ),
        }
    }

    async fn ask_for_test(&self) -> Option<TestEvent> {
        let artifactory = self.artifactory.as_ref()?;
        let by_hand = || {
            format!(
                "test it where it is: Administration, Webhooks, {}, Test; or give the integration a token of somebody who \
                 may manage webhooks: `supercargo integration credentials {} --api-token-file FILE`",
                artifactory.key, self.name
            )
        };
        let Some(login) = artifactory.login.clone() else {
            let told =
                "the integration has no credentials of its own with which Artifactory could be asked for its webhook";
            return Some(TestEvent::NotSent(PathFinding::skipped(told, by_hand())));
        };
        let asked = match Webhooks::new(&artifactory.registry, &artifactory.platform, login, &self.environment) {
            Ok(webhooks) => self.ask(artifactory, &webhooks, by_hand()).await,
            Err(error) => Err(error),
        };
        let failed =
            |error: Error| TestEvent::NotSent(PathFinding::skipped(format!("failed to {}", chain(&error)), by_hand()));
        Some(asked.unwrap_or_else(failed))
    }
}

impl MachinePath {
    async fn ask(&self, of: &Artifactory, webhooks: &Webhooks, by_hand: String) -> Result<TestEvent, Error> {
        let not_sent = |finding| Ok(TestEvent::NotSent(finding));
        let again = format!("make it: `supercargo integration template {} --apply`", self.name);
        let listed = webhooks.list().await?;
        if matches!(listed.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            let told = format!("Artifactory does not let this user see its webhooks ({})", listed.status);
            return not_sent(PathFinding::skipped(told, by_hand));
        }
        let all = match listed.webhooks() {
            Ok(all) if listed.status.is_success() => all,
            _ => {
                let told = format!("Artifactory was asked for its webhooks: {}: {}", listed.status, listed.told());
                return not_sent(PathFinding::skipped(told, by_hand));
            }
        };
        // One that somebody made by hand may have any key.
        let end = format!("/v1/events/{}/{}", self.provider.name, self.name);
        let url_of = |webhook: &Value| webhook["handlers"][0]["url"].as_str().unwrap_or_default().to_owned();
        let found = all.iter().find(|webhook| webhook["key"] == of.key.as_str());
        let Some(found) = found.or_else(|| all.iter().find(|webhook| url_of(webhook).ends_with(&end))) else {
            let told = format!("Artifactory has no webhook {}, and none that sends to …{end}", of.key);
            return not_sent(PathFinding::warned(told, again));
        };
        let (key, to) = (found["key"].as_str().unwrap_or_default(), url_of(found));
        let amiss = if found["enabled"] == false {
            Some(format!("the webhook {key} is switched off"))
        } else if self.endpoint.as_ref().is_some_and(|endpoint| *endpoint != to) {
            Some(format!("the webhook {key} sends to {to}, which is another address"))
        } else if (found["handlers"][0]["use_secret_for_signing"] == true) != of.signs {
            Some(format!("the webhook {key} uses its secret otherwise than `events-signing` says"))
        } else {
            None
        };
        if let Some(told) = amiss {
            return not_sent(PathFinding::warned(told, again));
        }
        // What comes back of a secret is encrypted; what the webhook is to have is known here.
        let mut draft = found.clone();
        if let Some(secret) = &of.secret {
            draft["handlers"][0]["secret"] = secret.expose().into();
        }
        let tested = webhooks.test(&draft.to_string()).await?;
        if matches!(tested.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            let told =
                format!("the webhook {key} is there; Artifactory does not let this user test it ({})", tested.status);
            return not_sent(PathFinding::skipped(told, by_hand));
        }
        match tested.report() {
            Report::Sent if tested.status.is_success() => {
                Ok(TestEvent::Sent { by: format!("the webhook {key} of Artifactory"), to })
            }
            report => {
                let why = if let Report::Failed(why) = report { why } else { tested.told() };
                let told =
                    format!("the webhook {key} is there; Artifactory could not send its test event to {to}: {why}");
                let advice = "Artifactory has to reach that address; it refuses private ones unless \
                              `event.security.blacklist.enabled` is off";
                not_sent(PathFinding::warned(told, advice))
            }
        }
    }
}

impl fmt::Debug for MachinePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MachinePath").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}
