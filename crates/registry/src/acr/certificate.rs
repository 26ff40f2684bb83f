//! Signing in as an application with a certificate: the assertion that Entra takes in place of a secret.
//!
//! Azure's library has this behind OpenSSL, which supercargo does not link. The form is that of Microsoft's
//! *Microsoft identity platform application authentication certificate credentials*.

use std::fmt;

use async_trait::async_trait;
use azure_core::error::{Error, ErrorKind};
use azure_core::http::ClientMethodOptions;
use azure_identity::ClientAssertion;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PSS_SHA256, RsaKeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;

/// Seconds that an assertion is good for. It is made for one request.
const LIFE: i64 = 300;

/// Makes assertions with a key.
pub(super) struct CertificateAssertion {
    client_id: String,
    /// Entra's token endpoint of the tenant.
    audience: String,
    thumbprint: String,
    key: RsaKeyPair,
}

impl CertificateAssertion {
    /// Takes the first certificate and the key of `pem`.
    ///
    /// # Errors
    /// What is wrong with it, as it is shown to a person.
    pub(super) fn new(client_id: String, audience: String, pem: &[u8]) -> Result<Self, String> {
        let certificate = CertificateDer::from_pem_slice(pem).map_err(|_| "it holds no certificate in PEM form")?;
        let key = match PrivateKeyDer::from_pem_slice(pem) {
            Ok(PrivateKeyDer::Pkcs8(key)) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()),
            Ok(PrivateKeyDer::Pkcs1(key)) => RsaKeyPair::from_der(key.secret_pkcs1_der()),
            Ok(_) => return Err("its key is no RSA key, which is what Entra takes".to_owned()),
            Err(_) => return Err("it holds no private key in PEM form without a password".to_owned()),
        };
        let key = key.map_err(|_| "its key is no RSA key of 2048 bits or more")?;
        Ok(Self { client_id, audience, thumbprint: URL_SAFE_NO_PAD.encode(digest(&SHA256, &certificate)), key })
    }

    fn assertion(&self, now: Timestamp) -> Option<String> {
        let mut id = [0; 16];
        getrandom::fill(&mut id).ok()?;
        let now = now.as_second();
        let header = json!({"alg": "PS256", "typ": "JWT", "x5t#S256": self.thumbprint});
        let claims = json!({
            "aud": self.audience,
            "iss": self.client_id,
            "sub": self.client_id,
            "jti": URL_SAFE_NO_PAD.encode(id),
            "iat": now,
            "nbf": now,
            "exp": now + LIFE,
        });
        let encode = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(&header), encode(&claims));
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key.sign(&RSA_PSS_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).ok()?;
        Some(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

#[async_trait]
impl ClientAssertion for CertificateAssertion {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        let bad = || Error::with_message(ErrorKind::Credential, "the certificate's key does not sign");
        self.assertion(Timestamp::now()).ok_or_else(bad)
    }
}

impl fmt::Debug for CertificateAssertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateAssertion").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use super::*;

    fn openssl(folder: &Path, arguments: &[&str]) -> Vec<u8> {
        let output = Command::new("openssl").current_dir(folder).args(arguments).output().unwrap();
        assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    #[test]
    fn openssl_accepts_the_signature_and_the_thumbprint() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        openssl(
            folder,
            &[
                "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-subj",
                "/CN=x",
            ],
        );
        openssl(folder, &["rsa", "-in", "key.pem", "-traditional", "-out", "pkcs1.pem"]);
        let public = openssl(folder, &["x509", "-in", "cert.pem", "-pubkey", "-noout"]);
        std::fs::write(folder.join("public.pem"), public).unwrap();
        let fingerprint = openssl(folder, &["x509", "-in", "cert.pem", "-outform", "DER", "-out", "cert.der"]);
        assert!(fingerprint.is_empty());
        let thumbprint = openssl(folder, &["dgst", "-sha256", "-binary", "cert.der"]);

        for key in ["key.pem", "pkcs1.pem"] {
            let pem =
                [std::fs::read(folder.join("cert.pem")).unwrap(), std::fs::read(folder.join(key)).unwrap()].concat();
            let made = CertificateAssertion::new("app".into(), "https://login.test/t/oauth2/v2.0/token".into(), &pem);
            let assertion = made.unwrap().assertion("2026-01-01T00:00:00Z".parse().unwrap()).unwrap();
            let (signed, signature) = assertion.rsplit_once('.').unwrap();
            std::fs::write(folder.join("signed"), signed).unwrap();
            std::fs::write(folder.join("signature"), URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
            openssl(
                folder,
                &[
                    "dgst",
                    "-sha256",
                    "-sigopt",
                    "rsa_padding_mode:pss",
                    "-sigopt",
                    "rsa_pss_saltlen:32",
                    "-verify",
                    "public.pem",
                    "-signature",
                    "signature",
                    "signed",
                ],
            );
            let (header, claims) = signed.split_once('.').unwrap();
            let parse = |text: &str| -> serde_json::Value {
                serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
            };
            assert_eq!(parse(header)["x5t#S256"], URL_SAFE_NO_PAD.encode(&thumbprint));
            assert_eq!(parse(claims)["sub"], "app");
            assert_eq!(parse(claims)["exp"], 1_767_225_900);
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let check = |pem: &str, expected: &str| {
            let found = CertificateAssertion::new("app".into(), String::new(), pem.as_bytes());
            assert!(found.as_ref().is_err_and(|message| message.contains(expected)), "{found:?}");
        };
        check("", "no certificate");
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["x".to_owned()]).unwrap().self_signed(&key).unwrap();
        check(&certificate.pem(), "no private key");
        check(&format!("{}{}", certificate.pem(), key.serialize_pem()), "no RSA key");
    }
}
