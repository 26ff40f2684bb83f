//! Which repositories of integrations are enabled.

use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use super::access::record;
use super::connection::Tx;
use super::integrations::{live, raise_revision};
use super::sql::{Fields, SqlResult};
use crate::audit::Actor;
use crate::error::Result;
use crate::integration::{IntegrationId, RepositoryOrigin, RepositorySetting, RepositorySettingFilter};
use crate::name::RepositoryName;
use crate::page::{Cursor, Listing, Page};
use crate::trail;

pub(super) async fn set(
    tx: &mut Tx<'_>,
    id: IntegrationId,
    repositories: Vec<(String, bool)>,
    origin: RepositoryOrigin,
    actor: &Actor,
) -> Result<Vec<RepositorySetting>> {
    let integration = live(tx, id).await?;
    let now = tx.now;
    let mut settings = Vec::new();
    for (repository, enabled) in repositories {
        // Nothing is returned where nothing changes. A repository that was found stays one when somebody names it.
        let row = sqlx::query(
            "INSERT INTO repository_settings (integration_id, repository, enabled, origin, changed_at)
            VALUES (?1, ?2, ?3, ?4, ?5)
            ON CONFLICT (integration_id, repository) DO UPDATE SET
                enabled = excluded.enabled, changed_at = excluded.changed_at
            WHERE excluded.origin = 'named' AND enabled <> excluded.enabled
            RETURNING *",
        )
        .bind(id.0)
        .bind(&repository)
        .bind(enabled)
        .bind(origin.as_str())
        .bind(now)
        .fetch_optional(tx.connection())
        .await
        .sql()?;
        if let Some(row) = row {
            settings.push(setting(&row, &integration.name, &integration.registry)?);
        }
    }
    if !settings.is_empty() {
        raise_revision(tx).await?;
        record(tx, trail::chosen(actor, &integration.name, origin, &settings)).await?;
    }
    Ok(settings)
}

pub(super) async fn list(
    connection: &mut SqliteConnection,
    filter: &RepositorySettingFilter,
    page: &Page,
) -> Result<Listing<RepositorySetting>> {
    let mut query = QueryBuilder::<Sqlite>::new(
        "SELECT settings.*, integrations.name AS integration, integrations.registry
        FROM integrations JOIN repository_settings AS settings ON settings.integration_id = integrations.id
        WHERE integrations.removed_at IS NULL",
    );
    if let Some([registry, name]) = Cursor::words::<2>(page)? {
        query.push(" AND (integrations.registry, settings.repository) > (");
        query.push_bind(registry).push(", ").push_bind(name).push(")");
    }
    if let Some(integration) = &filter.integration {
        query.push(" AND integrations.name = ").push_bind(integration.clone());
    }
    if let Some(registry) = &filter.registry {
        query.push(" AND integrations.registry = ").push_bind(registry.clone());
    }
    if let Some(repository) = &filter.repository {
        query.push(" AND settings.repository = ").push_bind(repository.clone());
    }
    if let Some(enabled) = filter.enabled {
        query.push(" AND settings.enabled = ").push_bind(enabled);
    }
    query.push(" ORDER BY integrations.registry, settings.repository LIMIT ").push_bind(super::fetch(page));
    let rows = query.build().fetch_all(connection).await.sql()?;
    let settings = rows
        .iter()
        .map(|row| {
            let fields = Fields(row);
            setting(row, &fields.text("integration")?, &fields.text("registry")?)
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(Listing::cut(settings, page, |one| Cursor::new([&one.repository.registry, &one.repository.repository])))
}

fn setting(row: &SqliteRow, integration: &str, registry: &str) -> Result<RepositorySetting> {
    let fields = Fields(row);
    Ok(RepositorySetting {
        integration: integration.to_owned(),
        repository: RepositoryName::new(registry, fields.text("repository")?),
        enabled: fields.int("enabled")? != 0,
        origin: fields.word("origin", RepositoryOrigin::parse)?,
        changed_at: fields.time("changed_at")?,
    })
}
