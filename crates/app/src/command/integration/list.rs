//! `supercargo integration list`.

use clap::Args;
use serde::Serialize;
use supercargo_engine::setup::Setup;
use supercargo_engine::store::{IncludeRemoved, Integration, IntegrationState};

use crate::command::list::{JsonArray, ListFormat, nothing, print_failed};
use crate::table::Table;
use crate::text::cut;
use crate::watch::args::DataArgs;
use crate::{Environment, Exit, Output, Result, cli};

/// Characters of a reason in the table.
const REASON: usize = 70;

#[derive(Args, Debug)]
pub(super) struct ListArgs {
    /// Those, too, that were removed
    #[arg(long)]
    include_removed: bool,

    #[command(flatten)]
    data: DataArgs,

    /// How the list is printed
    #[arg(short, long, value_enum, default_value_t = ListFormat::Table, value_name = "FORMAT")]
    output: ListFormat,
}

/// An integration as JSON has it: what the store keeps, and for Amazon ECR where it is.
#[derive(Serialize)]
pub(super) struct Item<'a> {
    #[serde(flatten)]
    integration: &'a Integration,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
}

impl<'a> Item<'a> {
    pub(super) fn of(integration: &'a Integration) -> Self {
        let place = Setup::of(integration).ok().and_then(|setup| setup.place());
        let (account, region) = place.map(|place| (place.account, place.region)).unzip();
        Self { integration, account, region }
    }
}

pub(super) fn run(args: &ListArgs, environment: &Environment, output: &mut Output) -> Result<Exit> {
    let directory = args.data.directory(environment)?;
    let removed = if args.include_removed { IncludeRemoved::Yes } else { IncludeRemoved::No };
    cli::block_on(async {
        let all = crate::data::look(directory).await?.integrations(removed).await?;
        match args.output {
            ListFormat::Json => {
                let mut array = JsonArray::default();
                all.iter().try_for_each(|integration| array.item(output.out(), &Item::of(integration)))?;
                array.end(output.out())?;
            }
            ListFormat::Table if all.is_empty() => {
                nothing(output, "`supercargo integration create` connects a registry");
            }
            ListFormat::Table => {
                let mut table = Table::new(["NAME", "KIND", "REGISTRY", "STATE", "SINCE", "LAST EVENT", "REASON"]);
                all.iter().for_each(|integration| line(&mut table, integration));
                table.print(output.out()).map_err(print_failed)?;
            }
        }
        Ok(Exit::Done)
    })
}

fn line(table: &mut Table, integration: &Integration) {
    let time = |time: jiff::Timestamp| time.strftime("%Y-%m-%d %H:%M").to_string();
    let reason = match integration.state {
        IntegrationState::Removed => String::new(),
        _ => integration.reason.as_ref().map(|reason| reason.message.clone()).unwrap_or_default(),
    };
    table.row([
        &integration.name,
        &integration.kind,
        &integration.registry,
        integration.state.as_str(),
        &time(integration.since),
        &integration.last_event.map(time).unwrap_or_default(),
        &cut(&reason, REASON),
    ]);
}
