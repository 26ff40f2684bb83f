use std::time::Duration;

use reqwest::Method;
use supercargo_testkit::{Client, Credentials, ErrorKind, RegistryServer};

use crate::http::{Http, error_code, header, json};
use crate::image;

#[tokio::test]
async fn basic_credentials_are_asked_for_and_checked() {
    let server = RegistryServer::builder().with_basic_auth("robot", "secret").start().await.unwrap();
    let http = Http::new(&server);
    let open = http.get("/v2/").await;
    assert_eq!((open.status().as_u16(), header(&open, "www-authenticate")), (401, "Basic realm=\"testkit\""));
    let right = http.request(Method::GET, "/v2/").basic_auth("robot", Some("secret"));
    assert_eq!(http.send(right).await.status(), 200);
    let wrong = http.request(Method::GET, "/v2/").basic_auth("robot", Some("guess"));
    assert_eq!(error_code(http.send(wrong).await).await, "UNAUTHORIZED");

    server.client().push(&image("app"), "app", "1.0").await.unwrap();
    let error = Client::new(server.host()).push(&image("app"), "app", "1.0").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(
        server.requests().iter().all(|request| request.authorization.as_deref().is_none_or(|text| text == "Basic"))
    );

    server.set_credentials(Credentials::new("robot", "rotated"));
    let old = http.request(Method::GET, "/v2/").basic_auth("robot", Some("secret"));
    assert_eq!(http.send(old).await.status(), 401);
}

#[tokio::test]
async fn tokens_are_given_for_the_scope_of_the_challenge() {
    let server = RegistryServer::builder().with_token_auth("robot", "secret").start().await.unwrap();
    server.push(&image("app"), "team/app", "1.0");
    let http = Http::new(&server);
    let with = |token: &str, path: &str| http.send(http.request(Method::GET, path).bearer_auth(token.to_owned()));

    let challenge = header(&http.get("/v2/team/app/tags/list").await, "www-authenticate").to_owned();
    let realm = format!("http://{}/token", server.host());
    assert_eq!(
        challenge,
        format!("Bearer realm=\"{realm}\",service=\"supercargo-testkit\",scope=\"repository:team/app:pull\"")
    );
    assert!(header(&http.get("/v2/_catalog").await, "www-authenticate").contains("scope=\"registry:catalog:*\""));
    assert!(!header(&http.get("/v2/").await, "www-authenticate").contains("scope"));

    let service = format!("{realm}?service=supercargo-testkit&scope=repository:team/app:pull");
    assert_eq!(http.get(&service).await.status(), 401);
    let request = http.request(Method::GET, &service).basic_auth("robot", Some("secret"));
    let answer = json(http.send(request).await).await;
    assert_eq!(answer["expires_in"], 300);
    assert!(answer["issued_at"].is_string());
    let token = answer["token"].as_str().unwrap();
    assert_eq!(with(token, "/v2/team/app/tags/list").await.status(), 200);
    assert_eq!(with(token, "/v2/").await.status(), 200);

    let other = with(token, "/v2/team/other/tags/list").await;
    assert!(header(&other, "www-authenticate").ends_with("error=\"insufficient_scope\""));
    let every_action = service.replace(":pull", ":*");
    let request = http.request(Method::GET, &every_action).basic_auth("robot", Some("secret"));
    let answer = json(http.send(request).await).await;
    assert_eq!(with(answer["token"].as_str().unwrap(), "/v2/team/app/tags/list").await.status(), 200);

    server.expire_tokens();
    let expired = with(token, "/v2/team/app/tags/list").await;
    assert_eq!(expired.status(), 401);
    assert!(header(&expired, "www-authenticate").ends_with("error=\"invalid_token\""));
}

#[tokio::test]
async fn refresh_tokens_and_passwords_are_posted() {
    let server = RegistryServer::builder()
        .with_token_auth("robot", "secret")
        .with_token_lifetime(Duration::from_secs(60))
        .start()
        .await
        .unwrap();
    let http = Http::new(&server);
    let post = |form: &str| http.send(http.request(Method::POST, "/token").body(form.to_owned()));
    let answer =
        json(post("grant_type=password&username=robot&password=secret&access_type=offline&service=x").await).await;
    assert_eq!(answer["expires_in"], 60);
    let refresh = answer["refresh_token"].as_str().unwrap();
    let form = format!("grant_type=refresh_token&refresh_token={refresh}&scope=registry%3Acatalog%3A*");
    let answer = json(post(&form).await).await;
    let request = http.request(Method::GET, "/v2/_catalog").bearer_auth(answer["access_token"].as_str().unwrap());
    assert_eq!(http.send(request).await.status(), 200);
    assert_eq!(post("grant_type=password&username=robot&password=guess").await.status(), 401);
    assert_eq!(post("grant_type=refresh_token&refresh_token=guess").await.status(), 401);
}

#[tokio::test]
async fn anonymous_tokens_pull_but_do_not_push() {
    let server =
        RegistryServer::builder().with_token_auth("robot", "secret").with_anonymous_pull().start().await.unwrap();
    let image = image("app");
    server.client().push(&image, "team/app", "1.0").await.unwrap();
    let error = Client::new(server.host()).push(&image, "team/app", "2.0").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);

    let http = Http::new(&server);
    let answer = json(http.get("/token?scope=repository:team/app:pull").await).await;
    let request = http.request(Method::GET, "/v2/team/app/tags/list").bearer_auth(answer["token"].as_str().unwrap());
    assert_eq!(json(http.send(request).await).await["tags"], serde_json::json!(["1.0"]));
}
