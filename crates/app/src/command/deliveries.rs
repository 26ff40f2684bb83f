//! `supercargo deliveries`.

use std::collections::BTreeSet;

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use supercargo_engine::store::{DeliveryFilter, DeliveryId, DeliveryRecord, JobState, Page, Store};

use super::list::{JsonArray, ListFormat, all, nothing, print_failed, short};
use crate::table::Table;
use crate::text::{cut, printable};
use crate::watch::args::DataArgs;
use crate::{Environment, Error, ErrorKind, Exit, Output, Result, cli, data};

/// Characters of a reason in the table.
const REASON: usize = 70;

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct DeliveriesArgs {
    #[command(subcommand)]
    command: Option<DeliveriesCommand>,

    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Subcommand)]
enum DeliveriesCommand {
    /// List deliveries, the newest first: those that wait, are under way or were given up
    List(ListArgs),
    /// Show all that is known of one delivery, as JSON
    Show(ShowArgs),
    /// Try deliveries again that were given up
    Retry(RetryArgs),
    /// Take deliveries out of the outbox for good: those to a sink that is no longer named, or single ones
    Drop(DropArgs),
}

#[derive(Args, Debug)]
struct ListArgs {
    /// Only those to this sink
    #[arg(long, value_name = "NAME")]
    to: Option<String>,

    /// Only those in this state [default: all that are not done]
    #[arg(long, value_enum, value_name = "STATE")]
    state: Option<State>,

    #[command(flatten)]
    data: DataArgs,

    /// How the list is printed
    #[arg(short, long, value_enum, default_value_t = ListFormat::Table, value_name = "FORMAT")]
    output: ListFormat,
}

#[derive(Args, Debug)]
struct ShowArgs {
    /// Its number
    #[arg(value_name = "ID")]
    id: i64,

    #[command(flatten)]
    data: DataArgs,
}

#[derive(Args, Debug)]
struct RetryArgs {
    /// Their numbers
    #[arg(value_name = "ID", required_unless_present = "all", conflicts_with = "all")]
    ids: Vec<i64>,

    /// All that were given up
    #[arg(long)]
    all: bool,

    /// With --all: only those to this sink
    #[arg(long, value_name = "NAME", requires = "all")]
    to: Option<String>,

    #[command(flatten)]
    data: DataArgs,
}

#[derive(Args, Debug)]
struct DropArgs {
    /// Their numbers
    #[arg(value_name = "ID", required_unless_present = "to", conflicts_with = "to")]
    ids: Vec<i64>,

    /// All that wait for this sink or were given up
    #[arg(long, value_name = "NAME")]
    to: Option<String>,

    /// With --to: also if the watcher delivers there
    #[arg(long, requires = "to")]
    force: bool,

    #[command(flatten)]
    data: DataArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum State {
    Queued,
    Running,
    Done,
    Dead,
}

impl From<State> for JobState {
    fn from(state: State) -> Self {
        match state {
            State::Queued => Self::Queued,
            State::Running => Self::Running,
            State::Done => Self::Done,
            State::Dead => Self::Dead,
        }
    }
}

pub(super) fn run(args: &DeliveriesArgs, environment: &Environment, output: &mut Output) -> Result<Exit> {
    match &args.command {
        None => list(&args.list, environment, output),
        Some(DeliveriesCommand::List(args)) => list(args, environment, output),
        Some(DeliveriesCommand::Show(args)) => show(args, environment, output),
        Some(DeliveriesCommand::Retry(args)) => retry(args, environment, output),
        Some(DeliveriesCommand::Drop(args)) => remove(args, environment, output),
    }
}

fn list(args: &ListArgs, environment: &Environment, output: &mut Output) -> Result<Exit> {
    let directory = args.data.directory(environment)?;
    let filter = DeliveryFilter { sink: args.to.clone(), state: args.state.map(Into::into), id: None };
    let is_wanted = |row: &DeliveryRecord| args.state.is_some() || row.state != JobState::Done;
    cli::block_on(async {
        let store = data::look(directory).await?;
        let known = store.sinks().await?;
        let mut lost = BTreeSet::new();
        let page = async |page| store.deliveries(&filter, &page).await;
        match args.output {
            ListFormat::Json => {
                let mut array = JsonArray::default();
                let each = |row| match is_wanted(&row) {
                    true => array.item(output.out(), &Row { has_sink: has_sink(&row, &known), row: &row }),
                    false => Ok(()),
                };
                all(page, each).await?;
                array.end(output.out())?;
            }
            ListFormat::Table => {
                let mut table = Table::new(["ID", "SINK", "NEWS", "IMAGE", "STATE", "ATTEMPTS", "NEXT", "REASON"]);
                let mut found = false;
                let each = |row| {
                    if is_wanted(&row) {
                        found = true;
                        let has_sink = has_sink(&row, &known);
                        line(&mut table, &row, has_sink);
                        if !has_sink {
                            lost.insert(row.request.sink);
                        }
                    }
                    Ok(())
                };
                all(page, each).await?;
                if found {
                    table.print(output.out()).map_err(print_failed)?;
                } else {
                    nothing(output, "all is delivered, or there is no sink (--sink, --org of the watcher)");
                }
            }
        }
        for sink in lost {
            let sink = printable(&sink);
            output.say(format_args!(
                "the watcher has no sink called {sink}: name it again, or have its deliveries dropped by `supercargo deliveries drop --to {sink}`"
            ));
        }
        Ok(Exit::Done)
    })
}

/// A delivery, and whether somebody delivers to its sink.
#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    row: &'a DeliveryRecord,
    has_sink: bool,
}

