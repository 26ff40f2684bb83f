//! `supercargo packages`.

use std::collections::BTreeMap;

use clap::Args;
use serde::Serialize;
use supercargo_engine::index::Platform;
use supercargo_engine::store::{NameMatch, PackageMatch, PackageQuery, Store};

use super::list::{JsonArray, ListFormat, all, find_images, full_name, nothing, place, print_failed};
use crate::table::Table;
use crate::text::cut;
use crate::watch::args::DataArgs;
use crate::{Environment, Exit, Output, Result, cli, data};

#[derive(Args, Debug)]
pub(super) struct PackagesArgs {
    /// Only packages of this image: registry/repository:tag, less of it, or a digest
    #[arg(value_name = "IMAGE")]
    image: Option<String>,

    /// Of the image for this platform, such as linux/arm64
    #[arg(long, value_name = "OS/ARCH[/VARIANT]", requires = "image")]
    platform: Option<Platform>,

    /// Only packages of this package URL type: deb, apk, npm, pypi, golang, cargo, …
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,

    /// Only packages of this name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// Only packages with this in one of their licences
    #[arg(long, value_name = "LICENSE")]
    license: Option<String>,

    #[command(flatten)]
    data: DataArgs,

    /// How the list is printed
    #[arg(short, long, value_enum, default_value_t = ListFormat::Table, value_name = "FORMAT")]
    output: ListFormat,
}

/// A package and how many images have it.
#[derive(Debug, Serialize)]
struct Package {
    purl: String,
    #[serde(rename = "type")]
    kind: String,
    namespace: Option<String>,
    name: String,
    version: String,
    licenses: Vec<String>,
    images: u64,
}

pub(super) fn run(args: &PackagesArgs, environment: &Environment, output: &mut Output) -> Result<Exit> {
    let directory = args.data.directory(environment)?;
    let query = PackageQuery {
        kind: args.kind.clone(),
        name: args.name.clone().map(NameMatch::Exact),
        license: args.license.clone(),
        ..PackageQuery::default()
    };
    cli::block_on(async {
        let store = data::look(directory).await?;
        let queries = match &args.image {
            None => vec![query],
            Some(name) => {
                let images = find_images(store.as_ref(), name, args.platform.as_ref()).await?;
                let shown = |place_of: &supercargo_engine::store::ImageSummary| {
                    place_of.places.first().map_or(String::new(), |at| place(at, &place_of.digest))
                };
                if images.len() > 1 {
                    let names: Vec<String> =
                        images.iter().map(|image| format!("{} {}", shown(image), image.platform)).collect();
                    output.say(format_args!(
                        "note: of {} images: {}",
                        images.len(),
                        crate::text::printable(&names.join(", "))
                    ));
                }
                let of = |image: supercargo_engine::store::ImageSummary| PackageQuery {
                    image: Some(image.digest),
                    ..query.clone()
                };
                images.into_iter().map(of).collect()
            }
        };
        let packages = collect(store.as_ref(), &queries).await?;
        print(&packages, args.output, output)?;
        Ok(Exit::Done)
    })
}

/// Counts the images of each package. One entry per distinct package: some tens of thousands in a large store.
async fn collect(store: &dyn Store, queries: &[PackageQuery]) -> Result<Vec<Package>> {
    let mut packages: BTreeMap<String, Package> = BTreeMap::new();
    for query in queries {
        let count = |found: PackageMatch| {
            let PackageMatch { purl, kind, namespace, name, version, licenses, .. } = found;
            let package = packages.entry(purl).or_insert_with_key(|purl| Package {
                purl: purl.clone(),
                kind,
                namespace,
                name,
                version,
                licenses,
                images: 0,
            });
            package.images += 1;
            Ok(())
        };
        all(async |page| store.packages(query, &page).await, count).await?;
    }
    Ok(packages.into_values().collect())
}

fn print(packages: &[Package], format: ListFormat, output: &mut Output) -> Result<()> {
    match format {
        ListFormat::Json => {
            let mut array = JsonArray::default();
            for package in packages {
                array.item(output.out(), package)?;
            }
            array.end(output.out())
        }
        ListFormat::Table if packages.is_empty() => {
            nothing(output, "`supercargo images` lists the images that are there");
            Ok(())
        }
        ListFormat::Table => {
            let mut table = Table::new(["TYPE", "NAME", "VERSION", "IMAGES", "LICENSES"]);
            for package in packages {
                table.row([
                    &package.kind,
                    &full_name(&package.kind, package.namespace.as_deref(), &package.name),
                    &package.version,
                    &package.images.to_string(),
                    &cut(&package.licenses.join(", "), 60),
                ]);
            }
            table.print(output.out()).map_err(print_failed)
        }
    }
}
