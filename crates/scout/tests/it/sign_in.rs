use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use supercargo_scout::{Credential, CredentialSource, DockerConfig, Error, ErrorKind, Result, ScoutClient};
use supercargo_testkit::{ScoutFault, ScoutServer};

use crate::support::{SECRET, client, config, service};

fn exchanges(server: &ScoutServer) -> usize {
    server.count_requests("/v2/auth/token")
}

#[tokio::test]
async fn one_exchange_serves_all_who_wait_for_it() {
    let (server, client) = service().await;
    server.set_latency(Duration::from_millis(20));
    let calls = (0..20).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { client.enables_on_push().await })
    });
    for call in calls.collect::<Vec<_>>() {
        assert!(!call.await.unwrap().unwrap());
    }
    assert_eq!((exchanges(&server), server.count_requests("/graphql")), (1, 20));
    server.shutdown().await;
}

/// Calls until `seen`, every call well.
async fn call_until(client: &ScoutClient, seen: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !seen() {
        assert!(Instant::now() < deadline, "not seen in time");
        client.enables_on_push().await.unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_token_is_renewed_before_it_expires() {
    let builder = ScoutServer::builder().with_credentials("acme", SECRET).with_token_lifetime(Duration::from_secs(3));
    let server = builder.start().await.unwrap();
    let client = client(&server);
    client.sign_in().await.unwrap();
    let answers = |status: u16| server.requests().iter().filter(|request| request.status == status).count();

    // A renewal ahead of time that fails is not noticed: the token is still good.
    server.inject(ScoutFault::status(503).on_path("/v2/auth/token").with_times(usize::MAX));
    call_until(&client, || answers(503) >= 4).await;
    server.clear_faults();
    call_until(&client, || exchanges(&server) > answers(503) + 1).await;
    // Nothing was ever sent with a token that was no good any more.
    assert_eq!(answers(401), 0);
    server.shutdown().await;
}

#[tokio::test]
async fn an_expired_token_is_renewed_and_the_call_repeated_once() {
    let (server, client) = service().await;
    client.enroll().await.unwrap();
    server.expire_tokens();
    assert!(client.entitlements().await.unwrap().is_enrolled);
    assert_eq!(exchanges(&server), 2);

    // The same where the refusal comes as a GraphQL error.
    server.inject(ScoutFault::graphql("UNAUTHENTICATED", Some(401)));
    assert!(client.entitlements().await.unwrap().is_enrolled);
    assert_eq!(exchanges(&server), 3);

    // Twice in a row is no matter of age.
    server.inject(ScoutFault::status(401).on_path("/graphql").with_times(2));
    let before = server.count_requests("/graphql");
    assert_eq!(client.entitlements().await.unwrap_err().kind(), ErrorKind::Unauthorized);
    assert_eq!(server.count_requests("/graphql") - before, 2);
    server.shutdown().await;
}

#[tokio::test]
async fn refused_credentials_are_not_tried_over_and_over() {
    let server = ScoutServer::builder().with_credentials("acme", "another").start().await.unwrap();
    let client = client(&server);
    let error = client.sign_in().await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Unauthorized, false));
    assert_eq!(error.to_string(), "sign in: Docker Hub does not accept the secret of acme");
    assert!(error.hint().unwrap().contains("organization access token"));
    for _ in 0..5 {
        assert_eq!(client.enroll().await.unwrap_err().kind(), ErrorKind::Unauthorized);
    }
    assert_eq!(exchanges(&server), 1);
    server.shutdown().await;
}

/// Hands out another secret each time, until it has the right one.
#[derive(Debug)]
struct Rotating(AtomicUsize);

#[async_trait]
impl CredentialSource for Rotating {
    async fn credential(&self) -> Result<Credential> {
        match self.0.fetch_add(1, Ordering::Relaxed) {
            0 => Err(Error::new(ErrorKind::Credential, "read the file")),
            1 => Ok(Credential::login("acme", "an-old-one")),
            _ => Ok(Credential::login("acme", SECRET)),
        }
    }
}

