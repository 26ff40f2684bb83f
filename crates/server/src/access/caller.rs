//! Who sends a request, and what they may do.

use std::collections::HashSet;

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;
use supercargo_engine::store::{Actor, IncludeRemoved, Role, Store, Token};

use crate::problem::Problem;
use crate::state::Shared;

/// What a request may do; each right includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Right {
    /// To read.
    Read,
    /// To have done again what was decided before.
    Repeat,
    /// To change what is wanted of an integration, and to end it.
    Change,
    /// To say where credentials go, and who may do what.
    Administer,
}

impl Right {
    fn of(role: Role) -> Self {
        match role {
            Role::Viewer => Self::Read,
            Role::Editor => Self::Change,
            Role::Admin => Self::Administer,
        }
    }

    /// The least role that has it.
    pub(crate) fn role(self) -> Role {
        match self {
            Self::Read => Role::Viewer,
            Self::Repeat | Self::Change => Role::Editor,
            Self::Administer => Role::Admin,
        }
    }
}

/// Who sends a request.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) actor: Actor,
    pub(crate) right: Right,
    pub(crate) scope: Scope,
}

/// What a request may be about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Everything.
    All,
    /// Integrations and what is in their registries.
    Integrations {
        /// By name; they may not be there yet.
        names: HashSet<String>,
        /// The registries of those that are there.
        registries: HashSet<String>,
    },
}

impl Scope {
    /// Whether the integration of this name is within.
    pub(crate) fn covers(&self, integration: &str) -> bool {
        match self {
            Self::All => true,
            Self::Integrations { names, .. } => names.contains(integration),
        }
    }

    /// Whether what is in the registry is within.
    pub(crate) fn sees(&self, registry: &str) -> bool {
        match self {
            Self::All => true,
            Self::Integrations { registries, .. } => registries.contains(registry),
        }
    }
}

impl Caller {
    /// Somebody who may do it to everything.
    pub(super) fn new(actor: Actor, right: Right) -> Self {
        Self { actor, right, scope: Scope::All }
    }

    /// Whoever has a token of the store.
    pub(super) async fn with_token(store: &dyn Store, token: Token) -> Result<Self, Problem> {
        let scope = if token.scope.is_empty() {
            Scope::All
        } else {
            let names: HashSet<_> = token.scope.iter().cloned().collect();
            let integrations = store.integrations(IncludeRemoved::No).await?;
            let within = integrations.into_iter().filter(|one| names.contains(&one.name));
            Scope::Integrations { registries: within.map(|one| one.registry).collect(), names }
        };
        Ok(Self { actor: Actor::token(&token), right: Right::of(token.role), scope })
    }

    /// Refuses what is about everything to those who may not see everything.
    pub(crate) fn unscoped(&self) -> Result<(), Problem> {
        if self.scope == Scope::All {
            return Ok(());
        }
        Err(Problem::new(StatusCode::FORBIDDEN, "this is about all integrations, and the token is for some"))
    }

    fn check(&self, needed: Right) -> Result<(), Problem> {
        if self.right >= needed {
            return Ok(());
        }
        let role = needed.role();
        // Who came without a token may have one.
        if self.right == Right::Repeat {
            let told = format!("this needs the token of an {role}: Authorization: Bearer …");
            return Err(Problem::new(StatusCode::UNAUTHORIZED, told));
        }
        Err(Problem::new(StatusCode::FORBIDDEN, format!("this needs the token of an {role}")))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| {
            tracing::error!(path = parts.uri.path(), "a route that asks who calls has no guard");
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "it failed; the log says why")
        })
    }
}

/// Lets a request of somebody who has the right through, or answers why not.
pub(crate) async fn guard(
    State((shared, needed)): State<(Shared, Right)>,
    mut request: Request,
    next: Next,
) -> Response {
    let caller = shared.access.identify(shared.store.as_ref(), request.method(), request.headers()).await;
    let checked = caller.and_then(|caller| caller.check(needed).map(|()| caller));
    match checked {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}
