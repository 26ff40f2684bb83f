//! The description of the API, against what the API does.

use std::path::Path;

use http::StatusCode;
use serde_json::{Map, Value, json};
use supercargo_engine::store::Role;
use supercargo_server::Access;

use crate::kit::{Kit, Reply};

/// The description as it is served.
async fn document(kit: &Kit) -> Value {
    let reply = kit.get("/v1/openapi.json").await;
    assert_eq!((reply.status, reply.header("content-type")), (StatusCode::OK, Some("application/json")));
    reply.json()
}

/// Path, method and description of all operations.
fn operations(document: &Value) -> Vec<(String, String, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    let all = paths.flat_map(|(path, item)| {
        item.as_object().unwrap().iter().map(move |(method, operation)| (path.clone(), method.clone(), operation))
    });
    all.collect()
}

#[tokio::test]
async fn the_page_in_docs_is_up_to_date() {
    let kit = Kit::new(Access::Closed).await;
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let current = kit.server.openapi();
    if std::env::var_os("SUPERCARGO_WRITE_DOCS").is_some() {
        std::fs::write(&page, current.as_bytes()).unwrap();
    }
    let written = std::fs::read_to_string(&page).unwrap_or_default();
    let hint = "SUPERCARGO_WRITE_DOCS=1 cargo test -p supercargo-server openapi";
    assert!(written == *current, "docs/openapi.json is out of date; write it with\n{hint}");
    assert_eq!(document(&kit).await, serde_json::from_str::<Value>(&written).unwrap());
}

/// What a request of each role, and of nobody, is answered is what the description says.
#[tokio::test]
async fn each_operation_asks_for_the_role_that_it_names() {
    let kit = Kit::new(Access::Closed).await;
    let loopback = Kit::new(Access::Loopback).await;
    let roles = [Role::Viewer, Role::Editor, Role::Admin];
    let mut tokens = Vec::new();
    for role in roles {
        tokens.push((role, kit.token(role, &[]).await));
    }
    let document = document(&kit).await;
    let mut counts = [0; 3];
    for (path, method, operation) in operations(&document) {
        let told = format!("{method} {path}");
        let address = path.replace("{digest}", &kit.digest).replace("{name}", "none").replace("{provider}", "none");
        let address = address.replace("{source}", "none").replace("{secret}", "none");
        let address = address.replace("{event}", "99999").replace("{job}", "99999").replace("{token}", "99999");
        let method = method.to_ascii_uppercase();
        let security = operation["security"].as_array().cloned().unwrap_or_default();
        let names_role = |role: &Role| security.iter().any(|one| one["token"] == json!([role.as_str()]));
        let Some(position) = roles.iter().position(names_role) else {
            assert!(security.is_empty(), "{told}: {security:?}");
            continue;
        };
        let optional = security.contains(&json!({}));
        if path == "/readyz" {
            // It answers everyone, some with more.
            assert!(optional);
            continue;
        }
        counts[position] += 1;
        for (role, token) in &tokens {
            let status = kit.ask(&method, &address, Some(token), Some(json!({}))).await.status;
            let refused = matches!(status, StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED);
            assert_eq!(refused, *role < roles[position], "{told} as {role}: {status}");
        }
        let status = kit.ask(&method, &address, None, Some(json!({}))).await.status;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{told} without a token");
        let status = loopback.ask(&method, &address, None, Some(json!({}))).await.status;
        let refused = matches!(status, StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED);
        assert_eq!(refused, roles[position] != Role::Viewer && !optional, "{told} from this machine: {status}");
    }
    assert!(counts.iter().all(|count| *count >= 5), "{counts:?}");
}

