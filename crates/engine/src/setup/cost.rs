//! What it costs to have a template's resources. The figures are those that the clouds' price lists gave in 2026 for the
//! regions that most people use.

use serde::Serialize;

/// What one thing costs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Cost {
    /// What it is, in a word that stays the same.
    pub what: &'static str,
    /// US dollars; 0 for what costs nothing.
    pub usd: f64,
    /// What it is that costs so much: a month, a GB, a million messages.
    pub per: &'static str,
    /// The same for a person to read, with what is free before.
    pub text: &'static str,
}

const fn cost(what: &'static str, usd: f64, per: &'static str, text: &'static str) -> Cost {
    Cost { what, usd, per, text }
}

const REST: Cost = cost("rest", 0.0, "month", "all else nothing");
const AWS_EGRESS: Cost =
    cost("egress", 0.09, "GB", "images that are pulled out of the region: about $0.09 per GB, each layer once");

pub(super) const API_DESTINATION: &[Cost] = &[
    cost("secret", 0.42, "month", "the secret about $0.42 a month"),
    cost("api-destination", 0.01, "month", "the API destination about $0.01 a month at 100 pushes a day"),
    REST,
    AWS_EGRESS,
];

pub(super) const QUEUE: &[Cost] = &[
    cost("queue", 0.0, "month", "the queue nothing up to a million requests a month (asking it takes about 130 000)"),
    REST,
    AWS_EGRESS,
];

pub(super) const AZURE: &[Cost] = &[
    cost(
        "subscription",
        0.60,
        "million messages",
        "the subscription $0.60 per million messages after the first 100 000 a month",
    ),
    cost("rest", 0.0, "month", "topic and token nothing"),
    cost(
        "egress",
        0.10,
        "GB",
        "images that are pulled out of the region: about $0.10 per GB after the first 100 GB a month, each layer once",
    ),
];

/// The queue is paid by operations, whose price depends on region and redundancy: a bound, no price.
pub(super) const AZURE_QUEUE: &[Cost] = &[
    AZURE[0],
    cost("queue", 1.0, "month", "the queue less than $1 a month (asking it takes some 520 000 operations)"),
    AZURE[1],
    AZURE[2],
];

pub(super) const NOTHING: &[Cost] = &[cost("rest", 0.0, "month", "nothing")];
