//! Tokens and the audit log.

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Sqlite};

use super::SqliteStore;
use super::connection::Tx;
use super::sql::{Fields, SqlResult, json};
use crate::access::{CREATE, NewToken, Role, Token, TokenHash, TokenId, USE_NOTED_EVERY};
use crate::audit::{Actor, AuditEntry, AuditFilter, NewAuditEntry};
use crate::error::{Error, ErrorKind, Result};
use crate::page::{Cursor, Listing, Page};
use crate::store::AccessStore;

#[async_trait]
impl AccessStore for SqliteStore {
    async fn create_token(&self, token: NewToken, actor: &Actor) -> Result<Token> {
        token.check()?;
        let actor = actor.clone();
        self.write(CREATE, move |tx| Box::pin(async move { create(tx, &token, &actor).await })).await
    }

    async fn tokens(&self) -> Result<Vec<Token>> {
        self.database
            .read("list tokens", |connection| {
                Box::pin(async move {
                    let rows = sqlx::query("SELECT * FROM tokens ORDER BY id").fetch_all(connection).await.sql()?;
                    rows.iter().map(token).collect()
                })
            })
            .await
    }

    async fn token_by_hash(&self, hash: &TokenHash) -> Result<Option<Token>> {
        const OPERATION: &str = "find token";
        let (hash, clock) = (hash.to_vec(), self.database.clone());
        let found = self
            .database
            .read(OPERATION, |connection| {
                Box::pin(async move {
                    let now = clock.now(connection).await?;
                    let row = sqlx::query("SELECT * FROM tokens WHERE hash = ? AND revoked_at IS NULL")
                        .bind(hash)
                        .fetch_optional(connection)
                        .await
                        .sql()?;
                    let Some(row) = row else { return Ok(None) };
                    let fresh = Fields(&row).optional_int("used_at")?.is_some_and(|at| now - at < USE_NOTED_EVERY);
                    Ok(Some((token(&row)?, fresh)))
                })
            })
            .await?;
        let Some((token, fresh)) = found else { return Ok(None) };
        if fresh {
            return Ok(Some(token));
        }
        match self.write(OPERATION, move |tx| Box::pin(note_use(tx, token.id))).await {
            Ok(noted) => Ok(noted),
            // Who may read should not be kept from it because nobody can write at the moment.
            Err(error) if error.is_retryable() => {
                tracing::debug!(%error, "the use of a token was not noted");
                Ok(Some(token))
            }
            Err(error) => Err(error),
        }
    }

    async fn revoke_token(&self, id: TokenId, actor: &Actor) -> Result<()> {
        let actor = actor.clone();
        self.write("revoke token", move |tx| Box::pin(async move { revoke(tx, id, &actor).await })).await
    }

    async fn record(&self, entry: NewAuditEntry) -> Result<()> {
        self.write("write audit log", move |tx| Box::pin(async move { record(tx, entry).await })).await
    }

    async fn audit(&self, filter: &AuditFilter, page: &Page) -> Result<Listing<AuditEntry>> {
        let (filter, page) = (filter.clone(), page.clone());
        self.database
            .read("read audit log", |connection| {
                Box::pin(async move {
                    let mut query = select(&filter, &page)?;
                    let rows = query.build().fetch_all(connection).await.sql()?;
                    let entries = rows.iter().map(entry).collect::<Result<Vec<_>>>()?;
                    Ok(Listing::cut(entries, &page, |entry| Cursor::new([&entry.id])))
                })
            })
            .await
    }
}

async fn create(tx: &mut Tx<'_>, new: &NewToken, actor: &Actor) -> Result<Token> {
    let taken: Option<i64> = sqlx::query_scalar("SELECT id FROM tokens WHERE name = ? AND revoked_at IS NULL")
        .bind(&new.name)
        .fetch_optional(tx.connection())
        .await
        .sql()?;
    if taken.is_some() {
        return Err(Error::new(ErrorKind::Conflict, CREATE)
            .with_context(format_args!("{:?}: there is one of this name", new.name)));
    }
    let now = tx.now;
    let row =
        sqlx::query("INSERT INTO tokens (name, role, scope, hash, created_at) VALUES (?, ?, ?, ?, ?) RETURNING *")
            .bind(&new.name)
            .bind(new.role.as_str())
            .bind(json(&new.scope)?)
            .bind(new.hash.as_slice())
            .bind(now)
            .fetch_one(tx.connection())
            .await
            .sql()?;
    let token = token(&row)?;
    let details = serde_json::json!({"id": token.id, "role": token.role, "scope": token.scope});
    record(tx, NewAuditEntry::new(actor, "token.create", &token.name).with_details(details)).await?;
    Ok(token)
}

