//! Store, engine and server, put together and run.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use http::HeaderName;
use supercargo_engine::events::{self, Secret, SourceConfig};
use supercargo_engine::index::Indexer;
use supercargo_engine::store::Store;
use supercargo_engine::{Engine, Options, Route, Summary, Watch};
use supercargo_server::{Access, EventSource, Metrics, Openness, Server};
use tokio::net::TcpListener;

use crate::data::{self, OwnedStore};
use crate::signals::Stop;
use crate::watch::args::ServerArgs;
use crate::{Environment, Error, Result, secrets};

/// The provider whose events come in; others follow with their adapters.
const PROVIDER: &str = "distribution";
/// The name of a source that nobody named.
const SOURCE: &str = "main";

/// What a service is made of.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) data: PathBuf,
    pub(crate) watches: Vec<Watch>,
    pub(crate) routes: Vec<Route>,
    pub(crate) options: Options,
    pub(crate) endpoint: Option<EndpointPlan>,
}

/// What is listened for, and where.
#[derive(Debug)]
pub(crate) struct EndpointPlan {
    pub(crate) address: String,
    pub(crate) token: Option<Secret>,
    pub(crate) openness: Openness,
    pub(crate) sources: Vec<SourcePlan>,
}

/// A source of events.
#[derive(Clone, Debug)]
pub(crate) struct SourcePlan {
    pub(crate) name: String,
    pub(crate) config: SourceConfig,
}

impl EndpointPlan {
    /// Reads the flags.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with them, at once.
    pub(crate) fn read(
        args: &ServerArgs,
        listen: Option<&str>,
        hosts: &[String],
        environment: &Environment,
    ) -> Result<Option<Self>, Vec<String>> {
        let mut problems = Vec::new();
        let mut keep = |read: Result<Vec<Secret>, String>| {
            read.unwrap_or_else(|problem| {
                problems.push(problem);
                Vec::new()
            })
        };
        let event_secrets = keep(secrets::read(
            "--event-secret-file",
            args.event_secret_file.as_deref(),
            "SUPERCARGO_EVENT_SECRET",
            environment,
        ));
        let mut tokens = keep(secrets::read(
            "--api-token-file",
            args.api_token_file.as_deref(),
            "SUPERCARGO_API_TOKEN",
            environment,
        ));
        if tokens.len() > 1 {
            problems.push("--api-token-file: it holds two tokens; there is one".to_owned());
        }
        let sources = sources(args, &event_secrets, hosts, &mut problems);
        if !args.event_source.is_empty() && event_secrets.is_empty() && problems.is_empty() {
            problems.push("--event-source: give the secret of its events with --event-secret-file".to_owned());
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let Some(listen) = listen else {
            let needless =
                [("--event-secret-file", !event_secrets.is_empty()), ("--api-token-file", !tokens.is_empty())];
            let problems: Vec<String> = needless
                .iter()
                .filter(|(flag, given)| *given && environment_is_silent(flag, args))
                .map(|(flag, _)| format!("{flag}: nothing is received without --listen"))
                .collect();
            return if problems.is_empty() { Ok(None) } else { Err(problems) };
        };
        let openness = if args.insecure_open_api { Openness::Everyone } else { Openness::Careful };
        Ok(Some(Self { address: address(listen), token: tokens.pop(), openness, sources }))
    }
}

/// A variable may be set for the whole machine; a flag is meant.
fn environment_is_silent(flag: &str, args: &ServerArgs) -> bool {
    match flag {
        "--event-secret-file" => args.event_secret_file.is_some(),
        _ => args.api_token_file.is_some(),
    }
}

/// `8080` is this machine's, `:8080` everyone's, as in Go.
fn address(text: &str) -> String {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        format!("127.0.0.1:{text}")
    } else if text.starts_with(':') {
        format!("0.0.0.0{text}")
    } else {
        text.to_owned()
    }
}

