//! How an integration stands, and what moves it.
//!
//! The table of all moves is in docs/integrations.md; a test reads it there.

use jiff::Timestamp;
use supercargo_events::{SetupNotice, SetupState};
use supercargo_store::{Integration, IntegrationState as State, NewMove, Reason};

/// The kind of the reason of an integration that waits for its first event.
pub(super) const WAITING: &str = "waiting";
/// … whose set-up at the registry's side failed.
const SET_UP: &str = "set-up";
/// … whose events are overdue.
const OVERDUE: &str = "overdue";
/// … that is being tested.
const TESTING: &str = "testing";
/// … whose sign-in waits for what the registry's side is to be set up with.
const AWAITED: &str = "set-up-awaited";
/// The step of a test that says that there is nothing to sign in with.
pub(super) const CREDENTIALS: &str = "credentials";

/// What there is to do while nothing comes.
const SET_UP_ADVICE: &str = "set up the registry's side: `supercargo integration template NAME` prints what that takes";

/// What a pass over a registry shows as well: reasons of these kinds are over when one has gone through. They are the
/// words of [`Check`](supercargo_registry::Check), and of what can be wrong before there is anything to check.
const SHOWN_BY_A_POLL: [&str; 8] =
    ["name", "connection", "tls", "protocol", "clock", "sign-in", "repositories", CREDENTIALS];
/// What does not work before the set-up, where that makes the role that is signed in as, and the queue.
const MADE_BY_THE_SET_UP: [&str; 2] = ["sign-in", "queue"];

/// What is known of an integration when something is heard of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Its registry tells of pushes.
    pub has_events: bool,
    /// Something has come by that way: an event, a handshake, word of the set-up.
    pub was_heard: bool,
    /// A test has passed with the credentials that it has now.
    pub is_tested: bool,
    /// What is signed in as is made by the set-up of the registry's side: a role of a stack.
    pub is_let_in_by_set_up: bool,
    /// Why it stands as it does.
    pub reason: Option<Reason>,
    /// What there is to do about it.
    pub advice: Option<String>,
}

impl Facts {
    /// What the store says of `integration`. Whether its registry tells of pushes is for the caller to say.
    pub fn of(integration: &Integration, has_events: bool) -> Self {
        let set = integration.credentials.as_ref().map(|sealed| sealed.changed_at);
        let tested = integration.tested_at.is_some_and(|at| set.is_none_or(|set| set <= at));
        let reason = integration.reason.clone();
        // A test that failed is why it is in error, unless the set-up is.
        let failed = integration.state == State::Error && !is(reason.as_ref(), SET_UP) || awaits_set_up(integration);
        Self {
            has_events,
            was_heard: integration.first_event.is_some(),
            is_tested: tested && !failed,
            is_let_in_by_set_up: integration.kind == "ecr" && integration.settings.contains_key("role-arn"),
            reason,
            advice: integration.advice.clone(),
        }
    }

    fn is_waiting(&self) -> bool {
        self.has_events && !self.was_heard
    }

    fn set_up_failed(&self) -> bool {
        is(self.reason.as_ref(), SET_UP)
    }

    /// Whether a test that failed for this reason says no more than that the set-up is not there yet.
    fn awaits(&self, reason: &Reason) -> bool {
        let by_set_up = self.has_events && self.is_let_in_by_set_up;
        let kind = reason.kind.as_str();
        !self.is_tested && (kind == CREDENTIALS || by_set_up && MADE_BY_THE_SET_UP.contains(&kind))
    }

    fn is_shown_by_a_poll(&self) -> bool {
        self.reason.as_ref().is_some_and(|reason| SHOWN_BY_A_POLL.contains(&reason.kind.as_str()))
    }

    /// The same state with the reason that it has.
    fn stay(&self, state: State) -> NewMove {
        NewMove { to: state, reason: self.reason.clone(), advice: self.advice.clone(), tested: false }
    }
}

/// Whether the sign-in of `integration` waits for the set-up of the registry's side.
pub(super) fn awaits_set_up(integration: &Integration) -> bool {
    integration.state == State::Pending && is(integration.reason.as_ref(), AWAITED)
}

fn is(reason: Option<&Reason>, kind: &str) -> bool {
    reason.is_some_and(|reason| reason.kind == kind)
}

