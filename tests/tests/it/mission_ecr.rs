//! Docker Scout's integration of Amazon ECR, as its page led through it, walked with supercargo: a function for each
//! sentence. docs/integrations.md has the list.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use supercargo_testkit::{Artifact as _, Image};
use supercargo_tests::{Amazon, EcrAccount, Installation, PUBLIC_URL, app, base, free_port, heavy};

/// The account that supercargo runs in, and somebody else's.
const OWN: &str = "123456789012";
const PARTNER: &str = "210987654321";

const STACK: &str = "SupercargoECRIntegration";
const TOPIC: &str = "arn:aws:sns:eu-west-1:123456789012:supercargo-production";
const IMAGES: &str = "supercargo-production-images";
const REPOSITORIES: &str = "supercargo-production-repositories";

/// Docker Scout's resources, with the names that are ours.
const RESOURCES: [&str; 9] = [
    "ApiDestination AWS::Events::ApiDestination",
    "AssumeRoleEcrAccess AWS::IAM::Role",
    "Connection AWS::Events::Connection",
    "InvokeApiRole AWS::IAM::Role",
    "SNSTopic AWS::SNS::Topic",
    "SupercargoCredentials AWS::SecretsManager::Secret",
    "SupercargoEcrRule AWS::Events::Rule",
    "SupercargoRepoDeletedRule AWS::Events::Rule",
    "TopicPolicy AWS::SNS::TopicPolicy",
];

/// A server that Amazon reaches, and that asks no registry by itself more than once.
async fn start() -> Result<(Amazon, Installation)> {
    let port = free_port();
    let amazon = Amazon::start(&format!("127.0.0.1:{port}")).await?;
    let mut variables = amazon.variables();
    variables.push(("SUPERCARGO_PUBLIC_URL".to_owned(), PUBLIC_URL.to_owned()));
    let server = Installation::start_at(port, &variables, &["--interval", "3600"]).await?;
    Ok((amazon, server))
}

/// The page of Docker Scout's integration, from its first line to its last.
#[tokio::test]
async fn an_account_and_region_from_the_first_command_to_the_last() -> Result<()> {
    let (amazon, server) = start().await?;
    let ecr = amazon.registry(OWN, "eu-west-1").await?;
    let (first, newest) = (base().build(), heavy(1).build());
    ecr.push(&first, "team/legacy", "1.0").await?;
    ecr.push(&first, "team/app", "1.0").await?;
    ecr.push(&newest, "team/app", "1.1").await?;

    one_command_names_an_account_and_a_region(&server).await?;
    it_is_pending_while_aws_is_not_finished(&server).await?;
    let template = everything_is_filled_in_and_the_costs_are_named(&server).await?;
    the_stack_is_created_by_one_command(&ecr, &template).await?;
    the_stacks_notification_connects_it(&server, &ecr).await?;
    nothing_is_indexed_before_a_repository_is_activated(&server).await?;
    an_activated_repository_s_newest_image_is_indexed_at_once(&server, &newest).await?;
    every_later_push_is_indexed(&server, &ecr).await?;
    a_push_to_a_repository_that_is_not_activated_is_recorded(&server, &ecr).await?;
    an_account_and_region_that_is_not_in_the_list_is_told(&server, &ecr).await?;
    a_deleted_image_is_gone(&server, &ecr, &newest).await?;
    results_are_seen_on_the_command_line(&server).await?;
    metadata_is_stored_and_the_image_never(&server, &newest)?;
    a_deleted_repository_is_gone(&server, &ecr).await?;
    removing_is_confirmed_and_names_the_stack(&server, &ecr).await
}

async fn one_command_names_an_account_and_a_region(server: &Installation) -> Result<()> {
    let create = ["integration", "create", "ecr", "production", "--account", OWN, "--region", "eu-west-1"];
    let (told, next) = server.told(&create).await?;
    assert_eq!(told, "production: ecr 123456789012.dkr.ecr.eu-west-1.amazonaws.com, pending\n");
    ensure!(next.contains("supercargo integration template production"), "{next}");
    Ok(())
}

