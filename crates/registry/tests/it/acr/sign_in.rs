//! Every way to sign in passes the suite; tokens are fetched once, renewed, and shown to nobody else.

use std::process::Command;
use std::time::Duration;

use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use futures_util::future::join_all;
use supercargo_registry::{CredentialProvider, DockerConfig, ErrorKind, Registry, SignIn, conformance};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::conformance::run;
use crate::support::{app, target};

async fn secured() -> (SecureEntra, AcrServer, Fixture) {
    let entra = SecureEntra::start().await;
    let (server, fixture) =
        filled(AcrServer::builder().with_entra(&entra.server).with_identity(APP, everything())).await;
    (entra, server, fixture)
}

#[tokio::test]
async fn client_secret() {
    let (entra, server, fixture) = secured().await;
    entra.server.set_secret(APP, "s3cret");
    let options = AcrOptions { client_secret: Some("s3cret".into()), ..entra.options(AzureIdentity::ClientSecret) };
    run(entra.open(&server, options), &fixture).await;
    assert_eq!(server.count_requests("/oauth2/exchange"), 1);
    assert_eq!(entra.tokens_given(), 1);
}

#[tokio::test]
async fn a_rotated_secret_is_read_again_from_its_file() {
    let (entra, server, fixture) = secured().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "first\n").unwrap();
    entra.server.set_secret(APP, "second");
    let options = AcrOptions { secret_file: Some(file.clone()), ..entra.options(AzureIdentity::ClientSecret) };
    let registry = entra.open(&server, options);
    let error = registry.check().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Credential);

    std::fs::write(&file, "second\n").unwrap();
    let mut last = Some(error);
    // A failure speaks for all who wait for the same token during some seconds.
    let limit = tokio::time::Instant::now() + Duration::from_secs(30);
    while last.is_some() && tokio::time::Instant::now() < limit {
        tokio::time::sleep(Duration::from_millis(50)).await;
        last = registry.check().await.err();
    }
    assert!(last.is_none(), "{last:?}");
    run(registry, &fixture).await;
}

