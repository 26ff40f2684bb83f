//! How the registries of `/v1/integrations` are reached: settings, credentials, the test.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::{Deserialize, Deserializer, Serialize};
use supercargo_engine::integration::{Credentials, Examination, Integrations, Login};
use supercargo_engine::registry::RegistryKind;
use supercargo_engine::setup::{EventWay, Place, prepare_events, prepare_role};
use supercargo_engine::store::{Integration, IntegrationPolicy, NewIntegration};
use utoipa::ToSchema;

use super::integrations::find;
use super::view::IntegrationView;
use crate::access::Caller;
use crate::params::Body;
use crate::problem::Problem;
use crate::state::Shared;

/// An integration to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewIntegrationBody {
    /// What it is to be called: letters, digits, `.`, `_` and `-`.
    #[schema(max_length = 63, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    name: String,
    /// The registry's type: `ecr`, `acr`, `artifactory`, `harbor`, `nexus`, `oci`.
    kind: String,
    /// The registry's host. Of Amazon ECR it follows from the settings `account` and `region`, if they are there.
    registry: Option<String>,
    /// How the registry is reached: the other keys of a `--registry` string, and those of its events.
    #[serde(default)]
    settings: BTreeMap<String, String>,
    /// How its events are to come, once what `/v1/integrations/{name}/template` tells is set up on the registry's side.
    /// Fills in the settings that follow from it: for Amazon ECR the role, its external ID, and the topic or the queue.
    /// What `settings` says stays.
    set_up: Option<EventWay>,
    /// What of the registry is wanted.
    #[serde(default)]
    policy: IntegrationPolicy,
    /// Who we are to the registry. Without it, what the machine has.
    #[serde(default)]
    credentials: CredentialsBody,
}

/// An integration whose events may need a secret.
#[derive(Serialize, ToSchema)]
pub(crate) struct Connected {
    #[serde(flatten)]
    integration: IntegrationView,
    /// The secret that its deliveries are to carry, if this has made one.
    event_secret: Option<String>,
}

/// Makes an integration.
///
/// It is `pending` until its connection was tested and, if it has a source of events, the first of them has come. Where
/// deliveries carry a secret, one is made, and told here.
#[utoipa::path(
    post, path = "/v1/integrations", operation_id = "createIntegration", tag = "integrations", request_body = NewIntegrationBody,
    security(("token" = ["admin"])),
    responses(
        (status = 201, description = "The integration", body = Connected,
            headers(("Location" = String, description = "Its path"))),
        (status = 409, description = "Its name or its registry is another's already"),
    ),
)]
pub(crate) async fn create(
    State(shared): State<Shared>,
    caller: Caller,
    Body(body): Body<NewIntegrationBody>,
) -> Result<(StatusCode, [(HeaderName, HeaderValue); 1], Json<Connected>), Problem> {
    if !caller.scope.covers(&body.name) {
        return Err(Problem::new(StatusCode::FORBIDDEN, "the token is for integrations of other names"));
    }
    let NewIntegrationBody { name, kind, registry, settings, set_up, policy, credentials: given } = body;
    let registry = registry.or_else(|| host_of(&kind, &settings));
    let registry = registry.ok_or_else(|| Problem::bad_request("registry: it is missing"))?;
    let mut new = NewIntegration { settings, policy, ..NewIntegration::new(name, kind, registry) };
    if let Some(way) = set_up {
        prepare_events(&mut new, way)?;
        if new.kind == RegistryKind::Ecr.as_str() {
            prepare_role(&mut new)?;
        }
    }
    let mut credentials = Credentials::default();
    given.apply(&mut credentials);
    let integrations = integrations(&shared)?;
    let integration = integrations.create(new, credentials, &caller.actor).await?;
    let location = HeaderValue::try_from(format!("/v1/integrations/{}", integration.name));
    let location = location.expect("an integration's name is made of letters and digits");
    let event_secret = event_secret(integrations, &integration).await?;
    let made = Connected { integration: integration.into(), event_secret };
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(made)))
}

/// The host of the private registry of an account and a region.
fn host_of(kind: &str, settings: &BTreeMap<String, String>) -> Option<String> {
    let (account, region) = (settings.get("account")?, settings.get("region")?);
    (kind == RegistryKind::Ecr.as_str()).then(|| Place::host(account, region))
}

/// Replaces how the registry is reached.
///
/// The settings say where credentials are sent, and are the business of those who may replace them.
#[utoipa::path(
    put, path = "/v1/integrations/{name}/settings", operation_id = "setIntegrationSettings", tag = "integrations",
    request_body(content = BTreeMap<String, String>, description = "All settings, by their keys"),
    params(("name" = String, Path, description = "The integration's name")),
    security(("token" = ["admin"])),
    responses((status = 200, description = "The integration", body = IntegrationView), (status = 404)),
)]
pub(crate) async fn set_settings(
    State(shared): State<Shared>,
    caller: Caller,
    Path(name): Path<String>,
    Body(settings): Body<BTreeMap<String, String>>,
) -> Result<Json<IntegrationView>, Problem> {
    find(&shared, &caller, &name).await?;
    Ok(Json(integrations(&shared)?.replace_settings(&name, settings, &caller.actor).await?.into()))
}

