//! The memory twin's tokens and audit log.

use async_trait::async_trait;

use super::state::State;
use super::{MemoryStore, newest};
use crate::access::{CREATE, NewToken, Token, TokenHash, TokenId, USE_NOTED_EVERY};
use crate::audit::{Actor, AuditEntry, AuditFilter, NewAuditEntry};
use crate::clock::timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::page::{Listing, Page};
use crate::store::AccessStore;

#[derive(Debug)]
pub(super) struct TokenRow {
    token: Token,
    hash: TokenHash,
}

#[async_trait]
impl AccessStore for MemoryStore {
    async fn create_token(&self, token: NewToken, actor: &Actor) -> Result<Token> {
        token.check()?;
        let mut state = self.state();
        let now = self.now();
        state.create_token(token, actor, now)
    }

    async fn tokens(&self) -> Result<Vec<Token>> {
        Ok(self.state().tokens.values().map(|row| row.token.clone()).collect())
    }

    async fn token_by_hash(&self, hash: &TokenHash) -> Result<Option<Token>> {
        let now = self.now();
        let mut state = self.state();
        let found = state.tokens.values_mut().find(|row| row.hash == *hash && row.token.revoked_at.is_none());
        let Some(TokenRow { token, .. }) = found else { return Ok(None) };
        if token.used_at.is_none_or(|at| now - at.as_millisecond() >= USE_NOTED_EVERY) {
            token.used_at = Some(timestamp(now)?);
        }
        Ok(Some(token.clone()))
    }

    async fn revoke_token(&self, id: TokenId, actor: &Actor) -> Result<()> {
        let now = self.now();
        let mut state = self.state();
        let missing = || Error::new(ErrorKind::NotFound, "revoke token").with_context(id);
        let token = &mut state.tokens.get_mut(&id.0).ok_or_else(missing)?.token;
        if token.revoked_at.is_some() {
            return Ok(());
        }
        token.revoked_at = Some(timestamp(now)?);
        let entry = NewAuditEntry::new(actor, "token.revoke", &token.name);
        state.record(entry.with_details(serde_json::json!({"id": id})), now)
    }

    async fn record(&self, entry: NewAuditEntry) -> Result<()> {
        let now = self.now();
        self.state().record(entry, now)
    }

    async fn audit(&self, filter: &AuditFilter, page: &Page) -> Result<Listing<AuditEntry>> {
        let is = |wanted: &Option<String>, word: &str| wanted.as_ref().is_none_or(|wanted| wanted == word);
        let begins = |action: &str| {
            let rest = filter.action.as_ref().map(|wanted| action.strip_prefix(wanted.as_str()));
            rest.is_none_or(|rest| rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
        };
        let wanted = |entry: &AuditEntry| {
            is(&filter.actor, entry.actor.as_str())
                && begins(&entry.action)
                && is(&filter.subject, &entry.subject)
                && filter.since.is_none_or(|since| entry.at >= since)
        };
        newest(&self.state().audit, page, wanted, |entry| Ok(entry.clone()))
    }
}

impl State {
    fn create_token(&mut self, new: NewToken, actor: &Actor, now: i64) -> Result<Token> {
        let refused = |why: &str| {
            Err(Error::new(ErrorKind::Conflict, CREATE).with_context(format_args!("{:?}: {why}", new.name)))
        };
        let mut others = self.tokens.values();
        if others.any(|row| row.token.name == new.name && row.token.revoked_at.is_none()) {
            return refused("there is one of this name");
        }
        let id = self.number();
        let token = Token {
            id: TokenId(id),
            name: new.name,
            role: new.role,
            scope: new.scope,
            created_at: timestamp(now)?,
            used_at: None,
            revoked_at: None,
        };
        self.tokens.insert(id, TokenRow { token: token.clone(), hash: new.hash });
        let details = serde_json::json!({"id": token.id, "role": token.role, "scope": token.scope});
        self.record(NewAuditEntry::new(actor, "token.create", &token.name).with_details(details), now)?;
        Ok(token)
    }

    /// Writes a line of the audit log.
    pub(super) fn record(&mut self, entry: NewAuditEntry, now: i64) -> Result<()> {
        let NewAuditEntry { actor, action, subject, details } = entry;
        let (id, at) = (self.number(), timestamp(now)?);
        self.audit.insert(id, AuditEntry { id, at, actor, action, subject, details });
        Ok(())
    }
}
