//! Store, engine and server, put together and run.

mod endpoint;
mod sources;
#[cfg(test)]
mod tests;
mod tls;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::{join_all, try_join_all};
use supercargo_engine::index::Indexer;
use supercargo_engine::store::{IncludeRemoved, IntegrationStore as _, Store};
use supercargo_engine::{Engine, Options, PublicDocuments, Registries, Route, Summary, Watch};
use supercargo_server::{Access, EventSource, Metrics, Server, Socket, Tls, TokenText};
use tokio::net::TcpListener;

pub(crate) use self::endpoint::{EndpointPlan, ProductPort, Surroundings, TlsFiles};
pub(crate) use self::sources::SourcePlan;
use crate::data::{self, OwnedStore};
use crate::integrations::{self, KeyArgs};
use crate::signals::Stop;
use crate::{Environment, Error, Result, proxy};

/// What a service is made of.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) data: PathBuf,
    pub(crate) watches: Vec<Watch>,
    /// What the sinks know of what is watched.
    pub(crate) registries: Registries,
    pub(crate) routes: Vec<Route>,
    pub(crate) options: Options,
    pub(crate) endpoint: Option<EndpointPlan>,
    /// The key of the integrations that the store may hold.
    pub(crate) key: KeyArgs,
    pub(crate) environment: Environment,
}

/// A store, an engine on it, and a server before it if it listens.
#[derive(Debug)]
pub(crate) struct Service {
    owned: OwnedStore,
    engine: Engine,
    endpoint: Option<Endpoint>,
    /// The API is served, and nothing but tokens of the store lets anybody change anything.
    needs_token: bool,
}

#[derive(Debug)]
struct Endpoint {
    server: Server,
    doors: Vec<Door>,
    tls: Option<(TlsFiles, Tls)>,
}

/// A bound address, and what is served there.
#[derive(Debug)]
struct Door {
    bound: Bound,
    /// Provider and name of the one source that is served; everything otherwise.
    source: Option<(&'static str, String)>,
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
        let bound = match plan.endpoint.as_ref().and_then(|endpoint| endpoint.address.as_ref()) {
            Some(address) => Some(bind(address).await?),
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
        let doors = match &plan.endpoint {
            Some(endpoint) => doors(endpoint, bound).await?,
            None => Vec::new(),
        };
        let owned = data::own(plan.data).await?;
        let store: Arc<dyn Store> = owned.store.clone();
        let public_url = plan.endpoint.as_ref().and_then(|endpoint| endpoint.public_url.as_ref());
        let environment = match public_url {
            // The flag counts for the connections of integrations as the variable does.
            Some(url) => plan.environment.clone().with(integrations::PUBLIC_URL, url),
            None => plan.environment.clone(),
        };
        let integrations = integrations::of(Arc::clone(&store), owned.directory.path(), &plan.key, &environment)?;
        let metrics = Metrics::default();
        let counted = metrics.clone();
        let indexer =
            Indexer::new().with_cache(store.layer_cache()).with_progress(move |progress| counted.index(progress));
        let mut builder = Engine::builder(store, Arc::new(indexer))
            .with_options(plan.options)
            .with_registries(plan.registries)
            .with_integrations(integrations);
        let proxy = proxy::of_machine(&plan.environment).map_err(|problem| Error::usage(vec![problem]))?;
        if let Some((proxy, exempt)) = proxy {
            builder = builder.with_documents(Arc::new(PublicDocuments::default().with_proxy(proxy, exempt)));
        }
        for watch in plan.watches {
            builder = builder.with_watch(watch);
        }
        for route in plan.routes {
            builder = builder.with_route(route);
        }
        for source in plan.endpoint.iter().flat_map(|endpoint| &endpoint.sources) {
            if let Some(puller) = source.puller()? {
                builder = builder.with_puller(puller);
            }
        }
        let engine = builder.build().map_err(|error| Error::failed("set up the engine", error))?;
        let needs_token = plan.endpoint.as_ref().is_some_and(|endpoint| endpoint.token.is_none())
            && doors.iter().any(|door| door.source.is_none());
        let endpoint = match plan.endpoint {
            Some(endpoint) if !doors.is_empty() => Some(Endpoint::new(endpoint, doors, engine.clone(), metrics)?),
            _ => None,
        };
        Ok(Self { owned, engine, endpoint, needs_token })
    }

    /// Whether there is anything to watch: by the configuration, or an integration.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub(crate) async fn has_work(&self) -> Result<bool> {
        let integrations = self.owned.store.integrations(IncludeRemoved::No).await?;
        Ok(!integrations.is_empty() || self.engine.watches().next().is_some())
    }

