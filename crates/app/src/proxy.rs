//! The proxy that the environment names, for registries that are configured without one.

use supercargo_engine::registry::{NoProxy, RegistryConfig, Secret};
use url::Url;

use crate::Environment;

/// Takes `HTTPS_PROXY` or, for plain HTTP, `http_proxy` over into `config`, with `NO_PROXY`, unless it has a proxy or
/// is on this machine. `HTTP_PROXY` in capitals is not read: in a CGI it is a request header.
///
/// # Errors
///
/// The entry of `NO_PROXY` that is none.
pub(crate) fn apply(config: &mut RegistryConfig, environment: &Environment) -> Result<(), String> {
    if config.transport.proxy.is_some() || config.host.is_loopback() {
        return Ok(());
    }
    let either = |capitals: &str, small: &str| environment.text(small).or_else(|| environment.text(capitals));
    let proxy = match config.transport.plain_http {
        Some(true) => environment.text("http_proxy"),
        _ => either("HTTPS_PROXY", "https_proxy"),
    };
    let Some(proxy) = proxy else { return Ok(()) };
    // A registry that has a list of its own is not spoken of by the machine's.
    if config.transport.no_proxy == Default::default() {
        let exempt = either("NO_PROXY", "no_proxy").unwrap_or_default();
        config.transport.no_proxy = exempt.parse().map_err(|error| format!("NO_PROXY: {error}"))?;
    }
    config.transport.proxy = Some(Secret::from(proxy));
    Ok(())
}

/// The proxy for https, and what is reached without it.
///
/// # Errors
///
/// The entry of `NO_PROXY` that is none.
pub(crate) fn of_machine(environment: &Environment) -> Result<Option<(Secret, NoProxy)>, String> {
    let either = |capitals: &str, small: &str| environment.text(small).or_else(|| environment.text(capitals));
    let Some(proxy) = either("HTTPS_PROXY", "https_proxy") else { return Ok(None) };
    let exempt = either("NO_PROXY", "no_proxy").unwrap_or_default();
    let exempt = exempt.parse().map_err(|error| format!("NO_PROXY: {error}"))?;
    Ok(Some((Secret::from(proxy), exempt)))
}

/// The proxy for an address that is no registry's, unless it is on this machine or `NO_PROXY` names it.
pub(crate) fn of_url(url: &Url, environment: &Environment) -> Option<Secret> {
    let either = |capitals: &str, small: &str| environment.text(small).or_else(|| environment.text(capitals));
    let host = url.host_str()?;
    let is_loopback = host == "localhost" || host.starts_with("127.") || host == "[::1]";
    let proxy =
        if url.scheme() == "http" { environment.text("http_proxy") } else { either("HTTPS_PROXY", "https_proxy") };
    let exempt = either("NO_PROXY", "no_proxy").unwrap_or_default();
    proxy.filter(|_| !is_loopback && !is_exempt(host, &exempt)).map(Secret::from)
}

/// Whether one of the names in `list`, parted by commas, is the host or a domain above it, as curl reads them.
fn is_exempt(host: &str, list: &str) -> bool {
    let (name, _) = host.rsplit_once(':').filter(|(_, port)| !port.contains(']')).unwrap_or((host, ""));
    list.split(',').map(str::trim).filter(|entry| !entry.is_empty()).any(|entry| {
        let entry = entry.trim_start_matches('.').to_ascii_lowercase();
        entry == "*"
            || entry == host
            || entry == name
            || name.strip_suffix(&entry).is_some_and(|rest| rest.ends_with('.'))
    })
}

#[cfg(test)]
mod tests {
    use supercargo_engine::registry::parse_registry;

    use super::*;

    #[test]
    fn which_proxy() {
        let check = |registry: &str, variables: &[(&str, &str)], expected: Option<&str>| {
            let environment =
                variables.iter().fold(Environment::default(), |all, (name, value)| all.with(*name, *value));
            let mut config = parse_registry(registry).unwrap();
            apply(&mut config, &environment).unwrap();
            let host = config.host.to_string();
            let (name, port) = host.rsplit_once(':').unwrap_or((&host, "443"));
            let covered = config.transport.no_proxy.covers(name, port.parse().unwrap());
            let found = config.transport.proxy.as_ref().filter(|_| !covered).map(Secret::expose);
            assert_eq!(found, expected, "{registry} {variables:?}");
        };
        let proxy = ("HTTPS_PROXY", "http://proxy.test:3128");
        check("registry.test", &[proxy], Some("http://proxy.test:3128"));
        check("registry.test:5000", &[proxy, ("NO_PROXY", "a.test, registry.test")], None);
        check("registry.corp.test", &[proxy, ("no_proxy", ".corp.test")], None);
        check("notcorp.test", &[proxy, ("no_proxy", "corp.test")], Some("http://proxy.test:3128"));
        check("registry.test", &[proxy, ("NO_PROXY", "*")], None);
        check("10.1.2.3:5000", &[proxy, ("NO_PROXY", "10.0.0.0/8")], None);
        check("registry.test:5000", &[proxy, ("NO_PROXY", "registry.test:5000")], None);
        check("registry.test", &[proxy, ("NO_PROXY", "registry.test:5000")], Some("http://proxy.test:3128"));
        check(
            "registry=registry.test,no-proxy=other.test",
            &[proxy, ("NO_PROXY", "*")],
            Some("http://proxy.test:3128"),
        );
        check("localhost:5000", &[proxy], None);
        check("registry=registry.test,plain-http=true", &[proxy, ("HTTP_PROXY", "http://x")], None);
        check("registry=registry.test,proxy=http://own:1", &[proxy], Some("http://own:1"));
    }

    #[test]
    fn an_entry_that_is_none() {
        let environment =
            Environment::default().with("HTTPS_PROXY", "http://proxy.test").with("NO_PROXY", "10.0.0.0/99");
        let mut config = parse_registry("registry.test").unwrap();
        assert!(apply(&mut config, &environment).unwrap_err().contains("10.0.0.0/99"));
        assert!(of_machine(&environment).unwrap_err().contains("10.0.0.0/99"));
    }
}
