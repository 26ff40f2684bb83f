//! Amazon ECR: against `moto`, where that emulates it, and against a stand-in written from the API reference for what
//! it does not: pages, the archive, throttling, tokens that end.

mod fake;
mod moto;

use std::sync::Arc;

use futures_util::TryStreamExt;
use futures_util::future::join_all;
use serde_json::json;
use supercargo_registry::aws_credential_types::Credentials;
use supercargo_registry::aws_credential_types::provider::{ProvideCredentials, error::CredentialsError, future};
use supercargo_registry::{
    Capabilities, Credential, EcrOptions, EcrRegistry, EcrRegistryBuilder, Error, ErrorKind, Filter, Listing, Registry,
    Repository, Result, Tag,
};
use supercargo_testkit::{ImageBuilder, Layer, RegistryServer};
use wiremock::matchers::{body_string_contains, header, method};
use wiremock::{Mock, MockServer, ResponseTemplate};

use self::fake::{FakeEcr, FakeImage, refusal};
use crate::support::{MANIFEST, app, digest, document, image_manifest, on_get, quick, target};

const HOST: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
const LATEST: &str = "/v2/team/app/manifests/latest";

/// A registry at [`HOST`] whose API is `api` and whose `/v2/` is at `v2`.
fn builder(api: &str, v2: &str) -> EcrRegistryBuilder {
    let options = EcrOptions {
        endpoint: Some(api.parse().unwrap()),
        v2_endpoint: Some(format!("http://{v2}").parse().unwrap()),
        ..EcrOptions::default()
    };
    EcrRegistry::builder(HOST.parse().unwrap())
        .with_options(options)
        .with_transport(quick())
        .with_aws_credentials(Credentials::new("AKIAOWN", "secret", None, None, "tests"))
}

/// A registry whose `/v2/` is not needed.
fn listing(fake: &FakeEcr) -> EcrRegistry {
    builder(&fake.uri(), "127.0.0.1:1").build().unwrap()
}

async fn tags(registry: &EcrRegistry) -> Result<Vec<Tag>> {
    registry.tags(&app()).try_collect().await
}

async fn repositories(registry: &EcrRegistry) -> Result<Vec<Repository>> {
    registry.repositories().try_collect().await
}

/// A tag of a list that names it and no more.
fn untold(name: &str) -> Tag {
    Tag { name: name.parse().unwrap(), digest: None, pushed_at: None }
}

fn hint(error: &Error) -> &str {
    error.hint().unwrap_or_default()
}

#[tokio::test]
async fn lists_come_by_the_thousand() {
    let fake = FakeEcr::start().await;
    fake.set_repositories((0..1500).map(|number| format!("team/app-{number:04}")));
    let untagged = (0..1000).map(|number| FakeImage::new(format!("child {number}"), &[]));
    let tagged = (0..2500).map(|number| FakeImage::new(format!("image {number}"), &[&format!("v{number}")]));
    fake.set_images("team/app", untagged.chain(tagged));
    let registry = listing(&fake);

    let found = repositories(&registry).await.unwrap();
    assert_eq!(found.len(), 1500);
    assert_eq!(found[1499].as_str(), "team/app-1499");
    assert_eq!(fake.count("DescribeRepositories").await, 2);

    let found = tags(&registry).await.unwrap();
    assert_eq!(found.len(), 2500);
    assert_eq!((found[7].name.as_str(), found[7].digest.as_ref()), ("v7", Some(&digest(b"image 7"))));
    assert_eq!(found[7].pushed_at, Some(fake::PUSHED.parse().unwrap()));
    assert_eq!(fake.count("DescribeImages").await, 3, "images without tags cost nothing");
    assert_eq!(registry.capabilities().repositories, Listing::Complete);
}

#[tokio::test]
async fn an_endpoint_goes_before_what_the_host_says() {
    let fake = FakeEcr::start().await;
    fake.set_images("team/app", [FakeImage::new("image", &["latest"])]);
    for host in ["123456789012.dkr.ecr-fips.us-east-1.amazonaws.com", "123456789012.dkr-ecr-fips.us-east-1.on.aws"] {
        let options = EcrOptions { endpoint: Some(fake.uri().parse().unwrap()), ..EcrOptions::default() };
        let registry = EcrRegistry::builder(host.parse().unwrap()).with_options(options).with_transport(quick());
        let registry = registry.with_aws_credentials(Credentials::new("AKIAOWN", "secret", None, None, "tests"));
        assert_eq!(tags(&registry.build().unwrap()).await.unwrap().len(), 1, "{host}");
    }
}