/// What is answered has the form that the description gives it.
#[tokio::test]
async fn answers_are_as_they_are_described() {
    let kit = Kit::new(Access::Closed).await;
    let admin = kit.token(Role::Admin, &[]).await;
    let document = document(&kit).await;
    let image = format!("/v1/images/{}", kit.digest);
    let requests = [
        (
            "POST",
            "/v1/integrations",
            "/v1/integrations",
            Some(json!({
                "name": "main", "kind": "oci", "registry": "registry.test", "settings": {"events": "distribution"},
                "policy": {"selection": {"platforms": ["linux/amd64"], "newest": 3}},
                "credentials": {"registry": {"token": "t"}},
            })),
        ),
        ("GET", "/v1/integrations", "/v1/integrations", None),
        ("GET", "/v1/integrations/main", "/v1/integrations/{name}", None),
        ("POST", "/v1/integrations/main/test", "/v1/integrations/{name}/test", None),
        ("GET", "/v1/integrations/main/history", "/v1/integrations/{name}/history", None),
        (
            "PUT",
            "/v1/integrations/main/policy",
            "/v1/integrations/{name}/policy",
            Some(json!({"enable_on_push": true})),
        ),
        (
            "PUT",
            "/v1/integrations/main/settings",
            "/v1/integrations/{name}/settings",
            Some(json!({"events": "distribution"})),
        ),
        (
            "PUT",
            "/v1/integrations/main/credentials",
            "/v1/integrations/{name}/credentials",
            Some(json!({"registry": null, "new_event_secret": true})),
        ),
        (
            "POST",
            "/v1/integrations/main/repositories",
            "/v1/integrations/{name}/repositories",
            Some(json!({"enable": ["team/app"]})),
        ),
        (
            "POST",
            "/v1/integrations/main/preview",
            "/v1/integrations/{name}/preview",
            Some(json!({"selection": {"newest": 3}})),
        ),
        (
            "GET",
            "/v1/integrations/main/template?as=notifications&public_url=https://a.test",
            "/v1/integrations/{name}/template",
            None,
        ),
        ("GET", "/v1/integrations/main/template", "/v1/integrations/{name}/template", None),
        ("GET", "/v1/integrations/main/remains", "/v1/integrations/{name}/remains", None),
        ("GET", "/v1/repositories?limit=1", "/v1/repositories", None),
        ("POST", "/v1/tokens", "/v1/tokens", Some(json!({"name": "ci", "role": "viewer", "scope": ["main"]}))),
        ("GET", "/v1/tokens", "/v1/tokens", None),
        ("GET", "/v1/audit?limit=2", "/v1/audit", None),
        ("GET", "/v1/images", "/v1/images", None),
        ("GET", image.as_str(), "/v1/images/{digest}", None),
        ("GET", "/v1/packages", "/v1/packages", None),
        ("GET", "/v1/failures", "/v1/failures", None),
        ("GET", "/v1/queue", "/v1/queue", None),
        ("GET", "/v1/registries", "/v1/registries", None),
        ("GET", "/v1/events", "/v1/events", None),
        ("GET", "/readyz", "/readyz", None),
        ("GET", "/v1/integrations/none", "/v1/integrations/{name}", None),
        ("GET", "/v1/images?limit=0", "/v1/images", None),
        ("DELETE", "/v1/integrations/main?data=delete", "/v1/integrations/{name}", None),
    ];
    for (method, address, path, body) in requests {
        let operation = &document["paths"][path][method.to_ascii_lowercase()];
        if let Some(body) = &body {
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            check(&document, schema, body, &format!("{method} {path}: request"));
        }
        let reply = kit.ask(method, address, Some(&admin), body).await;
        answer(&document, operation, &reply, &format!("{method} {address}"));
    }
    let nobody = kit.get("/v1/images").await;
    answer(&document, &document["paths"]["/v1/images"]["get"], &nobody, "without a token");
}

