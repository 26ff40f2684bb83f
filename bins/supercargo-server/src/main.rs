//! Receives webhooks of registries, indexes what was pushed, serves the API.

use std::process::ExitCode;

use supercargo_app::{Environment, Output};

fn main() -> ExitCode {
    let environment = Environment::of_process();
    let mut output = Output::of_process(environment.wants_color());
    supercargo_app::server(std::env::args_os(), &environment, &mut output).into()
}