    /// Makes the first token of the API if there is need of one and has never been one. To be shown this once.
    ///
    /// # Errors
    ///
    /// If it cannot be made or kept.
    pub(crate) async fn first_token(&self) -> Result<Option<TokenText>> {
        if !self.needs_token {
            return Ok(None);
        }
        let store: Arc<dyn Store> = self.owned.store.clone();
        supercargo_server::first_token(&*store).await.map_err(|error| Error::failed("make the first token", error))
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
                Some(endpoint) => endpoint.serve(stop).await,
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
        for door in self.endpoint.iter().flat_map(|endpoint| &endpoint.doors) {
            match &door.source {
                Some((_, source)) => tracing::info!(address = %door.bound.address, source, "listening for webhooks"),
                None => tracing::info!(address = %door.bound.address, "listening"),
            }
        }
    }
}

/// Everything that is listened on, bound.
async fn doors(plan: &EndpointPlan, main: Option<Bound>) -> Result<Vec<Door>> {
    let ports = plan.ports.iter().map(async |(port, name)| {
        let source = plan.sources.iter().find(|source| source.name == *name);
        let provider = source.map_or("", |source| source.provider.name);
        // The product is another machine's, so this machine's address alone would not do.
        let bound = bind(&format!("0.0.0.0:{port}")).await?;
        Ok::<_, Error>(Door { bound, source: Some((provider, name.clone())) })
    });
    let main = main.map(|bound| Door { bound, source: None });
    Ok(main.into_iter().chain(try_join_all(ports).await?).collect())
}

impl Endpoint {
    fn new(plan: EndpointPlan, doors: Vec<Door>, engine: Engine, metrics: Metrics) -> Result<Self> {
        let main = doors.iter().find(|door| door.source.is_none()).map(|door| door.bound.address);
        let access = match main {
            Some(address) => Access::choose(address, plan.token, plan.openness),
            // Nothing but webhooks is served.
            None => Access::Loopback,
        };
        match access {
            Access::Closed => tracing::warn!(
                "the API is closed: other machines can connect, and there is no token (--api-token-file)"
            ),
            Access::Open => tracing::warn!("everyone who can connect may read the API (--insecure-open-api)"),
            Access::Token(_) | Access::Loopback => {}
        }
        let mut options = supercargo_server::Options::new(access).with_metrics(metrics);
        options.public_url = plan.public_url;
        for source in plan.sources.iter().filter(|source| source.queue.is_none()) {
            let built = source
                .build()
                .map_err(|error| Error::failed(format!("set up the event source {}", source.name), error))?;
            options = options.with_source(EventSource::new(source.name.clone(), built));
        }
        let tls = match plan.tls {
            Some(files) => {
                let tls = tls::load(&files)?;
                Some((files, tls))
            }
            None => None,
        };
        Ok(Self { server: Server::new(engine, options), doors, tls })
    }

    async fn serve(self, stop: &Stop) -> Result<()> {
        let Self { server, doors, tls } = self;
        let serving = doors.into_iter().map(async |door| {
            let socket = match &tls {
                Some((_, tls)) => Socket::with_tls(door.bound.listener, tls.clone()),
                None => Socket::from(door.bound.listener),
            };
            let served = match &door.source {
                Some((provider, name)) => server.serve_source(socket, (provider, name), stop.asked()).await,
                None => server.serve(socket, stop.asked()).await,
            };
            stop.ask();
            served.map_err(|error| Error::failed("serve", error))
        });
        let renewing = async {
            if let Some((files, tls)) = &tls {
                tls::keep(files, tls, stop).await;
            }
        };
        let (served, ()) = tokio::join!(join_all(serving), renewing);
        served.into_iter().collect()
    }
}
