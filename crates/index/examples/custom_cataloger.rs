//! Finds packages of a format of one's own, beside all others: `cargo run --example custom_cataloger -- DIRECTORY`.
#![expect(clippy::print_stdout, reason = "an example prints")]

use supercargo_index::{Cataloger, Catalogers, Contents, File, Findings, Indexer, Interest, Package, Problem};

/// Plugins of an application: `opt/acme/plugins/<name>.version` holds the version.
#[derive(Debug)]
struct AcmePlugins;

impl Cataloger for AcmePlugins {
    fn name(&self) -> &'static str {
        "acme-plugins"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new().path("opt/acme/plugins/*.version")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        findings.package(Package {
            kind: "generic".into(),
            namespace: Some("acme".into()),
            name: file.name().trim_end_matches(".version").into(),
            version: contents.text()?.trim().into(),
            ..Package::default()
        });
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = std::env::args().nth(1).ok_or("usage: custom_cataloger DIRECTORY")?;
    let indexer = Indexer::new().with_catalogers(Catalogers::all().with(AcmePlugins));
    for package in indexer.index_directory(directory)?.packages {
        println!("{} ({})", package.purl, package.catalogers.join(", "));
    }
    Ok(())
}
