//! The long-running programs: `supercargo-watch` and `supercargo-server`.

pub(crate) mod args;
mod endpoints;
pub(crate) mod scope;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::CommandFactory;
use supercargo_engine::{Options, Registries, Summary};
use supercargo_server::TokenText;

use crate::config::{Config, Table};
use crate::credentials::Credentials;
use crate::integrations::KeyArgs;
use crate::service::{EndpointPlan, Plan, Service, Surroundings};
use crate::signals::{Signals, Stop};
use crate::sinks::{SinkConfig, Sinks};
use crate::{Environment, Error, Exit, Output, Result, cli, data, telemetry};
use args::{ScopeArgs, ServerArgs, ServerCommand, WatchArgs};
use scope::Scope;

/// Runs `supercargo-watch`.
pub fn watch(args: impl IntoIterator<Item = OsString>, environment: &Environment, output: &mut Output) -> Exit {
    cli::run_configured::<WatchArgs>(args, output, |args, config, output| {
        telemetry::start(&args.log, environment, output.is_terminal())?;
        let flags = Flags {
            config: &config,
            scope: &args.scope,
            server: &args.server,
            listen: args.listen.as_deref(),
            data: args.data.directory(environment)?,
            interval: args.interval,
            make_secrets: false,
            key: &args.key,
        };
        let (org, tables) = (args.org.as_deref(), sink_tables(&config));
        let sinks = Sinks::read(&args.sinks, org, args.sbom.is_set(), tables, environment);
        let mut plan = flags.plan(sinks, environment)?;
        plan.options.dry_run = args.dry_run.is_set();
        if plan.routes.iter().any(|route| route.sink.kind() == "scout") {
            tracing::info!(
                "Docker publishes no reference of Scout's API: what is uploaded is what its open-source clients send"
            );
        }
        if args.dry_run.is_set() {
            tracing::info!("dry run: images are indexed, and nothing is delivered elsewhere");
        }
        // A watcher without anything to watch was started by mistake; a server waits for what will be connected.
        if plan.watches.is_empty() && !data::is_there(&plan.data) {
            return Err(nothing_to_watch());
        }
        cli::block_on(serve(plan, Need::Work, args.once, output))
    })
}

/// Runs `supercargo-server`.
pub fn server(args: impl IntoIterator<Item = OsString>, environment: &Environment, output: &mut Output) -> Exit {
    cli::run_configured::<ServerCommand>(args, output, |args, config, output| {
        telemetry::start(&args.log, environment, output.is_terminal())?;
        let flags = Flags {
            config: &config,
            scope: &args.scope,
            server: &args.server,
            listen: Some(&args.listen),
            data: args.data.directory(environment)?,
            interval: args.interval,
            make_secrets: args.print_endpoints,
            key: &args.key,
        };
        if args.print_endpoints {
            let (_, _, endpoint) = flags.read(environment)?;
            return endpoints::print(endpoint.as_ref(), &args, output);
        }
        let sinks = Sinks::read(&args.sinks, None, true, sink_tables(&config), environment);
        cli::block_on(serve(flags.plan(sinks, environment)?, Need::Nothing, false, output))
    })
}

/// What is wrong with a configuration file, beyond what its flags think of it: everything that both programs would
/// refuse to start with.
pub(crate) fn check(args: &ServerCommand, config: &Config, environment: &Environment) -> Result<()> {
    let flags = Flags {
        config,
        scope: &args.scope,
        server: &args.server,
        listen: Some(&args.listen),
        data: args.data.directory(environment)?,
        interval: args.interval,
        make_secrets: false,
        key: &args.key,
    };
    flags.plan(Sinks::read(&args.sinks, None, true, sink_tables(config), environment), environment)?;
    Ok(())
}

/// The `[sink.NAME]` tables, as flags would say them.
fn sink_tables(config: &Config) -> Vec<SinkConfig> {
    let sink = |(name, table): &(String, Table)| SinkConfig {
        origin: format!("{}: sink.{name}", table.at),
        name: Some(name.clone()),
        folder: table.at.folder().to_owned(),
        fields: table.fields().map(|(key, field)| (key.to_owned(), field.value.clone())).collect(),
    };
    config.sinks.iter().map(sink).collect()
}

/// What both programs are told.
struct Flags<'a> {
    config: &'a Config,
    scope: &'a ScopeArgs,
    server: &'a ServerArgs,
    listen: Option<&'a str>,
    data: PathBuf,
    interval: u64,
    make_secrets: bool,
    key: &'a KeyArgs,
}

