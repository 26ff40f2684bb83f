//! The contract for tokens and the audit log.

use std::fmt;

use async_trait::async_trait;

use crate::access::{NewToken, Token, TokenHash, TokenId};
use crate::audit::{Actor, AuditEntry, AuditFilter, NewAuditEntry};
use crate::error::Result;
use crate::page::{Listing, Page};

/// Tokens, and the log of who changed what.
#[async_trait]
pub trait AccessStore: fmt::Debug + Send + Sync {
    /// Keeps a token.
    ///
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) if another that is not revoked has its name.
    async fn create_token(&self, token: NewToken, actor: &Actor) -> Result<Token>;

    /// All tokens, the revoked ones too, in the order in which they were made. They are made by hand, so they come all
    /// at once.
    async fn tokens(&self) -> Result<Vec<Token>>;

    /// The token whose text has this hash, unless it is revoked. Notes that it was used.
    async fn token_by_hash(&self, hash: &TokenHash) -> Result<Option<Token>>;

    /// Revokes a token, for good. One that is revoked already stays so.
    async fn revoke_token(&self, id: TokenId, actor: &Actor) -> Result<()>;

    /// Writes down what was done by other means than the store's own calls.
    async fn record(&self, entry: NewAuditEntry) -> Result<()>;

    /// The audit log, the latest first.
    async fn audit(&self, filter: &AuditFilter, page: &Page) -> Result<Listing<AuditEntry>>;
}
