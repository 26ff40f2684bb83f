//! Queries and mutations, answered from what the stand-in knows.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::graphql::{Field, Operation, project};
use super::model::{Model, ScoutRepository};
use super::options::ScoutServerBuilder;

/// Why a query is not answered: a code, a status if there is one, and words.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) code: &'static str,
    pub(super) status: Option<u16>,
    pub(super) message: String,
}

impl Problem {
    fn invalid(message: impl Into<String>) -> Self {
        Self { code: "GRAPHQL_VALIDATION_FAILED", status: None, message: message.into() }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    query: String,
    operation_name: String,
    variables: Map<String, Value>,
}

/// Answers a request: the `data` of the response.
pub(super) fn answer(model: &mut Model, options: &ScoutServerBuilder, body: &[u8]) -> Result<Value, Problem> {
    let request: Request = serde_json::from_slice(body).map_err(|error| Problem::invalid(error.to_string()))?;
    let operation = Operation::parse(&request.query).map_err(Problem::invalid)?;
    if operation.name != request.operation_name {
        return Err(Problem::invalid(format!("there is no operation {}", request.operation_name)));
    }
    let mut data = Map::new();
    for field in &operation.fields {
        let arguments = arguments(field, &request.variables)?;
        let value = resolve(model, options, &operation.kind, field, &arguments)?;
        data.insert(field.name.clone(), project(&value, &field.fields).map_err(Problem::invalid)?);
    }
    Ok(Value::Object(data))
}

type Arguments = BTreeMap<String, Value>;

fn arguments(field: &Field, variables: &Map<String, Value>) -> Result<Arguments, Problem> {
    let of = |(argument, variable): (&String, &String)| {
        let value = variables.get(variable).cloned();
        let value = value.ok_or_else(|| Problem::invalid(format!("${variable} has no value")))?;
        Ok((argument.clone(), value))
    };
    field.arguments.iter().map(of).collect()
}

fn resolve(
    model: &mut Model,
    options: &ScoutServerBuilder,
    kind: &str,
    field: &Field,
    arguments: &Arguments,
) -> Result<Value, Problem> {
    if field.name != "serviceStatus" {
        let organization = arguments.get("context").and_then(|context| context.get("organization"));
        if organization.and_then(Value::as_str) != Some(&options.organization) {
            return Err(Problem {
                code: "DOWNSTREAM_SERVICE_ERROR",
                status: Some(403),
                message: "the user has no access to this organization".into(),
            });
        }
    }
    let argument = |name: &str| arguments.get(name).unwrap_or(&Value::Null);
    match (kind, field.name.as_str()) {
        ("query", "serviceStatus") => Ok(json!({"maintenance": null})),
        ("mutation", "enrollIntoScout") => {
            model.enrolled = true;
            Ok(json!({"activeSubscription": {"status": "active"}}))
        }
        ("query", "namespaceEntitlements") => Ok(entitlements(model, options)),
        ("query", "rsListRepositories") => list(model, options, argument("input")),
        ("query", "rsListRegistries") => Ok(registries(model)),
        ("query", "listEnabledRepos") => Ok(enabled(model, argument("integration"))),
        ("mutation", "setMultiRepoVulnerabilityReporting") => {
            set_enabled(model, argument("reporting"), argument("integration"))
        }
        ("query", "shouldEnableReposOnPush") => Ok(json!({"enabled": model.enable_on_push})),
        ("mutation", "setEnableReposOnPush") => {
            model.enable_on_push = flag(argument("input"), "enabled")?;
            Ok(json!({"enabled": model.enable_on_push}))
        }
        ("mutation", "indexImage") => {
            let image = argument("image");
            let (repository, digest) = (text(image, "repository")?, text(image, "digest")?);
            model.asked_to_index.push(format!("{repository}@{digest}"));
            Ok(json!({"digest": digest}))
        }
        ("query", "imageSummariesByDigest") => Ok(summaries(model, argument("digests"))),
        (kind, name) => Err(Problem::invalid(format!("there is no {kind} {name}"))),
    }
}

fn text<'a>(input: &'a Value, field: &str) -> Result<&'a str, Problem> {
    input.get(field).and_then(Value::as_str).ok_or_else(|| Problem::invalid(format!("{field} is no String!")))
}

fn flag(input: &Value, field: &str) -> Result<bool, Problem> {
    input.get(field).and_then(Value::as_bool).ok_or_else(|| Problem::invalid(format!("{field} is no Boolean!")))
}

fn entitlements(model: &Model, options: &ScoutServerBuilder) -> Value {
    let enabled = model.repositories.iter().filter(|repository| repository.enabled).count();
    let features = json!({
        "enableOnPush": true,
        "scoutAPI": {"enabled": true, "accessRestrictedDueToRepoLimits": false},
        "remoteRepository": {
            "enabled": true,
            "accountLimit": null,
            "isUnlimited": true,
            "enabledRepoCount": enabled,
            "entitlementUsed": enabled,
            "repoEntitlementExceeded": false,
        },
    });
    json!({
        "namespace": options.organization,
        "isEnrolled": model.enrolled,
        "plan": {"displayName": "Business", "isFree": false},
        "featureEntitlements": model.enrolled.then_some(features),
    })
}

