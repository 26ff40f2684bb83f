//! Settings that follow from what the templates make: known before it is there.

use supercargo_registry::RegistryKind;
use supercargo_store::NewIntegration;

use super::events::provider;
use super::{ECR_NAME_LIMIT, EVENTS, EventWay, NO_EVENTS, Place, QUEUE, Setup, TOPICS, external_id, resource};
use crate::{Error, ErrorKind, Result};

/// Key: the role that is assumed.
const ROLE: &str = "role-arn";
/// Key: what tells this installation from others to that role.
const EXTERNAL_ID: &str = "external-id";

/// Fills in how the events of an integration that is to be made come. What is set already stays.
///
/// # Errors
///
/// [`ErrorKind::Configuration`] if they do not come that way from its product, or if its account and region, which the
/// names of what is made in AWS are put together of, are not known.
pub fn prepare_events(new: &mut NewIntegration, way: EventWay) -> Result<()> {
    let kind = kind(new)?;
    if !EventWay::of(kind).contains(&way) {
        let known: Vec<String> = EventWay::of(kind).iter().map(ToString::to_string).collect();
        return Err(wrong(new, &format!("events of {kind} come by {}, and not by {way}", known.join(", "))));
    }
    let mut given = Vec::new();
    match way {
        EventWay::None => given.push((EVENTS, NO_EVENTS.to_owned())),
        EventWay::ApiDestination => given.push((TOPICS, place(new)?.topic(&resource(&new.name)))),
        // Of a queue that somebody has named, nothing follows.
        EventWay::Queue if new.settings.contains_key(QUEUE) => {}
        // A storage account has a name that nobody else's in the world has: none follows from the registry's.
        EventWay::Queue if kind == RegistryKind::Acr => {
            let told = format!("name the queue of Azure Storage: {QUEUE}=https://ACCOUNT.queue.core.windows.net/QUEUE");
            return Err(wrong(new, &told));
        }
        EventWay::Queue => given.push((QUEUE, place(new)?.queue(&resource(&new.name)))),
        EventWay::EventGrid | EventWay::Webhook => given.push((EVENTS, provider(kind).to_owned())),
    }
    if (kind, way) == (RegistryKind::Artifactory, EventWay::Webhook) {
        // As the template makes the webhook.
        given.push(("events-signing", "true".to_owned()));
        given.extend(new.settings.get("layout").map(|layout| ("events-layout", layout.clone())));
    }
    for (key, value) in given {
        new.settings.entry(key.to_owned()).or_insert(value);
    }
    Ok(())
}

/// Fills in the role of an integration with Amazon ECR that is to be made: the one of the template, and what tells this
/// installation from others to it. What is set already stays.
///
/// # Errors
///
/// [`ErrorKind::Configuration`] if its account and region are not known, or its name is too long for what is called after
/// it; [`ErrorKind::Sealed`] if the system has no random bytes.
pub fn prepare_role(new: &mut NewIntegration) -> Result<()> {
    let role = place(new)?.role(&resource(&new.name));
    if new.name.len() > ECR_NAME_LIMIT {
        let told =
            format!("the name has more than {ECR_NAME_LIMIT} characters, and what is made in AWS is called after it");
        return Err(wrong(new, &told));
    }
    new.settings.entry(ROLE.to_owned()).or_insert(role);
    if !new.settings.contains_key(EXTERNAL_ID) {
        new.settings.insert(EXTERNAL_ID.to_owned(), external_id()?);
    }
    Ok(())
}

fn kind(new: &NewIntegration) -> Result<RegistryKind> {
    let known = RegistryKind::ALL.into_iter().find(|kind| kind.as_str() == new.kind);
    known.ok_or_else(|| wrong(new, &format!("there is no kind {:?}", new.kind)))
}

fn place(new: &NewIntegration) -> Result<Place> {
    let place = Setup::new(&new.name, kind(new)?, &new.registry, &new.settings).place();
    place.ok_or_else(|| {
        let told =
            "it is not the host of an account's registry, and the settings account and region do not say whose it is";
        wrong(new, &format!("{}: {told}", new.registry))
    })
}

fn wrong(new: &NewIntegration, told: &str) -> Error {
    Error::new(ErrorKind::Configuration, format!("set up {}: {told}", new.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(kind: &str, registry: &str, way: EventWay) -> Result<Vec<(String, String)>> {
        let mut new = NewIntegration::new("prod.eu", kind, registry);
        prepare_events(&mut new, way)?;
        Ok(new.settings.into_iter().collect())
    }

    #[test]
    fn what_follows_from_the_way_of_events() {
        let check = |kind: &str, registry: &str, way: EventWay, expected: &[(&str, &str)]| {
            let expected: Vec<_> =
                expected.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            assert_eq!(prepared(kind, registry, way).unwrap(), expected, "{kind} {way}");
        };
        let ecr = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
        let topic = "arn:aws:sns:eu-west-1:123456789012:supercargo-prod-eu";
        check("ecr", ecr, EventWay::ApiDestination, &[(TOPICS, topic)]);
        let queue = "https://sqs.eu-west-1.amazonaws.com/123456789012/supercargo-prod-eu";
        check("ecr", ecr, EventWay::Queue, &[(QUEUE, queue)]);
        check("acr", "contoso.azurecr.io", EventWay::EventGrid, &[(EVENTS, "event-grid")]);
        let signed = [(EVENTS, "artifactory"), ("events-signing", "true")];
        check("artifactory", "a.test", EventWay::Webhook, &signed);
        check("oci", "a.test", EventWay::Webhook, &[(EVENTS, "distribution")]);
        for kind in ["ecr", "acr", "artifactory", "harbor", "nexus", "oci"] {
            check(kind, "a.test", EventWay::None, &[(EVENTS, "none")]);
        }
        for (kind, way) in
            [("oci", EventWay::Queue), ("oci", EventWay::EventGrid), ("ecr", EventWay::Queue), ("x", EventWay::None)]
        {
            let error = prepared(kind, "a.test", way).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Configuration, "{kind} {way}: {error}");
        }
    }

    #[test]
    fn what_is_set_stays() {
        let mut new = NewIntegration::new("prod", "ecr", "123456789012.dkr.ecr.eu-west-1.amazonaws.com");
        let own = "https://sqs.eu-west-1.amazonaws.com/123456789012/own";
        new.settings.insert(QUEUE.to_owned(), own.to_owned());
        prepare_events(&mut new, EventWay::Queue).unwrap();
        assert_eq!(new.settings[QUEUE], own);
        new.settings.insert(ROLE.to_owned(), "arn:aws:iam::123456789012:role/own".to_owned());
        prepare_role(&mut new).unwrap();
        assert_eq!(new.settings[ROLE], "arn:aws:iam::123456789012:role/own");
        let external = new.settings[EXTERNAL_ID].clone();
        prepare_role(&mut new).unwrap();
        assert_eq!((external.len(), &new.settings[EXTERNAL_ID]), (32, &external));
        new.name = "x".repeat(60);
        assert!(prepare_role(&mut new).unwrap_err().to_string().contains("characters"));

        let mut new = NewIntegration::new("prod", "acr", "contoso.azurecr.io");
        assert!(prepare_events(&mut new, EventWay::Queue).unwrap_err().to_string().contains("events-queue=https://"));
        let queue = "https://contoso.queue.core.windows.net/registry-events";
        new.settings.insert(QUEUE.to_owned(), queue.to_owned());
        prepare_events(&mut new, EventWay::Queue).unwrap();
        assert_eq!(new.settings[QUEUE], queue);
    }
}
