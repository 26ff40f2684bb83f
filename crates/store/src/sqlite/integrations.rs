//! Integrations.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::SqliteStore;
use super::access::record;
use super::connection::Tx;
use super::sql::{Fields, SqlResult, json};
use super::{removal, settings};
use crate::audit::{Actor, NewAuditEntry};
use crate::error::{Error, ErrorKind, Result};
use crate::integration::{
    CREATE, EVENT_NOTED_EVERY, IncludeRemoved, Integration, IntegrationId, IntegrationMove, IntegrationPolicy,
    IntegrationState, NewIntegration, NewMove, Removal, RemovedData, RepositoryOrigin, RepositorySetting,
    RepositorySettingFilter, SealedAt, stale,
};
use crate::name::Reason;
use crate::page::{Listing, Page};
use crate::store::IntegrationStore;
use crate::trail;

#[async_trait]
impl IntegrationStore for SqliteStore {
    async fn create_integration(&self, integration: NewIntegration, actor: &Actor) -> Result<Integration> {
        integration.check()?;
        let actor = actor.clone();
        self.write(CREATE, move |tx| Box::pin(async move { create(tx, integration, &actor).await })).await
    }

    async fn integrations(&self, removed: IncludeRemoved) -> Result<Vec<Integration>> {
        self.database
            .read("list integrations", |connection| Box::pin(async move { list(connection, removed).await }))
            .await
    }

    async fn integration(&self, name: &str) -> Result<Option<Integration>> {
        let name = name.to_owned();
        self.database
            .read("find integration", |connection| {
                Box::pin(async move {
                    let row = sqlx::query("SELECT * FROM integrations WHERE name = ? AND removed_at IS NULL")
                        .bind(name)
                        .fetch_optional(connection)
                        .await
                        .sql()?;
                    row.as_ref().map(integration).transpose()
                })
            })
            .await
    }

    async fn integration_history(&self, id: IntegrationId) -> Result<Vec<IntegrationMove>> {
        self.database
            .read("read history of integration", |connection| {
                Box::pin(async move { history(connection, id).await.map_err(|error| error.with_context(id)) })
            })
            .await
    }

    async fn move_integration(
        &self,
        id: IntegrationId,
        expected: i64,
        step: NewMove,
        actor: &Actor,
    ) -> Result<Integration> {
        const OPERATION: &str = "move integration";
        if step.to == IntegrationState::Removed {
            let told = "to removed: that takes more than a move";
            return Err(Error::new(ErrorKind::Invalid, OPERATION).with_context(told));
        }
        let actor = actor.clone();
        self.write(OPERATION, move |tx| Box::pin(async move { take_step(tx, id, expected, step, &actor).await })).await
    }

    async fn set_integration_policy(
        &self,
        id: IntegrationId,
        policy: IntegrationPolicy,
        actor: &Actor,
    ) -> Result<Integration> {
        let actor = actor.clone();
        self.change("change policy of integration", id, move |before| {
            let entry = trail::changed(&actor, "policy", &before.name, &before.policy, &policy);
            Ok((New::Policy(json(&policy)?), entry))
        })
        .await
    }

    async fn set_integration_settings(
        &self,
        id: IntegrationId,
        settings: BTreeMap<String, String>,
        actor: &Actor,
    ) -> Result<Integration> {
        let actor = actor.clone();
        self.change("change settings of integration", id, move |before| {
            let entry = trail::changed(&actor, "settings", &before.name, &before.settings, &settings);
            Ok((New::Settings(json(&settings)?), entry))
        })
        .await
    }

    async fn set_integration_credentials(
        &self,
        id: IntegrationId,
        sealed: Option<Vec<u8>>,
        actor: &Actor,
    ) -> Result<Integration> {
        let actor = actor.clone();
        self.change("replace credentials of integration", id, move |before| {
            let entry = trail::credentials(&actor, &before.name, sealed.is_some());
            Ok((New::Credentials(sealed), entry))
        })
        .await
    }

