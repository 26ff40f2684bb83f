//! The test kit, seen from outside: its registry through an ordinary HTTP client, its images
//! through an ordinary tar reader.

mod archives;
mod auth;
mod blobs;
mod faults;
mod http;
mod listing;
mod manifests;
mod notifications;
mod scout;

use supercargo_testkit::{Image, ImageBuilder, Layer};

/// A small image whose digest depends on `name`.
fn image(name: &str) -> Image {
    ImageBuilder::new()
        .with_layer(Layer::new().file("etc/name", name.to_owned()), "COPY name /etc/")
        .with_layer(Layer::new().file("data", vec![b'x'; 5000]), "COPY data /")
        .build()
}