fn sources(args: &ServerArgs, secrets: &[Secret], hosts: &[String], problems: &mut Vec<String>) -> Vec<SourcePlan> {
    let Ok(header) = args.event_header.parse::<HeaderName>() else {
        problems.push(format!("--event-header: {:?} is no name of a header", args.event_header));
        return Vec::new();
    };
    if secrets.is_empty() {
        return Vec::new();
    }
    let default = [SOURCE.to_owned()];
    let named = if args.event_source.is_empty() { &default[..] } else { &args.event_source };
    let mut plans: Vec<SourcePlan> = Vec::new();
    for text in named {
        let (name, host) = match text.split_once('=') {
            Some((name, host)) => (name, Some(host)),
            None => (text.as_str(), None),
        };
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)) {
            problems.push(format!("--event-source: {name:?}: expected letters, digits and . _ -"));
            continue;
        }
        if plans.iter().any(|plan| plan.name == name) {
            problems.push(format!("--event-source: {name} is named twice"));
            continue;
        }
        let host = match (host, hosts) {
            (Some(host), _) if !hosts.iter().any(|known| known == host) => {
                problems.push(format!("--event-source: {host} is not watched; watched: {}", hosts.join(", ")));
                continue;
            }
            (Some(host), _) => Some(host),
            // A registry behind a proxy names itself by another name; with one registry there is no doubt.
            (None, [only]) => Some(only.as_str()),
            (None, _) => None,
        };
        let mut config = SourceConfig::new(secrets.iter().cloned()).with_header(header.clone());
        config.host = host.map(str::to_owned);
        plans.push(SourcePlan { name: name.to_owned(), config });
    }
    plans
}

/// A store, an engine on it, and a server before it if it listens.
#[derive(Debug)]
pub(crate) struct Service {
    owned: OwnedStore,
    engine: Engine,
    endpoint: Option<Endpoint>,
}

#[derive(Debug)]
struct Endpoint {
    server: Server,
    listener: TcpListener,
    address: SocketAddr,
}

/// A bound address, for those who must know it before the service is there.
#[derive(Debug)]
pub(crate) struct Bound {
    listener: TcpListener,
    pub(crate) address: SocketAddr,
}

/// Listens on an address; nothing is answered yet.
///
/// # Errors
///
/// If the address is none, or is taken.
pub(crate) async fn bind(address: &str) -> Result<Bound> {
    let failed = |error| Error::io(format!("listen on {address}"), error);
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok(Bound { listener, address })
}

impl Service {
    /// Opens everything that can fail to open, in the order in which it matters: nothing is half started.
    ///
    /// # Errors
    ///
    /// If the data directory is another's, the address is taken, or the configuration cannot be used.
    pub(crate) async fn open(plan: Plan) -> Result<Self> {
        let bound = match &plan.endpoint {
            Some(endpoint) => Some(bind(&endpoint.address).await?),
            None => None,
        };
        Self::open_at(plan, bound).await
    }

    /// The same on an address that is bound already.
    ///
    /// # Errors
    ///
    /// As for [`Service::open`].
    pub(crate) async fn open_at(plan: Plan, bound: Option<Bound>) -> Result<Self> {
        let owned = data::own(plan.data).await?;
        let store: Arc<dyn Store> = owned.store.clone();
        let metrics = Metrics::default();
        let counted = metrics.clone();
        let indexer =
            Indexer::new().with_cache(store.layer_cache()).with_progress(move |progress| counted.index(progress));
        let mut builder = Engine::builder(store, Arc::new(indexer)).with_options(plan.options);
        for watch in plan.watches {
            builder = builder.with_watch(watch);
        }
        for route in plan.routes {
            builder = builder.with_route(route);
        }
        let engine = builder.build().map_err(|error| Error::failed("set up the engine", error))?;
        let endpoint = match (plan.endpoint, bound) {
            (Some(endpoint), Some(bound)) => Some(Endpoint::new(endpoint, bound, engine.clone(), metrics)?),
            _ => None,
        };
        Ok(Self { owned, engine, endpoint })
    }

    #[cfg(feature = "demo")]
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Runs until a stop is asked for, and then to its orderly end.
    ///
    /// # Errors
    ///
    /// If the engine cannot start, or the server cannot go on.
    pub(crate) async fn run(self, stop: &Stop) -> Result<Summary> {
        let working = async {
            let summary = self.engine.run(stop.asked()).await;
            // Without the engine the server has nothing to serve for, and the other way round.
            stop.ask();
            summary.map_err(|error| Error::failed("run the engine", error))
        };
        let serving = async {
            match self.endpoint {
                Some(Endpoint { server, listener, .. }) => {
                    let served = server.serve(listener, stop.asked()).await;
                    stop.ask();
                    served.map_err(|error| Error::failed("serve", error))
                }
                None => Ok(()),
            }
        };
        let (summary, served) = tokio::join!(working, serving);
        let closed = self.owned.store.close().await;
        let summary = summary?;
        served?;
        closed?;
        Ok(summary)
    }

