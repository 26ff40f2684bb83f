//! Images: stored, listed, read whole.

use std::collections::{HashMap, HashSet};

use serde::Serialize;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};
use supercargo_index::{Digest, ImageMetadata, Platform};

use super::changes::{see_manifest, see_repository};
use super::connection::Tx;
use super::sql::{Fields, SqlResult, json, number};
use crate::codec;
use crate::error::Result;
use crate::inventory::{ImageFilter, ImageSummary, KnownBase, Place, Presence};
use crate::name::RepositoryName;
use crate::page::{Cursor, Listing, Page};
use crate::rows::{self, PackageRow};

/// An image as it is written, with all that takes time done.
#[derive(Debug)]
pub(super) struct PreparedImage {
    repository: RepositoryName,
    digest: Digest,
    media_type: String,
    platform: Platform,
    size: u64,
    created: Option<String>,
    distro: Option<String>,
    packages: usize,
    indexer: String,
    manifest_size: u64,
    body: Vec<u8>,
    chain_id: Option<String>,
    layer_rows: String,
    package_rows: String,
}

#[derive(Serialize)]
struct LayerRow<'a>(usize, &'a Digest, Option<&'a Digest>, &'a str, u64, Option<u32>, Option<&'a str>);

#[derive(Serialize)]
struct LocatedRow<'a>(
    &'a str,
    &'a str,
    &'a str,
    Option<&'a str>,
    &'a str,
    &'a str,
    &'a str,
    bool,
    &'a str,
    Option<u32>,
);

impl PreparedImage {
    pub(super) fn new(repository: RepositoryName, metadata: &ImageMetadata) -> Result<Self> {
        let image = rows::image_of(metadata)?;
        let layers: Vec<_> = image
            .layers
            .iter()
            .enumerate()
            .map(|(position, layer)| {
                let diff_id = layer.diff_id.as_ref();
                let instruction = layer.instruction.as_deref();
                LayerRow(position, &layer.digest, diff_id, &layer.media_type, layer.size, layer.ordinal, instruction)
            })
            .collect();
        Ok(Self {
            repository,
            digest: image.digest.clone(),
            media_type: image.media_type.clone(),
            platform: image.platform.clone(),
            size: image.size,
            created: image.config.created.clone(),
            distro: metadata.distro.as_ref().map(json).transpose()?,
            packages: metadata.package_count(),
            indexer: metadata.indexer.clone(),
            manifest_size: image.raw_manifest.len() as u64,
            body: codec::encode(metadata)?,
            chain_id: rows::chain_id(image),
            layer_rows: json(&layers)?,
            package_rows: package_rows(metadata)?,
        })
    }
}

fn package_rows(metadata: &ImageMetadata) -> Result<String> {
    let packages: Vec<_> = metadata
        .packages
        .iter()
        .map(|package| {
            let row = PackageRow::of(package);
            let licenses = json(&row.licenses)?;
            Ok((package, row, licenses))
        })
        .collect::<Result<_>>()?;
    let mut located = Vec::new();
    for (package, row, licenses) in &packages {
        let declared = rows::is_declared(package);
        let mut push = |path, layer| {
            located.push(LocatedRow(
                &row.purl,
                licenses,
                &row.kind,
                row.namespace.as_deref(),
                &row.name,
                &row.purl_name,
                &row.version,
                declared,
                path,
                layer,
            ));
        };
        if package.locations.is_empty() {
            push("", None);
        }
        for location in &package.locations {
            push(&location.path, location.layer);
        }
    }
    json(&located)
}

pub(super) async fn store(tx: &mut Tx<'_>, image: &PreparedImage) -> Result<()> {
    let now = tx.now;
    let repository_id = see_repository(tx, &image.repository).await?;
    see_manifest(tx, repository_id, &image.digest, Some((&image.media_type, image.manifest_size))).await?;
    let id: i64 = sqlx::query_scalar(
        "INSERT INTO images (digest, os, architecture, variant, os_version, size, created, distro, packages, indexer,
            first_indexed, last_indexed, chain_id)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11, ?12)
        ON CONFLICT (digest) DO UPDATE SET
            os = excluded.os,
            architecture = excluded.architecture,
            variant = excluded.variant,
            os_version = excluded.os_version,
            size = excluded.size,
            created = excluded.created,
            distro = excluded.distro,
            packages = excluded.packages,
            indexer = excluded.indexer,
            last_indexed = excluded.last_indexed,
            chain_id = excluded.chain_id
        RETURNING id",
    )
    .bind(image.digest.to_string())
    .bind(&image.platform.os)
    .bind(&image.platform.architecture)
    .bind(&image.platform.variant)
    .bind(&image.platform.os_version)
    .bind(number(image.size))
    .bind(&image.created)
    .bind(&image.distro)
    .bind(number(image.packages))
    .bind(&image.indexer)
    .bind(now)
    .bind(&image.chain_id)
    .fetch_one(tx.connection())
    .await
    .sql()?;
    sqlx::query(
        "INSERT INTO documents (image_id, body) VALUES (?, ?)
        ON CONFLICT (image_id) DO UPDATE SET body = excluded.body",
    )
    .bind(id)
    .bind(&image.body)
    .execute(tx.connection())
    .await
    .sql()?;
    store_layers(tx, id, image).await?;
    store_packages(tx, id, image).await
}

