//! Azure Container Registry, against the kit's stand-ins for the registry and for Microsoft Entra.

mod lists;
mod sign_in;
mod trouble;

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Output};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use azure_core::http::headers::Headers;
use azure_core::http::{AsyncRawResponse, HttpClient, Request};
use azure_identity::Executor;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use supercargo_registry::conformance::Fixture;
use supercargo_registry::{AcrOptions, AcrRegistry, AcrRegistryBuilder, AzureIdentity, Credential, TransportConfig};
use supercargo_testkit::{Access, AcrServer, AcrServerBuilder, EntraServer, Image, ImageBuilder, Layer};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::conformance::parts;
use crate::support::quick;

const APP: &str = "11111111-1111-1111-1111-111111111111";

fn image(name: &str) -> Image {
    ImageBuilder::new().with_layer(Layer::new().file("etc/name", name.to_owned()), "COPY name /etc/").build()
}

/// What the conformance suite needs, referrers included.
fn everything() -> Access {
    Access::pull().with("*", &["pull", "push", "metadata_read"])
}

/// A registry with the suite's content.
async fn filled(builder: AcrServerBuilder) -> (AcrServer, Fixture) {
    let fixture = Fixture::sample();
    let server = builder.start().await.unwrap();
    for part in parts(&fixture) {
        server.push(&part, fixture.repository.as_str(), &part.tag);
    }
    for manifest in fixture.manifests.iter().filter(|manifest| manifest.tag.is_none()) {
        assert!(server.delete_tag(fixture.repository.as_str(), &format!("by-{}", manifest.digest().digest())));
    }
    (server, fixture)
}

fn builder(server: &AcrServer) -> AcrRegistryBuilder {
    AcrRegistry::builder(server.host().parse().unwrap()).with_transport(quick())
}

/// Signed in with a token's name and password.
fn open_as(server: &AcrServer, name: &str, password: &str) -> AcrRegistry {
    let options = AcrOptions { identity: AzureIdentity::None, ..AcrOptions::default() };
    builder(server).with_credentials(Arc::new(Credential::basic(name, password))).with_options(options).build().unwrap()
}

/// Microsoft Entra behind TLS, as an authority must be: with a certificate of an authority of its own.
struct SecureEntra {
    server: EntraServer,
    port: u16,
    bundle: String,
    task: JoinHandle<()>,
}

impl SecureEntra {
    async fn start() -> Self {
        let server = EntraServer::start().await.unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from(certificate.der().to_vec())],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let behind = server.host();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, behind) = (acceptor.clone(), behind.clone());
                tokio::spawn(async move {
                    // A client that does not trust us hangs up.
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    let mut plain = TcpStream::connect(behind).await.unwrap();
                    let _ = copy_bidirectional(&mut stream, &mut plain).await;
                });
            }
        });
        Self { server, port, bundle: issuer.pem(), task }
    }

    fn transport(&self) -> TransportConfig {
        TransportConfig { ca_bundle: Some(self.bundle.clone().into()), ..quick() }
    }

    /// Options that name the tenant and its authority.
    fn options(&self, identity: AzureIdentity) -> AcrOptions {
        AcrOptions {
            identity,
            tenant: Some(self.server.tenant().to_owned()),
            client_id: Some(APP.to_owned()),
            authority: Some(format!("https://localhost:{}", self.port).parse().unwrap()),
            ..AcrOptions::default()
        }
    }

    fn open(&self, server: &AcrServer, options: AcrOptions) -> AcrRegistry {
        builder(server).with_transport(self.transport()).with_options(options).build().unwrap()
    }

    fn tokens_given(&self) -> usize {
        self.server.requests().iter().filter(|request| request.status == 200).count()
    }
}

impl Drop for SecureEntra {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A client that leads the fixed addresses of Azure's library, such as the metadata service's, to a stand-in.
#[derive(Debug)]
struct Led {
    host: String,
    http: reqwest::Client,
    asked: Mutex<Vec<String>>,
}

impl Led {
    fn to(server: &EntraServer) -> Arc<Self> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let http = reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().build().unwrap();
        Arc::new(Self { host: server.host(), http, asked: Mutex::default() })
    }

    /// The origins that were asked for.
    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// Developer tools of which `az` prints this, if anything. What a developer has is not asked.
#[derive(Debug)]
struct Tools {
    az: Option<String>,
}

#[async_trait]
impl Executor for Tools {
    async fn run(&self, _: &OsStr, args: &[&OsStr]) -> io::Result<Output> {
        let command = args.last().unwrap().to_str().unwrap();
        let printed = self.az.clone().filter(|_| command.contains("&& az account get-access-token"));
        let status = ExitStatus::from_raw(if printed.is_some() { 0 } else { 127 << 8 });
        Ok(Output { status, stdout: printed.unwrap_or_default().into(), stderr: Vec::new() })
    }
}

#[async_trait]
impl HttpClient for Led {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let url = request.url();
        self.asked.lock().unwrap().push(url.origin().ascii_serialization());
        let address = format!("http://{}{}?{}", self.host, url.path(), url.query().unwrap_or_default());
        let method = request.method().as_str().parse().unwrap();
        let mut outgoing: reqwest::RequestBuilder = self.http.request(method, address);
        for (name, value) in request.headers().iter() {
            outgoing = outgoing.header(name.as_str(), value.as_str());
        }
        let body: azure_core::Bytes = request.body().into();
        let response = outgoing.body(body).send().await.unwrap();
        let status = response.status().as_u16().into();
        Ok(AsyncRawResponse::from_bytes(status, Headers::new(), response.bytes().await.unwrap()))
    }
}
