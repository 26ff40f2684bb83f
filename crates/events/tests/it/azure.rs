//! ACR's events by Event Grid and by its own webhooks.

use http::{Method, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};
use supercargo_events::{SourceConfig, Verdict};

use crate::kit::{
    Delivery, MANIFEST, SECRET, base64_of, config, digest, event, events, is_rejected, outcome, refused, source,
};

const HOST: &str = "contosoimages.azurecr.io";
const REGISTRY: &str =
    "/subscriptions/0000/resourceGroups/images/providers/Microsoft.ContainerRegistry/registries/contosoImages";

fn data(action: &str, more: Value) -> Value {
    let mut target = json!({"mediaType": MANIFEST, "digest": digest('a'), "repository": "team/app"});
    target.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({
        "id": "11", "timestamp": "2026-02-03T04:05:06.123456789Z", "action": action, "target": target,
        "request": {"id": "22", "host": HOST, "method": "PUT", "useragent": "containers/5"}, "actor": {"name": "ci"}
    })
}

fn grid(kind: &str, data: &Value) -> Value {
    json!({
        "id": "33", "topic": REGISTRY, "subject": "team/app", "eventType": kind, "eventTime": "2026-02-03T04:05:07Z",
        "data": data, "dataVersion": "1.0", "metadataVersion": "1"
    })
}

fn cloud(kind: &str, data: &Value) -> Value {
    json!({
        "specversion": "1.0", "id": "33", "source": REGISTRY, "subject": "team/app", "type": kind,
        "time": "2026-02-03T04:05:07Z", "data": data
    })
}

fn by_grid(body: &Value) -> String {
    outcome(&Delivery::new(body).query(&query()).to(&*source("event-grid", config())))
}

fn query() -> String {
    format!("secret={}", SECRET.replace(' ', "%20"))
}

#[test]
fn both_schemas_say_the_same() {
    let tagged = data("push", json!({"tag": "1.0", "size": 5}));
    let pushed = format!("pushed {HOST}/team/app:1.0@sha256:aaaa");
    for kind in ["Microsoft.ContainerRegistry.ImagePushed", "ImagePushed"] {
        for body in [grid(kind, &tagged), cloud(kind, &tagged)] {
            assert_eq!(by_grid(&body), pushed);
            assert_eq!(by_grid(&json!([body])), pushed);
            assert_eq!(by_grid(&json!([body, body])), format!("{pushed}, {pushed}"));
        }
        // Seen in both schemas: the object as a text.
        assert_eq!(by_grid(&json!([grid(kind, &json!(tagged.to_string()))])), pushed);
        assert_eq!(by_grid(&cloud(kind, &json!(tagged.to_string()))), pushed);
    }
    let deleted = data("delete", json!({}));
    assert_eq!(by_grid(&json!([grid("ImageDeleted", &deleted)])), format!("deleted {HOST}/team/app@sha256:aaaa"));
    let chart = data("chart_push", json!({"name": "chart", "version": "1"}));
    assert_eq!(
        by_grid(&json!([grid("Microsoft.ContainerRegistry.ChartPushed", &chart)])),
        "ignored: event 0: a chart is no image"
    );
    assert_eq!(by_grid(&json!([])), "ignored: the envelope is empty");
    assert_eq!(by_grid(&json!([7])), "malformed: event 0: invalid type: integer `7`, expected struct Envelope");
    // One bad event of a batch leaves the others.
    let batch = json!([grid("ImagePushed", &json!("{")), grid("ImagePushed", &tagged), {"eventType": 1}]);
    assert_eq!(by_grid(&batch), pushed);
    // Attack case 70: schemas mixed within a batch.
    let mixed = json!([grid("ImagePushed", &tagged), cloud("ImageDeleted", &deleted)]);
    assert_eq!(by_grid(&mixed), format!("{pushed}, deleted {HOST}/team/app@sha256:aaaa"));
}

#[test]
fn an_event_has_its_key_and_its_time_whatever_the_time_is() {
    let mut body = grid("ImagePushed", &data("push", json!({})));
    let receive = |body: &Value| Delivery::new(json!([body])).query(&query()).to(&*source("event-grid", config()));
    let reception = receive(&body);
    assert_eq!(event(&reception).dedup_key, format!("{REGISTRY}/33"));
    assert_eq!(event(&reception).actor.as_deref(), Some("ci"));
    body["eventTime"] = json!("026-02-03T04:05:07Z");
    let reception = receive(&body);
    let time = event(&reception).time.clone().unwrap();
    assert_eq!((time.raw.as_str(), time.instant), ("026-02-03T04:05:07Z", None));
}

