//! OpenVEX documents in the image; [`crate::vex`] reads them.
//!
//! By convention they end in `.vex.json` or `.openvex.json`, wherever they lie; vendors of base images put theirs
//! under `/var/lib/db`.

use crate::vex;
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Reads OpenVEX documents.
#[derive(Debug)]
pub(crate) struct Vex;

impl Cataloger for Vex {
    fn name(&self) -> &'static str {
        "vex"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new()
            .path_in_any_case("**/*vex.json")
            .path("var/lib/db/vex/*.json")
            .path("usr/share/vex/*.json")
            .path("**/*.vex")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let bytes = contents.whole()?;
        // Other documents end so, too. Before JSON is parsed it must say that it is one of these.
        if memchr::memmem::find(bytes, b"openvex.dev/ns").is_none() {
            return Ok(());
        }
        match vex::parse(bytes)? {
            Some(document) => findings.vex(document),
            None if file.name().ends_with("openvex.json") => {
                return Err(Problem::malformed("vex: its context is not that of OpenVEX"));
            }
            None => {}
        }
        Ok(())
    }
}
