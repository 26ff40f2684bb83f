//! Docker Scout's integration of Azure Container Registry, as its page led through it, walked with supercargo: a
//! function for each sentence. docs/integrations.md has the list.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use jiff::Timestamp;
use serde_json::{Value, json};
use supercargo_testkit::{Access, AcrServer, Image};
use supercargo_tests::{Installation, Internet, PUBLIC_URL, Sender, app, base, free_port};

const HOST: &str = "contoso.azurecr.io";
/// As Docker Scout's template calls them.
const TOKEN: &str = "docker-scout-readonly-token";
const TOPIC: &str = "docker-scout-repository";
const REGISTRY: &str =
    "/subscriptions/0a1b/resourceGroups/registries/providers/Microsoft.ContainerRegistry/registries/contoso";

/// Azure's side: a registry, and the topic that tells of it.
struct Azure {
    registry: AcrServer,
    // It stands in for the registry's host for as long as it lives.
    _internet: Internet,
}

async fn start(access: Access, arguments: &[&str]) -> Result<(Azure, Installation)> {
    let registry = AcrServer::builder().with_name(HOST).with_token(TOKEN, "generated", access).start().await?;
    let internet = Internet::start().await?;
    internet.route(HOST, registry.host());
    let mut variables = internet.variables();
    variables.push(("SUPERCARGO_PUBLIC_URL".to_owned(), PUBLIC_URL.to_owned()));
    let server = Installation::start_at(free_port(), &variables, arguments).await?;
    Ok((Azure { registry, _internet: internet }, server))
}

/// Where Event Grid sends to, as the template says it: a path with a query.
struct Subscription {
    path: String,
}

impl Subscription {
    async fn send(&self, server: &Installation, kind: &str, event: &Value) -> Result<(u16, String)> {
        let headers = format!(
            "aeg-event-type: {kind}\r\naeg-subscription-name: IMAGE-CHANGE\r\naeg-delivery-count: 0\r\n\
             aeg-data-version: 1.0\r\naeg-metadata-version: 1\r\nContent-Type: application/json; charset=utf-8\r\n"
        );
        let body = json!([event]).to_string();
        let answer = Sender::connect(server.address()).await?.ask(&self.path, &headers, &body).await?;
        Ok((answer.status, answer.body))
    }

    /// Tells of something that happened to an image.
    async fn tell(
        &self,
        server: &Installation,
        action: &str,
        image: &Image,
        place: (&str, Option<&str>),
    ) -> Result<()> {
        let (repository, tag) = place;
        let now = Timestamp::now();
        let (kind, subject) = match action {
            "push" => ("ImagePushed", format!("{repository}:{}", tag.unwrap_or_default())),
            _ => ("ImageDeleted", repository.to_owned()),
        };
        let mut target = json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": image.digest(),
            "repository": repository,
        });
        if let Some(tag) = tag {
            target["tag"] = json!(tag);
        }
        let id = format!("g-{}", now.as_nanosecond());
        let event = json!({
            "id": id, "topic": REGISTRY, "subject": subject, "eventTime": now, "dataVersion": "1.0",
            "metadataVersion": "1", "eventType": format!("Microsoft.ContainerRegistry.{kind}"),
            "data": {
                "id": id, "timestamp": now, "action": action, "location": "westeurope", "target": target,
                "request": {"id": id, "host": HOST, "method": "PUT", "useragent": "docker/28.1.1"},
            },
        });
        let (status, _) = self.send(server, "Notification", &event).await?;
        ensure!((200..=204).contains(&status), "Event Grid takes {status} for a failure");
        Ok(())
    }
}