async fn it_is_pending_while_aws_is_not_finished(server: &Installation) -> Result<()> {
    let look = async || {
        let shown = server.integration("production").await?;
        ensure!(shown["reason"]["kind"] == "set-up-awaited", "{shown}");
        Ok(shown)
    };
    let shown = server.eventually("it was tested, and the role is not there", look).await?;
    assert_eq!(
        (&shown["state"], &shown["account"], &shown["region"]),
        (&"pending".into(), &OWN.into(), &"eu-west-1".into())
    );
    let reason = shown["reason"]["message"].as_str().context("a reason")?;
    ensure!(reason.contains("not set up yet") && reason.contains("(AccessDenied: User: "), "{reason}");
    ensure!(!reason.contains("Error {"), "it is for a person to read: {reason}");
    // The way back to what is to be finished.
    let next = shown["next"].to_string();
    ensure!(next.contains("integration template production") && next.contains("aws cloudformation deploy"), "{next}");
    let listed = server.json(&["integration", "list"]).await?;
    assert_eq!(
        (&listed[0]["account"], &listed[0]["region"], &listed[0]["state"]),
        (&OWN.into(), &"eu-west-1".into(), &"pending".into())
    );
    Ok(())
}

async fn everything_is_filled_in_and_the_costs_are_named(server: &Installation) -> Result<String> {
    let file = server.file("supercargo-ecr.yaml", "")?;
    let (_, said) = server.told(&["integration", "template", "production", "--write", &file]).await?;
    for cost in ["$0.42 a month", "$0.01 a month at 100 pushes a day", "$0.09 per GB"] {
        ensure!(said.contains(cost), "{cost}: {said}");
    }
    ensure!(said.contains(&format!("aws cloudformation deploy --region eu-west-1 --stack-name {STACK}")), "{said}");
    Ok(file)
}

async fn the_stack_is_created_by_one_command(ecr: &EcrAccount<'_>, template: &str) -> Result<()> {
    // No parameters: all of them have the values that are right.
    let deploy =
        ["cloudformation", "deploy", "--region", "eu-west-1", "--stack-name", STACK, "--template-file", template];
    ecr.aws(&[&deploy[..], &["--capabilities", "CAPABILITY_NAMED_IAM"]].concat()).await?;
    let query = "StackResources[].join(' ',[LogicalResourceId,ResourceType])";
    let list =
        ["cloudformation", "describe-stack-resources", "--stack-name", STACK, "--query", query, "--output", "json"];
    let mut found: Vec<String> = serde_json::from_str(&ecr.aws(&list).await?)?;
    found.sort();
    assert_eq!(found, RESOURCES);
    Ok(())
}

/// CloudFormation's own form: lines, not JSON, with a value that has quotes and lines in it.
fn of_stack(id: &str, resource: (&str, &str, &str), status: &str) -> String {
    let (kind, logical, physical) = resource;
    let properties = r#"{"Description":"it's
Endpoint='x'
"}"#;
    format!(
        "StackId='{id}'\nTimestamp='2026-11-22T10:00:00.000Z'\nEventId='{logical}-{status}'\nLogicalResourceId='{logical}'\n\
         Namespace='{OWN}'\nPhysicalResourceId='{physical}'\nPrincipalId='AROAEXAMPLE:somebody'\n\
         ResourceProperties='{properties}\n'\nResourceStatus='{status}'\nResourceStatusReason=''\nResourceType='{kind}'\n\
         StackName='{STACK}'\nClientRequestToken='null'\n"
    )
}

async fn stack_id(ecr: &EcrAccount<'_>) -> Result<String> {
    let describe = ["cloudformation", "describe-stacks", "--stack-name", STACK, "--output", "text"];
    Ok(ecr.aws(&[&describe[..], &["--query", "Stacks[0].StackId"]].concat()).await?.trim().to_owned())
}

async fn the_stacks_notification_connects_it(server: &Installation, ecr: &EcrAccount<'_>) -> Result<()> {
    let id = stack_id(ecr).await?;
    let subject = "AWS CloudFormation Notification";
    let rule = of_stack(&id, ("AWS::Events::Rule", "SupercargoEcrRule", IMAGES), "CREATE_COMPLETE");
    assert_eq!(ecr.notify(TOPIC, subject, &rule).await?, 200, "a part of the stack says nothing");
    assert_eq!(server.life("production").await?, ["pending"]);
    let stack = of_stack(&id, ("AWS::CloudFormation::Stack", STACK, &id), "CREATE_COMPLETE");
    let status = ecr.notify(TOPIC, subject, &stack).await?;
    ensure!((200..300).contains(&status), "{status}");
    server.becomes("production", "connected").await?;
    assert_eq!(server.life("production").await?, ["pending", "connected"], "with no hand");
    Ok(())
}