    /// Makes one pass and works until nothing is left to do. Nothing is served meanwhile.
    ///
    /// # Errors
    ///
    /// If the engine cannot start.
    pub(crate) async fn run_once(self, stop: &Stop) -> Result<Summary> {
        let summary = self.engine.run_until_idle(stop.asked()).await;
        let closed = self.owned.store.close().await;
        let summary = summary.map_err(|error| Error::failed("run the engine", error))?;
        closed?;
        Ok(summary)
    }

    /// Tells the log where things are.
    pub(crate) fn announce(&self) {
        tracing::info!(data = %self.owned.directory.path().display(), "store opened");
        if let Some(endpoint) = &self.endpoint {
            tracing::info!(address = %endpoint.address, "listening");
        }
    }
}

impl Endpoint {
    fn new(plan: EndpointPlan, bound: Bound, engine: Engine, metrics: Metrics) -> Result<Self> {
        let access = Access::choose(bound.address, plan.token, plan.openness);
        match access {
            Access::Closed => tracing::warn!(
                "the API is closed: other machines can connect, and there is no token (--api-token-file)"
            ),
            Access::Open => tracing::warn!("everyone who can connect may read the API (--insecure-open-api)"),
            Access::Token(_) | Access::Loopback => {}
        }
        let mut options = supercargo_server::Options::new(access).with_metrics(metrics);
        for source in plan.sources {
            let built = events::build(PROVIDER, source.config)
                .map_err(|error| Error::failed(format!("set up the event source {}", source.name), error))?;
            options = options.with_source(EventSource::new(source.name, built));
        }
        Ok(Self { server: Server::new(engine, options), listener: bound.listener, address: bound.address })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::watch::args::WatchArgs;

    fn read(flags: &[&str], hosts: &[&str]) -> Result<Option<EndpointPlan>, Vec<String>> {
        let args = WatchArgs::try_parse_from([&["supercargo-watch"], flags].concat()).unwrap();
        let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
        let environment = Environment::default().with("SUPERCARGO_EVENT_SECRET", "a-secret-of-some-length");
        EndpointPlan::read(&args.server, args.listen.as_deref(), &hosts, &environment)
    }

    #[test]
    fn sources_speak_for_their_registry() {
        let check = |flags: &[&str], hosts: &[&str], expected: &[(&str, Option<&str>)]| {
            let plan = read(flags, hosts).unwrap().expect("it listens");
            let found: Vec<_> = plan.sources.iter().map(|plan| (&*plan.name, plan.config.host.as_deref())).collect();
            assert_eq!(found, expected, "{flags:?}");
        };
        check(&["--listen=8080"], &["a.test"], &[("main", Some("a.test"))]);
        check(&["--listen=8080"], &["a.test", "b.test"], &[("main", None)]);
        check(
            &["--listen=8080", "--event-source=a=a.test", "--event-source=b=b.test"],
            &["a.test", "b.test"],
            &[("a", Some("a.test")), ("b", Some("b.test"))],
        );
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let problems = read(
            &[
                "--listen=8080",
                "--event-source=x y",
                "--event-source=b=c.test",
                "--event-source=d",
                "--event-source=d",
                "--api-token-file=/no/such",
            ],
            &["a.test"],
        )
        .unwrap_err();
        assert_eq!(problems.len(), 4, "{problems:?}");
        assert_eq!(read(&["--listen=8080", "--event-header=a b"], &["a.test"]).unwrap_err().len(), 1);
        // The secret of the environment may be there for another program.
        assert!(read(&[], &["a.test"]).unwrap().is_none());
    }

    #[test]
    fn addresses() {
        for (text, expected) in [
            ("8080", "127.0.0.1:8080"),
            (":8080", "0.0.0.0:8080"),
            ("localhost:1", "localhost:1"),
            ("[::1]:2", "[::1]:2"),
        ] {
            assert_eq!(address(text), expected);
        }
    }
}