/// Who we are to a registry. What is left out stays; what is `null` is taken away.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CredentialsBody {
    /// For pulls, and for all else unless there is more.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<LoginBody>)]
    registry: Option<Option<LoginBody>>,
    /// For the product's own API, where that has others.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<LoginBody>)]
    api: Option<Option<LoginBody>>,
    /// Whether to make a new secret for deliveries. The one before stays good until the next is made.
    #[serde(default)]
    new_event_secret: bool,
}

/// A user and a password, or a token.
#[derive(Deserialize, ToSchema)]
#[serde(untagged, deny_unknown_fields)]
pub(crate) enum LoginBody {
    /// A user and a password, or what stands for one.
    Basic {
        /// The user.
        username: String,
        /// The password.
        #[schema(format = Password)]
        password: String,
    },
    /// A token that is sent as it is.
    Bearer {
        /// The token.
        #[schema(format = Password)]
        token: String,
    },
}

impl From<LoginBody> for Login {
    fn from(body: LoginBody) -> Self {
        match body {
            LoginBody::Basic { username, password } => Self::basic(username, password),
            LoginBody::Bearer { token } => Self::Bearer { token: token.into() },
        }
    }
}

impl CredentialsBody {
    fn apply(self, credentials: &mut Credentials) {
        if let Some(registry) = self.registry {
            credentials.registry = registry.map(Login::from);
        }
        if let Some(api) = self.api {
            credentials.api = api.map(Login::from);
        }
    }
}

/// Tells `null` from what is left out.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// Replaces credentials. They are kept encrypted, and never told again.
#[utoipa::path(
    put, path = "/v1/integrations/{name}/credentials", operation_id = "setIntegrationCredentials", tag = "integrations", request_body = CredentialsBody,
    params(("name" = String, Path, description = "The integration's name")),
    security(("token" = ["admin"])),
    responses((status = 200, description = "The integration", body = Connected), (status = 404)),
)]
pub(crate) async fn set_credentials(
    State(shared): State<Shared>,
    caller: Caller,
    Path(name): Path<String>,
    Body(body): Body<CredentialsBody>,
) -> Result<Json<Connected>, Problem> {
    let integration = find(&shared, &caller, &name).await?;
    let integrations = integrations(&shared)?;
    // What cannot be opened any more has no secret that still is to be told apart from a new one.
    let before = event_secret(integrations, &integration).await.unwrap_or_default();
    let fresh =
        if body.new_event_secret { Credentials::default().with_event_secret()?.event_secrets } else { Vec::new() };
    let change = move |credentials: &mut Credentials| {
        body.apply(credentials);
        credentials.event_secrets.splice(0..0, fresh);
        credentials.event_secrets.truncate(2);
    };
    let integration = integrations.replace_credentials(&name, change, &caller.actor).await?;
    let event_secret = event_secret(integrations, &integration).await?;
    let event_secret = event_secret.filter(|secret| before.as_ref() != Some(secret));
    Ok(Json(Connected { integration: integration.into(), event_secret }))
}

/// What a test of a connection came to.
#[derive(Serialize, ToSchema)]
pub(crate) struct Tested {
    #[serde(flatten)]
    examination: Examination,
    /// The integration, where the test has moved it.
    integration: IntegrationView,
}

/// Tests the connection: name, certificate, sign-in, lists, a manifest, the first bytes of a layer, and its events.
///
/// What is wrong with it is a step that failed, and no error of this request.
#[utoipa::path(
    post, path = "/v1/integrations/{name}/test", operation_id = "testIntegration", tag = "integrations",
    params(("name" = String, Path, description = "The integration's name")),
    security(("token" = ["editor"])),
    responses((status = 200, description = "What was found", body = Tested), (status = 404)),
)]
pub(crate) async fn test(
    State(shared): State<Shared>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<Tested>, Problem> {
    find(&shared, &caller, &name).await?;
    let (examination, integration) = integrations(&shared)?.test(&name, |_| {}, &caller.actor).await?;
    Ok(Json(Tested { examination, integration: integration.into() }))
}

pub(super) fn integrations(shared: &Shared) -> Result<&Integrations, Problem> {
    shared.engine.integrations().ok_or_else(|| {
        Problem::new(StatusCode::NOT_IMPLEMENTED, "this server has no key for credentials, and connects nothing")
    })
}

async fn event_secret(integrations: &Integrations, of: &Integration) -> Result<Option<String>, Problem> {
    let credentials = integrations.credentials(of).await?;
    Ok(credentials.event_secrets.first().map(|secret| secret.expose().to_owned()))
}