impl Flags<'_> {
    /// What is watched and what is listened for, or everything that is wrong with what was asked for.
    fn read(&self, environment: &Environment) -> Result<(Scope, Credentials, Option<EndpointPlan>)> {
        let mut problems = Vec::new();
        let scope = Scope::read(self.scope, self.config, environment)
            .map_err(|error| problems.extend(error.into_problems()))
            .ok();
        let credentials = Credentials::of(environment).map_err(|problem| problems.push(problem)).ok();
        let hosts = scope.as_ref().map(Scope::hosts).unwrap_or_default();
        let ports = scope.as_ref().map(Scope::ports).unwrap_or_default();
        let around = Surroundings {
            config: self.config,
            hosts: &hosts,
            ports: &ports,
            data: &self.data,
            environment,
            make_secrets: self.make_secrets,
        };
        let endpoint = EndpointPlan::read(self.server, self.listen, &around)
            .map_err(|found| problems.extend(found))
            .unwrap_or_default();
        match (scope, credentials) {
            (Some(scope), Some(credentials)) if problems.is_empty() => Ok((scope, credentials, endpoint)),
            _ => Err(Error::usage(problems)),
        }
    }

    /// What is to be run, or everything that is wrong with what was asked for.
    fn plan(self, sinks: Result<Sinks, Vec<String>>, environment: &Environment) -> Result<Plan> {
        let mut problems = Vec::new();
        let sinks = sinks.map_err(|found| problems.extend(found)).unwrap_or_default();
        let read = self.read(environment).map_err(|error| problems.extend(error.into_problems())).ok();
        let watches = match &read {
            Some((scope, credentials, _)) => scope.watches(credentials)?,
            None => Vec::new(),
        };
        let registries: Registries = watches.iter().map(|watch| Arc::clone(&watch.registry)).collect();
        let routes =
            sinks.routes(registries.clone(), environment).map_err(|found| problems.extend(found)).unwrap_or_default();
        let Some((_, _, endpoint)) = read.filter(|_| problems.is_empty()) else {
            return Err(Error::usage(problems));
        };
        let options = Options {
            workers: usize::from(self.scope.workers),
            interval: Duration::from_secs(self.interval),
            sweep: Duration::from_secs(self.scope.tag_sweep),
            event_patience: Duration::from_secs(self.scope.event_patience),
            ..Options::default()
        };
        let (key, environment) = (self.key.clone(), environment.clone());
        Ok(Plan { data: self.data, watches, registries, routes, options, endpoint, key, environment })
    }
}

/// What there has to be to be watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// A registry, or an integration.
    Work,
    /// It may come later.
    Nothing,
}

fn nothing_to_watch() -> Error {
    let told = "nothing to watch: name a --registry or a --repository, or connect one: supercargo integration create";
    Error::usage(vec![told.to_owned()])
}

async fn first_token(service: &Service, need: Need) -> Result<Option<TokenText>> {
    match need {
        Need::Nothing => service.first_token().await,
        Need::Work => Ok(None),
    }
}

/// Runs the service until a signal ends it, or once.
async fn serve(plan: Plan, need: Need, once: bool, output: &mut Output) -> Result<Exit> {
    let mut signals = Signals::listen()?;
    let stop = Stop::new();
    let service = Service::open(plan).await?;
    if need == Need::Work && !service.has_work().await? {
        return Err(nothing_to_watch());
    }
    service.announce();
    // A server is what tokens are for; a watcher's operator makes one with `supercargo token create` if need be.
    if let Some(token) = first_token(&service, need).await? {
        let told = "the API's first token, an administrator's; it is not shown again";
        output.say(format_args!("{told}: {}", token.expose()));
    }
    let running = async {
        if once {
            service.run_once(&stop).await.map(|summary| exit_of(&summary))
        } else {
            service.run(&stop).await.map(|_| Exit::Done)
        }
    };
    tokio::select! {
        ended = running => ended,
        () = signals.supervise(&stop) => Ok(Exit::Interrupted),
    }
}

fn exit_of(summary: &Summary) -> Exit {
    for unreached in &summary.unreached {
        tracing::error!(registry = unreached.registry, reason = %unreached.reason, "registry not reached");
    }
    for left in &summary.undelivered {
        let reason = left.reason.as_ref().map(ToString::to_string).unwrap_or_default();
        tracing::error!(
            sink = left.sink,
            waiting = left.waiting,
            given_up = left.dead,
            reason,
            "not all was delivered"
        );
    }
    let is_whole = summary.counters.dead == 0 && summary.unreached.is_empty() && summary.undelivered.is_empty();
    if is_whole { Exit::Done } else { Exit::Partial }
}

/// The commands' definitions, for completions and manuals.
pub(crate) fn definitions() -> [clap::Command; 2] {
    [WatchArgs::command(), ServerCommand::command()]
}
