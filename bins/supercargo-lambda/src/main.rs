//! Events of Amazon ECR into the shared queue, as an AWS Lambda function. Not there yet, and says so.

use std::process::ExitCode;

use supercargo_app::{Environment, Output};

fn main() -> ExitCode {
    let mut output = Output::of_process(Environment::of_process().wants_color());
    supercargo_app::not_yet("supercargo-lambda", &mut output).into()
}
