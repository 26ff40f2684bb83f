//! What is counted, for Prometheus.
//!
//! Names are `supercargo_<what>_<unit>[_total]`. Labels come from closed sets: routes, lanes, outcomes, and the
//! registries and sinks that the configuration names. Never a repository, a tag, a digest or a package: a registry has
//! thousands of those, and anybody who pushes can make more.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Method, StatusCode, header};
use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use supercargo_engine::index::Progress;
use supercargo_engine::registry::{Quota, RegistryExt as _};
use supercargo_engine::store::{LaneStats, RegistryState, SinkStats, Usage};
use supercargo_engine::{Counters, RegistryStatus, SinkStatus, Status};

use crate::access::Caller;
use crate::problem::Problem;
use crate::state::Shared;

/// Bounds of the histogram of requests: reads take milliseconds, the fsync of a delivery up to some hundred.
const REQUEST_SECONDS: [f64; 9] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0];

type FloatGauge = Gauge<f64, AtomicU64>;

/// What is counted. Cheap to clone; clones count together.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    /// Locked for as long as one scrape fills and reads the gauges.
    registry: Mutex<Registry>,
    requests: Family<RequestLabels, Counter>,
    seconds: Family<RouteLabels, Histogram>,
    deliveries: Family<OutcomeLabels, Counter>,
    layers: Counter,
    layers_cached: Counter,
    layer_bytes: Family<OriginLabels, Counter>,
    engine: EngineCounters,
    gauges: Gauges,
}

#[derive(Default)]
struct EngineCounters {
    events: Family<OutcomeLabels, Counter>,
    images: Family<OutcomeLabels, Counter>,
    failures: Family<OutcomeLabels, Counter>,
    passes: Family<OutcomeLabels, Counter>,
    gone: Counter,
    sinks: Family<SinkOutcomeLabels, Counter>,
}