async fn store_layers(tx: &mut Tx<'_>, id: i64, image: &PreparedImage) -> Result<()> {
    sqlx::query("DELETE FROM image_layers WHERE image_id = ?").bind(id).execute(tx.connection()).await.sql()?;
    sqlx::query(
        "INSERT INTO image_layers (image_id, position, digest, diff_id, media_type, size, ordinal, instruction)
        SELECT ?1, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6
        FROM json_each(?2)",
    )
    .bind(id)
    .bind(&image.layer_rows)
    .execute(tx.connection())
    .await
    .sql()?;
    Ok(())
}

/// Three statements for any number of packages: a statement for each row would be a thousand times the wait for
/// the connection's thread.
async fn store_packages(tx: &mut Tx<'_>, id: i64, image: &PreparedImage) -> Result<()> {
    sqlx::query("DELETE FROM image_packages WHERE image_id = ?").bind(id).execute(tx.connection()).await.sql()?;
    sqlx::query(
        "INSERT INTO packages (purl, licenses, type, namespace, name, purl_name, version)
        SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6
        FROM json_each(?1) WHERE true
        ON CONFLICT (purl, licenses) DO NOTHING",
    )
    .bind(&image.package_rows)
    .execute(tx.connection())
    .await
    .sql()?;
    sqlx::query("INSERT INTO paths (path) SELECT value ->> 8 FROM json_each(?1) WHERE true ON CONFLICT DO NOTHING")
        .bind(&image.package_rows)
        .execute(tx.connection())
        .await
        .sql()?;
    // CROSS JOIN fixes the order of the loops: new rows first, then one look-up in each index.
    sqlx::query(
        "INSERT INTO image_packages (image_id, package_id, path_id, layer, declared)
        SELECT ?1, packages.id, paths.id, rows.value ->> 9, rows.value ->> 7
        FROM json_each(?2) AS rows
        CROSS JOIN packages ON packages.purl = rows.value ->> 0 AND packages.licenses = rows.value ->> 1
        CROSS JOIN paths ON paths.path = rows.value ->> 8
        WHERE true
        ON CONFLICT DO NOTHING",
    )
    .bind(id)
    .bind(&image.package_rows)
    .execute(tx.connection())
    .await
    .sql()?;
    Ok(())
}

const SUMMARY: &str = "SELECT images.*,
    (SELECT count(*) FROM image_layers WHERE image_layers.image_id = images.id) AS layers
    FROM images WHERE true";

pub(super) async fn list(
    connection: &mut SqliteConnection,
    filter: &ImageFilter,
    page: &Page,
) -> Result<Listing<ImageSummary>> {
    let mut query = QueryBuilder::<Sqlite>::new(SUMMARY);
    if let Some([id]) = Cursor::numbers::<1>(page)? {
        query.push(" AND images.id < ").push_bind(id);
    }
    if let Some(platform) = &filter.platform {
        query.push(" AND images.os = ").push_bind(&platform.os);
        query.push(" AND images.architecture = ").push_bind(&platform.architecture);
        if let Some(variant) = &platform.variant {
            query.push(" AND images.variant = ").push_bind(variant);
        }
        if let Some(version) = &platform.os_version {
            query.push(" AND images.os_version = ").push_bind(version);
        }
    }
    if let Some(layer) = &filter.layer {
        query.push(" AND images.id IN (SELECT image_id FROM image_layers WHERE digest = ");
        query.push_bind(layer.to_string()).push(")");
    }
    push_presence(&mut query, filter.presence);
    push_place(&mut query, filter);
    query.push(" ORDER BY images.id DESC LIMIT ").push_bind(super::fetch(page));
    let rows = query.build().fetch_all(&mut *connection).await.sql()?;
    let images = summaries(connection, &rows).await?;
    let listing = Listing::cut(images, page, |(id, _)| Cursor::new([id]));
    Ok(Listing { items: listing.items.into_iter().map(|(_, image)| image).collect(), next: listing.next })
}

