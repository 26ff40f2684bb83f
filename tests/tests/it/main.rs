//! The end-to-end tests: the workspace and the real binaries, seen from outside.

mod commands;
mod delivery;
mod delivery_scout;
mod dependencies;
mod events;
mod machinery;
mod polling;
mod recovery;
mod trouble;
