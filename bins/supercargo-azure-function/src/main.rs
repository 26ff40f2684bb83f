//! Passes events of Azure Container Registry on to a supercargo server, as a custom handler of Azure Functions.

use std::process::ExitCode;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = runtime.map_err(|error| error.to_string()).and_then(|runtime| {
        let settings = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        runtime.block_on(supercargo_relay::azure::run(&settings)).map_err(|error| error.to_string())
    });
    let Err(error) = ended else { return ExitCode::SUCCESS };
    #[expect(clippy::print_stderr, reason = "the one place where this program's errors are told")]
    {
        eprintln!("error: failed to {error}");
    }
    ExitCode::FAILURE
}
