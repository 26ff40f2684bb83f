//! Where the transport may connect to.
//!
//! The user chose the registry, so its host may be anywhere but on the link. Every other address — of a redirect,
//! of a token service — was chosen by somebody else, and must not lead inward: a public registry cannot send
//! supercargo to the machine's own network or to a cloud's metadata service. The check is made on the addresses that
//! are then connected to, so a name that resolves to another address a moment later changes nothing. Nor does the
//! registry's own name: once it was public, it leads to public addresses only.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use super::outbound::Destinations;
use super::transport::find_cause;
use crate::secret::redacted;
use crate::{Error, ErrorKind, Result};

/// Resolves host names. The way to bring another resolver, or fixed names in tests.
pub trait Resolver: fmt::Debug + Send + Sync {
    /// The addresses of `host`.
    fn resolve(&self, host: &str) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;
}

/// The machine's resolver.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve(&self, host: &str) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>> {
        let host = host.to_owned();
        Box::pin(async move {
            let addresses = tokio::net::lookup_host((host, 0)).await?;
            Ok(addresses.map(|address| address.ip()).collect())
        })
    }
}

/// How far an address reaches. The order is that of trust: whoever is at home in one may be led to the later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    /// Wherever it likes: of whoever is led, never of an address.
    Everywhere,
    /// This machine.
    Loopback,
    /// This site: RFC 1918, unique local, carrier-grade NAT.
    Private,
    /// Everybody.
    Public,
    /// This link, where metadata services are; nobody is led there.
    LinkLocal,
    /// No host has such an address: unspecified, multicast, broadcast, reserved.
    Nowhere,
}

impl Reach {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::of_v4(address),
            IpAddr::V6(address) => Self::of_v6(address),
        }
    }

    fn of_v4(address: Ipv4Addr) -> Self {
        let [a, b, ..] = address.octets();
        if address.is_loopback() {
            Self::Loopback
        } else if address.is_link_local() || address == Ipv4Addr::new(168, 63, 129, 16) {
            // 168.63.129.16 is Azure's platform address: public by its number, answered by the host below.
            Self::LinkLocal
        } else if address.is_private() || (a == 100 && (64..128).contains(&b)) {
            Self::Private
        } else if a == 0 || a >= 224 || (a == 192 && b == 0 && address.octets()[2] == 0) {
            Self::Nowhere
        } else if a == 198 && (b == 18 || b == 19) {
            Self::Private
        } else {
            Self::Public
        }
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        // fd00:ec2::254 is Amazon's metadata service; it lies in the unique local range.
        const EC2_METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
        let segments = address.segments();
        if address.is_loopback() {
            Self::Loopback
        } else if address.is_unspecified() || address.is_multicast() {
            Self::Nowhere
        } else if address.is_unicast_link_local() || address == EC2_METADATA {
            Self::LinkLocal
        } else if address.is_unique_local() || segments[0] & 0xffc0 == 0xfec0 {
            Self::Private
        } else if let Some(embedded) = embedded_v4(segments) {
            Self::of_v4(embedded)
        } else {
            Self::Public
        }
    }

    fn admits(self, target: Self) -> bool {
        match target {
            Self::Public => true,
            Self::Loopback | Self::Private => self <= target,
            Self::LinkLocal | Self::Nowhere => self == Self::Everywhere,
            Self::Everywhere => false,
        }
    }
}

/// The IPv4 address within NAT64 (64:ff9b::/96), 6to4 (2002::/16) and IPv4-compatible (::/96) addresses.
fn embedded_v4(segments: [u16; 8]) -> Option<Ipv4Addr> {
    let join = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match segments {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0, 0, 0, 0, 0, 0, high, low] => Some(join(high, low)),
        [0x2002, high, low, ..] => Some(join(high, low)),
        _ => None,
    }
}

/// The rule, for one registry.
#[derive(Debug)]
pub(crate) struct Guard {
    home: String,
    trusted: Vec<String>,
    /// The user's proxy: connected to, and led to by nobody.
    proxy: Option<String>,
    resolver: Arc<dyn Resolver>,
    reach: Mutex<Option<Reach>>,
}

impl Guard {
    /// A guard for the registry at `base`. `trusted` are hosts, with or without a port, that the user named.
    pub(crate) fn new(base: &Url, trusted: &[String], proxy: Option<&str>, resolver: Arc<dyn Resolver>) -> Self {
        let reach = literal(base).map(Reach::of);
        let trusted = trusted.iter().map(|host| without_port(host).to_ascii_lowercase()).collect();
        let proxy = proxy.map(str::to_ascii_lowercase);
        Self { home: host_of(base), trusted, proxy, resolver, reach: Mutex::new(reach) }
    }

