//! What `supercargo integration template` prints, judged by other programs: `cfn-lint`, EventBridge as moto has it, an
//! HCL parser.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use supercargo_tests::{Moto, ask_python, python, supercargo_with};
use tempfile::TempDir;

const URL: &str = "https://supercargo.example.com";

/// The resources of Docker Scout's stack, with the names that are ours.
const STACK: [(&str, &str); 9] = [
    ("SNSTopic", "AWS::SNS::Topic"),
    ("TopicPolicy", "AWS::SNS::TopicPolicy"),
    ("SupercargoCredentials", "AWS::SecretsManager::Secret"),
    ("Connection", "AWS::Events::Connection"),
    ("ApiDestination", "AWS::Events::ApiDestination"),
    ("SupercargoEcrRule", "AWS::Events::Rule"),
    ("SupercargoRepoDeletedRule", "AWS::Events::Rule"),
    ("InvokeApiRole", "AWS::IAM::Role"),
    ("AssumeRoleEcrAccess", "AWS::IAM::Role"),
];
const DEAD_LETTERS: [(&str, &str); 2] =
    [("DeadLetterQueue", "AWS::SQS::Queue"), ("DeadLetterQueuePolicy", "AWS::SQS::QueuePolicy")];
const QUEUE_STACK: [(&str, &str); 5] = [
    ("EventQueue", "AWS::SQS::Queue"),
    ("EventQueuePolicy", "AWS::SQS::QueuePolicy"),
    ("SupercargoEcrRule", "AWS::Events::Rule"),
    ("SupercargoRepoDeletedRule", "AWS::Events::Rule"),
    ("AssumeRoleEcrAccess", "AWS::IAM::Role"),
];

/// Terraform's names of the types of CloudFormation.
const TERRAFORM: [(&str, &str); 9] = [
    ("AWS::SNS::Topic", "aws_sns_topic"),
    ("AWS::SNS::TopicPolicy", "aws_sns_topic_policy"),
    ("AWS::SecretsManager::Secret", "aws_secretsmanager_secret"),
    ("AWS::Events::Connection", "aws_cloudwatch_event_connection"),
    ("AWS::Events::ApiDestination", "aws_cloudwatch_event_api_destination"),
    ("AWS::Events::Rule", "aws_cloudwatch_event_rule"),
    ("AWS::IAM::Role", "aws_iam_role"),
    ("AWS::SQS::Queue", "aws_sqs_queue"),
    ("AWS::SQS::QueuePolicy", "aws_sqs_queue_policy"),
];

/// Resolves what CloudFormation would, and prints the template as JSON.
const DECODE: &str = r#"
import json, sys
from cfnlint.decode import decode
given = json.load(sys.stdin)
template, errors = decode(given["file"])
assert not errors, errors
KNOWN = {"AWS::Partition": "aws", "AWS::Region": "eu-west-1", "AWS::AccountId": "123456789012",
         "AWS::StackName": "SupercargoECRIntegration"}
def plain(node):
    if isinstance(node, dict):
        if list(node) == ["Fn::Sub"]:
            text = node["Fn::Sub"]
            for name, value in KNOWN.items():
                text = text.replace("${" + name + "}", value)
            return text
        return {str(key): plain(value) for key, value in node.items()}
    return [plain(one) for one in node] if isinstance(node, list) else node
template = plain(template)
"#;

const PRINT: &str = "print(json.dumps(template))";

/// Makes the template's rules in an EventBridge whose target is a queue, sends it events, and prints how many times each
/// came out.
const RULES: &str = r#"
import boto3
aws = dict(region_name="eu-west-1", endpoint_url=given["endpoint"], aws_access_key_id="AKIAOWN", aws_secret_access_key="secret")
events, sqs = boto3.client("events", **aws), boto3.client("sqs", **aws)
queue = sqs.create_queue(QueueName="told")["QueueUrl"]
arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
for name, resource in template["Resources"].items():
    if resource["Type"] == "AWS::Events::Rule":
        events.put_rule(Name=name, EventPattern=json.dumps(resource["Properties"]["EventPattern"]))
        events.put_targets(Rule=name, Targets=[{"Id": "told", "Arn": arn}])
