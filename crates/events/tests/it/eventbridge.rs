//! ECR's events by EventBridge and by SQS.

use jiff::Timestamp;
use serde_json::{Value, json};
use supercargo_events::SourceConfig;

use crate::kit::{
    Delivery, MANIFEST, SECRET, base64_of, config, digest, event, events, is_rejected, outcome, refused, source,
};
use crate::sns::TOPIC;

pub(crate) const HOST: &str = "210987654321.dkr.ecr.eu-west-1.amazonaws.com";

pub(crate) fn ecr(kind: &str, detail: Value) -> Value {
    json!({
        "version": "0", "id": "0d1e2f30-4b5c-6d7e-8f90-a1b2c3d4e5f6", "detail-type": kind, "source": "aws.ecr",
        "account": "210987654321", "time": "2026-02-03T04:05:00Z", "region": "eu-west-1", "resources": [],
        "detail": detail
    })
}

pub(crate) fn image(action: &str, more: Value) -> Value {
    let mut detail = json!({
        "action-type": action, "result": "SUCCESS", "repository-name": "team/app", "image-digest": digest('a')
    });
    detail.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    ecr("ECR Image Action", detail)
}

fn trail(name: &str, more: Value) -> Value {
    let mut detail = json!({
        "eventVersion": "1.09", "eventTime": "2026-02-03T04:05:00Z", "eventSource": "ecr.amazonaws.com",
        "eventName": name, "awsRegion": "eu-west-1", "eventID": "77aa", "recipientAccountId": "210987654321",
        "userIdentity": {"type": "IAMUser", "userName": "mary"},
        "resources": [{"ARN": "arn:aws:ecr:eu-west-1:210987654321:repository/team/app", "accountId": "210987654321"}]
    });
    detail.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    ecr("AWS API Call via CloudTrail", detail)
}

fn decoded(config: SourceConfig, body: &Value) -> String {
    outcome(&Delivery::new(body).header("authorization", SECRET).to(&*source("eventbridge", config)))
}

#[test]
fn what_ecr_tells() {
    let check = |body: Value, expected: &str| assert_eq!(decoded(config(), &body), expected, "{body}");
    let tagged = json!({"image-tag": "1.0"});
    check(image("PUSH", tagged.clone()), &format!("pushed {HOST}/team/app:1.0@sha256:aaaa"));
    check(image("PUSH", json!({"manifest-media-type": MANIFEST})), &format!("pushed {HOST}/team/app@sha256:aaaa"));
    check(image("DELETE", tagged.clone()), &format!("deleted {HOST}/team/app:1.0@sha256:aaaa"));
    check(image("DELETE", json!({})), &format!("deleted {HOST}/team/app@sha256:aaaa"));
    check(image("PUSH", json!({"result": "FAILURE"})), "ignored: it did not come off: FAILURE");
    check(image("DANCE", json!({})), "ignored: action `DANCE` is not known");
    // Published samples hold digests of all lengths.
    let broken = json!({"image-digest": "sha256:0123", "image-tag": "1.0"});
    check(image("PUSH", broken), &format!("pushed {HOST}/team/app:1.0"));
    check(image("PUSH", json!({"image-digest": "sha256:0123"})), &format!("refresh {HOST}/team/app"));
    check(
        image("UPDATE_STORAGE_CLASS", json!({"target-storage-class": "ARCHIVE"})),
        "ignored: the image was archived: it cannot be pulled, and has not changed",
    );
    check(
        image("UPDATE_STORAGE_CLASS", json!({"target-storage-class": "STANDARD"})),
        &format!("refresh {HOST}/team/app@sha256:aaaa"),
    );
    // What is no image.
    let signature = json!({"artifact-media-type": "application/vnd.in-toto+json"});
    check(image("PUSH", signature.clone()), "ignored: `application/vnd.in-toto+json` is no image");
    check(image("DELETE", signature), &format!("deleted {HOST}/team/app@sha256:aaaa"));
    let configuration = json!({"artifact-media-type": "application/vnd.oci.image.config.v1+json"});
    check(image("PUSH", configuration), &format!("pushed {HOST}/team/app@sha256:aaaa"));
    let referrer = json!({
        "action-type": "PUSH", "result": "SUCCESS", "repository-name": "team/app", "image-digest": digest('b'),
        "artifact-media-type": "application/vnd.cncf.notary.signature"
    });
    let expected = "ignored: `application/vnd.cncf.notary.signature` is no image";
    check(ecr("ECR Referrer Action", referrer), expected);
    // Images that come by other ways than a push.
    let cached = json!({
        "rule-version": "1", "sync-status": "SUCCESS", "ecr-repository-prefix": "hub", "image-tag": "3.20",
        "repository-name": "hub/alpine", "upstream-registry-url": "registry-1.docker.io", "image-digest": digest('c')
    });
    check(ecr("ECR Pull Through Cache Action", cached), &format!("pushed {HOST}/hub/alpine:3.20@sha256:cccc"));
    let failed = json!({"sync-status": "FAILED", "repository-name": "hub/alpine", "failure-code": "X"});
    check(ecr("ECR Pull Through Cache Action", failed), "ignored: it did not come off: FAILED");
    let copy = json!({
        "action-type": "REPLICATE", "result": "SUCCESS", "repository-name": "team/app", "image-tag": "1.0",
        "image-digest": digest('d'), "source-account": "111111111111", "source-region": "us-east-1"
    });
    check(ecr("ECR Replication Action", copy), &format!("pushed {HOST}/team/app:1.0@sha256:dddd"));
    check(ecr("ECR Image Scan", json!({})), "ignored: `ECR Image Scan` changes no image");
    check(ecr("ECR Image Action", json!({})), "malformed: it names no repository");
}

