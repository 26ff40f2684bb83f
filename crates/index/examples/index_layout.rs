//! Indexes an image of an OCI layout: `cargo run --release --example index_layout -- FOLDER`.
#![expect(clippy::print_stdout, reason = "an example prints")]

use supercargo_index::{Indexer, OciLayout};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: index_layout FOLDER")?;
    let image = OciLayout::open(folder)?;
    // Any executor will do: the indexer reads on threads of its own.
    let metadata = futures_executor::block_on(Indexer::new().index(&image))?;
    for package in &metadata.packages {
        println!("{}", package.purl);
    }
    Ok(())
}
