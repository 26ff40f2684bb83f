//! Query parameters.

use axum::Json;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use http::request::Parts;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use supercargo_engine::store::{Cursor, Page, Presence};

use crate::problem::Problem;

/// Query parameters, with a problem instead of plain text for those that make no sense.
pub(crate) struct Params<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        match Query::<T>::try_from_uri(&parts.uri) {
            Ok(Query(params)) => Ok(Self(params)),
            Err(rejection) => Err(Problem::bad_request(rejection.body_text())),
        }
    }
}

/// A body of JSON, with a problem instead of plain text for one that makes no sense. What is larger than axum's 2 MB is
/// refused.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(rejection) => Err(Problem::new(rejection.status(), rejection.body_text())),
        }
    }
}

/// Items of a page unless `limit` is given.
const LIMIT: u32 = 100;

/// The page that `limit` and `cursor` ask for.
pub(crate) fn page(limit: Option<u32>, cursor: Option<Cursor>) -> Result<Page, Problem> {
    let limit = limit.unwrap_or(LIMIT);
    if limit == 0 || limit > Page::LIMIT {
        return Err(Problem::bad_request(format!("limit: expected a number from 1 to {}", Page::LIMIT)));
    }
    Ok(match cursor {
        Some(cursor) => Page::after(cursor, limit),
        None => Page::first(limit),
    })
}

/// Whether to list what is gone.
pub(crate) fn presence(include_gone: bool) -> Presence {
    if include_gone { Presence::Any } else { Presence::Present }
}

/// `?flag`, `?flag=true`, `?flag=1` and their opposites.
pub(crate) fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    let word = String::deserialize(deserializer)?;
    match word.as_str() {
        "" | "true" | "1" | "yes" => Ok(true),
        "false" | "0" | "no" => Ok(false),
        _ => Err(serde::de::Error::custom(format_args!("expected true or false, found {word:?}"))),
    }
}

/// The same, where leaving it out means neither.
pub(crate) fn optional_flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    flag(deserializer).map(Some)
}