#[tokio::test]
async fn repositories_that_are_named_or_filtered() {
    let fake = FakeEcr::start().await;
    fake.set_repositories(["team/app", "team/legacy", "tools/build"]);
    let open = || builder(&fake.uri(), "127.0.0.1:1");
    let filter = Filter::new(&[format!("{HOST}/team/*")], &["*legacy*".to_owned()]).unwrap();
    let registry = open().with_filter(filter.clone()).build().unwrap();
    assert_eq!(repositories(&registry).await.unwrap(), [app()]);

    let named: [Repository; 2] = [app(), "team/legacy".parse().unwrap()];
    let registry = open().with_filter(filter).with_repositories(named).build().unwrap();
    let before = fake.count("DescribeRepositories").await;
    assert_eq!(repositories(&registry).await.unwrap(), [app()]);
    assert_eq!(fake.count("DescribeRepositories").await, before, "the API is not asked for what is named");
    assert_eq!(registry.capabilities().repositories, Listing::Configured);
}

#[tokio::test]
async fn what_is_attached_to_images_is_no_image() {
    let fake = FakeEcr::start().await;
    let image = FakeImage::new("image", &["latest"]);
    let note = FakeImage::new("note", &["a-note"]).about(&image);
    fake.set_images("team/app", [image, note]);
    let found = tags(&listing(&fake)).await.unwrap();
    assert_eq!(found.iter().map(|tag| tag.name.as_str()).collect::<Vec<_>>(), ["latest"]);
}

#[tokio::test]
async fn an_archived_image_is_not_deleted() {
    let fake = FakeEcr::start().await;
    fake.set_images(
        "team/app",
        [
            FakeImage::new("here", &["here"]),
            FakeImage::new("archived", &["archived"]).with_status("ARCHIVED"),
            FakeImage::new("restoring", &["restoring"]).with_status("ACTIVATING"),
        ],
    );
    // `/v2/` answers 404 for what is archived (Amazon ECR User Guide, Archiving an image).
    let v2 = RegistryServer::builder().with_basic_auth("AWS", "token-1").start().await.unwrap();
    let registry = builder(&fake.uri(), &v2.host()).build().unwrap();

    let listed = tags(&registry).await.unwrap();
    assert_eq!(listed.iter().map(|tag| tag.name.as_str()).collect::<Vec<_>>(), ["here", "archived", "restoring"]);

    let by_digest = digest(b"archived").to_string();
    for name in ["archived", &by_digest] {
        let error = registry.resolve(&app(), &target(name)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.to_string().ends_with("the image is archived"), "{error}");
        assert!(hint(&error).contains("restore it"), "{error:?}");
    }
    let error = registry.manifest(&app(), &target("archived")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);

    let error = registry.resolve(&app(), &target("restoring")).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Unavailable, true));

    for gone in ["no-such-tag", digest(b"nothing").as_ref()] {
        let error = registry.resolve(&app(), &target(gone)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    }
    let error = registry.resolve(&"team/none".parse().unwrap(), &target("v1")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");

    fake.deny("DescribeImages");
    let error = registry.resolve(&app(), &target("no-such-tag")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "without the API's word nothing is gone: {error}");
    assert!(hint(&error).contains("ecr:DescribeImages"), "{error:?}");
}

#[tokio::test]
async fn throttled_calls_are_repeated() {
    let fake = FakeEcr::start().await;
    fake.set_images("team/app", [FakeImage::new("image", &["latest"])]);
    // The second is what Amazon's page of ECR's errors names, and the SDK does not know.
    for code in ["ThrottlingException", "ThrottleException"] {
        fake.refuse_next([refusal(400, code, "Rate exceeded")]);
        assert_eq!(tags(&listing(&fake)).await.unwrap().len(), 1, "{code}");
    }
    fake.refuse_next([refusal(500, "ServerException", "later"), refusal(503, "", "later")]);
    assert_eq!(tags(&listing(&fake)).await.unwrap().len(), 1);

    fake.refuse_next((0..3).map(|_| refusal(400, "ThrottleException", "Rate exceeded")));
    let error = tags(&listing(&fake)).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::RateLimited, true), "{error}");
}

