//! `supercargo-server --print-endpoints`: what to paste where.

use supercargo_engine::events::SecretUse;

use super::args::ServerCommand;
use crate::service::{EndpointPlan, SourcePlan};
use crate::{Error, Exit, Output, Result};

/// Prints the address of every source of events with its secret. This is the one place where secrets are printed, to
/// the person who has to give them to a registry.
pub(super) fn print(endpoint: Option<&EndpointPlan>, args: &ServerCommand, output: &mut Output) -> Result<Exit> {
    let failed = |error| Error::io("print", error);
    let Some(endpoint) = endpoint else { return Ok(Exit::Done) };
    if endpoint.sources.is_empty() {
        output.say("no event source is configured: name one with --event-source, or a secret with --event-secret-file");
    }
    let base = base(args);
    for (number, source) in endpoint.sources.iter().enumerate() {
        let port = endpoint.ports.iter().find(|(_, name)| *name == source.name).map(|(port, _)| *port);
        let gap = if number == 0 { "" } else { "\n" };
        writeln!(output.out(), "{gap}{} ({})", source.name, source.provider.name).map_err(failed)?;
        for (name, value) in lines(source, &base, port) {
            writeln!(output.out(), "  {name:<8}{value}").map_err(failed)?;
        }
    }
    if args.server.public_url.is_none() && !endpoint.sources.is_empty() {
        output.say("hint: --public-url says under which address registries reach this server");
    }
    Ok(Exit::Done)
}

fn lines(source: &SourcePlan, base: &str, port: Option<u16>) -> Vec<(&'static str, String)> {
    if let Some(queue) = &source.queue {
        return vec![("queue", queue.shown().to_owned())];
    }
    let mut lines = match port {
        Some(port) => vec![("port", format!("{port}, any path"))],
        None => vec![("address", format!("{base}{}", source.path()))],
    };
    if let (Some(secret), SecretUse::Beside) = (&source.shown, source.provider.secret) {
        lines.push(("secret", secret.clone()));
    }
    if source.config.open {
        lines.push(("secret", "none: it takes deliveries from anyone".to_owned()));
    }
    lines
}

fn base(args: &ServerCommand) -> String {
    match &args.server.public_url {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => {
            let scheme = if args.server.tls_certificate.is_some() { "https" } else { "http" };
            let host = match args.listen.as_str() {
                port if port.bytes().all(|byte| byte.is_ascii_digit()) => format!("127.0.0.1:{port}"),
                port if port.starts_with(':') => format!("127.0.0.1{port}"),
                address => address.to_owned(),
            };
            format!("{scheme}://{host}")
        }
    }
}
