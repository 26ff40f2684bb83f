//! Packages that are installed as trees of files.

use super::Package;
use crate::Entry;

/// A `package.json` as it stands in an installed npm package.
pub fn package_json(package: &Package) -> String {
    let document = serde_json::json!({
        "name": package.name,
        "version": package.version,
        "description": package.description,
        "license": package.license.as_deref().unwrap_or("MIT"),
        "main": "index.js",
    });
    document.to_string()
}

/// Installed npm packages: `<root>/node_modules/<name>/package.json` and an `index.js` each.
pub fn npm_tree(root: &str, packages: &[Package]) -> Vec<Entry> {
    packages
        .iter()
        .flat_map(|package| {
            let directory = format!("{}/node_modules/{}", root.trim_end_matches('/'), package.name);
            [
                Entry::file(format!("{directory}/package.json"), package_json(package)),
                Entry::file(format!("{directory}/index.js"), "module.exports = {};\n"),
            ]
        })
        .collect()
}

/// An installed Python distribution: its `dist-info` directory under `site_packages` and a module.
pub fn python_dist_info(site_packages: &str, package: &Package) -> Vec<Entry> {
    let site_packages = site_packages.trim_end_matches('/');
    // The directory's name is normalised, the name in METADATA is not (PyPA "recording installed projects").
    let module = package.name.to_ascii_lowercase().replace(['-', '.'], "_");
    let info = format!("{module}-{}.dist-info", package.version);
    let metadata = format!(
        "Metadata-Version: 2.1\nName: {}\nVersion: {}\nSummary: {}\nLicense: {}\nAuthor-email: kit@example.com\n\nA body: not a field.\n",
        package.name,
        package.version,
        package.description,
        package.license.as_deref().unwrap_or("MIT"),
    );
    let record = format!("{module}/__init__.py,,\n{info}/METADATA,,\n{info}/INSTALLER,,\n{info}/RECORD,,\n");
    vec![
        Entry::file(format!("{site_packages}/{module}/__init__.py"), ""),
        Entry::file(format!("{site_packages}/{info}/METADATA"), metadata),
        Entry::file(format!("{site_packages}/{info}/INSTALLER"), "pip\n"),
        Entry::file(format!("{site_packages}/{info}/RECORD"), record),
    ]
}
