//! The transactions between the first and the last: packages, and where in the image they are.

use std::collections::HashSet;

use sha2::{Digest as _, Sha256};
use supercargo_index::{ImagePackage, license_identifiers};

use super::{IMAGE, ImageUpload, advisory};
use crate::edn::Value;
use crate::transaction::Entity;

/// A chunk of packages, with the image that has them.
pub(super) fn entities(upload: &ImageUpload<'_>, packages: &[&ImagePackage]) -> Vec<Entity> {
    let mut entities = Vec::with_capacity(packages.len() * 3 + 1);
    let mut dependencies = Vec::with_capacity(packages.len());
    for (at, package) in packages.iter().enumerate() {
        let name = format!("$package-{at}");
        let files = files(upload, package, at);
        let dependency = Entity::new("package/dependency", format!("$dependency-{at}"))
            .with("package.dependency/scopes", ["provided"].into_iter().collect::<Value>())
            .with("package.dependency/parent", IMAGE)
            .with("package.dependency/package", name.as_str())
            .with_set("package.dependency/files", files.iter().map(Entity::name));
        dependencies.push(dependency.name().to_owned());
        entities.push(entity(upload, package, name));
        entities.extend(files);
        entities.push(dependency);
    }
    entities.push(upload.image_entity().with_added("artifact/dependencies", dependencies));
    entities
}

fn entity(upload: &ImageUpload<'_>, found: &ImagePackage, name: String) -> Entity {
    let package = &found.package;
    // Policies look for the identifiers of licences, one each.
    let licenses = found.license.as_deref().map(license_identifiers).filter(|licenses| !licenses.is_empty());
    Entity::new("package", name)
        .with("package/url", found.purl.as_str())
        .with("package/type", package.kind.as_str())
        .with_some("package/namespace", package.namespace.as_deref().filter(|text| !text.is_empty()))
        .with("package/name", package.name.as_str())
        .with("package/version", package.version.as_str())
        .with_some("package/author", package.author.as_deref())
        .with_some("package/licenses", licenses.map(|licenses| licenses.into_iter().collect::<Value>()))
        .with_some("package/description", package.description.as_deref())
        .with_some("package/homepage", package.url.as_deref())
        .with_some("package/size", package.size.and_then(|size| i64::try_from(size).ok()))
        .with("package/advisory-url", advisory::url(package, upload.metadata.distro.as_ref()))
}

/// The evidence files, each once: an archive that holds a package several times is one file.
fn files(upload: &ImageUpload<'_>, package: &ImagePackage, at: usize) -> Vec<Entity> {
    let mut seen = HashSet::new();
    let layers = &upload.image.layers;
    let locations = package.locations.iter().filter_map(|location| {
        let layer = layers.get(location.layer? as usize)?;
        seen.insert((&location.path, &layer.digest)).then(|| (location.path.as_str(), layer.digest.to_string()))
    });
    locations
        .enumerate()
        .map(|(file, (path, digest))| {
            let hash = Sha256::digest(format!("{} {path} {digest}", package.purl));
            let id: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
            Entity::new("package/file", format!("$file-{at}-{file}"))
                .with("package.file/id", id)
                .with("package.file/path", path)
                .with("package.file/digest", digest)
        })
        .collect()
}
