//! The API's routes. Lists are `{"items": […], "next": "cursor"}`; `next` is null on the last page.

mod events;
mod failures;
mod images;
mod packages;
mod queue;

use axum::Router;
use axum::routing::{get, post};

use crate::state::Shared;

pub(crate) fn router() -> Router<Shared> {
    Router::new()
        .route("/v1/images", get(images::list))
        .route("/v1/images/{digest}", get(images::show))
        .route("/v1/packages", get(packages::list))
        .route("/v1/failures", get(failures::list))
        .route("/v1/failures/{job}/retry", post(failures::retry))
        .route("/v1/queue", get(queue::show))
        .route("/v1/registries", get(queue::registries))
        .route("/v1/events", get(events::list))
        .route("/v1/events/{event}", get(events::show).post(events::replay))
}
