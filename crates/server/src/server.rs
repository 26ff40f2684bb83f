//! Router and listener.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::options;
use http::{HeaderValue, Method, StatusCode, header};
use supercargo_engine::Engine;
use tokio::sync::watch;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::connection::{Bounded, Socket};
use crate::problem::Problem;
use crate::state::{Shared, State as SharedState};
use crate::{Error, Options, Result, api, health, openapi, webhook};

/// How long requests under way may take after a stop was asked for.
const GRACE: Duration = Duration::from_secs(10);

/// Webhooks, API, metrics and health of one engine.
#[derive(Clone)]
pub struct Server {
    shared: Shared,
}

impl Server {
    /// A server over `engine` and the store that it works on.
    pub fn new(engine: Engine, options: Options) -> Self {
        Self { shared: Arc::new(SharedState::new(engine, options)) }
    }

    /// The description of all routes, an OpenAPI document.
    pub fn openapi(&self) -> Arc<str> {
        openapi::text(&self.shared)
    }

    /// All routes. Handed out for tests and for hosts that bring their own listener.
    pub fn router(&self) -> Router {
        let (routes, _) = routes(&self.shared).split_for_parts();
        routes
            .fallback(|| async { Problem::not_found("there is nothing here; see docs/api.md for what there is") })
            .method_not_allowed_fallback(|| async {
                Problem::new(StatusCode::METHOD_NOT_ALLOWED, "not with this method")
            })
            .layer(from_fn_with_state(Arc::clone(&self.shared), observe))
            .with_state(Arc::clone(&self.shared))
    }

    /// Deliveries for one source, at any path: for senders that can be given a host and a port and nothing else.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Source`](crate::ErrorKind::Source) if there is no such source.
    pub fn source_router(&self, provider: &str, name: &str) -> Result<Router> {
        let key = (provider.to_owned(), name.to_owned());
        if !self.shared.sources.contains_key(&key) {
            return Err(Error::source(format!("receive for {provider}/{name}: no such source is configured")));
        }
        let take = async move |State(shared): State<Shared>, request: Request| match shared.sources.get(&key) {
            Some(source) if matches!(*request.method(), Method::POST | Method::OPTIONS) => {
                webhook::take(&shared, source, None, request).await
            }
            _ => Problem::new(StatusCode::METHOD_NOT_ALLOWED, "not with this method").into_response(),
        };
        Ok(Router::new()
            .fallback(take)
            .layer(from_fn_with_state(Arc::clone(&self.shared), observe))
            .with_state(Arc::clone(&self.shared)))
    }

    /// Serves until `shutdown` resolves, then lets requests under way end, within bounds.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Listen`](crate::ErrorKind::Listen) if the listener fails for good.
    pub async fn serve(
        &self,
        listener: impl Into<Socket>,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<()> {
        serve(listener.into(), self.router(), shutdown).await
    }

    /// The same for the deliveries of one source: see [`Server::source_router`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Source`](crate::ErrorKind::Source), and as for [`Server::serve`].
    pub async fn serve_source(
        &self,
        listener: impl Into<Socket>,
        (provider, name): (&str, &str),
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<()> {
        serve(listener.into(), self.source_router(provider, name)?, shutdown).await
    }
}

/// All routes, with what they say of themselves.
pub(crate) fn routes(shared: &Shared) -> OpenApiRouter<Shared> {
    let (deliveries, with_secret) = ("/v1/events/{provider}/{source}", "/v1/events/{provider}/{source}/{secret}");
    OpenApiRouter::with_openapi(openapi::frame())
        .merge(api::router(shared))
        .routes(routes!(health::alive))
        .routes(routes!(health::ready))
        .routes(routes!(openapi::show))
        .routes(routes!(webhook::receive))
        .routes(routes!(webhook::receive_with_secret))
        // The handshake of CloudEvents' senders (docs/events.md), which asks whether it may send.
        .route(deliveries, options(webhook::receive))
        .route(with_secret, options(webhook::receive_with_secret))
}

async fn serve(socket: Socket, router: Router, shutdown: impl Future<Output = ()> + Send + 'static) -> Result<()> {
    let (stop, mut stopped) = watch::channel(());
    let graceful = async move {
        shutdown.await;
        drop(stop);
    };
    let serving = axum::serve(Bounded::new(socket), router).with_graceful_shutdown(graceful);
    let overdue = async move {
        // An error says that the sender is gone, which is the signal.
        while stopped.changed().await.is_ok() {}
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        served = serving => served.map_err(|error| Error::listen("serve requests", error)),
        () = overdue => {
            tracing::warn!("requests cut off at the end of their grace");
            Ok(())
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("access", &self.shared.access).finish_non_exhaustive()
    }
}

/// Counts requests, and marks answers as data that no browser should make anything else of.
async fn observe(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let method = request.method().clone();
    // The pattern, not the path: a label per digest would be a series per image.
    let route = request.extensions().get::<MatchedPath>().cloned();
    let started = tokio::time::Instant::now();
    let mut response = next.run(request).await.into_response();
    let route = route.as_ref().map_or("other", MatchedPath::as_str);
    shared.metrics.request(&method, route, response.status(), started.elapsed());
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
