//! What is reached without the proxy: `NO_PROXY` and the key `no-proxy`.

use std::net::IpAddr;
use std::str::FromStr;

use url::{Host, Url};

use crate::secret::printable;
use crate::{Error, ErrorKind, Result};

/// Hosts that are reached without the proxy, as `NO_PROXY` names them.
///
/// | entry | means |
/// | --- | --- |
/// | `example.com`, `.example.com`, `*.example.com` | the host and all below it |
/// | `10.1.2.3`, `fd00::1`, `[fd00::1]` | this address |
/// | `10.0.0.0/8`, `fd00::/8` | all addresses of this network |
/// | `example.com:5000` | any of these with a port: that port only |
/// | `*` | everything |
///
/// Names are not resolved: an address is compared with addresses only, as curl and Go do. This machine is never
/// reached through a proxy.
///
/// ```
/// use supercargo_registry::NoProxy;
///
/// let exempt: NoProxy = "registry.corp.example, 10.0.0.0/8, .internal:5000".parse()?;
/// assert!(exempt.covers("registry.corp.example", 443));
/// assert!(exempt.covers("10.20.30.40", 443));
/// assert!(exempt.covers("blobs.internal", 5000) && !exempt.covers("blobs.internal", 443));
/// # Ok::<(), supercargo_registry::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NoProxy(Vec<Entry>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    hosts: Hosts,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Hosts {
    All,
    Domain(String),
    Network { address: IpAddr, bits: u32 },
}

impl NoProxy {
    /// Whether `host`, a name or an address, is reached at `port` without the proxy.
    pub fn covers(&self, host: &str, port: u16) -> bool {
        let name = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase();
        let address = name.parse::<IpAddr>().ok().map(|address| address.to_canonical());
        if name == "localhost" || address.is_some_and(|address| address.is_loopback()) {
            return true;
        }
        self.0.iter().filter(|entry| entry.port.is_none_or(|own| own == port)).any(|entry| match &entry.hosts {
            Hosts::All => true,
            Hosts::Domain(domain) => {
                name.strip_suffix(domain.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
            Hosts::Network { address: network, bits } => {
                address.is_some_and(|address| prefix(address, *bits) == prefix(*network, *bits))
            }
        })
    }

    pub(crate) fn covers_url(&self, url: &Url) -> bool {
        self.covers(url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default())
    }
}

/// The first bits of an address, with its family: networks of one do not hold addresses of the other.
fn prefix(address: IpAddr, bits: u32) -> (bool, u128) {
    let (value, width) = match address {
        IpAddr::V4(address) => (u128::from(u32::from(address)), 32),
        IpAddr::V6(address) => (u128::from(address), 128),
    };
    (address.is_ipv4(), value.checked_shr(width - bits.min(width)).unwrap_or_default())
}

impl FromStr for NoProxy {
    type Err = Error;

    /// Reads entries between commas or spaces.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] with the entry that is none.
    fn from_str(text: &str) -> Result<Self> {
        let entries = text.split([',', ' ']).map(str::trim).filter(|entry| !entry.is_empty());
        entries
            .map(|entry| {
                parse(entry).ok_or_else(|| {
                    let shown = printable(entry, 80);
                    Error::new(
                        ErrorKind::Configuration,
                        format!("read {shown:?}: expected a host, an address or a network"),
                    )
                })
            })
            .collect::<Result<_>>()
            .map(Self)
    }
}

fn parse(text: &str) -> Option<Entry> {
    if let Some(hosts) = network(text) {
        return Some(Entry { hosts, port: None });
    }
    let (hosts, port) = match text.rsplit_once(':') {
        Some((hosts, port)) => (hosts, Some(port.parse().ok()?)),
        None => (text, None),
    };
    let hosts = match network(hosts) {
        Some(network) => network,
        None if hosts == "*" => Hosts::All,
        None => match Host::parse(hosts.trim_start_matches('*').trim_matches('.')).ok()? {
            Host::Domain(name) => Hosts::Domain(name),
            // `network` reads addresses; what is left are numbers that are none by themselves.
            _ => return None,
        },
    };
    Some(Entry { hosts, port })
}

/// An address, or a network in the form of RFC 4632.
fn network(text: &str) -> Option<Hosts> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits.parse::<u32>().ok()?)),
        None => (text, None),
    };
    let address: IpAddr = address.trim_start_matches('[').trim_end_matches(']').parse().ok()?;
    let width = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.unwrap_or(width);
    (bits <= width).then_some(Hosts::Network { address, bits })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries() {
        let check = |list: &str, host: &str, port: u16, expected: bool| {
            assert_eq!(list.parse::<NoProxy>().unwrap().covers(host, port), expected, "{list} covers {host}:{port}");
        };
        check("", "registry.test", 443, false);
        check("*", "registry.test", 443, true);
        check("a.test, registry.test", "registry.test", 443, true);
        check("a.test registry.test", "registry.test", 443, true);
        for domain in ["corp.test", ".corp.test", "*.corp.test", "CORP.test", "corp.test."] {
            check(domain, "registry.corp.test", 443, true);
            check(domain, "corp.test", 443, true);
            check(domain, "notcorp.test", 443, false);
            check(domain, "corp.test.evil.test", 443, false);
        }
        check("registry.test:5000", "registry.test", 5000, true);
        check("registry.test:5000", "registry.test", 443, false);
        check("10.0.0.0/8", "10.255.0.1", 443, true);
        check("10.0.0.0/8", "11.0.0.1", 443, false);
        check("10.0.0.0/8", "10.example.test", 443, false);
        check("10.0.0.0/8", "::ffff:10.1.2.3", 443, true);
        check("0.0.0.0/0", "8.8.8.8", 443, true);
        check("0.0.0.0/0", "2001:db8::1", 443, false);
        check("192.0.2.1", "192.0.2.1", 443, true);
        check("192.0.2.1:8080", "192.0.2.1", 443, false);
        check("fd00::/8", "[fd12::1]", 443, true);
        check("[fd12::1]:5000", "fd12::1", 5000, true);
        check("::1", "::1", 5000, true);
        for own in ["localhost", "127.0.0.1", "127.1.2.3", "[::1]"] {
            check("", own, 443, true);
        }
        for bad in ["10.0.0.0/33", "a.test/8", "a.test:x", "a b@c", "registry.test:99999"] {
            assert!(bad.parse::<NoProxy>().is_err(), "{bad}");
        }
    }
}
