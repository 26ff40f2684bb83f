//! What every supercargo binary shares: command lines, configuration, log, signals, wiring, printing.
//!
//! Each program is a function from its arguments, its [`Environment`] and an [`Output`] to an [`Exit`]. A binary
//! makes these three and calls it; a test makes others.
//!
//! ```
//! use supercargo_app::{Environment, Exit, Output, supercargo};
//!
//! let (mut output, captured) = Output::captured();
//! let args = ["supercargo", "index", "fs:///no/such/folder"].map(Into::into);
//! let exit = supercargo(args, &Environment::default(), &mut output);
//!
//! assert_eq!(exit, Exit::Failed);
//! assert_eq!(captured.out(), "");
//! assert!(captured.err().starts_with("error: failed to "));
//! ```
//!
//! This is the only crate that reads the environment and files of its own accord.

mod cli;
mod client;
mod command;
mod config;
mod credentials;
mod data;
mod environment;
mod error;
mod exit;
mod flag;
mod integrations;
mod output;
mod proxy;
mod queue;
mod secrets;
mod service;
mod settings;
mod signals;
mod sinks;
mod table;
mod telemetry;
mod text;
mod watch;

pub use command::supercargo;
pub use environment::Environment;
pub use error::{Error, ErrorKind, Result};
pub use exit::Exit;
pub use output::{Captured, Output};
pub use watch::{server, watch};
