//! A certificate authority of one's own.

use std::sync::Arc;

use bytes::Bytes;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use supercargo_registry::ClientIdentity;

pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// Whether clients show a certificate.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clients {
    Unknown,
    /// They are asked, and need not.
    Asked,
    Identified,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "Test Authority");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self { issuer }
    }

    pub(crate) fn bundle(&self) -> Bytes {
        self.issuer.pem().into()
    }

    /// A server's configuration with a certificate for `name`.
    pub(crate) fn server(&self, name: &str) -> rustls::ServerConfig {
        self.server_that(name, Clients::Unknown)
    }

    pub(crate) fn server_that(&self, name: &str, clients: Clients) -> rustls::ServerConfig {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        self.configuration(certificate.der().clone(), &key, clients)
    }

    /// The same with a certificate that ended in 2020.
    pub(crate) fn expired_server(&self, name: &str) -> rustls::ServerConfig {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(2020, 1, 2);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        self.configuration(certificate.der().clone(), &key, Clients::Unknown)
    }

    /// A certificate for a client.
    pub(crate) fn client(&self) -> ClientIdentity {
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(["client.test".to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        ClientIdentity { certificate: certificate.pem().into(), key: key.serialize_pem().into() }
    }

    fn configuration(
        &self,
        certificate: CertificateDer<'static>,
        key: &KeyPair,
        clients: Clients,
    ) -> rustls::ServerConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match clients {
            Clients::Unknown => builder.with_no_client_auth(),
            Clients::Asked | Clients::Identified => {
                let mut roots = RootCertStore::empty();
                roots.add(self.issuer.der().clone()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
                let verifier = if clients == Clients::Asked { verifier.allow_unauthenticated() } else { verifier };
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        builder.with_single_cert(vec![certificate], PrivateKeyDer::try_from(key.serialize_der()).unwrap()).unwrap()
    }
}

/// A server's configuration with a certificate that nobody but itself signed.
pub(crate) fn self_signed(name: &str) -> rustls::ServerConfig {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new([name.to_owned()]).unwrap().self_signed(&key).unwrap();
    Authority::new().configuration(certificate.der().clone(), &key, Clients::Unknown)
}