/// Which images are there: conditions on `images`.
pub(super) fn push_presence(query: &mut QueryBuilder<Sqlite>, presence: Presence) {
    match presence {
        Presence::Any => {}
        Presence::Present => {
            query.push(
                " AND EXISTS (SELECT 1 FROM manifests
                    WHERE manifests.digest = images.digest AND manifests.gone_at IS NULL)",
            );
        }
        Presence::Tagged => {
            query.push(
                " AND (EXISTS (SELECT 1 FROM tags WHERE tags.digest = images.digest AND tags.gone_at IS NULL)
                    OR EXISTS (SELECT 1 FROM manifest_children JOIN tags ON tags.digest = manifest_children.parent
                        WHERE manifest_children.child = images.digest AND manifest_children.kind = 'image'
                            AND tags.gone_at IS NULL))",
            );
        }
    }
}

fn push_place(query: &mut QueryBuilder<Sqlite>, filter: &ImageFilter) {
    let gone = filter.presence == Presence::Any;
    if let Some(tag) = &filter.tag {
        query.push(
            " AND EXISTS (SELECT 1 FROM tags JOIN repositories ON repositories.id = tags.repository_id
                WHERE (tags.digest = images.digest OR tags.digest IN (
                    SELECT parent FROM manifest_children WHERE child = images.digest AND kind = 'image'))
                AND tags.tag = ",
        );
        query.push_bind(tag);
        if !gone {
            query.push(" AND tags.gone_at IS NULL");
        }
    } else if filter.registry.is_some() || filter.repository.is_some() {
        query.push(
            " AND EXISTS (SELECT 1 FROM manifests JOIN repositories ON repositories.id = manifests.repository_id
                WHERE manifests.digest = images.digest",
        );
        if !gone {
            query.push(" AND manifests.gone_at IS NULL");
        }
    } else {
        return;
    }
    if let Some(registry) = &filter.registry {
        query.push(" AND repositories.registry = ").push_bind(registry);
    }
    if let Some(repository) = &filter.repository {
        query.push(" AND repositories.name = ").push_bind(repository);
    }
    query.push(")");
}

/// The image's line and its document, undecoded.
pub(super) async fn find(
    connection: &mut SqliteConnection,
    digest: &Digest,
) -> Result<Option<(ImageSummary, Vec<u8>)>> {
    let mut query = QueryBuilder::<Sqlite>::new(SUMMARY);
    query.push(" AND images.digest = ").push_bind(digest.to_string());
    let rows = query.build().fetch_all(&mut *connection).await.sql()?;
    let Some((id, summary)) = summaries(connection, &rows).await?.pop() else { return Ok(None) };
    let body: Vec<u8> = sqlx::query_scalar("SELECT body FROM documents WHERE image_id = ?")
        .bind(id)
        .fetch_one(connection)
        .await
        .sql()?;
    Ok(Some((summary, body)))
}

/// Images of one chain that are looked at for one with a tag.
const CANDIDATES: i64 = 64;

pub(super) async fn base(connection: &mut SqliteConnection, layers: &[Digest]) -> Result<Option<KnownBase>> {
    let chains: Vec<String> = rows::base_chains(layers).iter().map(Digest::to_string).collect();
    let found: Vec<(String, i64)> = sqlx::query_as(
        "SELECT images.digest, wanted.key FROM json_each(?1) AS wanted
        CROSS JOIN images ON images.chain_id = wanted.value
        WHERE EXISTS (SELECT 1 FROM manifests WHERE manifests.digest = images.digest AND manifests.gone_at IS NULL)
        ORDER BY wanted.key DESC, images.last_indexed DESC, images.id DESC LIMIT ?2",
    )
    .bind(json(&chains)?)
    .bind(CANDIDATES)
    .fetch_all(&mut *connection)
    .await
    .sql()?;
    let Some(&(_, longest)) = found.first() else { return Ok(None) };
    let digests: Vec<&String> = found.iter().filter(|(_, key)| *key == longest).map(|(digest, _)| digest).collect();
    let mut query = QueryBuilder::<Sqlite>::new(SUMMARY);
    query.push(" AND images.digest IN (SELECT value FROM json_each(").push_bind(json(&digests)?);
    query.push(")) ORDER BY images.last_indexed DESC, images.id DESC");
    let rows = query.build().fetch_all(&mut *connection).await.sql()?;
    let images = summaries(connection, &rows).await?.into_iter().map(|(_, image)| image).collect();
    Ok(rows::best_base(images, u32::try_from(longest + 1).unwrap_or(u32::MAX)))
}

