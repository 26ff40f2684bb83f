//! What has to be set up on a registry's side for an integration, and what of that remains when it is removed.
//!
//! [`Setup`] is an integration with what else its templates speak of: the address at which the registry's side reaches
//! this installation, the secret of its events. [`Setup::template`] makes the text of it, ready to be used, and says what
//! it costs and what to do with it; [`Setup::remains`] says what nothing here deletes.
//!
//! ```
//! use std::collections::BTreeMap;
//! use supercargo_engine::registry::RegistryKind;
//! use supercargo_engine::setup::{Ask, Setup};
//!
//! let settings = BTreeMap::new();
//! let setup = Setup {
//!     secret: Some("00112233445566778899aabbccddeeff"),
//!     public_url: Some("https://supercargo.example.com"),
//!     ..Setup::new("azure", RegistryKind::Acr, "contoso.azurecr.io", &settings)
//! };
//! let template = setup.template(&Ask::default())?;
//! assert_eq!((template.template, template.file.as_str()), ("arm", "supercargo-acr.json"));
//! assert!(template.text.contains("https://supercargo.example.com/v1/events/event-grid/azure?secret="));
//! assert!(template.next[0].starts_with("az deployment group create"));
//! assert!(setup.remains().iter().any(|remnant| remnant.what.contains("docker-scout-readonly-token")));
//! # Ok::<(), supercargo_engine::Error>(())
//! ```

mod amazon;
mod cost;
mod events;
mod fill;
mod filled;
mod prepare;
mod principal;
mod remains;
mod subject;
mod template;

pub use self::amazon::Place;
pub use self::cost::Cost;
pub use self::events::{EVENTS, EventWay, NO_EVENTS, PUBLIC_URL, QUEUE, TOPICS};
pub use self::filled::{Ask, Filled, Form};
pub use self::prepare::{prepare_events, prepare_role};
pub use self::principal::Principal;
pub use self::remains::Remnant;
pub use self::subject::{ECR_NAME_LIMIT, Setup, external_id, resource};
pub use self::template::{Choice, Template};
