//! Each type of sink with its keys.

use std::sync::Arc;
use std::time::Duration;

use supercargo_engine::index::Platform;
use supercargo_engine::registry::{Destinations, OutboundConfig, Secret};
use supercargo_engine::scout::{self, Credential, CredentialSource, DockerConfig, Endpoints, ScoutClient, ScoutConfig};
use supercargo_engine::sink::{
    DependencyTrackConfig, DependencyTrackSink, OnDelete, ReferrerConfig, ReferrerSink, ScoutSink, ScoutSinkConfig,
    SlackConfig, SlackSink, WebhookConfig, WebhookDocument, WebhookSecret, WebhookSink,
};
use supercargo_engine::{DocumentFormat, Route, Sink};
use url::Url;

use super::{Fields, SinkConfig, Surroundings};
use crate::{Environment, proxy};

/// The types, and what makes each.
const TYPES: &[(&str, Make)] = &[
    ("scout", scout),
    ("webhook", webhook),
    ("slack", slack),
    ("dependency-track", dependency_track),
    ("referrer", referrer),
    #[cfg(feature = "files")]
    ("files", files),
];

type Make = fn(&mut Fields<'_>, &Surroundings<'_>) -> Option<Arc<dyn Sink>>;

/// Uploads that are made at one time: each is a row of calls one after the other.
const SCOUT_CONCURRENCY: usize = 8;

/// The sink of `config`.
pub(super) fn route(config: &SinkConfig, around: &Surroundings<'_>) -> Result<Route, Vec<String>> {
    let mut fields = Fields::new(config, around.environment);
    let kind = fields.text("type");
    let name = fields.text("name").or_else(|| config.name.clone()).or_else(|| kind.clone());
    let label = |problem: String| match name.as_ref().filter(|name| config.name.as_ref() != Some(name)) {
        Some(name) => format!("{} {name}: {problem}", config.origin),
        None => format!("{}: {problem}", config.origin),
    };
    let names: Vec<&str> = TYPES.iter().map(|(name, _)| *name).collect();
    let Some(kind) = kind else {
        return Err(vec![label(format!("type: it is missing; there are {}", names.join(", ")))]);
    };
    let Some((_, make)) = TYPES.iter().find(|(known, _)| *known == kind) else {
        return Err(vec![label(format!("type: {kind:?}: there are {}", names.join(", ")))]);
    };
    let concurrency = fields.parsed::<u16>("concurrency");
    if concurrency == Some(0) {
        fields.refuse("concurrency", "it must be more than nothing");
    }
    let environment_values = fields.switch("send-env-values").unwrap_or(around.send_env_values);
    let sink = make(&mut fields, around);
    let problems = fields.end();
    match (sink, name.clone()) {
        (Some(sink), Some(name)) if problems.is_empty() => {
            let default = if kind == "scout" { SCOUT_CONCURRENCY } else { Route::CONCURRENCY };
            let concurrency = concurrency.map_or(default, usize::from);
            Ok(Route { concurrency, environment_values, ..Route::new(name, sink) })
        }
        _ => Err(problems.into_iter().map(label).collect()),
    }
}

/// The engine's word for what cannot be made.
fn made<S: Sink + 'static>(fields: &mut Fields<'_>, made: supercargo_engine::Result<S>) -> Option<Arc<dyn Sink>> {
    match made {
        Ok(sink) => Some(Arc::new(sink)),
        Err(error) => {
            let mut message = error.to_string();
            let mut next = std::error::Error::source(&error);
            while let Some(cause) = next {
                message = format!("{message}: {cause}");
                next = cause.source();
            }
            fields.refuse("url", message);
            None
        }
    }
}

/// The address, which may be a secret as a whole.
fn address(fields: &mut Fields<'_>) -> Option<Url> {
    let secret = fields.secret("url-file", "url-env");
    let (key, text) = match (&secret, fields.text("url")) {
        (Some(secret), _) => ("url-file", secret.expose().to_owned()),
        (None, Some(text)) => ("url", text),
        (None, None) => {
            fields.refuse("url", "it is missing");
            return None;
        }
    };
    // The error would quote the address.
    Url::parse(&text).map_err(|error| fields.refuse(key, format_args!("it is no address: {error}"))).ok()
}

