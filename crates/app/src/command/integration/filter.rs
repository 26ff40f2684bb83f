//! `supercargo integration filter`: which images are wanted, and how many those would be.

use clap::Args;
use supercargo_engine::integration::SelectionPreview;
use supercargo_engine::store::{IntegrationPolicy, Selection};

use super::open::{self, actor};
use super::policy::{self, PolicyArgs};
use super::{find, list::Item};
use crate::command::list::{ListFormat, print_failed};
use crate::integrations::KeyArgs;
use crate::text::{count, printable};
use crate::watch::args::DataArgs;
use crate::{Environment, Error, Exit, Output, Result, cli};

/// Tags that a preview in JSON names.
const NAMED: usize = 1000;

#[derive(Args, Debug)]
pub(super) struct FilterArgs {
    /// Its name
    #[arg(value_name = "NAME")]
    name: String,

    #[command(flatten)]
    policy: PolicyArgs,

    /// Begin with all images, and not with what is set
    #[arg(long)]
    reset: bool,

    /// Ask the registry how many images this selects, and change nothing
    #[arg(long)]
    preview: bool,

    #[command(flatten)]
    key: KeyArgs,

    #[command(flatten)]
    data: DataArgs,

    /// How it is printed
    #[arg(short, long, value_enum, default_value_t = ListFormat::Table, value_name = "FORMAT")]
    output: ListFormat,
}

pub(super) fn run(args: &FilterArgs, environment: &Environment, output: &mut Output) -> Result<Exit> {
    let directory = args.data.directory(environment)?;
    cli::block_on(async {
        let store = crate::data::look(directory.clone()).await?;
        let integration = find(&*store, &args.name).await?;
        let before = match args.reset {
            true => IntegrationPolicy { selection: Selection::default(), ..integration.policy.clone() },
            false => integration.policy.clone(),
        };
        let policy = args.policy.change(before).map_err(Error::usage)?;
        if args.preview {
            let integrations = open::usable(store.clone(), &directory, &args.key, environment, &integration)?;
            let preview = integrations.preview(&integration, &policy.selection, NAMED).await?;
            print(&preview, args.output, output)?;
            return Ok(Exit::Done);
        }
        if !args.policy.is_given() && !args.reset {
            writeln!(output.out(), "{}", policy::in_words(&policy)).map_err(print_failed)?;
            return Ok(Exit::Done);
        }
        let changed = store.set_integration_policy(integration.id, policy, &actor(environment)).await?;
        match args.output {
            ListFormat::Json => {
                let item = Item::of(&changed);
                let text = serde_json::to_string_pretty(&item).map_err(|error| Error::failed("print", error))?;
                writeln!(output.out(), "{text}").map_err(print_failed)?;
            }
            ListFormat::Table => {
                writeln!(output.out(), "{}", printable(&policy::in_words(&changed.policy))).map_err(print_failed)?;
            }
        }
        Ok(Exit::Done)
    })
}

fn print(preview: &SelectionPreview, format: ListFormat, output: &mut Output) -> Result<()> {
    if format == ListFormat::Json {
        let text = serde_json::to_string_pretty(preview).map_err(|error| Error::failed("print", error))?;
        return writeln!(output.out(), "{text}").map_err(print_failed);
    }
    let repositories = |number: u64| match number {
        1 => "1 repository".to_owned(),
        more => format!("{more} repositories"),
    };
    let SelectionPreview { images, repositories: with, at_once, unreadable, .. } = preview;
    let out = output.out();
    writeln!(out, "this selects {} in {}", count(*images, "image"), repositories(*with)).map_err(print_failed)?;
    writeln!(out, "enabling all of these indexes {} at once", count(*at_once, "image")).map_err(print_failed)?;
    if *unreadable > 0 {
        output.say(format_args!("{} could not be read and do not count", repositories(*unreadable)));
    }
    Ok(())
}
