//! `supercargo integration show`.

use std::io::Write;

use clap::Args;
use serde::Serialize;
use supercargo_engine::setup::{EventWay, Setup};
use supercargo_engine::store::{Integration, IntegrationMove, IntegrationState, Page, RepositorySettingFilter, Store};

use super::given::PublicUrlArgs;
use super::list::Item;
use super::{find, policy};
use crate::command::list::{ListFormat, all, print_failed};
use crate::text::{count, printable};
use crate::watch::args::DataArgs;
use crate::{Environment, Error, Exit, Output, Result, cli};

/// Steps of its life that are printed.
const HISTORY: usize = 8;

#[derive(Args, Debug)]
pub(super) struct ShowArgs {
    /// Its name
    #[arg(value_name = "NAME")]
    name: String,

    #[command(flatten)]
    public_url: PublicUrlArgs,

    #[command(flatten)]
    data: DataArgs,

    /// How it is printed
    #[arg(short, long, value_enum, default_value_t = ListFormat::Table, value_name = "FORMAT")]
    output: ListFormat,
}

/// All that is known of an integration.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    item: Item<'a>,
    repositories: Repositories,
    history: &'a [IntegrationMove],
    next: &'a [String],
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Repositories {
    known: u64,
    enabled: u64,
}

pub(super) fn run(args: &ShowArgs, environment: &Environment, output: &mut Output) -> Result<Exit> {
    let directory = args.data.directory(environment)?;
    cli::block_on(async {
        let store = crate::data::look(directory).await?;
        let integration = find(&*store, &args.name).await?;
        let history = store.integration_history(integration.id).await?;
        let repositories = repositories(&*store, &integration.name).await?;
        let setup = Setup { public_url: args.public_url.given(), ..Setup::of(&integration)? };
        let next = next(&integration, &setup, repositories);
        match args.output {
            ListFormat::Json => {
                let shown = Shown { item: Item::of(&integration), repositories, history: &history, next: &next };
                let text = serde_json::to_string_pretty(&shown).map_err(|error| Error::failed("print", error))?;
                writeln!(output.out(), "{text}").map_err(print_failed)?;
            }
            ListFormat::Table => {
                print(&integration, &setup, repositories, output.out()).map_err(print_failed)?;
                print_history(&history, output.out()).map_err(print_failed)?;
                output.flush().map_err(print_failed)?;
                tell_next(&next, output);
            }
        }
        Ok(Exit::Done)
    })
}

async fn repositories(store: &dyn Store, name: &str) -> Result<Repositories> {
    let filter = RepositorySettingFilter::of(name);
    let mut counted = Repositories::default();
    let each = |setting: supercargo_engine::store::RepositorySetting| {
        counted.known += 1;
        counted.enabled += u64::from(setting.enabled);
        Ok(())
    };
    all(async |page: Page| store.repository_settings(&filter, &page).await, each).await?;
    Ok(counted)
}

fn print(of: &Integration, setup: &Setup<'_>, counted: Repositories, out: &mut dyn Write) -> std::io::Result<()> {
    let mut lines = vec![
        ("name", of.name.clone()),
        ("kind", of.kind.clone()),
        ("registry", of.registry.clone()),
        ("state", format!("{} since {}", of.state, time(of.since))),
    ];
    lines.extend(of.reason.as_ref().map(|reason| ("reason", reason.message.clone())));
    lines.extend(of.advice.clone().map(|advice| ("to do", advice)));
    if let Some(place) = setup.place() {
        lines.push(("account", place.account));
        lines.push(("region", place.region));
    }
    lines.push(("events", setup.events().about().to_owned()));
    if setup.events().calls_us() {
        lines.extend(setup.endpoint().map(|endpoint| ("endpoint", endpoint)));
    }
    lines.push(("last event", of.last_event.map_or_else(|| "none yet".to_owned(), time)));
    lines.push(("tested", of.tested_at.map_or_else(|| "not yet".to_owned(), time)));
    lines.push(("credentials", credentials(of)));
    lines.push(("images", policy::in_words(&of.policy)));
    let enabled = format!(
        "{} enabled of {}",
        counted.enabled,
        count(counted.known, "repository").replace("repositorys", "repositories")
    );
    lines.push(("repositories", enabled));
    lines.extend(of.settings.iter().map(|(key, value)| ("setting", format!("{key}={value}"))));
    lines.iter().try_for_each(|(name, value)| writeln!(out, "{name:<13} {}", printable(value)))
}

fn credentials(of: &Integration) -> String {
    match of.credentials {
        Some(sealed) => format!("sealed, of {}", time(sealed.changed_at)),
        None => "none of its own: those of the machine".to_owned(),
    }
}

fn print_history(history: &[IntegrationMove], out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(out)?;
    for step in history.iter().take(HISTORY) {
        let from = step.from.map(|from| format!("{from} -> ")).unwrap_or_default();
        let reason = step.reason.as_ref().map(|reason| format!("  {}", printable(&reason.message))).unwrap_or_default();
        writeln!(out, "{}  {from}{}{reason}", time(step.at), step.to)?;
    }
    Ok(())
}

fn time(time: jiff::Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// What there is left to do, as commands: the way back to a set-up that was not finished.
fn next(of: &Integration, setup: &Setup<'_>, repositories: Repositories) -> Vec<String> {
    let name = &of.name;
    let mut next = Vec::new();
    let template = setup.templates().next();
    match of.state {
        IntegrationState::Removed => return next,
        IntegrationState::Error => next.push(format!("supercargo integration test {name}")),
        IntegrationState::Pending if of.last_event.is_none() && setup.events() != EventWay::None => {
            if let Some(template) = template {
                next.push(format!("supercargo integration template {name} --write {}", template.file));
                next.extend(template.next(setup, template.file));
            }
        }
        _ => {}
    }
    if repositories.enabled == 0 && !of.policy.enable_on_push {
        next.push(format!("supercargo repo list --integration {name}"));
        next.push(format!("supercargo repo enable --integration {name} REPOSITORY"));
    }
    next
}

/// Says what there is left to do.
pub(super) fn tell_next(next: &[String], output: &mut Output) {
    if next.is_empty() {
        return;
    }
    output.say("\nnext:");
    for command in next {
        output.say(format_args!("  {}", printable(command)));
    }
}

/// What there is to do once an integration is made.
pub(super) fn next_of_new(of: &Integration, setup: &Setup<'_>) -> Vec<String> {
    next(of, setup, Repositories::default())
}