fn transport(fields: &mut Fields<'_>, url: Option<&Url>, environment: &Environment) -> OutboundConfig {
    let mut config = OutboundConfig::default();
    if fields.switch("private").unwrap_or_default() {
        config.destinations = Destinations::Private;
    }
    config.plain_http = fields.switch("plain-http").unwrap_or_default();
    config.ca_bundle = fields.file("ca-file").map(Into::into);
    let proxy = fields.text("proxy").map(Secret::from);
    config.proxy = proxy.or_else(|| proxy::of_url(url?, environment));
    if let Some(seconds) = fields.parsed::<u64>("timeout") {
        config.timeout = Duration::from_secs(seconds.clamp(1, 600));
    }
    config
}

fn webhook(fields: &mut Fields<'_>, around: &Surroundings<'_>) -> Option<Arc<dyn Sink>> {
    let url = address(fields);
    let transport = transport(fields, url.as_ref(), around.environment);
    let mut secrets = Vec::new();
    if let Some(secret) = fields.secret("secret-file", "secret-env") {
        let lines: Vec<&str> = secret.expose().lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        if lines.len() > 2 {
            fields.refuse("secret-file", "it has more than two lines; two are enough for a rotation");
        }
        for line in lines {
            match WebhookSecret::parse(line) {
                Ok(secret) => secrets.push(secret),
                Err(error) => fields.refuse("secret-file", error),
            }
        }
    }
    let document = match fields.text("document").as_deref() {
        None | Some("none") => WebhookDocument::None,
        Some(text) => match text.parse() {
            Ok(format) => WebhookDocument::Whole(format),
            Err(error) => {
                fields.refuse("document", error);
                return None;
            }
        },
    };
    made(fields, WebhookSink::new(WebhookConfig { url: url?, secrets, document, transport }))
}

fn slack(fields: &mut Fields<'_>, around: &Surroundings<'_>) -> Option<Arc<dyn Sink>> {
    let url = address(fields);
    let transport = transport(fields, url.as_ref(), around.environment);
    let gone = fields.switch("gone").unwrap_or_default();
    made(fields, SlackSink::new(SlackConfig { url: url?, gone, transport }))
}

fn dependency_track(fields: &mut Fields<'_>, around: &Surroundings<'_>) -> Option<Arc<dyn Sink>> {
    let url = address(fields);
    let transport = transport(fields, url.as_ref(), around.environment);
    let api_key = fields.secret("api-key-file", "api-key-env");
    if api_key.is_none() {
        fields.refuse("api-key-file", "it is missing");
    }
    let on_delete = match fields.text("on-delete").as_deref() {
        None | Some("keep") => OnDelete::Keep,
        Some("deactivate") => OnDelete::Deactivate,
        Some("delete") => OnDelete::Delete,
        Some(other) => {
            fields.refuse("on-delete", format_args!("{other:?}: expected keep, deactivate or delete"));
            OnDelete::Keep
        }
    };
    let template = |text: &str| text.parse().expect("the default is a template");
    let config = DependencyTrackConfig {
        project: fields.parsed("project").unwrap_or_else(|| template("{registry}/{repository}")),
        version: fields.parsed("version").unwrap_or_else(|| template("{tag}")),
        platform: fields.parsed::<Platform>("platform").unwrap_or_else(|| Platform {
            os: "linux".to_owned(),
            architecture: "amd64".to_owned(),
            ..Platform::default()
        }),
        auto_create: fields.switch("auto-create").unwrap_or(true),
        on_delete,
        transport,
        url: url?,
        api_key: api_key?,
    };
    made(fields, DependencyTrackSink::new(config))
}

fn referrer(fields: &mut Fields<'_>, around: &Surroundings<'_>) -> Option<Arc<dyn Sink>> {
    let text = fields.text("format").unwrap_or_else(|| DocumentFormat::Spdx.to_string());
    let mut formats = Vec::new();
    // A plus parts them without quotes.
    for word in text.split([',', '+']) {
        match word.trim().parse::<DocumentFormat>() {
            Ok(format) if !formats.contains(&format) => formats.push(format),
            Ok(_) => {}
            Err(error) => fields.refuse("format", error),
        }
    }
    let registries = around.registries.clone();
    made(fields, ReferrerSink::new(ReferrerConfig { registries, formats }))
}

#[cfg(feature = "files")]
fn files(fields: &mut Fields<'_>, around: &Surroundings<'_>) -> Option<Arc<dyn Sink>> {
    use supercargo_engine::sink::{FilesConfig, FilesSink};

    let location = match (fields.path("path"), fields.text("url")) {
        (Some(path), None) => Some(path.display().to_string()),
        (None, Some(url)) => Some(url),
        _ => {
            fields.refuse("path", "give a folder as path=, or an object store as url=s3://…, az://… or gs://…");
            None
        }
    };
    let format = fields.parsed("format").unwrap_or(DocumentFormat::Spdx);
    // Names of object_store's settings have an underscore, and none of ours has.
    let settings = fields.rest(|key| key.contains('_'));
    let variables = around.environment.with_prefixes(&["AWS_", "AZURE_", "GOOGLE_"]);
    let environment =
        variables.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), Secret::from(value))).collect();
    made(fields, FilesSink::open(&FilesConfig { location: location?, settings, environment, format }))
}

