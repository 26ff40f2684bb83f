//! Packages of the system: databases, inventories and package files of its package managers.

mod alpm;
mod apk;
mod bottlerocket;
mod chisel;
mod content_sets;
mod copyright;
mod cos;
mod dpkg;
mod flatpak;
mod homebrew;
mod kernel;
mod nix;
mod opkg;
pub(crate) mod os_release;
mod package_files;
mod portage;
mod rpm;
mod snap;
mod stanza;
mod ubuntu_pro;
mod unpack;

use std::sync::Arc;

use crate::Cataloger;

/// The catalogers of package files, which lie in an image and are installed nowhere.
pub(crate) const PACKAGE_FILE: &str = "package-file";
pub(crate) const RPM_FILE: &str = "rpm-file";

/// Every cataloger of this family, in the order in which they are asked.
pub(super) fn all() -> Vec<Arc<dyn Cataloger>> {
    vec![
        Arc::new(os_release::OsRelease),
        Arc::new(dpkg::Dpkg),
        Arc::new(apk::Apk),
        Arc::new(alpm::Alpm),
        Arc::new(chisel::Chisel),
        Arc::new(opkg::Opkg),
        Arc::new(portage::Portage),
        Arc::new(nix::Nix),
        Arc::new(homebrew::Homebrew),
        Arc::new(snap::Snap),
        Arc::new(flatpak::Flatpak),
        Arc::new(cos::Cos),
        Arc::new(kernel::Kernel),
        Arc::new(package_files::PackageFiles),
        Arc::new(rpm::Rpm),
        Arc::new(rpm::RpmFile),
        Arc::new(bottlerocket::Bottlerocket),
        Arc::new(content_sets::ContentSets),
        Arc::new(ubuntu_pro::UbuntuPro),
    ]
}
