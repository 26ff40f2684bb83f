//! `supercargo repo enable` and `disable`.

use std::collections::BTreeMap;

use clap::Args;
use supercargo_engine::registry::Repository;
use supercargo_engine::store::{
    IncludeRemoved, Integration, IntegrationId, RepositoryName, RepositoryOrigin, RepositorySetting, Store,
};

use super::{Which, print};
use crate::command::integration::actor;
use crate::command::list::ListFormat;
use crate::text::printable;
use crate::watch::args::DataArgs;
use crate::{Environment, Error, ErrorKind, Exit, Output, Result, cli, data};

#[derive(Args, Debug)]
pub(super) struct ChooseArgs {
    /// Repositories, with the registry's host before them or without. One that is not known yet is taken at its word, for registries that do not list
    #[arg(value_name = "REPOSITORY", required_unless_present_any = ["all", "filter"])]
    repositories: Vec<String>,

    /// All that are known
    #[arg(long, conflicts_with_all = ["filter", "repositories"])]
    all: bool,

    #[command(flatten)]
    which: Which,

    /// Only those of this registry, by its host, such as 123456789012.dkr.ecr.us-east-1.amazonaws.com
    #[arg(long, value_name = "HOST")]
    registry: Option<String>,

    /// Say what would change, and change nothing
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    data: DataArgs,

    /// How those that change are printed
    #[arg(short, long, value_enum, default_value_t = ListFormat::Table, value_name = "FORMAT")]
    output: ListFormat,
}

pub(super) fn run(args: &ChooseArgs, enable: bool, environment: &Environment, output: &mut Output) -> Result<Exit> {
    let directory = args.data.directory(environment)?;
    cli::block_on(async {
        let store = data::look(directory).await?;
        let integrations = store.integrations(IncludeRemoved::No).await?;
        let wanted = match args.repositories.is_empty() {
            true => known(args, &*store, enable).await?,
            false => named(args, &integrations)?,
        };
        let changed = match args.dry_run {
            true => would_change(&*store, &integrations, wanted, enable).await?,
            false => change(&*store, wanted, enable, environment).await?,
        };
        if changed.is_empty() && args.output == ListFormat::Table {
            let state = if enable { "enabled" } else { "disabled" };
            output.say(format_args!("nothing changes: what is meant is {state} already, or is not known"));
        } else {
            print(&changed, args.output, output)?;
        }
        Ok(Exit::Done)
    })
}

/// Names of repositories, by integration.
type Wanted = BTreeMap<i64, Vec<String>>;

/// Those that are known and fit the flags.
async fn known(args: &ChooseArgs, store: &dyn Store, enable: bool) -> Result<Wanted> {
    let mut wanted = Wanted::new();
    let integrations = store.integrations(IncludeRemoved::No).await?;
    for setting in args.which.find(store, args.registry.as_deref()).await? {
        let of = integrations.iter().find(|integration| integration.name == setting.integration);
        if let Some(of) = of.filter(|_| setting.enabled != enable) {
            wanted.entry(of.id.0).or_default().push(setting.repository.repository);
        }
    }
    Ok(wanted)
}

/// Those that are named, each with the one integration that it can be of.
fn named(args: &ChooseArgs, integrations: &[Integration]) -> Result<Wanted> {
    let (mut wanted, mut problems) = (Wanted::new(), Vec::new());
    let fits = |integration: &&Integration| {
        args.which.integration.as_ref().is_none_or(|name| integration.name == *name)
            && args.registry.as_ref().is_none_or(|host| integration.registry == *host)
    };
    for text in &args.repositories {
        let with_host = integrations.iter().filter(fits).find_map(|integration| {
            let name = text.strip_prefix(integration.registry.as_str())?.strip_prefix('/')?;
            Some((integration, name))
        });
        let mut others = integrations.iter().filter(fits);
        let (integration, name) = match (with_host, others.next(), others.next()) {
            (Some(found), ..) => found,
            (None, Some(only), None) => (only, text.as_str()),
            (None, None, _) => {
                let problem = match (integrations.is_empty(), &args.which.integration) {
                    (true, _) => "no registry is connected: supercargo integration create".to_owned(),
                    (_, Some(name)) => format!("there is no integration {name} of that registry"),
                    _ => format!("{text}: no connected registry is meant"),
                };
                problems.push(problem);
                continue;
            }
            (None, Some(_), Some(_)) => {
                problems.push(format!(
                    "{text}: several registries are connected; name one with --integration, or write its host before the repository"
                ));
                continue;
            }
        };
        match name.parse::<Repository>() {
            Ok(repository) => wanted.entry(integration.id.0).or_default().push(repository.to_string()),
            Err(error) => problems.push(format!("{}: {error}", printable(text))),
        }
    }
    problems.dedup();
    if problems.is_empty() { Ok(wanted) } else { Err(Error::usage(problems)) }
}

async fn change(
    store: &dyn Store,
    wanted: Wanted,
    enable: bool,
    environment: &Environment,
) -> Result<Vec<RepositorySetting>> {
    let mut changed = Vec::new();
    for (id, names) in wanted {
        let names = names.into_iter().map(|name| (name, enable)).collect();
        let actor = actor(environment);
        changed.extend(store.set_repositories(IntegrationId(id), names, RepositoryOrigin::Named, &actor).await?);
    }
    Ok(changed)
}

async fn would_change(
    store: &dyn Store,
    integrations: &[Integration],
    wanted: Wanted,
    enable: bool,
) -> Result<Vec<RepositorySetting>> {
    let mut changed = Vec::new();
    for (id, names) in wanted {
        let of = integrations.iter().find(|integration| integration.id.0 == id);
        let Some(of) = of else { return Err(Error::new(ErrorKind::NotFound, "find an integration")) };
        let which = Which { filter: None, integration: Some(of.name.clone()), org: None };
        let known = which.find(store, None).await?;
        for name in names {
            let found = known.iter().find(|setting| setting.repository.repository == name);
            if found.is_some_and(|setting| setting.enabled == enable) {
                continue;
            }
            changed.push(RepositorySetting {
                integration: of.name.clone(),
                repository: RepositoryName::new(&of.registry, name),
                enabled: enable,
                origin: found.map_or(RepositoryOrigin::Named, |setting| setting.origin),
                changed_at: jiff::Timestamp::now(),
            });
        }
    }
    Ok(changed)
}