fn scout(fields: &mut Fields<'_>, around: &Surroundings<'_>) -> Option<Arc<dyn Sink>> {
    let organization = fields.required("organization");
    let packages = fields.switch("sbom").unwrap_or(true);
    let credentials = credentials(fields, around.environment);
    let mut config = ScoutConfig::new(organization?);
    config.endpoints = endpoints(around.environment);
    for (key, place) in [("api", &mut config.endpoints.api), ("hub", &mut config.endpoints.hub)] {
        if let Some(address) = fields.text(key) {
            *place = address;
        }
    }
    config.endpoints.upload = fields.text("upload").or(config.endpoints.upload);
    config.team = fields.text("team");
    config.plain_http = fields.switch("plain-http").unwrap_or_default();
    config.ca_bundle = fields.file("ca-file").map(Into::into);
    if let Some(proxy) = fields.text("proxy") {
        config.proxy = Some(proxy.into());
    }
    let client = client(config, credentials?, around.environment);
    let client = client.map_err(|error| fields.refuse("organization", error)).ok()?;
    Some(Arc::new(ScoutSink::new(ScoutSinkConfig { client, packages })))
}

fn credentials(fields: &mut Fields<'_>, environment: &Environment) -> Option<Arc<dyn CredentialSource>> {
    let (user, password) = (fields.text("user"), fields.secret("password-file", "password-env"));
    match (user, password) {
        (Some(user), Some(password)) => Some(Arc::new(Credential::login(user, password.expose()))),
        (None, None) => of_environment(environment).map_err(|problem| fields.refuse("user", problem)).ok(),
        (Some(_), None) => {
            fields.refuse("password-file", "it is missing, and a user is named");
            None
        }
        (None, Some(_)) => {
            fields.refuse("user", "it is missing, and a password is named");
            None
        }
    }
}

/// Who signs in at Docker Scout: the environment's word, else what `docker login` left.
fn of_environment(environment: &Environment) -> Result<Arc<dyn CredentialSource>, String> {
    const USER: &str = "DOCKER_SCOUT_HUB_USER";
    const PASSWORD: &str = "DOCKER_SCOUT_HUB_PASSWORD";
    match (environment.text(USER), environment.text(PASSWORD)) {
        (Some(user), Some(password)) => Ok(Arc::new(Credential::login(user, password))),
        (None, None) => match environment.docker_config() {
            Some(path) => Ok(Arc::new(DockerConfig::new(path))),
            None => Err(format!("sign in with `docker login`, or set {USER} and {PASSWORD}")),
        },
        (Some(_), None) => Err(format!("{PASSWORD} is missing, and {USER} is set")),
        (None, Some(_)) => Err(format!("{USER} is missing, and {PASSWORD} is set")),
    }
}

fn endpoints(environment: &Environment) -> Endpoints {
    let mut endpoints = Endpoints::default();
    if let Some(api) = environment.text("SUPERCARGO_SCOUT_API") {
        endpoints.api = api;
    }
    if let Some(hub) = environment.text("SUPERCARGO_SCOUT_HUB") {
        endpoints.hub = hub;
    }
    endpoints
}

fn client(
    mut config: ScoutConfig,
    credentials: Arc<dyn CredentialSource>,
    environment: &Environment,
) -> Result<ScoutClient, String> {
    if config.proxy.is_none() {
        let url = Url::parse(&config.endpoints.api).ok();
        config.proxy = url.and_then(|url| proxy::of_url(&url, environment)).map(|proxy| proxy.expose().into());
    }
    // What fails waits in the outbox; here only a hiccup is worth a second try.
    config.retry = scout::Retry {
        attempts: 2,
        base: Duration::from_millis(250),
        cap: Duration::from_secs(2),
        patience: Duration::from_secs(2),
    };
    ScoutClient::new(config, credentials).map_err(|error| error.to_string())
}

/// The client of a command that speaks with Docker Scout itself.
///
/// # Errors
///
/// What is wrong with the configuration.
pub(crate) fn scout_client(organization: &str, environment: &Environment) -> Result<ScoutClient, String> {
    let mut config = ScoutConfig::new(organization);
    config.endpoints = endpoints(environment);
    client(config, of_environment(environment)?, environment)
}
