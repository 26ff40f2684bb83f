//! Metadata in the formats that others read.

pub mod scout;
