//! Google Artifact Registry by Pub/Sub, and the tokens that prove it. Attack case 67.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use supercargo_events::{Document, DocumentKind, Source, SourceConfig, Verdict};

use crate::kit::{
    Delivery, RsaKey, SECRET, base64_of, base64_url, config, digest, event, is_rejected, outcome, refused, source,
};

const AUDIENCE: &str = "https://supercargo.example.com/v1/events/google-artifact-registry/main";
const EMAIL: &str = "pusher@my-project.iam.gserviceaccount.com";
const IMAGE: &str = "europe-docker.pkg.dev/my-project/images/team/app";

fn push(notification: &Value) -> Value {
    json!({
        "message": {
            "data": base64_of(notification.to_string().as_bytes()), "messageId": "9911", "message_id": "9911",
            "publishTime": "2026-02-03T04:05:06.7Z", "publish_time": "2026-02-03T04:05:06.7Z"
        },
        "subscription": "projects/my-project/subscriptions/supercargo"
    })
}

fn received(config: SourceConfig, body: &Value) -> String {
    outcome(&Delivery::new(body).path(SECRET).to(&*source("google-artifact-registry", config)))
}

#[test]
fn wrapped_and_unwrapped() {
    let by_digest = format!("{IMAGE}@{}", digest('a'));
    let by_tag = format!("{IMAGE}:1.0");
    let check = |notification: Value, expected: &str| {
        for body in [push(&notification), notification] {
            assert_eq!(received(config(), &body), expected, "{body}");
        }
    };
    check(json!({"action": "INSERT", "digest": by_digest}), &format!("pushed {IMAGE}@sha256:aaaa"));
    check(json!({"action": "INSERT", "digest": by_digest, "tag": by_tag}), &format!("pushed {IMAGE}:1.0@sha256:aaaa"));
    check(json!({"action": "DELETE", "tag": by_tag}), &format!("deleted {IMAGE}:1.0"));
    check(json!({"action": "DELETE", "digest": by_digest}), &format!("deleted {IMAGE}@sha256:aaaa"));
    check(
        json!({"action": "INSERT", "digest": format!("{IMAGE}@sha256:6ec128e26cd5...")}),
        &format!("refresh {IMAGE}"),
    );
    check(json!({"action": "INSERT", "tag": "localhost:5000/app:1.0"}), "pushed localhost:5000/app:1.0");
    check(json!({"action": "COPY", "tag": by_tag}), "ignored: action `COPY` is not known");
    check(json!({"action": "INSERT"}), "malformed: it names no image");
    check(json!({"action": "INSERT", "tag": "app"}), "malformed: it names no image");
    assert_eq!(received(config(), &push(&json!("hello"))), "ignored: its message is no notification");
    assert_eq!(received(config(), &json!({"message": {"data": "?"}})), "malformed: its data is not in base64");

    let body = push(&json!({"action": "INSERT", "tag": by_tag}));
    let reception = Delivery::new(&body).path(SECRET).to(&*source("google-artifact-registry", config()));
    assert_eq!(event(&reception).dedup_key, "projects/my-project/subscriptions/supercargo/9911");
    assert_eq!(event(&reception).time.as_ref().unwrap().raw, "2026-02-03T04:05:06.7Z");
    let other = config().with_option("subscriptions", "projects/my-project/subscriptions/another");
    assert!(received(other, &body).starts_with("ignored: subscription "));
    let other = config().with_host("us-docker.pkg.dev");
    assert_eq!(
        received(other, &body),
        "ignored: it is about registry europe-docker.pkg.dev, and this source speaks for us-docker.pkg.dev"
    );
}

/// An issuer whose keys openssl made.
struct Issuer {
    key: RsaKey,
    source: Box<dyn Source>,
    keys: Document,
    now: Timestamp,
}

impl Issuer {
    fn google() -> Self {
        let config = SourceConfig::new([]).with_option("audience", AUDIENCE).with_option("email", EMAIL);
        Self::of(source("google-artifact-registry", config), "https://www.googleapis.com/oauth2/v3/certs")
    }

    fn of(source: Box<dyn Source>, keys: &str) -> Self {
        let keys = Document { url: keys.to_owned(), kind: DocumentKind::KeySet };
        Self { key: RsaKey::new(), source, keys, now: "2026-02-03T04:05:06Z".parse().unwrap() }
    }

    fn set(&self, id: &str) -> String {
        let foreign = json!({"kty": "EC", "kid": "0", "crv": "P-256", "x": "AA", "y": "AA"});
        let own = json!({"kty": "RSA", "alg": "RS256", "use": "sig", "kid": id, "n": self.key.modulus(), "e": "AQAB"});
        json!({"keys": [foreign, own]}).to_string()
    }

    fn learn(&self, id: &str, now: Timestamp) {
        self.source.learn(&self.keys, self.set(id).as_bytes(), now).unwrap();
    }