#[derive(Default)]
struct Gauges {
    queue: Family<QueueLabels, Gauge>,
    oldest: Family<LaneLabels, FloatGauge>,
    running: Gauge,
    event_age: Family<RegistryLabels, FloatGauge>,
    reconcile_age: Family<RegistryLabels, FloatGauge>,
    away: Family<RegistryLabels, Gauge>,
    quota_remaining: Family<RegistryLabels, Gauge>,
    quota_limit: Family<RegistryLabels, Gauge>,
    outbox: Family<SinkStateLabels, Gauge>,
    outbox_oldest: Family<SinkLabels, FloatGauge>,
    sink_away: Family<SinkLabels, Gauge>,
    images: Gauge,
    packages: Gauge,
    database: Gauge,
    cache: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: String,
    method: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OriginLabels {
    origin: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LaneLabels {
    lane: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QueueLabels {
    lane: &'static str,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RegistryLabels {
    registry: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SinkLabels {
    sink: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SinkStateLabels {
    sink: String,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SinkOutcomeLabels {
    sink: String,
    outcome: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        let inner = Inner {
            registry: Mutex::default(),
            requests: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(REQUEST_SECONDS)),
            deliveries: Family::default(),
            layers: Counter::default(),
            layers_cached: Counter::default(),
            layer_bytes: Family::default(),
            engine: EngineCounters::default(),
            gauges: Gauges::default(),
        };
        inner.register();
        Self(Arc::new(inner))
    }
}

impl Metrics {
    /// Counts what an indexer reports; to be handed to [`Indexer::with_progress`](supercargo_engine::index::Indexer).
    pub fn index(&self, progress: Progress) {
        let inner = &self.0;
        let bytes = |origin, bytes| {
            inner.layer_bytes.get_or_create(&OriginLabels { origin }).inc_by(bytes);
        };
        match progress {
            Progress::Begun { layers, .. } => {
                inner.layers.inc_by(layers as u64);
            }
            Progress::Read { bytes: count } => bytes("registry", count),
            Progress::Cached { bytes: count } => {
                inner.layers_cached.inc();
                bytes("cache", count);
            }
            _ => {}
        }
    }

    pub(crate) fn request(&self, method: &Method, route: &str, status: StatusCode, took: Duration) {
        // Methods are the client's words, so the ones without a route share a label.
        let method = match *method {
            Method::GET => "GET",
            Method::HEAD => "HEAD",
            Method::POST => "POST",
            _ => "other",
        };
        let status = match status.as_u16() / 100 {
            2 => "2xx",
            3 => "3xx",
            4 => "4xx",
            _ => "5xx",
        };
        self.0.requests.get_or_create(&RequestLabels { route: route.to_owned(), method, status }).inc();
        self.0.seconds.get_or_create(&RouteLabels { route: route.to_owned() }).observe(took.as_secs_f64());
    }

    pub(crate) fn delivery(&self, outcome: &'static str) {
        self.0.deliveries.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    fn render(&self, scrape: &Scrape) -> Result<String, fmt::Error> {
        let registry = self.0.registry.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.engine.set(&scrape.status);
        self.0.gauges.set(scrape);
        let mut text = String::new();
        encode(&mut text, &registry)?;
        Ok(text)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Inner {
    fn register(&self) {
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let all = registry.sub_registry_with_prefix("supercargo");
        all.register("http_requests", "HTTP requests answered", self.requests.clone());
        all.register_with_unit(
            "http_request_duration",
            "Time to answer HTTP requests",
            Unit::Seconds,
            self.seconds.clone(),
        );
        all.register("deliveries", "Deliveries of registries, by what they were", self.deliveries.clone());
        all.register("image_layers", "Layers of the images that were indexed", self.layers.clone());
        all.register("cached_layers", "Those of the layers that came from the cache", self.layers_cached.clone());
        all.register_with_unit("layer", "Bytes of layers, as stored", Unit::Bytes, self.layer_bytes.clone());

        let engine = &self.engine;
        all.register("events", "Events, by what became of them", engine.events.clone());
        all.register("images", "Images dealt with, by outcome", engine.images.clone());
        all.register("job_failures", "Failed attempts of jobs, by what follows", engine.failures.clone());
        all.register("reconcile_passes", "Reconcile passes, by outcome", engine.passes.clone());
        all.register("gone", "Tags, manifests and repositories found gone", engine.gone.clone());

        all.register("sink_deliveries", "Attempts to deliver to a sink, by outcome", engine.sinks.clone());

        let gauges = &self.gauges;
        all.register("queue_jobs", "Jobs in the queue", gauges.queue.clone());
        all.register_with_unit(
            "queue_oldest_ready",
            "How long the oldest ready job has waited",
            Unit::Seconds,
            gauges.oldest.clone(),
        );
        all.register("running_jobs", "Jobs that workers of this process have", gauges.running.clone());
        all.register_with_unit(
            "registry_last_event_age",
            "Time since the last event of the registry",
            Unit::Seconds,
            gauges.event_age.clone(),
        );
        all.register_with_unit(
            "registry_last_reconcile_age",
            "Time since a reconcile pass over the registry last went through",
            Unit::Seconds,
            gauges.reconcile_age.clone(),
        );
        all.register("registry_away", "Whether the registry does not answer", gauges.away.clone());
        all.register(
            "registry_quota_remaining",
            "Requests that the registry says are left",
            gauges.quota_remaining.clone(),
        );
        all.register("registry_quota_limit", "Requests that the registry grants", gauges.quota_limit.clone());
        all.register("outbox_rows", "Deliveries that have not arrived, by sink", gauges.outbox.clone());
        all.register_with_unit(
            "outbox_oldest",
            "How long the oldest delivery that has not arrived has waited",
            Unit::Seconds,
            gauges.outbox_oldest.clone(),
        );
        all.register("sink_away", "Whether the sink does not take what it is told", gauges.sink_away.clone());
        all.register("stored_images", "Images in the store", gauges.images.clone());
        all.register("stored_packages", "Distinct packages in the store", gauges.packages.clone());
        all.register_with_unit("database", "Size of the database", Unit::Bytes, gauges.database.clone());
        all.register_with_unit("layer_cache", "Size of the layer cache", Unit::Bytes, gauges.cache.clone());
    }
}

impl EngineCounters {
    /// The engine counts; these are set to its numbers when someone looks.
    fn set(&self, status: &Status) {
        let counters: &Counters = &status.counters;
        let set = |family: &Family<OutcomeLabels, Counter>, outcome, number| {
            family.get_or_create(&OutcomeLabels { outcome }).inner().store(number, Ordering::Relaxed);
        };
        set(&self.events, "stored", counters.events);
        set(&self.events, "duplicate", counters.duplicates);
        set(&self.images, "indexed", counters.indexed);
        set(&self.images, "known", counters.known);
        set(&self.images, "unsupported", counters.unsupported);
        set(&self.failures, "retried", counters.retried);
        set(&self.failures, "dead", counters.dead);
        set(&self.passes, "done", counters.passes);
        set(&self.passes, "failed", counters.failed_passes);
        self.gone.inner().store(counters.gone, Ordering::Relaxed);
        for sink in &status.sinks {
            let outcomes = [
                ("delivered", sink.delivered),
                ("retried", sink.retried),
                ("postponed", sink.postponed),
                ("dead", sink.dead),
            ];
            for (outcome, number) in outcomes {
                let labels = SinkOutcomeLabels { sink: sink.sink.clone(), outcome };
                self.sinks.get_or_create(&labels).inner().store(number, Ordering::Relaxed);
            }
        }
    }
}

/// What is asked of the store and the engine for one scrape.
struct Scrape {
    now: Timestamp,
    status: Status,
    lanes: Vec<LaneStats>,
    registries: Vec<RegistryState>,
    outbox: Vec<SinkStats>,
    usage: Usage,
    /// Of the registries that speak of one.
    quotas: Vec<(String, Quota)>,
}

impl Gauges {
    fn set(&self, scrape: &Scrape) {
        for lane in &scrape.lanes {
            let name = lane.lane.as_str();
            let states =
                [("ready", lane.ready), ("delayed", lane.delayed), ("running", lane.running), ("dead", lane.dead)];
            for (state, jobs) in states {
                self.queue.get_or_create(&QueueLabels { lane: name, state }).set(number(jobs));
            }
            let oldest = lane.oldest_ready.unwrap_or_default();
            self.oldest.get_or_create(&LaneLabels { lane: name }).set(oldest.as_secs_f64());
        }
        self.running.set(number(scrape.status.jobs.len() as u64));
        for watched in &scrape.status.registries {
            let stored = scrape.registries.iter().find(|stored| stored.name == watched.registry);
            self.set_registry(scrape.now, watched, stored);
        }
        for (registry, quota) in &scrape.quotas {
            let labels = RegistryLabels { registry: registry.clone() };
            self.quota_remaining.get_or_create(&labels).set(number(quota.remaining));
            if let Some(limit) = quota.limit {
                self.quota_limit.get_or_create(&labels).set(number(limit));
            }
        }
        for sink in &scrape.status.sinks {
            self.set_sink(sink, scrape.outbox.iter().find(|stats| stats.sink == sink.sink));
        }
        self.images.set(number(scrape.usage.images));
        self.packages.set(number(scrape.usage.packages));
        self.database.set(number(scrape.usage.database_bytes));
        self.cache.set(number(scrape.usage.layer_bytes));
    }

    /// A sink whose outbox is empty has no line in the store.
    fn set_sink(&self, status: &SinkStatus, stats: Option<&SinkStats>) {
        let rows = |count: fn(&SinkStats) -> u64| number(stats.map_or(0, count));
        let states = [
            ("ready", rows(|stats| stats.ready)),
            ("delayed", rows(|stats| stats.delayed)),
            ("running", rows(|stats| stats.running)),
            ("dead", rows(|stats| stats.dead)),
        ];
        for (state, rows) in states {
            self.outbox.get_or_create(&SinkStateLabels { sink: status.sink.clone(), state }).set(rows);
        }
        let labels = SinkLabels { sink: status.sink.clone() };
        let oldest = stats.and_then(|stats| stats.oldest).unwrap_or_default();
        self.outbox_oldest.get_or_create(&labels).set(oldest.as_secs_f64());
        self.sink_away.get_or_create(&labels).set(i64::from(status.last_error.is_some()));
    }

    /// The store remembers what was before this process.
    fn set_registry(&self, now: Timestamp, watched: &RegistryStatus, stored: Option<&RegistryState>) {
        let labels = RegistryLabels { registry: watched.registry.clone() };
        let age = |time: Timestamp| now.duration_since(time).as_secs_f64().max(0.0);
        let latest = |here: Option<Timestamp>, stored: Option<Timestamp>| here.max(stored);
        if let Some(time) = latest(watched.last_event, stored.and_then(|stored| stored.last_event)) {
            self.event_age.get_or_create(&labels).set(age(time));
        }
        if let Some(time) = latest(watched.last_reconcile, stored.and_then(|stored| stored.last_reconciled)) {
            self.reconcile_age.get_or_create(&labels).set(age(time));
        }
        let away = watched.last_error.is_some() || stored.is_some_and(|stored| stored.away.is_some());
        self.away.get_or_create(&labels).set(i64::from(away));
    }
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Shows the metrics, as OpenMetrics text.
#[utoipa::path(
    get, path = "/metrics", operation_id = "showMetrics", tag = "health",
    security(("token" = ["viewer"])),
    responses((status = 200, description = "For Prometheus", body = String, content_type = "application/openmetrics-text")),
)]
pub(crate) async fn render(State(shared): State<Shared>, caller: Caller) -> Result<Response, Problem> {
    caller.unscoped()?;
    let quotas = shared.engine.watches().filter_map(|watch| Some((watch.host().to_owned(), watch.registry.quota()?)));
    let scrape = Scrape {
        now: Timestamp::now(),
        status: shared.engine.status(),
        lanes: shared.store.queue_stats().await?,
        registries: shared.store.registries().await?,
        outbox: shared.store.outbox_stats().await?,
        usage: shared.store.usage().await?,
        quotas: quotas.collect(),
    };
    let text = shared
        .metrics
        .render(&scrape)
        .map_err(|_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be written"))?;
    let content_type = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, content_type)], text).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_registries_say_of_quotas() {
        let now = Timestamp::now();
        let quota = Quota { remaining: 76, limit: Some(100), window: None, resets_at: None, noted_at: now };
        let status = Status {
            running: true,
            accepting: true,
            registries: Vec::new(),
            jobs: Vec::new(),
            sinks: Vec::new(),
            counters: Counters::default(),
        };
        let scrape = Scrape {
            now,
            status,
            lanes: Vec::new(),
            registries: Vec::new(),
            usage: Usage::default(),
            outbox: Vec::new(),
            quotas: vec![("docker.io".to_owned(), quota)],
        };
        let text = Metrics::default().render(&scrape).unwrap();
        for line in [
            r#"supercargo_registry_quota_remaining{registry="docker.io"} 76"#,
            r#"supercargo_registry_quota_limit{registry="docker.io"} 100"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
    }
}
