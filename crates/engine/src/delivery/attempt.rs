//! One attempt of one delivery.

use std::sync::Arc;
use std::time::Duration;

use supercargo_store::{Delivery, Disposition, ErrorKind as StoreKind, Failure, Reason, Retry};
use tracing::{debug, error, info, warn};

use super::content;
use super::health::SinkHealth;
use crate::failure::{Trouble, chain};
use crate::shared::{Flights, Shared};
use crate::{Error, ErrorKind, LastError, Order, Outcome, Progress, Route};

/// How long one attempt may take, whatever the sink's own deadlines are.
const DEADLINE: Duration = Duration::from_secs(600);

/// What a courier and its attempts share.
pub(super) struct Post {
    pub(super) shared: Arc<Shared>,
    pub(super) route: Route,
    pub(super) health: Arc<SinkHealth>,
    pub(super) flights: Flights,
}

impl Post {
    fn name(&self) -> &str {
        &self.route.name
    }

    /// Makes one attempt and records how it ended.
    pub(super) async fn attempt(&self, delivery: Delivery) {
        let request = &delivery.request;
        let flight = match self.route.sink.capabilities().order {
            Order::Image => format!("{}@{}", request.repository, request.subject),
            Order::Repository => request.repository.to_string(),
        };
        // Held until the end is recorded; what is told is read after it was won.
        let _flight = self.flights.board(&flight).await;
        let consignment = match content::of(&self.shared, &self.route, &delivery).await {
            Ok(Some(consignment)) => consignment,
            Ok(None) => {
                debug!(sink = self.name(), delivery = %delivery.lease.delivery, "overtaken, nothing to tell");
                return self.delivered(&delivery, Outcome::Unchanged).await;
            }
            Err(trouble) => return self.unread(&delivery, &trouble).await,
        };
        let delivered = tokio::time::timeout(DEADLINE, self.route.sink.deliver(&consignment));
        match delivered.await {
            Ok(Ok(outcome)) => {
                if self.health.succeeded(delivery.lease.delivery) {
                    self.is_back();
                }
                self.delivered(&delivery, outcome).await;
            }
            Ok(Err(error)) => self.failed(&delivery, &error).await,
            Err(_) => {
                let error = Error::new(ErrorKind::Unreachable, format!("deliver within {DEADLINE:?}"));
                self.failed(&delivery, &error).await;
            }
        }
    }

    fn is_back(&self) {
        info!(sink = self.name(), "sink back");
        self.shared.monitor.sink(self.name(), |status| status.last_error = None);
    }

    async fn delivered(&self, delivery: &Delivery, outcome: Outcome) {
        match self.shared.store.complete_delivery(delivery.lease).await {
            Ok(()) => {
                let request = &delivery.request;
                info!(
                    sink = self.name(),
                    repository = %request.repository,
                    digest = %request.subject,
                    tag = request.tag.as_deref().unwrap_or_default(),
                    news = request.kind.as_str(),
                    outcome = outcome.as_str(),
                    "delivered"
                );
                let at = self.shared.clock.now();
                self.shared.monitor.sink(self.name(), |status| {
                    status.delivered += 1;
                    status.last_delivered = Some(at);
                });
                self.shared.monitor.tell(Progress::Delivered {
                    sink: self.name().to_owned(),
                    repository: request.repository.clone(),
                    digest: request.subject.clone(),
                    outcome,
                });
            }
            Err(error) if error.kind() == StoreKind::LeaseLost => {
                warn!(sink = self.name(), delivery = %delivery.lease.delivery, "lease lost, it will be delivered again");
            }
            // The lease runs out and it is delivered again, which receivers bear.
            Err(error) => {
                error!(sink = self.name(), delivery = %delivery.lease.delivery, error = chain(&error), "delivered, but not recorded");
            }
        }
    }

    /// The store could not tell what is to be told.
    async fn unread(&self, delivery: &Delivery, trouble: &Trouble) {
        let wait = self.shared.options.retry.backoff.wait(delivery.attempt);
        self.record(delivery, trouble.reason.clone(), Retry::After(wait)).await;
    }