#[test]
fn the_registry_is_found_by_request_by_topic_or_by_configuration() {
    let mut body = data("push", json!({}));
    body["request"] = Value::Null;
    assert_eq!(by_grid(&grid("ImagePushed", &body)), format!("pushed {HOST}/team/app@sha256:aaaa"));
    let configured = |host: &str| {
        let source = source("event-grid", config().with_host(host));
        outcome(&Delivery::new(grid("ImagePushed", &body)).query(&query()).to(&*source))
    };
    assert_eq!(configured("contosoimages.azurecr.us"), "pushed contosoimages.azurecr.us/team/app@sha256:aaaa");
    assert_eq!(configured("images.contoso.com"), "pushed images.contoso.com/team/app@sha256:aaaa");
    assert_eq!(
        configured("fabrikam.azurecr.io"),
        "ignored: it is about registry contosoimages, and this source speaks for fabrikam.azurecr.io"
    );
    // A connected registry, in the spelling of its own documentation.
    let mut connected = grid("Microsoft.ContainerRegistry.ImagePushed", &body);
    connected["topic"] = json!(format!("{REGISTRY}/connectedRegistries/edge"));
    connected["data"]["connectedregistry"] = json!({"name": "edge"});
    assert_eq!(by_grid(&connected), format!("pushed {HOST}/team/app@sha256:aaaa"));
}

#[test]
fn event_grid_validates_the_endpoint_with_a_code() {
    let body = json!([{
        "id": "1", "topic": REGISTRY, "subject": "", "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "eventTime": "2026-02-03T04:05:06Z", "metadataVersion": "1", "dataVersion": "2",
        "data": {"validationCode": "512D38B6", "validationUrl": "https://rp-x.eventgrid.azure.net:553/validate?id=1"}
    }]);
    let delivery = Delivery::new(&body).header("aeg-event-type", "SubscriptionValidation");
    let reception = delivery.clone().query(&query()).to(&*source("event-grid", config()));
    assert_eq!(reception.verdict, Verdict::Handshake);
    assert_eq!(reception.answer.status, StatusCode::OK, "any other success is refused");
    let answer: Value = serde_json::from_slice(&reception.answer.body).unwrap();
    assert_eq!(answer, json!({"validationResponse": "512D38B6"}));
    assert_eq!(reception.answer.headers["content-type"], "application/json; charset=utf-8");
    // Nobody can point a subscription of theirs at us.
    assert!(is_rejected(&delivery.clone().query("secret=wrong").to(&*source("event-grid", config()))));
    let listed = config().with_option("topics", REGISTRY.replace("contosoImages", "fabrikam"));
    let reception = delivery.query(&query()).to(&*source("event-grid", listed));
    assert!(matches!(reception.verdict, Verdict::Ignored(_)) && reception.answer.body.is_empty());
}

#[test]
fn listed_registries_speak_and_others_do_not() {
    let body = |topic: &str| {
        let mut body = grid("ImagePushed", &data("push", json!({})));
        body["topic"] = json!(topic);
        body
    };
    let source = source("event-grid", config().with_option("topics", format!("/x/registries/one, {REGISTRY}")));
    let check = |topic: &str, accepted: bool| {
        let reception = Delivery::new(body(topic)).query(&query()).to(&*source);
        assert_eq!(matches!(reception.verdict, Verdict::Events(_)), accepted, "{topic}");
    };
    check(REGISTRY, true);
    check(&REGISTRY.to_lowercase(), true);
    check(&format!("{REGISTRY}/connectedRegistries/edge"), true);
    check(&format!("{REGISTRY}2"), false);
    check("/subscriptions/0000", false);
    check("/", false);
    check("", false);
}

#[test]
fn cloud_events_validate_the_endpoint_with_options() {
    let options = Delivery::new("").method(Method::OPTIONS).header("webhook-request-origin", "eventgrid.azure.net");
    let source = source("event-grid", config());
    let reception =
        options.clone().header("webhook-request-rate", "120").path("correct%20horse%20battery").to(&*source);
    assert_eq!((&reception.verdict, reception.answer.status), (&Verdict::Handshake, StatusCode::OK));
    assert_eq!(reception.answer.headers["webhook-allowed-origin"], "eventgrid.azure.net");
    assert_eq!(reception.answer.headers["webhook-allowed-rate"], "120");
    assert!(is_rejected(&options.to(&*source)));
    let nameless = Delivery::new("").method(Method::OPTIONS).query(&query()).to(&*source);
    assert_eq!(nameless.answer.status, StatusCode::BAD_REQUEST);
}

