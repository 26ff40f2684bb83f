//! Integrations with what this machine adds: its adapters, its proxies, its key.

mod absent;
mod connector;
mod key;
mod path;
mod webhooks;

use std::path::Path;
use std::sync::Arc;

use clap::Args;
use supercargo_engine::integration::{Connector, Integrations};
use supercargo_engine::store::Store;

use self::absent::Lenient;
pub(crate) use self::absent::has_adapter;
use self::connector::MachineConnector;
pub(crate) use self::webhooks::{Report, Webhooks};
use crate::{Environment, Error, Result};

/// The variable with the address at which registries reach this installation's server.
pub(crate) const PUBLIC_URL: &str = "SUPERCARGO_PUBLIC_URL";

/// Where the key is.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct KeyArgs {
    /// File with the key that seals the credentials of integrations, 32 bytes in base64; a second line may hold the last one. Also SUPERCARGO_KEY [default: key in the data directory, made on first use]
    #[arg(long, value_name = "FILE", env = "SUPERCARGO_KEY_FILE", hide_env_values = true)]
    pub(crate) key_file: Option<std::path::PathBuf>,
}

/// The integrations of `store`, which is in the directory `data`.
///
/// # Errors
///
/// If the key, or what the environment says of credentials, cannot be used.
pub(crate) fn of(
    store: Arc<dyn Store>,
    data: &Path,
    args: &KeyArgs,
    environment: &Environment,
) -> Result<Integrations> {
    open(store, data, args, environment, |connector| Arc::new(connector))
}

/// The same, to be changed and not to be watched: those, too, whose adapter is not in this build.
///
/// # Errors
///
/// As for [`of`].
pub(crate) fn to_change(
    store: Arc<dyn Store>,
    data: &Path,
    args: &KeyArgs,
    environment: &Environment,
) -> Result<Integrations> {
    open(store, data, args, environment, |connector| Arc::new(Lenient::new(connector)))
}

fn open(
    store: Arc<dyn Store>,
    data: &Path,
    args: &KeyArgs,
    environment: &Environment,
    adapt: impl FnOnce(MachineConnector) -> Arc<dyn Connector>,
) -> Result<Integrations> {
    let vault =
        key::vault(args.key_file.as_deref(), data, environment).map_err(|problem| Error::usage(vec![problem]))?;
    let connector = MachineConnector::new(environment).map_err(|problem| Error::usage(vec![problem]))?;
    Ok(Integrations::new(store, adapt(connector), vault))
}
