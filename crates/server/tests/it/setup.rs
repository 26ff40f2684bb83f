//! What is set up on the registry's side, what of it remains, and what a selection comes to.

use http::StatusCode;
use serde_json::{Value, json};
use supercargo_engine::store::Role;
use supercargo_server::{Access, Options};

use crate::kit::Kit;

const URL: &str = "https://supercargo.example.com";

/// An integration with Amazon ECR, by its account and region alone.
fn production() -> Value {
    json!({
        "name": "prod.eu", "kind": "ecr", "settings": {"account": "123456789012", "region": "eu-west-1"},
        "set_up": "api-destination",
    })
}

#[tokio::test]
async fn a_stack_is_made_from_an_account_and_a_region() {
    let kit = Kit::new(Access::Closed).await;
    let admin = kit.token(Role::Admin, &[]).await;
    let ask = async |method: &str, path: &str, body: Option<Value>| kit.ask(method, path, Some(&admin), body).await;
    let made = ask("POST", "/v1/integrations", Some(production())).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let made = made.json();
    assert_eq!(made["registry"], "123456789012.dkr.ecr.eu-west-1.amazonaws.com");
    assert_eq!((&made["account"], &made["region"]), (&json!("123456789012"), &json!("eu-west-1")));
    assert_eq!(made["settings"]["role-arn"], "arn:aws:iam::123456789012:role/supercargo-prod-eu");
    assert_eq!(made["settings"]["events-topics"], "arn:aws:sns:eu-west-1:123456789012:supercargo-prod-eu");
    let (external, secret) =
        (made["settings"]["external-id"].as_str().unwrap(), made["event_secret"].as_str().unwrap());
    assert_eq!((external.len(), secret.len()), (32, 64));
    let listed = ask("GET", "/v1/integrations", None).await.json();
    assert_eq!(listed["items"][0]["account"], "123456789012");

    // Nobody has said where the server is.
    let path = "/v1/integrations/prod.eu/template";
    let unknown = ask("GET", path, None).await;
    assert_eq!(unknown.status, StatusCode::BAD_REQUEST);
    assert!(unknown.text.contains("public_url"), "{}", unknown.text);

    let path = format!("{path}?public_url={URL}");
    let stack = ask("GET", &path, None).await.json();
    assert_eq!((&stack["template"], &stack["file"]), (&json!("cloudformation"), &json!("supercargo-ecr.yaml")));
    let text = stack["text"].as_str().unwrap();
    for part in [
        &format!("Default: {URL}/v1/events/eventbridge/prod.eu\n"),
        &format!("Default: {external}\n"),
        &format!("Default: {secret}\n"),
        "Default: arn:aws:iam::123456789012:root\n",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains("DeadLetterQueue"));
    // The prices of the original's page.
    let cost = |what: &str| {
        let all = stack["costs"].as_array().unwrap();
        let found = all.iter().find(|cost| cost["what"] == what).unwrap_or_else(|| panic!("{what} in {all:?}"));
        (found["usd"].as_f64().unwrap(), found["per"].as_str().unwrap().to_owned())
    };
    assert_eq!(cost("secret"), (0.42, "month".to_owned()));
    assert_eq!(cost("api-destination"), (0.01, "month".to_owned()));
    assert_eq!(cost("egress"), (0.09, "GB".to_owned()));
    assert!(stack["next"][0].as_str().unwrap().starts_with("aws cloudformation deploy --region eu-west-1"), "{stack}");
    assert_eq!(
        stack["forms"].as_array().unwrap().iter().map(|form| form["template"].as_str().unwrap()).collect::<Vec<_>>(),
        ["cloudformation", "terraform"]
    );
    assert_eq!(stack["forms"][0]["choices"], json!(["dead-letter-queue"]));

    let more = ask("GET", &format!("{path}&as=terraform&dead_letter_queue&principal=210987654321"), None).await.json();
    let text = more["text"].as_str().unwrap();
    assert!(text.contains("aws_sqs_queue") && text.contains("arn:aws:iam::210987654321:root"), "{text}");
    for bad in ["as=arm", "pull_only=true", "principal=everybody", "colour=red"] {
        let refused = ask("GET", &format!("{path}&{bad}"), None).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{bad}: {}", refused.text);
    }

    // It was told twice, and who told it is known; the secret is not.
    let log = ask("GET", "/v1/audit?action=integration.template", None).await;
    assert_eq!(log.json()["items"].as_array().unwrap().len(), 2);
    assert_eq!(log.json()["items"][0]["subject"], "prod.eu");
    assert!(!log.text.contains(secret), "{}", log.text);
}

