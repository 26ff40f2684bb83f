//! Registry notifications to events.
//!
//! Registries announce pushes and deletes in a dozen formats, each with its own way to prove who sent it and
//! its own idea of which HTTP answer ends a delivery. A [`Source`] is one such format: a pure function from a
//! [`Request`] (headers, query, raw body) to a [`Reception`], which says what happened and which [`Answer`]
//! this sender needs. Nothing here touches a network, a clock or a store: the caller stores the events,
//! then sends the answer. Where a decision takes a document from elsewhere, the verdict names it
//! ([`Verdict::Needs`]), and the caller fetches it.
//!
//! Events are hints. They may come twice, late, out of order, from a replay, or not at all; whoever receives
//! one asks the registry what is true. So a [`RegistryEvent`] carries names, never a state to apply.
//!
//! # Examples
//!
//! ```
//! use http::{HeaderMap, Method};
//! use supercargo_events::{Action, Request, Secret, SourceConfig, Verdict, build};
//!
//! let source = build("distribution", SourceConfig::new([Secret::new("correct horse battery")]))?;
//!
//! let mut headers = HeaderMap::new();
//! headers.insert("authorization", "Bearer correct horse battery".parse()?);
//! headers.insert("content-type", "application/vnd.docker.distribution.events.v2+json".parse()?);
//! let body = br#"{"events": [{
//!     "id": "f3a1", "action": "push", "request": {"host": "registry.example.com"},
//!     "target": {"mediaType": "application/vnd.oci.image.manifest.v1+json", "repository": "team/app", "tag": "1.0"}
//! }]}"#;
//!
//! let reception = source.receive(&Request::new(&Method::POST, &headers, body, "2025-03-04T05:06:07Z".parse()?));
//! let Verdict::Events(events) = reception.verdict else { panic!("a push is an event") };
//! assert_eq!((events[0].action, events[0].repository.as_str()), (Action::Pushed, "team/app"));
//! assert!(reception.answer.status.is_success());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod answer;
mod auth;
mod certificate;
mod cloud_event;
mod cloudformation;
mod config;
mod document;
mod error;
mod event;
mod findings;
mod grammar;
mod layout;
mod prove;
mod providers;
pub mod pull;
mod secret;
mod setup;
mod shelf;
mod signature;
mod source;
mod token;

pub use answer::{Answer, Reception, Verdict};
pub use config::{Key, SourceConfig};
pub use document::{Document, DocumentKind};
pub use error::{Error, ErrorKind, Result};
pub use event::{Action, EventTime, RegistryEvent};
pub use prove::{Proof, prove};
pub use providers::{DistributionSource, PROVIDERS, Provider, SecretUse, build};
pub use secret::Secret;
pub use setup::{SetupNotice, SetupState};
pub use source::{Request, Source};
