//! `supercargo config`: the configuration file, looked at without starting anything; the organization that is meant
//! where none is named.

use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Subcommand};

use super::list::print_failed;
use crate::config::{Config, settings};
use crate::watch::args::{ServerCommand, WatchArgs};
use crate::{Environment, Error, ErrorKind, Exit, Output, Result, cli, watch};

#[derive(Args, Debug)]
pub(super) struct ConfigCommand {
    #[command(subcommand)]
    command: ConfigAction,
}

#[derive(Debug, Subcommand)]
enum ConfigAction {
    /// Say everything that is wrong with a configuration file
    Check(FileArgs),
    /// Print the settings that the programs would run with, and where each comes from
    Show(FileArgs),
    /// Show or set the organization at Docker Scout that is meant where none is named
    Organization(OrganizationArgs),
}

#[derive(Args, Debug)]
struct OrganizationArgs {
    /// The organization; "" takes it back. Without it, the one that is set is printed
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

#[derive(Args, Debug)]
struct FileArgs {
    /// The configuration file
    #[arg(value_name = "FILE", env = "SUPERCARGO_CONFIG", hide_env_values = true)]
    file: Option<PathBuf>,
}

pub(super) fn run(args: &ConfigCommand, environment: &Environment, output: &mut Output) -> Result<Exit> {
    match &args.command {
        ConfigAction::Check(args) => check(args.file()?, environment, output),
        ConfigAction::Show(args) => show(args.file()?, output),
        ConfigAction::Organization(args) => organization(args, environment, output),
    }
}

impl FileArgs {
    fn file(&self) -> Result<&Path> {
        let missing = || Error::usage(vec!["name a file, or set SUPERCARGO_CONFIG".to_owned()]);
        self.file.as_deref().ok_or_else(missing)
    }
}

/// The settings as `supercargo-server` and `supercargo-watch` would have them. What they are is the server's; the
/// watcher's own keys are tried as well.
fn matches(file: &Path) -> Result<(ArgMatches, Config)> {
    let usage = |problems| Error::usage(problems);
    let (watcher, _) = cli::configure(&WatchArgs::command(), file).map_err(usage)?;
    let (server, config) = cli::configure(&ServerCommand::command(), file).map_err(usage)?;
    let read = |command: clap::Command| {
        let name = command.get_name().to_owned();
        command.try_get_matches_from([name]).map_err(|error| Error::usage(vec![error.to_string()]))
    };
    read(watcher)?;
    Ok((read(server)?, config))
}

fn check(file: &Path, environment: &Environment, output: &mut Output) -> Result<Exit> {
    let (matches, config) = matches(file)?;
    let args = ServerCommand::from_arg_matches(&matches).map_err(|error| Error::usage(vec![error.to_string()]))?;
    watch::check(&args, &config, environment)?;
    output.say(format_args!("{}: nothing is wrong with it", file.display()));
    Ok(Exit::Done)
}

fn show(file: &Path, output: &mut Output) -> Result<Exit> {
    let (matches, config) = matches(file)?;
    let mut lines = Vec::new();
    for known in settings::KNOWN {
        let Ok(Some(values)) = matches.try_get_raw(known.arg) else { continue };
        let values: Vec<String> = values.map(|value| value.to_string_lossy().into_owned()).collect();
        let in_file = config.settings.iter().find(|setting| setting.key == known.key);
        let origin = match (matches.value_source(known.arg), in_file) {
            (Some(ValueSource::EnvVariable), _) => "environment".to_owned(),
            (_, Some(setting)) => setting.at.to_string(),
            _ => "default".to_owned(),
        };
        lines.push((format!("{} = {}", known.key, values.join(" ")), origin));
    }
    let tables = config.registries.iter().map(|table| ("registry", table));
    let tables = tables.chain(config.sources.iter().map(|table| ("event-source", table)));
    let sinks = config.sinks.iter().map(|(name, table)| (format!("sink.{name}"), table));
    for (name, table) in tables.map(|(name, table)| (name.to_owned(), table)).chain(sinks) {
        for (key, field) in table.fields() {
            lines.push((format!("{name}.{key} = {}", field.value), field.at.to_string()));
        }
    }
    let width = lines.iter().map(|(text, _)| text.chars().count()).max().unwrap_or_default().min(60);
    for (text, origin) in lines {
        writeln!(output.out(), "{text:<width$}  # {origin}").map_err(print_failed)?;
    }
    Ok(Exit::Done)
}

/// Prints what `docker scout config organization` prints.
fn organization(args: &OrganizationArgs, environment: &Environment, output: &mut Output) -> Result<Exit> {
    let failed = |problem: String| Error::new(ErrorKind::Failed, format!("use the settings: {problem}"));
    match &args.name {
        Some(name) => {
            crate::settings::set_organization(environment, name).map_err(failed)?;
            output.say(format_args!("✓ Successfully set organization to {}", crate::text::printable(name)));
        }
        None => {
            let name = crate::settings::organization(environment).map_err(failed)?.unwrap_or_default();
            writeln!(output.out(), "organization={}", crate::text::printable(&name))
                .map_err(|error| Error::io("print", error))?;
        }
    }
    Ok(Exit::Done)
}