    /// A guard for addresses that belong to no registry.
    pub(crate) fn fixed(destinations: Destinations, proxy: Option<&str>, resolver: Arc<dyn Resolver>) -> Self {
        let reach = match destinations {
            Destinations::Public => Reach::Public,
            Destinations::Private => Reach::Loopback,
            Destinations::Everywhere => Reach::Everywhere,
        };
        let proxy = proxy.map(str::to_ascii_lowercase);
        Self { home: String::new(), trusted: Vec::new(), proxy, resolver, reach: Mutex::new(Some(reach)) }
    }

    /// Refuses an address that is written as a number. Names are checked when they are resolved.
    ///
    /// `url` has already turned the other ways to write an IPv4 address (`2130706433`, `0x7f.1`) into the usual.
    pub(crate) fn check(&self, url: &Url) -> Result<()> {
        let host = host_of(url);
        if self.is_chosen(&host) {
            return Ok(());
        }
        if self.proxy.as_deref() == Some(&host) {
            return Err(Error::new(ErrorKind::Refused, format!("connect to {}: it is the proxy", redacted(url))));
        }
        match literal(url) {
            Some(address) if !self.admits(address) => Err(Forbidden { host, address, is_home: false }.to_error(url)),
            _ => Ok(()),
        }
    }

    /// Whether the registry is on this machine or in a private network.
    pub(crate) fn is_inside(&self) -> bool {
        self.reach().is_some_and(|reach| reach <= Reach::Private)
    }

    /// Whether the user wrote this host, as the registry's or beside it.
    fn is_chosen(&self, host: &str) -> bool {
        host == self.home || self.is_trusted(host)
    }

    fn is_trusted(&self, host: &str) -> bool {
        self.trusted.iter().any(|trusted| is_named(trusted, host))
    }

    fn admits(&self, address: IpAddr) -> bool {
        // Before the registry itself was resolved it counts as public, which allows least.
        self.reach().unwrap_or(Reach::Public).admits(Reach::of(address))
    }

    fn reach(&self) -> Option<Reach> {
        *self.reach.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The addresses of `host` that may be connected to.
    ///
    /// # Errors
    /// The resolver's; [`Forbidden`] if the name leads to none that may.
    pub(crate) async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, Box<dyn StdError + Send + Sync>> {
        let addresses = self.resolver.resolve(host).await?;
        if host == self.home {
            // One public address among them makes the registry public: its name is then anybody's to point.
            let widest =
                addresses.iter().map(|address| Reach::of(*address)).filter(|reach| *reach <= Reach::Public).max();
            let mut reach = self.reach.lock().unwrap_or_else(PoisonError::into_inner);
            *reach = (*reach).max(widest);
        }
        if self.is_trusted(host) || self.proxy.as_deref() == Some(host) {
            return Ok(addresses);
        }
        let (allowed, forbidden): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|address| self.admits(*address));
        match forbidden.first() {
            Some(address) if allowed.is_empty() => {
                Err(Box::new(Forbidden { host: host.to_owned(), address: *address, is_home: host == self.home }))
            }
            _ => Ok(allowed),
        }
    }
}

/// The guard as `reqwest` takes it.
pub(crate) struct GuardedResolver(pub(crate) Arc<Guard>);

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = Arc::clone(&self.0);
        Box::pin(async move {
            let host = name.as_str().to_ascii_lowercase();
            let addresses = guard.addresses(&host).await?;
            Ok(Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}

/// An address that must not be connected to.
#[derive(Clone, Debug)]
pub(crate) struct Forbidden {
    host: String,
    address: IpAddr,
    is_home: bool,
}

impl Forbidden {
    pub(crate) fn to_error(&self, url: &Url) -> Error {
        let hint = match self.is_home {
            true => format!("if the registry is at that address, say so: redirect-host={}", self.host),
            false => format!("if the registry is right to send you there, name the host: redirect-host={}", self.host),
        };
        Error::new(ErrorKind::Refused, format!("connect to {}", redacted(url)))
            .with_source(self.clone())
            .with_hint(hint)
    }

    pub(crate) fn address(&self) -> IpAddr {
        self.address
    }

    /// The refusal among an error's causes.
    pub(crate) fn among<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Self> {
        find_cause(error)
    }
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_home {
            true => write!(f, "{} leads to {} now, where no public registry is", self.host, self.address),
            false => write!(f, "{} leads to {}, an address that the registry may not lead to", self.host, self.address),
        }
    }
}

impl StdError for Forbidden {}

/// A host's name as it is compared: lower case, no brackets, no dot at the end.
fn host_of(url: &Url) -> String {
    match url.host() {
        Some(Host::Domain(name)) => name.trim_end_matches('.').to_ascii_lowercase(),
        Some(host) => host.to_string(),
        None => String::new(),
    }
}

fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
        Host::Domain(_) => None,
    }
}

