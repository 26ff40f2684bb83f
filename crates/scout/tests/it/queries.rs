use futures_util::TryStreamExt as _;
use supercargo_scout::{
    ConnectedRegistryKind, ErrorKind, Integration, RegistryStatus, RepositoryQuery, RepositorySelection, SbomState,
    ScoutClient, ScoutConfig, Skill,
};
use supercargo_testkit::{ScoutFault, ScoutRepository, ScoutServer};

use crate::support::{SECRET, client, config, image, metadata, service, upload};

#[tokio::test]
async fn an_organization_enrolls() {
    let (server, client) = service().await;
    assert!(!client.entitlements().await.unwrap().is_enrolled);
    let enrollment = client.enroll().await.unwrap();
    assert_eq!(enrollment.active_subscription.unwrap().status.as_deref(), Some("active"));
    let entitlements = client.entitlements().await.unwrap();
    assert!(entitlements.is_enrolled && entitlements.feature_entitlements.unwrap().api.enabled);
    // Once more is the same.
    client.enroll().await.unwrap();
    assert_eq!(client.service_status().await.unwrap().maintenance, None);
    server.shutdown().await;
}

#[tokio::test]
async fn repositories_are_listed_page_by_page_and_enabled() {
    let mut builder = ScoutServer::builder().with_page_size(3);
    for n in 0..8 {
        builder = builder.with_repository(ScoutRepository::new("hub.docker.com", format!("acme/app{n}")));
    }
    let ecr = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
    let server =
        builder.with_repository(ScoutRepository::new(ecr, "own").with_integration("main")).start().await.unwrap();
    let client = client(&server);

    let all: Vec<_> = client.repositories(&RepositoryQuery::default()).try_collect().await.unwrap();
    let names: Vec<&str> = all.iter().map(|repository| repository.name.as_str()).collect();
    assert_eq!(names.len(), 8);
    assert_eq!((names[0], names[7]), ("acme/app0", "acme/app7"));
    assert_eq!(server.count_requests("/graphql"), 3);

    let integration = Integration {
        skill: Skill { namespace: "atomist".into(), name: "kit".into() },
        configuration_name: "main".into(),
    };
    let query =
        RepositoryQuery { integration: Some(integration.clone()), page_size: Some(2), ..RepositoryQuery::default() };
    let own: Vec<_> = client.repositories(&query).try_collect().await.unwrap();
    assert_eq!((own.len(), own[0].registry.as_str(), own[0].enabled), (1, ecr, false));
    let named = RepositoryQuery { name: Some("app3".into()), ..RepositoryQuery::default() };
    let named: Vec<_> = client.repositories(&named).try_collect().await.unwrap();
    assert_eq!(named.len(), 1);

    let selection = RepositorySelection {
        names: vec!["own".into(), "other".into()],
        host: Some(ecr.into()),
        integration: Some(integration.clone()),
    };
    let states = client.enable_repositories(&selection).await.unwrap();
    assert!(states.iter().all(|state| state.host == ecr && state.enabled == Some(true)));
    let enabled = client.enabled_repositories(Some(&integration)).await.unwrap();
    assert_eq!((enabled.count, enabled.repos[0].integration.as_ref()), (2, Some(&integration)));
    client.disable_repositories(&selection).await.unwrap();
    assert_eq!(client.enabled_repositories(None).await.unwrap().count, 0);

    let many = RepositorySelection { names: (0..250).map(|n| format!("r{n}")).collect(), ..selection };
    assert_eq!(client.enable_repositories(&many).await.unwrap().len(), 250);

    assert!(!client.enables_on_push().await.unwrap());
    assert!(client.set_enable_on_push(true).await.unwrap());
    assert!(client.enables_on_push().await.unwrap());

    let registries = client.registries().await.unwrap();
    assert_eq!(registries[0].kind, ConnectedRegistryKind::Ecr);
    assert_eq!((registries[1].host_name.as_str(), registries[1].repository_count), ("hub.docker.com", 8));
    assert_eq!(registries[1].status, RegistryStatus::Connected);
    server.shutdown().await;
}

#[tokio::test]
async fn images_are_indexed_on_request_and_summed_up() {
    let (server, client) = service().await;
    let metadata = metadata(image(3)).await;
    let digest = &metadata.image().unwrap().digest;
    assert!(client.image_summaries(std::slice::from_ref(digest)).await.unwrap().is_empty());
    let indexed = client.index_image("acme/app", digest, &["1.0".to_owned()]).await.unwrap();
    assert_eq!(indexed, digest.to_string());
    assert_eq!(server.asked_to_index(), [format!("acme/app@{digest}")]);

    client.upload(&upload(&metadata, "d1")).await.unwrap();
    let summaries = client.image_summaries(&vec![digest.clone(); 3]).await.unwrap();
    assert_eq!((summaries.len(), summaries[0].sbom_state), (3, SbomState::Indexed));
    assert!(summaries[0].vulnerability_report.is_some());
    server.shutdown().await;
}

#[tokio::test]
async fn graphql_errors_are_typed() {
    let (server, client) = service().await;
    let check = async |fault: ScoutFault, kind: ErrorKind, retryable: bool| {
        server.inject(fault);
        let error = client.registries().await.unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (kind, retryable), "{error}");
        assert!(error.to_string().starts_with("list registries: "), "{error}");
        error
    };
    let error = check(ScoutFault::graphql("DOWNSTREAM_SERVICE_ERROR", Some(403)), ErrorKind::Denied, false).await;
    assert_eq!((error.code(), error.correlation_id()), (Some("DOWNSTREAM_SERVICE_ERROR"), Some("kit-correlation-id")));
    check(ScoutFault::graphql("ENTITLEMENT", Some(402)), ErrorKind::PlanLimit, false).await;
    check(ScoutFault::graphql("DOWNSTREAM_SERVICE_ERROR", None), ErrorKind::Unavailable, true).await;
    check(ScoutFault::graphql("X", None), ErrorKind::Rejected, false).await;

    let foreign = ScoutConfig { organization: "others".into(), ..config(&server) };
    let foreign = ScoutClient::new(foreign, supercargo_scout::Credential::login("acme", SECRET)).unwrap();
    assert_eq!(foreign.enroll().await.unwrap_err().kind(), ErrorKind::Denied);
    server.shutdown().await;
}

#[tokio::test]
async fn metrics_are_read_with_the_secret_itself() {
    let (server, client) = service().await;
    let metrics = client.metrics().await.unwrap();
    assert_eq!(metrics.vulnerabilities("latest-indexed").len(), 4);
    assert_eq!(metrics.policies("latest-indexed")["p1"].policy, "Default non-root user");
    assert_eq!(server.count_requests("/v2/auth/token"), 0);
    server.inject(ScoutFault::status(403).on_path("/exporter/"));
    assert_eq!(client.metrics().await.unwrap_err().kind(), ErrorKind::Denied);
    server.shutdown().await;
}
