//! Which of Ubuntu Pro's services an image has, from what its client keeps.
//!
//! `var/lib/ubuntu-advantage/status.json` has `attached` and `services`, each with `name` and `status`; those that bring
//! packages are repositories by their names (`esm-infra`, `esm-apps`, `fips-updates`). Whoever matches vulnerabilities
//! needs them: a package of `esm-infra` is mended where that of the archive is not. Format:
//! <https://github.com/canonical/ubuntu-pro-client>, `uaclient/status.py`.

use serde::Deserialize;

use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Services without a repository: they patch a running kernel, watch a machine, or check it.
const WITHOUT_REPOSITORY: [&str; 4] = ["anbox-cloud", "cis", "landscape", "livepatch"];

/// Services of one file. The client knows some fifteen.
const MOST_SERVICES: usize = 200;

/// Longest name that is kept.
const LONGEST_NAME: usize = 100;

/// Reads the state of Ubuntu Pro's client.
#[derive(Debug)]
pub(super) struct UbuntuPro;

#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    attached: bool,
    #[serde(default)]
    services: Vec<Service>,
}

#[derive(Deserialize)]
struct Service {
    #[serde(default)]
    name: String,
    #[serde(default)]
    status: String,
}

impl Cataloger for UbuntuPro {
    fn name(&self) -> &'static str {
        "ubuntu-pro"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new().path("var/lib/ubuntu-advantage/status.json")
    }

    fn catalog(&self, _: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let status: Status = serde_json::from_str(&contents.text()?)
            .map_err(|error| Problem::malformed(format!("Ubuntu Pro's status: {error}")))?;
        if !status.attached {
            return Ok(());
        }
        let enabled = status.services.into_iter().filter(|service| service.status == "enabled");
        let named = enabled.map(|service| service.name).filter(|name| !name.is_empty() && name.len() <= LONGEST_NAME);
        let with_packages = named.filter(|name| !WITHOUT_REPOSITORY.contains(&name.as_str()));
        with_packages.take(MOST_SERVICES).for_each(|name| findings.repository(name));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<String>, Problem> {
        let file = File { path: "var/lib/ubuntu-advantage/status.json", size: text.len() as u64, executable: false };
        let mut findings = Findings::default();
        UbuntuPro.catalog(&file, &mut Contents::held(text.as_bytes()), &mut findings)?;
        Ok(findings.repositories().to_vec())
    }

    #[test]
    fn services_that_are_enabled_are_repositories() {
        let status = |attached: bool| {
            format!(
                r#"{{"_doc": "Content is experimental", "attached": {attached}, "machine_id": null, "services": [
                    {{"name": "esm-apps", "entitled": "yes", "status": "enabled", "available": "yes"}},
                    {{"name": "esm-infra", "entitled": "yes", "status": "enabled", "warning": null}},
                    {{"name": "fips", "entitled": "yes", "status": "disabled"}},
                    {{"name": "livepatch", "entitled": "yes", "status": "enabled"}},
                    {{"name": "", "status": "enabled"}}, {{}}]}}"#
            )
        };
        assert_eq!(read(&status(true)).unwrap(), ["esm-apps", "esm-infra"]);
        assert!(read(&status(false)).unwrap().is_empty());
        assert!(read("{}").unwrap().is_empty());
        assert!(read(r#"{"attached": "yes"}"#).is_err());
        assert!(read("").is_err());
        let service = r#"{"name": "esm-infra", "status": "enabled"}"#;
        let many = format!(r#"{{"attached": true, "services": [{service}{}]}}"#, format!(",{service}").repeat(999));
        assert_eq!(read(&many).unwrap().len(), MOST_SERVICES);
    }
}
