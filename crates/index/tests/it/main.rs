//! The indexer as its users call it.

mod archive;
mod hostile;
mod hostile_packages;
mod image;
mod layer;
mod layout;
mod lazy;
mod serialised;
mod support;
mod unpacked;
mod upgrade;
