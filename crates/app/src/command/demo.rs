//! `supercargo demo`: the first thing that a newcomer runs.
//!
//! Everything is real but small: images are built from the package databases and binaries of this machine, pushed
//! through the distribution protocol to a registry in this process, which notifies the watcher in this process,
//! which indexes them into a store in a temporary directory.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use supercargo_engine::events::{Secret, SourceConfig};
use supercargo_engine::registry::{Credential, build, parse_registry};
use supercargo_engine::store::{NameMatch, PackageQuery, Page, Store, Work};
use supercargo_engine::{Options, Progress, Watch};
use supercargo_server::Openness;
use supercargo_testkit::{HostScan, NamedImage, Notification, RegistryServer};
use tokio::sync::broadcast;

use crate::output::Style;
use crate::service::{self, EndpointPlan, Plan, Service, SourcePlan};
use crate::signals::{Signals, Stop};
use crate::text::{bytes, count, printable};
use crate::{Environment, Error, Exit, Output, Result, cli};

/// The name of the source of events, as in the address that the registry notifies.
const SOURCE: &str = "demo";
/// Long enough for a slow machine to index 60 MB; a demo that hangs is worse than one that gives up.
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Args, Debug)]
pub(super) struct DemoArgs {
    /// End when everything is indexed, instead of running until Ctrl-C
    #[arg(long)]
    exit: bool,
}

pub(super) fn run(args: &DemoArgs, environment: &Environment, output: &mut Output) -> Result<Exit> {
    cli::block_on(demo(args, environment.home(), output))
}

async fn demo(args: &DemoArgs, home: Option<PathBuf>, output: &mut Output) -> Result<Exit> {
    let mut signals = Signals::listen()?;
    let folder = tempfile::Builder::new()
        .prefix("supercargo-demo-")
        .tempdir()
        .map_err(|error| Error::io("make a temporary directory", error))?;
    let images = collect(home).await?;
    let secret = secret().map_err(|error| Error::failed("make a secret", error))?;

    // The order is given: the registry notifies an address, so that comes first; the watcher names the registry.
    let bound = service::bind("127.0.0.1:0").await?;
    let address = bound.address;
    let notification = Notification::new(format!("http://{address}/v1/events/distribution/{SOURCE}"))
        .with_header("Authorization", format!("Bearer {secret}"));
    let registry = RegistryServer::builder()
        .with_notification(notification)
        .start()
        .await
        .map_err(|error| Error::failed("start a registry", error))?;
    let plan = plan(&registry.host(), folder.path(), &secret)?;
    let service = Service::open_at(plan, Some(bound)).await?;

    let show = Show {
        registry: &registry,
        address,
        data: folder.path(),
        images: &images,
        progress: service.engine().progress(),
        store: service.engine().store().clone(),
    };
    let stop = Stop::new();
    let shown = async {
        let exit = show.run(args, &stop, output).await;
        stop.ask();
        exit
    };
    let both = async {
        let (ran, exit) = tokio::join!(service.run(&stop), shown);
        ran?;
        exit
    };
    let ended = tokio::select! {
        ended = both => ended,
        () = signals.supervise(&stop) => Ok(Exit::Interrupted),
    };
    registry.shutdown().await;
    ended
}

async fn collect(home: Option<PathBuf>) -> Result<Vec<NamedImage>> {
    let scan = || {
        let scan = HostScan::new("/");
        match home {
            Some(home) => scan.with_home(home).images(),
            None => scan.images(),
        }
    };
    tokio::task::spawn_blocking(scan).await.map_err(|error| Error::failed("look over this machine", error))
}

fn plan(host: &str, data: &Path, secret: &str) -> Result<Plan> {
    let config = parse_registry(host)?;
    let registry = build(&config, std::sync::Arc::new(Credential::Anonymous))?;
    let source = SourceConfig::new([Secret::new(secret)]).with_host(host);
    Ok(Plan {
        data: data.to_owned(),
        watches: vec![Watch { refresh_registry: true, ..Watch::new(registry) }],
        registries: Default::default(),
        // A short interval, for those who try what happens without events.
        routes: Vec::new(),
        options: Options { interval: Duration::from_secs(10), ..Options::default() },
        endpoint: Some(EndpointPlan {
            address: None,
            token: None,
            openness: Openness::Careful,
            sources: vec![SourcePlan::new(SOURCE, source)],
            ports: Vec::new(),
            tls: None,
            public_url: None,
        }),
        key: Default::default(),
        environment: Default::default(),
    })
}

/// The part that people see.
struct Show<'a> {
    registry: &'a RegistryServer,
    address: SocketAddr,
    data: &'a Path,
    images: &'a [NamedImage],
    progress: broadcast::Receiver<Progress>,
    store: std::sync::Arc<dyn Store>,
}