    async fn sealed_credentials(&self, id: IntegrationId) -> Result<Option<Vec<u8>>> {
        let found: Option<Option<Vec<u8>>> = self
            .database
            .read("read credentials of integration", |connection| {
                Box::pin(async move {
                    sqlx::query_scalar("SELECT credentials FROM integrations WHERE id = ? AND removed_at IS NULL")
                        .bind(id.0)
                        .fetch_optional(connection)
                        .await
                        .sql()
                })
            })
            .await?;
        found.ok_or_else(|| missing(id).with_operation("read credentials of integration"))
    }

    async fn note_integration_event(&self, id: IntegrationId, at: Timestamp) -> Result<()> {
        const OPERATION: &str = "note event of integration";
        let at = at.as_millisecond();
        let (first, last) = self
            .database
            .read(OPERATION, |connection| {
                Box::pin(async move {
                    let row = sqlx::query(
                        "SELECT first_event, last_event FROM integrations WHERE id = ? AND removed_at IS NULL",
                    )
                    .bind(id.0)
                    .fetch_optional(connection)
                    .await
                    .sql()?
                    .ok_or_else(|| missing(id))?;
                    let fields = Fields(&row);
                    Ok((fields.optional_int("first_event")?, fields.optional_int("last_event")?))
                })
            })
            .await?;
        if first.is_some() && last.is_some_and(|last| at - last < EVENT_NOTED_EVERY) {
            return Ok(());
        }
        self.write(OPERATION, move |tx| Box::pin(async move { note_event(tx, id, at).await })).await
    }

    async fn remove_integration(&self, id: IntegrationId, data: RemovedData, actor: &Actor) -> Result<Removal> {
        removal::remove(&self.database, id, data, actor.clone()).await
    }

    async fn set_repositories(
        &self,
        id: IntegrationId,
        repositories: Vec<(String, bool)>,
        origin: RepositoryOrigin,
        actor: &Actor,
    ) -> Result<Vec<RepositorySetting>> {
        let actor = actor.clone();
        self.write("set repositories of integration", move |tx| {
            Box::pin(async move { settings::set(tx, id, repositories, origin, &actor).await })
        })
        .await
    }

    async fn repository_settings(
        &self,
        filter: &RepositorySettingFilter,
        page: &Page,
    ) -> Result<Listing<RepositorySetting>> {
        let (filter, page) = (filter.clone(), page.clone());
        self.database
            .read("list repository settings", |connection| {
                Box::pin(async move { settings::list(connection, &filter, &page).await })
            })
            .await
    }

    async fn integrations_revision(&self) -> Result<i64> {
        self.database
            .read("read revision of integrations", |connection| {
                Box::pin(async move {
                    sqlx::query_scalar("SELECT revision FROM integrations_revision").fetch_one(connection).await.sql()
                })
            })
            .await
    }
}

/// What the row of an integration is to hold from now on.
enum New {
    Policy(String),
    Settings(String),
    Credentials(Option<Vec<u8>>),
}

impl SqliteStore {
    /// Changes an integration, and writes down what the change says of itself.
    async fn change(
        &self,
        operation: &'static str,
        id: IntegrationId,
        change: impl FnOnce(&Integration) -> Result<(New, NewAuditEntry)> + Send + 'static,
    ) -> Result<Integration> {
        self.write(operation, move |tx| {
            Box::pin(async move {
                let (new, entry) = change(&live(tx, id).await?)?;
                replace(tx, id, new).await?;
                record(tx, entry).await?;
                live(tx, id).await
            })
        })
        .await
    }
}

async fn replace(tx: &mut Tx<'_>, id: IntegrationId, new: New) -> Result<()> {
    let (now, revision) = (tx.now, raise_revision(tx).await?);
    let query = match new {
        New::Policy(policy) => {
            sqlx::query("UPDATE integrations SET policy = ?, revision = ? WHERE id = ?").bind(policy)
        }
        New::Settings(settings) => {
            sqlx::query("UPDATE integrations SET settings = ?, revision = ? WHERE id = ?").bind(settings)
        }
        New::Credentials(sealed) => {
            let at = sealed.as_ref().map(|_| now);
            sqlx::query("UPDATE integrations SET credentials = ?, credentials_at = ?, revision = ? WHERE id = ?")
                .bind(sealed)
                .bind(at)
        }
    };
    query.bind(revision).bind(id.0).execute(tx.connection()).await.sql()?;
    Ok(())
}

