//! `supercargo images`.

use clap::Args;
use supercargo_engine::index::Platform;
use supercargo_engine::store::{ImageFilter, ImageSummary, Presence};

use super::list::{JsonArray, ListFormat, all, nothing, place, print_failed, short};
use crate::table::Table;
use crate::text::bytes;
use crate::watch::args::DataArgs;
use crate::{Environment, Exit, Output, Result, cli, data};

#[derive(Args, Debug)]
pub(super) struct ImagesArgs {
    /// Only images of this registry
    #[arg(long, value_name = "HOST")]
    registry: Option<String>,

    /// Only images of the repository of this name
    #[arg(long, value_name = "NAME")]
    repository: Option<String>,

    /// Only what this tag leads to
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,

    /// Only images of this platform, such as linux/arm64
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<Platform>,

    /// Images, too, that the registry no longer has
    #[arg(long)]
    include_gone: bool,

    #[command(flatten)]
    data: DataArgs,

    /// How the list is printed
    #[arg(short, long, value_enum, default_value_t = ListFormat::Table, value_name = "FORMAT")]
    output: ListFormat,
}

pub(super) fn run(args: &ImagesArgs, environment: &Environment, output: &mut Output) -> Result<Exit> {
    let directory = args.data.directory(environment)?;
    let filter = ImageFilter {
        registry: args.registry.clone(),
        repository: args.repository.clone(),
        tag: args.tag.clone(),
        platform: args.platform.clone(),
        presence: if args.include_gone { Presence::Any } else { Presence::Present },
        ..ImageFilter::default()
    };
    cli::block_on(async {
        let store = data::look(directory).await?;
        let page = async |page| store.images(&filter, &page).await;
        match args.output {
            ListFormat::Json => {
                let mut array = JsonArray::default();
                all(page, |image| array.item(output.out(), &image)).await?;
                array.end(output.out())?;
            }
            ListFormat::Table => {
                let mut table = Table::new(["IMAGE", "PLATFORM", "DISTRO", "PACKAGES", "SIZE", "INDEXED", "DIGEST"]);
                let mut found = false;
                let add = |image: ImageSummary| {
                    found = true;
                    rows(&mut table, &image);
                    Ok(())
                };
                all(page, add).await?;
                if found {
                    table.print(output.out()).map_err(print_failed)?;
                } else {
                    nothing(output, "are registries watched with this data directory?");
                }
            }
        }
        Ok(Exit::Done)
    })
}

/// A row for every place, so that a tag can be looked for with `grep`.
fn rows(table: &mut Table, image: &ImageSummary) {
    let names: Vec<String> = match image.places.as_slice() {
        [] => vec!["(gone)".to_owned()],
        places => places.iter().map(|at| place(at, &image.digest)).collect(),
    };
    let distro = image.distro.as_ref().map(|distro| format!("{} {}", distro.id, distro.version_id)).unwrap_or_default();
    let indexed = image.last_indexed.strftime("%Y-%m-%d %H:%M").to_string();
    for name in names {
        table.row([
            &name,
            &image.platform.to_string(),
            distro.trim(),
            &image.packages.to_string(),
            &bytes(image.size),
            &indexed,
            &short(&image.digest),
        ]);
    }
}
