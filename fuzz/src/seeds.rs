//! What a fuzzer begins with: a few inputs, and the words of the parser.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use crate::{Target, literals};

/// Bytes of a literal that is a word rather than a document.
const WORD: usize = 48;

/// Bytes of an input: longer ones are run too seldom in a minute.
pub(crate) const INPUT: usize = 32 << 10;

/// Writes `FOLDER/seeds/*` and `FOLDER/words`, a dictionary in libFuzzer's form.
pub(crate) fn write(target: &Target, folder: &Path) -> io::Result<()> {
    let seeds = folder.join("seeds");
    std::fs::create_dir_all(&seeds)?;
    for (number, seed) in (target.seeds)().into_iter().enumerate() {
        if seed.len() <= INPUT {
            std::fs::write(seeds.join(format!("{number:04}")), seed)?;
        }
    }
    let mut dictionary = String::new();
    for word in words(&target.words) {
        dictionary.push('"');
        for byte in word {
            write!(dictionary, "\\x{byte:02X}").expect("a String takes what is written");
        }
        dictionary.push_str("\"\n");
    }
    std::fs::write(folder.join("words"), dictionary)
}

fn words(files: &[PathBuf]) -> BTreeSet<Vec<u8>> {
    let literals = files.iter().flat_map(|file| literals::of(file));
    literals.filter(|literal| (2..=WORD).contains(&literal.len())).collect()
}

/// The documents among the literals of these files: the samples that the parsers' own tests are made of.
pub(crate) fn documents(files: &[PathBuf]) -> Vec<Vec<u8>> {
    let literals: BTreeSet<Vec<u8>> = files.iter().flat_map(|file| literals::of(file)).collect();
    literals.into_iter().filter(|literal| (24..INPUT).contains(&literal.len())).collect()
}
