//! The audit log: who changed what.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::access::Token;

/// Who changes something, in a word: `cli:alice`, `token:ci#3`, `supercargo`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct Actor(String);

impl Actor {
    /// Somebody at the command line of the machine, by the name of their account.
    pub fn command_line(account: impl fmt::Display) -> Self {
        Self(format!("cli:{account}"))
    }

    /// Whoever has a token. Its number is part of the word, because names can be given again.
    pub fn token(token: &Token) -> Self {
        Self(format!("token:{}#{}", token.name, token.id))
    }

    /// Somebody who needs no token of the store: `file` for the one that is configured, `loopback` for a program of the
    /// server's machine.
    pub fn interface(how: impl fmt::Display) -> Self {
        Self(format!("api:{how}"))
    }

    /// The program itself.
    pub fn supercargo() -> Self {
        Self("supercargo".to_owned())
    }

    /// The word.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn stored(word: String) -> Self {
        Self(word)
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Something that was done, to be written down.
///
/// The calls of [`IntegrationStore`](crate::IntegrationStore) and [`AccessStore`](crate::AccessStore) write theirs
/// themselves, in the transaction of the change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAuditEntry {
    /// Who did it.
    pub actor: Actor,
    /// What: `integration.create`, `token.revoke`, …
    pub action: String,
    /// The name of what it was done to.
    pub subject: String,
    /// What else there is to know. Secrets do not belong here.
    pub details: serde_json::Value,
}

impl NewAuditEntry {
    /// `actor` did `action` to `subject`.
    pub fn new(actor: &Actor, action: impl Into<String>, subject: impl Into<String>) -> Self {
        Self {
            actor: actor.clone(),
            action: action.into(),
            subject: subject.into(),
            details: serde_json::Value::Object(serde_json::Map::new()),
        }
    }

    /// The same with what else there is to know.
    #[must_use]
    pub fn with_details(mut self, details: serde_json::Value) -> Self {
        self.details = details;
        self
    }
}

/// Something that was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditEntry {
    /// Its number: later entries have greater ones.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// Who did it.
    pub actor: Actor,
    /// What.
    pub action: String,
    /// The name of what it was done to.
    pub subject: String,
    /// What else there is to know.
    pub details: serde_json::Value,
}

/// Which entries of the audit log to list; empty for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Only what this one did.
    pub actor: Option<String>,
    /// Only this action: `token.revoke`, or `token` for all that begin so.
    pub action: Option<String>,
    /// Only what was done to this one.
    pub subject: Option<String>,
    /// Only what was done since.
    pub since: Option<Timestamp>,
}
