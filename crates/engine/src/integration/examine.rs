//! The connection test.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use supercargo_registry::{Check, Finding, Outcome, Registry, Subject, diagnose};
use supercargo_store::{Integration, IntegrationState, Reason};

use super::Signal;
use super::machine::CREDENTIALS;

/// The name of the step that is about events.
const EVENTS: &str = "events";

/// A step of a connection test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Step {
    /// What was looked at: a word of [`Check`], or `events`.
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

    fn of_events(outcome: Outcome, detail: impl Into<String>) -> Self {
        let (step, outcome, detail) = (EVENTS, outcome.as_str(), detail.into());
        Self { step, outcome, detail, advice: None, took_ms: 0 }
    }
}

impl Examination {
    /// What it means for the integration.
    pub fn signal(&self) -> Signal {
        let failed = self.steps.iter().find(|step| step.outcome == Outcome::Failed.as_str());
        let Some(step) = failed else { return Signal::TestPassed };
        let reason = Reason::transient(step.step, step.detail.clone());
        Signal::TestFailed { reason, advice: step.advice.clone() }
    }
}

/// Looks at everything between here and the registry, and at when the last event came; hands each step to `tell`.
pub(super) async fn examine(
    registry: &dyn Registry,
    integration: &Integration,
    has_events: bool,
    subject: &Subject,
    now: Timestamp,
    mut tell: impl FnMut(&Step) + Send,
) -> Examination {
    let mut steps = Vec::new();
    diagnose(registry, subject, |finding| {
        let step = Step::of(finding, integration);
        tell(&step);
        steps.push(step);
    })
    .await;
    let step = events(integration, has_events, now);
    tell(&step);
    steps.push(step);
    let passed = steps.iter().all(|step| step.outcome != Outcome::Failed.as_str());
    Examination { registry: integration.registry.clone(), passed, steps }
}

fn events(integration: &Integration, has_events: bool, now: Timestamp) -> Step {
    if !has_events {
        return Step::of_events(Outcome::Skipped, "none are awaited: pushes are found by polling");
    }
    let advice = integration.advice.clone();
    match (integration.last_event, integration.state) {
        (None, _) => Step {
            advice: Some("set up the registry's side: `supercargo integration template NAME`, then push".to_owned()),
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
