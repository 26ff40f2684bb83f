//! The host of a registry, as it is configured.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use url::{Host, Url};

use crate::secret::printable;
use crate::{Error, ErrorKind, Result};

/// Names under which Docker Hub is known. The first is the one that is shown and stored.
const DOCKER_HUB: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

/// A registry's host and port, in lower case, without scheme, user or path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RegistryHost {
    host: Host<String>,
    port: Option<u16>,
}

impl RegistryHost {
    /// Whether it is Docker Hub, under any of its names.
    pub fn is_docker_hub(&self) -> bool {
        matches!(&self.host, Host::Domain(name) if name == DOCKER_HUB[0])
    }

    /// Whether the name says that the registry is on this machine: `localhost` or a loopback address.
    pub fn is_loopback(&self) -> bool {
        match &self.host {
            Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => IpAddr::V6(*address).to_canonical().is_loopback(),
        }
    }

    /// `https://HOST/v2/`, the address that all requests start with.
    pub(crate) fn base(&self, scheme: &str) -> Url {
        let address = if self.is_docker_hub() { DOCKER_HUB[2].to_owned() } else { self.to_string() };
        Url::parse(&format!("{scheme}://{address}/v2/")).expect("a parsed host makes a valid address")
    }

    /// The key under which docker's configuration and credential helpers keep this registry.
    pub(crate) fn docker_key(&self) -> String {
        if self.is_docker_hub() { "https://index.docker.io/v1/".to_owned() } else { self.to_string() }
    }
}

impl fmt::Display for RegistryHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => write!(f, "{}", self.host),
        }
    }
}

impl FromStr for RegistryHost {
    type Err = Error;

    /// # Errors
    /// [`ErrorKind::Malformed`] for anything but `host[:port]`: a look-alike (a user before an `@`, a trailing
    /// dot, letters outside ASCII) is refused here, so that no later comparison meets one.
    fn from_str(text: &str) -> Result<Self> {
        let refuse = |why: &str| {
            Err(Error::new(ErrorKind::Malformed, format!("parse registry host {:?}: {why}", printable(text, 300))))
        };
        if text.is_empty() {
            return refuse("it is empty");
        }
        if !text.is_ascii() {
            return refuse("write names outside ASCII in their xn-- form");
        }
        if text.contains(['/', '@', '?', '#', '\\', '%']) || text.bytes().any(|b| b <= b' ' || b == 0x7f) {
            return refuse("expected host[:port] alone");
        }
        let (name, port) = match text.rsplit_once(':') {
            // The colons of a bare IPv6 address are not a port's.
            Some((name, port)) if !port.contains(']') => match port.parse::<u16>() {
                Ok(0) | Err(_) => return refuse("the port is not a number from 1 to 65535"),
                Ok(port) => (name, Some(port)),
            },
            _ => (text, None),
        };
        let Ok(host) = Host::parse(name) else { return refuse("it is not a host name or an address") };
        let host = match host {
            Host::Domain(name) if name.ends_with('.') => return refuse("drop the dot at the end"),
            Host::Domain(name) if DOCKER_HUB.contains(&name.as_str()) => Host::Domain(DOCKER_HUB[0].to_owned()),
            host => host,
        };
        Ok(Self { host, port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        let check = |text: &str, shown: &str, base: &str| {
            let host: RegistryHost = text.parse().unwrap();
            assert_eq!(host.to_string(), shown);
            assert_eq!(host.base("https").as_str(), base);
        };
        check("Registry.Example.COM", "registry.example.com", "https://registry.example.com/v2/");
        check("localhost:5000", "localhost:5000", "https://localhost:5000/v2/");
        check("[::1]:5000", "[::1]:5000", "https://[::1]:5000/v2/");
        check("index.docker.io", "docker.io", "https://registry-1.docker.io/v2/");
        check("docker.io", "docker.io", "https://registry-1.docker.io/v2/");
        check("2130706433:80", "127.0.0.1:80", "https://127.0.0.1:80/v2/");
    }

    #[test]
    fn look_alikes() {
        for bad in [
            "",
            "https://registry.example.com",
            "acct.dkr.ecr.us-east-1.amazonaws.com@evil.example",
            "registry.example.com.",
            "regıstry.example.com",
            "registry.example.com/path",
            "host:0",
            "host:65536",
            "host:",
            "host:80:90",
            "a b",
            "a\nb",
            "%6c.example",
        ] {
            assert!(bad.parse::<RegistryHost>().is_err(), "{bad}");
        }
    }

    #[test]
    fn loopback() {
        for (text, expected) in [
            ("localhost:1", true),
            ("127.9.9.9", true),
            ("[::1]", true),
            ("[::ffff:127.0.0.1]", true),
            ("localhost.example.com", false),
            ("10.0.0.1", false),
        ] {
            assert_eq!(text.parse::<RegistryHost>().unwrap().is_loopback(), expected, "{text}");
        }
    }
}