async fn create(tx: &mut Tx<'_>, new: NewIntegration, actor: &Actor) -> Result<Integration> {
    let taken = sqlx::query("SELECT name FROM integrations WHERE (name = ? OR registry = ?) AND removed_at IS NULL")
        .bind(&new.name)
        .bind(&new.registry)
        .fetch_optional(tx.connection())
        .await
        .sql()?;
    if let Some(row) = taken {
        return Err(new.conflict(&Fields(&row).text("name")?));
    }
    let revision = raise_revision(tx).await?;
    let now = tx.now;
    let row = sqlx::query(
        "INSERT INTO integrations (name, kind, registry, settings, policy, credentials, credentials_at, state, since,
            created_at, revision)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'pending', ?8, ?8, ?9) RETURNING *",
    )
    .bind(&new.name)
    .bind(&new.kind)
    .bind(&new.registry)
    .bind(json(&new.settings)?)
    .bind(json(&new.policy)?)
    .bind(&new.credentials)
    .bind(new.credentials.as_ref().map(|_| now))
    .bind(now)
    .bind(revision)
    .fetch_one(tx.connection())
    .await
    .sql()?;
    let integration = integration(&row)?;
    remember(tx, integration.id, None, &NewMove::new(IntegrationState::Pending)).await?;
    record(tx, trail::created(actor, &integration)).await?;
    Ok(integration)
}

async fn list(connection: &mut SqliteConnection, removed: IncludeRemoved) -> Result<Vec<Integration>> {
    let rows = sqlx::query(
        "SELECT * FROM integrations WHERE removed_at IS NULL OR ? ORDER BY removed_at IS NOT NULL, name, id",
    )
    .bind(removed == IncludeRemoved::Yes)
    .fetch_all(connection)
    .await
    .sql()?;
    rows.iter().map(integration).collect()
}

async fn history(connection: &mut SqliteConnection, id: IntegrationId) -> Result<Vec<IntegrationMove>> {
    let known: Option<i64> = sqlx::query_scalar("SELECT id FROM integrations WHERE id = ?")
        .bind(id.0)
        .fetch_optional(&mut *connection)
        .await
        .sql()?;
    known.ok_or_else(|| Error::new(ErrorKind::NotFound, "find integration"))?;
    let rows = sqlx::query("SELECT * FROM integration_moves WHERE integration_id = ? ORDER BY id DESC LIMIT ?")
        .bind(id.0)
        .bind(Page::LIMIT)
        .fetch_all(connection)
        .await
        .sql()?;
    rows.iter()
        .map(|row| {
            let fields = Fields(row);
            let from = fields.optional_text("from_state")?;
            Ok(IntegrationMove {
                at: fields.time("at")?,
                from: from.map(|_| fields.word("from_state", IntegrationState::parse)).transpose()?,
                to: fields.word("to_state", IntegrationState::parse)?,
                reason: fields.reason("reason")?,
                advice: fields.optional_text("advice")?,
            })
        })
        .collect()
}

async fn take_step(
    tx: &mut Tx<'_>,
    id: IntegrationId,
    expected: i64,
    mut step: NewMove,
    actor: &Actor,
) -> Result<Integration> {
    let before = live(tx, id).await?;
    if before.revision != expected {
        return Err(stale(&before, expected));
    }
    step.reason = step.reason.map(Reason::cut);
    let revision = raise_revision(tx).await?;
    let now = tx.now;
    sqlx::query(
        "UPDATE integrations SET
            state = ?2, reason_kind = ?3, reason_message = ?4, reason_retryable = ?5, advice = ?6,
            since = CASE WHEN state = ?2 THEN since ELSE ?7 END,
            tested_at = CASE WHEN ?8 THEN ?7 ELSE tested_at END,
            revision = ?9
        WHERE id = ?1",
    )
    .bind(id.0)
    .bind(step.to.as_str())
    .bind(step.reason.as_ref().map(|reason| reason.kind.as_str()))
    .bind(step.reason.as_ref().map(|reason| reason.message.as_str()))
    .bind(step.reason.as_ref().map(|reason| reason.retryable))
    .bind(&step.advice)
    .bind(now)
    .bind(step.tested)
    .bind(revision)
    .execute(tx.connection())
    .await
    .sql()?;
    if step.is_step(before.state, &before.reason) {
        remember(tx, id, Some(before.state), &step).await?;
        record(tx, trail::moved(actor, &before, &step)).await?;
    }
    live(tx, id).await
}

