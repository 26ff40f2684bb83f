//! Docker Hub, GHCR, GitLab, Google Artifact Registry and Quay, as far as they differ: what each of these fakes does is
//! in docs/registries, with where it is known from.

use futures_util::TryStreamExt;
use supercargo_registry::{Credential, ErrorKind, Registry, RegistryExt};

use crate::internet::Internet;
use crate::support::{MANIFEST, digest, image_manifest, target};
use crate::wire::{Act, Head, answer};

/// `user:pass`
const PAIR: &str = "Basic dXNlcjpwYXNz";

fn pair() -> Credential {
    Credential::basic("user", "pass")
}

fn unauthorized(realm: &str, service: &str) -> Vec<Act> {
    let challenge = format!("www-authenticate: Bearer realm=\"{realm}\",service=\"{service}\"\r\n");
    vec![answer(
        "401 Unauthorized",
        &challenge,
        r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#,
    )]
}

fn token(head: &Head, known: &str) -> Vec<Act> {
    match head.header("authorization") {
        Some(sent) if sent == known => vec![answer("200 OK", "", r#"{"token":"opaque"}"#)],
        Some(_) => vec![answer("401 Unauthorized", "", "{}")],
        None => vec![answer("200 OK", "", r#"{"token":"anonymous"}"#)],
    }
}

fn is_known(head: &Head) -> bool {
    head.header("authorization") == Some("Bearer opaque")
}

fn manifest() -> Vec<Act> {
    let headers = format!(
        "content-type: {MANIFEST}\r\ndocker-content-digest: {}\r\nratelimit-limit: 100;w=21600\r\n\
         ratelimit-remaining: 99;w=21600\r\n",
        digest(image_manifest().as_bytes())
    );
    vec![answer("200 OK", &headers, &image_manifest())]
}

/// A manifest's answer to HEAD: its length and no body.
fn manifest_head() -> Vec<Act> {
    let Some(Act::Write(bytes)) = manifest().pop() else { unreachable!() };
    let text = String::from_utf8(bytes).unwrap();
    vec![crate::wire::write(text.split_inclusive("\r\n\r\n").next().unwrap())]
}

fn list(link: &str, body: &str) -> Vec<Act> {
    let link = if link.is_empty() { String::new() } else { format!("link: <{link}>; rel=\"next\"\r\n") };
    vec![answer("200 OK", &format!("{link}content-type: application/json\r\n"), body)]
}

async fn tags(registry: &impl Registry, repository: &str) -> Vec<String> {
    let repository = repository.parse().unwrap();
    let tags: Vec<_> = registry.tags(&repository).try_collect().await.unwrap();
    tags.into_iter().map(|tag| tag.name.to_string()).collect()
}

#[tokio::test]
async fn docker_hub() {
    let internet = Internet::of([
        ("registry-1.docker.io", |head| {
            if !is_known(head) || head.path() == "/v2/_catalog?n=1000" {
                return unauthorized("https://auth.docker.io/token", "registry.docker.io");
            }
            match head.text.split(' ').next() {
                Some("HEAD") => manifest_head(),
                _ => manifest(),
            }
        }),
        ("auth.docker.io", |head| token(head, PAIR)),
    ])
    .await;
    for name in ["docker.io", "index.docker.io", "registry-1.docker.io"] {
        let registry = internet.open(name, pair());
        assert_eq!(registry.host(), "docker.io");
        let nginx = "library/nginx".parse().unwrap();
        let found = registry.resolve(&nginx, &target("latest")).await.unwrap();
        assert_eq!(found.digest(), &digest(image_manifest().as_bytes()));
        let quota = registry.quota().unwrap();
        assert_eq!((quota.remaining, quota.limit), (99, Some(100)));
        let error = registry.repositories().try_collect::<Vec<_>>().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthorized);
        assert!(error.hint().unwrap().contains("repository="), "{error:?}");
    }
    let asked = internet.seen("auth.docker.io");
    assert!(asked[0].path().contains("scope=repository%3Alibrary%2Fnginx%3Apull"), "{asked:?}");
    assert!(asked.iter().all(|head| head.header("authorization") == Some(PAIR)));
    let fetched = internet.seen("registry-1.docker.io");
    assert!(fetched.iter().all(|head| !head.text.starts_with("GET /v2/library")), "a manifest that is fetched counts");
    assert!(
        fetched.iter().all(|head| head.header("authorization") != Some(PAIR)),
        "the password is not the registry's"
    );
}

#[tokio::test]
async fn ghcr() {
    let internet = Internet::of([("ghcr.io", |head| match head.path() {
        path if path.starts_with("/token") => token(head, PAIR),
        "/v2/" if !is_known(head) => unauthorized("https://ghcr.io/token", "ghcr.io"),
        _ if !is_known(head) => unauthorized("https://ghcr.io/token", "ghcr.io"),
        "/v2/acme/app/tags/list?n=1000" => {
            list("/v2/acme/app/tags/list?last=b&n=1000", r#"{"name":"acme/app","tags":["a","b"]}"#)
        }
        "/v2/acme/app/tags/list?last=b&n=1000" => list("", r#"{"name":"acme/app","tags":["c"]}"#),
        _ => vec![answer("404 Not Found", "", "404 page not found")],
    })])
    .await;
    let registry = internet.open("ghcr.io", pair());
    assert_eq!(tags(&registry, "acme/app").await, ["a", "b", "c"]);
    let error = registry.repositories().try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.hint().unwrap().contains("repository="), "{error:?}");
    // No referrers API: the tag is asked for.
    let repository = "acme/app".parse().unwrap();
    let none = registry.referrers(&repository, &digest(b"x")).try_collect::<Vec<_>>().await.unwrap();
    assert!(none.is_empty());
    assert!(internet.seen("ghcr.io").iter().any(|head| head.path().contains("/manifests/sha256-")));
    assert_eq!(registry.client().has_referrers_api(), Some(false));
}

#[tokio::test]
async fn gitlab() {
    let internet = Internet::of([
        ("registry.gitlab.com", |head| match head.path() {
            _ if !is_known(head) => unauthorized("https://gitlab.com/jwt/auth", "container_registry"),
            "/v2/group/project/image/tags/list?n=1000" => list("", r#"{"name":"group/project/image","tags":["a"]}"#),
            _ => vec![answer(
                "403 Forbidden",
                "",
                r#"{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}"#,
            )],
        }),
        ("gitlab.com", |head| token(head, PAIR)),
    ])
    .await;
    let registry = internet.open("registry.gitlab.com", pair());
    assert_eq!(tags(&registry, "group/project/image").await, ["a"]);
    let asked = internet.seen("gitlab.com");
    assert!(asked[0].path().starts_with("/jwt/auth?service=container_registry&"), "{asked:?}");
    assert_eq!(asked[0].header("authorization"), Some(PAIR));
    let error = registry.repositories().try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.hint().unwrap().contains("repository="), "{error:?}");
}

#[tokio::test]
async fn a_gitlab_of_ones_own_keeps_its_token_service_elsewhere_only_if_it_is_named() {
    // registry.example.com with GitLab at gitlab.example.com: a sister, not a parent.
    let internet = Internet::of([
        ("registry.example.com", |_| unauthorized("https://gitlab.example.com/jwt/auth", "container_registry")),
        ("gitlab.example.com", |head| token(head, PAIR)),
    ])
    .await;
    let registry = internet.open("registry.example.com", pair());
    let error = registry.check().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.hint().unwrap().contains("token-host=gitlab.example.com"), "{error:?}");
    assert!(internet.seen("gitlab.example.com").is_empty());
}

#[tokio::test]
async fn google_artifact_registry() {
    const KEY: &str = "{\n  \"type\": \"service_account\",\n  \"private_key\": \"-----BEGIN\\n\"\n}\n";
    let internet = Internet::of([("europe-docker.pkg.dev", |head| match head.path() {
        path if path.starts_with("/v2/token") => {
            let user = head.header("authorization").unwrap_or_default();
            let known = user.starts_with("Basic X2pzb25fa2V5On") || user.starts_with("Basic b2F1dGgyYWNjZXNzdG9rZW46");
            vec![if known { answer("200 OK", "", r#"{"token":"opaque"}"#) } else { answer("401 Unauthorized", "", "") }]
        }
        _ if !is_known(head) => unauthorized("https://europe-docker.pkg.dev/v2/token", ""),
        // More than the specification has.
        "/v2/acme/images/app/tags/list?n=1000" => list(
            "",
            r#"{"child":[],"manifest":{"sha256:aa":{"imageSizeBytes":"1","mediaType":"m","tag":["a"],"timeUploadedMs":"1"}},"name":"acme/images/app","tags":["a"]}"#,
        ),
        _ => vec![answer("404 Not Found", "", r#"{"errors":[{"code":"NAME_UNKNOWN"}]}"#)],
    })])
    .await;
    for credential in [Credential::basic("_json_key", KEY), Credential::basic("oauth2accesstoken", "ya29.a0")] {
        let registry = internet.open("europe-docker.pkg.dev", credential);
        assert_eq!(tags(&registry, "acme/images/app").await, ["a"]);
    }
}

#[tokio::test]
async fn quay() {
    let internet = Internet::of([("quay.io", |head| match head.path() {
        path if path.starts_with("/v2/auth") => token(head, PAIR),
        _ if !is_known(head) => unauthorized("https://quay.io/v2/auth", "quay.io"),
        "/v2/" => vec![answer("200 OK", "content-type: text/html; charset=utf-8\r\n", "true")],
        // An opaque cursor, and a next page after the last one that is empty.
        "/v2/acme/app/tags/list?n=1000" => {
            list("/v2/acme/app/tags/list?n=50&next_page=gAAAAABm%3D%3D", r#"{"name":"acme/app","tags":["a","b"]}"#)
        }
        "/v2/acme/app/tags/list?n=50&next_page=gAAAAABm%3D%3D" => {
            list("/v2/acme/app/tags/list?n=50&next_page=gAAAAABn", r#"{"name":"acme/app","tags":["c"]}"#)
        }
        _ => list("", r#"{"name":"acme/app","tags":[]}"#),
    })])
    .await;
    let registry = internet.open("quay.io", Credential::basic("user", "pass"));
    registry.check().await.unwrap();
    assert_eq!(tags(&registry, "acme/app").await, ["a", "b", "c"]);
}
