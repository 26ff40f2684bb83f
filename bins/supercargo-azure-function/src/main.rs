//! Events of Azure Container Registry into the shared queue, as an Azure Function. Not there yet, and says so.

use std::process::ExitCode;

use supercargo_app::{Environment, Output};

fn main() -> ExitCode {
    let mut output = Output::of_process(Environment::of_process().wants_color());
    supercargo_app::not_yet("supercargo-azure-function", &mut output).into()
}