async fn nothing_is_indexed_before_a_repository_is_activated(server: &Installation) -> Result<()> {
    server.finds("production", &["team/app", "team/legacy"]).await?;
    ensure!(server.repositories("production").await?.iter().all(|(_, enabled)| !enabled));
    assert_eq!(server.api.images().await?, Vec::<Value>::new());
    Ok(())
}

async fn an_activated_repository_s_newest_image_is_indexed_at_once(
    server: &Installation,
    newest: &Image,
) -> Result<()> {
    server.prints(&["repo", "enable", "--integration", "production", "team/app"]).await?;
    server.indexed(newest.digest()).await?;
    assert_eq!(server.api.images().await?.len(), 1, "the newest alone");
    let enabled: Vec<_> = server.repositories("production").await?;
    assert_eq!(enabled, [("team/app".to_owned(), true), ("team/legacy".to_owned(), false)]);
    Ok(())
}

async fn every_later_push_is_indexed(server: &Installation, ecr: &EcrAccount<'_>) -> Result<()> {
    for number in [2, 3] {
        let image = app(number).build();
        let event = ecr.push(&image, "team/app", &format!("1.{number}")).await?;
        assert_eq!(ecr.call_destination(IMAGES, &event).await?, 202);
        server.indexed(image.digest()).await?;
    }
    Ok(())
}

async fn a_push_to_a_repository_that_is_not_activated_is_recorded(
    server: &Installation,
    ecr: &EcrAccount<'_>,
) -> Result<()> {
    let image = app(4).build();
    let event = ecr.push(&image, "team/legacy", "2.0").await?;
    assert_eq!(ecr.call_destination(IMAGES, &event).await?, 202);
    let reason = server.refused("team/legacy").await?;
    assert_eq!(
        reason,
        "repository team/legacy is not enabled: supercargo repo enable --integration production team/legacy"
    );
    ensure!(server.api.image(image.digest()).await.is_err(), "it is not acted upon");
    Ok(())
}

async fn an_account_and_region_that_is_not_in_the_list_is_told(
    server: &Installation,
    ecr: &EcrAccount<'_>,
) -> Result<()> {
    let mut event = ecr.image_action("PUSH", "team/app", "1.0", app(9).build().digest());
    event["account"] = "999999999999".into();
    let status = ecr.call_destination(IMAGES, &event).await?;
    ensure!((200..300).contains(&status), "{status}");
    let reason = server.refused("999999999999").await?;
    assert_eq!(
        reason,
        "it is about account 999999999999 in eu-west-1, and this source speaks for \
         123456789012.dkr.ecr.eu-west-1.amazonaws.com"
    );
    Ok(())
}

async fn a_deleted_image_is_gone(server: &Installation, ecr: &EcrAccount<'_>, image: &Image) -> Result<()> {
    server.places(image.digest(), &["team/app:1.1"]).await?;
    let event = ecr.delete_image(image, "team/app", "1.1").await?;
    assert_eq!(ecr.call_destination(IMAGES, &event).await?, 202);
    server.places(image.digest(), &[]).await
}

async fn results_are_seen_on_the_command_line(server: &Installation) -> Result<()> {
    let images = server.prints(&["images"]).await?;
    ensure!(images.contains("123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app:1.3"), "{images}");
    let found = server.prints(&["search", "left-pad@1.0.3"]).await?;
    ensure!(found.contains("team/app:1.3") && !found.contains("team/app:1.2"), "{found}");
    Ok(())
}

fn metadata_is_stored_and_the_image_never(server: &Installation, image: &Image) -> Result<()> {
    // The image's one file does not pack, so that its bytes are those of the layer, whichever way it were kept.
    let layers = image.blobs().into_iter().filter(|blob| blob.bytes.len() > 100_000);
    let pieces: Vec<&[u8]> = layers.map(|blob| &blob.bytes[blob.bytes.len() / 2..][..48]).collect();
    assert_eq!(pieces.len(), 1);
    assert_eq!(server.files_with(&pieces)?, Vec::<std::path::PathBuf>::new());
    // What is looked for would be found.
    assert_ne!(server.files_with(&[b"SQLite format 3"])?.len(), 0);
    Ok(())
}

