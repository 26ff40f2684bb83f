//! The connection test.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use supercargo_registry::{Check, Finding, Outcome, Subject, diagnose};
use supercargo_store::{Integration, IntegrationState, Reason, Store};
use tokio::time::Instant;

use super::machine::CREDENTIALS;
use super::{Amiss, Connection, EventPath, PathFinding, Signal, TestEvent};
use crate::failure::chain;
use crate::{Clock as _, Puller, SystemClock};

/// The names of the steps that are about events.
const EVENTS: &str = "events";
pub(super) const QUEUE: &str = "queue";
const ENDPOINT: &str = "endpoint";
const WEBHOOK: &str = "webhook";

/// What to do about a queue that cannot be read.
pub(super) const QUEUE_ADVICE: &str = "see whether `events-queue` names the queue, and who may read it: pushes are found \
                                       by polling meanwhile";
/// How long a queue may take to answer.
const QUEUE_PATIENCE: Duration = Duration::from_secs(20);
/// How long a test event is waited for: it is sent while the registry's side is asked for it, and noted within half a
/// second.
const ARRIVAL: Duration = Duration::from_secs(10);
/// How often it is looked for.
const LOOK: Duration = Duration::from_millis(200);
/// The store notes no more than one event in this time.
const NOTED_EVERY: SignedDuration = SignedDuration::from_secs(10);

/// A step of a connection test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Step {
    /// What was looked at: a word of [`Check`], or of the way of the events: `queue`, `endpoint`, `webhook`, `events`.
    pub step: &'static str,
    /// `passed`, `warned`, `failed` or `skipped`.
    pub outcome: &'static str,
    /// What was found, for a person to read.
    pub detail: String,
    /// What to do about it.
    pub advice: Option<String>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// A connection test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Examination {
    /// The registry.
    pub registry: String,
    /// Nothing failed.
    pub passed: bool,
    /// What was looked at, in order.
    pub steps: Vec<Step>,
}

impl Step {
    fn of(finding: &Finding, integration: &Integration) -> Self {
        let (mut outcome, mut advice) = (finding.outcome, finding.advice.clone());
        // Many registries do not list, or not to everybody: what is named is watched all the same.
        if finding.check == Check::Repositories && advice.as_ref().is_some_and(|advice| advice.contains("repository="))
        {
            if outcome == Outcome::Failed {
                outcome = Outcome::Warned;
            }
            let name = &integration.name;
            advice = Some(format!("name repositories: supercargo repo enable --integration {name} REPOSITORY"));
        }
        let (mut step, mut detail) = (finding.check.as_str(), finding.detail.clone());
        // A registry that is anybody's, Docker Hub for one, turns strangers away at the door and shows them much all the
        // same. These do not.
        let is_private = ["acr", "artifactory"].contains(&integration.kind.as_str());
        if finding.check == Check::SignIn && outcome == Outcome::Warned && is_private {
            (step, outcome) = (CREDENTIALS, Outcome::Failed);
            detail = format!("there are none, and strangers are not let in: {detail}");
            let name = &integration.name;
            advice = Some(format!("supercargo integration credentials {name} --user NAME --password-file FILE"));
        }
        Self {
            step,
            outcome: outcome.as_str(),
            detail,
            advice,
            took_ms: u64::try_from(finding.took.as_millis()).unwrap_or(u64::MAX),
        }
    }

    fn of_way(step: &'static str, begun: Instant, finding: PathFinding) -> Self {
        let PathFinding { outcome, detail, advice } = finding;
        let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        Self { step, outcome: outcome.as_str(), detail, advice, took_ms }
    }

    fn of_events(outcome: Outcome, detail: impl Into<String>) -> Self {
        let (step, outcome, detail) = (EVENTS, outcome.as_str(), detail.into());
        Self { step, outcome, detail, advice: None, took_ms: 0 }
    }
}

impl Examination {
    /// What it means for the integration.
    pub fn signal(&self) -> Signal {
        let failed = self.steps.iter().find(|step| step.outcome == Outcome::Failed.as_str());
        let Some(step) = failed else { return Signal::TestPassed { amiss: self.amiss() } };
        let reason = Reason::transient(step.step, step.detail.clone());
        Signal::TestFailed { reason, advice: step.advice.clone() }
    }

    /// Why no event may come.
    fn amiss(&self) -> Option<Amiss> {
        let is_amiss =
            |step: &&Step| [ENDPOINT, WEBHOOK].contains(&step.step) && step.outcome == Outcome::Warned.as_str();
        let step = self.steps.iter().find(is_amiss)?;
        Some(Amiss { what: step.detail.clone(), advice: step.advice.clone() })
    }
}

/// What is examined.
pub(super) struct Ground<'a> {
    pub(super) store: &'a dyn Store,
    pub(super) integration: &'a Integration,
    pub(super) connection: &'a Connection,
    pub(super) subject: Subject,
}

