//! `supercargo integration template --apply` reaches an Artifactory by the settings of its integration: through a proxy,
//! and by a certificate of an authority of one's own.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use supercargo_app::{Environment, Exit};
use supercargo_testkit::ArtifactoryServer;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

use crate::kit::{Ran, run_supercargo};

const TOKEN: &str = "of an administrator";

/// An Artifactory that lets webhooks be made, and somebody at a command line.
struct Desk {
    runtime: Runtime,
    server: ArtifactoryServer,
    folder: TempDir,
    environment: Environment,
}

impl Desk {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let builder = ArtifactoryServer::builder().with_account("reader", "right").with_local("docker-local");
        let server = runtime.block_on(builder.with_webhook_manager(TOKEN).start()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let environment = Environment::default().with("DOCKER_CONFIG", folder.path().join("docker"));
        Self { runtime, server, folder, environment }
    }

    fn address(&self) -> SocketAddr {
        self.server.host().parse().unwrap()
    }

    fn file(&self, name: &str, contents: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, contents).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn run(&self, environment: &Environment, args: &[&str]) -> Ran {
        let data = self.folder.path().join("data");
        let mut all = args.to_vec();
        all.extend(["--data", data.to_str().unwrap()]);
        run_supercargo(environment, &all)
    }

    /// Makes an integration with these parameters, and has its webhook made.
    fn apply(&self, name: &str, api: &str, parameters: &[&str]) -> Ran {
        let host = format!("{name}.test");
        let mut create = vec!["integration", "create", "artifactory", name, "--registry", &host, "--api", api];
        create.extend(["--repository", "docker-local"]);
        create.extend(parameters.iter().flat_map(|parameter| ["--parameter", parameter]));
        let made = self.run(&self.environment, &create);
        assert_eq!(made.exit, Exit::Done, "{}", made.err);
        self.apply_in(&self.environment, name)
    }

    fn apply_in(&self, environment: &Environment, name: &str) -> Ran {
        let token = self.file("token", TOKEN);
        let url = "http://supercargo.example.com";
        self.run(
            environment,
            &["integration", "template", name, "--public-url", url, "--apply", "--admin-token-file", &token],
        )
    }

    fn webhooks(&self) -> usize {
        self.server.webhooks().len()
    }

    /// Hands connections on to the server after `open` has made of each what is spoken behind it. Answers its address, and
    /// how many there were.
    fn front<S, F>(&self, open: impl Fn(TcpStream) -> F + Send + 'static) -> (SocketAddr, Arc<AtomicUsize>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
        F: Future<Output = std::io::Result<S>> + Send + 'static,
    {
        let (target, count) = (self.address(), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&count);
        let listener = self.runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        self.runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let opening = open(stream);
                tokio::spawn(async move {
                    let (Ok(mut stream), Ok(mut behind)) = (opening.await, TcpStream::connect(target).await) else {
                        return;
                    };
                    let _ = copy_bidirectional(&mut stream, &mut behind).await;
                });
            }
        });
        (address, count)
    }
}

/// TLS with a certificate for this machine of an authority that nobody knows; the authority's certificate.
fn acceptor() -> (TlsAcceptor, String) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), issuer.pem())
}

#[test]
fn by_a_certificate_of_an_authority_of_ones_own() {
    let desk = Desk::new();
    let (acceptor, authority) = acceptor();
    let (address, _) = desk.front(move |stream| acceptor.clone().accept(stream));
    let api = format!("https://{address}/artifactory");

    let ran = desk.apply("stranger", &api, &[]);
    assert_eq!(ran.exit, Exit::Failed, "{}", ran.err);
    assert!(ran.err.contains("certificate") && ran.err.contains("ca-file"), "{}", ran.err);
    assert_eq!(desk.webhooks(), 0, "nobody was told the token");

    let bundle = desk.file("authority.pem", &authority);
    let ran = desk.apply("known", &api, &[&format!("ca-file={bundle}")]);
    assert!(ran.err.contains("webhook supercargo-known is made"), "{}", ran.err);
    let ran = desk.apply("careless", &api, &["insecure-skip-verify=true"]);
    assert!(ran.err.contains("webhook supercargo-careless is made"), "{}", ran.err);
    assert_eq!(desk.webhooks(), 2);

    // A file that went away is said to have gone.
    std::fs::remove_file(Path::new(&bundle)).unwrap();
    let ran = desk.apply_in(&desk.environment, "known");
    assert!(ran.exit != Exit::Done && ran.err.contains("authority.pem"), "{}", ran.err);
}

#[test]
fn through_the_proxy_of_the_integration() {
    let desk = Desk::new();
    // A request for a host that does not exist: only the proxy can have answered it.
    let (address, count) = desk.front(|stream| std::future::ready(Ok(stream)));
    let proxy = format!("http://{address}");
    let api = "http://jfrog.invalid/artifactory";
    let ran = desk.apply("proxied", api, &[&format!("proxy={proxy}")]);
    assert!(ran.err.contains("webhook supercargo-proxied is made"), "{}", ran.err);
    assert_eq!((desk.webhooks(), count.load(Ordering::SeqCst) > 0), (1, true));

    // The machine's proxy, where the integration names none, and not where it says so.
    let machine = desk.environment.clone().with("http_proxy", &proxy);
    desk.apply("plain", api, &[]);
    let ran = desk.apply_in(&machine, "plain");
    assert!(ran.err.contains("webhook supercargo-plain is made"), "{}", ran.err);
    desk.apply("direct", api, &["no-proxy=jfrog.invalid"]);
    let before = count.load(Ordering::SeqCst);
    let ran = desk.apply_in(&machine, "direct");
    assert_eq!(ran.exit, Exit::Failed, "{}", ran.err);
    assert_eq!((desk.webhooks(), count.load(Ordering::SeqCst)), (2, before));
}