    async fn failed(&self, delivery: &Delivery, error: &Error) {
        let retry = self.judge(delivery, error);
        let reason =
            Reason { kind: error.kind().as_str().to_owned(), message: chain(error), retryable: error.is_retryable() };
        if matches!(retry, Retry::Postpone(_)) {
            self.is_away(&reason);
        }
        self.record(delivery, reason, retry).await;
    }

    /// Whose failure it is, and what becomes of the delivery.
    fn judge(&self, delivery: &Delivery, error: &Error) -> Retry {
        let policy = &self.shared.options.retry;
        let asked = error.retry_after().map(|wait| wait.min(policy.longest_wait));
        let id = delivery.lease.delivery;
        let after = || Retry::After(asked.unwrap_or_else(|| policy.backoff.wait(delivery.attempt)));
        match error.kind() {
            ErrorKind::Closed => {
                // Nothing is claimed for it any more, so that it waits for the next start.
                self.health.close();
                Retry::Postpone(Duration::ZERO)
            }
            ErrorKind::Busy => {
                let wait = |failures| asked.unwrap_or_else(|| policy.pause.wait(failures));
                Retry::Postpone(self.health.failed(wait))
            }
            ErrorKind::Unreachable | ErrorKind::Denied if self.health.blames(id) => after(),
            ErrorKind::Unreachable => {
                let wait = |failures| policy.pause.wait(failures).max(asked.unwrap_or_default());
                Retry::Postpone(self.health.failed(wait))
            }
            ErrorKind::Denied => {
                let wait = |failures| policy.refused_pause.wait(failures).max(asked.unwrap_or_default());
                Retry::Postpone(self.health.failed(wait))
            }
            ErrorKind::Rejected => Retry::Never,
            _ => after(),
        }
    }

    fn is_away(&self, reason: &Reason) {
        let at = self.shared.clock.now();
        let mut known = false;
        self.shared.monitor.sink(self.name(), |status| {
            known = status.last_error.is_some();
            status.last_error = Some(LastError { at, reason: reason.clone() });
        });
        if known {
            debug!(sink = self.name(), %reason, "sink still away");
        } else if self.health.is_closed() {
            error!(sink = self.name(), %reason, "the sink wants nothing any more; what is left waits for a restart");
        } else {
            warn!(sink = self.name(), %reason, "sink away");
        }
    }

    /// The attempt panicked.
    pub(super) async fn panicked(&self, delivery: &Delivery, trouble: &Trouble) {
        let retry = trouble.retry(
            &self.shared.options.retry,
            delivery.attempt,
            crate::failure::Blame::Subject,
            Duration::ZERO,
            true,
        );
        self.record(delivery, trouble.reason.clone(), retry).await;
    }

    async fn record(&self, delivery: &Delivery, reason: Reason, retry: Retry) {
        let id = delivery.lease.delivery;
        let failure = Failure { reason: reason.clone(), retry };
        match self.shared.store.fail_delivery(delivery.lease, failure).await {
            Ok(disposition) => {
                let dead = disposition == Disposition::Dead;
                if dead {
                    error!(sink = self.name(), delivery = %id, attempt = delivery.attempt, %reason, "delivery given up");
                } else if !matches!(retry, Retry::Postpone(_)) {
                    warn!(sink = self.name(), delivery = %id, attempt = delivery.attempt, %reason, "delivery failed");
                }
                self.shared.monitor.sink(self.name(), |status| match (dead, retry) {
                    (true, _) => status.dead += 1,
                    (false, Retry::Postpone(_)) => status.postponed += 1,
                    (false, _) => status.retried += 1,
                });
                self.shared.monitor.tell(Progress::DeliveryFailed {
                    sink: self.name().to_owned(),
                    repository: delivery.request.repository.clone(),
                    digest: delivery.request.subject.clone(),
                    attempt: delivery.attempt,
                    reason,
                    dead,
                });
            }
            Err(error) if error.kind() == StoreKind::LeaseLost => {
                warn!(sink = self.name(), delivery = %id, "lease lost, failure dropped");
            }
            Err(error) => {
                error!(sink = self.name(), delivery = %id, error = chain(&error), %reason, "failed delivery not recorded");
            }
        }
    }
}
