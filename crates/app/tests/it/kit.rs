//! Running a program, and images for it.

use std::path::Path;

use supercargo_app::{Environment, Exit, Output};
use supercargo_testkit::contents::{self, Package};
use supercargo_testkit::{Image, ImageBuilder, Layer};

/// How a program ended and what it printed.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) exit: Exit,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs `supercargo` with these arguments.
pub(crate) fn supercargo<const N: usize>(args: [&str; N]) -> Ran {
    supercargo_in(&Environment::default(), args)
}

/// The same in an environment.
pub(crate) fn supercargo_in<const N: usize>(environment: &Environment, args: [&str; N]) -> Ran {
    run_supercargo(environment, &args)
}

/// The same with as many arguments as there are.
pub(crate) fn run_supercargo(environment: &Environment, args: &[&str]) -> Ran {
    let (mut output, captured) = Output::captured();
    let args = std::iter::once("supercargo").chain(args.iter().copied()).map(Into::into);
    let exit = supercargo_app::supercargo(args, environment, &mut output);
    Ran { exit, out: captured.out(), err: captured.err() }
}

/// Runs `supercargo-watch` with these arguments.
pub(crate) fn watch(environment: &Environment, args: &[&str]) -> Ran {
    let (mut output, captured) = Output::captured();
    let args = std::iter::once("supercargo-watch").chain(args.iter().copied()).map(Into::into);
    let exit = supercargo_app::watch(args, environment, &mut output);
    Ran { exit, out: captured.out(), err: captured.err() }
}

/// Runs `supercargo-server` with these arguments.
pub(crate) fn server(environment: &Environment, args: &[&str]) -> Ran {
    let (mut output, captured) = Output::captured();
    let args = std::iter::once("supercargo-server").chain(args.iter().copied()).map(Into::into);
    let exit = supercargo_app::server(args, environment, &mut output);
    Ran { exit, out: captured.out(), err: captured.err() }
}

/// A Debian with a Node application on it, the same in every run.
pub(crate) fn app() -> ImageBuilder {
    let packages =
        [Package::new("bash", "5.2.15-2"), Package::new("libssl3", "3.0.11-1~deb12u2").with_source("openssl")];
    let system = Layer::new()
        .file("etc/os-release", contents::os_release("debian", "12"))
        .file("var/lib/dpkg/status", contents::dpkg_status(&packages));
    let modules = [Package::new("@types/node", "20.10.0"), Package::new("left-pad", "1.3.0").with_license("WTFPL")];
    let node = Layer::new().with_entries(contents::npm_tree("srv", &modules));
    ImageBuilder::new().with_layer(system, "ADD rootfs.tar / # buildkit").with_layer(node, "RUN npm ci # buildkit")
}

/// Writes an image as an OCI layout; the path to name it by.
pub(crate) fn layout(folder: &Path, image: &Image) -> String {
    let path = folder.join("layout");
    supercargo_testkit::write_layout(image, &path, "1.0").unwrap();
    format!("oci-dir://{}", path.display())
}
