//! The description of the API, made of what its handlers say of themselves.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use http::{StatusCode, header};
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Components, Content, OpenApi, Ref, RefOr, ResponseBuilder};
use utoipa::{Modify, OpenApi as _};

use crate::state::Shared;
use crate::{problem, server};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Supercargo",
        description = "What is in the container images of your registries. Lists come in pages: `next` is the `cursor` \
            of the next one, and null on the last. Times are RFC 3339 in UTC. A parameter that does not exist is an error.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    tags(
        (name = "integrations", description = "Registries that somebody connected"),
        (name = "repositories", description = "Which of their repositories are indexed"),
        (name = "images", description = "What was indexed"),
        (name = "work", description = "How it goes"),
        (name = "events", description = "What registries tell"),
        (name = "access", description = "Tokens, and who changed what"),
        (name = "health", description = "Whether it works"),
    ),
    components(schemas(problem::Body<'static>)),
    modifiers(&Token),
)]
struct Document;

/// A token in the header, as all routes take it.
struct Token;

impl Modify for Token {
    fn modify(&self, document: &mut OpenApi) {
        let mut http = Http::new(HttpAuthScheme::Bearer);
        let told = "A token of `supercargo token create`. Its role is `viewer`, `editor` or `admin`, each of which may \
            do what those before it may; an operation names the least role that it takes.";
        http.description = Some(told.to_owned());
        let components = document.components.get_or_insert_with(Components::new);
        components.add_security_scheme("token", SecurityScheme::Http(http));
    }
}

/// What there is to know before any route is known.
pub(crate) fn frame() -> OpenApi {
    Document::openapi()
}

/// Shows this description.
#[utoipa::path(
    get, path = "/v1/openapi.json", operation_id = "describe", tag = "health",
    responses((status = 200, description = "An OpenAPI document", body = Object)),
)]
pub(crate) async fn show(State(shared): State<Shared>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], text(&shared).to_string())
}

/// The description of all routes.
pub(crate) fn text(shared: &Shared) -> Arc<str> {
    let make = || {
        let mut document = server::routes(shared).into_openapi();
        for item in document.paths.paths.values_mut() {
            for operation in [&mut item.get, &mut item.post, &mut item.put, &mut item.delete].into_iter().flatten() {
                add_problems(operation);
            }
        }
        let text = document.to_pretty_json().expect("texts, numbers and lists are written as JSON");
        format!("{}\n", without_links(&text)).into()
    };
    Arc::clone(shared.document.get_or_init(make))
}

/// Adds what all operations of a sort may answer, and says of each problem what form it has.
fn add_problems(operation: &mut Operation) {
    let mut statuses = Vec::new();
    if operation.parameters.is_some() || operation.request_body.is_some() {
        statuses.push(StatusCode::BAD_REQUEST);
    }
    if operation.request_body.is_some() {
        statuses.extend([StatusCode::PAYLOAD_TOO_LARGE, StatusCode::UNSUPPORTED_MEDIA_TYPE]);
        statuses.push(StatusCode::UNPROCESSABLE_ENTITY);
    }
    if operation.security.is_some() {
        statuses.extend([StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::SERVICE_UNAVAILABLE]);
    }
    let answers = &mut operation.responses.responses;
    for status in statuses {
        answers.entry(status.as_str().to_owned()).or_insert_with(|| RefOr::T(ResponseBuilder::new().build()));
    }
    for (status, answer) in answers {
        let RefOr::T(answer) = answer else { continue };
        let status = status.parse().unwrap_or(StatusCode::OK);
        let is_problem = status.is_client_error() || status.is_server_error();
        if !is_problem || !answer.content.is_empty() {
            continue;
        }
        if answer.description.is_empty() {
            answer.description = meaning(status).to_owned();
        }
        let content = Content::new(Some(RefOr::Ref(Ref::from_schema_name("ProblemDetails"))));
        answer.content.insert("application/problem+json".to_owned(), content.into());
    }
}

fn meaning(status: StatusCode) -> &'static str {
    match status {
        StatusCode::BAD_REQUEST => "Something of the request makes no sense",
        StatusCode::UNAUTHORIZED => "The token is missing, or is none of the server's",
        StatusCode::FORBIDDEN => "The token's role or scope does not allow it",
        StatusCode::NOT_FOUND => "There is nothing of this name",
        StatusCode::PAYLOAD_TOO_LARGE => "The body is too large",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "The body is not said to be JSON",
        StatusCode::UNPROCESSABLE_ENTITY => "The body is JSON of another form",
        StatusCode::SERVICE_UNAVAILABLE => "The store does not answer now; `Retry-After` says when to try again",
        _ => "It failed",
    }
}

/// The text without the links to other items that Rust's documentation has, which lead nowhere from here:
/// `[secrets](crate::Secrets)` becomes `secrets`.
fn without_links(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('[') {
        let (before, link) = rest.split_at(start);
        plain.push_str(before);
        let label = link[1..].split(['[', ']', '"']).next().unwrap_or_default();
        let behind = &link[1 + label.len()..];
        let target = behind.strip_prefix("](").and_then(|target| target.split_once(')')).filter(|(to, _)| is_path(to));
        rest = match (target, behind.strip_prefix(']')) {
            (Some((_, after)), _) => after,
            (None, Some(after)) if label.starts_with('`') && !after.starts_with('(') => after,
            _ => {
                plain.push('[');
                &link[1..]
            }
        };
        if rest.len() < link.len() - 1 {
            plain.push_str(label);
        }
    }
    plain.push_str(rest);
    plain
}

fn is_path(target: &str) -> bool {
    target.contains("::") && target.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, ':' | '_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_between_items_are_only_their_words() {
        let check = |text: &str, expected: &str| assert_eq!(without_links(text), expected);
        check("see [`Page`] and [cut](Reason::LIMIT)", "see `Page` and cut");
        check("[`sealed`](crate::Store::sealed) alone.", "`sealed` alone.");
        check("[part of](a::b)[`c`]", "part of`c`");
        check(
            r#"{"a": ["b", []], "c": "[docs](https://a.example/b)"}"#,
            r#"{"a": ["b", []], "c": "[docs](https://a.example/b)"}"#,
        );
        check(r#"["[x] a[0] [`"#, r#"["[x] a[0] [`"#);
    }
}
