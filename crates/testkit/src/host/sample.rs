//! Made-up images, for machines that have nothing to show.

use super::NamedImage;
use crate::contents::{self, Package};
use crate::{Image, ImageBuilder, Layer};

/// Four images that a small team might have: two systems, and an application on each of them.
pub fn sample_images() -> Vec<NamedImage> {
    let debian = debian();
    let alpine = alpine();
    let python = debian
        .clone()
        .with_layer(
            Layer::new().with_entries(
                [("requests", "2.31.0"), ("urllib3", "2.0.7"), ("flask", "3.0.0"), ("Jinja2", "3.1.2")]
                    .into_iter()
                    .flat_map(|(name, version)| {
                        contents::python_dist_info(
                            "usr/local/lib/python3.11/site-packages",
                            &Package::new(name, version),
                        )
                    }),
            ),
            "RUN pip install -r requirements.txt # buildkit",
        )
        .with_command(["flask", "run"])
        .build();
    let node = alpine
        .clone()
        .with_layer(
            Layer::new().with_entries(contents::npm_tree(
                "app",
                &packages(&[
                    ("express", "4.18.2"),
                    ("lodash", "4.17.20"),
                    ("@types/node", "20.10.0"),
                    ("debug", "2.6.9"),
                ]),
            )),
            "RUN npm ci # buildkit",
        )
        .with_layer(
            Layer::new()
                .executable(
                    "usr/local/bin/agent",
                    contents::go_binary(
                        "go1.21.5",
                        &Package::new("example.com/agent", "v0.4.2"),
                        &packages(&[("golang.org/x/net", "v0.17.0"), ("github.com/spf13/cobra", "v1.8.0")]),
                    ),
                )
                .executable(
                    "usr/local/bin/proxy",
                    contents::auditable_binary(
                        &Package::new("proxy", "0.2.0"),
                        &packages(&[("hyper", "1.1.0"), ("tokio", "1.35.1")]),
                    ),
                ),
            "COPY agent proxy /usr/local/bin/ # buildkit",
        )
        .with_command(["node", "server.js"])
        .build();
    let named = |repository: &str, tag: &str, description: &str, image: Image| {
        NamedImage::new(repository, tag, description, image)
    };
    vec![
        named("sample/debian", "12", "a Debian base", debian.build()),
        named("sample/alpine", "3.19", "an Alpine base", alpine.build()),
        named("sample/web", "1.0", "a Python application on Debian", python),
        named("sample/shop", "2.3", "a Node application with Go and Rust binaries on Alpine", node),
    ]
}

fn packages(list: &[(&str, &str)]) -> Vec<Package> {
    list.iter().map(|(name, version)| Package::new(*name, *version)).collect()
}

fn debian() -> ImageBuilder {
    let packages = [
        Package::new("base-files", "12.4+deb12u4"),
        Package::new("bash", "5.2.15-2+b2").with_source("bash (5.2.15-2)"),
        Package::new("libc6", "2.36-9+deb12u3").with_source("glibc"),
        Package::new("libssl3", "3.0.11-1~deb12u2").with_source("openssl"),
        Package::new("openssl", "3.0.11-1~deb12u2"),
        Package::new("zlib1g", "1:1.2.13.dfsg-1").with_source("zlib"),
    ];
    let layer = Layer::new()
        .file("usr/lib/os-release", contents::os_release("debian", "12"))
        .symlink("etc/os-release", "../usr/lib/os-release")
        .file("var/lib/dpkg/status", contents::dpkg_status(&packages))
        .with_entries(packages.iter().flat_map(contents::dpkg_info));
    ImageBuilder::new().with_layer(layer, "ADD rootfs.tar.xz / # buildkit").with_empty_layer("CMD [\"bash\"]")
}

fn alpine() -> ImageBuilder {
    let packages = [
        Package::new("alpine-baselayout", "3.4.3-r2"),
        Package::new("busybox", "1.36.1-r15").with_license("GPL-2.0-only"),
        Package::new("libcrypto3", "3.1.4-r2").with_source("openssl").with_license("Apache-2.0"),
        Package::new("musl", "1.2.4_git20230717-r4"),
    ];
    let layer = Layer::new()
        .file("etc/os-release", contents::os_release("alpine", "3.19.0"))
        .file("lib/apk/db/installed", contents::apk_installed(&packages));
    ImageBuilder::new()
        .with_layer(layer, "ADD alpine-minirootfs.tar.gz / # buildkit")
        .with_empty_layer("CMD [\"/bin/sh\"]")
}
