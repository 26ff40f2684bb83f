//! `supercargo config`.

use clap::{Args, Subcommand};

use crate::{Environment, Error, ErrorKind, Exit, Output, Result, settings};

#[derive(Args, Debug)]
pub(super) struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Show or set the organization at Docker Scout that is meant where none is named
    Organization(OrganizationArgs),
}

#[derive(Args, Debug)]
struct OrganizationArgs {
    /// The organization; "" takes it back. Without it, the one that is set is printed
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

pub(super) fn run(args: &ConfigArgs, environment: &Environment, output: &mut Output) -> Result<Exit> {
    match &args.command {
        ConfigCommand::Organization(args) => organization(args, environment, output),
    }
}

/// Prints what `docker scout config organization` prints.
fn organization(args: &OrganizationArgs, environment: &Environment, output: &mut Output) -> Result<Exit> {
    let failed = |problem: String| Error::new(ErrorKind::Failed, format!("use the settings: {problem}"));
    match &args.name {
        Some(name) => {
            settings::set_organization(environment, name).map_err(failed)?;
            output.say(format_args!("✓ Successfully set organization to {}", crate::text::printable(name)));
        }
        None => {
            let name = settings::organization(environment).map_err(failed)?.unwrap_or_default();
            writeln!(output.out(), "organization={}", crate::text::printable(&name))
                .map_err(|error| Error::io("print", error))?;
        }
    }
    Ok(Exit::Done)
}