    fn token(&self, header: &Value, claims: &Value) -> String {
        let signed =
            format!("{}.{}", base64_url(header.to_string().as_bytes()), base64_url(claims.to_string().as_bytes()));
        let signature = base64_url(&self.key.sign("-sha256", signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    fn claims(&self) -> Value {
        json!({
            "iss": "https://accounts.google.com", "aud": AUDIENCE, "azp": "1134", "sub": "1134", "email": EMAIL,
            "email_verified": true, "iat": self.now.as_second(), "exp": self.now.as_second() + 3600
        })
    }

    fn send(&self, token: &str, now: Timestamp) -> String {
        let body = push(&json!({"action": "INSERT", "tag": format!("{IMAGE}:1.0")}));
        let delivery = Delivery::new(body).header("authorization", format!("Bearer {token}")).at(now);
        outcome(&delivery.to(&*self.source))
    }
}

fn header() -> Value {
    json!({"alg": "RS256", "kid": "k1", "typ": "JWT"})
}

#[test]
fn a_token_is_judged_by_all_that_it_says() {
    let issuer = Issuer::google();
    issuer.learn("k1", issuer.now);
    let pushed = format!("pushed {IMAGE}:1.0");
    let check = |change: Value, expected: &str| {
        let mut claims = issuer.claims();
        for (name, value) in change.as_object().unwrap() {
            claims[name] = value.clone();
        }
        assert_eq!(issuer.send(&issuer.token(&header(), &claims), issuer.now), expected, "{change}");
    };
    let now = issuer.now.as_second();
    check(json!({}), &pushed);
    check(json!({"iss": "accounts.google.com"}), &pushed);
    check(json!({"aud": ["other", AUDIENCE]}), &pushed);
    check(json!({"exp": now as f64 + 0.5}), &pushed);
    check(json!({"email_verified": "true"}), &pushed);
    for (change, reason) in [
        (json!({"iss": "https://accounts.google.com.evil.example"}), "is of another issuer"),
        (json!({"iss": null}), "is of another issuer"),
        (json!({"aud": "https://other.example.com"}), "is meant for somebody else"),
        (json!({"aud": []}), "is meant for somebody else"),
        (json!({"aud": null}), "is meant for somebody else"),
        (json!({"email": "other@my-project.iam.gserviceaccount.com"}), "is somebody else's"),
        (json!({"email": null}), "is somebody else's"),
        (json!({"email_verified": false}), "is somebody else's"),
        (json!({"email_verified": null}), "is somebody else's"),
        (json!({"exp": now - 3600}), "has expired"),
        (json!({"exp": null}), "never expires"),
        (json!({"nbf": now + 3600}), "is not valid yet"),
        (json!({"exp": "soon"}), "is no token"),
    ] {
        check(change, &format!("rejected: its token {reason}"));
    }
}

#[test]
fn a_token_is_signed_by_its_issuer_with_its_issuers_algorithm() {
    let issuer = Issuer::google();
    issuer.learn("k1", issuer.now);
    let claims = issuer.claims();
    let good = issuer.token(&header(), &claims);
    assert_eq!(issuer.send(&good, issuer.now), format!("pushed {IMAGE}:1.0"));
    // Without a key's name every key is tried.
    assert_eq!(
        issuer.send(&issuer.token(&json!({"alg": "RS256"}), &claims), issuer.now),
        format!("pushed {IMAGE}:1.0")
    );

    let (signed, signature) = good.rsplit_once('.').unwrap();
    let unsigned = |header: Value| {
        format!("{}.{}.", base64_url(header.to_string().as_bytes()), base64_url(claims.to_string().as_bytes()))
    };
    let other = RsaKey::new();
    let forged = format!("{signed}.{}", base64_url(&other.sign("-sha256", signed.as_bytes())));
    // The public key used as if it were a shared secret.
    let confused = json!({"alg": "HS256", "kid": "k1"});
    let confused_text = unsigned(confused);
    let mac = crate::kit::openssl(
        &["sha256", "-hmac", &issuer.key.modulus(), "-binary"],
        confused_text.trim_end_matches('.').as_bytes(),
    );
    for (token, reason) in [
        (unsigned(json!({"alg": "none"})), "its token is not signed with RS256"),
        (unsigned(json!({"alg": "None", "kid": "k1"})), "its token is not signed with RS256"),
        (format!("{confused_text}{}", base64_url(&mac)), "its token is not signed with RS256"),
        (
            issuer.token(&json!({"alg": "RS256", "kid": "k1", "crit": ["x"]}), &claims),
            "its token has extensions that are not understood",
        ),
        (unsigned(header()), "its token is not signed by its issuer"),
        (forged, "its token is not signed by its issuer"),
        (format!("{signed}.{}", &signature[4..]), "its token is not signed by its issuer"),
        (issuer.token(&json!({"alg": "RS256", "kid": "k2"}), &claims), "its token is not signed by its issuer"),
        (signed.to_owned(), "its token is no token"),
        ("".to_owned(), "its token is no token"),
        ("a.b.c".to_owned(), "its token is no token"),
        ("a".repeat(20_000), "its token is too long"),
    ] {
        assert_eq!(issuer.send(&token, issuer.now), format!("rejected: {reason}"), "{token}");
    }
    let bare = Delivery::new("{}").to(&*issuer.source);
    assert_eq!(outcome(&bare), "rejected: it carries no bearer token");
    assert!(is_rejected(&bare));
}

#[test]
fn keys_are_asked_for_when_they_are_missing_old_or_new() {
    let issuer = Issuer::google();
    let later = |seconds: i64| issuer.now + SignedDuration::from_secs(seconds);
    let token = |id: &str, now: Timestamp| {
        let mut claims = issuer.claims();
        claims["exp"] = json!(now.as_second() + 3600);
        issuer.token(&json!({"alg": "RS256", "kid": id}), &claims)
    };
    let needs = "needs: https://www.googleapis.com/oauth2/v3/certs";
    let pushed = format!("pushed {IMAGE}:1.0");
    let send = |id: &str, now: Timestamp| issuer.send(&token(id, now), now);
    assert_eq!(send("k1", issuer.now), needs);
    assert!(issuer.source.learn(&issuer.keys, br#"{"keys": []}"#, issuer.now).is_err());
    let elsewhere = Document { url: "https://evil.example/certs".to_owned(), kind: DocumentKind::KeySet };
    assert!(issuer.source.learn(&elsewhere, issuer.set("k1").as_bytes(), issuer.now).is_err());
    issuer.learn("k1", issuer.now);
    assert_eq!(send("k1", issuer.now), pushed);
    // A key that is not in the set may be a new one, but not every minute.
    assert_eq!(send("k2", later(60)), "rejected: its token is not signed by its issuer");
    assert_eq!(send("k2", later(3600)), needs);
    issuer.learn("k2", later(3600));
    assert_eq!(send("k2", later(3600)), pushed);
    assert_eq!(send("k2", later(3600 + 24 * 3600)), needs, "a day is over");
    // What would not do anyway asks for nothing.
    let expired = issuer.token(&header(), &issuer.claims());
    assert_eq!(issuer.send(&expired, later(3 * 24 * 3600)), "rejected: its token has expired");
}

#[test]
fn entra_id_tokens_prove_event_grid() {
    let tenant = "11111111-2222-3333-4444-555555555555";
    let config = SourceConfig::new([]).with_option("tenant", tenant).with_option("audience", "api://supercargo");
    let url = format!("https://login.microsoftonline.com/{tenant}/discovery/v2.0/keys");
    let issuer = Issuer::of(source("event-grid", config), &url);
    issuer.learn("k1", issuer.now);
    let body = json!([{"id": "1", "topic": "/x/registries/contoso", "eventType": "ImagePushed", "data": {
        "target": {"repository": "app", "tag": "1"}
    }}]);
    let send = |claims: Value| {
        let token = issuer.token(&header(), &claims);
        outcome(&Delivery::new(&body).header("authorization", format!("Bearer {token}")).to(&*issuer.source))
    };
    let exp = issuer.now.as_second() + 3600;
    let event_grid = "4962773b-9cdb-44cf-a8bf-237846a00ab7";
    let v1 = json!({"iss": format!("https://sts.windows.net/{tenant}/"), "aud": "api://supercargo", "appid": event_grid, "exp": exp});
    let v2 = json!({"iss": format!("https://login.microsoftonline.com/{tenant}/v2.0"), "aud": "api://supercargo", "azp": event_grid, "exp": exp});
    let pushed = "pushed contoso.azurecr.io/app:1";
    assert_eq!(send(v1.clone()), pushed);
    assert_eq!(send(v2.clone()), pushed);
    let change = |mut claims: Value, name: &str, value: &str| {
        claims[name] = json!(value);
        send(claims)
    };
    assert_eq!(change(v1.clone(), "appid", "another"), "rejected: its token is somebody else's");
    assert_eq!(change(v2.clone(), "azp", "another"), "rejected: its token is somebody else's");
    assert_eq!(change(v2, "aud", "api://other"), "rejected: its token is meant for somebody else");
    assert_eq!(change(v1, "iss", "https://sts.windows.net/another/"), "rejected: its token is of another issuer");
}

#[test]
fn eventbridge_sends_the_tokens_of_an_issuer_of_ones_own() {
    let config = SourceConfig::new([])
        .with_option("issuer", "https://id.example.com")
        .with_option("audience", "supercargo")
        .with_option("key-set", "https://id.example.com/keys");
    let issuer = Issuer::of(source("eventbridge", config), "https://id.example.com/keys");
    let claims = json!({"iss": "https://id.example.com", "aud": "supercargo", "exp": issuer.now.as_second() + 60});
    let token = issuer.token(&header(), &claims);
    let delivery = Delivery::new("{}").header("authorization", format!("Bearer {token}"));
    let reception = delivery.to(&*issuer.source);
    assert_eq!(reception.verdict, Verdict::Needs(issuer.keys.clone()));
    issuer.learn("k1", issuer.now);
    assert!(outcome(&delivery.to(&*issuer.source)).starts_with("malformed: "));
}

#[test]
fn an_audience_without_an_email_proves_nothing() {
    let message = refused("google-artifact-registry", SourceConfig::new([]).with_option("audience", AUDIENCE));
    assert!(message.contains("tokens take the options `audience` and `email`, both"), "{message}");
}