told = []
for case in given["cases"]:
    entry = {"Source": case["source"], "DetailType": case["detail-type"], "Detail": json.dumps(case["detail"])}
    assert events.put_events(Entries=[entry])["FailedEntryCount"] == 0, case
    got = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
    for message in got:
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    told.append(len(got))
print(json.dumps(told))
"#;

const HCL: &str = r#"
import hcl2, json, sys
given = json.load(sys.stdin)
with open(given["file"]) as file:
    print(json.dumps(hcl2.load(file)))
"#;

/// Integrations of somebody.
struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new() -> Result<Self> {
        Ok(Self { folder: tempfile::tempdir()? })
    }

    async fn run(&self, arguments: &[&str]) -> Result<()> {
        let data = self.folder.path().join("data");
        let data = [("SUPERCARGO_DATA", data.to_str().context("a path")?), ("SUPERCARGO_PUBLIC_URL", URL)];
        let output = supercargo_with(&data, arguments).await?;
        ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// A template in a file.
    async fn template(&self, name: &str, more: &[&str]) -> Result<PathBuf> {
        let file = self.folder.path().join(format!("{name}{}", more.join("")));
        let write = ["integration", "template", name, "--write", file.to_str().context("a path")?];
        self.run(&[&write[..], more].concat()).await?;
        Ok(file)
    }

    async fn ecr(&self) -> Result<()> {
        let create =
            |name, region| ["integration", "create", "ecr", name, "--account", "123456789012", "--region", region];
        self.run(&create("destination", "eu-west-1")).await?;
        self.run(&[&create("queue", "us-east-1")[..], &["--events", "queue"]].concat()).await
    }

    /// A stack as JSON.
    async fn stack(file: &Path) -> Result<Value> {
        ask_python(&format!("{DECODE}{PRINT}"), &json!({ "file": file })).await
    }

    async fn hcl(file: &Path) -> Result<Value> {
        ask_python(HCL, &json!({ "file": file })).await
    }
}

/// Logical names and types.
fn resources(stack: &Value) -> BTreeSet<(String, String)> {
    let all = stack["Resources"].as_object().into_iter().flatten();
    all.map(|(name, one)| (name.clone(), one["Type"].as_str().unwrap_or_default().to_owned())).collect()
}

fn named(all: &[&[(&str, &str)]]) -> BTreeSet<(String, String)> {
    all.concat().into_iter().map(|(name, sort)| (name.to_owned(), sort.to_owned())).collect()
}

#[tokio::test]
async fn stacks_have_the_resources_of_the_original_and_pass_cfn_lint() -> Result<()> {
    let desk = Desk::new()?;
    desk.ecr().await?;
    for (name, options, expected) in [
        ("destination", &[][..], named(&[&STACK])),
        ("destination", &["--dead-letter-queue"], named(&[&STACK, &DEAD_LETTERS])),
        ("queue", &[], named(&[&QUEUE_STACK])),
        ("queue", &["--dead-letter-queue", "--principal", "210987654321"], named(&[&QUEUE_STACK, &DEAD_LETTERS[..1]])),
    ] {
        let file = desk.template(name, options).await?;
        // Warnings and advice count, too.
        let lint = python().await?.with_file_name("cfn-lint");
        let output = Command::new(lint).args(["--include-checks", "I", "--template"]).arg(&file).output()?;
        assert!(output.status.success(), "{name} {options:?}: {}", String::from_utf8_lossy(&output.stdout));
        assert_eq!(resources(&Desk::stack(&file).await?), expected, "{name} {options:?}");
    }

    // Least privilege: what supercargo may do is what the page of the adapter says, and who may do it names the
    // external ID.
    let stack = Desk::stack(&desk.folder.path().join("destination")).await?;
    let role = &stack["Resources"]["AssumeRoleEcrAccess"]["Properties"];
    let statements = role["Policies"][0]["PolicyDocument"]["Statement"].as_array().context("statements")?;
    let actions: BTreeSet<&str> = statements
        .iter()
        .flat_map(|one| match &one["Action"] {
            Value::Array(actions) => actions.iter().filter_map(Value::as_str).collect(),
            action => action.as_str().into_iter().collect::<Vec<_>>(),
        })
        .collect();
    let expected = [
        "ecr:BatchGetImage",
        "ecr:DescribeImages",
        "ecr:DescribeRepositories",
        "ecr:GetAuthorizationToken",
        "ecr:GetDownloadUrlForLayer",
        "secretsmanager:GetSecretValue",
    ];
    assert_eq!(actions, expected.into());
    let trust = &role["AssumeRolePolicyDocument"]["Statement"][0];
    assert_eq!(trust["Condition"], json!({"StringEquals": {"sts:ExternalId": {"Ref": "ExternalId"}}}));
    for statement in statements.iter().filter(|one| one["Action"] != "ecr:GetAuthorizationToken") {
        assert_ne!(statement["Resource"], "*", "{statement}");
    }
    Ok(())
}

