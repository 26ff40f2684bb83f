//! The names of registries, and the cloud that each is in.

use crate::RegistryHost;
use crate::distribution::without_port;

/// A cloud of Azure's: each has its own names, its own Entra and its own audience.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Cloud {
    #[default]
    Public,
    China,
    Government,
}

impl Cloud {
    const ALL: [Self; 3] = [Self::Public, Self::China, Self::Government];

    fn suffix(self) -> &'static str {
        match self {
            Self::Public => ".azurecr.io",
            Self::China => ".azurecr.cn",
            Self::Government => ".azurecr.us",
        }
    }

    /// Where Entra is asked.
    pub(crate) fn authority(self) -> &'static str {
        match self {
            Self::Public => "https://login.microsoftonline.com",
            Self::China => "https://login.chinacloudapi.cn",
            Self::Government => "https://login.microsoftonline.us",
        }
    }

    /// What the token is for. Tokens for the Resource Manager are taken, too, unless a policy forbids it; these are
    /// taken always, and are good for nothing else.
    pub(crate) fn audience(self) -> &'static str {
        match self {
            Self::Public => "https://containerregistry.azure.net",
            Self::China => "https://containerregistry.azure.cn",
            Self::Government => "https://containerregistry.azure.us",
        }
    }
}

/// What a registry's host name says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AcrHost {
    /// The name of the registry, `contoso`.
    registry: String,
    pub(crate) cloud: Cloud,
}

impl AcrHost {
    /// Reads `contoso.azurecr.io` and its regional endpoints, `contoso.westeurope.geo.azurecr.io`. Anything else is
    /// none: data endpoints, the name of a custom domain, and look-alikes such as `contoso.azurecr.io.example.com`,
    /// to which no token of a cloud may go.
    pub(crate) fn of(host: &RegistryHost) -> Option<Self> {
        let shown = host.to_string();
        let name = without_port(&shown);
        let (cloud, rest) =
            Cloud::ALL.into_iter().find_map(|cloud| Some((cloud, name.strip_suffix(cloud.suffix())?)))?;
        let labels: Vec<&str> = rest.split('.').collect();
        let registry = match labels.as_slice() {
            [registry] | [registry, _, "geo"] => *registry,
            _ => return None,
        };
        let plain = |label: &&str| {
            !label.is_empty() && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        labels.iter().all(plain).then(|| Self { registry: registry.to_owned(), cloud })
    }

    /// The name that the registry has towards its token service, whatever endpoint is asked.
    pub(crate) fn login_server(&self) -> String {
        format!("{}{}", self.registry, self.cloud.suffix())
    }

    /// How a person signs docker in to it.
    pub(crate) fn login_command(&self) -> String {
        format!("az acr login --name {}", self.registry)
    }

    /// The hosts of dedicated data endpoints, one for each region. Behind a private link they have private
    /// addresses, also for a client that reaches the registry itself by a public one.
    pub(crate) fn data_endpoints(&self) -> String {
        format!("{}.*.data{}", self.registry, self.cloud.suffix())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let check = |host: &str, expected: Option<(&str, Cloud)>| {
            let found = AcrHost::of(&host.parse().unwrap());
            let found = found.as_ref().map(|found| (found.login_server(), found.cloud));
            assert_eq!(found, expected.map(|(server, cloud)| (server.to_owned(), cloud)), "{host}");
        };
        check("contoso.azurecr.io", Some(("contoso.azurecr.io", Cloud::Public)));
        check("Contoso.AzureCR.io:443", Some(("contoso.azurecr.io", Cloud::Public)));
        check("contoso-b0fgh7dfa9ckazg5.azurecr.io", Some(("contoso-b0fgh7dfa9ckazg5.azurecr.io", Cloud::Public)));
        check("contoso.westeurope.geo.azurecr.io", Some(("contoso.azurecr.io", Cloud::Public)));
        check("contoso.azurecr.cn", Some(("contoso.azurecr.cn", Cloud::China)));
        check("contoso.azurecr.us", Some(("contoso.azurecr.us", Cloud::Government)));
        for other in [
            "azurecr.io",
            "contoso.westeurope.data.azurecr.io",
            "contoso.azurecr.io.evil.test",
            "contoso.azurecr.io-evil.test",
            "contosoazurecr.io",
            "a.b.azurecr.io",
            "con_toso.azurecr.io",
            "registry.contoso.com",
            "127.0.0.1:5000",
        ] {
            check(other, None);
        }
    }

    #[test]
    fn data_endpoints() {
        let host = AcrHost::of(&"contoso.azurecr.us".parse().unwrap()).unwrap();
        assert_eq!(host.data_endpoints(), "contoso.*.data.azurecr.us");
    }
}