/// Writes that the token was used now; `None` if it was revoked since it was read.
async fn note_use(tx: &mut Tx<'_>, id: TokenId) -> Result<Option<Token>> {
    let now = tx.now;
    let row = sqlx::query("UPDATE tokens SET used_at = ? WHERE id = ? AND revoked_at IS NULL RETURNING *")
        .bind(now)
        .bind(id.0)
        .fetch_optional(tx.connection())
        .await
        .sql()?;
    row.as_ref().map(token).transpose()
}

async fn revoke(tx: &mut Tx<'_>, id: TokenId, actor: &Actor) -> Result<()> {
    let row =
        sqlx::query("SELECT * FROM tokens WHERE id = ?").bind(id.0).fetch_optional(tx.connection()).await.sql()?;
    let Some(row) = row else {
        return Err(Error::new(ErrorKind::NotFound, "revoke token").with_context(id));
    };
    let token = token(&row)?;
    if token.revoked_at.is_some() {
        return Ok(());
    }
    let now = tx.now;
    sqlx::query("UPDATE tokens SET revoked_at = ? WHERE id = ?")
        .bind(now)
        .bind(id.0)
        .execute(tx.connection())
        .await
        .sql()?;
    let details = serde_json::json!({"id": token.id});
    record(tx, NewAuditEntry::new(actor, "token.revoke", token.name).with_details(details)).await
}

/// Writes a line of the audit log.
pub(super) async fn record(tx: &mut Tx<'_>, entry: NewAuditEntry) -> Result<()> {
    let now = tx.now;
    sqlx::query("INSERT INTO audit (at, actor, action, subject, details) VALUES (?, ?, ?, ?, ?)")
        .bind(now)
        .bind(entry.actor.as_str())
        .bind(entry.action)
        .bind(entry.subject)
        .bind(json(&entry.details)?)
        .execute(tx.connection())
        .await
        .sql()?;
    Ok(())
}

fn select(filter: &AuditFilter, page: &Page) -> Result<QueryBuilder<Sqlite>> {
    let mut query = QueryBuilder::new("SELECT * FROM audit WHERE true");
    if let Some([id]) = Cursor::numbers::<1>(page)? {
        query.push(" AND id < ").push_bind(id);
    }
    if let Some(actor) = &filter.actor {
        query.push(" AND actor = ").push_bind(actor.clone());
    }
    if let Some(action) = &filter.action {
        // What begins with the word and a full stop: a full stop is followed by a slash in the order of bytes.
        query.push(" AND (action = ").push_bind(action.clone());
        query.push(" OR (action >= ").push_bind(format!("{action}."));
        query.push(" AND action < ").push_bind(format!("{action}/")).push("))");
    }
    if let Some(subject) = &filter.subject {
        query.push(" AND subject = ").push_bind(subject.clone());
    }
    if let Some(since) = filter.since {
        query.push(" AND at >= ").push_bind(since.as_millisecond());
    }
    query.push(" ORDER BY id DESC LIMIT ").push_bind(super::fetch(page));
    Ok(query)
}

fn token(row: &SqliteRow) -> Result<Token> {
    let fields = Fields(row);
    Ok(Token {
        id: TokenId(fields.int("id")?),
        name: fields.text("name")?,
        role: fields.word("role", Role::parse)?,
        scope: fields.json("scope")?,
        created_at: fields.time("created_at")?,
        used_at: fields.optional_time("used_at")?,
        revoked_at: fields.optional_time("revoked_at")?,
    })
}

fn entry(row: &SqliteRow) -> Result<AuditEntry> {
    let fields = Fields(row);
    Ok(AuditEntry {
        id: fields.int("id")?,
        at: fields.time("at")?,
        actor: Actor::stored(fields.text("actor")?),
        action: fields.text("action")?,
        subject: fields.text("subject")?,
        details: fields.json("details")?,
    })
}