#[tokio::test]
async fn rules_let_through_what_happens_to_images_and_nothing_else() -> Result<()> {
    let desk = Desk::new()?;
    desk.ecr().await?;
    let moto = Moto::start().await?;

    let image = |action: &str, sort: &str| {
        json!({"source": "aws.ecr", "detail-type": sort, "detail": {
            "action-type": action, "result": "SUCCESS", "repository-name": "team/app", "image-tag": "1.0",
            "image-digest": "sha256:7f5b2640fe6fb4f46592dfd3410c4a79dac4f89e4782432e0378abcd1234"}})
    };
    let trail = |sort: &str, name: &str, source: &str| {
        json!({"source": "aws.ecr", "detail-type": sort, "detail": {
            "eventSource": source, "eventName": name, "requestParameters": {"repositoryName": "team/app"}}})
    };
    let stack = |id: &str| {
        let id = format!("arn:aws:cloudformation:eu-west-1:123456789012:stack/{id}");
        json!({"source": "aws.cloudformation", "detail-type": "CloudFormation Stack Status Change",
               "detail": {"stack-id": id, "status-details": {"status": "CREATE_COMPLETE", "status-reason": ""}}})
    };
    let call = "AWS API Call via CloudTrail";
    let cases = [
        (image("PUSH", "ECR Image Action"), 1),
        (image("DELETE", "ECR Image Action"), 1),
        (image("PUSH", "ECR Pull Through Cache Action"), 1),
        (image("REPLICATE", "ECR Replication Action"), 1),
        (trail(call, "DeleteRepository", "ecr.amazonaws.com"), 1),
        (trail("AWS Service Event via CloudTrail", "PolicyExecutionEvent", "ecr.amazonaws.com"), 1),
        (stack("SupercargoECRIntegration/0a1b2c3d"), 1),
        (stack("SupercargoECRIntegration"), 1),
        (image("PUSH", "ECR Image Scan"), 0),
        (trail(call, "CreateRepository", "ecr.amazonaws.com"), 0),
        (trail(call, "DeleteRepository", "ecr-public.amazonaws.com"), 0),
        (stack("SupercargoECRIntegration2/0a1b2c3d"), 0),
        (stack("another/0a1b2c3d"), 0),
    ];
    let expected: Vec<i64> = cases.iter().map(|(_, times)| *times).collect();
    let events: Vec<&Value> = cases.iter().map(|(event, _)| event).collect();
    for name in ["destination", "queue"] {
        let file = desk.template(name, &[]).await?;
        let given = json!({"file": file, "endpoint": moto.endpoint(), "cases": events});
        let told = ask_python(&format!("{DECODE}{RULES}"), &given).await?;
        assert_eq!(told, json!(expected), "{name}");
    }
    Ok(())
}

/// `SupercargoEcrRule` as Terraform writes names: `supercargo_ecr_rule`.
fn snake(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut text = String::new();
    for (at, letter) in letters.iter().enumerate() {
        let begins = letter.is_uppercase()
            && at > 0
            && (letters[at - 1].is_lowercase() || letters.get(at + 1).is_some_and(|next| next.is_lowercase()));
        text.extend(begins.then_some('_'));
        text.extend(letter.to_lowercase());
    }
    text
}