#[test]
fn a_header_of_the_subscription_can_carry_the_secret() {
    let body = json!([grid("ImagePushed", &data("push", json!({})))]);
    let config = SourceConfig::new([supercargo_events::Secret::new("old"), supercargo_events::Secret::new("new")])
        .with_header("x-supercargo".parse().unwrap());
    let source = source("event-grid", config);
    for secret in ["old", "new"] {
        assert_eq!(events(&Delivery::new(&body).header("x-supercargo", secret).to(&*source)).len(), 1);
    }
    assert!(is_rejected(&Delivery::new(&body).header("x-supercargo", "other").to(&*source)));
}

#[test]
fn a_storage_queue_holds_one_event_in_base64_and_a_function_is_given_it_plain() {
    let source = source("event-grid", config());
    let event = grid("ImagePushed", &data("push", json!({}))).to_string();
    for body in
        [event.clone(), format!("  {event}"), base64_of(event.as_bytes()), format!("{}\n", base64_of(event.as_bytes()))]
    {
        let reception = source.receive_trusted(body.as_bytes(), Timestamp::UNIX_EPOCH);
        assert_eq!(outcome(&reception), format!("pushed {HOST}/team/app@sha256:aaaa"), "{body}");
    }
}

#[test]
fn binary_cloud_events_are_read_too() {
    let delivery = Delivery::new(data("push", json!({"tag": "1.0"})))
        .header("ce-type", "Microsoft.ContainerRegistry.ImagePushed")
        .header("ce-id", "9")
        .header("ce-source", REGISTRY)
        .query(&query());
    let reception = delivery.to(&*source("event-grid", config()));
    assert_eq!(event(&reception).dedup_key, format!("{REGISTRY}/9"));
}

#[test]
fn options_of_entra_id_come_together() {
    let check = |options: &[(&str, &str)], expected: &str| {
        let config =
            options.iter().fold(SourceConfig::new([]), |config, (key, value)| config.with_option(*key, *value));
        assert_eq!(refused("event-grid", config), format!("configure the source: {expected}"));
    };
    let no_secret = "; it has no secret; give one, or open it to everyone explicitly";
    check(&[("tenant", "x")], &format!("Entra ID takes the options `tenant` and `audience`, both{no_secret}"));
    check(&[("tenant", "x"), ("audience", "a")], "option `tenant` is `x`: expected a GUID");
    check(
        &[("tenant", "11111111-2222-3333-4444-555555555555"), ("audience", "a"), ("cloud", "moon")],
        "option `cloud` is `moon`: expected public or us-government or china",
    );
    check(
        &[("tenant", "11111111-2222-3333-4444-555555555555"), ("audience", "a"), ("cloud", "china")],
        &format!("option `application` is missing: in this cloud Event Grid's is not known{no_secret}"),
    );
}

#[test]
fn the_registrys_own_webhooks() {
    let source = source("acr", config());
    let check = |body: Value, expected: &str| {
        let reception = Delivery::new(&body).header("authorization", SECRET).to(&*source);
        assert_eq!(outcome(&reception), expected, "{body}");
        assert!(reception.answer.status.is_success());
    };
    check(data("push", json!({"tag": "1.0"})), &format!("pushed {HOST}/team/app:1.0@sha256:aaaa"));
    check(data("delete", json!({})), &format!("deleted {HOST}/team/app@sha256:aaaa"));
    check(data("delete", json!({"digest": null})), &format!("repository-deleted {HOST}/team/app"));
    check(data("quarantine", json!({})), "ignored: the image is in quarantine; its release is told as a push");
    check(data("chart_delete", json!({})), "ignored: a chart is no image");
    check(data("", json!({})), "ignored: action `` is not known");
    check(json!({"action": "ping"}), "handshake");
    check(json!({"action": "push", "target": {}}), "malformed: it names no repository");
    assert!(outcome(&Delivery::new("[]").path(SECRET).to(&*source)).starts_with("malformed: the body is no event"));
    assert!(is_rejected(&Delivery::new(data("push", json!({}))).header("authorization", "no").to(&*source)));
    assert_eq!(
        outcome(&Delivery::new(data("push", json!({}))).path(SECRET).to(&*source)),
        format!("pushed {HOST}/team/app@sha256:aaaa")
    );
}
