//! What changes of integrations leave in the audit log; the same for every store.

use serde::Serialize;
use serde_json::{Value, json};

use crate::audit::{Actor, NewAuditEntry};
use crate::integration::{Integration, NewMove, Removal, RemovedData, RepositoryOrigin, RepositorySetting};

/// Names that a line of the audit log lists. A registry may have ten thousand repositories, and all are found at once.
const NAMES: usize = 100;

pub(crate) fn created(actor: &Actor, integration: &Integration) -> NewAuditEntry {
    NewAuditEntry::new(actor, "integration.create", &integration.name).with_details(json!({
        "kind": integration.kind,
        "registry": integration.registry,
        "settings": integration.settings,
        "policy": integration.policy,
        "credentials": integration.credentials.is_some(),
    }))
}

pub(crate) fn moved(actor: &Actor, before: &Integration, step: &NewMove) -> NewAuditEntry {
    let details = json!({"from": before.state, "to": step.to, "reason": step.reason});
    NewAuditEntry::new(actor, "integration.move", &before.name).with_details(details)
}

/// Of a field that was replaced: `integration.policy`, `integration.settings`.
pub(crate) fn changed(
    actor: &Actor,
    field: &str,
    name: &str,
    before: &impl Serialize,
    after: &impl Serialize,
) -> NewAuditEntry {
    let value = |field: Result<Value, serde_json::Error>| field.expect("text, numbers and lists serialise");
    let details = json!({"from": value(serde_json::to_value(before)), "to": value(serde_json::to_value(after))});
    NewAuditEntry::new(actor, format!("integration.{field}"), name).with_details(details)
}

pub(crate) fn credentials(actor: &Actor, name: &str, given: bool) -> NewAuditEntry {
    NewAuditEntry::new(actor, "integration.credentials", name).with_details(json!({"given": given}))
}

/// Of repositories that were found, or that somebody chose.
pub(crate) fn chosen(
    actor: &Actor,
    name: &str,
    origin: RepositoryOrigin,
    settings: &[RepositorySetting],
) -> NewAuditEntry {
    let action = match origin {
        RepositoryOrigin::Found => "repository.find",
        RepositoryOrigin::Named => "repository.set",
    };
    let names = |enabled: bool| {
        let chosen = || settings.iter().filter(move |one| one.enabled == enabled);
        let names: Vec<_> = chosen().take(NAMES).map(|one| one.repository.repository.as_str()).collect();
        json!({"count": chosen().count(), "repositories": names})
    };
    let details = json!({"enabled": names(true), "disabled": names(false)});
    NewAuditEntry::new(actor, action, name).with_details(details)
}

pub(crate) fn removed(actor: &Actor, name: &str, data: RemovedData, removal: &Removal) -> NewAuditEntry {
    NewAuditEntry::new(actor, "integration.remove", name).with_details(json!({
        "data": data,
        "jobs": removal.jobs,
        "repositories": removal.repositories,
    }))
}
