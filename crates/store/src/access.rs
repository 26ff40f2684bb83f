//! Tokens: who may use the interface of a server.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// A token's number, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct TokenId(pub i64);

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a token allows; each role allows what those before it do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// To read.
    Viewer,
    /// To change what is watched.
    Editor,
    /// To handle credentials and tokens.
    Admin,
}

impl Role {
    /// All roles, the one that allows least first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Editor, Self::Admin];

    /// The word that is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Editor => "editor",
            Self::Admin => "admin",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The SHA-256 of a token's text. The text itself is not kept.
pub type TokenHash = [u8; 32];

/// A token to be kept.
#[derive(Clone, PartialEq, Eq)]
pub struct NewToken {
    /// What it is called. Of those that are not revoked each has a name of its own.
    pub name: String,
    /// What it allows.
    pub role: Role,
    /// The names of the integrations that it is good for; empty for all, and for what belongs to none.
    pub scope: Vec<String>,
    /// The hash of its text.
    pub hash: TokenHash,
}

impl NewToken {
    /// Bytes of a name at most.
    pub const NAME_LIMIT: usize = 100;

    /// Whether it can be stored.
    pub(crate) fn check(&self) -> Result<()> {
        let readable = !self.name.trim().is_empty() && !self.name.chars().any(char::is_control);
        if readable && self.name.len() <= Self::NAME_LIMIT {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Invalid, CREATE).with_context(format_args!(
            "{:?}: a name is a line of at most {} bytes",
            self.name,
            Self::NAME_LIMIT
        )))
    }
}

pub(crate) const CREATE: &str = "create token";

/// Leaves the hash out: it is of use to nobody who reads a log.
impl fmt::Debug for NewToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, role, scope, hash: _ } = self;
        f.debug_struct("NewToken").field("name", name).field("role", role).field("scope", scope).finish_non_exhaustive()
    }
}

/// A token, without its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Token {
    /// Its number.
    pub id: TokenId,
    /// What it is called.
    pub name: String,
    /// What it allows.
    pub role: Role,
    /// The names of the integrations that it is good for; empty for all.
    pub scope: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last used, up to a minute ago.
    pub used_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// How far behind [`Token::used_at`] may be, in milliseconds: a program that asks ten times a second should not make
/// the store write as often.
pub(crate) const USE_NOTED_EVERY: i64 = 60_000;
