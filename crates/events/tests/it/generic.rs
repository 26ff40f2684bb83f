//! Standard Webhooks.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use supercargo_events::{Secret, SourceConfig};

use crate::kit::{Delivery, base64_of, digest, event, is_rejected, openssl, outcome, refused, source};

/// The vector of the specification's libraries.
const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const SENT: i64 = 1_614_265_330;
const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

fn delivery(signature: &str) -> Delivery {
    Delivery::new(r#"{"test": 2432232314}"#)
        .header("webhook-id", ID)
        .header("webhook-timestamp", SENT.to_string())
        .header("webhook-signature", signature)
        .at(Timestamp::from_second(SENT).unwrap())
}

#[test]
fn the_specifications_vector() {
    let source = source("generic", SourceConfig::new([Secret::new("another"), Secret::new(KEY)]));
    let check = |delivery: Delivery, accepted: bool| assert_eq!(!is_rejected(&delivery.to(&*source)), accepted);
    check(delivery(SIGNATURE), true);
    check(delivery(&format!("v1,AAAA v1a,BBBB {SIGNATURE}")), true);
    check(delivery(&SIGNATURE.replace("v1,", "v2,")), false);
    check(delivery(&SIGNATURE.replace('g', "h")), false);
    check(delivery(""), false);
    check(delivery(SIGNATURE).header("webhook-id", "another"), false);
    check(delivery(SIGNATURE).header("webhook-timestamp", (SENT + 1).to_string()), false);
    let at = |seconds: i64| Timestamp::from_second(SENT).unwrap() + SignedDuration::from_secs(seconds);
    check(delivery(SIGNATURE).at(at(299)), true);
    check(delivery(SIGNATURE).at(at(301)), false);
    check(delivery(SIGNATURE).at(at(-301)), false);
    check(delivery(SIGNATURE).header("webhook-timestamp", "-9223372036854775808"), false);
}

#[test]
fn the_payload() {
    let source = source("generic", SourceConfig::new([Secret::new("plain")]));
    let send = |body: &Value| {
        let body = body.to_string();
        let delivery = Delivery::new(&body);
        let sent = delivery.now().as_second();
        let signed = format!("7.{sent}.{body}");
        let mac = openssl(&["sha256", "-hmac", "plain", "-binary"], signed.as_bytes());
        delivery
            .header("webhook-id", "7")
            .header("webhook-timestamp", sent.to_string())
            .header("webhook-signature", format!("v1,{}", base64_of(&mac)))
            .to(&*source)
    };
    let body = |kind: &str, data: Value| json!({"type": kind, "timestamp": "2026-02-03T04:05:06Z", "data": data});
    let check = |body: Value, expected: &str| assert_eq!(outcome(&send(&body)), expected, "{body}");
    let image = json!({"registry": "r.example.com", "repository": "team/app", "tag": "1.0", "digest": digest('a')});
    check(body("image.pushed", image.clone()), "pushed r.example.com/team/app:1.0@sha256:aaaa");
    check(body("image.deleted", image.clone()), "deleted r.example.com/team/app:1.0@sha256:aaaa");
    let repository = json!({"repository": "team/app"});
    check(body("repository.changed", repository.clone()), "refresh ?/team/app");
    check(body("repository.deleted", repository), "repository-deleted ?/team/app");
    check(body("image.eaten", json!({})), "ignored: type `image.eaten` is not known");
    check(body("image.pushed", json!({"repository": "../x"})), "ignored: `../x` is no repository name");
    assert_eq!(event(&send(&body("image.pushed", image))).dedup_key, "7");
}

#[test]
fn a_secret_is_base64_if_it_says_so() {
    assert_eq!(
        refused("generic", SourceConfig::new([Secret::new("whsec_???")]).with_header("x-a".parse().unwrap())),
        "configure the source: its header is fixed: the specification names it; a secret that begins with `whsec_` \
         goes on in base64; header `x-a` has no use here: no secret comes in one"
    );
}
