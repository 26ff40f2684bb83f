//! The indexer as its users call it.

mod image;
mod layer;
mod support;
mod unpacked;
