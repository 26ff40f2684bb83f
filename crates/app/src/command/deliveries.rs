//! `supercargo deliveries`.

use clap::{Args, Subcommand, ValueEnum};
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
    }
}

fn list(args: &ListArgs, environment: &Environment, output: &mut Output) -> Result<Exit> {
    let directory = args.data.directory(environment)?;
    let filter = DeliveryFilter { sink: args.to.clone(), state: args.state.map(Into::into), id: None };
    let is_wanted = |row: &DeliveryRecord| args.state.is_some() || row.state != JobState::Done;
    cli::block_on(async {
        let store = data::look(directory).await?;
        let page = async |page| store.deliveries(&filter, &page).await;
        match args.output {
            ListFormat::Json => {
                let mut array = JsonArray::default();
                let each = |row| if is_wanted(&row) { array.item(output.out(), &row) } else { Ok(()) };
                all(page, each).await?;
                array.end(output.out())?;
            }
            ListFormat::Table => {
                let mut table = Table::new(["ID", "SINK", "NEWS", "IMAGE", "STATE", "ATTEMPTS", "NEXT", "REASON"]);
                let mut found = false;
                let each = |row| {
                    if is_wanted(&row) {
                        found = true;
                        line(&mut table, &row);
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
        Ok(Exit::Done)
    })
}

fn line(table: &mut Table, row: &DeliveryRecord) {
    let request = &row.request;
    let image = match &request.tag {
        Some(tag) => format!("{}:{tag}", request.repository),
        None => format!("{}@{}", request.repository, short(&request.subject)),
    };
    let next = match row.state {
        JobState::Queued => row.run_at.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        _ => String::new(),
    };
    let reason = row.last_error.as_ref().map(ToString::to_string).unwrap_or_default();
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
