//! `supercargo integration test`.

use std::io::Write;

use clap::Args;
use serde::Serialize;
use supercargo_engine::integration::{Examination, Step};
use supercargo_engine::store::Integration;

use super::find;
use super::list::Item;
use super::open::{self, actor};
use crate::command::list::{ListFormat, print_failed};
use crate::integrations::KeyArgs;
use crate::text::printable;
use crate::watch::args::DataArgs;
use crate::{Environment, Error, Exit, Output, Result, cli};

#[derive(Args, Debug)]
pub(super) struct TestArgs {
    /// Its name
    #[arg(value_name = "NAME")]
    name: String,

    #[command(flatten)]
    key: KeyArgs,

    #[command(flatten)]
    data: DataArgs,

    /// How the steps are printed
    #[arg(short, long, value_enum, default_value_t = ListFormat::Table, value_name = "FORMAT")]
    output: ListFormat,
}

/// A test, and how the integration stands after it.
#[derive(Serialize)]
struct Tested<'a> {
    #[serde(flatten)]
    examination: &'a Examination,
    integration: Item<'a>,
}

pub(super) fn run(args: &TestArgs, environment: &Environment, output: &mut Output) -> Result<Exit> {
    let directory = args.data.directory(environment)?;
    cli::block_on(async {
        let store = crate::data::look(directory.clone()).await?;
        let integration = find(&*store, &args.name).await?;
        let integrations = open::usable(store, &directory, &args.key, environment, &integration)?;
        let as_table = args.output == ListFormat::Table;
        let mut printed = Ok(());
        let tell = |step: &Step| {
            if as_table && printed.is_ok() {
                // A line at a time: a registry that does not answer takes a while to be given up.
                printed = print(output.out(), step).and_then(|()| output.flush());
            }
        };
        let (examination, after) = integrations.test(&args.name, tell, &actor(environment)).await?;
        printed.map_err(print_failed)?;
        if !as_table {
            let tested = Tested { examination: &examination, integration: Item::of(&after) };
            let text = serde_json::to_string_pretty(&tested).map_err(|error| Error::failed("print", error))?;
            writeln!(output.out(), "{text}").map_err(print_failed)?;
        }
        say_state(&integration, &after, output);
        Ok(if examination.passed { Exit::Done } else { Exit::Failed })
    })
}

/// Prints one step: a line, and one more with what to do.
fn print(writer: &mut dyn Write, step: &Step) -> std::io::Result<()> {
    let mark = match step.outcome {
        "passed" => "ok",
        "warned" => "warning",
        "failed" => "FAILED",
        _ => "-",
    };
    writeln!(writer, "{mark:<7}  {:<13} {}", step.step, printable(&step.detail))?;
    if let Some(advice) = &step.advice {
        writeln!(writer, "{:<7}  {:<13} hint: {}", "", "", printable(advice))?;
    }
    Ok(())
}

fn say_state(before: &Integration, after: &Integration, output: &mut Output) {
    let reason = after.reason.as_ref().map(|reason| format!(": {}", printable(&reason.message))).unwrap_or_default();
    match before.state == after.state {
        true => output.say(format_args!("{} is {}{reason}", after.name, after.state)),
        false => output.say(format_args!("{} was {} and is {}{reason}", after.name, before.state, after.state)),
    }
}
