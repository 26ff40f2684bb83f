//! What goes wrong is told with what to do about it.

use std::time::Duration;

use futures_util::TryStreamExt;
use supercargo_registry::{ErrorKind, Registry, Repository};
use supercargo_testkit::Fault;

use super::*;
use crate::support::{app, target};

#[tokio::test]
async fn the_account_of_those_who_found_no_identity() {
    let server = AcrServer::builder().start().await.unwrap();
    let entra = EntraServer::start().await.unwrap();
    // A machine of Azure's whose metadata service knows no identity, and no tools.
    let registry = builder(&server)
        .with_http_client(Led::to(&entra))
        .with_tool_runner(Arc::new(Tools { az: None }))
        .build()
        .unwrap();
    let error = registry.check().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    let hint = error.hint().unwrap();
    for part in
        ["nobody is signed in: tried client-secret (no AZURE_CLIENT_SECRET", "workload (no", "managed (", "azd ("]
    {
        assert!(hint.contains(part), "{hint}");
    }
}

#[tokio::test]
async fn a_wrong_secret_is_entras_to_tell() {
    let entra = EntraServer::start().await.unwrap();
    entra.set_secret(APP, "right");
    let server = AcrServer::builder().with_entra(&entra).with_identity(APP, everything()).start().await.unwrap();
    let options = AcrOptions {
        client_secret: Some("hunter2".into()),
        client_id: Some(APP.to_owned()),
        tenant: Some(entra.tenant().to_owned()),
        ..AcrOptions::default()
    };
    let led = Led::to(&entra);
    let registry = builder(&server)
        .with_options(options)
        .with_http_client(Arc::clone(&led) as _)
        .with_tool_runner(Arc::new(Tools { az: None }))
        .build()
        .unwrap();
    let error = registry.check().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Credential, "{error:?}");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("client-secret (AADSTS7000215: Invalid client secret provided"), "{cause}");
    assert!(cause.contains("azure-cli ("), "the others were tried, too: {cause}");
    assert!(!format!("{error:?}").contains("hunter2"));
    assert_eq!(server.count_requests("/oauth2/"), 0, "nobody signs in as nobody instead");
    assert_eq!(led.asked()[0], "https://login.microsoftonline.com", "the authority of the public cloud");
}

#[tokio::test]
async fn entra_that_is_away_is_a_passing_trouble() {
    let entra = SecureEntra::start().await;
    entra.server.inject(Fault::new(503).with_times(100));
    let server = AcrServer::builder().with_entra(&entra.server).with_identity(APP, everything()).start().await.unwrap();
    let options = AcrOptions { client_secret: Some("x".into()), ..entra.options(AzureIdentity::ClientSecret) };
    let error = entra.open(&server, options).check().await.unwrap_err();
    assert!(error.is_retryable(), "{error:?}");
}

#[tokio::test]
async fn entra_is_not_trusted_by_everybodys_certificate() {
    let entra = SecureEntra::start().await;
    entra.server.set_secret(APP, "x");
    let server = AcrServer::builder().with_entra(&entra.server).with_identity(APP, everything()).start().await.unwrap();
    let options = AcrOptions { client_secret: Some("x".into()), ..entra.options(AzureIdentity::ClientSecret) };
    // Careless towards the registry is not careless towards Entra.
    let transport = TransportConfig { insecure_skip_verify: true, ..quick() };
    let registry = builder(&server).with_transport(transport).with_options(options).build().unwrap();
    registry.check().await.unwrap_err();
    assert!(entra.server.requests().is_empty(), "no secret was sent");
}

#[tokio::test]
async fn an_identity_that_the_registry_does_not_know() {
    let entra = SecureEntra::start().await;
    entra.server.set_secret(APP, "x");
    let server = AcrServer::builder().with_entra(&entra.server).start().await.unwrap();
    let options = AcrOptions { client_secret: Some("x".into()), ..entra.options(AzureIdentity::ClientSecret) };
    let error = entra.open(&server, options.clone()).check().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert!(error.to_string().contains("exchange the token of Microsoft Entra"), "{error}");
    assert!(error.hint().unwrap().contains("AcrPull"), "{error:?}");

    // A registry of a sovereign cloud wants its own audience.
    let entra_ = &entra.server;
    let server = AcrServer::builder()
        .with_entra(entra_)
        .with_audience("https://containerregistry.azure.us")
        .with_identity(APP, everything())
        .start()
        .await
        .unwrap();
    let there = AcrOptions { audience: Some("https://containerregistry.azure.us".into()), ..options.clone() };
    entra.open(&server, there).check().await.unwrap();
    let elsewhere = AcrOptions { audience: Some("https://vault.azure.net".into()), ..options };
    let error = entra.open(&server, elsewhere).check().await.unwrap_err();
    assert!(error.hint().unwrap().contains("audience="), "{error:?}");
}

