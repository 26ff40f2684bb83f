//! `supercargo deliver`.

use std::sync::Arc;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use supercargo_engine::store::{
    Change, DeliveryKind, ImageFilter, ImageSummary, Lane, NewDelivery, Presence, RepositoryName, Store,
};
use supercargo_engine::{Registries, Route};

use super::list::{all, find_images, print_failed};
use crate::sinks::{SinkArgs, Sinks};
use crate::text::{count, printable};
use crate::watch::args::DataArgs;
use crate::{Environment, Error, Exit, Output, Result, cli, data};

/// Rows of one transaction: enough to make its cost small, few enough that the watcher gets its turn.
const BATCH: usize = 500;

#[derive(Args, Debug)]
#[command(after_help = "The images wait in the outbox behind what is pushed meanwhile, and the watcher on this data \
    directory delivers them. `supercargo deliveries` shows how far it is.")]
pub(super) struct DeliverArgs {
    /// Images to deliver, as `supercargo images` names them, or digests
    #[arg(value_name = "IMAGE", required_unless_present = "all", conflicts_with = "all")]
    images: Vec<String>,

    /// All images that are there
    #[arg(long)]
    all: bool,

    /// The name of the sink
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    to: String,

    /// Print what would be sent instead, one document after the other. The sink is described as for the watcher
    #[arg(long)]
    dry_run: bool,

    /// For --dry-run: the organization at Docker Scout
    #[arg(long, value_name = "NAME", env = "SUPERCARGO_ORG", hide_env_values = true)]
    org: Option<String>,

    #[command(flatten)]
    sinks: SinkArgs,

    #[command(flatten)]
    data: DataArgs,
}

pub(super) fn run(args: &DeliverArgs, environment: &Environment, output: &mut Output) -> Result<Exit> {
    let route = if args.dry_run { Some(route(args, environment)?) } else { None };
    let directory = args.data.directory(environment)?;
    cli::block_on(async {
        let store = data::look(directory).await?;
        let images = images(args, &*store).await?;
        match route {
            Some(route) => preview(&store, &route, &images, output).await,
            None => {
                check_sink(&*store, &args.to).await?;
                enqueue(args, &*store, &images, output).await
            }
        }
    })
}

/// The sink that is meant, among those that the flags describe.
fn route(args: &DeliverArgs, environment: &Environment) -> Result<Route> {
    let sinks = Sinks::read(&args.sinks, args.org.as_deref(), true, Vec::new(), environment).map_err(Error::usage)?;
    let routes = sinks.routes(Registries::default(), environment).map_err(Error::usage)?;
    let known: Vec<String> = routes.iter().map(|route| route.name.clone()).collect();
    routes.into_iter().find(|route| route.name == args.to).ok_or_else(|| {
        let there = if known.is_empty() { "none is described".to_owned() } else { known.join(", ") };
        Error::usage(vec![format!("--to: there is no sink called {}; {there} (--sink, --org)", args.to)])
    })
}

/// Refuses a name that no watcher delivers to: the rows would wait for ever.
async fn check_sink(store: &dyn Store, name: &str) -> Result<()> {
    let known = store.sinks().await?;
    if known.iter().any(|sink| sink == name) {
        return Ok(());
    }
    let there = match known.as_slice() {
        [] => "it has none".to_owned(),
        known => format!("it has {}", known.join(", ")),
    };
    let problem = format!("--to: the watcher on this data directory has no sink called {name}; {there}");
    Err(Error::usage(vec![problem])
        .with_hint("start the watcher with it (--sink, --org, the configuration file) first"))
}

async fn images(args: &DeliverArgs, store: &dyn Store) -> Result<Vec<ImageSummary>> {
    let mut found = Vec::new();
    if args.all {
        let filter = ImageFilter { presence: Presence::Present, ..ImageFilter::default() };
        let keep = |image| {
            found.push(image);
            Ok(())
        };
        all(async |page| store.images(&filter, &page).await, keep).await?;
    }
    for name in &args.images {
        found.extend(find_images(store, name, None).await?);
    }
    Ok(found)
}

/// Each image once for every repository that has it.
fn places(image: &ImageSummary) -> Vec<RepositoryName> {
    let mut repositories: Vec<RepositoryName> = image.places.iter().map(|place| place.repository.clone()).collect();
    repositories.dedup();
    repositories
}

async fn enqueue(args: &DeliverArgs, store: &dyn Store, images: &[ImageSummary], output: &mut Output) -> Result<Exit> {
    // What somebody names is wanted now; all there is can wait for what is pushed.
    let lane = if args.all { Lane::Backfill } else { Lane::Push };
    let rows: Vec<Change> = images
        .iter()
        .flat_map(|image| {
            places(image).into_iter().map(|repository| {
                let row = NewDelivery::new(&args.to, DeliveryKind::Indexed, repository, image.digest.clone());
                Change::Deliver(row.with_lane(lane))
            })
        })
        .collect();
    for batch in rows.chunks(BATCH) {
        store.apply(batch.to_vec()).await?;
    }
    let what = count(rows.len() as u64, "delivery").replace("deliverys", "deliveries");
    output.say(format_args!("{what} to {} put into the outbox", printable(&args.to)));
    Ok(Exit::Done)
}

async fn preview(store: &Arc<dyn Store>, route: &Route, images: &[ImageSummary], output: &mut Output) -> Result<Exit> {
    for image in images {
        for repository in places(image) {
            let Some(stored) = store.image(&image.digest).await? else { continue };
            let what = format!("preview {repository}@{}", image.digest);
            let preview = route.preview(&repository, stored).map_err(|error| Error::failed(what, error))?;
            let Some(preview) = preview else { continue };
            output.say(format_args!("{repository}@{}: {}", image.digest, printable(&preview.target)));
            if preview.body.is_empty() {
                output.say("  nothing would be sent");
                continue;
            }
            output.out().write_all(&preview.body).map_err(print_failed)?;
            if !preview.body.ends_with(b"\n") {
                output.out().write_all(b"\n").map_err(print_failed)?;
            }
        }
    }
    Ok(Exit::Done)
}
