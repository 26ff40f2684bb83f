//! What the stand-ins for products share: a server, a log, and accounts that lock.

mod accounts;
mod server;

pub(crate) use accounts::{Accounts, Caller};
pub use server::ProductRequest;
pub(crate) use server::{Call, ProductServer, forward, json_response, text_response};