#[test]
fn what_cloudtrail_tells() {
    let check = |body: Value, expected: &str| assert_eq!(decoded(config(), &body), expected, "{body}");
    let parameters = json!({"requestParameters": {"repositoryName": "team/app", "force": true}});
    check(trail("DeleteRepository", parameters.clone()), &format!("repository-deleted {HOST}/team/app"));
    let nameless = trail("DeleteRepository", json!({"requestParameters": null}));
    check(nameless, &format!("repository-deleted {HOST}/team/app"));
    let mut failed = parameters;
    failed["errorCode"] = json!("RepositoryNotEmptyException");
    check(trail("DeleteRepository", failed), "ignored: the call did not come off: RepositoryNotEmptyException");
    check(trail("PutImage", json!({})), "ignored: call `PutImage` is of no interest here");
    check(trail("X", json!({"eventSource": "s3.amazonaws.com"})), "ignored: the call was not to Amazon ECR");

    let expired =
        |digit| json!({"lifecycleEventImage": {"digest": digest(digit), "tagStatus": "Tagged", "tagList": ["1"]}});
    let details = json!({"serviceEventDetails": {
        "repositoryName": "team/app", "lifecycleEventImageActions": [expired('a'), expired('b')]
    }});
    let body = trail("PolicyExecutionEvent", details);
    check(body.clone(), &format!("deleted {HOST}/team/app@sha256:aaaa, deleted {HOST}/team/app@sha256:bbbb"));
    let reception = Delivery::new(body).header("authorization", SECRET).to(&*source("eventbridge", config()));
    let keys: Vec<_> = events(&reception).iter().map(|event| event.dedup_key.clone()).collect();
    assert_eq!(keys, [format!("77aa/{}", digest('a')), format!("77aa/{}", digest('b'))]);
}

#[test]
fn an_event_carries_its_id_its_time_and_its_registry() {
    let source = source("eventbridge", config());
    let reception = Delivery::new(image("PUSH", json!({}))).header("authorization", SECRET).to(&*source);
    let event = event(&reception);
    assert_eq!(event.dedup_key, "0d1e2f30-4b5c-6d7e-8f90-a1b2c3d4e5f6");
    assert_eq!(event.time.as_ref().unwrap().raw, "2026-02-03T04:05:00Z");

    let check = |configured: &str, region: &str, expected: &str| {
        let mut body = image("PUSH", json!({}));
        body["region"] = json!(region);
        let config = if configured.is_empty() { config() } else { config().with_host(configured) };
        assert_eq!(decoded(config, &body), expected, "{configured} {region}");
    };
    let pushed = |host: &str| format!("pushed {host}/team/app@sha256:aaaa");
    check("", "cn-north-1", &pushed("210987654321.dkr.ecr.cn-north-1.amazonaws.com.cn"));
    check("", "evil.example/", &pushed("?"));
    check(HOST, "eu-west-1", &pushed(HOST));
    let stacked = "210987654321.dkr-ecr.eu-west-1.on.aws";
    check(stacked, "eu-west-1", &pushed(stacked));
    check("images.example.com", "eu-west-1", &pushed("images.example.com"));
    let other = format!("ignored: it is about account 210987654321 in us-east-1, and this source speaks for {HOST}");
    check(HOST, "us-east-1", &other);
}

