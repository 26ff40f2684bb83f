//! `supercargo integration filter`: which images are wanted, and how many those would be.

use std::collections::HashSet;

use clap::Args;
use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use serde::Serialize;
use supercargo_engine::TagPatterns;
use supercargo_engine::integration::select;
use supercargo_engine::registry::{Filter, Registry, RegistryExt as _, Repository, Tag, Target};
use supercargo_engine::store::{Integration, IntegrationPolicy, Page, RepositorySettingFilter, Selection, Store};

use super::open::{self, actor};
use super::policy::{self, PolicyArgs};
use super::{find, list::Item};
use crate::command::list::{ListFormat, all, print_failed};
use crate::integrations::KeyArgs;
use crate::text::{count, printable};
use crate::watch::args::DataArgs;
use crate::{Environment, Error, Exit, Output, Result, cli};

#[derive(Args, Debug)]
pub(super) struct FilterArgs {
    /// Its name
    #[arg(value_name = "NAME")]
    name: String,

    #[command(flatten)]
    policy: PolicyArgs,

    /// Begin with all images, and not with what is set
    #[arg(long)]
    reset: bool,

    /// Ask the registry how many images this selects, and change nothing
    #[arg(long)]
    preview: bool,

    #[command(flatten)]
    key: KeyArgs,

    #[command(flatten)]
    data: DataArgs,

    /// How it is printed
    #[arg(short, long, value_enum, default_value_t = ListFormat::Table, value_name = "FORMAT")]
    output: ListFormat,
}

/// What a selection comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Preview {
    /// Images that are selected.
    images: u64,
    /// Repositories that have some of them.
    repositories: u64,
    /// Those of them that enabling the repositories would index at once.
    at_once: u64,
    /// Repositories that were looked at.
    looked_at: u64,
    /// Repositories that the registry did not let be read.
    unreadable: u64,
}

pub(super) fn run(args: &FilterArgs, environment: &Environment, output: &mut Output) -> Result<Exit> {
    let directory = args.data.directory(environment)?;
    cli::block_on(async {
        let store = crate::data::look(directory.clone()).await?;
        let integration = find(&*store, &args.name).await?;
        let before = match args.reset {
            true => IntegrationPolicy { selection: Selection::default(), ..integration.policy.clone() },
            false => integration.policy.clone(),
        };
        let policy = args.policy.change(before).map_err(Error::usage)?;
        if args.preview {
            let integrations = open::usable(store.clone(), &directory, &args.key, environment, &integration)?;
            let connection = integrations.connect(&integration).await?;
            let preview = look(&*connection.watch.registry, &*store, &integration, &policy.selection).await?;
            print(&preview, args.output, output)?;
            return Ok(Exit::Done);
        }
        if !args.policy.is_given() && !args.reset {
            writeln!(output.out(), "{}", policy::in_words(&policy)).map_err(print_failed)?;
            return Ok(Exit::Done);
        }
        let changed = store.set_integration_policy(integration.id, policy, &actor(environment)).await?;
        match args.output {
            ListFormat::Json => {
                let item = Item::of(&changed);
                let text = serde_json::to_string_pretty(&item).map_err(|error| Error::failed("print", error))?;
                writeln!(output.out(), "{text}").map_err(print_failed)?;
            }
            ListFormat::Table => {
                writeln!(output.out(), "{}", printable(&policy::in_words(&changed.policy))).map_err(print_failed)?;
            }
        }
        Ok(Exit::Done)
    })
}