#[tokio::test]
async fn the_secret_of_events_is_told_to_admins_alone() {
    let mut options = Options::new(Access::Closed);
    options.public_url = Some(URL.to_owned());
    let kit = Kit::with(options).await;
    let admin = kit.token(Role::Admin, &[]).await;
    let body = json!({"name": "main", "kind": "harbor", "registry": "registry.test", "set_up": "webhook"});
    kit.ask("POST", "/v1/integrations", Some(&admin), Some(body)).await;
    let path = "/v1/integrations/main/template";
    for (role, scope, expected) in [
        (Role::Viewer, &[][..], StatusCode::FORBIDDEN),
        (Role::Editor, &[], StatusCode::FORBIDDEN),
        (Role::Admin, &["other"], StatusCode::NOT_FOUND),
        (Role::Admin, &["main"], StatusCode::OK),
    ] {
        let token = kit.token(role, scope).await;
        assert_eq!(kit.ask("GET", path, Some(&token), None).await.status, expected, "{role} {scope:?}");
    }
    // The server's own address stands in for one that is not given.
    let told = kit.ask("GET", path, Some(&admin), None).await.json();
    assert!(told["text"].as_str().unwrap().contains(&format!("{URL}/v1/events/harbor/main")), "{told}");

    let body = json!({"name": "polled", "kind": "oci", "registry": "polled.test", "set_up": "none"});
    kit.ask("POST", "/v1/integrations", Some(&admin), Some(body)).await;
    let none = kit.ask("GET", "/v1/integrations/polled/template", Some(&admin), None).await;
    assert_eq!(none.status, StatusCode::NOT_FOUND);
    assert!(none.text.contains("nothing has to be set up"), "{}", none.text);
}

#[tokio::test]
async fn what_cannot_be_set_up_is_refused() {
    let kit = Kit::new(Access::Closed).await;
    let admin = kit.token(Role::Admin, &[]).await;
    for (body, part) in [
        (json!({"name": "a", "kind": "ecr", "set_up": "queue"}), "registry"),
        (
            json!({"name": "a", "kind": "oci", "settings": {"account": "123456789012", "region": "eu-west-1"}}),
            "registry",
        ),
        (json!({"name": "a", "kind": "ecr", "registry": "a.test", "set_up": "queue"}), "account"),
        (json!({"name": "a", "kind": "oci", "registry": "a.test", "set_up": "queue"}), "webhook"),
        (
            json!({"name": "a", "kind": "oci", "registry": "a.test", "policy": {"selection": {"include": ["["]}}}),
            "glob",
        ),
    ] {
        let refused = kit.ask("POST", "/v1/integrations", Some(&admin), Some(body.clone())).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{body}");
        assert!(refused.text.contains(part), "{}", refused.text);
    }
}

