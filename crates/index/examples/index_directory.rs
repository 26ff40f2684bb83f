//! Indexes a directory and prints Docker Scout's SBOM JSON: `cargo run --example index_directory -- DIRECTORY`.

use std::error::Error;

use supercargo_index::{Indexer, scout};

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args().nth(1).ok_or("usage: index_directory DIRECTORY")?;
    let metadata = Indexer::new().index_directory(directory)?;
    scout::write(&metadata, scout::Options::default(), std::io::stdout().lock())?;
    Ok(())
}
