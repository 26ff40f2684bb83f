//! Artifactory's webhook, made by its REST API.

use std::path::PathBuf;

use clap::Args;
use http::StatusCode;
use supercargo_engine::integration::{Credentials, Login, registry_settings};
use supercargo_engine::registry::RegistryKind;
use supercargo_engine::setup::{EventWay, Setup};
use supercargo_engine::store::Integration;

use super::given::secret;
use crate::integrations::{Report, Webhooks};
use crate::text::printable;
use crate::{Environment, Error, ErrorKind, Output, Result};

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
    let Side { integration, setup, credentials, environment } = side;
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
    let webhooks = Webhooks::new(&registry_settings(integration), &platform, login, environment)?;

    let known = webhooks.find(&key).await?;
    let made = match known.status {
        StatusCode::NOT_FOUND => webhooks.create(&body).await?,
        status if status.is_success() => webhooks.replace(&key, &body).await?,
        _ => known,
    };
    if !made.status.is_success() {
        let status = made.status;
        let hint = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                "it takes a token of an administrator, a project's administrator, or the role Manage Webhooks: \
                 --admin-token-file"
            }
            _ => "`supercargo integration template` without --apply prints the call",
        };
        let told = format!("make the webhook {key} at {platform}: {status}: {}", made.told());
        return Err(Error::new(ErrorKind::Failed, told).with_hint(hint));
    }
    let done = if made.status == StatusCode::CREATED { "made" } else { "changed" };
    output.say(format_args!("webhook {key} is {done} at {platform}"));
    // Whether Artifactory reaches us is for it to say: it refuses private addresses unless it is told otherwise.
    let tested = webhooks.test(&body).await?;
    match tested.report() {
        Report::Sent if tested.status.is_success() => output.say("Artifactory sent a test event"),
        report => {
            let told = if let Report::Failed(told) = report { told } else { tested.told() };
            let status = tested.status;
            output
                .say(format_args!("warning: Artifactory could not send a test event ({status}): {}", printable(&told)));
        }
    }
    Ok(())
}
