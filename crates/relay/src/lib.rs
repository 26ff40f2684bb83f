//! Events of a cloud's functions, passed on to a queue or to a supercargo server.
//!
//! A registry whose events may not leave a private network reaches a function in it; the function passes them on.
//! It decides nothing: what an event means, whether it is wanted, whether it came before, is the business of the
//! server that reads it. What could not be passed on is reported as failed, so that the cloud repeats it.
//!
//! - [`lambda`] answers invocations of AWS Lambda by EventBridge, SNS and SQS.
//! - [`azure`] is a custom handler of Azure Functions for Event Grid triggers.
//!
//! ```
//! use supercargo_relay::{Destination, Message};
//!
//! let settings = |name: &str| match name {
//!     "SUPERCARGO_EVENTS_URL" => Some("https://supercargo.example.com/v1/events/eventbridge/aws".to_owned()),
//!     "SUPERCARGO_EVENTS_SECRET" => Some("4f1c7d0e5a9b2c83".to_owned()),
//!     _ => None,
//! };
//! let destination = Destination::of_settings(&settings)?;
//! assert_eq!(format!("{destination:?}"), "Server(supercargo.example.com)");
//! # Ok::<(), supercargo_relay::Error>(())
//! ```

#[cfg(feature = "azure-function")]
pub mod azure;
mod destination;
mod error;
#[cfg(feature = "lambda")]
pub mod lambda;

pub use destination::{Destination, Message, Settings};
pub use error::{Error, ErrorKind, Result};
