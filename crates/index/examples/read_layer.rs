//! Reads one layer from a file, without any runtime: `cargo run --release --example read_layer -- BLOB`.
#![expect(clippy::print_stdout, reason = "an example prints")]

use std::error::Error;
use std::fs::File;
use std::time::Instant;

use sha2::{Digest as _, Sha256};
use supercargo_index::{Catalogers, Descriptor, Limits, read_layer};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: read_layer BLOB")?;
    // An OCI layout names a blob by its digest; of any other file it is not known yet.
    let mut hash = Sha256::new();
    let size = std::io::copy(&mut File::open(&path)?, &mut hash)?;
    let digest: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let descriptor =
        Descriptor::new("application/vnd.oci.image.layer.v1.tar".into(), size, format!("sha256:{digest}").parse()?);

    let start = Instant::now();
    let layer = read_layer(File::open(&path)?, &descriptor, &Catalogers::all(), &Limits::default())?;
    println!("{} entries, {} bytes inflated, {:.2?}", layer.entries.len(), layer.inflated_size, start.elapsed());
    for findings in &layer.findings {
        for package in &findings.packages {
            println!("{} {} {} ({}: /{})", package.kind, package.name, package.version, findings.cataloger, findings.path);
        }
    }
    Ok(())
}
