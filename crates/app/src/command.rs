//! `supercargo`, the operator's command line.

mod audit;
mod completions;
mod config;
mod deliver;
mod deliveries;
#[cfg(feature = "demo")]
mod demo;
mod doctor;
mod enroll;
mod events;
mod generator;
mod images;
mod index;
mod integration;
mod list;
mod packages;
mod repo;
mod search;
mod source;
mod token;

use std::ffi::OsString;

use clap::{CommandFactory, Parser, Subcommand};

pub(crate) use self::index::write_file;
use crate::telemetry::{self, LogArgs};
use crate::{Environment, Exit, Output, cli};

/// Flags of `supercargo`.
#[derive(Debug, Parser)]
#[command(
    name = "supercargo",
    version,
    about = "Know what is in every container image that your registries hold",
    after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done in part.\n\
        Data goes to standard output, everything else to standard error.",
    args_override_self = true,
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
struct Operator {
    #[command(subcommand)]
    command: Command,

    #[command(flatten)]
    log: LogArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show all of it at work: a registry, images of this machine, and a watcher, in one process
    #[cfg(feature = "demo")]
    Demo(demo::DemoArgs),
    /// Index one image, directory or file and print what is in it
    Index(index::IndexArgs),
    /// List the images in the store
    Images(images::ImagesArgs),
    /// List the packages of an image, or of all images in the store
    Packages(packages::PackagesArgs),
    /// Find the images that hold a package, and the layer that brought it
    Search(search::SearchArgs),
    /// Tell what works and what does not: a registry, or this machine
    Doctor(doctor::DoctorArgs),
    /// Connect registries, and look at those that are connected
    Integration(integration::IntegrationArgs),
    /// Choose the repositories of connected registries that are indexed
    Repo(repo::RepoArgs),
    /// Make, list and revoke tokens for the API of a server
    Token(token::TokenArgs),
    /// Show who changed what
    Audit(audit::AuditArgs),
    /// Have images delivered to a sink, or print what would be sent
    Deliver(deliver::DeliverArgs),
    /// Show what waits for delivery, and try again what was given up
    Deliveries(deliveries::DeliveriesArgs),
    /// Enroll an organization at Docker Scout
    Enroll(enroll::EnrollArgs),
    /// Look at the deliveries of registries, and replay them
    Events(events::EventsArgs),
    /// Look at a configuration file without starting anything; show and set what is meant where nothing is named
    Config(config::ConfigCommand),
    /// Print completions for a shell
    Completions(completions::CompletionsArgs),
}

/// Runs `supercargo`.
pub fn supercargo(args: impl IntoIterator<Item = OsString>, environment: &Environment, output: &mut Output) -> Exit {
    cli::run::<Operator>(args, output, |operator, output| {
        telemetry::start(&operator.log.quieter(), environment, output.is_terminal())?;
        match operator.command {
            #[cfg(feature = "demo")]
            Command::Demo(args) => demo::run(&args, environment, output),
            Command::Index(args) => index::run(&args, environment, output),
            Command::Images(args) => images::run(&args, environment, output),
            Command::Packages(args) => packages::run(&args, environment, output),
            Command::Search(args) => search::run(&args, environment, output),
            Command::Doctor(args) => doctor::run(&args, environment, output),
            Command::Integration(args) => integration::run(&args, environment, output),
            Command::Repo(args) => repo::run(&args, environment, output),
            Command::Token(args) => token::run(&args, environment, output),
            Command::Audit(args) => audit::run(&args, environment, output),
            Command::Deliver(args) => deliver::run(&args, environment, output),
            Command::Deliveries(args) => deliveries::run(&args, environment, output),
            Command::Enroll(args) => enroll::run(&args, environment, output),
            Command::Events(args) => events::run(&args, environment, output),
            Command::Config(args) => config::run(&args, environment, output),
            Command::Completions(args) => completions::run(&args, output),
        }
    })
}

/// The definitions of all programs.
fn definitions() -> Vec<clap::Command> {
    std::iter::once(Operator::command()).chain(crate::watch::definitions()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definitions_hold() {
        for command in definitions() {
            command.debug_assert();
        }
    }
}
