//! Artifactory's webhook, made by its REST API.

use std::path::PathBuf;

use ::http::header::{AUTHORIZATION, CONTENT_TYPE};
use clap::Args;
use reqwest::{Method, RequestBuilder, StatusCode};
use supercargo_engine::integration::{Credentials, Login};
use supercargo_engine::registry::RegistryKind;
use supercargo_engine::setup::{EventWay, Setup};

use super::given::secret;
use crate::command::http;
use crate::text::printable;
use crate::{Environment, Error, ErrorKind, Output, Result};

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

/// Makes the webhook, or changes the one that is there, and has Artifactory send a test event.
pub(super) async fn apply(
    args: &ApplyArgs,
    setup: &Setup<'_>,
    credentials: &Credentials,
    environment: &Environment,
    output: &mut Output,
) -> Result<()> {
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
    let client = http::client(&address, environment)?;
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

struct Call {
    client: reqwest::Client,
    login: Login,
    key: String,
}

impl Call {
    async fn send(&self, method: Method, url: &str, body: Option<&str>) -> Result<(StatusCode, String)> {
        let failed = |error: reqwest::Error| {
            Error::failed(format!("ask Artifactory about the webhook {}", self.key), error.without_url())
        };
        let mut request = self.signed(self.client.request(method, url));
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_owned());
        }
        let answer = request.send().await.map_err(failed)?;
        let status = answer.status();
        Ok((status, http::text(answer).await.map_err(failed)?))
    }

    fn signed(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.login {
            Login::Bearer { token } => request.header(AUTHORIZATION, format!("Bearer {}", token.expose())),
            Login::Basic { username, password } => request.basic_auth(username, Some(password.expose())),
        }
    }
}

fn short(text: &str) -> String {
    crate::text::cut(text.trim(), TOLD).into_owned()
}
