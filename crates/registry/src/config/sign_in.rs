//! How a person signs in to a registry, as hints have it.

use super::RegistryKind;
use crate::RegistryHost;
use crate::acr::AcrHost;
use crate::ecr::EcrHost;

/// How to sign in to `host`: with its cloud's own command where it has one, for `docker login` alone asks for a password
/// that nobody knows.
pub(crate) fn sign_in_hint(host: &RegistryHost) -> String {
    let built: &[RegistryKind] = &[
        #[cfg(feature = "ecr")]
        RegistryKind::Ecr,
        #[cfg(feature = "acr")]
        RegistryKind::Acr,
    ];
    hint(host, built)
}

/// The hint of a program with the adapters `built`.
fn hint(host: &RegistryHost, built: &[RegistryKind]) -> String {
    let (command, kind, identity) = if let Some(ecr) = EcrHost::of(host) {
        (ecr.login_command(host), RegistryKind::Ecr, "AWS credentials")
    } else if let Some(acr) = AcrHost::of(host) {
        (acr.login_command(), RegistryKind::Acr, "identities of Microsoft Entra")
    } else {
        return format!("sign in with: docker login {host}");
    };
    if built.contains(&kind) {
        return format!("sign in with: {command}");
    }
    format!(
        "sign in with: {command}. A program built with --features {kind} uses {identity} by itself, and renews them"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clouds_have_commands_of_their_own() {
        let check = |host: &str, built: &[RegistryKind], expected: &str| {
            let found = hint(&host.parse().unwrap(), built);
            assert!(found.starts_with("sign in with: ") && found.contains(expected), "{host}: {found}");
            assert_eq!(found.contains("--features"), built.is_empty() && host != "a.test", "{host}: {found}");
        };
        // Amazon ECR User Guide, *Private registry authentication*; ECR Public User Guide; `az acr login --help`.
        check(
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
            &[],
            "aws ecr get-login-password --region eu-west-1 | docker login --username AWS --password-stdin \
             123456789012.dkr.ecr.eu-west-1.amazonaws.com",
        );
        check("123456789012.dkr.ecr.eu-west-1.amazonaws.com", &[RegistryKind::Ecr], "--region eu-west-1 |");
        check("public.ecr.aws", &[RegistryKind::Ecr], "aws ecr-public get-login-password --region us-east-1 |");
        check("contoso.azurecr.io", &[], "az acr login --name contoso");
        check("contoso.azurecr.io", &[RegistryKind::Acr], "az acr login --name contoso");
        check("a.test", &[], "docker login a.test");
        // To a look-alike nobody is sent with a password of the cloud.
        check("a.test", &[], "docker login");
        let fake = hint(&"contoso.azurecr.io.evil.test".parse().unwrap(), &[]);
        assert_eq!(fake, "sign in with: docker login contoso.azurecr.io.evil.test");
    }
}