/// Whether `host` is what `trusted` names. An adapter may name a label by `*`: the region within a data endpoint.
fn is_named(trusted: &str, host: &str) -> bool {
    let mut labels = host.split('.');
    trusted
        .split('.')
        .all(|wanted| labels.next().is_some_and(|label| label == wanted || wanted == "*" && !label.is_empty()))
        && labels.next().is_none()
}

pub(crate) fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') && !name.ends_with(':') => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[derive(Debug)]
    struct Fixed(HashMap<&'static str, &'static [&'static str]>);

    impl Resolver for Fixed {
        fn resolve(&self, host: &str) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>> {
            let addresses = self.0.get(host).map(|list| list.iter().map(|text| text.parse().unwrap()).collect());
            Box::pin(async move { addresses.ok_or_else(|| io::Error::other("no such host")) })
        }
    }

    fn guard(base: &str, trusted: &[&str]) -> Guard {
        let names = HashMap::from([
            ("public.test", &["203.0.113.1"][..]),
            ("both.test", &["10.0.0.1", "203.0.113.1"]),
            ("private.test", &["10.0.0.1"]),
            ("local.test", &["127.0.0.1", "::1"]),
            ("metadata.test", &["169.254.169.254"]),
            ("mixed.test", &["169.254.169.254", "203.0.113.9"]),
        ]);
        let trusted: Vec<String> = trusted.iter().map(|host| (*host).to_owned()).collect();
        Guard::new(&Url::parse(base).unwrap(), &trusted, None, Arc::new(Fixed(names)))
    }

    const INWARD: [&str; 14] = [
        "http://169.254.169.254/",
        "http://127.0.0.1/",
        "http://[::1]/",
        "http://[fd00:ec2::254]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:7f00:1]/",
        "http://0.0.0.0/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://0177.0.0.1/",
        "http://10.1.2.3/",
        "http://[fe80::1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://168.63.129.16/",
    ];

    #[test]
    fn a_public_registry_leads_nowhere_inward() {
        for base in ["https://203.0.113.1/v2/", "https://unresolved.test/v2/"] {
            let guard = guard(base, &[]);
            for url in INWARD {
                let error = guard.check(&Url::parse(url).unwrap()).expect_err(url);
                assert_eq!(error.kind(), ErrorKind::Refused);
                assert!(error.hint().unwrap().contains("redirect-host="));
            }
            assert!(guard.check(&Url::parse("https://198.51.100.7/blob").unwrap()).is_ok());
        }
    }

    #[test]
    fn a_private_registry_leads_into_its_own_network_only() {
        let check = |base: &str, target: &str, expected: bool| {
            assert_eq!(guard(base, &[]).check(&Url::parse(target).unwrap()).is_ok(), expected, "{base} to {target}");
        };
        check("https://10.0.0.1/v2/", "http://10.9.9.9/", true);
        check("https://10.0.0.1/v2/", "http://127.0.0.1/", false);
        check("https://10.0.0.1/v2/", "http://169.254.169.254/", false);
        check("http://127.0.0.1:5000/v2/", "http://127.0.0.1:6000/", true);
        check("http://127.0.0.1:5000/v2/", "http://10.9.9.9/", true);
        check("http://127.0.0.1:5000/v2/", "http://169.254.169.254/", false);
        check("http://127.0.0.1:5000/v2/", "http://[::ffff:169.254.169.254]/", false);
    }

    #[tokio::test]
    async fn names_are_judged_by_what_they_resolve_to() {
        let guard = guard("https://public.test/v2/", &["private.test:8443"]);
        assert_eq!(guard.addresses("public.test").await.unwrap().len(), 1);
        for name in ["local.test", "metadata.test"] {
            let error = guard.addresses(name).await.unwrap_err();
            assert!(Forbidden::among(&*error).is_some(), "{name}");
        }
        // What is left of a name with one good address is that address alone.
        assert_eq!(guard.addresses("mixed.test").await.unwrap(), ["203.0.113.9".parse::<IpAddr>().unwrap()]);
        // The user named this one.
        assert_eq!(guard.addresses("private.test").await.unwrap().len(), 1);
        assert!(guard.check(&Url::parse("https://private.test./").unwrap()).is_ok());
    }

    #[tokio::test]
    async fn a_name_is_as_public_as_its_most_public_address() {
        let inside = guard("https://private.test/v2/", &[]);
        inside.addresses("private.test").await.unwrap();
        assert!(inside.is_inside());
        let outside = guard("https://both.test/v2/", &[]);
        outside.addresses("both.test").await.unwrap();
        assert!(!outside.is_inside());
        assert!(outside.check(&Url::parse("http://10.9.9.9/").unwrap()).is_err());
    }

    /// Another answer to each question.
    #[derive(Debug)]
    struct Rebinding(Mutex<Vec<&'static str>>);

    impl Resolver for Rebinding {
        fn resolve(&self, _host: &str) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>> {
            let next = self.0.lock().unwrap().remove(0).split(',').map(|text| text.parse().unwrap()).collect();
            Box::pin(async move { Ok(next) })
        }
    }

    #[tokio::test]
    async fn a_name_that_resolves_to_another_address_a_moment_later() {
        let rebinding = |trusted: &[String], answers: &[&'static str]| {
            let resolver = Arc::new(Rebinding(Mutex::new(answers.to_vec())));
            Guard::new(&Url::parse("https://registry.test/v2/").unwrap(), trusted, None, resolver)
        };
        // Of another host: each answer is judged, and only what was judged is connected to.
        let guard = rebinding(&[], &["203.0.113.1", "203.0.113.2", "10.0.0.1", "169.254.169.254", "203.0.113.2"]);
        assert_eq!(guard.addresses("registry.test").await.unwrap().len(), 1);
        assert_eq!(guard.addresses("blobs.test").await.unwrap().len(), 1);
        assert!(guard.addresses("blobs.test").await.is_err());
        assert!(guard.addresses("blobs.test").await.is_err());
        assert_eq!(guard.addresses("blobs.test").await.unwrap().len(), 1);

        // Of the registry itself: public once, public for good.
        let answers = ["203.0.113.1", "10.0.0.1", "127.0.0.1", "169.254.169.254", "10.0.0.1,203.0.113.1"];
        let guard = rebinding(&[], &answers);
        assert_eq!(guard.addresses("registry.test").await.unwrap().len(), 1);
        for _ in 0..3 {
            let error = guard.addresses("registry.test").await.unwrap_err();
            let error = Forbidden::among(&*error).unwrap().to_error(&Url::parse("https://registry.test/v2/").unwrap());
            assert_eq!(error.hint(), Some("if the registry is at that address, say so: redirect-host=registry.test"));
        }
        assert_eq!(guard.addresses("registry.test").await.unwrap(), ["203.0.113.1".parse::<IpAddr>().unwrap()]);
        let guard = rebinding(&["registry.test".to_owned()], &answers);
        for _ in answers {
            assert!(!guard.addresses("registry.test").await.unwrap().is_empty());
        }

        // A registry within moves within; its name leads to no metadata service at any time.
        let guard = rebinding(&[], &["10.0.0.1", "10.0.0.2", "169.254.169.254", "0.0.0.0"]);
        assert!(guard.addresses("registry.test").await.is_ok());
        assert!(guard.addresses("registry.test").await.is_ok());
        assert!(guard.addresses("registry.test").await.is_err());
        assert!(guard.addresses("registry.test").await.is_err());
    }

    #[test]
    fn a_star_names_one_label() {
        let named = "contoso.*.data.azurecr.io";
        assert!(is_named(named, "contoso.westeurope.data.azurecr.io"));
        for other in [
            "contoso..data.azurecr.io",
            "contoso.data.azurecr.io",
            "contoso.a.b.data.azurecr.io",
            "contoso.westeurope.data.azurecr.io.evil.test",
            "evil.contoso.westeurope.data.azurecr.io",
        ] {
            assert!(!is_named(named, other), "{other}");
        }
        assert!(is_named("blobs.test", "blobs.test") && !is_named("blobs.test", "blobs.test.evil.test"));
    }

    #[test]
    fn ports() {
        assert_eq!(without_port("a.test:80"), "a.test");
        assert_eq!(without_port("a.test"), "a.test");
        assert_eq!(without_port("[::1]:80"), "[::1]");
        assert_eq!(without_port("[::1]"), "[::1]");
    }
}