/// Keeps a step for the history.
pub(super) async fn remember(
    tx: &mut Tx<'_>,
    id: IntegrationId,
    from: Option<IntegrationState>,
    step: &NewMove,
) -> Result<()> {
    let now = tx.now;
    sqlx::query(
        "INSERT INTO integration_moves (integration_id, at, from_state, to_state, reason_kind, reason_message,
            reason_retryable, advice)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(id.0)
    .bind(now)
    .bind(from.map(IntegrationState::as_str))
    .bind(step.to.as_str())
    .bind(step.reason.as_ref().map(|reason| reason.kind.as_str()))
    .bind(step.reason.as_ref().map(|reason| reason.message.as_str()))
    .bind(step.reason.as_ref().map(|reason| reason.retryable))
    .bind(&step.advice)
    .execute(tx.connection())
    .await
    .sql()?;
    Ok(())
}

async fn note_event(tx: &mut Tx<'_>, id: IntegrationId, at: i64) -> Result<()> {
    let first: Option<i64> = sqlx::query_scalar("SELECT first_event FROM integrations WHERE id = ?")
        .bind(id.0)
        .fetch_one(tx.connection())
        .await
        .sql()?;
    if first.is_none() {
        let revision = raise_revision(tx).await?;
        sqlx::query("UPDATE integrations SET first_event = ?, revision = ? WHERE id = ?")
            .bind(at)
            .bind(revision)
            .bind(id.0)
            .execute(tx.connection())
            .await
            .sql()?;
    }
    sqlx::query("UPDATE integrations SET last_event = max(coalesce(last_event, ?1), ?1) WHERE id = ?2")
        .bind(at)
        .bind(id.0)
        .execute(tx.connection())
        .await
        .sql()?;
    Ok(())
}

/// The integration, if it is there and was not removed.
pub(super) async fn live(tx: &mut Tx<'_>, id: IntegrationId) -> Result<Integration> {
    let found = any(tx, id).await?;
    if found.removed_at.is_some() { Err(missing(id)) } else { Ok(found) }
}

/// The integration, removed or not.
pub(super) async fn any(tx: &mut Tx<'_>, id: IntegrationId) -> Result<Integration> {
    let row = sqlx::query("SELECT * FROM integrations WHERE id = ?")
        .bind(id.0)
        .fetch_optional(tx.connection())
        .await
        .sql()?;
    row.as_ref().map(integration).transpose()?.ok_or_else(|| missing(id))
}

fn missing(id: IntegrationId) -> Error {
    Error::new(ErrorKind::NotFound, "find integration").with_context(id)
}

/// Says that something has changed; answers the number of the change.
pub(super) async fn raise_revision(tx: &mut Tx<'_>) -> Result<i64> {
    sqlx::query_scalar("UPDATE integrations_revision SET revision = revision + 1 RETURNING revision")
        .fetch_one(tx.connection())
        .await
        .sql()
}

pub(super) fn integration(row: &SqliteRow) -> Result<Integration> {
    let fields = Fields(row);
    let data = fields.optional_text("removed_data")?;
    Ok(Integration {
        id: IntegrationId(fields.int("id")?),
        name: fields.text("name")?,
        kind: fields.text("kind")?,
        registry: fields.text("registry")?,
        settings: fields.json("settings")?,
        policy: fields.json("policy")?,
        credentials: fields.optional_time("credentials_at")?.map(|changed_at| SealedAt { changed_at }),
        state: fields.word("state", IntegrationState::parse)?,
        reason: fields.reason("reason")?,
        advice: fields.optional_text("advice")?,
        since: fields.time("since")?,
        created_at: fields.time("created_at")?,
        tested_at: fields.optional_time("tested_at")?,
        first_event: fields.optional_time("first_event")?,
        last_event: fields.optional_time("last_event")?,
        removed_at: fields.optional_time("removed_at")?,
        removed_data: data.map(|_| fields.word("removed_data", RemovedData::parse)).transpose()?,
        revision: fields.int("revision")?,
    })
}
