//! The end-to-end tests: the workspace and the real binaries, seen from outside.

mod burst;
mod commands;
mod dependencies;
mod events;
mod machinery;
mod polling;
mod recovery;
mod relay;
mod senders;
mod trouble;
