//! Packages in images.

use std::collections::HashMap;

use sqlx::{QueryBuilder, Sqlite, SqliteConnection};
use supercargo_index::Evidence;

use super::images::{platform, push_presence, whereabouts};
use super::sql::{Fields, SqlResult, json};
use crate::error::Result;
use crate::inventory::{NameMatch, PackageLayer, PackageLocation, PackageMatch, PackageQuery};
use crate::page::{Cursor, Listing, Page};

/// A package of an image, by their numbers.
type Key = (i64, i64);

pub(super) async fn packages(
    connection: &mut SqliteConnection,
    query: &PackageQuery,
    page: &Page,
) -> Result<Listing<PackageMatch>> {
    let mut sql = QueryBuilder::<Sqlite>::new(
        "SELECT packages.id AS package_id, image_packages.image_id AS image_id, packages.*, images.digest, images.os,
            images.architecture, images.variant, images.os_version, max(image_packages.declared) AS declared
        FROM packages",
    );
    // From the packages on, in the order that is asked for: distinct packages are few, packages of images are
    // many. Only an image or a path says better where to begin.
    let join = if query.image.is_none() && query.path.is_none() { " CROSS JOIN " } else { " JOIN " };
    sql.push(join).push("image_packages ON image_packages.package_id = packages.id");
    sql.push(join).push("images ON images.id = image_packages.image_id WHERE true");
    if let Some([package, image]) = Cursor::numbers::<2>(page)? {
        // The first condition says nothing new, but it is where the search begins.
        sql.push(" AND packages.id >= ").push_bind(package);
        sql.push(" AND (packages.id, image_packages.image_id) > (").push_bind(package);
        sql.push(", ").push_bind(image).push(")");
    }
    push_query(&mut sql, query);
    push_presence(&mut sql, query.presence);
    sql.push(" GROUP BY packages.id, image_packages.image_id ORDER BY packages.id, image_packages.image_id LIMIT ")
        .push_bind(super::fetch(page));
    let rows = sql.build().fetch_all(&mut *connection).await.sql()?;

    let mut digests = rows.iter().map(|row| Fields(row).text("digest")).collect::<Result<Vec<_>>>()?;
    digests.sort();
    digests.dedup();
    let whereabouts = whereabouts(connection, &digests).await?;
    let keys = rows
        .iter()
        .map(|row| Ok((Fields(row).int("package_id")?, Fields(row).int("image_id")?)))
        .collect::<Result<Vec<Key>>>()?;
    let mut locations = locations(connection, &keys).await?;

    let mut items = Vec::with_capacity(rows.len());
    for (row, key) in rows.iter().zip(keys) {
        let fields = Fields(row);
        let digest = fields.text("digest")?;
        items.push((
            key,
            PackageMatch {
                purl: fields.text("purl")?,
                kind: fields.text("type")?,
                namespace: fields.optional_text("namespace")?,
                name: fields.text("name")?,
                version: fields.text("version")?,
                licenses: fields.json("licenses")?,
                evidence: if fields.int("declared")? == 0 { Evidence::Installed } else { Evidence::Declared },
                image: fields.digest("digest")?,
                platform: platform(&fields)?,
                places: whereabouts.get(&digest).map(|found| found.places.clone()).unwrap_or_default(),
                locations: locations.remove(&key).unwrap_or_default(),
            },
        ));
    }
    let listing = Listing::cut(items, page, |((package, image), _)| Cursor::new([package, image]));
    Ok(Listing { items: listing.items.into_iter().map(|(_, item)| item).collect(), next: listing.next })
}

fn push_query(sql: &mut QueryBuilder<Sqlite>, query: &PackageQuery) {
    if let Some(kind) = &query.kind {
        sql.push(" AND packages.type = ").push_bind(kind);
    }
    if let Some(namespace) = &query.namespace {
        sql.push(" AND packages.namespace = ").push_bind(namespace);
    }
    match &query.name {
        None => {}
        Some(NameMatch::Exact(name)) => {
            sql.push(" AND (packages.name = ").push_bind(name);
            sql.push(" OR packages.purl_name = ").push_bind(name).push(")");
        }
        Some(NameMatch::Prefix(prefix)) => push_like(sql, &format!("{}%", escape(prefix))),
        Some(NameMatch::Contains(part)) => push_like(sql, &format!("%{}%", escape(part))),
    }
    if let Some(version) = &query.version {
        sql.push(" AND packages.version = ").push_bind(version);
    }
    if let Some(license) = &query.license {
        sql.push(" AND EXISTS (SELECT 1 FROM json_each(packages.licenses) WHERE value LIKE ");
        sql.push_bind(format!("%{}%", escape(license))).push(" ESCAPE '\\')");
    }
    if let Some(path) = &query.path {
        sql.push(" AND image_packages.path_id IN (SELECT id FROM paths WHERE instr(path, ");
        sql.push_bind(path).push(") > 0)");
    }
    if let Some(image) = &query.image {
        sql.push(" AND images.digest = ").push_bind(image.to_string());
    }
}

/// LIKE is blind to ASCII case, and so are the names' indexes.
fn push_like(sql: &mut QueryBuilder<Sqlite>, pattern: &str) {
    sql.push(" AND (packages.name LIKE ").push_bind(pattern.to_owned()).push(" ESCAPE '\\'");
    sql.push(" OR packages.purl_name LIKE ").push_bind(pattern.to_owned()).push(" ESCAPE '\\')");
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

async fn locations(connection: &mut SqliteConnection, keys: &[Key]) -> Result<HashMap<Key, Vec<PackageLocation>>> {
    let rows = sqlx::query(
        "SELECT image_packages.package_id, image_packages.image_id, paths.path, image_packages.layer,
            image_layers.digest, image_layers.ordinal, image_layers.instruction
        FROM json_each(?1) AS wanted
        CROSS JOIN image_packages ON image_packages.package_id = wanted.value ->> 0
            AND image_packages.image_id = wanted.value ->> 1
        CROSS JOIN paths ON paths.id = image_packages.path_id
        LEFT JOIN image_layers ON image_layers.image_id = image_packages.image_id
            AND image_layers.position = image_packages.layer
        WHERE paths.path <> ''
        ORDER BY paths.path",
    )
    .bind(json(keys)?)
    .fetch_all(connection)
    .await
    .sql()?;
    let mut locations: HashMap<Key, Vec<PackageLocation>> = HashMap::new();
    for row in &rows {
        let fields = Fields(row);
        let layer = match (fields.optional_count("layer")?, fields.optional_digest("digest")?) {
            (Some(index), Some(digest)) => Some(PackageLayer {
                index,
                digest,
                ordinal: fields.optional_count("ordinal")?,
                instruction: fields.optional_text("instruction")?,
            }),
            _ => None,
        };
        let location = PackageLocation { path: fields.text("path")?, layer };
        locations.entry((fields.int("package_id")?, fields.int("image_id")?)).or_default().push(location);
    }
    Ok(locations)
}