#[tokio::test]
async fn refusals_say_what_to_allow() {
    let fake = FakeEcr::start().await;
    fake.set_repositories(["team/app"]);
    fake.set_images("team/app", [FakeImage::new("image", &["latest"])]);
    let v2 = MockServer::start().await;
    on_get(&v2, "/v2/", ResponseTemplate::new(200)).await;
    let host = v2.address().to_string();
    let open = || builder(&fake.uri(), &host).build().unwrap();
    open().check().await.unwrap();

    for (action, step) in [("DescribeRepositories", "list"), ("GetAuthorizationToken", "get a token for /v2/")] {
        fake.deny(action);
        let error = open().check().await.unwrap_err();
        fake.allow(action);
        assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
        assert!(error.to_string().starts_with(&format!("check {HOST}: {step}: ecr:{action}")), "{error}");
        assert!(error.to_string().contains("is not authorized to perform"), "with the service's own words: {error}");
        assert!(hint(&error).contains(&format!("allow ecr:{action}")), "{error:?}");
    }
    fake.deny("DescribeImages");
    let named = builder(&fake.uri(), &host).with_repositories([app()]).build().unwrap();
    let error = named.check().await.unwrap_err();
    assert!(hint(&error).contains("ecr:DescribeImages"), "what is named is not listed: {error:?}");

    let denied =
        json!({"errors": [{"code": "DENIED", "message": "User: arn:aws:iam::123456789012:user/u is not authorized"}]});
    on_get(&v2, LATEST, ResponseTemplate::new(403).set_body_json(denied)).await;
    let error = open().manifest(&app(), &target("latest")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(hint(&error).contains("ecr:BatchGetImage"), "{error:?}");
}

#[tokio::test]
async fn credentials_that_are_not_good() {
    let fake = FakeEcr::start().await;
    for (code, kind, part) in [
        ("UnrecognizedClientException", ErrorKind::Unauthorized, "renew them"),
        ("ExpiredTokenException", ErrorKind::Unauthorized, "renew them"),
        ("InvalidSignatureException", ErrorKind::Unauthorized, "clock"),
    ] {
        fake.refuse_next([refusal(400, code, "no")]);
        let error = tags(&listing(&fake)).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(hint(&error).contains(part), "{error:?}");
        assert!(!error.is_retryable());
    }
    let none = builder(&fake.uri(), "127.0.0.1:1").with_aws_credentials(NoCredentials).build().unwrap();
    let error = none.check().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Credential, "{error}");
    assert!(error.to_string().starts_with(&format!("check {HOST}: sign in to AWS")), "{error}");
    assert!(hint(&error).contains("Pod Identity"), "{error:?}");

    let away = builder("http://127.0.0.1:1", "127.0.0.1:1").build().unwrap();
    let error = tags(&away).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Network, true), "{error}");
}

#[tokio::test]
async fn one_token_serves_all_requests_until_it_ends() {
    let fake = FakeEcr::start().await;
    let image = ImageBuilder::new().with_layer(Layer::new().file("a", "1"), "COPY").build();
    let v2 = RegistryServer::builder().with_basic_auth("AWS", "token-1").start().await.unwrap();
    v2.push(&image, "team/app", "latest");
    let registry = builder(&fake.uri(), &v2.host()).build().unwrap();
    let reads = join_all((0..20).map(|_| async { registry.manifest(&app(), &target("latest")).await })).await;
    assert!(reads.iter().all(std::result::Result::is_ok));
    assert_eq!(fake.count("GetAuthorizationToken").await, 1);
    assert_eq!(v2.count_requests(|request| request.authorization.is_none()), 0, "it is not asked what it wants");
}

#[tokio::test]
async fn an_expired_token_is_renewed() {
    let fake = FakeEcr::start().await;
    let v2 = MockServer::start().await;
    // AWS:token-2
    Mock::given(header("authorization", "Basic QVdTOnRva2VuLTI="))
        .respond_with(document(MANIFEST, image_manifest()))
        .with_priority(1)
        .mount(&v2)
        .await;
    let expired = json!({"errors": [{
        "code": "DENIED", "message": "Your authorization token has expired. Reauthenticate and try again."
    }]});
    on_get(&v2, LATEST, ResponseTemplate::new(403).set_body_json(expired)).await;
    let registry = builder(&fake.uri(), &v2.address().to_string()).build().unwrap();
    let reads = join_all((0..8).map(|_| async { registry.manifest(&app(), &target("latest")).await })).await;
    assert!(reads.iter().all(std::result::Result::is_ok), "{reads:?}");
    assert_eq!(fake.count("GetAuthorizationToken").await, 2, "one new token is enough for all");
}

#[tokio::test]
async fn a_role_is_assumed_with_its_external_id() {
    let fake = FakeEcr::start().await;
    fake.set_images("team/app", [FakeImage::new("image", &["latest"])]);
    let sts = MockServer::start().await;
    let role = "arn:aws:iam::123456789012:role/reader";
    Mock::given(method("POST"))
        .and(body_string_contains("Action=AssumeRole"))
        .and(body_string_contains("RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Freader"))
        .and(body_string_contains("ExternalId=the-id"))
        .and(body_string_contains("RoleSessionName=night-watch"))
        .respond_with(ResponseTemplate::new(200).set_body_raw(fake::ASSUMED, "text/xml"))
        .with_priority(1)
        .mount(&sts)
        .await;
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(403).set_body_raw(fake::NOT_ASSUMED, "text/xml"))
        .mount(&sts)
        .await;
    let open = |external_id: &str| {
        let options = EcrOptions {
            endpoint: Some(fake.uri().parse().unwrap()),
            sts_endpoint: Some(sts.uri().parse().unwrap()),
            role_arn: Some(role.to_owned()),
            external_id: Some(external_id.to_owned()),
            session_name: Some("night-watch".to_owned()),
            ..EcrOptions::default()
        };
        builder(&fake.uri(), "127.0.0.1:1").with_options(options).build().unwrap()
    };

    assert_eq!(tags(&open("the-id")).await.unwrap().len(), 1);
    let signed = fake.authorizations().await;
    assert!(signed.iter().all(|header| header.contains("Credential=ASIAASSUMED/")), "{signed:?}");
    assert!(signed[0].contains("/eu-west-1/ecr/aws4_request"), "{signed:?}");

    let error = tags(&open("another")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Credential, "{error}");
    assert!(error.to_string().contains(&format!("assume {role}")), "{error}");
    assert!(error.to_string().contains("not authorized to perform: sts:AssumeRole"), "{error}");
    assert!(hint(&error).contains("external-id"), "{error:?}");
}