/// The page of Docker Scout's integration, from its first line to its last.
#[tokio::test]
async fn a_registry_from_its_host_name_to_its_removal() -> Result<()> {
    let (azure, server) = start(Access::pull(), &["--interval", "3600"]).await?;
    let (older, newest) = (base().build(), app(1).build());
    azure.registry.push(&older, "team/app", "1.0");
    azure.registry.push(&older, "team/web", "1.0");
    azure.registry.push(&newest, "team/app", "1.1");

    the_host_name_is_entered(&server).await?;
    let subscription = the_template_has_the_registry_s_name_and_the_costs(&server).await?;
    event_grid_checks_the_address(&server, &subscription).await?;
    it_waits_for_the_token_s_password(&server).await?;
    a_wrong_password_is_an_error_within_one_test(&server, &azure).await?;
    the_password_is_pasted_and_the_connection_tested_before_it_succeeds(&server).await?;
    an_enabled_repository_s_newest_image_is_indexed_at_once(&server, &newest).await?;
    pushes_and_deletes_are_followed(&server, &azure, &subscription).await?;
    all_registries_are_on_one_page(&server).await?;
    removing_names_the_token_and_the_topic(&server).await
}

async fn the_host_name_is_entered(server: &Installation) -> Result<()> {
    let told = server.prints(&["integration", "create", "acr", "azure", "--registry", HOST]).await?;
    assert_eq!(told, "azure: acr contoso.azurecr.io, pending\n");
    Ok(())
}

async fn the_template_has_the_registry_s_name_and_the_costs(server: &Installation) -> Result<Subscription> {
    let file = server.file("supercargo-acr.json", "")?;
    let (_, said) = server.told(&["integration", "template", "azure", "--write", &file]).await?;
    for cost in [
        "topic and token nothing",
        "$0.60 per million messages after the first 100 000",
        "$0.10 per GB after the first 100 GB",
    ] {
        ensure!(said.contains(cost), "{cost}: {said}");
    }
    ensure!(said.contains("az deployment group create") && said.contains("az acr token credential generate"), "{said}");
    let template: Value = serde_json::from_slice(&std::fs::read(&file)?)?;
    let parameters = &template["parameters"];
    assert_eq!(parameters["RegistryName"]["defaultValue"], "contoso");
    assert_eq!(parameters["systemTopics_dockerScoutRepository"]["defaultValue"], TOPIC);
    let webhook = parameters["DockerScoutWebhook"]["defaultValue"].as_str().context("an address")?;
    let path = webhook.strip_prefix(PUBLIC_URL).with_context(|| format!("{webhook} is not the server's"))?;
    ensure!(path.starts_with("/v1/events/event-grid/azure?secret="), "{path}");
    Ok(Subscription { path: path.to_owned() })
}

async fn event_grid_checks_the_address(server: &Installation, subscription: &Subscription) -> Result<()> {
    let event = json!({
        "id": "2d1781af-3a4c-4d7c-bd0c-e34b19da4e66", "topic": REGISTRY, "subject": "",
        "data": {"validationCode": "512D38B6-C7B8-40C8-89FE-F46F9E9622B6",
                 "validationUrl": "https://rp-westeurope.eventgrid.azure.net:553/eventsubscriptions/image-change/validate"},
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent", "eventTime": "2026-11-22T10:00:00.0000000Z",
        "metadataVersion": "1", "dataVersion": "2",
    });
    // The server has heard of the integration within half a second; no deployment is that quick.
    let ask = async || {
        let (status, body) = subscription.send(server, "SubscriptionValidation", &event).await?;
        ensure!(status == 200, "nothing but 200 is taken: {status}");
        Ok(body)
    };
    let body = server.eventually("Event Grid is answered", ask).await?;
    let answer: Value = serde_json::from_str(&body)?;
    assert_eq!(answer, json!({"validationResponse": "512D38B6-C7B8-40C8-89FE-F46F9E9622B6"}));
    let stranger = Subscription { path: "/v1/events/event-grid/azure?secret=guessed".to_owned() };
    assert_eq!(stranger.send(server, "SubscriptionValidation", &event).await?.0, 401);
    Ok(())
}

async fn it_waits_for_the_token_s_password(server: &Installation) -> Result<()> {
    let look = async || {
        let shown = server.integration("azure").await?;
        ensure!(shown["reason"]["kind"] == "set-up-awaited" && !shown["last_event"].is_null(), "{shown}");
        Ok(shown)
    };
    let shown = server.eventually("it was tested, and has spoken", look).await?;
    assert_eq!(shown["state"], "pending", "Event Grid has spoken, and nobody is let in");
    let advice = shown["advice"].as_str().context("what to do")?;
    ensure!(advice.starts_with("supercargo integration credentials azure --user"), "{advice}");
    Ok(())
}

