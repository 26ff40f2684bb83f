//! TLS: rustls with ring, the machine's certificates, and those that the user adds.

use std::error::Error as StdError;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_platform_verifier::Verifier;

use super::transport::{ClientIdentity, TransportConfig, find_cause};
use crate::{Error, ErrorKind, Result};

/// The configuration for one registry and its token service alike, with the client's certificate where there is one.
///
/// # Errors
/// [`ErrorKind::Configuration`] if the bundle, the certificate or the key cannot be used.
pub(crate) fn client_config(config: &TransportConfig, identity: Option<&ClientIdentity>) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = verifier(config, &provider)?;
    let bad = |what: &'static str| move |error| Error::new(ErrorKind::Configuration, what).with_source(error);
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(bad("set up TLS"))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let Some(identity) = identity else { return Ok(builder.with_no_client_auth()) };
    let chain = certificates("client-certificate", &identity.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(identity.key.expose().as_bytes()).map_err(|error| {
        Error::new(ErrorKind::Configuration, "read client-key: it holds no key in PEM form").with_source(error)
    })?;
    builder.with_client_auth_cert(chain, key).map_err(bad("use client-certificate with client-key"))
}

/// Who is trusted.
///
/// # Errors
/// [`ErrorKind::Configuration`] if the bundle holds no certificate.
pub(crate) fn verifier(
    config: &TransportConfig,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>> {
    let algorithms = provider.signature_verification_algorithms;
    let extra = config.ca_bundle.as_ref().map(|pem| certificates("ca-file", pem)).transpose()?.unwrap_or_default();
    Ok(if config.insecure_skip_verify {
        Arc::new(Anyone { algorithms })
    } else {
        Arc::new(OnDemand { extra, provider: Arc::clone(provider), algorithms, verifier: OnceLock::new() })
    })
}

/// A certificate that is not taken now will not be in a minute, on either side. `General` is what the verifier says
/// when the machine has no certificates to compare with.
pub(crate) fn is_certificate_error(error: &(dyn StdError + 'static)) -> bool {
    use rustls::AlertDescription as Alert;
    match find_cause::<rustls::Error>(error) {
        Some(rustls::Error::InvalidCertificate(_) | rustls::Error::General(_)) => true,
        Some(rustls::Error::AlertReceived(alert)) => matches!(
            alert,
            Alert::CertificateRequired
                | Alert::BadCertificate
                | Alert::UnsupportedCertificate
                | Alert::CertificateExpired
                | Alert::CertificateRevoked
                | Alert::CertificateUnknown
                | Alert::UnknownCA
                | Alert::AccessDenied
        ),
        _ => false,
    }
}

/// What a person can do about a handshake that failed.
pub(crate) fn advice(error: &(dyn StdError + 'static)) -> Option<&'static str> {
    match find_cause::<rustls::Error>(error)? {
        rustls::Error::InvalidCertificate(reason) => Some(match reason {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "have the certificate renewed, or set this machine's clock right"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "set this machine's clock right: the certificate begins later"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "name the registry as its certificate does"
            }
            _ => "if its authority is yours, name the certificate authority's bundle: ca-file=PATH",
        }),
        rustls::Error::General(_) => Some("name the certificate authority's bundle: ca-file=PATH"),
        rustls::Error::AlertReceived(_) if is_certificate_error(error) => {
            Some("the registry wants another certificate of yours: client-certificate=PATH,client-key=PATH")
        }
        rustls::Error::InvalidMessage(_) => Some("if it speaks plain HTTP, say so: plain-http=true"),
        _ => None,
    }
}

fn certificates(key: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    let bad = |why: &str| Error::new(ErrorKind::Configuration, format!("read {key}: {why}"));
    let certificates = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| bad("it is not in PEM form").with_source(error))?;
    if certificates.is_empty() {
        return Err(bad("it holds no certificate"));
    }
    Ok(certificates)
}

/// Reads the machine's certificates at the first handshake, so that a client of a plain-http registry starts
/// at once, and on a machine that has none.
#[derive(Debug)]
struct OnDemand {
    extra: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
    algorithms: WebPkiSupportedAlgorithms,
    verifier: OnceLock<std::result::Result<Verifier, rustls::Error>>,
}

impl OnDemand {
    fn verifier(&self) -> Result<&Verifier, rustls::Error> {
        self.verifier
            .get_or_init(|| Verifier::new_with_extra_roots(self.extra.iter().cloned(), Arc::clone(&self.provider)))
            .as_ref()
            .map_err(Clone::clone)
    }
}

impl ServerCertVerifier for OnDemand {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.verifier()?.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Takes any certificate: `insecure-skip-verify`.
#[derive(Debug)]
struct Anyone {
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_must_hold_what_they_are_for() {
        let kind = |config: &TransportConfig, identity: Option<&ClientIdentity>| {
            client_config(config, identity).err().map(|error| error.kind())
        };
        let wrong = TransportConfig { ca_bundle: Some("hello".into()), ..TransportConfig::default() };
        assert_eq!(kind(&wrong, None), Some(ErrorKind::Configuration));
        assert_eq!(kind(&TransportConfig::default(), None), None);
        let careless = TransportConfig { insecure_skip_verify: true, ..TransportConfig::default() };
        assert_eq!(kind(&careless, None), None);

        let made = || rcgen::generate_simple_self_signed(["client.test".to_owned()]).unwrap();
        let (one, other) = (made(), made());
        let identity =
            |certificate: String, key: String| ClientIdentity { certificate: certificate.into(), key: key.into() };
        let check = |identity: &ClientIdentity| kind(&TransportConfig::default(), Some(identity));
        assert_eq!(check(&identity(one.cert.pem(), one.signing_key.serialize_pem())), None);
        let mixed = identity(one.cert.pem(), other.signing_key.serialize_pem());
        assert_eq!(check(&mixed), Some(ErrorKind::Configuration));
        assert_eq!(check(&identity(one.cert.pem(), one.cert.pem())), Some(ErrorKind::Configuration));
        assert_eq!(check(&identity(String::new(), one.signing_key.serialize_pem())), Some(ErrorKind::Configuration));
    }
}