#[tokio::test]
async fn docker_signs_in_where_aws_cannot() {
    let image = ImageBuilder::new().with_layer(Layer::new().file("a", "1"), "COPY").build();
    let v2 = RegistryServer::builder().with_basic_auth("AWS", "by-docker").start().await.unwrap();
    v2.push(&image, "team/app", "latest");
    let docker = |password: &str| Arc::new(Credential::basic("AWS", password));
    let open = || builder("http://127.0.0.1:1", &v2.host()).with_aws_credentials(NoCredentials);
    let registry = open().with_docker_credentials(docker("by-docker")).build().unwrap();
    registry.check().await.unwrap();
    assert_eq!(repositories(&registry).await.unwrap(), [app()]);
    let found = tags(&registry).await.unwrap();
    assert_eq!(found, [untold("latest")], "without digests and times");
    let expected = Capabilities {
        repositories: Listing::Catalog,
        tag_digests: false,
        tag_times: false,
        push_referrers: true,
        local: false,
        sparse: false,
    };
    assert_eq!(registry.capabilities(), expected);
    registry.manifest(&app(), &target("latest")).await.unwrap();
    assert_eq!(registry.resolve(&app(), &target("gone")).await.unwrap_err().kind(), ErrorKind::NotFound);

    // A role is asked for by name: nothing stands in for it.
    let options = EcrOptions { role_arn: Some("arn:aws:iam::123456789012:role/r".to_owned()), ..EcrOptions::default() };
    let role = open().with_docker_credentials(docker("by-docker")).with_options(options).build().unwrap();
    assert_eq!(role.check().await.unwrap_err().kind(), ErrorKind::Credential);
}

#[tokio::test]
async fn public_registries_are_read_by_the_protocol() {
    let image = ImageBuilder::new().with_layer(Layer::new().file("a", "1"), "COPY").build();
    let v2 = RegistryServer::builder().with_token_auth("AWS", "p").with_anonymous_pull().without_catalog();
    let v2 = v2.start().await.unwrap();
    v2.push(&image, "team/app", "latest");
    let open = || {
        let options =
            EcrOptions { v2_endpoint: Some(format!("http://{}", v2.host()).parse().unwrap()), ..EcrOptions::default() };
        EcrRegistry::builder("public.ecr.aws".parse().unwrap()).with_options(options).with_transport(quick())
    };
    let registry = open().build().unwrap();
    registry.manifest(&app(), &target("latest")).await.unwrap();
    assert_eq!(tags(&registry).await.unwrap(), [untold("latest")]);
    assert!(!registry.capabilities().tag_times);
    let error = repositories(&registry).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(hint(&error).contains("repository="), "{error:?}");
    let named = open().with_repositories([app()]).build().unwrap();
    assert_eq!(repositories(&named).await.unwrap(), [app()]);
    assert_eq!(named.host(), "public.ecr.aws");
}

#[test]
fn host_and_options_must_agree() {
    let build = |host: &str, options: EcrOptions| {
        EcrRegistry::builder(host.parse().unwrap())
            .with_options(options)
            .build()
            .map(|registry| registry.host().to_owned())
    };
    let region = |name: &str| EcrOptions { region: Some(name.to_owned()), ..EcrOptions::default() };
    assert_eq!(build(HOST, EcrOptions::default()).unwrap(), HOST);
    assert_eq!(build("images.example.com", region("eu-west-1")).unwrap(), "images.example.com");
    for (host, options) in [("images.example.com", EcrOptions::default()), (HOST, region("us-east-1"))] {
        let error = build(host, options).unwrap_err();
        assert_eq!((error.kind(), error.problems()[0].key.as_str()), (ErrorKind::Configuration, "region"), "{host}");
    }
}

/// A machine that nobody gave credentials.
#[derive(Debug)]
struct NoCredentials;

impl ProvideCredentials for NoCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(Err(CredentialsError::not_loaded("nobody gave any")))
    }
}
