//! `supercargo audit`: who changed what.

use clap::Args;
use jiff::Timestamp;
use supercargo_engine::store::{AuditEntry, AuditFilter, Page};

use super::list::{JsonArray, ListFormat, all, nothing, print_failed};
use crate::table::Table;
use crate::text::cut;
use crate::watch::args::DataArgs;
use crate::{Environment, Exit, Output, Result, cli, data};

/// Characters of the details in the table.
const DETAILS: usize = 60;

#[derive(Args, Debug)]
pub(super) struct AuditArgs {
    /// Only what this one did, such as cli:alice or token:ci#3
    #[arg(long, value_name = "WHO")]
    actor: Option<String>,

    /// Only this action, such as integration.create, or integration for all that begin so
    #[arg(long, value_name = "ACTION")]
    action: Option<String>,

    /// Only what was done to this one
    #[arg(long, value_name = "NAME")]
    subject: Option<String>,

    /// Only what was done since, such as 2026-11-22T08:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,

    #[command(flatten)]
    data: DataArgs,

    /// How the list is printed
    #[arg(short, long, value_enum, default_value_t = ListFormat::Table, value_name = "FORMAT")]
    output: ListFormat,
}

pub(super) fn run(args: &AuditArgs, environment: &Environment, output: &mut Output) -> Result<Exit> {
    let directory = args.data.directory(environment)?;
    let filter = AuditFilter {
        actor: args.actor.clone(),
        action: args.action.clone(),
        subject: args.subject.clone(),
        since: args.since,
    };
    cli::block_on(async {
        let store = data::look(directory).await?;
        let page = async |page: Page| store.audit(&filter, &page).await;
        match args.output {
            ListFormat::Json => {
                let mut array = JsonArray::default();
                all(page, |entry| array.item(output.out(), &entry)).await?;
                array.end(output.out())?;
            }
            ListFormat::Table => {
                let mut table = Table::new(["AT", "WHO", "ACTION", "SUBJECT", "DETAILS"]);
                let mut found = false;
                let each = |entry: AuditEntry| {
                    found = true;
                    line(&mut table, &entry);
                    Ok(())
                };
                all(page, each).await?;
                if found {
                    table.print(output.out()).map_err(print_failed)?;
                } else {
                    nothing(output, "nothing was changed yet, or not by these");
                }
            }
        }
        Ok(Exit::Done)
    })
}

fn line(table: &mut Table, entry: &AuditEntry) {
    let details = match &entry.details {
        serde_json::Value::Object(members) if members.is_empty() => String::new(),
        details => details.to_string(),
    };
    table.row([
        &entry.at.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        entry.actor.as_str(),
        &entry.action,
        &entry.subject,
        &cut(&details, DETAILS),
    ]);
}
