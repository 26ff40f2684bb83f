//! The end-to-end tests: the workspace and the real binaries, seen from outside.

mod azure_queue;
mod burst;
mod commands;
mod conformance;
mod delivery;
mod delivery_scout;
mod dependencies;
mod ecr;
mod events;
mod guides;
mod integrations;
mod machinery;
mod mission_acr;
mod mission_artifactory;
mod mission_ecr;
mod object_stores;
mod openapi;
mod polling;
mod products;
mod recovery;
mod relay;
mod senders;
mod sinks;
mod templates;
mod trouble;