async fn a_deleted_repository_is_gone(server: &Installation, ecr: &EcrAccount<'_>) -> Result<()> {
    let image = app(3).build();
    server.places(image.digest(), &["team/app:1.3"]).await?;
    let event = ecr.delete_repository("team/app").await?;
    assert_eq!(ecr.call_destination(REPOSITORIES, &event).await?, 202);
    server.places(image.digest(), &[]).await
}

async fn removing_is_confirmed_and_names_the_stack(server: &Installation, ecr: &EcrAccount<'_>) -> Result<()> {
    let asked = server.run(&["integration", "remove", "production"]).await?;
    assert_eq!(asked.status.code(), Some(2), "nobody is there to confirm it");
    ensure!(String::from_utf8_lossy(&asked.stderr).contains("--yes"));
    let told = server.prints(&["integration", "remove", "production", "--yes"]).await?;
    let stack = format!("the CloudFormation stack {STACK} in account {OWN}, region eu-west-1");
    ensure!(told.contains("what is known of its images stays") && told.contains(&stack), "{told}");
    let delete = format!("aws cloudformation delete-stack --region eu-west-1 --stack-name {STACK}");
    ensure!(told.contains(&delete), "{told}");

    // It is not in the list, what was found is there, and nothing was deleted in AWS.
    assert_eq!(server.json(&["integration", "list"]).await?, Value::Array(Vec::new()));
    let images = server.json(&["images", "--include-gone"]).await?;
    assert_eq!(images.as_array().map(Vec::len), Some(3), "{images}");
    let event = ecr.image_action("PUSH", "team/legacy", "1.0", base().build().digest());
    let refused = async || {
        let status = ecr.call_destination(IMAGES, &event).await?;
        ensure!(status == 404, "{status}");
        Ok(())
    };
    // `call_destination` has found the rule and its destination: they are as they were.
    server.eventually("events are not taken any more", refused).await?;
    ecr.aws(&["cloudformation", "delete-stack", "--region", "eu-west-1", "--stack-name", STACK]).await?;
    let rules = "print(json.dumps([rule['Name'] for rule in client('events').list_rules()['Rules']]))";
    assert_eq!(ecr.boto3(rules, serde_json::json!({})).await?, serde_json::json!([]), "it is gone by the user's hand");
    Ok(())
}

/// An integration with its stack, which has told nobody of itself yet.
async fn connect(server: &Installation, ecr: &EcrAccount<'_>, name: &str, place: (&str, &str)) -> Result<()> {
    let (account, region) = place;
    server.prints(&["integration", "create", "ecr", name, "--account", account, "--region", region]).await?;
    let file = server.file(&format!("{name}.yaml"), "")?;
    server.prints(&["integration", "template", name, "--write", &file]).await?;
    ecr.stack(STACK, &file).await?;
    Ok(())
}

/// More accounts and regions are added the same way, each with a state of its own.
#[tokio::test]
async fn two_accounts_and_two_regions_at_once() -> Result<()> {
    let (amazon, server) = start().await?;
    let staging = amazon.registry(OWN, "us-east-1").await?;
    let partner = amazon.registry(PARTNER, "eu-west-1").await?;
    let (ours, theirs) = (app(1).build(), app(2).build());
    staging.push(&ours, "team/app", "1.0").await?;
    partner.push(&theirs, "team/app", "1.0").await?;
    connect(&server, &staging, "staging", (OWN, "us-east-1")).await?;
    connect(&server, &partner, "partner", (PARTNER, "eu-west-1")).await?;

    the_handshake_of_the_topic_connects_it(&amazon, &server, &staging).await?;
    the_first_authentic_event_connects_it(&server, &partner).await?;
    each_has_its_own_repositories(&server, &staging, &ours, &theirs).await?;
    a_set_up_that_fails_shows_as_an_error(&amazon, &server).await?;
    removing_deletes_the_data_if_told(&server, &ours, &theirs).await
}

