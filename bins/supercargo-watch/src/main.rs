//! Watches registries and indexes what is pushed to them.

use std::process::ExitCode;

use supercargo_app::{Environment, Output};

fn main() -> ExitCode {
    let environment = Environment::of_process();
    let mut output = Output::of_process(environment.wants_color());
    supercargo_app::watch(std::env::args_os(), &environment, &mut output).into()
}
