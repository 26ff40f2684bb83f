//! Amazon's services, as `moto` has them.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::{Sender, Service, eventually, free_port, python, run_python};

const PATIENCE: Duration = Duration::from_secs(60);

/// The region of its queues.
const REGION: &str = "eu-central-1";

/// `moto`, the stand-in for Amazon's services that their users test with.
#[derive(Debug)]
pub struct Moto {
    endpoint: String,
    _service: Service,
}

impl Moto {
    /// Starts it, with its log in `folder`.
    ///
    /// # Errors
    ///
    /// If it does not start.
    pub async fn start(folder: &Path) -> Result<Self> {
        let port = free_port();
        let mut command = Command::new(python().await?);
        command.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()]);
        let mut service = Service::start("moto", &mut command, &folder.join("moto.log"))?;
        let address = format!("127.0.0.1:{port}");
        eventually("moto listens", PATIENCE, async || {
            service.check()?;
            Sender::connect(&address).await.map(drop)
        })
        .await?;
        Ok(Self { endpoint: format!("http://{address}"), _service: service })
    }

    /// The address of its API.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Its region.
    pub fn region(&self) -> &'static str {
        REGION
    }

    /// Makes a queue; its address.
    ///
    /// # Errors
    ///
    /// What Amazon's library complains of.
    pub async fn queue(&self, name: &str) -> Result<String> {
        let url = self.sqs("print(sqs.create_queue(QueueName=sys.argv[2])['QueueUrl'])", &[name]).await?;
        Ok(url.trim().to_owned())
    }

    /// Runs a Python program in which `sqs` is Amazon's own client; `sys.argv[2]` is the first of `arguments`.
    ///
    /// # Errors
    ///
    /// What the program complains of.
    pub async fn sqs(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let head = format!(
            "import sys, json, boto3\n\
             sqs = boto3.client('sqs', endpoint_url=sys.argv[1], region_name='{REGION}',\n\
             \x20   aws_access_key_id='test', aws_secret_access_key='test')\n"
        );
        run_python(&format!("{head}{program}"), &[&[self.endpoint.as_str()], arguments].concat()).await
    }
}