async fn a_wrong_password_is_an_error_within_one_test(server: &Installation, azure: &Azure) -> Result<()> {
    let wrong = server.file("wrong", "guessed\n")?;
    server.prints(&["integration", "credentials", "azure", "--user", TOKEN, "--password-file", &wrong]).await?;
    let shown = server.becomes("azure", "error").await?;
    assert_eq!(shown["reason"]["kind"], "sign-in", "{shown}");
    azure.registry.clear_requests();
    let tested = server.run(&["integration", "test", "azure"]).await?;
    let told = String::from_utf8_lossy(&tested.stdout);
    assert_eq!(tested.status.code(), Some(1), "{told}");
    ensure!(told.contains("FAILED   sign-in"), "{told}");
    // Registries lock those who keep trying.
    assert_eq!(azure.registry.count_requests("/oauth2/token"), 1, "{:?}", azure.registry.summary());
    Ok(())
}

async fn the_password_is_pasted_and_the_connection_tested_before_it_succeeds(server: &Installation) -> Result<()> {
    let right = server.file("right", "generated\n")?;
    server.prints(&["integration", "credentials", "azure", "--user", TOKEN, "--password-file", &right]).await?;
    server.becomes("azure", "connected").await?;
    assert_eq!(server.life("azure").await?, ["pending", "error", "pending", "connected"]);
    let tested = server.json(&["integration", "test", "azure"]).await?;
    let steps = tested["steps"].as_array().context("steps")?;
    let passed: Vec<&str> =
        steps.iter().filter(|step| step["outcome"] == "passed").filter_map(|step| step["step"].as_str()).collect();
    for step in ["tls", "protocol", "sign-in", "repositories", "tags", "manifest", "blob", "events"] {
        ensure!(passed.contains(&step), "{step} is not in {passed:?}: {tested}");
    }
    let shown = server.prints(&["integration", "show", "azure"]).await?;
    ensure!(!shown.contains("generated"), "a password is never shown: {shown}");
    Ok(())
}

async fn an_enabled_repository_s_newest_image_is_indexed_at_once(server: &Installation, newest: &Image) -> Result<()> {
    server.finds("azure", &["team/app", "team/web"]).await?;
    assert_eq!(server.api.images().await?, Vec::<Value>::new());
    server.prints(&["repo", "enable", "--integration", "azure", "team/app"]).await?;
    server.indexed(newest.digest()).await?;
    assert_eq!(server.api.images().await?.len(), 1);
    Ok(())
}

async fn pushes_and_deletes_are_followed(
    server: &Installation,
    azure: &Azure,
    subscription: &Subscription,
) -> Result<()> {
    let (image, other) = (app(2).build(), app(3).build());
    azure.registry.push(&image, "team/app", "1.2");
    subscription.tell(server, "push", &image, ("team/app", Some("1.2"))).await?;
    server.places(image.digest(), &["team/app:1.2"]).await?;
    azure.registry.push(&other, "team/web", "1.1");
    subscription.tell(server, "push", &other, ("team/web", Some("1.1"))).await?;
    server.refused("supercargo repo enable --integration azure team/web").await?;
    ensure!(azure.registry.content().delete_manifest("team/app", image.digest()), "it is there");
    subscription.tell(server, "delete", &image, ("team/app", None)).await?;
    server.places(image.digest(), &[]).await
}

async fn all_registries_are_on_one_page(server: &Installation) -> Result<()> {
    server.prints(&["integration", "create", "acr", "other", "--registry", "fabrikam.azurecr.io"]).await?;
    let page = server.prints(&["integration", "list"]).await?;
    ensure!(page.contains(HOST) && page.contains("fabrikam.azurecr.io"), "{page}");
    server.prints(&["integration", "remove", "other", "--yes"]).await?;
    Ok(())
}

