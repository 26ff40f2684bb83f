//! One sink's courier: it owns the leases and the tasks of the sink's deliveries.

use std::collections::HashMap;
use std::sync::Arc;

use supercargo_store::{Delivery, ErrorKind};
use tokio::sync::watch;
use tokio::task::{self, AbortHandle, JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior};
use tracing::{debug, error, warn};

use super::attempt::Post;
use crate::failure::{Trouble, chain};
use crate::shared::{Flights, Shared};
use crate::{Result, Route};

/// What couriers are to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Deliver until told otherwise.
    Run,
    /// Deliver what is there, and end. A sink that is away is not waited for.
    Drain,
    /// Claim nothing more, and end when what is under way has ended or the grace is over.
    Stop,
}

pub(crate) struct Courier {
    post: Arc<Post>,
    tasks: JoinSet<()>,
    running: HashMap<task::Id, Running>,
    /// There may be something to claim.
    look: bool,
}

struct Running {
    delivery: Delivery,
    handle: AbortHandle,
    /// The lease is lost: nothing that the task does counts any more.
    lost: bool,
}

impl Courier {
    pub(crate) fn new(shared: Arc<Shared>, route: Route) -> Self {
        let health = shared.sink_health(&route.name);
        let post = Arc::new(Post { shared, route, health, flights: Flights::default() });
        Self { post, tasks: JoinSet::new(), running: HashMap::new(), look: true }
    }

    pub(crate) async fn run(mut self, mut phase: watch::Receiver<Phase>) {
        let post = Arc::clone(&self.post);
        let options = &post.shared.options;
        let mut heartbeat = tokio::time::interval(options.lease / 3);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut deadline = None;
        loop {
            let now = *phase.borrow_and_update();
            if now == Phase::Stop && deadline.is_none() {
                deadline = Some(Instant::now() + options.grace);
            }
            let stopping = deadline.is_some();
            if self.look && !stopping && self.room() > 0 {
                self.claim().await;
            }
            let is_done = stopping || (now == Phase::Drain && (!self.look || post.health.is_hopeless()));
            if is_done && self.running.is_empty() {
                return;
            }
            let has_room = !stopping && self.room() > 0;
            let until = post.health.until();
            tokio::select! {
                changed = phase.changed() => if changed.is_err() {
                    return;
                },
                () = at(deadline), if stopping => return self.give_back().await,
                Some(ended) = self.tasks.join_next_with_id() => self.ended(ended).await,
                _ = heartbeat.tick() => self.heartbeat().await,
                () = at(until), if until.is_some() => self.look = true,
                () = hint(&post.shared), if has_room => self.look = true,
            }
        }
    }

    /// How many more may be under way.
    fn room(&self) -> usize {
        self.post.health.allowance(self.post.route.concurrency.max(1)).saturating_sub(self.running.len())
    }

    async fn claim(&mut self) {
        let room = self.room();
        let Post { shared, route, .. } = &*self.post;
        let limit = u32::try_from(room).unwrap_or(u32::MAX);
        let claimed =
            shared.store.claim_deliveries(&route.name, &shared.options.name, shared.options.lease, limit).await;
        match claimed {
            Ok(deliveries) => {
                self.look = deliveries.len() == room;
                for delivery in deliveries {
                    self.begin(delivery);
                }
            }
            Err(error) => {
                self.look = false;
                warn!(sink = route.name, error = chain(&error), "no deliveries claimed");
                // The hint may come at once; a store in trouble needs a moment.
                tokio::time::sleep(shared.options.poll).await;
            }
        }
    }

    fn begin(&mut self, delivery: Delivery) {
        let post = Arc::clone(&self.post);
        debug!(sink = post.route.name, delivery = %delivery.lease.delivery, attempt = delivery.attempt, "delivery started");
        let task = delivery.clone();
        let handle = self.tasks.spawn(async move { post.attempt(task).await });
        self.running.insert(handle.id(), Running { delivery, handle, lost: false });
    }

    async fn ended(&mut self, ended: Result<(task::Id, ()), JoinError>) {
        self.look = true;
        let (id, error) = match ended {
            Ok((id, ())) => (id, None),
            Err(error) => (error.id(), Some(error)),
        };
        let Some(running) = self.running.remove(&id) else { return };
        let Some(payload) = error.and_then(|error| error.try_into_panic().ok()) else { return };
        if running.lost {
            return;
        }
        let trouble = Trouble::panic(payload.as_ref());
        error!(sink = self.post.route.name, reason = %trouble.reason, "sink panicked");
        self.post.panicked(&running.delivery, &trouble).await;
    }

    async fn heartbeat(&mut self) {
        let shared = &self.post.shared;
        for running in self.running.values_mut().filter(|running| !running.lost) {
            let lease = running.delivery.lease;
            match shared.store.heartbeat_delivery(lease, shared.options.lease).await {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::LeaseLost => {
                    // It may also just have ended; then there is nothing to stop.
                    debug!(delivery = %lease.delivery, "lease of delivery lost");
                    running.lost = true;
                    running.handle.abort();
                }
                Err(error) => warn!(delivery = %lease.delivery, error = chain(&error), "lease not extended"),
            }
        }
    }

    /// Ends what did not end in time and gives it back.
    async fn give_back(&mut self) {
        let Post { shared, route, .. } = &*self.post;
        warn!(sink = route.name, deliveries = self.running.len(), "deliveries did not end in time and are given back");
        self.tasks.shutdown().await;
        for (_, running) in std::mem::take(&mut self.running) {
            let lease = running.delivery.lease;
            match shared.store.release_delivery(lease).await {
                Ok(()) => {}
                // It ended while it was being stopped.
                Err(error) if error.kind() == ErrorKind::LeaseLost => {}
                Err(error) => {
                    warn!(delivery = %lease.delivery, error = chain(&error), "delivery not given back, its lease will run out");
                }
            }
        }
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Returns when there may be a delivery.
async fn hint(shared: &Shared) {
    if let Err(error) = shared.store.wait_for_deliveries(shared.options.poll).await {
        debug!(%error, "no hint of deliveries");
        tokio::time::sleep(shared.options.poll).await;
    }
}