#[tokio::test]
async fn client_certificate() {
    let (entra, server, fixture) = secured().await;
    let folder = tempfile::tempdir().unwrap();
    let openssl = |arguments: &[&str]| {
        let output = Command::new("openssl").current_dir(folder.path()).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    openssl(&["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "a.pem", "-out", "b.pem", "-subj", "/CN=a"]);
    openssl(&["x509", "-in", "b.pem", "-outform", "DER", "-out", "b.der"]);
    let thumbprint = openssl(&["dgst", "-sha256", "-binary", "b.der"]);
    entra.server.set_certificate(APP, &URL_SAFE_NO_PAD.encode(thumbprint));
    let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    let file = folder.path().join("both.pem");
    std::fs::write(&file, [read("a.pem"), read("b.pem")].concat()).unwrap();
    let options = AcrOptions { certificate_file: Some(file), ..entra.options(AzureIdentity::ClientCertificate) };
    run(entra.open(&server, options), &fixture).await;
}

#[tokio::test]
async fn workload_identity() {
    let (entra, server, fixture) = secured().await;
    entra.server.federate(APP, "the token of a service account");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "the token of a service account").unwrap();
    // Found by the chain, since the webhook of Azure's Kubernetes sets what it needs.
    let options = AcrOptions { token_file: Some(file), ..entra.options(AzureIdentity::Auto) };
    run(entra.open(&server, options), &fixture).await;
}

#[tokio::test]
async fn managed_identity() {
    let entra = EntraServer::start().await.unwrap();
    let (server, fixture) = filled(
        AcrServer::builder().with_entra(&entra).with_identity("system", everything()).with_identity(APP, everything()),
    )
    .await;
    let led = Led::to(&entra);
    let open = |identity, client_id: Option<&str>| {
        let options = AcrOptions { identity, client_id: client_id.map(str::to_owned), ..AcrOptions::default() };
        builder(&server).with_options(options).with_http_client(Arc::clone(&led) as _).build().unwrap()
    };
    // A machine without an identity says so.
    let error = open(AzureIdentity::Managed, None).check().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Credential);
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(cause, "tried managed (The requested identity has not been assigned to this resource)");

    entra.set_system_identity("system");
    run(open(AzureIdentity::Managed, None), &fixture).await;
    entra.assign_identity(APP);
    run(open(AzureIdentity::Managed, Some(APP)), &fixture_of_another(&server).await).await;
    // The chain finds the machine's by itself.
    open(AzureIdentity::Auto, None).check().await.unwrap();
    assert!(led.asked().iter().all(|origin| origin == "http://169.254.169.254"), "{:?}", led.asked());
}

/// The suite attaches a referrer, so it runs once on the same content.
async fn fixture_of_another(server: &AcrServer) -> Fixture {
    let mut fixture = Fixture::sample();
    fixture.repository = "conformance/another".parse().unwrap();
    for part in parts(&fixture) {
        server.push(&part, fixture.repository.as_str(), &part.tag);
    }
    for manifest in fixture.manifests.iter().filter(|manifest| manifest.tag.is_none()) {
        server.delete_tag(fixture.repository.as_str(), &format!("by-{}", manifest.digest().digest()));
    }
    fixture
}

#[derive(Debug)]
struct Own(String);

#[async_trait]
impl TokenCredential for Own {
    async fn get_token(&self, scopes: &[&str], _: Option<TokenRequestOptions<'_>>) -> azure_core::Result<AccessToken> {
        assert_eq!(scopes, ["https://containerregistry.azure.net/.default"]);
        Ok(AccessToken::new(
            self.0.clone(),
            azure_core::time::OffsetDateTime::now_utc() + azure_core::time::Duration::hours(1),
        ))
    }
}

#[tokio::test]
async fn a_credential_of_ones_own() {
    let entra = EntraServer::start().await.unwrap();
    let (server, fixture) = filled(AcrServer::builder().with_entra(&entra).with_identity(APP, everything())).await;
    let token = entra.token(APP, "https://containerregistry.azure.net");
    run(builder(&server).with_token_credential(Arc::new(Own(token))).build().unwrap(), &fixture).await;
}

#[tokio::test]
async fn developer_tools() {
    let entra = EntraServer::start().await.unwrap();
    let (server, fixture) = filled(AcrServer::builder().with_entra(&entra).with_identity(APP, everything())).await;
    let token = entra.token(APP, "https://containerregistry.azure.net");
    // What `az account get-access-token -o json` prints, by its reference.
    let printed = serde_json::json!({"accessToken": token, "expires_on": 4_102_444_800_i64, "tokenType": "Bearer"});
    let options = AcrOptions { identity: AzureIdentity::Developer, ..AcrOptions::default() };
    let tools = Arc::new(Tools { az: Some(printed.to_string()) });
    run(builder(&server).with_options(options).with_tool_runner(tools).build().unwrap(), &fixture).await;
}

#[tokio::test]
async fn tokens_of_the_registry() {
    let name = "docker-scout-readonly-token";
    let (server, fixture) = filled(AcrServer::builder().with_token(name, "pass", everything())).await;
    run(open_as(&server, name, "pass"), &fixture).await;
    let schemes: Vec<_> = server.requests().into_iter().filter_map(|request| request.authorization).collect();
    assert!(schemes.contains(&"Bearer".to_owned()));

    server.clear_requests();
    let fixture = fixture_of_another(&server).await;
    let transport = TransportConfig { sign_in: SignIn::Basic, ..quick() };
    let registry =
        builder(&server).with_credentials(Arc::new(Credential::basic(name, "pass"))).with_transport(transport);
    run(registry.build().unwrap(), &fixture).await;
    assert_eq!(server.count_requests("/oauth2/"), 0, "no token is bought for what a password opens");
}

#[tokio::test]
async fn what_docker_login_left() {
    let (server, _) = filled(AcrServer::builder().with_token("somebody", "pass", everything())).await;
    let token = server.refresh_token("somebody");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.json");
    let auth = STANDARD.encode("00000000-0000-0000-0000-000000000000:");
    let host = server.host();
    let config = serde_json::json!({"auths": {host: {"auth": auth, "identitytoken": token}}});
    std::fs::write(&file, config.to_string()).unwrap();
    // `docker-credential-acr-env` and `az acr login --expose-token` give the same as a password.
    let null_user = Credential::basic("00000000-0000-0000-0000-000000000000", token);
    let providers: [Arc<dyn CredentialProvider>; 2] = [Arc::new(DockerConfig::new(file)), Arc::new(null_user)];
    for provider in providers {
        let registry = builder(&server).with_credentials(provider).build().unwrap();
        run(registry, &fixture_of_another(&server).await).await;
        let posts = server.requests().into_iter().filter(|request| request.method == "POST");
        assert!(posts.filter(|request| request.path == "/oauth2/token").count() > 0);
        server.clear_requests();
        server.content().remove_repository("conformance/another");
    }
}

#[tokio::test]
async fn a_login_that_has_run_out_gives_way_to_an_identity() {
    let entra = EntraServer::start().await.unwrap();
    let (server, _) = filled(
        AcrServer::builder()
            .with_entra(&entra)
            .with_identity(APP, everything())
            .with_token("somebody", "pass", everything())
            .with_refresh_token_life(Duration::ZERO),
    )
    .await;
    let given = Credential::Identity { token: server.refresh_token("somebody").into() };
    let token = entra.token(APP, "https://containerregistry.azure.net");
    let registry =
        builder(&server).with_credentials(Arc::new(given)).with_token_credential(Arc::new(Own(token))).build().unwrap();
    // The registry's own tokens are over as they are made, too; that it was asked is what counts here.
    let _ = registry.check().await;
    assert!(server.count_requests("/oauth2/exchange") > 0);
}

#[tokio::test]
async fn everybody_may_pull() {
    let (server, fixture) = filled(AcrServer::builder().with_anonymous_pull()).await;
    let options = AcrOptions { identity: AzureIdentity::None, ..AcrOptions::default() };
    let registry =
        builder(&server).with_options(options).with_repositories([fixture.repository.clone()]).build().unwrap();
    registry.check().await.unwrap();
    conformance::lists(&registry, &fixture).await;
    assert!(!registry.capabilities().tag_digests, "metadata is not for everybody");
    conformance::manifests(&registry, &fixture).await;
    conformance::missing(&registry, &fixture).await;
    conformance::blobs(&registry, &fixture).await;
    conformance::images(&registry, &fixture).await;
}

#[tokio::test]
async fn many_who_start_at_once_buy_one_token() {
    let (entra, server, _) = secured().await;
    entra.server.set_secret(APP, "s3cret");
    server.push(&image("app"), "team/app", "latest");
    let options = AcrOptions { client_secret: Some("s3cret".into()), ..entra.options(AzureIdentity::ClientSecret) };
    let registry = entra.open(&server, options);
    let latest = target("latest");
    let repository = app();
    let all = join_all((0..20).map(|_| registry.manifest(&repository, &latest))).await;
    assert!(all.iter().all(Result::is_ok), "{all:?}");
    assert_eq!(server.count_requests("/oauth2/exchange"), 1);
    assert_eq!(server.count_requests("/oauth2/token"), 1);
}

#[tokio::test]
async fn tokens_that_were_taken_back_are_renewed() {
    let (entra, server, _) = secured().await;
    entra.server.set_secret(APP, "s3cret");
    server.push(&image("app"), "team/app", "latest");
    let options = AcrOptions { client_secret: Some("s3cret".into()), ..entra.options(AzureIdentity::ClientSecret) };
    let registry = entra.open(&server, options);
    registry.manifest(&app(), &target("latest")).await.unwrap();
    server.expire_access_tokens();
    registry.manifest(&app(), &target("latest")).await.unwrap();
    assert_eq!(server.count_requests("/oauth2/exchange"), 1, "the refresh token is still good");
    server.expire_access_tokens();
    server.expire_refresh_tokens();
    registry.manifest(&app(), &target("latest")).await.unwrap();
    assert_eq!(server.count_requests("/oauth2/exchange"), 2);
}

#[tokio::test]
async fn a_refresh_token_is_renewed_before_it_ends() {
    let entra = SecureEntra::start().await;
    entra.server.set_secret(APP, "s3cret");
    let builder = AcrServer::builder().with_entra(&entra.server).with_identity(APP, everything());
    let (server, _) = filled(builder.with_refresh_token_life(Duration::from_secs(4))).await;
    server.push(&image("app"), "team/app", "latest");
    let options = AcrOptions { client_secret: Some("s3cret".into()), ..entra.options(AzureIdentity::ClientSecret) };
    let registry = entra.open(&server, options);
    let limit = tokio::time::Instant::now() + Duration::from_secs(30);
    while server.count_requests("/oauth2/exchange") < 3 && tokio::time::Instant::now() < limit {
        registry.manifest(&app(), &target("latest")).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(server.count_requests("/oauth2/exchange") >= 3);
    let refused =
        server.requests().into_iter().filter(|request| request.path == "/oauth2/token" && request.status == 401);
    assert_eq!(refused.count(), 0, "it was never sent when it was over");
}

#[tokio::test]
async fn an_old_token_serves_while_a_new_one_is_not_to_be_had() {
    let entra = SecureEntra::start().await;
    entra.server.set_secret(APP, "s3cret");
    let builder = AcrServer::builder().with_entra(&entra.server).with_identity(APP, everything());
    // Half a life early: after six seconds, with six to spare.
    let (server, _) = filled(builder.with_refresh_token_life(Duration::from_secs(12))).await;
    server.push(&image("app"), "team/app", "latest");
    let options = AcrOptions { client_secret: Some("s3cret".into()), ..entra.options(AzureIdentity::ClientSecret) };
    let registry = entra.open(&server, options);
    registry.manifest(&app(), &target("latest")).await.unwrap();
    server.inject(supercargo_testkit::Fault::new(503).on_path("/oauth2/exchange").with_times(1000));
    let limit = tokio::time::Instant::now() + Duration::from_secs(11);
    while server.count_requests("/oauth2/exchange") < 2 && tokio::time::Instant::now() < limit {
        registry.manifest(&app(), &target("latest")).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(server.count_requests("/oauth2/exchange") > 1, "a renewal was tried");
    registry.manifest(&app(), &target("latest")).await.unwrap();
}

#[tokio::test]
async fn a_token_of_entras_goes_nowhere_else() {
    let other = MockServer::start().await;
    let server = MockServer::start().await;
    let elsewhere = ResponseTemplate::new(307).insert_header("location", format!("{}/catch", other.uri()).as_str());
    Mock::given(method("POST")).and(path("/oauth2/exchange")).respond_with(elsewhere).mount(&server).await;
    let registry = AcrRegistry::builder(server.address().to_string().parse().unwrap())
        .with_transport(quick())
        .with_token_credential(Arc::new(Own("a token of somebody".into())))
        .build()
        .unwrap();
    let error = registry.check().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error:?}");
    assert!(other.received_requests().await.unwrap().is_empty());
    assert!(!format!("{error:?}").contains("a token of somebody"));
}