fn answer(document: &Value, operation: &Value, reply: &Reply, told: &str) {
    let described = &operation["responses"][reply.status.as_str()];
    let content =
        described["content"].as_object().unwrap_or_else(|| panic!("{told}: {} is not described", reply.status));
    let sort = reply.header("content-type").unwrap();
    let schema = &content.get(sort).unwrap_or_else(|| panic!("{told}: {sort} is not described"))["schema"];
    check(document, schema, &reply.json(), told);
}

/// Panics if `value` is not as `schema` says (JSON Schema 2020-12, as far as the description uses it), or has a field
/// that it does not name.
fn check(document: &Value, schema: &Value, value: &Value, at: &str) {
    if let Err(error) = conforms(document, schema, value, at) {
        panic!("{error}");
    }
}

fn conforms(document: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let target =
            document.pointer(reference.trim_start_matches('#')).ok_or(format!("{at}: {reference} leads nowhere"))?;
        return conforms(document, target, value, at);
    }
    for choice in ["oneOf", "anyOf"] {
        if let Some(choices) = schema[choice].as_array() {
            let tried: Vec<_> = choices.iter().map(|one| conforms(document, one, value, at)).collect();
            if !tried.iter().any(Result::is_ok) {
                return Err(format!("{at}: none of {tried:?}"));
            }
        }
    }
    let word = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let fits = |wanted: &Value| wanted == word || (wanted == "number" && word == "integer");
    match &schema["type"] {
        Value::Null => {}
        Value::Array(words) if words.iter().any(fits) => {}
        wanted if fits(wanted) => {}
        wanted => return Err(format!("{at}: {word} is no {wanted}")),
    }
    if let Some(words) = schema["enum"].as_array()
        && !words.contains(value)
    {
        return Err(format!("{at}: {value} is none of {words:?}"));
    }
    match value {
        Value::Array(items) if schema.get("items").is_some_and(Value::is_object) => items
            .iter()
            .enumerate()
            .try_for_each(|(position, item)| conforms(document, &schema["items"], item, &format!("{at}[{position}]"))),
        Value::Object(fields) => object(document, schema, fields, at),
        _ => Ok(()),
    }
}

fn object(document: &Value, schema: &Value, fields: &Map<String, Value>, at: &str) -> Result<(), String> {
    let (mut known, mut required, mut others) = (Map::new(), Vec::new(), None);
    gather(document, schema, &mut known, &mut required, &mut others);
    if let Some(missing) = required.iter().find(|name| !fields.contains_key(name.as_str().unwrap())) {
        return Err(format!("{at}: {missing} is missing"));
    }
    // Without a word on its fields it may have any.
    let open = known.is_empty() && others.is_none();
    for (name, value) in fields {
        let at = format!("{at}.{name}");
        match (known.get(name), &others) {
            (Some(schema), _) | (None, Some(schema)) => conforms(document, schema, value, &at)?,
            (None, None) if open => {}
            (None, None) => return Err(format!("{at}: it is not described")),
        }
    }
    Ok(())
}

/// The fields of an object, those of what it is put together of too.
fn gather(
    document: &Value,
    schema: &Value,
    known: &mut Map<String, Value>,
    required: &mut Vec<Value>,
    others: &mut Option<Value>,
) {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(reference.trim_start_matches('#')).unwrap();
        return gather(document, target, known, required, others);
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        gather(document, part, known, required, others);
    }
    // Of a choice, all fields are known and none is required: which of them it is, and what they hold, was looked at
    // before.
    for choice in ["oneOf", "anyOf"] {
        for part in schema[choice].as_array().into_iter().flatten() {
            let mut fields = Map::new();
            gather(document, part, &mut fields, &mut Vec::new(), others);
            for (name, _) in fields {
                known.entry(name).or_insert(json!({}));
            }
        }
    }
    known.extend(schema["properties"].as_object().cloned().into_iter().flatten());
    required.extend(schema["required"].as_array().cloned().into_iter().flatten());
    if let Some(schema) = schema.get("additionalProperties").filter(|schema| schema.is_object()) {
        *others = Some(schema.clone());
    }
}