/// A page of the repositories of one integration, or of Docker Hub.
fn list(model: &Model, options: &ScoutServerBuilder, input: &Value) -> Result<Value, Problem> {
    let integration = input.pointer("/skill/configurationName").and_then(Value::as_str);
    let name = input.pointer("/filter/repository").and_then(Value::as_str).unwrap_or_default();
    let mut found: Vec<&ScoutRepository> = model
        .repositories
        .iter()
        .filter(|repository| match integration {
            Some(_) => repository.integration.as_deref() == integration,
            None => repository.host == "hub.docker.com",
        })
        .filter(|repository| repository.name.contains(name))
        .collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    let number = |pointer: &str| input.pointer(pointer).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
    let size = number("/page/pageSize").unwrap_or(options.page_size).clamp(1, options.page_size.max(1));
    let page = number("/page/page").unwrap_or(1).max(1);
    let total = found.len().div_ceil(size).max(1);
    if page > total {
        return Err(Problem::invalid(format!("there is no page {page}")));
    }
    let entry = |repository: &&ScoutRepository| {
        json!({
            "name": repository.name,
            "registry": repository.host,
            "description": "",
            "createdAt": "2026-01-01T00:00:00Z",
            "updatedAt": null,
            "isEmpty": false,
            "enabled": repository.enabled,
            "type": "STANDARD",
            "properties": {"preventDisable": false},
        })
    };
    Ok(json!({
        "count": found.len(),
        "registry": found.first().map_or("", |repository| &repository.host),
        "pageInfo": {
            "page": page,
            "total": total,
            "pageSize": size,
            "nextPage": (page < total).then_some(page + 1),
            "previousPage": (page > 1).then_some(page - 1),
        },
        "repositories": found.iter().skip((page - 1) * size).take(size).map(entry).collect::<Vec<_>>(),
    }))
}

fn registries(model: &Model) -> Value {
    let mut hosts: BTreeMap<&str, usize> = BTreeMap::from([("hub.docker.com", 0)]);
    for repository in &model.repositories {
        *hosts.entry(&repository.host).or_default() += 1;
    }
    // There are no others in the schema.
    let kind = |host: &str| match host {
        "hub.docker.com" => Some("rsDockerHubResult"),
        host if host.ends_with(".amazonaws.com") => Some("rsEcrResult"),
        host if host.ends_with(".azurecr.io") => Some("rsAcrResult"),
        _ => None,
    };
    hosts
        .into_iter()
        .filter_map(|(host, count)| {
            let kind = kind(host)?;
            Some(json!({"__typename": kind, "hostName": host, "repositoryCount": count, "status": "CONNECTED"}))
        })
        .collect()
}

fn enabled(model: &Model, integration: &Value) -> Value {
    let wanted = integration.get("configurationName").and_then(Value::as_str);
    let repos: Vec<Value> = model
        .repositories
        .iter()
        .filter(|repository| repository.enabled)
        .filter(|repository| wanted.is_none() || repository.integration.as_deref() == wanted)
        .map(|repository| {
            let integration = repository
                .integration
                .as_ref()
                .map(|name| json!({"skill": {"namespace": "atomist", "name": "kit"}, "configurationName": name}));
            json!({"hostName": repository.host, "repoName": repository.name, "integration": integration})
        })
        .collect();
    json!({"count": repos.len(), "entitlementUsed": repos.len(), "repos": repos})
}

fn set_enabled(model: &mut Model, reporting: &Value, integration: &Value) -> Result<Value, Problem> {
    let is_enabled = flag(reporting, "enabled")?;
    let host = reporting.get("hostName").and_then(Value::as_str).unwrap_or("hub.docker.com");
    let names = reporting.get("repoNames").and_then(Value::as_array);
    let names = names.ok_or_else(|| Problem::invalid("repoNames is no [String!]!"))?;
    let mut results = Vec::new();
    for name in names.iter().filter_map(Value::as_str) {
        let known = model.repositories.iter_mut().find(|known| known.host == host && known.name == name);
        if let Some(repository) = known {
            repository.enabled = is_enabled;
        } else {
            let mut repository = ScoutRepository::new(host, name);
            repository.enabled = is_enabled;
            repository.integration = integration.get("configurationName").and_then(Value::as_str).map(str::to_owned);
            model.repositories.push(repository);
        }
        results.push(json!({
            "namespace": "",
            "hostName": host,
            "repoName": name,
            "vulnerabilityReporting": {"enabled": is_enabled},
        }));
    }
    Ok(results.into())
}

fn summaries(model: &Model, digests: &Value) -> Value {
    let digests = digests.as_array().into_iter().flatten().filter_map(Value::as_str);
    digests
        .filter_map(|digest| {
            let image = model.images.get(digest)?;
            let is_indexed = image.state() == Some("INDEXED");
            let report = json!({"critical": 0, "high": 0, "medium": 0, "low": 0, "unspecified": 0, "total": 0});
            Some(json!({
                "digest": digest,
                "sbomState": image.state().unwrap_or("NONE"),
                "vulnerabilityReport": is_indexed.then_some(report),
            }))
        })
        .collect()
}