/// Something that was heard of an integration.
#[derive(Clone, Debug, PartialEq)]
pub enum Signal {
    /// The registry's side tells how far its set-up is: a CloudFormation stack, for one.
    SetUpNotice(SetupNotice),
    /// The connection was tested, and works.
    TestPassed {
        /// What is amiss on the way of the events, if something is.
        amiss: Option<Amiss>,
    },
    /// The connection was tested, and does not work.
    TestFailed {
        /// What does not.
        reason: Reason,
        /// What to do about it.
        advice: Option<String>,
    },
    /// An authentic delivery came.
    EventSeen,
    /// A pass found a push that no event told of, and none did for long after.
    EventsOverdue {
        /// When the pass found it.
        since: Timestamp,
    },
    /// A pass over the registry went through.
    PollWorks,
    /// Credentials or settings were replaced.
    Replaced,
}

/// Something that keeps events from coming, and fails nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amiss {
    /// What was found.
    pub what: String,
    /// What to do about it.
    pub advice: Option<String>,
}

/// What becomes of an integration in `state` of which `facts` are known when `signal` is heard; `None` if nothing does.
pub fn next(state: State, facts: &Facts, signal: &Signal) -> Option<NewMove> {
    match (state, signal) {
        (State::Removed, _) => None,
        (State::Pending, Signal::TestFailed { reason, advice }) if facts.awaits(reason) => {
            Some(not_set_up(reason, advice.as_deref()))
        }
        (_, Signal::TestFailed { reason, advice }) => {
            let step = NewMove::new(State::Error).with_reason(reason.clone()).after_test();
            Some(NewMove { advice: advice.clone(), ..step })
        }
        (State::Error, Signal::TestPassed { .. }) if facts.set_up_failed() && facts.is_waiting() => {
            Some(facts.stay(State::Error).after_test())
        }
        (State::Pending | State::Error, Signal::TestPassed { amiss }) => {
            Some(works(facts, amiss.as_ref()).after_test())
        }
        (State::Connected | State::Degraded, Signal::TestPassed { .. }) => Some(facts.stay(state).after_test()),
        // A pass signs in and lists, which is what was amiss.
        (State::Error, Signal::PollWorks) if facts.is_shown_by_a_poll() => Some(works(facts, None).after_test()),
        (State::Pending, Signal::PollWorks) if is(facts.reason.as_ref(), AWAITED) => {
            Some(works(facts, None).after_test())
        }
        (State::Pending, Signal::EventSeen) if facts.is_tested => Some(NewMove::new(State::Connected)),
        (State::Degraded, Signal::EventSeen) => Some(NewMove::new(State::Connected)),
        (State::Error, Signal::EventSeen) if facts.set_up_failed() && facts.is_tested => {
            Some(NewMove::new(State::Connected))
        }
        (State::Connected, Signal::EventsOverdue { since }) if facts.has_events => Some(overdue(*since)),
        (State::Error, Signal::Replaced) if !facts.set_up_failed() => {
            let reason = Reason::transient(TESTING, "the connection is being tested");
            Some(NewMove::new(State::Pending).with_reason(reason))
        }
        (_, Signal::SetUpNotice(notice)) => set_up(state, facts, notice),
        _ => None,
    }
}

/// The connection works: what is left to wait for?
fn works(facts: &Facts, amiss: Option<&Amiss>) -> NewMove {
    if !facts.is_waiting() {
        return NewMove::new(State::Connected);
    }
    let mut message = "the connection works; the registry's first event has not come yet".to_owned();
    if let Some(amiss) = amiss {
        message = format!("{message}: {}", amiss.what);
    }
    let advice = amiss.and_then(|amiss| amiss.advice.as_deref());
    NewMove::new(State::Pending)
        .with_reason(Reason::transient(WAITING, message))
        .with_advice(advice.unwrap_or(SET_UP_ADVICE))
}

/// Nobody is let in before the registry's side is set up.
fn not_set_up(reason: &Reason, advice: Option<&str>) -> NewMove {
    let told = match reason.kind.as_str() {
        CREDENTIALS => reason.message.clone(),
        _ => format!("the registry's side is not set up yet, or lets somebody else in: {}", reason.message),
    };
    let advice = match (reason.kind.as_str(), advice) {
        (CREDENTIALS, Some(advice)) => advice,
        _ => SET_UP_ADVICE,
    };
    NewMove::new(State::Pending).with_reason(Reason::transient(AWAITED, told)).with_advice(advice).after_test()
}

