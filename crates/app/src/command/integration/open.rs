//! What it takes to use the integrations of a store.

use std::path::Path;
use std::sync::Arc;

use supercargo_engine::integration::Integrations;
use supercargo_engine::setup::Setup;
use supercargo_engine::store::{Actor, Integration, Store};

use crate::integrations::{self, KeyArgs, has_adapter};
use crate::{Environment, Error, ErrorKind, Result};

/// Who works at this command line.
pub(in crate::command) fn actor(environment: &Environment) -> Actor {
    let account = ["SUDO_USER", "USER", "LOGNAME", "USERNAME"].iter().find_map(|name| environment.text(name));
    Actor::command_line(account.as_deref().unwrap_or("somebody"))
}

/// The integrations of a store, to be used: `integration` is tested, or its images are counted.
pub(super) fn usable(
    store: Arc<dyn Store>,
    directory: &Path,
    key: &KeyArgs,
    environment: &Environment,
    integration: &Integration,
) -> Result<Integrations> {
    let kind = Setup::of(integration)?.kind;
    if !has_adapter(kind) {
        let told = format!("open {}: type={kind} is not in this build", integration.registry);
        return Err(Error::new(ErrorKind::Usage, told).with_hint(format!(
            "build supercargo with --features {kind}; a server that has it tests the integration by itself, and \
             `supercargo integration show {}` says what came of it",
            integration.name
        )));
    }
    integrations::of(store, directory, key, environment)
}
