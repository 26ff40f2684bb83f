//! Artifactory's webhook, made by its REST API.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use clap::Args;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Method, Request, StatusCode};
use supercargo_engine::integration::{Credentials, Login, registry_settings};
use supercargo_engine::registry::{Outbound, OutboundConfig, RegistryKind, parse_registry};
use supercargo_engine::setup::{EventWay, Setup};
use supercargo_engine::store::Integration;
use url::Url;

use super::given::secret;
use crate::text::printable;
use crate::{Environment, Error, ErrorKind, Output, Result, proxy};

/// Characters of an answer that are told.
const TOLD: usize = 300;

#[derive(Args, Clone, Debug)]
pub(super) struct ApplyArgs {
    /// Have the registry's side set up here and now, instead of printing how: the webhook of an Artifactory
    #[arg(long)]
    apply: bool,

    /// With --apply: file with the access token of somebody who may manage webhooks; - for standard input [default: the integration's own credentials]
    #[arg(long, value_name = "FILE", requires = "apply")]
    admin_token_file: Option<PathBuf>,
}

impl ApplyArgs {
    pub(super) fn is_given(&self) -> bool {
        self.apply
    }
}

/// The registry's side of an integration.
pub(super) struct Side<'a> {
    pub(super) integration: &'a Integration,
    pub(super) setup: &'a Setup<'a>,
    pub(super) credentials: &'a Credentials,
    pub(super) environment: &'a Environment,
}

/// Makes the webhook, or changes the one that is there, and has Artifactory send a test event.
pub(super) async fn apply(args: &ApplyArgs, side: &Side<'_>, output: &mut Output) -> Result<()> {
    let Side { setup, credentials, .. } = side;
    if setup.kind != RegistryKind::Artifactory || setup.events() != EventWay::Webhook {
        return Err(Error::usage(vec![
            "--apply: only the webhook of an Artifactory can be set up from here".to_owned(),
        ]));
    }
    let given = match &args.admin_token_file {
        Some(file) => Some(Login::Bearer { token: secret("--admin-token-file", file)?.into() }),
        None => credentials.api.clone().or_else(|| credentials.registry.clone()),
    };
    let Some(login) = given else {
        let problem =
            "--admin-token-file: the integration has no credentials, and Artifactory lets no stranger make webhooks";
        return Err(Error::usage(vec![problem.to_owned()]));
    };
    let body = setup.webhook_body()?;
    let (platform, key) = (setup.platform(), setup.resource());
    let address = format!("{platform}/event/api/v1/subscriptions");
    let client = side.client(&address)?;
    let call = Call { client, login, key: key.clone() };

    let (known, told) = call.send(Method::GET, &format!("{address}/{key}"), None).await?;
    let (status, told) = match known {
        StatusCode::NOT_FOUND => call.send(Method::POST, &address, Some(&body)).await?,
        known if known.is_success() => call.send(Method::PUT, &format!("{address}/{key}"), Some(&body)).await?,
        refused => (refused, told),
    };
    if !status.is_success() {
        let hint = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                "it takes a token of an administrator, a project's administrator, or the role Manage Webhooks: \
                 --admin-token-file"
            }
            _ => "`supercargo integration template` without --apply prints the call",
        };
        let told = format!("make the webhook {key} at {platform}: {status}: {}", short(&told));
        return Err(Error::new(ErrorKind::Failed, told).with_hint(hint));
    }
    let done = if known == StatusCode::NOT_FOUND { "made" } else { "changed" };
    output.say(format_args!("webhook {key} is {done} at {platform}"));
    // Whether Artifactory reaches us is for it to say: it refuses private addresses unless it is told otherwise.
    let (status, told) = call.send(Method::POST, &format!("{address}/test"), Some(&body)).await?;
    match status.is_success() {
        true => output.say("Artifactory sent a test event"),
        false => output.say(format_args!(
            "warning: Artifactory could not send a test event ({status}): {}",
            printable(&short(&told))
        )),
    }
    Ok(())
}

impl Side<'_> {
    /// The way to the product's API: that to the registry, by the settings of the integration.
    fn client(&self, address: &str) -> Result<Outbound> {
        let url: Url = address.parse().map_err(|_| Error::usage(vec![format!("{address:?} is no address")]))?;
        let config = parse_registry(&registry_settings(self.integration))?.load_files(|path| std::fs::read(path))?;
        let transport = config.transport;
        let mut outbound = OutboundConfig::beside(&transport, &url);
        let port = url.port_or_known_default().unwrap_or_default();
        if transport.proxy.is_none() && !transport.no_proxy.covers(url.host_str().unwrap_or_default(), port) {
            outbound.proxy = proxy::of_url(&url, self.environment);
        }
        Ok(Outbound::new(&outbound)?)
    }
}

struct Call {
    client: Outbound,
    login: Login,
    key: String,
}

impl Call {
    async fn send(&self, method: Method, url: &str, body: Option<&str>) -> Result<(StatusCode, String)> {
        let operation = || format!("ask Artifactory about the webhook {}", self.key);
        let mut request = Request::builder().method(method).uri(url).header(AUTHORIZATION, self.authorization());
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let body = body.map_or_else(Bytes::new, |body| Bytes::copy_from_slice(body.as_bytes()));
        let request = request.body(body).map_err(|error| Error::failed(operation(), error))?;
        let answer = self.client.send(request).await.map_err(|error| Error::from(error).during(operation()))?;
        Ok((answer.status(), String::from_utf8_lossy(answer.body()).into_owned()))
    }

    fn authorization(&self) -> String {
        match &self.login {
            Login::Bearer { token } => format!("Bearer {}", token.expose()),
            Login::Basic { username, password } => {
                format!("Basic {}", STANDARD.encode(format!("{username}:{}", password.expose())))
            }
        }
    }
}

fn short(text: &str) -> String {
    crate::text::cut(text.trim(), TOLD).into_owned()
}