#[tokio::test]
async fn a_rotated_secret_is_taken_up() {
    let server = ScoutServer::builder().with_credentials("acme", SECRET).start().await.unwrap();
    let client = ScoutClient::new(config(&server), Arc::new(Rotating(AtomicUsize::new(0)))).unwrap();
    assert_eq!(client.sign_in().await.unwrap_err().kind(), ErrorKind::Credential);
    assert_eq!(client.sign_in().await.unwrap_err().kind(), ErrorKind::Unauthorized);
    client.sign_in().await.unwrap();
    server.shutdown().await;
}

#[tokio::test]
async fn a_token_that_was_given_is_sent_as_it_is() {
    let (server, _) = service().await;
    let client = ScoutClient::new(config(&server), Credential::bearer("api-key")).unwrap();
    assert_eq!(client.enroll().await.unwrap_err().kind(), ErrorKind::Unauthorized);
    // There is no other to be had.
    assert_eq!((exchanges(&server), server.count_requests("/graphql")), (0, 1));
    let unsendable = ScoutClient::new(config(&server), Credential::bearer("a\nb")).unwrap();
    assert_eq!(unsendable.sign_in().await.unwrap_err().kind(), ErrorKind::Credential);
    server.shutdown().await;
}

#[tokio::test]
async fn docker_login_is_enough() {
    let (server, _) = service().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    // printf 'acme:dckr_oat_very-secret' | base64
    let auth = "YWNtZTpkY2tyX29hdF92ZXJ5LXNlY3JldA==";
    std::fs::write(&path, format!(r#"{{"auths":{{"https://index.docker.io/v1/":{{"auth":"{auth}"}}}}}}"#)).unwrap();
    let client = ScoutClient::new(config(&server), DockerConfig::new(&path)).unwrap();
    client.enroll().await.unwrap();
    assert!(server.is_enrolled());
    server.shutdown().await;
}

/// Runs one of these tests in a process whose PATH has the credential helper `kit`.
#[cfg(unix)]
async fn with_helper(script: &str, test: &str) {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    let helper = folder.path().join("docker-credential-kit");
    std::fs::write(&helper, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).unwrap();
    let config = folder.path().join("config.json");
    std::fs::write(&config, r#"{"credsStore":"kit"}"#).unwrap();
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let child = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test])
        .env("PATH", path)
        .env(HELPER_CONFIG, &config)
        .output();
    let output = child.await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// Names the configuration to the tests that [`with_helper`] runs. Without it they have nothing to do.
#[cfg(unix)]
const HELPER_CONFIG: &str = "SUPERCARGO_TEST_HELPER_CONFIG";

#[cfg(unix)]
#[tokio::test]
async fn a_credential_helper_is_asked() {
    let script = r#"test "$1" = get && test "$(cat)" = https://index.docker.io/v1/ &&
printf '{"ServerURL":"x","Username":"acme","Secret":"s3cret"}'"#;
    with_helper(script, "sign_in::child_that_asks").await;
}

#[cfg(unix)]
#[tokio::test]
async fn child_that_asks() {
    let Ok(path) = std::env::var(HELPER_CONFIG) else { return };
    let credential = DockerConfig::new(path).credential().await.unwrap();
    assert_eq!(credential, Credential::login("acme", "s3cret"));
}

#[cfg(unix)]
#[tokio::test]
async fn a_credential_helper_that_hangs_is_not_waited_for() {
    with_helper("exec sleep 5", "sign_in::child_that_waits").await;
}

#[cfg(unix)]
#[tokio::test]
async fn child_that_waits() {
    let Ok(path) = std::env::var(HELPER_CONFIG) else { return };
    let source = DockerConfig::new(path).with_helper_timeout(Duration::from_millis(50));
    let started = Instant::now();
    let error = source.credential().await.unwrap_err();
    assert!(error.to_string().ends_with("its credential helper does not answer"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(4));
}

#[test]
fn nothing_shows_the_secret() {
    let credential = Credential::login("acme", SECRET);
    assert_eq!(format!("{credential:?}"), r#"Login { identifier: "acme", secret: [redacted] }"#);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (server, client) = service().await;
        client.enroll().await.unwrap();
        let shown = format!("{client:?}");
        assert!(!shown.contains(SECRET) && !shown.contains("eyJ"), "{shown}");
        server.shutdown().await;
    });
}