/// What came of the images so far.
#[derive(Default)]
struct Tally {
    indexed: usize,
    failed: usize,
    packages: usize,
    layers: usize,
    size: u64,
}

impl Show<'_> {
    async fn run(mut self, args: &DemoArgs, stop: &Stop, output: &mut Output) -> Result<Exit> {
        self.introduce(output);
        let started = Instant::now();
        let tally = tokio::select! {
            tally = self.push_and_watch(output) => tally?,
            () = stop.asked() => return Ok(Exit::Partial),
            () = tokio::time::sleep(PATIENCE) => {
                output.say(format_args!("error: not everything was indexed within {}", duration(PATIENCE)));
                return Ok(Exit::Partial);
            }
        };
        self.sum_up(&tally, started.elapsed(), output);
        if tally.failed > 0 {
            return Ok(Exit::Partial);
        }
        self.suggest(args, output).await?;
        if !args.exit {
            stop.asked().await;
        }
        Ok(Exit::Done)
    }

    fn introduce(&self, output: &mut Output) {
        let title = output.paint(Style::Strong, "supercargo demo");
        output.say(format_args!("{title}  a registry, a watcher and some pushes, all in this process\n"));
        let data = self.data.display().to_string();
        let api = format!("http://{}", self.address);
        let host = self.registry.host();
        let rows = [
            ("registry", host.as_str(), "in memory; notifies the watcher of every push"),
            ("watcher", api.as_str(), "webhooks, API and metrics"),
            ("store", data.as_str(), "SQLite; removed at the end"),
        ];
        let width = rows.iter().map(|(_, what, _)| what.chars().count()).max().unwrap_or_default();
        for (name, what, note) in rows {
            let (name, note) = (output.paint(Style::Faint, format_args!("{name:9}")), output.paint(Style::Faint, note));
            output.say(format_args!("  {name} {what:width$}  {note}"));
        }
        let images = count(self.images.len() as u64, "image");
        output.say(format_args!("\nPushing {images} made of what is installed on this machine:\n"));
    }

    async fn push_and_watch(&mut self, output: &mut Output) -> Result<Tally> {
        // What is there at the first pass is only noted; these are to be news.
        while !matches!(self.next().await, Progress::Reconciled { .. }) {}
        let mut tally = Tally::default();
        // The others are built on the first one, as most images are on a base that was there before.
        let (base, others) = self.images.split_at(1.min(self.images.len()));
        for images in [base, others] {
            self.push_all(images, &mut tally, output).await?;
        }
        Ok(tally)
    }

    async fn push_all(&mut self, images: &[NamedImage], tally: &mut Tally, output: &mut Output) -> Result<()> {
        let mut pushed = HashMap::new();
        let client = self.registry.client();
        for named in images {
            // The event may be dealt with before the push has returned here.
            pushed.insert(named.image.digest().to_owned(), (named, Instant::now()));
            client
                .push(&named.image, &named.repository, &named.tag)
                .await
                .map_err(|error| Error::failed(format!("push {}:{}", named.repository, named.tag), error))?;
        }
        while !pushed.is_empty() {
            match self.next().await {
                Progress::Indexed { digest, packages, layers, size, .. } => {
                    let Some((named, at)) = pushed.remove(digest.as_ref() as &str) else { continue };
                    tally.indexed += 1;
                    tally.packages += packages;
                    tally.layers += layers;
                    tally.size += size;
                    self.tell_indexed(named, (packages, layers, size), at.elapsed(), output);
                }
                Progress::Failed { work, reason, dead: true, .. } => {
                    let concerned = pushed.iter().find(|(_, (named, _))| is_about(&work, named));
                    let Some(digest) = concerned.map(|(digest, _)| digest.clone()) else { continue };
                    pushed.remove(&digest);
                    tally.failed += 1;
                    let mark = output.paint(Style::Bad, "✗");
                    let name = work.repository().to_string();
                    output.say(format_args!("  {mark} {name}  {}", printable(&reason.to_string())));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The next thing that happens. Too little happens here for a listener to lag.
    async fn next(&mut self) -> Progress {
        loop {
            match self.progress.recv().await {
                Ok(progress) => return progress,
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                // The engine is gone, and whoever runs it says why.
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            }
        }
    }

    fn tell_indexed(&self, named: &NamedImage, found: (usize, usize, u64), took: Duration, output: &mut Output) {
        let (packages, layers, size) = found;
        let width =
            self.images.iter().map(|named| named.repository.len() + named.tag.len() + 1).max().unwrap_or_default();
        let mark = output.paint(Style::Good, "✓");
        let name = output.paint(Style::Name, format_args!("{:width$}", format!("{}:{}", named.repository, named.tag)));
        let about = output.paint(Style::Faint, printable(&named.description));
        output.say(format_args!(
            "  {mark} {name}  {:>14}  {:>9}  {:>7}  {:>6}  {about}",
            count(packages as u64, "package"),
            count(layers as u64, "layer"),
            bytes(size),
            duration(took),
        ));
    }

    fn sum_up(&self, tally: &Tally, took: Duration, output: &mut Output) {
        let layers: HashSet<&str> =
            self.images.iter().flat_map(|named| named.image.layers.iter().map(|layer| layer.blob.digest())).collect();
        let fetched: usize = layers.iter().map(|digest| self.registry.blob_requests(digest)).sum();
        let line = format!(
            "{} indexed in {}: {}, {}.",
            count(tally.indexed as u64, "image"),
            duration(took),
            count(tally.packages as u64, "package"),
            bytes(tally.size),
        );
        let line = output.paint(Style::Strong, line);
        output.say(format_args!(
            "\n{line} They have {}; {fetched} were fetched, the others were known.",
            count(tally.layers as u64, "layer"),
        ));
        if tally.failed > 0 {
            output.say(format_args!("{} could not be indexed.", count(tally.failed as u64, "image")));
        }
    }

    async fn suggest(&self, args: &DemoArgs, output: &mut Output) -> Result<()> {
        let program = program();
        if args.exit {
            output.say("\nWhat next:\n");
            command(
                output,
                "watch a registry of yours",
                &["supercargo-watch --registry registry.example.com --all-images"],
            );
            command(output, "look into one image", &[&format!("{program} index alpine:3.20 --format list")]);
            return Ok(());
        }
        let (data, host) = (self.data.display(), self.registry.host());
        let package = self.some_package().await?;
        let first = self.images.first().map_or(String::new(), |named| format!("{}:{}", named.repository, named.tag));
        output.say("\nTry this in another terminal:\n");
        command(output, "which images are there", &[&format!("{program} images --data {data}")]);
        command(
            output,
            "which of them hold a package, and which layer brought it",
            &[
                &format!("{program} search {package} --data {data}"),
                &format!("{program} search '{package}@>0' --output json --data {data}"),
            ],
        );
        command(output, "what is in one of them", &[&format!("{program} packages {first} --data {data}")]);
        command(output, "the same over HTTP", &[&format!("curl 'http://{}/v1/packages?q={package}'", self.address)]);
        command(
            output,
            "an SBOM straight from a registry",
            &[&format!("{program} index {host}/{first} --output sbom.json")],
        );
        command(
            output,
            "push an image of your own and see it appear",
            &[&format!("skopeo copy --dest-tls-verify=false docker://alpine:3.20 docker://{host}/alpine:3.20")],
        );
        output.say("Ctrl-C ends the demo and removes its files.");
        Ok(())
    }

    /// A package that a search finds: one that people know if it is there, else any.
    async fn some_package(&self) -> Result<String> {
        for name in ["openssl", "busybox", "requests", "bash", "zlib1g"] {
            let query = PackageQuery { name: Some(NameMatch::Exact(name.to_owned())), ..PackageQuery::default() };
            if !self.store.packages(&query, &Page::first(1)).await?.items.is_empty() {
                return Ok(name.to_owned());
            }
        }
        let any = self.store.packages(&PackageQuery::default(), &Page::first(1)).await?;
        Ok(any.items.into_iter().next().map_or("openssl".to_owned(), |package| package.name))
    }
}

fn is_about(work: &Work, named: &NamedImage) -> bool {
    let reference = match work.reference() {
        Some(reference) => {
            reference.tag() == Some(&*named.tag)
                || reference.digest().is_some_and(|digest| digest.as_ref() as &str == named.image.digest())
        }
        None => true,
    };
    work.repository().repository == named.repository && reference
}

fn command(output: &mut Output, what: &str, lines: &[&str]) {
    let what = output.paint(Style::Faint, format_args!("# {what}"));
    output.say(format_args!("  {what}"));
    for line in lines {
        output.say(format_args!("  {line}"));
    }
    output.say("");
}

/// How this program is called from here.
fn program() -> String {
    let fallback = || "supercargo".to_owned();
    let Ok(path) = std::env::current_exe() else { return fallback() };
    let here = std::env::current_dir().unwrap_or_default();
    match path.strip_prefix(&here) {
        Ok(relative) => relative.display().to_string(),
        Err(_) => path.display().to_string(),
    }
}

/// A new secret, of 128 random bits.
fn secret() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// `0.04 s`, `1.2 s`, `14 s`.
fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match seconds {
        0.0..0.995 => format!("{seconds:.2} s"),
        0.995..9.95 => format!("{seconds:.1} s"),
        _ => format!("{seconds:.0} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (millis, expected) in [(4, "0.00 s"), (994, "0.99 s"), (1_234, "1.2 s"), (14_000, "14 s")] {
            assert_eq!(duration(Duration::from_millis(millis)), expected, "{millis}");
        }
    }

    #[test]
    fn secrets_differ() {
        assert_ne!(secret().unwrap(), secret().unwrap());
    }
}