fn overdue(since: Timestamp) -> NewMove {
    let message = format!("a push was found by asking at {since:.0}, and no event told of it");
    NewMove::new(State::Degraded)
        .with_reason(Reason::transient(OVERDUE, message))
        .with_advice("pushes are still found, later: see whether the registry's side reaches this server")
}

fn set_up(state: State, facts: &Facts, notice: &SetupNotice) -> Option<NewMove> {
    let told = |message: String| match &notice.reason {
        Some(reason) => format!("{message}: {reason}"),
        None => message,
    };
    match (state, notice.state) {
        (State::Pending, SetupState::Complete) if facts.is_tested => Some(NewMove::new(State::Connected)),
        (State::Degraded, SetupState::Complete) => Some(NewMove::new(State::Connected)),
        (State::Error, SetupState::Complete) if facts.set_up_failed() && facts.is_tested => {
            Some(NewMove::new(State::Connected))
        }
        (State::Error, SetupState::Complete) if facts.set_up_failed() => {
            let reason = Reason::transient(TESTING, "the connection is being tested");
            Some(NewMove::new(State::Pending).with_reason(reason))
        }
        (State::Pending | State::Error, SetupState::Failed) => {
            let message = told(format!("the set-up `{}` is {}", notice.name, notice.status));
            let step = NewMove::new(State::Error).with_reason(Reason::permanent(SET_UP, message));
            Some(step.with_advice("delete what is left of it, and create it again"))
        }
        (State::Connected, SetupState::Removed) => {
            let message = told(format!("the set-up `{}` was deleted: no events come any more", notice.name));
            let step = NewMove::new(State::Degraded).with_reason(Reason::permanent(SET_UP, message));
            Some(step.with_advice("pushes are still found, later: create it again, or remove the integration"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = include_str!("../../../../docs/integrations.md");

    fn notice(state: SetupState) -> Signal {
        Signal::SetUpNotice(SetupNotice {
            id: "arn:aws:cloudformation:eu-west-1:123456789012:stack/s/1".to_owned(),
            name: "SupercargoECRIntegration".to_owned(),
            state,
            status: "A_STATUS".to_owned(),
            reason: Some("because".to_owned()),
            time: None,
            dedup_key: "1".to_owned(),
        })
    }

    fn signals() -> Vec<(&'static str, Signal)> {
        let reason = Reason::permanent("sign-in", "401");
        vec![
            ("a test passes", Signal::TestPassed { amiss: None }),
            ("a test fails", Signal::TestFailed { reason, advice: Some("look".to_owned()) }),
            ("an event comes", Signal::EventSeen),
            ("the set-up is in progress", notice(SetupState::InProgress)),
            ("the set-up is complete", notice(SetupState::Complete)),
            ("the set-up failed", notice(SetupState::Failed)),
            ("the set-up is removed", notice(SetupState::Removed)),
            ("events are overdue", Signal::EventsOverdue { since: Timestamp::UNIX_EPOCH }),
            ("a poll goes through", Signal::PollWorks),
            ("credentials or settings are replaced", Signal::Replaced),
        ]
    }

    fn facts() -> Vec<Facts> {
        let reasons =
            [None, Some("set-up"), Some("sign-in"), Some("blob"), Some("waiting"), Some("overdue"), Some(AWAITED)];
        let mut all = Vec::new();
        for bits in 0..16 {
            for reason in reasons {
                all.push(Facts {
                    has_events: bits & 1 != 0,
                    was_heard: bits & 2 != 0,
                    is_tested: bits & 4 != 0,
                    is_let_in_by_set_up: bits & 8 != 0,
                    reason: reason.map(|kind| Reason::permanent(kind, "as it was")),
                    advice: None,
                });
            }
        }
        all
    }

    fn holds(condition: &str, facts: &Facts) -> bool {
        condition.split(" and ").filter(|part| !part.is_empty()).all(|part| match part {
            "nothing has come yet" => facts.has_events && !facts.was_heard,
            "something has come" => !facts.has_events || facts.was_heard,
            "the registry tells of pushes" => facts.has_events,
            "a test has passed" => facts.is_tested,
            "no test has passed" => !facts.is_tested,
            "the set-up had failed" => is(facts.reason.as_ref(), "set-up"),
            "the set-up had not failed" => !is(facts.reason.as_ref(), "set-up"),
            "the sign-in waits for the set-up" => facts.has_events && facts.is_let_in_by_set_up && !facts.is_tested,
            "the sign-in waited for the set-up" => is(facts.reason.as_ref(), AWAITED),
            "polling shows the same" => is(facts.reason.as_ref(), "sign-in"),
            other => panic!("docs/integrations.md: what is {other:?}?"),
        })
    }

    /// Every move that the page names is made, and no other.
    #[test]
    fn the_moves_are_those_of_the_page() {
        let table = PAGE.split("<!-- moves -->").nth(1).expect("the page marks its table");
        let rows: Vec<Vec<&str>> = table
            .lines()
            .filter(|line| line.starts_with("| ") && !line.starts_with("| ---") && !line.starts_with("| State"))
            .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
            .collect();
        assert!(rows.len() > 15, "{rows:?}");
        let mut used = vec![false; rows.len()];
        for state in State::ALL {
            for (what, signal) in signals() {
                for facts in facts() {
                    let row =
                        rows.iter().position(|row| row[0] == state.as_str() && row[1] == what && holds(row[2], &facts));
                    let expected = row.map(|row| rows[row][3]);
                    let found = next(state, &facts, &signal);
                    let told = format!("{state}, {what}, {facts:?}");
                    assert_eq!(found.as_ref().map(|step| step.to.as_str()), expected, "{told}");
                    if let Some(row) = row {
                        used[row] = true;
                    }
                }
            }
        }
        let unused: Vec<_> = rows.iter().zip(used).filter(|(_, used)| !used).map(|(row, _)| row).collect();
        assert!(unused.is_empty(), "{unused:?}");
    }

    #[test]
    fn a_reason_says_what_happened_and_what_to_do() {
        let facts = Facts { has_events: true, ..Facts::default() };
        let step = next(State::Pending, &facts, &Signal::TestPassed { amiss: None }).unwrap();
        assert!(step.tested && step.reason.unwrap().message.contains("first event"));
        assert!(step.advice.unwrap().contains("integration template"));
        let amiss = Amiss { what: "there is no webhook".to_owned(), advice: Some("make one".to_owned()) };
        let step = next(State::Pending, &facts, &Signal::TestPassed { amiss: Some(amiss) }).unwrap();
        assert!(step.reason.unwrap().message.ends_with("has not come yet: there is no webhook"));
        assert_eq!(step.advice.as_deref(), Some("make one"));

        let step = next(State::Pending, &facts, &notice(SetupState::Failed)).unwrap();
        assert_eq!(step.reason.unwrap().message, "the set-up `SupercargoECRIntegration` is A_STATUS: because");
        let step = next(State::Connected, &facts, &Signal::EventsOverdue { since: Timestamp::UNIX_EPOCH }).unwrap();
        assert!(step.reason.unwrap().message.contains("1970-01-01T00:00:00Z"));
        let role = Facts { is_let_in_by_set_up: true, ..facts.clone() };
        let refused = |kind: &str| Signal::TestFailed { reason: Reason::transient(kind, "403"), advice: None };
        let step = next(State::Pending, &role, &refused("sign-in")).unwrap();
        assert!(step.to == State::Pending && step.advice.unwrap().contains("integration template"));
        assert!(step.reason.unwrap().message.ends_with("not set up yet, or lets somebody else in: 403"));
        assert_eq!(next(State::Pending, &role, &refused("blob")).unwrap().to, State::Error);
        assert_eq!(next(State::Pending, &facts, &refused("sign-in")).unwrap().to, State::Error, "a password is wrong");
        assert_eq!(next(State::Pending, &facts, &refused(CREDENTIALS)).unwrap().to, State::Pending, "there is none");
        // Another test that fails says what is wrong now, and a passed one takes nothing back that it does not show.
        let facts = Facts { reason: Some(Reason::transient("overdue", "since noon")), ..facts };
        let step = next(State::Degraded, &facts, &Signal::TestPassed { amiss: None }).unwrap();
        assert_eq!((step.to, step.reason.unwrap().message.as_str()), (State::Degraded, "since noon"));
    }
}
