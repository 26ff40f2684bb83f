//! What has to be set up on a registry's side for an integration, and what of that remains when it is removed.

mod amazon;
mod events;
mod fill;
mod random;
mod remains;
mod subject;
mod template;

pub(crate) use amazon::Place;
pub(crate) use events::{EVENTS, EventWay, NO_EVENTS, QUEUE, TOPICS};
pub(crate) use random::{random_id, random_secret};
pub(crate) use remains::{Remnant, remains};
pub(crate) use subject::{ECR_NAME_LIMIT, Setup, resource};
pub(crate) use template::{Choices, Template, webhook_body};