/// What an HCL parser found of resources, as `type.name`. It keeps the quotes of labels, or does not, by its version.
fn of_module(module: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for block in module["resource"].as_array().into_iter().flatten() {
        for (sort, names) in block.as_object().into_iter().flatten().filter(|(key, _)| !key.starts_with("__")) {
            for name in names.as_object().into_iter().flatten().map(|(name, _)| name) {
                if !name.starts_with("__") {
                    found.insert(format!("{}.{}", sort.trim_matches('"'), name.trim_matches('"')));
                }
            }
        }
    }
    found
}

#[tokio::test]
async fn terraform_modules_name_the_same_resources() -> Result<()> {
    let desk = Desk::new()?;
    desk.ecr().await?;
    for (name, options, expected) in [
        ("destination", &[][..], named(&[&STACK])),
        ("destination", &["--dead-letter-queue"], named(&[&STACK, &DEAD_LETTERS])),
        ("queue", &[], named(&[&QUEUE_STACK])),
        ("queue", &["--dead-letter-queue"], named(&[&QUEUE_STACK, &DEAD_LETTERS[..1]])),
    ] {
        let file = desk.template(name, &[&["--as", "terraform"], options].concat()).await?;
        let found = of_module(&Desk::hcl(&file).await?);
        let expected: BTreeSet<String> = expected
            .iter()
            .filter_map(|(name, sort)| {
                let (_, sort) = TERRAFORM.iter().find(|(of, _)| of == sort)?;
                Some(format!("{sort}.{}", snake(name)))
            })
            .collect();
        let missing: Vec<_> = expected.difference(&found).collect();
        assert!(missing.is_empty(), "{name} {options:?}: {missing:?} of {found:?}");
        // What Terraform has as resources of their own: targets, inline policies, the secret's value, the subscription.
        let parts = ["_event_target.", "_role_policy.", "_secret_version.", "_topic_subscription."];
        let more: Vec<_> =
            found.difference(&expected).filter(|one| !parts.iter().any(|part| one.contains(part))).collect();
        assert!(more.is_empty(), "{name} {options:?}: {more:?}");
    }

    desk.run(&["integration", "create", "acr", "azure", "--registry", "contoso.azurecr.io"]).await?;
    for (options, expected) in [
        (
            &[][..],
            &[
                "azurerm_container_registry_scope_map.supercargo_list_and_pull",
                "azurerm_container_registry_token.docker_scout_readonly_token",
            ][..],
        ),
        (&["--pull-only"], &["azurerm_container_registry_token.docker_scout_readonly_token"]),
    ] {
        let file = desk.template("azure", &[&["--as", "terraform"], options].concat()).await?;
        let events = [
            "azurerm_eventgrid_system_topic.docker_scout_repository",
            "azurerm_eventgrid_system_topic_event_subscription.image_change",
        ];
        let expected: BTreeSet<String> = expected.iter().chain(&events).map(ToString::to_string).collect();
        assert_eq!(of_module(&Desk::hcl(&file).await?), expected);
    }
    let queue = ["--queue", "https://fabrikam.queue.core.windows.net/registry-events"];
    let create = ["integration", "create", "acr", "storage", "--registry", "fabrikam.azurecr.io"];
    desk.run(&[&create[..], &queue].concat()).await?;
    let module = Desk::hcl(&desk.template("storage", &["--as", "terraform"]).await?).await?;
    assert!(of_module(&module).contains("azurerm_storage_queue.events"), "{module}");
    assert!(module.to_string().contains("storage_queue_endpoint"), "{module}");
    assert!(!module.to_string().contains("webhook_endpoint"), "{module}");
    balanced(&serde_json::from_slice(&std::fs::read(desk.template("storage", &[]).await?)?)?)
}

