//! Azure Storage, as Microsoft's emulator has it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::{Sender, Service, eventually, free_port, node_program, openssl, run_python};

const PATIENCE: Duration = Duration::from_secs(60);
/// Known to nobody's emulator but this.
const ACCOUNT: &str = "supercargo";
const KEY: &str = "dGhlIGtleSBvZiBhbiBhY2NvdW50IHRoYXQgaXMgb25seSBmb3IgdGVzdHMh";

/// A service of Azure Storage, which the emulator has a program for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Store {
    Queues,
    Blobs,
}

impl Store {
    fn program(self) -> &'static str {
        match self {
            Self::Queues => "azurite-queue",
            Self::Blobs => "azurite-blob",
        }
    }

    /// What its options begin with.
    fn prefix(self) -> &'static str {
        match self {
            Self::Queues => "--queue",
            Self::Blobs => "--blob",
        }
    }
}

/// Azurite, Microsoft's emulator of Azure Storage, with its queues or its blobs.
#[derive(Debug)]
pub struct Azurite {
    url: String,
    authority: Option<PathBuf>,
    _service: Service,
}

impl Azurite {
    /// The name and the key of its one account.
    pub const ACCOUNT: (&'static str, &'static str) = (ACCOUNT, KEY);

    /// Starts queues with http, where the account's key and signatures made with it are good. Its files are in `folder`.
    ///
    /// # Errors
    ///
    /// If it does not start.
    pub async fn start(folder: &Path) -> Result<Self> {
        Self::launch(Store::Queues, folder, None).await
    }

    /// Starts queues with https, where tokens of Microsoft Entra are good as well. It looks at who issued them, for
    /// what, and when they end, and not at their signature.
    ///
    /// # Errors
    ///
    /// If it does not start.
    pub async fn start_with_tokens(folder: &Path) -> Result<Self> {
        let certificate = Certificate::make(folder).await?;
        Self::launch(Store::Queues, folder, Some(certificate)).await
    }

    /// Starts blobs with http.
    ///
    /// # Errors
    ///
    /// If it does not start.
    pub async fn start_blobs(folder: &Path) -> Result<Self> {
        Self::launch(Store::Blobs, folder, None).await
    }

    async fn launch(store: Store, folder: &Path, certificate: Option<Certificate>) -> Result<Self> {
        let (port, prefix) = (free_port(), store.prefix());
        let mut command = Command::new(node_program(store.program()).await?);
        command
            .args(["--silent", "--disableTelemetry", "--skipApiVersionCheck"])
            .args([format!("{prefix}Host"), "127.0.0.1".to_owned(), format!("{prefix}Port"), port.to_string()])
            .arg("--location")
            .arg(folder.join("azurite"))
            .env("AZURITE_ACCOUNTS", format!("{ACCOUNT}:{KEY}"));
        if let Some(Certificate { pem, key, .. }) = &certificate {
            command.args(["--oauth", "basic", "--cert"]).arg(pem).arg("--key").arg(key);
        }
        let mut service = Service::start("azurite", &mut command, &folder.join("azurite.log"))?;
        let address = format!("127.0.0.1:{port}");
        eventually("azurite listens", PATIENCE, async || {
            service.check()?;
            Sender::connect(&address).await.map(drop)
        })
        .await?;
        let scheme = if certificate.is_some() { "https" } else { "http" };
        let authority = certificate.map(|certificate| certificate.authority);
        Ok(Self { url: format!("{scheme}://{address}/{ACCOUNT}"), authority, _service: service })
    }

    /// The address of its service, with the account.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The address of a queue.
    pub fn queue_url(&self, queue: &str) -> String {
        format!("{}/{queue}", self.url)
    }

    /// What whoever holds the account's key has, for queues.
    pub fn connection_string(&self) -> String {
        let scheme = if self.authority.is_some() { "https" } else { "http" };
        format!("DefaultEndpointsProtocol={scheme};AccountName={ACCOUNT};AccountKey={KEY};QueueEndpoint={};", self.url)
    }

    /// The file with the certificate of the authority behind its own.
    ///
    /// # Errors
    ///
    /// If it has none.
    pub fn authority(&self) -> Result<&Path> {
        self.authority.as_deref().context("it speaks http")
    }

    /// Runs a Python program with Microsoft's own client: `queue` writes messages as they are, `encoded` in base64.
    /// `sys.argv[4]` is the first of `arguments`.
    ///
    /// # Errors
    ///
    /// What the program complains of.
    pub async fn run(&self, queue: &str, program: &str, arguments: &[&str]) -> Result<String> {
        let head = "import sys, json\n\
            from datetime import datetime, timedelta, timezone\n\
            from azure.storage.queue import (QueueClient, QueueSasPermissions, TextBase64EncodePolicy,\n\
            \x20   generate_queue_sas)\n\
            options = {'connection_verify': sys.argv[3] or True}\n\
            queue = QueueClient.from_connection_string(sys.argv[1], sys.argv[2], **options)\n\
            encoded = QueueClient.from_connection_string(sys.argv[1], sys.argv[2],\n\
            \x20   message_encode_policy=TextBase64EncodePolicy(), **options)\n";
        let authority = self.authority.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
        let connection = self.connection_string();
        let all = [&[connection.as_str(), queue, &authority], arguments].concat();
        run_python(&format!("{head}{program}"), &all).await
    }

    /// Runs a Python program with Microsoft's own client of a container of blobs, `container`.
    ///
    /// # Errors
    ///
    /// What the program complains of.
    pub async fn run_on_blobs(&self, container: &str, program: &str) -> Result<String> {
        let head = "import base64, json, sys\n\
            from azure.storage.blob import ContainerClient\n\
            container = ContainerClient(sys.argv[1], sys.argv[2], credential=sys.argv[3])\n";
        run_python(&format!("{head}{program}"), &[&self.url, container, KEY]).await
    }
}

/// A certificate for this machine, and the authority that issued it.
struct Certificate {
    pem: PathBuf,
    key: PathBuf,
    authority: PathBuf,
}

impl Certificate {
    async fn make(folder: &Path) -> Result<Self> {
        let file = |name: &str| folder.join(name).display().to_string();
        let (authority, authority_key) = (file("authority.pem"), file("authority.key"));
        let (pem, key, request, names) = (file("azurite.pem"), file("azurite.key"), file("request.pem"), file("names"));
        std::fs::write(&names, "subjectAltName=IP:127.0.0.1\n")?;
        let fresh = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
        let root = ["-keyout", &authority_key, "-out", &authority, "-subj", "/CN=supercargo tests", "-days", "2"];
        openssl([&["req", "-x509"], &fresh[..], &root].concat()).await?;
        let own = ["-keyout", &key, "-out", &request, "-subj", "/CN=azurite"];
        openssl([&["req"], &fresh[..], &own].concat()).await?;
        let issue = ["x509", "-req", "-in", &request, "-CA", &authority, "-CAkey", &authority_key, "-CAcreateserial"];
        openssl([&issue[..], &["-days", "2", "-extfile", &names, "-out", &pem]].concat()).await?;
        Ok(Self { pem: pem.into(), key: key.into(), authority: authority.into() })
    }
}
