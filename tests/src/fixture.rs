//! Images that the scenarios push.

use supercargo_testkit::contents::{self, Package};
use supercargo_testkit::{Compression, ImageBuilder, Layer};

/// A small Debian root with `openssl`.
pub fn base() -> ImageBuilder {
    let packages = [
        Package::new("openssl", "3.0.11-1~deb12u2"),
        Package::new("libssl3", "3.0.11-1~deb12u2").with_source("openssl"),
        Package::new("zlib1g", "1:1.2.13.dfsg-1").with_source("zlib (1:1.2.13.dfsg-1)"),
    ];
    let layer = Layer::new()
        .file("etc/os-release", contents::os_release("debian", "12"))
        .file("var/lib/dpkg/status", contents::dpkg_status(&packages))
        .with_entries(packages.iter().flat_map(contents::dpkg_info));
    ImageBuilder::new().with_layer(layer, "ADD rootfs.tar / # buildkit").with_empty_layer("ENV MODE=production")
}

/// An application on [`base`]: version `1.0.<number>` of `left-pad`, in a layer of its own.
pub fn app(number: usize) -> ImageBuilder {
    let packages = [Package::new("left-pad", format!("1.0.{number}"))];
    let layer = Layer::new().with_entries(contents::npm_tree("srv/app", &packages));
    base().with_layer(layer, format!("COPY app-{number} /srv/app # buildkit"))
}

/// An image of one layer that is some hundred kilobytes as a blob, so that half of it can go missing.
pub fn heavy(number: u32) -> ImageBuilder {
    // Bytes that do not pack: the blob is as large as the file.
    let mut state = number.wrapping_mul(2_654_435_761) | 1;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0]
    })
    .take(300_000)
    .collect();
    let layer = Layer::new()
        .file("srv/noise.bin", noise)
        .file("etc/os-release", contents::os_release("debian", "12"))
        .with_compression(Compression::Gzip);
    ImageBuilder::new().with_layer(layer, "COPY noise.bin /srv # buildkit")
}
