//! Registries, repositories, tags, manifests.

use std::collections::HashMap;

use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};
use supercargo_index::Digest;

use super::sql::{Fields, SqlResult, json};
use crate::error::Result;
use crate::inventory::{Away, ManifestState, PlaceFilter, Presence, RegistryState, RepositoryState, TagState};
use crate::page::{Cursor, Listing, Page};

pub(super) async fn registries(connection: &mut SqliteConnection) -> Result<Vec<RegistryState>> {
    let rows = sqlx::query(
        "SELECT registries.*, (
            SELECT count(*) FROM repositories
            WHERE repositories.registry = registries.name AND repositories.gone_at IS NULL
        ) AS repositories
        FROM registries ORDER BY name",
    )
    .fetch_all(connection)
    .await
    .sql()?;
    rows.iter().map(registry).collect()
}

fn registry(row: &SqliteRow) -> Result<RegistryState> {
    let fields = Fields(row);
    let away = match fields.reason("away")? {
        Some(reason) => {
            Some(Away { since: fields.time("away_since")?, last_tried: fields.time("away_tried")?, reason })
        }
        None => None,
    };
    Ok(RegistryState {
        name: fields.text("name")?,
        first_seen: fields.time("first_seen")?,
        last_reached: fields.optional_time("last_reached")?,
        last_reconciled: fields.optional_time("last_reconciled")?,
        last_event: fields.optional_time("last_event")?,
        away,
        repositories: fields.count("repositories")?,
    })
}

pub(super) async fn repositories(
    connection: &mut SqliteConnection,
    filter: &PlaceFilter,
    page: &Page,
) -> Result<Listing<RepositoryState>> {
    let mut query = QueryBuilder::<Sqlite>::new(
        "SELECT repositories.registry, repositories.name AS repository, first_seen, last_seen, gone_at,
            (SELECT count(*) FROM tags WHERE tags.repository_id = repositories.id AND tags.gone_at IS NULL) AS tags
        FROM repositories WHERE true",
    );
    if let Some([registry, name]) = Cursor::words::<2>(page)? {
        query.push(" AND (repositories.registry, repositories.name) > (");
        query.push_bind(registry).push(", ").push_bind(name).push(")");
    }
    push_filter(&mut query, filter, "repositories.gone_at");
    query.push(" ORDER BY repositories.registry, repositories.name LIMIT ").push_bind(super::fetch(page));
    let rows = query.build().fetch_all(connection).await.sql()?;
    let repositories = rows
        .iter()
        .map(|row| {
            let fields = Fields(row);
            Ok(RepositoryState {
                name: fields.repository()?,
                first_seen: fields.time("first_seen")?,
                last_seen: fields.time("last_seen")?,
                gone_at: fields.optional_time("gone_at")?,
                tags: fields.count("tags")?,
            })
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(Listing::cut(repositories, page, |state| Cursor::new([&state.name.registry, &state.name.repository])))
}

pub(super) async fn tags(
    connection: &mut SqliteConnection,
    filter: &PlaceFilter,
    page: &Page,
) -> Result<Listing<TagState>> {
    let mut query = QueryBuilder::<Sqlite>::new(
        "SELECT repositories.registry, repositories.name AS repository, tags.*
        FROM repositories JOIN tags ON tags.repository_id = repositories.id WHERE true",
    );
    if let Some([registry, name, tag]) = Cursor::words::<3>(page)? {
        query.push(" AND (repositories.registry, repositories.name, tags.tag) > (");
        query.push_bind(registry).push(", ").push_bind(name).push(", ").push_bind(tag).push(")");
    }
    push_filter(&mut query, filter, "tags.gone_at");
    query.push(" ORDER BY repositories.registry, repositories.name, tags.tag LIMIT ").push_bind(super::fetch(page));
    let rows = query.build().fetch_all(connection).await.sql()?;
    let tags = rows
        .iter()
        .map(|row| {
            let fields = Fields(row);
            Ok(TagState {
                repository: fields.repository()?,
                tag: fields.text("tag")?,
                digest: fields.digest("digest")?,
                first_seen: fields.time("first_seen")?,
                last_seen: fields.time("last_seen")?,
                moved_at: fields.time("moved_at")?,
                pushed_at: fields.optional_time("pushed_at")?,
                gone_at: fields.optional_time("gone_at")?,
            })
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(Listing::cut(tags, page, |state| {
        Cursor::new([&state.repository.registry, &state.repository.repository, &state.tag])
    }))
}

pub(super) async fn manifests(
    connection: &mut SqliteConnection,
    filter: &PlaceFilter,
    page: &Page,
) -> Result<Listing<ManifestState>> {
    let mut query = QueryBuilder::<Sqlite>::new(
        "SELECT repositories.registry, repositories.name AS repository, manifests.*
        FROM manifests JOIN repositories ON repositories.id = manifests.repository_id WHERE true",
    );
    if let Some([id]) = Cursor::numbers::<1>(page)? {
        query.push(" AND manifests.id > ").push_bind(id);
    }
    push_filter(&mut query, filter, "manifests.gone_at");
    query.push(" ORDER BY manifests.id LIMIT ").push_bind(super::fetch(page));
    let rows = query.build().fetch_all(&mut *connection).await.sql()?;
    let digests = rows.iter().map(|row| Fields(row).text("digest")).collect::<Result<Vec<_>>>()?;
    let mut images = children(connection, &digests).await?;
    let manifests = rows
        .iter()
        .map(|row| {
            let fields = Fields(row);
            let state = ManifestState {
                repository: fields.repository()?,
                digest: fields.digest("digest")?,
                media_type: fields.optional_text("media_type")?,
                size: fields.optional_count("size")?,
                first_seen: fields.time("first_seen")?,
                gone_at: fields.optional_time("gone_at")?,
                images: images.get_mut(&fields.text("digest")?).cloned().unwrap_or_default(),
            };
            Ok((fields.int("id")?, state))
        })
        .collect::<Result<Vec<_>>>()?;
    let listing = Listing::cut(manifests, page, |(id, _)| Cursor::new([id]));
    Ok(Listing { items: listing.items.into_iter().map(|(_, state)| state).collect(), next: listing.next })
}

async fn children(connection: &mut SqliteConnection, digests: &[String]) -> Result<HashMap<String, Vec<Digest>>> {
    let rows = sqlx::query(
        // json_each has columns of its own by the names of parent and id.
        "SELECT DISTINCT children.parent, children.child, children.position
        FROM json_each(?1) AS wanted
        CROSS JOIN manifest_children AS children ON children.parent = wanted.value
        WHERE children.kind = 'image' ORDER BY children.parent, children.position",
    )
    .bind(json(digests)?)
    .fetch_all(connection)
    .await
    .sql()?;
    let mut children: HashMap<String, Vec<Digest>> = HashMap::new();
    for row in &rows {
        let fields = Fields(row);
        children.entry(fields.text("parent")?).or_default().push(fields.digest("child")?);
    }
    Ok(children)
}

fn push_filter(query: &mut QueryBuilder<Sqlite>, filter: &PlaceFilter, gone_at: &'static str) {
    if let Some(registry) = &filter.registry {
        query.push(" AND repositories.registry = ").push_bind(registry);
    }
    if let Some(repository) = &filter.repository {
        query.push(" AND repositories.name = ").push_bind(repository);
    }
    if filter.presence != Presence::Any {
        query.push(" AND ").push(gone_at).push(" IS NULL");
    }
}
