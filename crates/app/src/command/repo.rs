//! `supercargo repo`: which repositories of the connected registries are indexed.
//!
//! The flags are those of `docker scout repo`.

mod choose;

use clap::{Args, Subcommand};
use supercargo_engine::TagPatterns;
use supercargo_engine::store::{Page, RepositorySetting, RepositorySettingFilter, Store};

use super::list::{JsonArray, ListFormat, all, nothing, print_failed};
use crate::table::Table;
use crate::text::printable;
use crate::watch::args::DataArgs;
use crate::{Environment, Error, Exit, Output, Result, cli, data};

#[derive(Args, Debug)]
pub(super) struct RepoArgs {
    #[command(subcommand)]
    command: RepoCommand,
}

#[derive(Debug, Subcommand)]
enum RepoCommand {
    /// List the repositories of connected registries, and which of them are enabled
    List(ListArgs),
    /// Enable repositories: their newest image is indexed at once, and every push from now on
    Enable(choose::ChooseArgs),
    /// Disable repositories: what is known of them stays, and their events lead to nothing
    Disable(choose::ChooseArgs),
}

/// Which of the repositories that are known.
#[derive(Args, Clone, Debug)]
struct Which {
    /// Only repositories whose name, with or without the registry before it, this regular expression matches
    #[arg(long, value_name = "REGEX")]
    filter: Option<String>,

    /// Only those of this integration
    #[arg(long, value_name = "NAME")]
    integration: Option<String>,

    /// Of no meaning here, and taken for the sake of scripts
    #[arg(long, value_name = "NAME", hide = true)]
    org: Option<String>,
}

#[derive(Args, Debug)]
struct ListArgs {
    #[command(flatten)]
    which: Which,

    /// Only those of this registry, by its host
    #[arg(long, value_name = "HOST", conflicts_with = "only_registry")]
    registry: Option<String>,

    /// Only those that are enabled
    #[arg(long)]
    only_enabled: bool,

    /// Only those that are not enabled
    #[arg(long, conflicts_with = "only_enabled")]
    only_disabled: bool,

    /// Only those of this sort of registry, such as ecr, or of this host
    #[arg(long, value_name = "REGISTRY")]
    only_registry: Option<String>,

    #[command(flatten)]
    data: DataArgs,

    /// How the list is printed
    #[arg(short, long, value_enum, default_value_t = ListFormat::Table, value_name = "FORMAT")]
    output: ListFormat,
}

pub(super) fn run(args: &RepoArgs, environment: &Environment, output: &mut Output) -> Result<Exit> {
    match &args.command {
        RepoCommand::List(args) => list(args, environment, output),
        RepoCommand::Enable(args) => choose::run(args, true, environment, output),
        RepoCommand::Disable(args) => choose::run(args, false, environment, output),
    }
}

impl Which {
    fn pattern(&self) -> Result<TagPatterns> {
        TagPatterns::new(&self.filter).map_err(|error| Error::usage(vec![format!("--filter: {error}")]))
    }

    /// The settings that are meant, by registry and name.
    async fn find(&self, store: &dyn Store, registry: Option<&str>) -> Result<Vec<RepositorySetting>> {
        let pattern = self.pattern()?;
        let filter = RepositorySettingFilter {
            integration: self.integration.clone(),
            registry: registry.map(str::to_owned),
            ..RepositorySettingFilter::default()
        };
        if let Some(name) = &self.integration {
            super::integration::find(store, name).await?;
        }
        let mut found = Vec::new();
        let each = |setting: RepositorySetting| {
            if pattern.matches(&setting.repository.repository) || pattern.matches(&setting.repository.to_string()) {
                found.push(setting);
            }
            Ok(())
        };
        all(async |page: Page| store.repository_settings(&filter, &page).await, each).await?;
        Ok(found)
    }
}

fn list(args: &ListArgs, environment: &Environment, output: &mut Output) -> Result<Exit> {
    let directory = args.data.directory(environment)?;
    cli::block_on(async {
        let store = data::look(directory).await?;
        let (by_kind, host) = match args.only_registry.as_deref() {
            Some(kind) if supercargo_engine::registry::RegistryKind::ALL.iter().any(|known| known.as_str() == kind) => {
                (Some(kind), None)
            }
            // As it is called there.
            Some("hub.docker.com") => (None, Some("docker.io")),
            host => (None, host.or(args.registry.as_deref())),
        };
        let mut found = args.which.find(&*store, host).await?;
        if let Some(kind) = by_kind {
            let integrations = store.integrations(supercargo_engine::store::IncludeRemoved::No).await?;
            let of_kind = |name: &str| integrations.iter().any(|one| one.name == name && one.kind == kind);
            found.retain(|setting| of_kind(&setting.integration));
        }
        found.retain(|setting| match (args.only_enabled, args.only_disabled) {
            (true, _) => setting.enabled,
            (_, true) => !setting.enabled,
            _ => true,
        });
        print(&found, args.output, output)?;
        if found.is_empty() && args.output == ListFormat::Table {
            why_none(&*store, args.which.integration.as_deref(), output).await?;
        }
        Ok(Exit::Done)
    })
}

/// Says of the connected registries that do not list their repositories, or do not answer, why: an empty list would look
/// like an empty registry.
async fn why_none(store: &dyn Store, integration: Option<&str>, output: &mut Output) -> Result<()> {
    let registries = store.registries().await?;
    for one in store.integrations(supercargo_engine::store::IncludeRemoved::No).await? {
        let away = registries.iter().find(|state| state.name == one.registry).and_then(|state| state.away.as_ref());
        if let Some(away) = away.filter(|_| integration.is_none_or(|name| name == one.name)) {
            output.say(format_args!("{}: {}", one.name, printable(&away.reason.message)));
        }
    }
    Ok(())
}

/// Prints settings of repositories.
fn print(found: &[RepositorySetting], format: ListFormat, output: &mut Output) -> Result<()> {
    match format {
        ListFormat::Json => {
            let mut array = JsonArray::default();
            found.iter().try_for_each(|setting| array.item(output.out(), setting))?;
            array.end(output.out())
        }
        ListFormat::Table if found.is_empty() => {
            nothing(
                output,
                "repositories are found by a running server or watcher, or named: supercargo repo enable REPOSITORY",
            );
            Ok(())
        }
        ListFormat::Table => {
            let mut table = Table::new(["REPOSITORY", "INTEGRATION", "STATUS", "KNOWN BY", "SINCE"]);
            for setting in found {
                table.row([
                    &setting.repository.to_string(),
                    &setting.integration,
                    if setting.enabled { "enabled" } else { "disabled" },
                    setting.origin.as_str(),
                    &setting.changed_at.strftime("%Y-%m-%d %H:%M").to_string(),
                ]);
            }
            table.print(output.out()).map_err(print_failed)
        }
    }
}
