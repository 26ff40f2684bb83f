//! One program with every fuzz target; the environment chooses:
//!
//! | Variable | What happens |
//! | --- | --- |
//! | `FUZZ_TARGET=NAME` | libFuzzer runs that target, with libFuzzer's own arguments |
//! | `FUZZ_SEEDS=FOLDER` | as well: the target's seeds and its dictionary are written there, and that is all |
//! | neither | the names of the targets are printed |
//!
//! `fuzz/run` does all of it.
#![no_main]

mod cataloger;
mod document;
mod event;
mod layer;
mod lazy;
mod literals;
mod memory;
mod seeds;
mod tar;
mod text;
mod tree;

use std::process::exit;
use std::sync::OnceLock;

/// A parser, and what leads a fuzzer into it.
pub(crate) struct Target {
    /// The parser's name, `family/name`.
    pub(crate) name: String,
    /// Lets it read `bytes`. Panics if what comes out cannot be.
    pub(crate) run: Box<dyn Fn(&[u8]) + Send + Sync>,
    /// Inputs to begin with.
    pub(crate) seeds: Box<dyn Fn() -> Vec<Vec<u8>> + Send + Sync>,
    /// Source files, below the repository's root, whose string literals are the parser's words.
    pub(crate) words: Vec<std::path::PathBuf>,
}

static CHOSEN: OnceLock<Target> = OnceLock::new();

libfuzzer_sys::fuzz_target!(init: choose(), |bytes: &[u8]| {
    if let Some(target) = CHOSEN.get() {
        (target.run)(bytes);
    }
});

fn all() -> Vec<Target> {
    [cataloger::targets(), layer::targets(), lazy::targets(), document::targets(), text::targets(), event::targets()]
        .into_iter()
        .flatten()
        .collect()
}

fn choose() {
    let Ok(name) = std::env::var("FUZZ_TARGET") else {
        for target in all() {
            println!("{}", target.name);
        }
        exit(0)
    };
    let Some(target) = all().into_iter().find(|target| target.name == name) else {
        eprintln!("there is no fuzz target {name}");
        exit(2)
    };
    if let Some(folder) = std::env::var_os("FUZZ_SEEDS") {
        if let Err(error) = seeds::write(&target, folder.as_ref()) {
            eprintln!("failed to write the seeds of {name}: {error}");
            exit(1)
        }
        exit(0)
    }
    CHOSEN.get_or_init(|| target);
}