/// Whether somebody delivers to the sink of `row`, or that matters no more.
fn has_sink(row: &DeliveryRecord, known: &[String]) -> bool {
    row.state == JobState::Done || known.contains(&row.request.sink)
}

fn line(table: &mut Table, row: &DeliveryRecord, has_sink: bool) {
    let request = &row.request;
    let image = match &request.tag {
        Some(tag) => format!("{}:{tag}", request.repository),
        None => format!("{}@{}", request.repository, short(&request.subject)),
    };
    let next = match row.state {
        JobState::Queued if !has_sink => "never".to_owned(),
        JobState::Queued => row.run_at.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        _ => String::new(),
    };
    let reason = match &row.last_error {
        _ if !has_sink => "no sink of this name".to_owned(),
        Some(reason) => reason.to_string(),
        None => String::new(),
    };
    table.row([
        &row.id.to_string(),
        &request.sink,
        request.kind.as_str(),
        &image,
        row.state.as_str(),
        &row.attempt.to_string(),
        &next,
        &cut(&reason, REASON),
    ]);
}

fn show(args: &ShowArgs, environment: &Environment, output: &mut Output) -> Result<Exit> {
    let directory = args.data.directory(environment)?;
    cli::block_on(async {
        let store = data::look(directory).await?;
        let filter = DeliveryFilter { id: Some(DeliveryId(args.id)), ..DeliveryFilter::default() };
        let found = store.deliveries(&filter, &Page::first(1)).await?.items.pop().ok_or_else(|| {
            Error::new(ErrorKind::NotFound, format!("find the delivery {}", args.id))
                .with_hint("`supercargo deliveries list --state done` lists those that have arrived")
        })?;
        let text = serde_json::to_string_pretty(&found).map_err(|error| Error::failed("print", error))?;
        writeln!(output.out(), "{text}").map_err(print_failed)?;
        Ok(Exit::Done)
    })
}

fn retry(args: &RetryArgs, environment: &Environment, output: &mut Output) -> Result<Exit> {
    let directory = args.data.directory(environment)?;
    cli::block_on(async {
        let store = data::look(directory).await?;
        let mut ids: Vec<DeliveryId> = args.ids.iter().copied().map(DeliveryId).collect();
        if args.all {
            ids = dead(&*store, args.to.clone()).await?;
        }
        for id in &ids {
            store.retry_delivery(*id).await?;
            output.say(format_args!("delivery {id} is tried again"));
        }
        if ids.is_empty() {
            nothing(output, &printable("no delivery was given up"));
        }
        Ok(Exit::Done)
    })
}

fn remove(args: &DropArgs, environment: &Environment, output: &mut Output) -> Result<Exit> {
    let directory = args.data.directory(environment)?;
    cli::block_on(async {
        let store = data::look(directory).await?;
        let dropped = match &args.to {
            Some(sink) => {
                if !args.force && store.sinks().await?.contains(sink) {
                    let problem = format!("--to: the watcher delivers to {sink}, and what waits for it would be lost");
                    return Err(Error::usage(vec![problem]).with_hint("if that is meant: --force"));
                }
                store.drop_deliveries(&DeliveryFilter { sink: Some(sink.clone()), ..DeliveryFilter::default() }).await?
            }
            None => {
                for id in args.ids.iter().copied().map(DeliveryId) {
                    let one = DeliveryFilter { id: Some(id), ..DeliveryFilter::default() };
                    if store.drop_deliveries(&one).await? == 0 {
                        let error = Error::new(ErrorKind::NotFound, format!("drop the delivery {id}"));
                        return Err(
                            error.with_hint("what waits or was given up can be dropped: `supercargo deliveries`")
                        );
                    }
                }
                args.ids.len() as u64
            }
        };
        match dropped {
            0 => nothing(output, "no delivery waits for a sink of that name"),
            1 => output.say(format_args!("1 delivery dropped")),
            more => output.say(format_args!("{more} deliveries dropped")),
        }
        Ok(Exit::Done)
    })
}

async fn dead(store: &dyn Store, sink: Option<String>) -> Result<Vec<DeliveryId>> {
    let filter = DeliveryFilter { sink, state: Some(JobState::Dead), id: None };
    let mut ids = Vec::new();
    let each = |row: DeliveryRecord| {
        ids.push(row.id);
        Ok(())
    };
    all(async |page| store.deliveries(&filter, &page).await, each).await?;
    Ok(ids)
}