async fn removing_names_the_token_and_the_topic(server: &Installation) -> Result<()> {
    let told = server.prints(&["integration", "remove", "azure", "--yes"]).await?;
    for remnant in [
        format!("the token {TOKEN} of {HOST}"),
        format!("az acr token delete --registry contoso --name {TOKEN}"),
        format!("the system topic {TOPIC}"),
        format!("az eventgrid system-topic delete --resource-group GROUP --name {TOPIC}"),
    ] {
        ensure!(told.contains(&remnant), "{remnant} is not in {told}");
    }
    Ok(())
}

/// The trap of Docker Scout's scope map: its catalog is empty, and not refused.
#[tokio::test]
async fn a_token_that_must_not_list_is_told_and_repositories_are_named() -> Result<()> {
    let (azure, server) = start(Access::pull_metadata_read(), &["--interval", "3600"]).await?;
    let image = app(1).build();
    azure.registry.push(&image, "team/app", "1.0");
    let password = server.file("password", "generated\n")?;
    let create = ["integration", "create", "acr", "azure", "--registry", HOST, "--events", "none"];
    server.prints(&[&create[..], &["--user", TOKEN, "--password-file", &password]].concat()).await?;
    server.becomes("azure", "connected").await?;

    let tested = server.prints(&["integration", "test", "azure"]).await?;
    let line = tested.lines().find(|line| line.contains("repositories")).context("a step for the list")?;
    ensure!(line.starts_with("warning") && line.contains("the catalog is empty"), "{tested}");
    ensure!(
        tested.contains("hint: name repositories: supercargo repo enable --integration azure REPOSITORY"),
        "{tested}"
    );
    let told = async || {
        let (listed, said) = server.told(&["repo", "list", "--integration", "azure"]).await?;
        ensure!(listed.is_empty() && said.contains("supercargo repo enable"), "{listed}{said}");
        ensure!(
            said.contains("azure: ") && said.contains("the catalog is empty"),
            "an empty list looks like none: {said}"
        );
        Ok(())
    };
    server.eventually("the list says why it is empty", told).await?;

    server.prints(&["repo", "enable", "--integration", "azure", "team/app"]).await?;
    server.indexed(image.digest()).await?;
    assert_eq!(server.repositories("azure").await?, [("team/app".to_owned(), true)]);
    Ok(())
}

/// Docker Scout had no word for it: nothing came any more, and nobody was told.
#[tokio::test]
async fn events_that_stop_coming_show_as_degraded_until_they_come_again() -> Result<()> {
    let (azure, server) = start(Access::pull(), &["--interval", "1", "--event-patience", "1"]).await?;
    azure.registry.push(&base().build(), "team/app", "1.0");
    let password = server.file("password", "generated\n")?;
    let create = ["integration", "create", "acr", "azure", "--registry", HOST, "--enable", "team/app"];
    server.prints(&[&create[..], &["--user", TOKEN, "--password-file", &password]].concat()).await?;
    let subscription = the_template_has_the_registry_s_name_and_the_costs(&server).await?;
    event_grid_checks_the_address(&server, &subscription).await?;
    server.becomes("azure", "connected").await?;
    server.indexed(base().build().digest()).await?;

    // A push within a second of the handshake may have been told by it, for all that is known: so there are more.
    let (mut number, mut last) = (0, None::<Instant>);
    let silent = async || {
        if last.is_none_or(|last| last.elapsed() > Duration::from_secs(3)) {
            (number, last) = (number + 1, Some(Instant::now()));
            azure.registry.push(&app(number).build(), "team/app", &format!("2.{number}"));
        }
        let shown = server.integration("azure").await?;
        ensure!(shown["state"] == "degraded", "{shown}");
        Ok(shown)
    };
    let shown = server.eventually("it is degraded", silent).await?;
    let (reason, advice) = (shown["reason"]["message"].to_string(), shown["advice"].to_string());
    ensure!(reason.contains("was found by asking") && reason.contains("no event told of it"), "{reason}");
    ensure!(advice.contains("pushes are still found, later"), "{advice}");
    server.indexed(app(number).build().digest()).await?;

    let image = app(50).build();
    azure.registry.push(&image, "team/app", "3.0");
    subscription.tell(&server, "push", &image, ("team/app", Some("3.0"))).await?;
    server.becomes("azure", "connected").await?;
    server.indexed(image.digest()).await?;
    Ok(())
}
