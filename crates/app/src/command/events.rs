//! `supercargo events`: deliveries, and what became of them.

mod replay;

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use supercargo_engine::store::{EventFilter, EventId, EventRecord, EventState, Store};

use super::list::{JsonArray, ListFormat, all, nothing, print_failed};
use crate::table::Table;
use crate::text::{bytes, printable};
use crate::watch::args::DataArgs;
use crate::{Environment, Error, ErrorKind, Exit, Output, Result, cli, data};

#[derive(Args, Debug)]
pub(super) struct EventsArgs {
    #[command(subcommand)]
    command: EventsCommand,
}

#[derive(Debug, Subcommand)]
enum EventsCommand {
    /// List the deliveries that came in, the latest first
    List(ListArgs),
    /// Print one delivery with its headers and its body
    Show(ShowArgs),
    /// Have a running server read a stored delivery again, and do what it asks for now
    Replay(replay::ReplayArgs),
}

#[derive(Args, Debug)]
struct ListArgs {
    /// Only those of this source
    #[arg(long, value_name = "NAME")]
    source: Option<String>,

    /// Only those in this state
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
    /// Its number, as the list has it
    event: i64,

    #[command(flatten)]
    data: DataArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum State {
    /// It asked for work
    Accepted,
    /// It asked for nothing; of what comes in great numbers, examples
    Ignored,
    /// It was not understood
    Quarantined,
}

impl From<State> for EventState {
    fn from(state: State) -> Self {
        match state {
            State::Accepted => Self::Accepted,
            State::Ignored => Self::Ignored,
            State::Quarantined => Self::Quarantined,
        }
    }
}

pub(super) fn run(args: &EventsArgs, environment: &Environment, output: &mut Output) -> Result<Exit> {
    match &args.command {
        EventsCommand::List(args) => list(args, environment, output),
        EventsCommand::Show(args) => show(args, environment, output),
        EventsCommand::Replay(args) => replay::run(args, environment, output),
    }
}

/// A delivery without its body, as the API has it.
#[derive(Serialize)]
struct Item<'a> {
    id: EventId,
    source: &'a str,
    key: &'a str,
    state: EventState,
    reason: Option<&'a str>,
    registry: Option<&'a str>,
    received_at: jiff::Timestamp,
    bytes: usize,
}

impl<'a> Item<'a> {
    fn of(EventRecord { id, event, received_at }: &'a EventRecord) -> Self {
        Self {
            id: *id,
            source: &event.source,
            key: &event.dedupe_key,
            state: event.state,
            reason: event.reason.as_deref(),
            registry: event.registry.as_deref(),
            received_at: *received_at,
            bytes: event.body.len(),
        }
    }
}

fn list(args: &ListArgs, environment: &Environment, output: &mut Output) -> Result<Exit> {
    let directory = args.data.directory(environment)?;
    let filter =
        EventFilter { source: args.source.clone(), state: args.state.map(EventState::from), ..EventFilter::default() };
    cli::block_on(async {
        let store = data::look(directory).await?;
        let page = async |page| store.events(&filter, &page).await;
        match args.output {
            ListFormat::Json => {
                let mut array = JsonArray::default();
                all(page, |event| array.item(output.out(), &Item::of(&event))).await?;
                array.end(output.out())?;
            }
            ListFormat::Table => {
                let mut table = Table::new(["EVENT", "RECEIVED", "SOURCE", "STATE", "SIZE", "REGISTRY", "REASON"]);
                let mut found = false;
                let add = |record: EventRecord| {
                    found = true;
                    row(&mut table, &record);
                    Ok(())
                };
                all(page, add).await?;
                if found {
                    table.print(output.out()).map_err(print_failed)?;
                } else {
                    nothing(output, "does a registry send its events here?");
                }
            }
        }
        Ok(Exit::Done)
    })
}

fn row(table: &mut Table, EventRecord { id, event, received_at }: &EventRecord) {
    table.row([
        &id.to_string(),
        &received_at.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        &event.source,
        event.state.as_str(),
        &bytes(event.body.len() as u64),
        event.registry.as_deref().unwrap_or_default(),
        event.reason.as_deref().unwrap_or_default(),
    ]);
}

fn show(args: &ShowArgs, environment: &Environment, output: &mut Output) -> Result<Exit> {
    let directory = args.data.directory(environment)?;
    cli::block_on(async {
        let store = data::look(directory).await?;
        let record = find(&*store, args.event).await?;
        let event = &record.event;
        let mut lines = vec![
            ("event", record.id.to_string()),
            ("received", record.received_at.to_string()),
            ("source", event.source.clone()),
            ("key", event.dedupe_key.clone()),
            ("state", event.state.as_str().to_owned()),
        ];
        lines.extend(event.registry.clone().map(|registry| ("registry", registry)));
        lines.extend(event.reason.clone().map(|reason| ("reason", reason)));
        for (name, value) in &lines {
            writeln!(output.out(), "{name:<10}{}", printable(value)).map_err(print_failed)?;
        }
        for (name, value) in &event.headers {
            writeln!(output.out(), "{:<10}{name}: {}", "header", printable(value)).map_err(print_failed)?;
        }
        writeln!(output.out()).map_err(print_failed)?;
        // Bodies are strangers' text: control characters would move the cursor of whoever looks.
        for line in String::from_utf8_lossy(&event.body).lines() {
            writeln!(output.out(), "{}", printable(line)).map_err(print_failed)?;
        }
        Ok(Exit::Done)
    })
}

async fn find(store: &dyn Store, id: i64) -> Result<EventRecord> {
    let filter = EventFilter { id: Some(EventId(id)), ..EventFilter::default() };
    let found = store.events(&filter, &supercargo_engine::store::Page::first(1)).await?.items.pop();
    found.ok_or_else(|| {
        Error::new(ErrorKind::NotFound, format!("find event {id}"))
            .with_hint("`supercargo events list` lists those that are kept, 14 days each")
    })
}