#[tokio::test]
async fn what_remains_is_known_before_a_removal_and_told_after_it() {
    let kit = Kit::new(Access::Closed).await;
    let admin = kit.token(Role::Admin, &[]).await;
    let (viewer, stranger) = (kit.token(Role::Viewer, &[]).await, kit.token(Role::Viewer, &["other"]).await);
    kit.ask("POST", "/v1/integrations", Some(&admin), Some(production())).await;
    let azure = json!({"name": "azure", "kind": "acr", "registry": "contoso.azurecr.io", "set_up": "event-grid"});
    kit.ask("POST", "/v1/integrations", Some(&admin), Some(azure)).await;

    let path = "/v1/integrations/prod.eu/remains";
    assert_eq!(kit.ask("GET", path, Some(&stranger), None).await.status, StatusCode::NOT_FOUND);
    let before = kit.ask("GET", path, Some(&viewer), None).await.json();
    let stack = &before["items"][0];
    assert_eq!(
        stack["command"],
        "aws cloudformation delete-stack --region eu-west-1 --stack-name SupercargoECRIntegration"
    );
    // The resources of the original's page.
    let what = stack["what"].as_str().unwrap();
    for resource in ["SNSTopic", "TopicPolicy", "Connection", "ApiDestination", "InvokeApiRole", "AssumeRoleEcrAccess"]
    {
        assert!(what.contains(resource), "{what}");
    }
    let removed = kit.ask("DELETE", "/v1/integrations/prod.eu?data=keep", Some(&admin), None).await.json();
    assert_eq!(removed["remains"], before["items"]);
    assert_eq!(removed["integration"]["state"], "removed");

    let azure = kit.ask("DELETE", "/v1/integrations/azure?data=keep", Some(&admin), None).await.json();
    let told = azure["remains"].to_string();
    for name in ["docker-scout-readonly-token", "docker-scout-repository"] {
        assert!(told.contains(name), "{told}");
    }
}

#[tokio::test]
async fn a_policy_is_tried_before_it_is_set() {
    let kit = Kit::new(Access::Closed).await;
    let (admin, editor) = (kit.token(Role::Admin, &[]).await, kit.token(Role::Editor, &[]).await);
    let main = json!({"name": "main", "kind": "oci", "registry": "registry.test"});
    kit.ask("POST", "/v1/integrations", Some(&admin), Some(main)).await;
    let path = "/v1/integrations/main/preview";
    let preview = async |policy: Value| kit.ask("POST", path, Some(&editor), Some(policy)).await;
    let all = preview(json!({})).await.json();
    assert_eq!((&all["images"], &all["repositories"], &all["at_once"]), (&json!(1), &json!(1), &json!(1)), "{all}");
    let tag = &all["selected"][0];
    assert_eq!((&tag["repository"], &tag["tag"], &tag["at_once"]), (&json!("team/app"), &json!("1.0"), &json!(true)));
    let none = preview(json!({"selection": {"exclude": ["team/*"]}})).await.json();
    assert_eq!((&none["images"], &none["looked_at"], &none["selected"]), (&json!(0), &json!(0), &json!([])));
    // An image that is no part of an index is of every platform.
    let other = preview(json!({"selection": {"platforms": ["linux/s390x"]}})).await.json();
    assert_eq!(other["images"], 1);
    let shown = kit.ask("GET", "/v1/integrations/main", Some(&editor), None).await.json();
    assert_eq!(shown["policy"]["selection"]["exclude"], json!([]), "it changes nothing");

    let bad = json!({"selection": {"include": ["["], "tags": ["("]}});
    let refused = preview(bad.clone()).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(refused.text.contains("include") && refused.text.contains("tags"), "{}", refused.text);
    let refused = kit.ask("PUT", "/v1/integrations/main/policy", Some(&editor), Some(bad)).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST, "what makes no sense is not kept either");
    for (path, expected) in [
        (format!("{path}?limit=0"), StatusCode::BAD_REQUEST),
        (format!("{path}?limit=1"), StatusCode::OK),
        ("/v1/integrations/none/preview".to_owned(), StatusCode::NOT_FOUND),
    ] {
        assert_eq!(kit.ask("POST", &path, Some(&editor), Some(json!({}))).await.status, expected, "{path}");
    }
    let viewer = kit.token(Role::Viewer, &[]).await;
    assert_eq!(kit.ask("POST", path, Some(&viewer), Some(json!({}))).await.status, StatusCode::FORBIDDEN);
}
