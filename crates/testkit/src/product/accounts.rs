//! Who may come in, and who is shut out for trying.

use std::sync::{Mutex, PoisonError};

use http::HeaderMap;
use http::header::AUTHORIZATION;

use crate::Credentials;

/// Who sent a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    /// Somebody with the right credentials.
    Known,
    /// Somebody without any.
    Stranger,
    /// Somebody with wrong ones.
    Wrong,
    /// Somebody who is shut out, whatever they send.
    Locked,
}

/// One account, with a user and a password or a token.
#[derive(Debug)]
pub(crate) struct Accounts {
    credentials: Option<Credentials>,
    token: Option<String>,
    /// Wrong passwords that are let pass.
    patience: Option<usize>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failures: usize,
    /// A password in place of the first one.
    changed: Option<Credentials>,
}

impl Accounts {
    pub(crate) fn new(credentials: Option<Credentials>, token: Option<String>, patience: Option<usize>) -> Self {
        Self { credentials, token, patience, state: Mutex::default() }
    }

    /// Whether nobody has to sign in.
    pub(crate) fn is_open(&self) -> bool {
        self.credentials.is_none() && self.token.is_none()
    }

    pub(crate) fn caller(&self, headers: &HeaderMap) -> Caller {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(sent) = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()) else {
            return Caller::Stranger;
        };
        if self.patience.is_some_and(|patience| state.failures > patience) {
            return Caller::Locked;
        }
        let credentials = state.changed.as_ref().or(self.credentials.as_ref());
        let known = credentials.is_some_and(|credentials| credentials.basic() == sent)
            || self.token.as_ref().is_some_and(|token| format!("Bearer {token}") == sent);
        if known {
            return Caller::Known;
        }
        state.failures += 1;
        Caller::Wrong
    }

    pub(crate) fn failures(&self) -> usize {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).failures
    }

    pub(crate) fn change(&self, credentials: Credentials) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).changed = Some(credentials);
    }
}