/// Against what Docker's documentation says of its template.
#[tokio::test]
async fn the_arm_template_is_the_original_s() -> Result<()> {
    let desk = Desk::new()?;
    desk.run(&["integration", "create", "acr", "azure", "--registry", "contoso.azurecr.io"]).await?;
    let read = async |options: &[&str]| -> Result<Value> {
        Ok(serde_json::from_slice(&std::fs::read(desk.template("azure", options).await?)?)?)
    };
    let (listing, original) = (read(&[]).await?, read(&["--pull-only"]).await?);
    for template in [&listing, &original] {
        let parameters = template["parameters"].as_object().context("parameters")?;
        let names: Vec<_> = parameters.keys().map(String::as_str).collect();
        assert_eq!(names, ["DockerScoutWebhook", "RegistryName", "systemTopics_dockerScoutRepository"]);
        assert!(parameters.values().all(|parameter| parameter["type"] == "String"));
        assert_eq!(parameters["systemTopics_dockerScoutRepository"]["defaultValue"], "docker-scout-repository");
        assert_eq!(parameters["RegistryName"]["defaultValue"], "contoso");
        balanced(template)?;
    }
    let sorts = |template: &Value| -> Vec<(String, String)> {
        let all = template["resources"].as_array().into_iter().flatten();
        let text = |one: &Value, key: &str| one[key].as_str().unwrap_or_default().to_owned();
        all.map(|one| (text(one, "type"), text(one, "apiVersion"))).collect()
    };
    let pair = |sort: &str, version: &str| (sort.to_owned(), version.to_owned());
    let topic = pair("Microsoft.EventGrid/systemTopics", "2023-06-01-preview");
    let subscription = pair("Microsoft.EventGrid/systemTopics/eventSubscriptions", "2023-06-01-preview");
    let token = pair("Microsoft.ContainerRegistry/registries/tokens", "2023-01-01-preview");
    let map = pair("Microsoft.ContainerRegistry/registries/scopeMaps", "2023-01-01-preview");
    assert_eq!(sorts(&original), [topic.clone(), subscription.clone(), token.clone()]);
    assert_eq!(sorts(&listing), [topic, subscription, map, token]);

    let [topic, subscription, token] = [0, 1, 2].map(|at| &original["resources"][at]);
    assert_eq!(topic["name"], "[parameters('systemTopics_dockerScoutRepository')]");
    assert_eq!(
        (&topic["location"], &topic["identity"]["type"]),
        (&json!("[resourceGroup().location]"), &json!("None"))
    );
    let registry = "[resourceId('Microsoft.ContainerRegistry/registries', parameters('RegistryName'))]";
    assert_eq!(topic["properties"], json!({"source": registry, "topicType": "Microsoft.ContainerRegistry.Registries"}));
    assert!(subscription["name"].as_str().context("a name")?.ends_with("'/image-change')]"));
    assert_eq!(subscription["dependsOn"].as_array().map(Vec::len), Some(1));
    let properties = &subscription["properties"];
    assert_eq!(properties["destination"]["endpointType"], "WebHook");
    let destination = json!({"endpointUrl": "[parameters('DockerScoutWebhook')]", "maxEventsPerBatch": 1,
                             "preferredBatchSizeInKilobytes": 64});
    assert_eq!(properties["destination"]["properties"], destination);
    assert_eq!(properties["eventDeliverySchema"], "EventGridSchema");
    let types = json!(["Microsoft.ContainerRegistry.ImagePushed", "Microsoft.ContainerRegistry.ImageDeleted"]);
    assert_eq!(properties["filter"], json!({"includedEventTypes": types, "enableAdvancedFilteringOnArrays": true}));
    assert_eq!(properties["retryPolicy"], json!({"maxDeliveryAttempts": 30, "eventTimeToLiveInMinutes": 1440}));
    assert!(token["name"].as_str().context("a name")?.ends_with("'/docker-scout-readonly-token')]"));
    assert_eq!(token["properties"]["credentials"], json!({}), "it has no password yet");
    assert!(
        token["properties"]["scopeMapId"].as_str().context("a map")?.contains("'_repositories_pull_metadata_read'")
    );
    assert!(
        listing["resources"][3]["properties"]["scopeMapId"]
            .as_str()
            .context("a map")?
            .contains("'supercargo-list-and-pull'")
    );
    Ok(())
}

/// That every expression of an ARM template closes what it opens.
fn balanced(node: &Value) -> Result<()> {
    match node {
        Value::String(text) if text.starts_with('[') => {
            let count = |letter: char| text.matches(letter).count();
            ensure!(text.ends_with(']') && count('(') == count(')') && count('\'') % 2 == 0, "{text}");
            Ok(())
        }
        Value::Array(all) => all.iter().try_for_each(balanced),
        Value::Object(all) => all.values().try_for_each(balanced),
        _ => Ok(()),
    }
}
