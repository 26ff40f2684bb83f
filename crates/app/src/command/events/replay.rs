//! `supercargo events replay`.

use std::path::PathBuf;

use ::http::header::AUTHORIZATION;
use clap::Args;
use serde::Deserialize;

use crate::client;
use crate::text::printable;
use crate::{Environment, Error, ErrorKind, Exit, Output, Result, cli, secrets};

#[derive(Args, Debug)]
pub(super) struct ReplayArgs {
    /// Its number, as the list has it
    event: i64,

    /// Address of the server
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://127.0.0.1:8080",
        env = "SUPERCARGO_SERVER",
        hide_env_values = true
    )]
    server: String,

    /// File with the token of the server's API. Also SUPERCARGO_API_TOKEN
    #[arg(long, value_name = "FILE", env = "SUPERCARGO_API_TOKEN_FILE", hide_env_values = true)]
    api_token_file: Option<PathBuf>,
}

/// What the server says.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    outcome: String,
    event: Option<i64>,
    reason: Option<String>,
    /// Of a problem.
    detail: Option<String>,
}

pub(super) fn run(args: &ReplayArgs, environment: &Environment, output: &mut Output) -> Result<Exit> {
    let token = secrets::read("--api-token-file", args.api_token_file.as_deref(), "SUPERCARGO_API_TOKEN", environment)
        .map_err(|problem| Error::usage(vec![problem]))?;
    let (status, answer) = cli::block_on(ask(args, token.first().map(String::as_str), environment))?;
    if !status.is_success() {
        let why = answer.detail.unwrap_or_else(|| status.to_string());
        return Err(Error::new(ErrorKind::Failed, format!("replay event {}: {why}", args.event)));
    }
    match (answer.event, answer.reason) {
        (Some(event), _) => output.say(format_args!("event {} is received again as event {event}", args.event)),
        (None, reason) => output.say(format_args!(
            "event {} asks for nothing ({}): {}",
            args.event,
            printable(&answer.outcome),
            printable(&reason.unwrap_or_default())
        )),
    }
    Ok(if answer.event.is_some() { Exit::Done } else { Exit::Partial })
}

async fn ask(
    args: &ReplayArgs,
    token: Option<&str>,
    environment: &Environment,
) -> Result<(reqwest::StatusCode, Answer)> {
    let failed =
        |error: reqwest::Error| Error::failed(format!("ask the server at {}", args.server), error.without_url());
    let url = format!("{}/v1/events/{}", args.server.trim_end_matches('/'), args.event);
    let mut request = client::client(&url, environment)?.post(url);
    if let Some(token) = token {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    let answer = request.send().await.map_err(failed)?;
    let status = answer.status();
    let body = answer.bytes().await.map_err(failed)?;
    let answer = serde_json::from_slice(&body).map_err(|error| {
        Error::failed(format!("read the answer of {}: is it a supercargo server?", args.server), error)
    })?;
    Ok((status, answer))
}
