//! The API's routes. Lists are `{"items": […], "next": "cursor"}`; `next` is null on the last page.
//!
//! A route stands under the right that it needs, and nowhere else: what is written down of it is what is asked for.

mod audit;
mod connections;
mod events;
mod failures;
mod images;
mod integrations;
mod packages;
mod preview;
mod queue;
mod repositories;
mod setup;
mod tokens;
mod view;

use axum::middleware::from_fn_with_state;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::{Right, guard};
use crate::metrics;
use crate::state::Shared;

/// All routes that ask who calls.
pub(crate) fn router(shared: &Shared) -> OpenApiRouter<Shared> {
    let needing = |right: Right, routes: OpenApiRouter<Shared>| {
        routes.route_layer(from_fn_with_state((Shared::clone(shared), right), guard))
    };
    OpenApiRouter::new()
        .merge(needing(Right::Read, reading()))
        .merge(needing(Right::Repeat, repeating()))
        .merge(needing(Right::Change, changing()))
        .merge(needing(Right::Administer, administering()))
}

fn reading() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(images::list))
        .routes(routes!(images::show))
        .routes(routes!(packages::list))
        .routes(routes!(failures::list))
        .routes(routes!(queue::show))
        .routes(routes!(queue::registries))
        .routes(routes!(events::list))
        .routes(routes!(events::show))
        .routes(routes!(integrations::list))
        .routes(routes!(integrations::show))
        .routes(routes!(integrations::history))
        .routes(routes!(setup::remains))
        .routes(routes!(repositories::list))
        .routes(routes!(metrics::render))
}

fn repeating() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(failures::retry)).routes(routes!(events::replay))
}

fn changing() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(integrations::set_policy))
        .routes(routes!(integrations::remove))
        .routes(routes!(connections::test))
        .routes(routes!(preview::show))
        .routes(routes!(repositories::choose))
}

fn administering() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(connections::create))
        .routes(routes!(connections::set_settings))
        .routes(routes!(connections::set_credentials))
        .routes(routes!(setup::template))
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::revoke))
        .routes(routes!(audit::list))
}
