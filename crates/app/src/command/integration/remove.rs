//! `supercargo integration remove`.

use std::io::{BufRead as _, IsTerminal as _};

use clap::Args;
use serde::Serialize;
use supercargo_engine::setup::{Remnant, Setup};
use supercargo_engine::store::{Removal, RemovedData};

use super::find;
use super::open::actor;
use crate::command::list::{ListFormat, print_failed};
use crate::text::{count, printable};
use crate::watch::args::DataArgs;
use crate::{Environment, Error, Exit, Output, Result, cli};

#[derive(Args, Debug)]
pub(super) struct RemoveArgs {
    /// Its name
    #[arg(value_name = "NAME")]
    name: String,

    /// Delete what is known of the registry: repositories, tags, and the images that no other registry has. Without it, it stays and is no longer kept up to date
    #[arg(long)]
    delete_data: bool,

    /// Do it without asking
    #[arg(short, long)]
    yes: bool,

    #[command(flatten)]
    data: DataArgs,

    /// How the outcome is printed
    #[arg(short, long, value_enum, default_value_t = ListFormat::Table, value_name = "FORMAT")]
    output: ListFormat,
}

/// What a removal has ended, and what it leaves.
#[derive(Serialize)]
struct Removed<'a> {
    #[serde(flatten)]
    removal: &'a Removal,
    /// What nothing here deletes.
    remains: &'a [Remnant],
}

pub(super) fn run(args: &RemoveArgs, environment: &Environment, output: &mut Output) -> Result<Exit> {
    let directory = args.data.directory(environment)?;
    let data = if args.delete_data { RemovedData::Delete } else { RemovedData::Keep };
    cli::block_on(async {
        let store = crate::data::look(directory).await?;
        let integration = find(&*store, &args.name).await?;
        if !args.yes && !confirm(&integration.name, &integration.registry, data, output)? {
            output.say("nothing is removed");
            return Ok(Exit::Failed);
        }
        let remains = Setup::of(&integration)?.remains();
        let removal = store.remove_integration(integration.id, data, &actor(environment)).await?;
        match args.output {
            ListFormat::Json => {
                let removed = Removed { removal: &removal, remains: &remains };
                let text = serde_json::to_string_pretty(&removed).map_err(|error| Error::failed("print", error))?;
                writeln!(output.out(), "{text}").map_err(print_failed)?;
            }
            ListFormat::Table => print(&removal, data, &remains, output)?,
        }
        Ok(Exit::Done)
    })
}

fn confirm(name: &str, registry: &str, data: RemovedData, output: &mut Output) -> Result<bool> {
    let input = std::io::stdin();
    if !output.is_terminal() || !input.is_terminal() {
        return Err(Error::usage(vec!["--yes: it is not given, and there is no terminal to ask at".to_owned()]));
    }
    let fate = match data {
        RemovedData::Keep => "What is known of its images stays",
        RemovedData::Delete => "WHAT IS KNOWN OF ITS IMAGES IS DELETED",
    };
    output.say(format_args!("{name} is no longer watched: {}. {fate}. Remove it? [y/N]", printable(registry)));
    let mut answer = String::new();
    input.lock().read_line(&mut answer).map_err(|error| Error::io("read the answer", error))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn print(removal: &Removal, data: RemovedData, remains: &[Remnant], output: &mut Output) -> Result<()> {
    let Removal { integration, jobs, repositories, images } = removal;
    let fate = match data {
        RemovedData::Keep => "what is known of its images stays".to_owned(),
        RemovedData::Delete => {
            let repositories = match repositories {
                1 => "1 repository".to_owned(),
                more => format!("{more} repositories"),
            };
            format!("{repositories} and {} deleted", count(*images, "image"))
        }
    };
    let ended = if *jobs == 0 { String::new() } else { format!(", {} ended", count(*jobs, "job")) };
    let name = &integration.name;
    writeln!(output.out(), "{name} is removed{ended}; {fate}").map_err(print_failed)?;
    if remains.is_empty() {
        writeln!(output.out(), "nothing remains on the registry's side").map_err(print_failed)?;
        return Ok(());
    }
    writeln!(output.out(), "\nthis remains on the registry's side, if it was set up there:").map_err(print_failed)?;
    for Remnant { what, command } in remains {
        writeln!(output.out(), "- {}", printable(what)).map_err(print_failed)?;
        if let Some(command) = command {
            writeln!(output.out(), "    {}", printable(command)).map_err(print_failed)?;
        }
    }
    Ok(())
}
