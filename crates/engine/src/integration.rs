//! Integrations: registries that somebody connected while the engine runs.
//!
//! An integration is a row of the store. The command line and the API change rows; the engine notices, asks a
//! [`Connector`] for what the row means, and watches that. How an integration stands is decided in one place,
//! [`next`], by what has been seen of it.

mod connect;
mod credentials;
mod enablement;
mod examine;
mod keeper;
mod machine;
mod manage;
mod path;
mod preview;
mod selection;
mod settings;
mod tracking;
mod vault;

pub use self::connect::{Connection, Connector};
pub use self::credentials::{Credentials, Login};
pub use self::enablement::Enablement;
pub use self::examine::{Examination, Step};
pub(crate) use self::keeper::Keeper;
pub use self::machine::{Amiss, Facts, Signal, next};
pub use self::manage::Integrations;
pub use self::path::{EventPath, PROBE, PathFinding, TestEvent};
pub use self::preview::{SelectedTag, SelectionPreview};
pub use self::selection::select;
pub use self::settings::{event_providers, event_sources, public_url, registry_settings, source_config};
pub(crate) use self::tracking::{Found, QueueTrouble, Tracking};
pub use self::vault::{Key, Vault};
