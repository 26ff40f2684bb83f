//! `supercargo integration`: registries that are connected, from the first word of one to its end.

mod create;
mod credentials;
mod filter;
mod given;
mod list;
mod open;
mod policy;
mod remove;
mod show;
mod template;
mod test;
mod webhook;

use clap::{Args, Subcommand};
use supercargo_engine::store::{Integration, Store};

use crate::{Environment, Error, ErrorKind, Exit, Output, Result};

pub(super) use self::open::actor;

#[derive(Args, Debug)]
pub(super) struct IntegrationArgs {
    #[command(subcommand)]
    command: IntegrationCommand,
}

#[derive(Debug, Subcommand)]
enum IntegrationCommand {
    /// Connect a registry: its sort, a name for it, and how it is reached
    Create(Box<create::CreateArgs>),
    /// List the connected registries, and how each stands
    List(list::ListArgs),
    /// Show all that is known of an integration, and what there is to do next
    Show(show::ShowArgs),
    /// Test the connection to the registry, step by step
    Test(test::TestArgs),
    /// Print what has to be set up on the registry's side, filled in, and what it costs
    Template(template::TemplateArgs),
    /// Replace the credentials of an integration. They are never shown again
    Credentials(credentials::CredentialsArgs),
    /// Change which images are wanted; --preview says first how many that would be
    Filter(filter::FilterArgs),
    /// Remove an integration, and say what of it remains on the registry's side
    Remove(remove::RemoveArgs),
}

pub(super) fn run(args: &IntegrationArgs, environment: &Environment, output: &mut Output) -> Result<Exit> {
    match &args.command {
        IntegrationCommand::Create(args) => create::run(args, environment, output),
        IntegrationCommand::List(args) => list::run(args, environment, output),
        IntegrationCommand::Show(args) => show::run(args, environment, output),
        IntegrationCommand::Test(args) => test::run(args, environment, output),
        IntegrationCommand::Template(args) => template::run(args, environment, output),
        IntegrationCommand::Credentials(args) => credentials::run(args, environment, output),
        IntegrationCommand::Filter(args) => filter::run(args, environment, output),
        IntegrationCommand::Remove(args) => remove::run(args, environment, output),
    }
}

/// The integration of this name.
pub(super) async fn find(store: &dyn Store, name: &str) -> Result<Integration> {
    store.integration(name).await?.ok_or_else(|| {
        Error::new(ErrorKind::NotFound, format!("find the integration {name}: there is none of this name"))
            .with_hint("`supercargo integration list` lists those that are there")
    })
}
