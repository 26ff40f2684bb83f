//! Metadata in the formats that others read.

mod contact;
mod cpe;
pub mod cyclonedx;
mod identity;
mod license;
pub mod scout;
pub mod spdx;

#[cfg(test)]
mod tests;
