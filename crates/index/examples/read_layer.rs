//! Reads one layer from a file, without any runtime: `cargo run --release --example read_layer -- BLOB`.
#![expect(clippy::print_stdout, reason = "an example prints")]

use std::error::Error;
use std::time::Instant;

use sha2::{Digest as _, Sha256};
use supercargo_index::{Catalogers, Descriptor, Digest, Limits, read_layer};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: read_layer BLOB")?;
    // A manifest would say what the blob must be; a lone file is taken for what it is.
    let blob = std::fs::read(&path)?;
    let digest: String = Sha256::digest(&blob).iter().map(|byte| format!("{byte:02x}")).collect();
    let digest: Digest = format!("sha256:{digest}").parse()?;
    let descriptor = Descriptor::new("application/vnd.oci.image.layer.v1.tar".into(), blob.len() as u64, digest);

    let start = Instant::now();
    let layer = read_layer(&blob[..], &descriptor, &Catalogers::all(), &Limits::default())?;
    println!("{} entries, {} bytes inflated, {:.2?}", layer.entries.len(), layer.inflated_size, start.elapsed());
    for findings in &layer.findings {
        for package in &findings.packages {
            println!(
                "{} {} {} ({}: /{})",
                package.kind, package.name, package.version, findings.cataloger, findings.path
            );
        }
    }
    Ok(())
}