#[tokio::test]
async fn missing_rights_name_the_scope_map() {
    let server =
        AcrServer::builder().with_token("lister", "pass", Access::none().with("*", &["metadata_read"])).start().await;
    let server = server.unwrap();
    server.push(&image("x"), "team/app", "latest");
    let registry = open_as(&server, "lister", "pass");
    let error = registry.manifest(&app(), &target("latest")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert!(error.hint().unwrap().contains("content/read"), "{error:?}");

    server.set_access("lister", Access::none());
    let other: Repository = "team/other".parse().unwrap();
    let error = registry.tags(&other).try_collect::<Vec<_>>().await.unwrap_err();
    assert!(error.hint().unwrap().contains("metadata/read"), "{error:?}");
}

#[tokio::test]
async fn a_rotated_password() {
    let server = AcrServer::builder().with_token("reader", "first", Access::pull()).start().await.unwrap();
    let registry = open_as(&server, "reader", "first");
    registry.check().await.unwrap();
    server.set_password("reader", "second");
    server.expire_access_tokens();
    let error = registry.check().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert!(error.hint().unwrap().contains("az acr token"), "{error:?}");
    let sent = server.requests().into_iter().filter(|request| request.path == "/oauth2/token").count();
    assert!(sent <= 3, "a password that was refused is not sent again and again: {sent}");
}

#[tokio::test]
async fn the_firewall() {
    let entra = SecureEntra::start().await;
    entra.server.set_secret(APP, "x");
    let server = AcrServer::builder()
        .with_entra(&entra.server)
        .with_identity(APP, everything())
        .with_token("reader", "pass", Access::pull())
        .start()
        .await
        .unwrap();
    server.push(&image("x"), "team/app", "latest");
    server.set_firewall(true);
    let options = AcrOptions { client_secret: Some("x".into()), ..entra.options(AzureIdentity::ClientSecret) };
    for registry in [open_as(&server, "reader", "pass"), entra.open(&server, options)] {
        let error = registry.check().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied, "{error:?}");
        assert!(error.hint().unwrap().contains("firewall"), "{error:?}");
    }
}

#[tokio::test]
async fn throttling_is_waited_for_and_then_told() {
    let server = AcrServer::builder().with_token("reader", "pass", Access::pull()).start().await.unwrap();
    server.push(&image("x"), "team/app", "latest");
    let registry = open_as(&server, "reader", "pass");
    registry.check().await.unwrap();
    server.inject(Fault::new(429).on_path("/_tags").with_times(2).with_retry_after(Duration::ZERO));
    assert_eq!(registry.tags(&app()).try_collect::<Vec<_>>().await.unwrap().len(), 1);

    server.inject(Fault::new(429).on_path("/_tags").with_times(100).with_retry_after(Duration::from_secs(600)));
    let error = registry.tags(&app()).try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RateLimited);
    assert_eq!(error.retry_after(), Some(Duration::from_secs(600)));
    assert!(error.hint().unwrap().contains("tier"), "{error:?}");
    assert!(registry.capabilities().tag_digests, "a busy list is no refused one");
}

#[tokio::test]
async fn a_throttled_exchange_keeps_the_time_to_wait() {
    let entra = SecureEntra::start().await;
    entra.server.set_secret(APP, "x");
    let server = AcrServer::builder().with_entra(&entra.server).with_identity(APP, everything()).start().await.unwrap();
    server
        .inject(Fault::new(429).on_path("/oauth2/exchange").with_times(100).with_retry_after(Duration::from_secs(90)));
    let options = AcrOptions { client_secret: Some("x".into()), ..entra.options(AzureIdentity::ClientSecret) };
    let registry = entra.open(&server, options);
    for _ in 0..2 {
        let error = registry.check().await.unwrap_err();
        assert_eq!((error.kind(), error.retry_after()), (ErrorKind::RateLimited, Some(Duration::from_secs(90))));
    }
    assert_eq!(server.count_requests("/oauth2/exchange"), 1, "one answer speaks for those who ask right after");
}
