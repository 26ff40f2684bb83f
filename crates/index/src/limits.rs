//! The bounds within which foreign bytes are read.

/// Every bound of an index run. A value that is reached is an [`ErrorKind::LimitExceeded`](crate::ErrorKind::LimitExceeded)
/// that names it, or, where only one file is concerned, a [`Skipped`](crate::Skipped) entry of the result.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Layers of one image. Container runtimes stop at 127; builders have made more.
    pub layers: usize,
    /// Entries of one layer's tar. The largest public images hold about 3 million.
    pub entries: u64,
    /// Bytes of one entry's path or link target. Linux stops at 4 096 for one path; tar does not.
    pub path_length: usize,
    /// Bytes of one PAX or GNU extension header.
    pub extension_header: u64,
    /// Inflated bytes of one layer.
    pub layer_size: u64,
    /// Inflated bytes for each compressed byte, judged once a layer has inflated to 64 MiB.
    /// Zeroes reach 1 030 with gzip; honest layers stay under 100.
    pub inflation_ratio: u64,
    /// Window of a zstd frame, as a power of two. 27 is what the zstd command line accepts unasked.
    pub zstd_window_log: u32,
    /// Bytes of a file that is held whole while a cataloger reads it.
    pub file_size: u64,
    /// Bytes of such files held at one time by all layers together.
    pub buffered: u64,
    /// Bytes of a file that is kept with the layer's index, so that an upgraded cataloger can read it again. The largest
    /// texts that name packages are a system's database (2 MiB on a desktop) and lock files.
    pub captured_file: u64,
    /// Bytes of such files of one layer, before they are compressed.
    pub captured: u64,
    /// Packages of one layer, its VEX statements counted like them.
    pub packages: usize,
    /// Inflated bytes of a layer's table of contents; a layer with a larger one is read whole. Tools write about 250
    /// for each file.
    pub table_of_contents: u64,
    /// Bytes of an image's configuration or manifest.
    pub document_size: u64,
    /// Bytes of one attestation. BuildKit writes up to 40 MiB.
    pub attestation_size: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            layers: 1024,
            entries: 10_000_000,
            path_length: 16 * 1024,
            extension_header: 1024 * 1024,
            layer_size: 1 << 40,
            inflation_ratio: 500,
            zstd_window_log: 27,
            file_size: 96 << 20,
            buffered: 128 << 20,
            captured_file: 4 << 20,
            captured: 32 << 20,
            packages: 500_000,
            table_of_contents: 128 << 20,
            document_size: 16 << 20,
            attestation_size: 40 << 20,
        }
    }
}