/// Looks at everything between here and the registry, and at the way of its events; hands each step to `tell`.
pub(super) async fn examine(on: &Ground<'_>, mut tell: impl FnMut(&Step) + Send) -> Examination {
    let mut steps = Vec::new();
    let diagnosing = diagnose(on.connection.watch.registry.as_ref(), &on.subject, |finding| {
        let step = Step::of(finding, on.integration);
        tell(&step);
        steps.push(step);
    });
    // An address that nobody answers at takes its time, and the registry has nothing to do with it.
    let knocking = async {
        match &on.connection.path {
            Some(path) => Some(endpoint(path.as_ref()).await),
            None => None,
        }
    };
    let (_, knocked) = tokio::join!(diagnosing, knocking);
    let mut add = |step: Step| {
        tell(&step);
        steps.push(step);
        steps.iter().all(|step| step.outcome != Outcome::Failed.as_str())
    };
    if let Some(queue) = &on.connection.queue {
        add(read_queue(queue).await);
    } else if let (Some(path), Some(knocked)) = (&on.connection.path, knocked) {
        let reached = add(knocked);
        // Some registries lock accounts that keep trying: who was refused does not try once more.
        if reached && let Some(step) = test_event(on, path.as_ref()).await {
            add(step);
        }
    }
    // Something may have come just now.
    let integration = on.store.integration(&on.integration.name).await.ok().flatten();
    let integration = integration.as_ref().unwrap_or(on.integration);
    let passed = add(events(integration, on.connection.has_events(), SystemClock.now()));
    Examination { registry: on.integration.registry.clone(), passed, steps }
}

async fn read_queue(queue: &Puller) -> Step {
    let begun = Instant::now();
    let checked = tokio::time::timeout(QUEUE_PATIENCE, queue.check()).await;
    let told = match checked {
        Ok(Ok(())) => return Step::of_way(QUEUE, begun, PathFinding::passed("it can be read")),
        Ok(Err(error)) => format!("failed to {}", chain(&error)),
        Err(_) => format!("no answer in {} s", QUEUE_PATIENCE.as_secs()),
    };
    let finding = PathFinding { outcome: Outcome::Failed, detail: told, advice: Some(QUEUE_ADVICE.to_owned()) };
    Step::of_way(QUEUE, begun, finding)
}

async fn endpoint(path: &dyn EventPath) -> Step {
    let begun = Instant::now();
    Step::of_way(ENDPOINT, begun, path.knock().await)
}

/// Has the registry's side send a test event, and waits for it.
async fn test_event(on: &Ground<'_>, path: &dyn EventPath) -> Option<Step> {
    let begun = Instant::now();
    let (name, asked) = (&on.integration.name, SystemClock.now());
    let last = async || on.store.integration(name).await.ok().flatten().and_then(|found| found.last_event);
    let before = last().await;
    let (by, to) = match path.ask_for_test().await? {
        TestEvent::Sent { by, to } => (by, to),
        TestEvent::NotSent(finding) => return Some(Step::of_way(WEBHOOK, begun, finding)),
    };
    // What comes shortly after something else is not noted, and what came just now came by the same way.
    if before.is_some_and(|before| before + NOTED_EVERY >= asked) {
        return Some(Step::of_way(WEBHOOK, begun, PathFinding::passed(format!("{by} sent a test event"))));
    }
    let came = PathFinding::passed(format!("{by} sent a test event, and it came"));
    let sent = Instant::now();
    while sent.elapsed() < ARRIVAL {
        if last().await > before {
            return Some(Step::of_way(WEBHOOK, begun, came));
        }
        tokio::time::sleep(LOOK).await;
    }
    let detail = format!("{by} sent a test event to {to}, and it did not come here");
    let advice = "see whether that address leads to this server, and whether it runs: its log tells of deliveries that \
                  are refused";
    Some(Step::of_way(WEBHOOK, begun, PathFinding::warned(detail, advice)))
}

fn events(integration: &Integration, has_events: bool, now: Timestamp) -> Step {
    if !has_events {
        return Step::of_events(Outcome::Skipped, "none are awaited: pushes are found by polling");
    }
    let advice = integration.advice.clone();
    match (integration.last_event, integration.state) {
        (None, _) => Step {
            advice: Some(format!(
                "set up the registry's side: `supercargo integration template {}`, then push",
                integration.name
            )),
            ..Step::of_events(Outcome::Warned, "none has come yet")
        },
        (Some(last), IntegrationState::Degraded) => {
            Step { advice, ..Step::of_events(Outcome::Warned, format!("overdue; the last came {}", ago(last, now))) }
        }
        (Some(last), _) => Step::of_events(Outcome::Passed, format!("the last came {}", ago(last, now))),
    }
}

fn ago(then: Timestamp, now: Timestamp) -> String {
    let past = now.duration_since(then).max(SignedDuration::ZERO);
    let (days, hours, minutes) = (past.as_hours() / 24, past.as_hours() % 24, past.as_mins() % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => "less than a minute ago".to_owned(),
        (0, 0, minutes) => format!("{minutes} min ago"),
        (0, hours, minutes) => format!("{hours} h {minutes} min ago"),
        (days, hours, _) => format!("{days} d {hours} h ago"),
    }
}

/// What is read of a registry: of what is known to be there, the first by name; else the first repository with tags.
pub(super) fn subject(known: &[String]) -> Subject {
    Subject { repository: known.iter().min().and_then(|name| name.parse().ok()), target: None }
}

/// The word of a failure that came before anything could be looked at.
pub(super) fn unusable(kind: &'static str, message: String) -> Signal {
    Signal::TestFailed {
        reason: Reason::permanent(kind, message),
        advice: Some("change the settings or the credentials of the integration".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_words() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let check = |seconds: i64, expected: &str| {
            assert_eq!(ago(now - SignedDuration::from_secs(seconds), now), expected);
        };
        check(-5, "less than a minute ago");
        check(59, "less than a minute ago");
        check(3599, "59 min ago");
        check(3660, "1 h 1 min ago");
        check(90_000, "1 d 1 h ago");
    }
}