fn print(preview: &Preview, format: ListFormat, output: &mut Output) -> Result<()> {
    if format == ListFormat::Json {
        let text = serde_json::to_string_pretty(preview).map_err(|error| Error::failed("print", error))?;
        return writeln!(output.out(), "{text}").map_err(print_failed);
    }
    let repositories = |number: u64| match number {
        1 => "1 repository".to_owned(),
        more => format!("{more} repositories"),
    };
    let Preview { images, repositories: with, at_once, unreadable, .. } = preview;
    let out = output.out();
    writeln!(out, "this selects {} in {}", count(*images, "image"), repositories(*with)).map_err(print_failed)?;
    writeln!(out, "enabling all of these indexes {} at once", count(*at_once, "image")).map_err(print_failed)?;
    if *unreadable > 0 {
        output.say(format_args!("{} could not be read and do not count", repositories(*unreadable)));
    }
    Ok(())
}

/// Counts what a selection comes to in the registry as it is now.
async fn look(
    registry: &dyn Registry,
    store: &dyn Store,
    integration: &Integration,
    selection: &Selection,
) -> Result<Preview> {
    let filter = Filter::new(&selection.include, &selection.exclude)?;
    let patterns = TagPatterns::new(&selection.tags).map_err(|error| Error::failed("read the selection", error))?;
    let now = Timestamp::now();
    let mut preview = Preview::default();
    for repository in repositories(registry, store, integration).await? {
        if !filter.admits(&integration.registry, &repository) {
            continue;
        }
        preview.looked_at += 1;
        let listed: Result<Vec<Tag>, _> = registry.tags(&repository).try_collect().await;
        let Ok(tags) = listed else {
            preview.unreadable += 1;
            continue;
        };
        let wanted = |tag: &Tag| !tag.name.is_referrer() && patterns.matches(tag.name.as_str());
        let tags: Vec<Tag> = tags.into_iter().filter(wanted).collect();
        // `select` takes the newest alone where nothing is said: all of them are selected, and the newest is begun with.
        let every = Selection { newest: selection.newest.or(Some(u32::MAX)), ..selection.clone() };
        let (mut images, mut at_once) = (0, 0);
        let begun: HashSet<&str> = select(&tags, selection, now).into_iter().map(|tag| tag.name.as_str()).collect();
        for tag in select(&tags, &every, now) {
            let number = on_platforms(registry, &repository, tag, selection).await?;
            images += number;
            at_once += if begun.contains(tag.name.as_str()) { number } else { 0 };
        }
        preview.images += images;
        preview.at_once += at_once;
        preview.repositories += u64::from(images > 0);
    }
    Ok(preview)
}

/// The repositories that the registry lists, and those that somebody named.
async fn repositories(registry: &dyn Registry, store: &dyn Store, of: &Integration) -> Result<Vec<Repository>> {
    let mut names: Vec<String> = Vec::new();
    let each = |setting: supercargo_engine::store::RepositorySetting| {
        names.push(setting.repository.repository);
        Ok(())
    };
    let settings = RepositorySettingFilter::of(&of.name);
    all(async |page: Page| store.repository_settings(&settings, &page).await, each).await?;
    let listed: Result<Vec<Repository>, _> = registry.repositories().try_collect().await;
    let mut found = match listed {
        Ok(found) => found,
        // A token that must not list: those that are known by name are all there is to go by.
        Err(error) if names.is_empty() => return Err(error.into()),
        Err(_) => Vec::new(),
    };
    found.extend(names.iter().filter_map(|name| name.parse::<Repository>().ok()));
    found.sort();
    found.dedup();
    Ok(found)
}

/// How many images a tag stands for: one, unless platforms are chosen, of which an index may have several or none.
async fn on_platforms(registry: &dyn Registry, of: &Repository, tag: &Tag, selection: &Selection) -> Result<u64> {
    if selection.platforms.is_empty() {
        return Ok(1);
    }
    let set = registry.images(of, &Target::Tag(tag.name.clone())).await?;
    if set.images.len() == 1 {
        // An image that is no part of an index is indexed whatever its platform.
        return Ok(1);
    }
    let wanted = set
        .images
        .iter()
        .filter(|image| image.platform.as_ref().is_some_and(|platform| selection.platforms.contains(platform)));
    Ok(wanted.count() as u64)
}