#[test]
fn an_api_destination_proves_itself_by_basic_key_or_bearer() {
    let body = image("PUSH", json!({}));
    let check = |config: SourceConfig, header: &str, value: &str, accepted: bool| {
        let reception = Delivery::new(&body).header(header, value).to(&*source("eventbridge", config));
        assert_eq!(!is_rejected(&reception), accepted, "{header}: {value}");
    };
    let basic = format!("Basic {}", base64_of(format!("events:{SECRET}").as_bytes()));
    check(config().with_option("user", "events"), "authorization", &basic, true);
    check(config().with_option("user", "others"), "authorization", &basic, false);
    let key = config().with_header("x-api-key".parse().unwrap());
    check(key.clone(), "x-api-key", SECRET, true);
    check(key, "authorization", SECRET, false);
    check(config(), "authorization", &format!("Bearer {SECRET}"), true);
    assert_eq!(
        refused("eventbridge", SourceConfig::new([]).with_option("issuer", "i").with_option("key-set", "http://k")),
        "configure the source: OAuth takes the options `issuer`, `audience` and `key-set`, all three; option \
         `key-set` is `http://k`: expected an https address"
    );
}

#[test]
fn a_queue_holds_the_event_or_a_notification_around_it() {
    let source = source("eventbridge", config());
    let trusted = |body: &Value| outcome(&source.receive_trusted(body.to_string().as_bytes(), Timestamp::UNIX_EPOCH));
    let pushed = format!("pushed {HOST}/team/app@sha256:aaaa");
    let bare = image("PUSH", json!({}));
    assert_eq!(trusted(&bare), pushed);
    let around = json!({
        "Type": "Notification", "MessageId": "m", "TopicArn": TOPIC, "Message": bare.to_string(),
        "Timestamp": "2026-02-03T04:05:01Z"
    });
    assert_eq!(trusted(&around), pushed);
    // The same event by both ways is one event.
    let key = |body: &Value| {
        let reception = source.receive_trusted(body.to_string().as_bytes(), Timestamp::UNIX_EPOCH);
        event(&reception).dedup_key.clone()
    };
    assert_eq!(key(&bare), key(&around));
    assert_eq!(trusted(&json!([bare, around])), format!("{pushed}, {pushed}"));
    assert_eq!(trusted(&bare["detail"]), "malformed: the body is no event: it has no `detail-type`");
    let record = trail("DeleteRepository", json!({"requestParameters": {"repositoryName": "a"}}));
    assert_eq!(trusted(&record["detail"]), format!("repository-deleted {HOST}/a"));
}

#[test]
fn the_published_transformer_is_read_with_its_gaps() {
    let transformed = |tag: &str, digest: &str| {
        json!({
            "specversion": "1.0", "id": "7", "type": "com.amazon.ecr.image.push", "subject": "team/app:",
            "source": "urn:aws:ecr:eu-west-1:210987654321:repository/team/app", "time": "2026-02-03T04:05:00Z",
            "data": {"repositoryName": "team/app", "imageDigest": digest, "imageTag": tag, "registryId": "210987654321"}
        })
    };
    let check = |body: Value, expected: String| assert_eq!(decoded(config(), &body), expected);
    check(transformed("1.0", &digest('a')), format!("pushed {HOST}/team/app:1.0@sha256:aaaa"));
    check(transformed("", &digest('a')), format!("pushed {HOST}/team/app@sha256:aaaa"));
    check(transformed("<tag>", &digest('a')), format!("pushed {HOST}/team/app@sha256:aaaa"));
}
