//! `supercargo search`.

use std::collections::HashSet;

use clap::Args;
use supercargo_engine::store::{NameMatch, PackageMatch, Presence};
use supercargo_server::search::{PackageSearch, find};

use super::list::{JsonArray, ListFormat, all, full_name, nothing, places, print_failed};
use crate::table::Table;
use crate::text::{cut, short_digest};
use crate::watch::args::DataArgs;
use crate::{Environment, Exit, Output, Result, cli, data};

/// Characters of an instruction in the table. Some run scripts of many lines.
const INSTRUCTION: usize = 60;

#[derive(Args, Debug)]
#[command(after_help = "Searches:\n  \
    openssl                        a name, in any ecosystem\n  \
    openssl*, *ssl*                the begin of a name, or a part of it\n  \
    log4j-core@2.14.1              a version, as it is written\n  \
    'log4j-core@<2.17.1'           a range in the ecosystem's own order; also <=, >, >=, =, 2.14*,\n                                 \
    and several, parted by commas\n  \
    pkg:deb/debian/openssl         a package URL, with a version or a range if wanted")]
pub(super) struct SearchArgs {
    /// What to look for
    #[arg(value_name = "QUERY")]
    query: String,

    /// Images, too, that the registry no longer has
    #[arg(long)]
    include_gone: bool,

    #[command(flatten)]
    data: DataArgs,

    /// How the list is printed
    #[arg(short, long, value_enum, default_value_t = ListFormat::Table, value_name = "FORMAT")]
    output: ListFormat,
}

pub(super) fn run(args: &SearchArgs, environment: &Environment, output: &mut Output) -> Result<Exit> {
    let mut search: PackageSearch =
        args.query.parse().map_err(|error: supercargo_server::Error| crate::Error::usage(vec![error.to_string()]))?;
    search.query.presence = if args.include_gone { Presence::Any } else { Presence::Present };
    let directory = args.data.directory(environment)?;
    cli::block_on(async {
        let store = data::look(directory).await?;
        let page = async |page| find(store.as_ref(), &search, page).await;
        match args.output {
            ListFormat::Json => {
                let mut array = JsonArray::default();
                all(page, |found| array.item(output.out(), &found)).await?;
                array.end(output.out())?;
            }
            ListFormat::Table => {
                let mut found = Vec::new();
                let keep = |item| {
                    found.push(item);
                    Ok(())
                };
                all(page, keep).await?;
                if found.is_empty() {
                    nothing(output, &hint(&search));
                } else {
                    table(&found).print(output.out()).map_err(print_failed)?;
                }
            }
        }
        Ok(Exit::Done)
    })
}

fn table(found: &[PackageMatch]) -> Table {
    // A source package is told only where nothing installed goes by its name: `openssl` beside `openssl` says
    // nothing, `openssl` where there is only `libssl3` says that it is in there.
    let key = |item: &PackageMatch| (item.image.clone(), item.kind.clone(), item.name.clone(), item.version.clone());
    let installed: HashSet<_> = found.iter().filter(|item| !item.locations.is_empty()).map(key).collect();
    let mut table = Table::new(["PACKAGE", "VERSION", "IMAGE", "PLATFORM", "LAYER", "INSTRUCTION"]);
    for item in found {
        let layer = item.locations.iter().find_map(|location| location.layer.as_ref());
        let (place, instruction) = match layer {
            Some(layer) => (
                format!("{} {}", layer.index, short_digest(layer.digest.as_ref())),
                layer.instruction.as_deref().unwrap_or_default(),
            ),
            None if item.locations.is_empty() && installed.contains(&key(item)) => continue,
            None => ("(source)".to_owned(), ""),
        };
        table.row([
            &format!("{}/{}", item.kind, full_name(&item.kind, item.namespace.as_deref(), &item.name)),
            &item.version,
            &places(&item.places, &item.image),
            &item.platform.to_string(),
            &place,
            &cut(instruction, INSTRUCTION),
        ]);
    }
    table
}

fn hint(search: &PackageSearch) -> String {
    match &search.query.name {
        Some(NameMatch::Exact(name)) => format!("`supercargo search '*{name}*'` looks for names with this in them"),
        _ => "`supercargo packages` lists all there are".to_owned(),
    }
}