async fn the_handshake_of_the_topic_connects_it(
    amazon: &Amazon,
    server: &Installation,
    staging: &EcrAccount<'_>,
) -> Result<()> {
    let topic = "arn:aws:sns:us-east-1:123456789012:supercargo-staging";
    assert_eq!(staging.ask_to_confirm(topic).await?, 200);
    let confirmed = amazon.confirmed();
    ensure!(
        matches!(&confirmed[..], [one] if one.contains(topic) && one.contains("Token=2336412f37")),
        "{confirmed:?}"
    );
    server.becomes("staging", "connected").await?;
    assert_eq!(server.integration("partner").await?["state"], "pending", "it is one of two");
    Ok(())
}

async fn the_first_authentic_event_connects_it(server: &Installation, partner: &EcrAccount<'_>) -> Result<()> {
    let event = partner.image_action("PUSH", "team/app", "1.0", app(2).build().digest());
    let status = partner.call_destination("supercargo-partner-images", &event).await?;
    assert_eq!(status, 202);
    server.becomes("partner", "connected").await?;
    assert_eq!(server.life("partner").await?, ["pending", "connected"]);
    Ok(())
}

async fn each_has_its_own_repositories(
    server: &Installation,
    staging: &EcrAccount<'_>,
    ours: &Image,
    theirs: &Image,
) -> Result<()> {
    server.finds("staging", &["team/app"]).await?;
    server.finds("partner", &["team/app"]).await?;
    // Both have a repository of that name: which one is meant has to be said.
    let asked = server.run(&["repo", "enable", "team/app"]).await?;
    ensure!(String::from_utf8_lossy(&asked.stderr).contains("several registries are connected"));
    server.prints(&["repo", "enable", "210987654321.dkr.ecr.eu-west-1.amazonaws.com/team/app"]).await?;
    server.indexed(theirs.digest()).await?;
    let event = staging.image_action("PUSH", "team/app", "1.0", ours.digest());
    assert_eq!(staging.call_destination("supercargo-staging-images", &event).await?, 202);
    server.refused("--integration staging team/app").await?;
    ensure!(server.api.image(ours.digest()).await.is_err());
    server.prints(&["repo", "enable", "--integration", "staging", "team/app"]).await?;
    let image = server.indexed(ours.digest()).await?;
    assert_eq!(image["places"][0]["registry"], "123456789012.dkr.ecr.us-east-1.amazonaws.com");
    Ok(())
}

async fn a_set_up_that_fails_shows_as_an_error(amazon: &Amazon, server: &Installation) -> Result<()> {
    let broken = amazon.registry(PARTNER, "us-west-2").await?;
    connect(server, &broken, "broken", (PARTNER, "us-west-2")).await?;
    // Word of a stack comes by EventBridge as well, to the same endpoint as all else.
    let mut event = broken.image_action("PUSH", "", "", "");
    event["source"] = "aws.cloudformation".into();
    event["detail-type"] = "CloudFormation Stack Status Change".into();
    event["detail"] = serde_json::json!({
        "stack-id": format!("arn:aws:cloudformation:us-west-2:{PARTNER}:stack/{STACK}/0a1b2c3d"),
        "status-details": {"status": "ROLLBACK_COMPLETE", "status-reason": "The role is there already"},
    });
    let told = async || {
        let status = broken.call_destination("supercargo-broken-images", &event).await?;
        ensure!((200..300).contains(&status), "{status}");
        Ok(())
    };
    server.eventually("the server has heard of the integration", told).await?;
    let shown = server.becomes("broken", "error").await?;
    let (reason, advice) = (shown["reason"]["message"].to_string(), shown["advice"].to_string());
    ensure!(reason.contains("ROLLBACK_COMPLETE: The role is there already"), "{reason}");
    ensure!(advice.contains("create it again"), "{advice}");
    server.prints(&["integration", "remove", "broken", "--yes"]).await?;
    Ok(())
}

async fn removing_deletes_the_data_if_told(server: &Installation, ours: &Image, theirs: &Image) -> Result<()> {
    let told = server.prints(&["integration", "remove", "staging", "--yes", "--delete-data"]).await?;
    ensure!(told.contains("1 repository and 1 image deleted"), "{told}");
    ensure!(told.contains("in account 123456789012, region us-east-1"), "{told}");
    let gone = async || {
        ensure!(server.api.image(ours.digest()).await.is_err(), "it is still there");
        Ok(())
    };
    server.eventually("the images are deleted", gone).await?;
    server.indexed(theirs.digest()).await?;
    assert_eq!(server.integration("partner").await?["state"], "connected", "the other one is as it was");
    Ok(())
}
