//! What the end-to-end tests of supercargo drive: its own binaries, and the programs that its users have.
//!
//! - [`Watcher`] runs `supercargo-watch` and asks its API, [`supercargo`] runs the command line.
//! - [`DockerRegistry`] runs Debian's `docker-registry`, with the token service ([`TokenService`]) that one of its
//!   ways to sign in needs.
//! - [`skopeo`] and [`umoci`] push and make images.
//! - [`Moto`] has Amazon's services, [`Azurite`] the queues of Azure's.
//! - [`Installation`] is a server with its operator at the command line; [`Internet`] is its way to the vendors' hosts,
//!   and [`Amazon`] has the accounts there.
//! - [`Receiver`] takes notifications, to see what a registry really sends.
//!
//! Every program is started on a loopback port of its own with its own folder, and ended by its own process ID.
//! A program that is missing fails the test: `tests/run` installs what is needed and runs everything.

mod amazon;
mod api;
mod azurite;
mod binaries;
mod eventually;
mod fixture;
mod installation;
mod internet;
mod moto;
mod node;
mod port;
mod receiver;
mod registry;
mod sender;
mod service;
mod token;
mod tool;
mod watcher;

pub use amazon::{Amazon, EcrAccount, PUBLIC_URL};
pub use api::{Api, Reply, get, get_as};
pub use azurite::Azurite;
pub use binaries::{binary, supercargo, supercargo_with};
pub use eventually::eventually;
pub use fixture::{app, base, heavy};
pub use installation::Installation;
pub use internet::Internet;
pub use moto::Moto;
pub use node::node_program;
pub use port::free_port;
pub use receiver::{Received, Receiver};
pub use registry::{DockerRegistry, DockerRegistryBuilder, PASSWORD, USER};
pub use sender::{Sender, push_event};
pub use service::Service;
pub use token::TokenService;
pub use tool::{Login, ask_python, hmac, manifest, openssl, push, python, run_python, skopeo, umoci};
pub use watcher::{EVENT_SECRET, Watcher, WatcherBuilder};
