//! The indexer as its users call it.

mod image;
mod layer;
mod layout;
mod lazy;
mod serialised;
mod support;
mod unpacked;
mod upgrade;