pub(super) async fn indexes_of(connection: &mut SqliteConnection, digest: &Digest) -> Result<Vec<Digest>> {
    let rows = sqlx::query("SELECT DISTINCT parent FROM manifest_children WHERE child = ? ORDER BY parent")
        .bind(digest.to_string())
        .fetch_all(connection)
        .await
        .sql()?;
    rows.iter().map(|row| Fields(row).digest("parent")).collect()
}

async fn summaries(connection: &mut SqliteConnection, rows: &[SqliteRow]) -> Result<Vec<(i64, ImageSummary)>> {
    let digests = rows.iter().map(|row| Fields(row).text("digest")).collect::<Result<Vec<_>>>()?;
    let mut whereabouts = whereabouts(connection, &digests).await?;
    rows.iter()
        .map(|row| {
            let fields = Fields(row);
            let Whereabouts { places, gone_at } = whereabouts.remove(&fields.text("digest")?).unwrap_or_default();
            let summary = ImageSummary {
                digest: fields.digest("digest")?,
                platform: platform(&fields)?,
                size: fields.count("size")?,
                created: fields.optional_text("created")?,
                distro: fields.optional_json("distro")?,
                packages: fields.count("packages")?,
                layers: fields.count("layers")?,
                indexer: fields.text("indexer")?,
                first_indexed: fields.time("first_indexed")?,
                last_indexed: fields.time("last_indexed")?,
                places,
                gone_at: gone_at.map(crate::clock::timestamp).transpose()?,
            };
            Ok((fields.int("id")?, summary))
        })
        .collect()
}

/// The columns `os`, `architecture`, `variant` and `os_version`.
pub(super) fn platform(fields: &Fields<'_>) -> Result<Platform> {
    Ok(Platform {
        os: fields.text("os")?,
        architecture: fields.text("architecture")?,
        variant: fields.optional_text("variant")?,
        os_version: fields.optional_text("os_version")?,
    })
}

/// Where an image is, or since when it is nowhere.
#[derive(Clone, Debug, Default)]
pub(super) struct Whereabouts {
    pub(super) places: Vec<Place>,
    gone_at: Option<i64>,
}

pub(super) async fn whereabouts(
    connection: &mut SqliteConnection,
    digests: &[String],
) -> Result<HashMap<String, Whereabouts>> {
    let rows = sqlx::query(
        "SELECT places.digest, places.tag, places.gone_at, repositories.registry, repositories.name AS repository
        FROM (
            SELECT tags.digest, tags.repository_id, tags.tag, tags.gone_at
            FROM json_each(?1) AS wanted CROSS JOIN tags ON tags.digest = wanted.value
            UNION ALL
            SELECT manifest_children.child, tags.repository_id, tags.tag, tags.gone_at
            FROM json_each(?1) AS wanted
            CROSS JOIN manifest_children ON manifest_children.child = wanted.value
                AND manifest_children.kind = 'image'
            CROSS JOIN tags ON tags.digest = manifest_children.parent
            UNION ALL
            SELECT manifests.digest, manifests.repository_id, NULL, manifests.gone_at
            FROM json_each(?1) AS wanted CROSS JOIN manifests ON manifests.digest = wanted.value
        ) AS places JOIN repositories ON repositories.id = places.repository_id",
    )
    .bind(json(digests)?)
    .fetch_all(connection)
    .await
    .sql()?;
    let mut all: HashMap<String, Whereabouts> = HashMap::new();
    let mut there = HashSet::new();
    for row in &rows {
        let fields = Fields(row);
        let digest = fields.text("digest")?;
        let tag = fields.optional_text("tag")?;
        let gone_at = fields.optional_int("gone_at")?;
        let whereabouts = all.entry(digest.clone()).or_default();
        if tag.is_none() {
            if gone_at.is_none() {
                there.insert(digest);
            }
            whereabouts.gone_at = whereabouts.gone_at.max(gone_at);
        }
        if gone_at.is_none() {
            whereabouts.places.push(Place { repository: fields.repository()?, tag });
        }
    }
    for (digest, whereabouts) in &mut all {
        if there.contains(digest) {
            whereabouts.gone_at = None;
        }
        rows::tidy(&mut whereabouts.places);
    }
    Ok(all)
}
